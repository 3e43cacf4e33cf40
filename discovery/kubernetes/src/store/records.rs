//! Records of the objects of one watch.

use std::fmt;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::links::Links;
use super::slot::{HEAD, Name, Slot, THIN};
use super::{Key, StoreError};
use crate::codec::{In, Interner, Out};
use crate::objects::{EndpointSlice, Endpoints, Ingress, Job, Link, Namespace, Node, Object, Pod, ReplicaSet, Service};
use crate::resource::Resource;

/// The objects of one watch. Each is a record of the bytes that targets are made of, and a hash of its content.
///
/// A list is taken in place: [`begin_list`](Self::begin_list), all objects, [`end_list`](Self::end_list). What is as it was is
/// not touched, and what did not come is gone at the end, so that there are never two of them.
///
/// Where nobody looks at an object again, its record can be [thinned](Self::thin): its name and the hash stay, by which is seen that
/// it changed, or is gone.
pub(crate) struct Store {
    resource: Resource,
    slots: Vec<Slot>,
    free: Vec<u32>,
    table: HashTable<u32>,
    /// Texts that whole records have in common.
    interner: Interner,
    /// What the names of thin ones have in common.
    names: Interner,
    links: Links,
    /// The mark of what came with the last list, or since.
    mark: bool,
    /// Whether a list has begun and not ended.
    listing: bool,
    bytes: usize,
    /// How many records are whole.
    whole: usize,
    /// No record before this place is whole, but for those `again`.
    thinned: usize,
    /// The places of records before that one that became whole since, and of others that were so and are not any more.
    again: Vec<u32>,
    scratch: Vec<u8>,
}

/// What an object changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that targets are made of.
    None,
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Removed,
}

/// Calls a generic function with the type of a resource's objects.
macro_rules! with_type {
    ($resource:expr, $name:ident($($argument:expr),* $(,)?)) => {
        match $resource {
            Resource::Node => $name::<Node<'_>>($($argument),*),
            Resource::Namespace => $name::<Namespace<'_>>($($argument),*),
            Resource::Pod => $name::<Pod<'_>>($($argument),*),
            Resource::Service => $name::<Service<'_>>($($argument),*),
            Resource::Endpoints => $name::<Endpoints<'_>>($($argument),*),
            Resource::EndpointSlice => $name::<EndpointSlice<'_>>($($argument),*),
            Resource::Ingress => $name::<Ingress<'_>>($($argument),*),
            Resource::ReplicaSet => $name::<ReplicaSet<'_>>($($argument),*),
            Resource::Job => $name::<Job<'_>>($($argument),*),
        }
    };
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.len(), self.resource)
    }
}

impl Store {
    /// No objects.
    pub(crate) fn new(resource: Resource) -> Self {
        Self {
            resource,
            slots: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            interner: Interner::default(),
            names: Interner::default(),
            links: Links::default(),
            mark: false,
            listing: false,
            bytes: 0,
            whole: 0,
            thinned: 0,
            again: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// No objects any more; what is indexed stays so.
    pub(crate) fn reset(&mut self) {
        let mut links = std::mem::take(&mut self.links);
        links.clear();
        *self = Self { links, ..Self::new(self.resource) };
    }

    /// What its objects are.
    pub(crate) fn resource(&self) -> Resource {
        self.resource
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are objects of which only the names are known, so that no groups can be made of them.
    pub(crate) fn is_thin(&self) -> bool {
        self.whole < self.len()
    }

    /// Whether there are objects of which more is known.
    pub(crate) fn has_whole(&self) -> bool {
        self.whole > 0
    }

    /// Forgets of objects what they are made of: what is left are their names, and hashes by which it is seen that they changed. Looks
    /// at no more than so many of them, and at none that was thin already. Returns whether any is left that is not.
    pub(crate) fn thin(&mut self, most: usize) -> bool {
        if self.whole == 0 {
            return false;
        }
        let mut looks = 0..most;
        while self.whole > 0 && looks.next().is_some() {
            let slot = match self.again.pop() {
                Some(slot) => slot,
                None if self.thinned < self.slots.len() => {
                    self.thinned += 1;
                    self.thinned as u32 - 1
                }
                None => break,
            };
            self.thin_slot(slot);
        }
        if self.whole == 0 {
            // Their names alone have texts in common.
            (self.interner, self.scratch, self.again) = (Interner::default(), Vec::new(), Vec::new());
            self.thinned = self.slots.len();
        }
        self.has_whole()
    }

    fn thin_slot(&mut self, slot: u32) {
        let record = &self.slots[slot as usize];
        if record.is_free() || record.is_thin() {
            return;
        }
        let name = Name::of(record, &self.interner, &self.names).key();
        self.scratch.clear();
        self.scratch.extend_from_slice(&record.bytes()[..HEAD]);
        self.scratch[HEAD - 1] |= THIN;
        Name::put(&name, &mut Out::compact(&mut self.scratch, &mut self.names));
        let record = Slot::of(&self.scratch);
        self.forget(slot);
        self.bytes += record.bytes().len();
        self.slots[slot as usize] = record;
    }

    /// The record at this place has become whole.
    fn became_whole(&mut self, slot: u32) {
        self.whole += 1;
        if slot as usize >= self.thinned {
            return;
        }
        self.again.push(slot);
        if self.again.len() > self.slots.len() {
            // Who thins nothing for so long looks at all of them then.
            (self.thinned, self.again) = (0, Vec::new());
        }
    }

    /// Takes an object as the API server wrote it; `told` is told its key, what it changed, and its version.
    pub(crate) fn take<R>(
        &mut self,
        json: &[u8],
        told: impl FnOnce(Change, &dyn Fn() -> Key, &str) -> R,
    ) -> Result<R, StoreError> {
        let resource = self.resource;
        fn take<'a, T: Object<'a>>(store: &mut Store, json: &'a [u8]) -> Result<(Change, T), serde_json::Error> {
            let object: T = serde_json::from_slice::<T::Json>(json)?.into();
            Ok((if object.meta().name.is_empty() { Change::None } else { store.put(&object) }, object))
        }
        macro_rules! taken {
            ($($name:ident),*) => {
                match resource {
                    $( Resource::$name => {
                        let (change, object) = take::<$name<'_>>(self, json)
                            .map_err(|source| StoreError::Malformed { resource, source })?;
                        let meta = &object.meta();
                        if meta.name.is_empty() {
                            return Err(StoreError::Nameless { resource });
                        }
                        Ok(told(change, &|| Key::new(&meta.namespace, &meta.name), &meta.version))
                    } )*
                }
            };
        }
        taken!(Node, Namespace, Pod, Service, Endpoints, EndpointSlice, Ingress, ReplicaSet, Job)
    }

    fn put<'a, T: Object<'a>>(&mut self, object: &T) -> Change {
        let meta = object.meta();
        self.scratch.clear();
        object.put(&mut Out::plain(&mut self.scratch));
        let content = xxh3_64(&self.scratch);
        let hash = Name::hash_of(&meta.namespace, &meta.name, "");
        let found = self.find(hash, &meta.namespace, &meta.name);
        if let Some(slot) = found
            && self.slots[slot as usize].content() == content
        {
            self.slots[slot as usize].set_mark(self.mark);
            return Change::None;
        }
        self.scratch.clear();
        self.scratch.extend(content.to_le_bytes());
        self.scratch.push(u8::from(self.mark));
        object.put(&mut Out::compact(&mut self.scratch, &mut self.interner));
        let record = Slot::of(&self.scratch);
        self.bytes += record.bytes().len();
        let slot = match found {
            Some(slot) => {
                self.forget(slot);
                self.slots[slot as usize] = record;
                slot
            }
            None => self.enter(hash, record),
        };
        self.became_whole(slot);
        let links = &mut self.links;
        if !links.is_idle() {
            object.links(&mut |link, namespace, name| links.add(slot, link, namespace, name));
            links.add(slot, Link::Namespace, "", &meta.namespace);
        }
        if found.is_some() { Change::Changed } else { Change::Added }
    }

    fn enter(&mut self, hash: u64, record: Slot) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = record;
                slot
            }
            None => {
                self.slots.push(record);
                u32::try_from(self.slots.len() - 1).expect("a cluster has fewer than 2^32 objects of a kind")
            }
        };
        let (slots, interner, names) = (&self.slots, &self.interner, &self.names);
        self.table.insert_unique(hash, slot, |slot| Name::of(&slots[*slot as usize], interner, names).hash());
        slot
    }

    /// An object is gone.
    pub(crate) fn remove(&mut self, namespace: &str, name: &str) -> Change {
        let hash = Name::hash_of(namespace, name, "");
        let Some(slot) = self.find(hash, namespace, name) else { return Change::None };
        self.drop_slot(hash, slot);
        Change::Removed
    }

    fn drop_slot(&mut self, hash: u64, slot: u32) {
        self.forget(slot);
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.slots[slot as usize] = Slot::Free;
        self.free.push(slot);
    }

    /// Forgets what a record refers to and shares; it is about to be replaced.
    fn forget(&mut self, slot: u32) {
        fn forget<'a, T: Object<'a>>(
            record: &'a [u8],
            interner: &'a Interner,
            links: &mut Links,
            slot: u32,
        ) -> Vec<u32> {
            let mut from = In::noting(&record[HEAD..], interner);
            let Some(object) = T::take(&mut from) else { return Vec::new() };
            if !links.is_idle() {
                object.links(&mut |link, namespace, name| links.remove(slot, link, namespace, name));
                links.remove(slot, Link::Namespace, "", &object.meta().namespace);
            }
            from.used()
        }
        let record = &self.slots[slot as usize];
        self.bytes -= record.bytes().len();
        if record.is_thin() {
            let used = Name::texts(record, &self.names);
            return self.names.release(&used);
        }
        self.whole -= 1;
        let used = with_type!(self.resource, forget(record.bytes(), &self.interner, &mut self.links, slot));
        self.interner.release(&used);
    }

    /// A list begins: what does not come until it ends is gone then.
    pub(crate) fn begin_list(&mut self) {
        if std::mem::replace(&mut self.listing, true) {
            // The one before did not end: what it left behind does not have its mark, which all that is there has to have.
            for slot in &mut self.slots {
                slot.set_mark(self.mark);
            }
        }
        self.mark = !self.mark;
    }

    /// The list has ended; `gone` is told of what did not come.
    pub(crate) fn end_list(&mut self, mut gone: impl FnMut(Key)) {
        self.listing = false;
        let left: Vec<u32> = (0..self.slots.len() as u32)
            .filter(|slot| self.slots[*slot as usize].mark().is_some_and(|mark| mark != self.mark))
            .collect();
        for slot in left {
            let name = Name::of(&self.slots[slot as usize], &self.interner, &self.names);
            let (hash, key) = (name.hash(), name.key());
            self.drop_slot(hash, slot);
            gone(key);
        }
        self.slots.shrink_to(self.slots.len());
    }

    /// Whether an object is there.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.find(Name::hash_of(&key.namespace, &key.name, ""), &key.namespace, &key.name).is_some()
    }

    /// An object, if it is there.
    pub(crate) fn get<'a, T: Object<'a>>(&'a self, namespace: &str, name: &str) -> Option<T> {
        let slot = self.find(Name::hash_of(namespace, name, ""), namespace, name)?;
        let record = &self.slots[slot as usize];
        debug_assert!(!record.is_thin(), "{namespace}/{name} is looked at again");
        T::take(&mut In::new(&record.bytes()[HEAD..], &self.interner))
    }

    /// The names of all objects, in one namespace or in all.
    #[cfg(test)]
    pub(crate) fn keys(&self, namespace: Option<&str>) -> impl Iterator<Item = Key> {
        self.keys_from(0, namespace).map(|(_, key)| key)
    }

    /// The names of objects from a place on, in one namespace or in all, each with the place after it. Who goes on later from there
    /// has met each object that was there all the time.
    pub(crate) fn keys_from(&self, place: usize, namespace: Option<&str>) -> impl Iterator<Item = (usize, Key)> {
        let records = self.slots.iter().enumerate().skip(place).filter(|(_, record)| !record.is_free());
        let names = records.map(|(slot, record)| (slot + 1, Name::of(record, &self.interner, &self.names)));
        let wanted = names.filter(move |(_, name)| namespace.is_none_or(|namespace| name.is_in(namespace)));
        wanted.map(|(next, name)| (next, name.key()))
    }

    /// Makes objects findable by what they refer to: of those that were there before no more than so many at once. Returns whether
    /// there are more; until then not all are found.
    pub(crate) fn index(&mut self, link: Link, most: usize) -> bool {
        fn index<'a, T: Object<'a>>(
            record: &'a [u8],
            interner: &'a Interner,
            wanted: Link,
            add: &mut dyn FnMut(Link, &str, &str),
        ) {
            let Some(object) = T::take(&mut In::new(&record[HEAD..], interner)) else { return };
            object.links(&mut |link, namespace, name| {
                if link == wanted {
                    add(link, namespace, name);
                }
            });
            if wanted == Link::Namespace {
                add(wanted, "", &object.meta().namespace);
            }
        }
        let from = self.links.reach(link) as usize;
        let to = from.saturating_add(most).min(self.slots.len());
        if from >= to {
            self.links.reaches(link, u32::MAX);
            return false;
        }
        self.links.reaches(link, to as u32);
        for slot in from..to {
            let (record, links) = (&self.slots[slot], &mut self.links);
            if !record.is_free() && !record.is_thin() {
                let mut add = |link, namespace: &str, name: &str| links.add(slot as u32, link, namespace, name);
                with_type!(self.resource, index(record.bytes(), &self.interner, link, &mut add));
            }
        }
        true
    }

    /// Whether all objects are found by what they refer to.
    pub(crate) fn is_indexed(&self, link: Link) -> bool {
        self.links.reach(link) == u32::MAX
    }

    /// The names of objects that refer to another, by an [index](Self::index); perhaps some that do not.
    pub(crate) fn by(&self, link: Link, namespace: &str, name: &str) -> impl Iterator<Item = Key> {
        let slots = self.links.of(link, namespace, name).iter();
        slots.map(|slot| Name::of(&self.slots[*slot as usize], &self.interner, &self.names).key())
    }

    fn find(&self, hash: u64, namespace: &str, name: &str) -> Option<u32> {
        let name_of = |slot: &u32| Name::of(&self.slots[*slot as usize], &self.interner, &self.names);
        self.table.find(hash, |slot| name_of(slot).is(namespace, name)).copied()
    }

    #[cfg(test)]
    pub(super) fn leftovers(&self) -> (usize, usize) {
        (self.interner.len(), self.links.len())
    }

    #[cfg(test)]
    pub(super) fn names_in_common(&self) -> usize {
        self.names.len()
    }
}
