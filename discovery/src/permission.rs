//! What discovery has to be allowed in an API of Kubernetes.

use std::fmt;
use std::sync::Arc;

/// Objects of one resource, and what is done with them. Its text is a rule of a Role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// What names the cluster, a URL or a file; `None` for the one in which rosterd runs.
    pub cluster: Option<String>,
    /// The namespace; `None` for all, and for what belongs to none.
    pub namespace: Option<Arc<str>>,
    /// The group of the API; empty for the oldest one.
    pub group: &'static str,
    /// The resource, `pods`.
    pub resource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
}

impl Permission {
    /// Whether who has this needs no other for the same: it is for all namespaces.
    pub fn covers(&self, other: &Self) -> bool {
        let everywhere = self.namespace.is_none() || self.namespace == other.namespace;
        everywhere
            && self.cluster == other.cluster
            && (self.group, self.resource, self.verbs) == (other.group, other.resource, other.verbs)
    }
}

/// `{apiGroups: [""], resources: [pods], verbs: [list, watch]}`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verbs, .. } = self;
        write!(f, "{{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{}]}}", verbs.join(", "))
    }
}
