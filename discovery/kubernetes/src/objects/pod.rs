//! Pods.

use serde::Deserialize;

use super::json::List;
use super::meta::MetaJson;
use super::node::ConditionJson;
use super::{Link, Meta, Object, Owner};
use crate::codec::{Str, fields};

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pod<'a> {
    pub(crate) meta: Meta<'a>,
    pub(crate) uid: Str<'a>,
    pub(crate) controller: Option<Owner<'a>>,
    pub(crate) node: Str<'a>,
    pub(crate) ip: Str<'a>,
    pub(crate) host_ip: Str<'a>,
    pub(crate) phase: Str<'a>,
    /// The status of the condition `Ready`; empty if there is none.
    pub(crate) ready: Str<'a>,
    pub(crate) containers: Vec<Container<'a>>,
    pub(crate) init_containers: Vec<Container<'a>>,
}

fields!(Pod { meta, uid, controller, node, ip, host_ip, phase, ready, containers, init_containers });

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Container<'a> {
    pub(crate) name: Str<'a>,
    pub(crate) image: Str<'a>,
    /// What the runtime calls it; empty as long as it does not.
    pub(crate) id: Str<'a>,
    pub(crate) ports: Vec<ContainerPort<'a>>,
}

fields!(Container { name, image, id, ports });

/// A port of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ContainerPort<'a> {
    pub(crate) name: Str<'a>,
    pub(crate) number: u32,
    pub(crate) protocol: Str<'a>,
}

fields!(ContainerPort { name, number, protocol });

impl<'a> Pod<'a> {
    /// All containers, those that run before the others last, and whether they are of these.
    pub(crate) fn all_containers(&self) -> impl Iterator<Item = (&Container<'a>, bool)> {
        let plain = self.containers.iter().map(|container| (container, false));
        plain.chain(self.init_containers.iter().map(|container| (container, true)))
    }
}

impl<'a> Object<'a> for Pod<'a> {
    type Json = PodJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }

    fn links(&self, each: &mut dyn FnMut(Link, &str, &str)) {
        each(Link::Node, "", &self.node);
        let Some(Owner { kind, name }) = &self.controller else { return };
        match &**kind {
            "ReplicaSet" => each(Link::ReplicaSet, &self.meta.namespace, name),
            "Job" => each(Link::Job, &self.meta.namespace, name),
            _ => {}
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct PodJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow)]
    spec: Option<SpecJson<'a>>,
    #[serde(borrow)]
    status: Option<StatusJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SpecJson<'a> {
    #[serde(borrow)]
    node_name: Str<'a>,
    #[serde(borrow)]
    containers: List<ContainerJson<'a>>,
    #[serde(borrow)]
    init_containers: List<ContainerJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerJson<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow)]
    image: Str<'a>,
    #[serde(borrow)]
    ports: List<PortJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PortJson<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    container_port: u32,
    #[serde(borrow)]
    protocol: Str<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct StatusJson<'a> {
    #[serde(borrow)]
    phase: Str<'a>,
    #[serde(borrow, rename = "podIP")]
    pod_ip: Str<'a>,
    #[serde(borrow, rename = "hostIP")]
    host_ip: Str<'a>,
    #[serde(borrow)]
    conditions: List<ConditionJson<'a>>,
    #[serde(borrow)]
    container_statuses: List<ContainerStatusJson<'a>>,
    #[serde(borrow)]
    init_container_statuses: List<ContainerStatusJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerStatusJson<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, rename = "containerID")]
    container_id: Str<'a>,
}

impl<'a> From<PodJson<'a>> for Pod<'a> {
    fn from(json: PodJson<'a>) -> Self {
        let (mut meta, spec) = (json.metadata, json.spec.unwrap_or_default());
        let status = json.status.unwrap_or_default();
        let ready = status.conditions.0.into_iter().find(|condition| &*condition.kind == "Ready");
        Self {
            controller: meta.take_controller(),
            uid: std::mem::take(&mut meta.uid),
            meta: meta.into(),
            node: spec.node_name,
            ip: status.pod_ip,
            host_ip: status.host_ip,
            phase: status.phase,
            ready: ready.map(|condition| condition.status).unwrap_or_default(),
            containers: containers(spec.containers, &status.container_statuses),
            init_containers: containers(spec.init_containers, &status.init_container_statuses),
        }
    }
}

/// Containers, each with the identifier that the first status of its name has.
fn containers<'a>(list: List<ContainerJson<'a>>, statuses: &List<ContainerStatusJson<'a>>) -> Vec<Container<'a>> {
    let complete = |container: ContainerJson<'a>| {
        let status = statuses.0.iter().find(|status| status.name == container.name);
        let id = status.map(|status| status.container_id.clone()).unwrap_or_default();
        Container { name: container.name, image: container.image, id, ports: container.ports.convert() }
    };
    list.0.into_iter().map(complete).collect()
}

impl<'a> From<PortJson<'a>> for ContainerPort<'a> {
    fn from(json: PortJson<'a>) -> Self {
        Self { name: json.name, number: json.container_port, protocol: json.protocol }
    }
}
