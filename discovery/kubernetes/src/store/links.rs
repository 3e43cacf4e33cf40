//! Which objects refer to another, by a hash of its name. Two names with one hash cost no more than a look at objects that do
//! not refer to it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xxhash_rust::xxh3::Xxh3Default;

use crate::objects::Link;

/// Objects by what they refer to, for the kinds of references that somebody asks for.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// With the place before which all objects are found by it.
    wanted: Vec<(Link, u32)>,
    slots: HashMap<u64, Slots>,
}

/// The slots of objects: mostly one.
#[derive(Debug)]
enum Slots {
    One(u32),
    Many(Vec<u32>),
}

impl Links {
    /// The place from which on objects are not found by this yet.
    pub(super) fn reach(&self, link: Link) -> u32 {
        self.wanted.iter().find(|(wanted, _)| *wanted == link).map_or(0, |(_, reach)| *reach)
    }

    /// Objects before this place are found by it from now on, once they are [added](Self::add); those after it are left out until then.
    pub(super) fn reaches(&mut self, link: Link, place: u32) {
        match self.wanted.iter_mut().find(|(wanted, _)| *wanted == link) {
            Some((_, reach)) => *reach = place,
            None => self.wanted.push((link, place)),
        }
    }

    /// Whether anything is asked for at all.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty()
    }

    /// An object refers to another.
    pub(super) fn add(&mut self, slot: u32, link: Link, namespace: &str, name: &str) {
        if self.reach(link) <= slot {
            return;
        }
        match self.slots.entry(hash(link, namespace, name)) {
            Entry::Vacant(entry) => drop(entry.insert(Slots::One(slot))),
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Slots::One(other) if *other == slot => {}
                Slots::One(other) => *entry.get_mut() = Slots::Many(vec![*other, slot]),
                // An object names what it refers to in one go, so that only the last one can be itself.
                Slots::Many(slots) if slots.last() == Some(&slot) => {}
                Slots::Many(slots) => slots.push(slot),
            },
        }
    }

    /// An object does not refer to another any more.
    pub(super) fn remove(&mut self, slot: u32, link: Link, namespace: &str, name: &str) {
        if self.reach(link) <= slot {
            return;
        }
        let Entry::Occupied(mut entry) = self.slots.entry(hash(link, namespace, name)) else { return };
        let empty = match entry.get_mut() {
            Slots::One(other) => *other == slot,
            Slots::Many(slots) => {
                if let Some(at) = slots.iter().rposition(|other| *other == slot) {
                    slots.swap_remove(at);
                }
                slots.is_empty()
            }
        };
        if empty {
            entry.remove();
        }
    }

    /// The slots of objects that refer to another, and perhaps of some that do not.
    pub(super) fn of(&self, link: Link, namespace: &str, name: &str) -> &[u32] {
        match self.slots.get(&hash(link, namespace, name)) {
            None => &[],
            Some(Slots::One(slot)) => std::slice::from_ref(slot),
            Some(Slots::Many(slots)) => slots,
        }
    }

    /// Forgets all objects, not what is asked for.
    pub(super) fn clear(&mut self) {
        self.wanted.iter_mut().for_each(|(_, reach)| *reach = u32::MAX);
        self.slots.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

fn hash(link: Link, namespace: &str, name: &str) -> u64 {
    let mut hasher = Xxh3Default::new();
    hasher.update(&[link as u8]);
    hasher.update(namespace.as_bytes());
    hasher.update(b"/");
    hasher.update(name.as_bytes());
    hasher.digest()
}
