//! Nodes, and namespaces, of which only labels and annotations count.

use serde::Deserialize;

use super::json::List;
use super::meta::MetaJson;
use super::{Meta, Object};
use crate::codec::{Str, fields};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Node<'a> {
    pub(crate) meta: Meta<'a>,
    pub(crate) provider: Str<'a>,
    /// Type and status.
    pub(crate) conditions: Vec<(Str<'a>, Str<'a>)>,
    /// Type and address.
    pub(crate) addresses: Vec<(Str<'a>, Str<'a>)>,
    pub(crate) kubelet_port: u32,
}

fields!(Node { meta, provider, conditions, addresses, kubelet_port });

impl<'a> Object<'a> for Node<'a> {
    type Json = NodeJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct NodeJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow)]
    spec: Option<SpecJson<'a>>,
    #[serde(borrow)]
    status: Option<StatusJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SpecJson<'a> {
    #[serde(borrow, rename = "providerID")]
    provider_id: Str<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct StatusJson<'a> {
    #[serde(borrow)]
    conditions: List<ConditionJson<'a>>,
    #[serde(borrow)]
    addresses: List<AddressJson<'a>>,
    daemon_endpoints: Option<DaemonsJson>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ConditionJson<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow)]
    pub(super) status: Str<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AddressJson<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    address: Str<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct DaemonsJson {
    kubelet_endpoint: Option<DaemonJson>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DaemonJson {
    #[serde(rename = "Port")]
    port: u32,
}

impl<'a> From<NodeJson<'a>> for Node<'a> {
    fn from(json: NodeJson<'a>) -> Self {
        let status = json.status.unwrap_or_default();
        let kubelet = status.daemon_endpoints.and_then(|daemons| daemons.kubelet_endpoint);
        let (conditions, addresses) = (status.conditions.0.into_iter(), status.addresses.0.into_iter());
        Self {
            meta: json.metadata.into(),
            provider: json.spec.unwrap_or_default().provider_id,
            conditions: conditions.map(|condition| (condition.kind, condition.status)).collect(),
            addresses: addresses.map(|address| (address.kind, address.address)).collect(),
            kubelet_port: kubelet.map_or(0, |daemon| daemon.port),
        }
    }
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Namespace<'a> {
    pub(crate) meta: Meta<'a>,
}

fields!(Namespace { meta });

impl<'a> Object<'a> for Namespace<'a> {
    type Json = NamespaceJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct NamespaceJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
}

impl<'a> From<NamespaceJson<'a>> for Namespace<'a> {
    fn from(json: NamespaceJson<'a>) -> Self {
        Self { meta: json.metadata.into() }
    }
}
