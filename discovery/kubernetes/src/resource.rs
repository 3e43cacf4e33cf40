//! What is watched: resources of the API, where they are found, and what one watch covers.

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rosterd_discovery::Permission;

/// A resource that targets are made of. Stores are locked in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Resource {
    Node,
    Namespace,
    Pod,
    Service,
    Endpoints,
    EndpointSlice,
    Ingress,
    ReplicaSet,
    Job,
}

impl Resource {
    pub(crate) const ALL: [Self; 9] = [
        Self::Node,
        Self::Namespace,
        Self::Pod,
        Self::Service,
        Self::Endpoints,
        Self::EndpointSlice,
        Self::Ingress,
        Self::ReplicaSet,
        Self::Job,
    ];

    /// As it stands in paths and roles.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Namespace => "namespaces",
            Self::Pod => "pods",
            Self::Service => "services",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslices",
            Self::Ingress => "ingresses",
            Self::ReplicaSet => "replicasets",
            Self::Job => "jobs",
        }
    }

    /// The group of the API; empty for the oldest one.
    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::Node | Self::Namespace | Self::Pod | Self::Service | Self::Endpoints => "",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::Ingress => "networking.k8s.io",
            Self::ReplicaSet => "apps",
            Self::Job => "batch",
        }
    }

    /// Whether its objects belong to namespaces.
    pub(crate) const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace)
    }

    /// Where its group and version are.
    fn root(self) -> String {
        match self.group() {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural())
    }
}

/// What one watch covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WatchKey {
    pub(crate) resource: Resource,
    /// The namespace; `None` for all, and for what belongs to none.
    pub(crate) namespace: Option<Arc<str>>,
    /// A label selector; empty for all objects.
    pub(crate) label: Arc<str>,
    /// A field selector; empty for all objects.
    pub(crate) field: Arc<str>,
}

/// What stays as it is in a parameter. The rest is escaped, more than has to be.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl WatchKey {
    /// All objects of a resource, in one namespace or wherever they are.
    pub(crate) fn all(resource: Resource, namespace: Option<Arc<str>>) -> Self {
        let namespace = namespace.filter(|_| resource.is_namespaced());
        Self { resource, namespace, label: "".into(), field: "".into() }
    }

    /// The path and the parameters that select; `parameters` stand before them.
    pub(crate) fn path(&self, parameters: &[(&str, &str)]) -> String {
        let root = self.resource.root();
        let mut path = match &self.namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.resource),
            None => format!("{root}/{}", self.resource),
        };
        let selectors = [("labelSelector", &*self.label), ("fieldSelector", &*self.field)];
        let all = parameters.iter().chain(&selectors).filter(|(_, value)| !value.is_empty());
        for (index, (name, value)) in all.enumerate() {
            path.push(if index == 0 { '?' } else { '&' });
            path.push_str(name);
            path.push('=');
            path.extend(utf8_percent_encode(value, PLAIN));
        }
        path
    }

    /// What has to be allowed for it, in whichever cluster.
    pub(crate) fn permission(&self) -> Permission {
        let (group, resource) = (self.resource.group(), self.resource.plural());
        Permission { cluster: None, namespace: self.namespace.clone(), group, resource, verbs: &["list", "watch"] }
    }

    /// The same in all namespaces: what covers this, if it is of one.
    pub(crate) fn everywhere(&self) -> Option<Self> {
        self.namespace.is_some().then(|| Self { namespace: None, ..self.clone() })
    }

    /// Whether all that the other covers is a part of this: the same objects, in all namespaces or in the same.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let everywhere = self.namespace.is_none() || self.namespace == other.namespace;
        everywhere && (self.resource, &self.label, &self.field) == (other.resource, &other.label, &other.field)
    }
}

/// `pods`, `pods in a`, `pods in a where app=b`.
impl fmt::Display for WatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.resource)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in {namespace}")?;
        }
        let selectors = [&*self.label, &*self.field].into_iter().filter(|selector| !selector.is_empty());
        for (index, selector) in selectors.enumerate() {
            write!(f, "{} {selector}", if index == 0 { " where" } else { " and" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let path = |resource, namespace: Option<&str>| WatchKey::all(resource, namespace.map(Arc::from)).path(&[]);
        assert_eq!(path(Resource::Pod, None), "/api/v1/pods");
        assert_eq!(path(Resource::Pod, Some("a")), "/api/v1/namespaces/a/pods");
        assert_eq!(path(Resource::Node, Some("a")), "/api/v1/nodes");
        assert_eq!(path(Resource::Namespace, Some("a")), "/api/v1/namespaces");
        assert_eq!(path(Resource::Endpoints, None), "/api/v1/endpoints");
        assert_eq!(path(Resource::EndpointSlice, None), "/apis/discovery.k8s.io/v1/endpointslices");
        assert_eq!(path(Resource::Ingress, Some("a")), "/apis/networking.k8s.io/v1/namespaces/a/ingresses");
        assert_eq!(path(Resource::ReplicaSet, None), "/apis/apps/v1/replicasets");
        assert_eq!(path(Resource::Job, None), "/apis/batch/v1/jobs");
    }

    #[test]
    fn parameters_are_escaped() {
        let key = WatchKey {
            label: "app in (a,b)".into(),
            field: "status.phase!=Running".into(),
            ..WatchKey::all(Resource::Pod, None)
        };
        let path = key.path(&[("watch", "1"), ("continue", "")]);
        let selectors = "labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=status.phase%21%3DRunning";
        assert_eq!(path, format!("/api/v1/pods?watch=1&{selectors}"));
        assert_eq!(key.to_string(), "pods where app in (a,b) and status.phase!=Running");
    }

    #[test]
    fn a_wider_watch_covers_a_narrower_one() {
        let all = WatchKey::all(Resource::Pod, None);
        let one = WatchKey::all(Resource::Pod, Some("a".into()));
        let selected = WatchKey { label: "a=b".into(), ..all.clone() };
        let selected_in_one = WatchKey { label: "a=b".into(), ..one.clone() };
        for (wide, narrow, covers) in [
            (&all, &one, true),
            (&one, &all, false),
            (&all, &selected, false),
            (&selected, &selected_in_one, true),
            (&selected, &all, false),
            (&all, &WatchKey::all(Resource::Service, None), false),
        ] {
            assert_eq!(wide.covers(narrow), covers, "{wide} and {narrow}");
        }
        assert_eq!([&one, &selected_in_one].map(WatchKey::everywhere), [Some(all.clone()), Some(selected)]);
        assert_eq!(all.everywhere(), None);
    }
}
