//! What becomes targets.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A target for each node: its kubelet.
    Node,
    /// A target for each port of each container of each pod.
    Pod,
    /// A target for each port of each service: its name.
    Service,
    /// A target for each address and port behind a service, by its `Endpoints`.
    Endpoints,
    /// The same by its `EndpointSlice`s.
    EndpointSlice,
    /// A target for each path of each ingress.
    Ingress,
}

impl Role {
    pub(crate) const ALL: [Self; 6] =
        [Self::Node, Self::Pod, Self::Service, Self::Endpoints, Self::EndpointSlice, Self::Ingress];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Pod => "pod",
            Self::Service => "service",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslice",
            Self::Ingress => "ingress",
        }
    }

    /// The roles whose objects can be selected with this one.
    pub(super) const fn selectable(self) -> &'static [Self] {
        match self {
            Self::Node => &[Self::Node],
            Self::Pod => &[Self::Pod, Self::Node],
            Self::Service => &[Self::Service],
            Self::Endpoints => &[Self::Pod, Self::Service, Self::Endpoints],
            Self::EndpointSlice => &[Self::Pod, Self::Service, Self::EndpointSlice],
            Self::Ingress => &[Self::Ingress],
        }
    }

    /// Names for people: `a, b or c`.
    pub(super) fn either(roles: &[Self]) -> String {
        match roles {
            [] => String::new(),
            [only] => only.name().to_owned(),
            [most @ .., last] => {
                let most: Vec<_> = most.iter().map(|role| role.name()).collect();
                format!("{} or {}", most.join(", "), last.name())
            }
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| {
            de::Error::custom(format!("{text:?} is no role of Kubernetes: use {}", Self::either(&Self::ALL)))
        })
    }
}
