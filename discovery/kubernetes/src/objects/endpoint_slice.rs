//! `EndpointSlice`s.

use serde::Deserialize;

use super::endpoints::ReferenceJson;
use super::json::List;
use super::meta::MetaJson;
use super::{Link, Map, Meta, Object, Reference};
use crate::codec::{Str, fields};

/// The label that names the service of a slice.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Some of the addresses behind a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EndpointSlice<'a> {
    pub(crate) meta: Meta<'a>,
    /// The family of the addresses.
    pub(crate) family: Str<'a>,
    pub(crate) endpoints: Vec<SliceEndpoint<'a>>,
    pub(crate) ports: Vec<SlicePort<'a>>,
}

fields!(EndpointSlice { meta, family, endpoints, ports });

/// What stands behind one or several addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SliceEndpoint<'a> {
    pub(crate) addresses: Vec<Str<'a>>,
    pub(crate) conditions: Conditions,
    pub(crate) hostname: Str<'a>,
    pub(crate) node: Option<Str<'a>>,
    pub(crate) zone: Str<'a>,
    pub(crate) topology: Map<'a>,
    pub(crate) target: Option<Reference<'a>>,
}

/// In which condition an endpoint is, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Conditions {
    pub(crate) ready: Option<bool>,
    pub(crate) serving: Option<bool>,
    pub(crate) terminating: Option<bool>,
}

impl<'a> crate::codec::Field<'a> for Conditions {
    fn put(&self, out: &mut crate::codec::Out<'_>) {
        let digit = |condition: Option<bool>| condition.map_or(0, |is_so| 1 + u64::from(is_so));
        out.number(digit(self.ready) + 3 * digit(self.serving) + 9 * digit(self.terminating));
    }

    fn take(from: &mut crate::codec::In<'a>) -> Option<Self> {
        let number = from.number()?;
        let condition = |digit: u64| (digit > 0).then_some(digit == 2);
        Some(Self {
            ready: condition(number % 3),
            serving: condition(number / 3 % 3),
            terminating: condition(number / 9 % 3),
        })
    }
}

fields!(SliceEndpoint { addresses, conditions, hostname, node, zone, topology, target });

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SlicePort<'a> {
    pub(crate) name: Str<'a>,
    /// Any, if there is none.
    pub(crate) number: Option<u32>,
    pub(crate) protocol: Str<'a>,
    pub(crate) app_protocol: Str<'a>,
}

fields!(SlicePort { name, number, protocol, app_protocol });

impl EndpointSlice<'_> {
    /// The name of the service that it belongs to.
    pub(crate) fn service(&self) -> Option<&str> {
        self.meta.labels.get(SERVICE_LABEL)
    }
}

impl<'a> Object<'a> for EndpointSlice<'a> {
    type Json = EndpointSliceJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }

    fn links(&self, each: &mut dyn FnMut(Link, &str, &str)) {
        if let Some(service) = self.service() {
            each(Link::Service, &self.meta.namespace, service);
        }
        for endpoint in &self.endpoints {
            Reference::links(endpoint.target.as_ref(), endpoint.node.as_deref(), each);
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointSliceJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow)]
    address_type: Str<'a>,
    #[serde(borrow)]
    endpoints: List<EndpointJson<'a>>,
    #[serde(borrow)]
    ports: List<PortJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct EndpointJson<'a> {
    #[serde(borrow)]
    addresses: List<Str<'a>>,
    conditions: Option<Conditions>,
    #[serde(borrow)]
    hostname: Str<'a>,
    #[serde(borrow)]
    node_name: Option<Str<'a>>,
    #[serde(borrow)]
    zone: Str<'a>,
    #[serde(borrow)]
    deprecated_topology: Map<'a>,
    #[serde(borrow)]
    target_ref: Option<ReferenceJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PortJson<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    port: Option<u32>,
    #[serde(borrow)]
    protocol: Str<'a>,
    #[serde(borrow)]
    app_protocol: Str<'a>,
}

impl<'a> From<EndpointSliceJson<'a>> for EndpointSlice<'a> {
    fn from(json: EndpointSliceJson<'a>) -> Self {
        let EndpointSliceJson { metadata, address_type, endpoints, ports } = json;
        Self { meta: metadata.into(), family: address_type, endpoints: endpoints.convert(), ports: ports.convert() }
    }
}

impl<'a> From<EndpointJson<'a>> for SliceEndpoint<'a> {
    fn from(json: EndpointJson<'a>) -> Self {
        Self {
            addresses: json.addresses.0,
            conditions: json.conditions.unwrap_or_default(),
            hostname: json.hostname,
            node: json.node_name,
            zone: json.zone,
            topology: json.deprecated_topology,
            target: json.target_ref.map(Reference::from),
        }
    }
}

impl<'a> From<PortJson<'a>> for SlicePort<'a> {
    fn from(json: PortJson<'a>) -> Self {
        let PortJson { name, port, protocol, app_protocol } = json;
        Self { name, number: port, protocol, app_protocol }
    }
}
