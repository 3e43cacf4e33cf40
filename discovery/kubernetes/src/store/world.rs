//! Several stores together, as the makers of groups see them.

use super::Store;
use crate::objects::{Job, Namespace, Node, Object, Pod, ReplicaSet, Service};
use crate::resource::Resource;

/// The stores that groups are made of. What is not watched is not there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct World<'s> {
    stores: [Option<&'s Store>; Resource::ALL.len()],
}

impl<'s> World<'s> {
    /// These stores, one for a resource.
    pub(crate) fn of(stores: impl IntoIterator<Item = &'s Store>) -> Self {
        let mut world = Self::default();
        for store in stores {
            world.stores[store.resource() as usize] = Some(store);
        }
        world
    }

    /// The store of a resource.
    pub(crate) fn store(&self, resource: Resource) -> Option<&'s Store> {
        self.stores[resource as usize]
    }

    /// An object of a resource.
    pub(crate) fn get<T: Object<'s>>(&self, resource: Resource, namespace: &str, name: &str) -> Option<T> {
        self.store(resource)?.get(namespace, name)
    }

    pub(crate) fn node(&self, name: &str) -> Option<Node<'s>> {
        self.get(Resource::Node, "", name)
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<Namespace<'s>> {
        self.get(Resource::Namespace, "", name)
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<Pod<'s>> {
        self.get(Resource::Pod, namespace, name)
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<Service<'s>> {
        self.get(Resource::Service, namespace, name)
    }

    pub(crate) fn replica_set(&self, namespace: &str, name: &str) -> Option<ReplicaSet<'s>> {
        self.get(Resource::ReplicaSet, namespace, name)
    }

    pub(crate) fn job(&self, namespace: &str, name: &str) -> Option<Job<'s>> {
        self.get(Resource::Job, namespace, name)
    }
}
