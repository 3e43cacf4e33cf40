//! Each port of each container of a pod is a target.

use rosterd_model::TargetGroup;

use super::{Making, labels};
use crate::objects::Pod;

impl Making<'_, '_> {
    /// No targets as long as the pod has no address, or runs on a node that is not watched although nodes are.
    pub(super) fn pod(&mut self, pod: &Pod<'_>) -> TargetGroup {
        if pod.ip.is_empty() || self.attach.node && self.world.node(&pod.node).is_none() {
            return TargetGroup::default();
        }
        let mut targets = Vec::new();
        for (container, init) in pod.all_containers() {
            // A container without ports is one target all the same: its port is for relabelling to add.
            let ports = container.ports.iter().map(Some);
            for port in ports.chain(container.ports.is_empty().then_some(None)) {
                self.container(container, init);
                self.sheet.set(labels::POD_CONTAINER_ID, &container.id);
                match port {
                    None => self.sheet.address(&pod.ip),
                    Some(port) => {
                        self.sheet.endpoint(&pod.ip, port.number);
                        self.container_port(port, &port.protocol);
                    }
                }
                targets.push(self.labels());
            }
        }
        self.attach_node(&pod.node);
        self.pod_labels(pod);
        self.namespace(&pod.meta.namespace);
        TargetGroup { labels: self.labels(), targets, ..TargetGroup::default() }
    }
}
