//! Groups: one for each service, task or node, of which it is the source.

use std::collections::HashMap;
use std::net::IpAddr;

use rosterd_discovery::Sheet;
use rosterd_engine::Networks;
use rosterd_model::{Labels, Names, TargetGroup};
use tracing::debug;

use super::labels;
use super::objects::{Node, Port, Service, Task};

/// What groups are made with.
pub(super) struct Making {
    port: u16,
    networks: Networks,
    sheet: Sheet,
    names: Names,
}

impl Making {
    /// What has no port gets this one.
    pub(super) fn new(port: u16, networks: Networks) -> Self {
        Self { port, networks, sheet: Sheet::default(), names: Names::new() }
    }

    pub(super) fn services(mut self, services: &[Service]) -> Vec<TargetGroup> {
        services.iter().filter_map(|service| self.service(service)).collect()
    }

    pub(super) fn tasks(mut self, tasks: &[Task], services: &[Service], nodes: &[Node]) -> Vec<TargetGroup> {
        let services: HashMap<_, _> = services.iter().map(|service| (&*service.id, service)).collect();
        let nodes: HashMap<_, _> = nodes.iter().map(|node| (&*node.id, node)).collect();
        let of = |task: &Task| (services.get(&*task.service).copied(), nodes.get(&*task.node).copied());
        tasks.iter().filter_map(|task| self.task(task, of(task))).collect()
    }

    pub(super) fn nodes(mut self, nodes: &[Node]) -> Vec<TargetGroup> {
        nodes.iter().filter_map(|node| self.node(node)).collect()
    }

    /// A target for each virtual address and port.
    fn service(&mut self, service: &Service) -> Option<TargetGroup> {
        let mut targets = Vec::new();
        for address in &service.endpoint.addresses {
            // A service on the network of its hosts has an entry without an address.
            let Some(ip) = ip(&address.cidr, &service.id) else { continue };
            for port in or_none(service.tcp_ports()) {
                if let Some(port) = port {
                    self.sheet.set(labels::SERVICE_ENDPOINT_PORT_NAME, &port.name);
                    self.sheet.set(labels::SERVICE_ENDPOINT_PORT_PUBLISH_MODE, &port.mode);
                }
                targets.push(self.target(ip, port, &address.network));
            }
        }
        self.of_service(service);
        self.sheet.set(labels::SERVICE_TASK_CONTAINER_HOSTNAME, &service.spec.template.container.hostname);
        self.sheet.set(labels::SERVICE_TASK_CONTAINER_IMAGE, &service.spec.template.container.image);
        self.sheet.set(labels::SERVICE_UPDATING_STATUS, &service.update.state);
        self.group(&service.id, targets)
    }

    /// A target for each port that it has on its node, and for each of its addresses and each port of its service.
    fn task(&mut self, task: &Task, (service, node): (Option<&Service>, Option<&Node>)) -> Option<TargetGroup> {
        let mut targets = Vec::new();
        for port in task.tcp_ports() {
            self.sheet.endpoint(node.map_or("", |node| &node.status.address), port.published);
            self.sheet.set(labels::TASK_PORT_PUBLISH_MODE, &port.mode);
            targets.push(self.labels());
        }
        for attachment in &task.attachments {
            for ip in attachment.cidrs.iter().filter_map(|cidr| ip(cidr, &task.id)) {
                for port in or_none(service.into_iter().flat_map(Service::tcp_ports)) {
                    if let Some(port) = port {
                        self.sheet.set(labels::TASK_PORT_PUBLISH_MODE, &port.mode);
                    }
                    targets.push(self.target(ip, port, &attachment.network.id));
                }
            }
        }
        self.sheet.set(labels::TASK_ID, &task.id);
        self.sheet.set(labels::TASK_DESIRED_STATE, &task.desired_state);
        self.sheet.set(labels::TASK_STATE, &task.status.state);
        self.sheet.number(labels::TASK_SLOT, task.slot);
        self.sheet.set(labels::TASK_CONTAINER_ID, &task.status.container.id);
        self.sheet.map(labels::CONTAINER_LABEL, &task.spec.container.labels);
        if let Some(service) = service {
            self.of_service(service);
        }
        if let Some(node) = node {
            self.of_node(node);
        }
        self.group(&task.id, targets)
    }

    fn node(&mut self, node: &Node) -> Option<TargetGroup> {
        self.sheet.endpoint(&node.status.address, self.port);
        let targets = vec![self.labels()];
        self.of_node(node);
        self.sheet.set(labels::NODE_ENGINE_VERSION, &node.description.engine.version);
        if let Some(manager) = &node.manager {
            self.sheet.flag(labels::NODE_MANAGER_LEADER, manager.leader);
            self.sheet.set(labels::NODE_MANAGER_REACHABILITY, &manager.reachability);
            self.sheet.set(labels::NODE_MANAGER_ADDRESS, &manager.address);
        }
        self.group(&node.id, targets)
    }

    /// What a service tells its tasks, too.
    fn of_service(&mut self, service: &Service) {
        self.sheet.set(labels::SERVICE_ID, &service.id);
        self.sheet.set(labels::SERVICE_NAME, &service.spec.name);
        self.sheet.set(labels::SERVICE_MODE, service.mode());
        self.sheet.map(labels::SERVICE_LABEL, &service.spec.labels);
    }

    /// What a node tells its tasks, too.
    fn of_node(&mut self, node: &Node) {
        self.sheet.set(labels::NODE_ID, &node.id);
        self.sheet.set(labels::NODE_ROLE, &node.spec.role);
        self.sheet.set(labels::NODE_AVAILABILITY, &node.spec.availability);
        self.sheet.set(labels::NODE_HOSTNAME, &node.description.hostname);
        self.sheet.set(labels::NODE_PLATFORM_ARCHITECTURE, &node.description.platform.architecture);
        self.sheet.set(labels::NODE_PLATFORM_OS, &node.description.platform.os);
        self.sheet.set(labels::NODE_STATUS, &node.status.state);
        self.sheet.set(labels::NODE_ADDRESS, &node.status.address);
        self.sheet.map(labels::NODE_LABEL, &node.spec.labels);
    }

    /// Ends a target on a network.
    fn target(&mut self, ip: IpAddr, port: Option<&Port>, network: &str) -> Labels {
        self.sheet.endpoint(&ip.to_string(), port.map_or(self.port.into(), |port| port.published));
        self.networks.label(network, &mut self.sheet);
        self.labels()
    }

    fn labels(&mut self) -> Labels {
        self.sheet.build(&mut self.names)
    }

    /// Ends a group, unless it has no targets.
    fn group(&mut self, source: &str, targets: Vec<Labels>) -> Option<TargetGroup> {
        let labels = self.labels();
        (!targets.is_empty()).then(|| TargetGroup { source: source.into(), labels, targets, ..TargetGroup::default() })
    }
}

/// Each of them, or once none if there are none.
fn or_none<'p>(ports: impl Iterator<Item = &'p Port>) -> impl Iterator<Item = Option<&'p Port>> {
    let mut ports = ports.map(Some).peekable();
    let none = ports.peek().is_none().then_some(None);
    ports.chain(none)
}

/// The address of a prefix, if it is one.
fn ip(cidr: &str, of: &str) -> Option<IpAddr> {
    let ip = cidr.split('/').next().and_then(|ip| ip.parse().ok());
    if ip.is_none() {
        debug!(source = of, address = cidr, "an address of a swarm is left out, for it is none");
    }
    ip
}
