//! What a pod tells: the group of its own, and each target that it stands behind.

use rosterd_model::Labels;

use super::{Making, labels};
use crate::codec::Str;
use crate::objects::{Container, ContainerPort, Owner, Pod, Reference};

/// The pods that were met behind the endpoints of one object, and the ports that were.
#[derive(Default)]
pub(super) struct Backing<'s> {
    pods: Vec<Met<'s>>,
}

struct Met<'s> {
    namespace: String,
    name: String,
    pod: Pod<'s>,
    ports: Vec<Option<u32>>,
}

impl<'s> Backing<'s> {
    /// The pod that a reference names, if it is one and it is known; it is met with this port.
    pub(super) fn meet(
        &mut self,
        making: &Making<'_, 's>,
        target: Option<&Reference<'_>>,
        port: Option<u32>,
    ) -> Option<&Pod<'s>> {
        let Reference { kind, namespace, name } = target?;
        if &**kind != "Pod" {
            return None;
        }
        let known = self.pods.iter().position(|met| *met.name == **name && *met.namespace == **namespace);
        let index = match known {
            Some(index) => index,
            None => {
                let pod = making.world.pod(namespace, name)?;
                self.pods.push(Met {
                    namespace: namespace.to_string(),
                    name: name.to_string(),
                    pod,
                    ports: Vec::new(),
                });
                self.pods.len() - 1
            }
        };
        let met = &mut self.pods[index];
        met.ports.push(port);
        Some(&met.pod)
    }

    /// A target for each port of their containers that no endpoint had.
    pub(super) fn other_ports(self, making: &mut Making<'_, 's>, targets: &mut Vec<Labels>) {
        for Met { pod, ports, .. } in self.pods.iter().filter(|met| !met.pod.ip.is_empty()) {
            for (container, init) in pod.all_containers() {
                for port in container.ports.iter().filter(|port| !ports.contains(&Some(port.number))) {
                    making.sheet.endpoint(&pod.ip, port.number);
                    making.container(container, init);
                    making.container_port(port, &port.protocol);
                    making.pod_labels(pod);
                    targets.push(making.labels());
                }
            }
        }
    }
}

impl Making<'_, '_> {
    /// Adds what a pod tells of itself.
    pub(super) fn pod_labels(&mut self, pod: &Pod<'_>) {
        let sheet = &mut *self.sheet;
        sheet.set(labels::POD_IP, &pod.ip);
        sheet.set(labels::POD_PHASE, &pod.phase);
        sheet.set(labels::POD_NODE_NAME, &pod.node);
        sheet.set(labels::POD_HOST_IP, &pod.host_ip);
        sheet.set(labels::POD_UID, &pod.uid);
        match &*pod.ready {
            "" => sheet.set(labels::POD_READY, "unknown"),
            status => sheet.set(labels::POD_READY, &status.to_lowercase()),
        }
        sheet.object(&labels::OF_POD, &pod.meta);
        if let Some(controller) = &pod.controller {
            sheet.set(labels::POD_CONTROLLER_KIND, &controller.kind);
            sheet.set(labels::POD_CONTROLLER_NAME, &controller.name);
            self.makers(&pod.meta.namespace, controller);
        }
    }

    /// Adds who made the controller of a pod.
    fn makers(&mut self, namespace: &str, controller: &Owner<'_>) {
        match &*controller.kind {
            "ReplicaSet" if self.attach.deployment => {
                let set = self.world.replica_set(namespace, &controller.name);
                if let Some(name) = set.and_then(|set| made_by("Deployment", set.controller)) {
                    self.sheet.set(labels::POD_DEPLOYMENT_NAME, &name);
                }
            }
            "Job" => {
                if self.attach.job {
                    self.sheet.set(labels::POD_JOB_NAME, &controller.name);
                }
                let job = self.attach.cronjob.then(|| self.world.job(namespace, &controller.name)).flatten();
                if let Some(name) = job.and_then(|job| made_by("CronJob", job.controller)) {
                    self.sheet.set(labels::POD_CRONJOB_NAME, &name);
                }
            }
            _ => {}
        }
    }

    /// Adds what a container tells, but for its identifier.
    pub(super) fn container(&mut self, container: &Container<'_>, init: bool) {
        self.sheet.set(labels::POD_CONTAINER_NAME, &container.name);
        self.sheet.set(labels::POD_CONTAINER_IMAGE, &container.image);
        self.sheet.flag(labels::POD_CONTAINER_INIT, init);
    }

    /// Adds a port of a container.
    pub(super) fn container_port(&mut self, port: &ContainerPort<'_>, protocol: &str) {
        self.sheet.set(labels::POD_CONTAINER_PORT_NAME, &port.name);
        self.sheet.number(labels::POD_CONTAINER_PORT_NUMBER, port.number);
        self.sheet.set(labels::POD_CONTAINER_PORT_PROTOCOL, protocol);
    }

    /// Adds the containers that have this port: of several, the last one counts. The protocol is that of the container's
    /// port unless there is another.
    pub(super) fn container_at(&mut self, pod: &Pod<'_>, number: u32, protocol: Option<&str>) {
        for (container, init) in pod.all_containers() {
            if let Some(port) = container.ports.iter().find(|port| port.number == number) {
                self.container(container, init);
                self.container_port(port, protocol.unwrap_or(&port.protocol));
            }
        }
    }
}

/// The name of an owner of this kind.
fn made_by<'a>(kind: &str, owner: Option<Owner<'a>>) -> Option<Str<'a>> {
    owner.filter(|owner| *owner.kind == *kind).map(|owner| owner.name)
}
