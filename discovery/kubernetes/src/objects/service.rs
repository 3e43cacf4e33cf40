//! Services.

use serde::Deserialize;

use super::json::List;
use super::meta::MetaJson;
use super::port::PortJson;
use super::{Meta, Object, Port};
use crate::codec::{Str, fields};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Service<'a> {
    pub(crate) meta: Meta<'a>,
    pub(crate) kind: Str<'a>,
    pub(crate) cluster_ip: Str<'a>,
    pub(crate) external_name: Str<'a>,
    /// The address that its load balancer should have.
    pub(crate) load_balancer: Str<'a>,
    /// The family of its first address, if it has addresses of two families.
    pub(crate) primary_family: Option<Str<'a>>,
    pub(crate) ports: Vec<Port<'a>>,
}

fields!(Service { meta, kind, cluster_ip, external_name, load_balancer, primary_family, ports });

impl<'a> Object<'a> for Service<'a> {
    type Json = ServiceJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ServiceJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow)]
    spec: Option<SpecJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SpecJson<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, rename = "clusterIP")]
    cluster_ip: Str<'a>,
    #[serde(borrow)]
    external_name: Str<'a>,
    #[serde(borrow, rename = "loadBalancerIP")]
    load_balancer_ip: Str<'a>,
    #[serde(borrow)]
    ip_family_policy: Str<'a>,
    #[serde(borrow)]
    ip_families: List<Str<'a>>,
    #[serde(borrow)]
    ports: List<PortJson<'a>>,
}

impl<'a> From<ServiceJson<'a>> for Service<'a> {
    fn from(json: ServiceJson<'a>) -> Self {
        let spec = json.spec.unwrap_or_default();
        let two_families = matches!(&*spec.ip_family_policy, "PreferDualStack" | "RequireDualStack");
        Self {
            meta: json.metadata.into(),
            load_balancer: spec.load_balancer_ip,
            kind: spec.kind,
            cluster_ip: spec.cluster_ip,
            external_name: spec.external_name,
            primary_family: spec.ip_families.0.into_iter().next().filter(|_| two_families),
            ports: spec.ports.convert(),
        }
    }
}
