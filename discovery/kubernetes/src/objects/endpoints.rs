//! `Endpoints`.

use serde::Deserialize;

use super::json::List;
use super::meta::MetaJson;
use super::port::PortJson;
use super::{Link, Meta, Object, Port};
use crate::codec::{Str, fields};

/// The addresses behind a service, in one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Endpoints<'a> {
    pub(crate) meta: Meta<'a>,
    pub(crate) subsets: Vec<Subset<'a>>,
}

fields!(Endpoints { meta, subsets });

/// Addresses that have the same ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Subset<'a> {
    pub(crate) ready: Vec<Address<'a>>,
    pub(crate) not_ready: Vec<Address<'a>>,
    pub(crate) ports: Vec<Port<'a>>,
}

fields!(Subset { ready, not_ready, ports });

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Address<'a> {
    pub(crate) ip: Str<'a>,
    pub(crate) hostname: Str<'a>,
    pub(crate) node: Option<Str<'a>>,
    pub(crate) target: Option<Reference<'a>>,
}

fields!(Address { ip, hostname, node, target });

/// The object that an address is of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reference<'a> {
    pub(crate) kind: Str<'a>,
    pub(crate) namespace: Str<'a>,
    pub(crate) name: Str<'a>,
}

fields!(Reference { kind, namespace, name });

impl<'a> Reference<'a> {
    /// Names the pod or node that it is, and the node that it runs on.
    pub(super) fn links(target: Option<&Self>, node: Option<&str>, each: &mut dyn FnMut(Link, &str, &str)) {
        if let Some(node) = node {
            each(Link::Node, "", node);
        }
        match target {
            Some(target) if &*target.kind == "Pod" => each(Link::Pod, &target.namespace, &target.name),
            Some(target) if &*target.kind == "Node" => each(Link::Node, "", &target.name),
            _ => {}
        }
    }
}

impl<'a> Object<'a> for Endpoints<'a> {
    type Json = EndpointsJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }

    fn links(&self, each: &mut dyn FnMut(Link, &str, &str)) {
        each(Link::Service, &self.meta.namespace, &self.meta.name);
        for address in self.subsets.iter().flat_map(|subset| subset.ready.iter().chain(&subset.not_ready)) {
            Reference::links(address.target.as_ref(), address.node.as_deref(), each);
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct EndpointsJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow)]
    subsets: List<SubsetJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SubsetJson<'a> {
    #[serde(borrow)]
    addresses: List<AddressJson<'a>>,
    #[serde(borrow)]
    not_ready_addresses: List<AddressJson<'a>>,
    #[serde(borrow)]
    ports: List<PortJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AddressJson<'a> {
    #[serde(borrow)]
    ip: Str<'a>,
    #[serde(borrow)]
    hostname: Str<'a>,
    #[serde(borrow)]
    node_name: Option<Str<'a>>,
    #[serde(borrow)]
    target_ref: Option<ReferenceJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ReferenceJson<'a> {
    #[serde(borrow)]
    kind: Str<'a>,
    #[serde(borrow)]
    namespace: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
}

impl<'a> From<EndpointsJson<'a>> for Endpoints<'a> {
    fn from(json: EndpointsJson<'a>) -> Self {
        Self { meta: json.metadata.into(), subsets: json.subsets.convert() }
    }
}

impl<'a> From<SubsetJson<'a>> for Subset<'a> {
    fn from(json: SubsetJson<'a>) -> Self {
        let SubsetJson { addresses, not_ready_addresses, ports } = json;
        Self { ready: addresses.convert(), not_ready: not_ready_addresses.convert(), ports: ports.convert() }
    }
}

impl<'a> From<AddressJson<'a>> for Address<'a> {
    fn from(json: AddressJson<'a>) -> Self {
        let AddressJson { ip, hostname, node_name, target_ref } = json;
        Self { ip, hostname, node: node_name, target: target_ref.map(Reference::from) }
    }
}

impl<'a> From<ReferenceJson<'a>> for Reference<'a> {
    fn from(json: ReferenceJson<'a>) -> Self {
        Self { kind: json.kind, namespace: json.namespace, name: json.name }
    }
}
