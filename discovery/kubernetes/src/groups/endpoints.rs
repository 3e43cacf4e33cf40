//! Each address and port of `Endpoints` is a target, and so are the other ports of the pods behind them.

use rosterd_model::{Labels, TargetGroup};

use super::backed::Backing;
use super::{Making, labels};
use crate::objects::{Address, Endpoints, Port};

impl<'s> Making<'_, 's> {
    pub(super) fn endpoints(&mut self, endpoints: &Endpoints<'_>) -> TargetGroup {
        let (mut targets, mut backing) = (Vec::new(), Backing::default());
        for subset in &endpoints.subsets {
            for port in &subset.ports {
                let ready = subset.ready.iter().map(|address| (address, true));
                for (address, ready) in ready.chain(subset.not_ready.iter().map(|address| (address, false))) {
                    targets.push(self.endpoint(address, port, ready, &mut backing));
                }
            }
        }
        backing.other_ports(self, &mut targets);
        let meta = &endpoints.meta;
        if let Some(service) = self.world.service(&meta.namespace, &meta.name) {
            self.sheet.object(&labels::OF_SERVICE, &service.meta);
        }
        self.sheet.object(&labels::OF_ENDPOINTS, meta);
        self.namespace(&meta.namespace);
        TargetGroup { labels: self.labels(), targets, ..TargetGroup::default() }
    }

    fn endpoint(&mut self, address: &Address<'_>, port: &Port<'_>, ready: bool, backing: &mut Backing<'s>) -> Labels {
        self.sheet.endpoint(&address.ip, port.number);
        self.sheet.set(labels::ENDPOINT_PORT_NAME, &port.name);
        self.sheet.set(labels::ENDPOINT_PORT_PROTOCOL, &port.protocol);
        self.sheet.flag(labels::ENDPOINT_READY, ready);
        self.sheet.set(labels::ENDPOINT_HOSTNAME, &address.hostname);
        if let Some(target) = &address.target {
            self.sheet.set(labels::ENDPOINT_ADDRESS_TARGET_KIND, &target.kind);
            self.sheet.set(labels::ENDPOINT_ADDRESS_TARGET_NAME, &target.name);
        }
        if let Some(node) = &address.node {
            self.sheet.set(labels::ENDPOINT_NODE_NAME, node);
            self.attach_node(node);
        } else if let Some(target) = address.target.as_ref().filter(|target| &*target.kind == "Node") {
            self.attach_node(&target.name);
        }
        if let Some(pod) = backing.meet(self, address.target.as_ref(), Some(port.number)) {
            self.pod_labels(pod);
            // The protocol is that of the endpoint, as for Prometheus.
            self.container_at(pod, port.number, Some(&port.protocol));
        }
        self.labels()
    }
}
