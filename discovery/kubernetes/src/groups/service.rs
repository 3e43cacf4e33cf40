//! Each port of a service is a target, by the name of the service.

use rosterd_model::TargetGroup;

use super::{Making, labels};
use crate::objects::Service;

impl Making<'_, '_> {
    pub(super) fn service(&mut self, service: &Service<'_>) -> TargetGroup {
        let host = format!("{}.{}.svc", &*service.meta.name, &*service.meta.namespace);
        let mut targets = Vec::with_capacity(service.ports.len());
        for port in &service.ports {
            self.sheet.endpoint(&host, port.number);
            self.sheet.set(labels::SERVICE_PORT_NAME, &port.name);
            self.sheet.number(labels::SERVICE_PORT_NUMBER, port.number);
            self.sheet.set(labels::SERVICE_PORT_PROTOCOL, &port.protocol);
            self.sheet.set(labels::SERVICE_TYPE, &service.kind);
            match &*service.kind {
                "ExternalName" => self.sheet.set(labels::SERVICE_EXTERNAL_NAME, &service.external_name),
                _ => self.sheet.set(labels::SERVICE_CLUSTER_IP, &service.cluster_ip),
            }
            if &*service.kind == "LoadBalancer" {
                self.sheet.set(labels::SERVICE_LOADBALANCER_IP, &service.load_balancer);
            }
            targets.push(self.labels());
        }
        self.sheet.object(&labels::OF_SERVICE, &service.meta);
        self.namespace(&service.meta.namespace);
        TargetGroup { labels: self.labels(), targets, ..TargetGroup::default() }
    }
}
