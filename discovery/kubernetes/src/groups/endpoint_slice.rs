//! Each address and port of an `EndpointSlice` is a target, and so are the other ports of the pods behind them.

use rosterd_model::{Labels, TargetGroup};

use super::backed::Backing;
use super::{Making, labels};
use crate::objects::{EndpointSlice, SliceEndpoint, SlicePort};

impl<'s> Making<'_, 's> {
    /// No targets for the second family of addresses of a service that has two: they would be those of the first again.
    pub(super) fn endpoint_slice(&mut self, slice: &EndpointSlice<'_>) -> TargetGroup {
        let meta = &slice.meta;
        let service = slice.service().and_then(|name| self.world.service(&meta.namespace, name));
        let family = service.as_ref().and_then(|service| service.primary_family.as_ref());
        if family.is_some_and(|family| **family != *slice.family) {
            return TargetGroup::default();
        }
        let (mut targets, mut backing) = (Vec::new(), Backing::default());
        for endpoint in &slice.endpoints {
            for port in &slice.ports {
                for address in &endpoint.addresses {
                    targets.push(self.slice_endpoint(address, endpoint, port, &mut backing));
                }
            }
        }
        backing.other_ports(self, &mut targets);
        self.sheet.set(labels::ENDPOINTSLICE_ADDRESS_TYPE, &slice.family);
        self.sheet.object(&labels::OF_ENDPOINTSLICE, meta);
        if let Some(service) = &service {
            self.sheet.object(&labels::OF_SERVICE, &service.meta);
        }
        self.namespace(&meta.namespace);
        TargetGroup { labels: self.labels(), targets, ..TargetGroup::default() }
    }

    fn slice_endpoint(
        &mut self,
        address: &str,
        endpoint: &SliceEndpoint<'_>,
        port: &SlicePort<'_>,
        backing: &mut Backing<'s>,
    ) -> Labels {
        match port.number {
            None => self.sheet.address(address),
            Some(number) => {
                self.sheet.endpoint(address, number);
                self.sheet.number(labels::ENDPOINTSLICE_PORT, number);
            }
        }
        self.sheet.set(labels::ENDPOINTSLICE_PORT_NAME, &port.name);
        self.sheet.set(labels::ENDPOINTSLICE_PORT_PROTOCOL, &port.protocol);
        self.sheet.set(labels::ENDPOINTSLICE_PORT_APP_PROTOCOL, &port.app_protocol);
        self.conditions(endpoint);
        self.sheet.set(labels::ENDPOINTSLICE_ENDPOINT_HOSTNAME, &endpoint.hostname);
        self.sheet.set(labels::ENDPOINTSLICE_ENDPOINT_ZONE, &endpoint.zone);
        if let Some(node) = &endpoint.node {
            self.sheet.set(labels::ENDPOINTSLICE_ENDPOINT_NODE_NAME, node);
        }
        for (key, value) in endpoint.topology.iter() {
            self.sheet.entry(
                labels::ENDPOINTSLICE_ENDPOINT_TOPOLOGY,
                labels::ENDPOINTSLICE_ENDPOINT_TOPOLOGY_PRESENT,
                key,
                value,
            );
        }
        let target = endpoint.target.as_ref();
        if let Some(target) = target {
            self.sheet.set(labels::ENDPOINTSLICE_ADDRESS_TARGET_KIND, &target.kind);
            self.sheet.set(labels::ENDPOINTSLICE_ADDRESS_TARGET_NAME, &target.name);
        }
        match (target.filter(|target| &*target.kind == "Node"), &endpoint.node) {
            (Some(target), _) => self.attach_node(&target.name),
            (None, Some(node)) => self.attach_node(node),
            (None, None) => {}
        }
        if let Some(pod) = backing.meet(self, target, port.number) {
            self.pod_labels(pod);
            if let Some(number) = port.number {
                self.container_at(pod, number, None);
            }
        }
        self.labels()
    }

    fn conditions(&mut self, endpoint: &SliceEndpoint<'_>) {
        let conditions = endpoint.conditions;
        for (name, condition) in [
            (labels::ENDPOINTSLICE_ENDPOINT_CONDITIONS_READY, conditions.ready),
            (labels::ENDPOINTSLICE_ENDPOINT_CONDITIONS_SERVING, conditions.serving),
            (labels::ENDPOINTSLICE_ENDPOINT_CONDITIONS_TERMINATING, conditions.terminating),
        ] {
            if let Some(is_so) = condition {
                self.sheet.flag(name, is_so);
            }
        }
    }
}
