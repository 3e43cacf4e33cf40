//! What a manager tells of services, tasks and nodes.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

rosterd_rest::reply! {
    pub(super) struct Service {
        pub(super) id: String = "ID",
        pub(super) spec: ServiceSpec = "Spec",
        pub(super) endpoint: Endpoint = "Endpoint",
        pub(super) update: UpdateStatus = "UpdateStatus",
    }

    pub(super) struct ServiceSpec {
        pub(super) name: String = "Name",
        pub(super) labels: BTreeMap<String, String> = "Labels",
        mode: Mode = "Mode",
        pub(super) template: TaskTemplate = "TaskTemplate",
    }

    /// The one that is there is the mode; jobs have others.
    struct Mode {
        global: Option<IgnoredAny> = "Global",
        replicated: Option<IgnoredAny> = "Replicated",
    }

    pub(super) struct TaskTemplate {
        pub(super) container: ContainerSpec = "ContainerSpec",
    }

    pub(super) struct ContainerSpec {
        pub(super) hostname: String = "Hostname",
        pub(super) image: String = "Image",
        pub(super) labels: BTreeMap<String, String> = "Labels",
    }

    pub(super) struct UpdateStatus {
        pub(super) state: String = "State",
    }

    pub(super) struct Endpoint {
        ports: Vec<Port> = "Ports",
        pub(super) addresses: Vec<VirtualAddress> = "VirtualIPs",
    }

    pub(super) struct Port {
        pub(super) name: String = "Name",
        protocol: String = "Protocol",
        pub(super) published: u32 = "PublishedPort",
        pub(super) mode: String = "PublishMode",
    }

    pub(super) struct VirtualAddress {
        pub(super) network: String = "NetworkID",
        pub(super) cidr: String = "Addr",
    }

    pub(super) struct Task {
        pub(super) id: String = "ID",
        pub(super) service: String = "ServiceID",
        pub(super) node: String = "NodeID",
        pub(super) slot: i64 = "Slot",
        pub(super) spec: TaskTemplate = "Spec",
        pub(super) status: TaskStatus = "Status",
        pub(super) desired_state: String = "DesiredState",
        pub(super) attachments: Vec<Attachment> = "NetworksAttachments",
    }

    pub(super) struct TaskStatus {
        pub(super) state: String = "State",
        pub(super) container: ContainerStatus = "ContainerStatus",
        pub(super) ports: PortStatus = "PortStatus",
    }

    pub(super) struct ContainerStatus {
        pub(super) id: String = "ContainerID",
    }

    pub(super) struct PortStatus {
        ports: Vec<Port> = "Ports",
    }

    pub(super) struct Attachment {
        pub(super) network: AttachedNetwork = "Network",
        pub(super) cidrs: Vec<String> = "Addresses",
    }

    pub(super) struct AttachedNetwork {
        pub(super) id: String = "ID",
    }

    pub(super) struct Node {
        pub(super) id: String = "ID",
        pub(super) spec: NodeSpec = "Spec",
        pub(super) description: Description = "Description",
        pub(super) status: NodeStatus = "Status",
        pub(super) manager: Option<ManagerStatus> = "ManagerStatus",
    }

    pub(super) struct NodeSpec {
        pub(super) role: String = "Role",
        pub(super) availability: String = "Availability",
        pub(super) labels: BTreeMap<String, String> = "Labels",
    }

    pub(super) struct Description {
        pub(super) hostname: String = "Hostname",
        pub(super) platform: Platform = "Platform",
        pub(super) engine: EngineDescription = "Engine",
    }

    pub(super) struct Platform {
        pub(super) architecture: String = "Architecture",
        pub(super) os: String = "OS",
    }

    pub(super) struct EngineDescription {
        pub(super) version: String = "EngineVersion",
    }

    pub(super) struct NodeStatus {
        pub(super) state: String = "State",
        pub(super) address: String = "Addr",
    }

    pub(super) struct ManagerStatus {
        pub(super) leader: bool = "Leader",
        pub(super) reachability: String = "Reachability",
        pub(super) address: String = "Addr",
    }
}

impl Service {
    /// `global` or `replicated`; empty for jobs.
    pub(super) fn mode(&self) -> &'static str {
        match &self.spec.mode {
            Mode { global: Some(_), .. } => "global",
            Mode { replicated: Some(_), .. } => "replicated",
            Mode { .. } => "",
        }
    }

    pub(super) fn tcp_ports(&self) -> impl Iterator<Item = &Port> {
        self.endpoint.ports.iter().filter(|port| port.is_tcp())
    }
}

impl Task {
    /// Those of its node that it has by itself.
    pub(super) fn tcp_ports(&self) -> impl Iterator<Item = &Port> {
        self.status.ports.ports.iter().filter(|port| port.is_tcp())
    }
}

impl Port {
    fn is_tcp(&self) -> bool {
        self.protocol == "tcp"
    }
}
