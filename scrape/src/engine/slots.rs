//! The targets of a shard, each at a place of its own, found by their series too.

use super::entry::Entry;
use crate::divided::Divided;

/// How many targets a page has. With one page for all, whoever adds one might move a hundred megabytes.
const PAGE: usize = 1024;

/// The places, in pages, all of which but the last are full.
type Pages = Vec<Vec<Option<Entry>>>;

/// The targets that are scraped, and those that are gone for a short while.
#[derive(Default)]
pub(super) struct Slots {
    pages: Pages,
    free: Vec<u32>,
    /// The places of all of them, by their keys.
    by_key: Divided<u32>,
}

impl Slots {
    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        at(&self.pages, slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.place(slot)?.as_mut()
    }

    /// Gives a target a place.
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.new_place());
        self.put(slot, entry);
        slot
    }

    fn new_place(&mut self) -> u32 {
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::new());
        }
        let before = PAGE * (self.pages.len() - 1);
        let page = self.pages.last_mut().expect("it was made if there was none");
        page.push(None);
        (before + page.len() - 1) as u32
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<Entry>> {
        self.pages.get_mut(slot as usize / PAGE)?.get_mut(slot as usize % PAGE)
    }

    /// Puts a target at a place that is free.
    pub(super) fn put(&mut self, slot: u32, entry: Entry) {
        let key = entry.key;
        *self.place(slot).expect("a place is taken before it is put to use") = Some(entry);
        let Self { pages, by_key, .. } = self;
        by_key.insert(key, slot, |slot| key_at(pages, *slot));
    }

    /// Takes a target from its place, which is to be put to use or released.
    pub(super) fn take(&mut self, slot: u32) -> Option<Entry> {
        let key = self.get(slot)?.key;
        let Self { pages, by_key, .. } = self;
        by_key.remove(key, |known| *known == slot, |slot| key_at(pages, *slot));
        self.place(slot)?.take()
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
        std::mem::take(self).pages.into_iter().flatten().flatten()
    }
}

fn key_at(pages: &Pages, slot: u32) -> u64 {
    at(pages, slot).map_or(0, |entry| entry.key)
}

fn at(pages: &Pages, slot: u32) -> Option<&Entry> {
    pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)?.as_ref()
}
