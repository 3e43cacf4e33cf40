//! The targets of a shard, each at a place of its own, found by their series too.

use hashbrown::HashTable;

use super::entry::Entry;

/// The targets that are scraped, and those that are gone for a short while.
#[derive(Default)]
pub(super) struct Slots {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// The places of all of them, by their keys.
    by_key: HashTable<u32>,
}

impl Slots {
    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// Gives a target a place.
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as u32
        });
        self.put(slot, entry);
        slot
    }

    /// Puts a target at a place that is free.
    pub(super) fn put(&mut self, slot: u32, entry: Entry) {
        let key = entry.key;
        self.entries[slot as usize] = Some(entry);
        let Self { entries, by_key, .. } = self;
        by_key.insert_unique(key, slot, |slot| key_at(entries, *slot));
    }

    /// Takes a target from its place, which is to be put to use or released.
    pub(super) fn take(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        if let Ok(place) = self.by_key.find_entry(entry.key, |known| *known == slot) {
            place.remove();
        }
        Some(entry)
    }

    /// Makes a place free.
    pub(super) fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// The places of the targets whose series have these labels.
    pub(super) fn of_key(&self, key: u64) -> impl Iterator<Item = (u32, &Entry)> {
        let places = self.by_key.iter_hash(key).filter_map(|slot| Some((*slot, self.get(*slot)?)));
        places.filter(move |(_, entry)| entry.key == key)
    }

    /// Takes all targets.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(self).entries.into_iter().flatten()
    }
}

fn key_at(entries: &[Option<Entry>], slot: u32) -> u64 {
    entries[slot as usize].as_ref().map_or(0, |entry| entry.key)
}
