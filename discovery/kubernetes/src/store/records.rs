//! Records of the objects of one watch.

use std::fmt;

use hashbrown::HashTable;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::links::Links;
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
    interner: Interner,
    links: Links,
    /// The mark of what came with the last list, or since.
    mark: bool,
    bytes: usize,
    /// How many records are whole.
    whole: usize,
    scratch: Vec<u8>,
}

/// Head and fields of a record; none at all where the slot is free.
type Slot = Box<[u8]>;

/// The hash of the content, and a byte of what follows.
const HEAD: usize = 9;
/// Came with the list whose mark is set, or since.
const MARKED: u8 = 1;
/// There is nothing but the name.
const THIN: u8 = 2;

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
            links: Links::default(),
            mark: false,
            bytes: 0,
            whole: 0,
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

    /// Forgets of all objects what they are made of: what is left are their names, and hashes by which it is seen that they changed.
    pub(crate) fn thin(&mut self) {
        if self.whole == 0 {
            return;
        }
        for slot in 0..self.slots.len() as u32 {
            let record = &self.slots[slot as usize];
            if record.is_empty() || is_thin(record) {
                continue;
            }
            let (namespace, name) = name_of(record, &self.interner);
            self.scratch.clear();
            self.scratch.extend_from_slice(&record[..HEAD]);
            self.scratch[HEAD - 1] |= THIN;
            let mut out = Out::plain(&mut self.scratch);
            out.own(&namespace);
            out.own(&name);
            let record: Slot = self.scratch.as_slice().into();
            self.forget(slot);
            self.bytes += record.len();
            self.slots[slot as usize] = record;
        }
        // None of them refers to a text that others have.
        (self.interner, self.scratch) = (Interner::default(), Vec::new());
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
        let hash = hash_of(&meta.namespace, &meta.name);
        let found = self.find(hash, &meta.namespace, &meta.name);
        if let Some(slot) = found
            && content_of(&self.slots[slot as usize]) == content
        {
            set_mark(&mut self.slots[slot as usize], self.mark);
            return Change::None;
        }
        self.scratch.clear();
        self.scratch.extend(content.to_le_bytes());
        self.scratch.push(u8::from(self.mark));
        object.put(&mut Out::compact(&mut self.scratch, &mut self.interner));
        let record: Slot = self.scratch.as_slice().into();
        self.bytes += record.len();
        self.whole += 1;
        let slot = match found {
            Some(slot) => {
                self.forget(slot);
                self.slots[slot as usize] = record;
                slot
            }
            None => self.enter(hash, record),
        };
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
        let (slots, interner) = (&self.slots, &self.interner);
        self.table.insert_unique(hash, slot, |slot| {
            let (namespace, name) = name_of(&slots[*slot as usize], interner);
            hash_of(&namespace, &name)
        });
        slot
    }

    /// An object is gone.
    pub(crate) fn remove(&mut self, namespace: &str, name: &str) -> Change {
        let hash = hash_of(namespace, name);
        let Some(slot) = self.find(hash, namespace, name) else { return Change::None };
        self.drop_slot(hash, slot);
        Change::Removed
    }

    fn drop_slot(&mut self, hash: u64, slot: u32) {
        self.forget(slot);
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.slots[slot as usize] = Box::default();
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
        self.bytes -= record.len();
        if is_thin(record) {
            return;
        }
        self.whole -= 1;
        let used = with_type!(self.resource, forget(record, &self.interner, &mut self.links, slot));
        self.interner.release(&used);
    }

    /// A list begins: what does not come until it ends is gone then.
    pub(crate) fn begin_list(&mut self) {
        // What a list left behind that did not end is marked as those of it were: all that is there has to have the other.
        for slot in &mut self.slots {
            set_mark(slot, self.mark);
        }
        self.mark = !self.mark;
    }

    /// The list has ended; `gone` is told of what did not come.
    pub(crate) fn end_list(&mut self, mut gone: impl FnMut(Key)) {
        let mark = u8::from(self.mark);
        let left: Vec<u32> = (0..self.slots.len() as u32)
            .filter(|slot| self.slots[*slot as usize].get(HEAD - 1).is_some_and(|flags| flags & MARKED != mark))
            .collect();
        for slot in left {
            let (namespace, name) = name_of(&self.slots[slot as usize], &self.interner);
            let key = Key::new(&namespace, &name);
            self.drop_slot(hash_of(&key.namespace, &key.name), slot);
            gone(key);
        }
        self.slots.shrink_to(self.slots.len());
    }

    /// Whether an object is there.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.find(hash_of(&key.namespace, &key.name), &key.namespace, &key.name).is_some()
    }

    /// An object, if it is there.
    pub(crate) fn get<'a, T: Object<'a>>(&'a self, namespace: &str, name: &str) -> Option<T> {
        let slot = self.find(hash_of(namespace, name), namespace, name)?;
        let record = &self.slots[slot as usize];
        debug_assert!(!is_thin(record), "{namespace}/{name} is looked at again");
        T::take(&mut In::new(&record[HEAD..], &self.interner))
    }

    /// The names of all objects, in one namespace or in all.
    #[cfg(test)]
    pub(crate) fn keys(&self, namespace: Option<&str>) -> impl Iterator<Item = Key> {
        self.keys_from(0, namespace).map(|(_, key)| key)
    }

    /// The names of objects from a place on, in one namespace or in all, each with the place after it. Who goes on later from there
    /// has met each object that was there all the time.
    pub(crate) fn keys_from(&self, place: usize, namespace: Option<&str>) -> impl Iterator<Item = (usize, Key)> {
        let records = self.slots.iter().enumerate().skip(place).filter(|(_, record)| !record.is_empty());
        let names = records.map(|(slot, record)| (slot + 1, name_of(record, &self.interner)));
        let wanted = names.filter(move |(_, (of, _))| namespace.is_none_or(|namespace| **of == *namespace));
        wanted.map(|(next, (namespace, name))| (next, Key::new(&namespace, &name)))
    }

    /// Makes objects findable by what they refer to.
    pub(crate) fn index(&mut self, link: Link) {
        if self.links.has(link) {
            return;
        }
        fn index<'a, T: Object<'a>>(record: &'a [u8], interner: &'a Interner, links: &mut Links, slot: u32) {
            let Some(object) = T::take(&mut In::new(&record[HEAD..], interner)) else { return };
            object.links(&mut |link, namespace, name| links.add(slot, link, namespace, name));
            links.add(slot, Link::Namespace, "", &object.meta().namespace);
        }
        self.links.want(link);
        self.links.clear();
        for slot in &self.table {
            let record = &self.slots[*slot as usize];
            with_type!(self.resource, index(record, &self.interner, &mut self.links, *slot));
        }
    }

    /// The names of objects that refer to another, by an [index](Self::index); perhaps some that do not.
    pub(crate) fn by(&self, link: Link, namespace: &str, name: &str) -> impl Iterator<Item = Key> {
        self.links.of(link, namespace, name).iter().map(|slot| {
            let (namespace, name) = name_of(&self.slots[*slot as usize], &self.interner);
            Key::new(&namespace, &name)
        })
    }

    fn find(&self, hash: u64, namespace: &str, name: &str) -> Option<u32> {
        let is_it = |slot: &u32| {
            let (of, called) = name_of(&self.slots[*slot as usize], &self.interner);
            *of == *namespace && *called == *name
        };
        self.table.find(hash, is_it).copied()
    }

    #[cfg(test)]
    pub(super) fn leftovers(&self) -> (usize, usize) {
        (self.interner.len(), self.links.len())
    }
}

fn hash_of(namespace: &str, name: &str) -> u64 {
    let mut hasher = Xxh3Default::new();
    hasher.update(namespace.as_bytes());
    hasher.update(b"/");
    hasher.update(name.as_bytes());
    hasher.digest()
}

fn is_thin(record: &[u8]) -> bool {
    record.get(HEAD - 1).is_some_and(|flags| flags & THIN != 0)
}

/// Marks a record; a free slot has no mark.
fn set_mark(record: &mut [u8], mark: bool) {
    if let Some(flags) = record.get_mut(HEAD - 1) {
        *flags = *flags & !MARKED | u8::from(mark);
    }
}

fn content_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |hash| u64::from_le_bytes(*hash))
}

/// The namespace and the name that a record begins with.
fn name_of<'a>(record: &'a [u8], interner: &'a Interner) -> (crate::codec::Str<'a>, crate::codec::Str<'a>) {
    let mut from = In::new(record.get(HEAD..).unwrap_or_default(), interner);
    (from.text().unwrap_or_default(), from.text().unwrap_or_default())
}
