//! Which watches a configuration needs.

use std::sync::Arc;

use super::{AttachMetadata, KubernetesConfig, Role};
use crate::resource::{Resource, WatchKey};

/// What a configuration watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) role: Role,
    /// Of what can be attached, what this role has a use for.
    pub(crate) attach: AttachMetadata,
    /// One for each namespace, or one for all.
    pub(crate) parts: Vec<Part>,
}

/// A namespace, or all: what is known together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) namespace: Option<Arc<str>>,
    /// All that its groups are made of; first the objects that they are named after.
    pub(crate) watches: Vec<WatchKey>,
}

impl Role {
    /// The resource whose objects are the sources.
    pub(crate) const fn resource(self) -> Resource {
        match self {
            Self::Node => Resource::Node,
            Self::Pod => Resource::Pod,
            Self::Service => Resource::Service,
            Self::Endpoints => Resource::Endpoints,
            Self::EndpointSlice => Resource::EndpointSlice,
            Self::Ingress => Resource::Ingress,
        }
    }

    /// What the names of its sources begin with.
    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::Service => "svc",
            role => role.name(),
        }
    }

    fn attaches(self, wanted: AttachMetadata) -> AttachMetadata {
        let of_pods = matches!(self, Self::Pod | Self::Endpoints | Self::EndpointSlice);
        AttachMetadata {
            node: wanted.node && of_pods,
            namespace: wanted.namespace && self != Self::Node,
            deployment: wanted.deployment && of_pods,
            job: wanted.job && of_pods,
            cronjob: wanted.cronjob && of_pods,
        }
    }
}

impl Needs {
    /// What the configuration needs; `own` is the namespace in which rosterd runs.
    pub(crate) fn of(config: &KubernetesConfig, role: Role, own: Option<&str>) -> Self {
        let attach = role.attaches(config.attach_metadata);
        let mut names: Vec<Arc<str>> = Vec::new();
        if role != Role::Node {
            let own = own.filter(|_| config.namespaces.own_namespace);
            for name in config.namespaces.names.iter().map(String::as_str).chain(own) {
                if !names.iter().any(|known| **known == *name) {
                    names.push(name.into());
                }
            }
        }
        let namespaces: Vec<_> = match names.is_empty() {
            true => vec![None],
            false => names.into_iter().map(Some).collect(),
        };
        let part = |namespace: Option<Arc<str>>| Part {
            watches: resources(role, attach).map(|resource| key(config, resource, namespace.clone())).collect(),
            namespace,
        };
        Self { role, attach, parts: namespaces.into_iter().map(part).collect() }
    }
}

impl Part {
    /// What it is called where it cannot be read, and as a source: no object can be called so.
    pub(crate) fn name(&self, role: Role) -> Arc<str> {
        let objects = if self.namespace.is_none() && role != Role::Node { "*/*" } else { "*" };
        format!("{}/{objects}", self.path(role)).into()
    }

    /// What the names of its objects as sources begin with, before a slash.
    pub(crate) fn path(&self, role: Role) -> String {
        let source = role.source();
        self.namespace.as_ref().map_or_else(|| source.to_owned(), |namespace| format!("{source}/{namespace}"))
    }
}

/// The role's own resource, and then what its groups are told besides.
fn resources(role: Role, attach: AttachMetadata) -> impl Iterator<Item = Resource> {
    let by_service = matches!(role, Role::Endpoints | Role::EndpointSlice);
    let all = [
        (true, role.resource()),
        (by_service, Resource::Service),
        (by_service, Resource::Pod),
        (attach.node, Resource::Node),
        (attach.namespace, Resource::Namespace),
        (attach.deployment, Resource::ReplicaSet),
        (attach.cronjob, Resource::Job),
    ];
    all.into_iter().filter_map(|(needed, resource)| needed.then_some(resource))
}

fn key(config: &KubernetesConfig, resource: Resource, namespace: Option<Arc<str>>) -> WatchKey {
    let mut key = WatchKey::all(resource, namespace);
    let selector = config.selectors.iter().find(|selector| selector.role.map(Role::resource) == Some(resource));
    if let Some(selector) = selector {
        (key.label, key.field) = (selector.label.trim().into(), selector.field.trim().into());
    }
    key
}
