//! Objects of the API, as far as targets are made of them: read in place from their JSON or from a record, and nothing else
//! of them is ever built.

mod endpoint_slice;
mod endpoints;
mod ingress;
mod json;
mod meta;
mod node;
mod owned;
mod pod;
mod port;
mod service;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::codec::Field;

pub(crate) use endpoint_slice::{EndpointSlice, SliceEndpoint, SlicePort};
pub(crate) use endpoints::{Address, Endpoints, Reference};
pub(crate) use ingress::{Ingress, Rule};
pub(crate) use json::{List, Map};
pub(crate) use meta::{Meta, Owner};
pub(crate) use node::{Namespace, Node};
pub(crate) use owned::{Job, ReplicaSet};
pub(crate) use pod::{Container, ContainerPort, Pod, PodJson};
pub(crate) use port::Port;
pub(crate) use service::Service;

/// What can be asked of every object.
pub(crate) trait Object<'a>: Field<'a> {
    /// As the API server writes it.
    type Json: Deserialize<'a> + Into<Self>;

    /// Name, namespace, labels and annotations.
    fn meta(&self) -> &Meta<'a>;

    /// Names the objects that groups made of this one depend on.
    fn links(&self, _each: &mut dyn FnMut(Link, &str, &str)) {}
}

/// How an object refers to another: by which of these it can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Link {
    /// The namespace that it is in.
    Namespace,
    /// The node that it runs on, or that one of its endpoints does.
    Node,
    /// A pod behind it.
    Pod,
    /// The service that it belongs to.
    Service,
    /// The replica set that made it.
    ReplicaSet,
    /// The job that made it.
    Job,
}
