//! A node is a target: its kubelet.

use rosterd_model::TargetGroup;

use super::{Making, labels};
use crate::objects::Node;

/// The types of addresses, the best one first.
const TYPES: [&str; 6] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

impl Making<'_, '_> {
    /// The kubelet, unless the node has no address that it could be reached by.
    pub(super) fn node(&mut self, node: &Node<'_>) -> TargetGroup {
        let first = |kind: &str| node.addresses.iter().find(|(other, _)| **other == *kind).map(|(_, address)| address);
        let Some(host) = TYPES.into_iter().find_map(first) else { return TargetGroup::default() };
        self.sheet.endpoint(host, node.kubelet_port);
        self.sheet.instance(&node.meta.name);
        for (index, (kind, address)) in node.addresses.iter().enumerate() {
            if !node.addresses[..index].iter().any(|(other, _)| other == kind) {
                self.sheet.set_sanitised(labels::NODE_ADDRESS, kind, address);
            }
        }
        let targets = vec![self.labels()];
        self.sheet.set(labels::NODE_PROVIDER_ID, &node.provider);
        for (kind, status) in &node.conditions {
            self.sheet.set_sanitised(labels::NODE_CONDITION, &kind.to_lowercase(), &status.to_lowercase());
        }
        self.sheet.object(&labels::OF_NODE, &node.meta);
        TargetGroup { labels: self.labels(), targets, ..TargetGroup::default() }
    }
}
