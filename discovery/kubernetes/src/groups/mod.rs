//! What an object becomes: a target group, made of it and of what is attached to it. Decisions only: all that is looked at
//! is in stores.

mod backed; // what a pod tells the targets that it stands behind
mod endpoint_slice;
mod endpoints;
mod ingress;
mod labels; // what labels are called
mod node;
mod pod;
mod service;
mod sheet; // labels under construction
#[cfg(test)]
mod tests;

use rosterd_model::{Names, TargetGroup};

use crate::config::{AttachMetadata, Role};
use crate::objects::{Object, Pod};
use crate::resource::Resource;
use crate::store::{Key, World};
use sheet::Sheet;

/// Makes the groups of one role. Kept between groups: its scratch space is used again.
#[derive(Debug)]
pub(crate) struct Maker {
    role: Role,
    attach: AttachMetadata,
    sheet: Sheet,
    names: Names,
}

/// What a group is made in.
struct Making<'m, 's> {
    world: World<'s>,
    attach: AttachMetadata,
    sheet: &'m mut Sheet,
    names: &'m mut Names,
}

impl Maker {
    /// For groups of this role. Of what can be attached, `attach` names what is watched.
    pub(crate) fn new(role: Role, attach: AttachMetadata) -> Self {
        Self { role, attach, sheet: Sheet::default(), names: Names::new() }
    }

    /// Forgets a group that was begun and not ended.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self::new(self.role, self.attach);
    }

    /// The source that an object of the role is.
    pub(crate) fn source(&self, key: &Key) -> Box<str> {
        let Key { namespace, name } = key;
        match self.role {
            Role::Node => format!("{}/{name}", self.role.source()).into(),
            role => format!("{}/{namespace}/{name}", role.source()).into(),
        }
    }

    /// The group of an object; one without targets if there is no such object, or it has none.
    pub(crate) fn group(&mut self, key: &Key, world: World<'_>) -> TargetGroup {
        let source = self.source(key);
        let mut making = Making { world, attach: self.attach, sheet: &mut self.sheet, names: &mut self.names };
        let made = match self.role {
            Role::Node => making.get(key).map(|node| making.node(&node)),
            Role::Pod => making.get(key).map(|pod| making.pod(&pod)),
            Role::Service => making.get(key).map(|service| making.service(&service)),
            Role::Endpoints => making.get(key).map(|endpoints| making.endpoints(&endpoints)),
            Role::EndpointSlice => making.get(key).map(|slice| making.endpoint_slice(&slice)),
            Role::Ingress => making.get(key).map(|ingress| making.ingress(&ingress)),
        };
        finished(source, made.unwrap_or_default())
    }

    /// For pods that are told, and to which nothing is attached.
    pub(crate) fn of_pods() -> Self {
        Self::new(Role::Pod, AttachMetadata::default())
    }

    /// The group of a pod that is told.
    pub(crate) fn pod(&mut self, pod: &Pod<'_>) -> TargetGroup {
        let source = self.source(&Key::new(&pod.meta.namespace, &pod.meta.name));
        let (sheet, names) = (&mut self.sheet, &mut self.names);
        let made = Making { world: World::default(), attach: self.attach, sheet, names }.pod(pod);
        finished(source, made)
    }
}

/// A group with its source, as far as there are targets.
fn finished(source: Box<str>, group: TargetGroup) -> TargetGroup {
    if group.targets.is_empty() { TargetGroup::gone(source) } else { TargetGroup { source, ..group } }
}

impl<'s> Making<'_, 's> {
    fn get<T: Object<'s> + OfResource>(&self, key: &Key) -> Option<T> {
        self.world.get(T::RESOURCE, &key.namespace, &key.name)
    }

    /// Ends a group with these labels and targets.
    fn labels(&mut self) -> rosterd_model::Labels {
        self.sheet.build(self.names)
    }

    /// Adds the namespace, and what is attached of it.
    fn namespace(&mut self, name: &str) {
        self.sheet.set(labels::NAMESPACE, name);
        if self.attach.namespace
            && let Some(namespace) = self.world.namespace(name)
        {
            self.sheet.labels_and_annotations(&labels::OF_NAMESPACE, &namespace.meta);
        }
    }

    /// Adds what is attached of a node.
    fn attach_node(&mut self, name: &str) {
        if self.attach.node
            && let Some(node) = self.world.node(name)
        {
            self.sheet.object(&labels::OF_NODE, &node.meta);
        }
    }
}

/// Where objects of a type are.
trait OfResource {
    const RESOURCE: Resource;
}

macro_rules! of_resource {
    ($($name:ident),*) => {
        $( impl OfResource for crate::objects::$name<'_> {
            const RESOURCE: Resource = Resource::$name;
        } )*
    };
}

of_resource!(Node, Pod, Service, Endpoints, EndpointSlice, Ingress);
