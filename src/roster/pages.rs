//! The targets of one job, deduplicated, in pages by the hash of their labels. A snapshot shares its pages with the
//! next one, so a change copies the pages it touches and nothing else. Pure.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rosterd_model::Labels;

use crate::publish::encode::{self, Fragment};

/// A page is split in two, with all others, when pages hold more than this many targets on average.
const TARGETS_PER_PAGE: usize = 256;

/// A target and how many entries of target groups it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The final labels.
    pub labels: Labels,
    /// How many entries came out as these labels; more than one is a duplicate.
    pub origins: u32,
    /// How many of these are held.
    held: u32,
    /// The hash of the labels, here so that a search does not follow a pointer at each step.
    fingerprint: u64,
}

impl Slot {
    /// Whether the target is held: no source says now that it should be there.
    pub fn is_held(&self) -> bool {
        self.held == self.origins
    }
}

/// What became of a target when one of its entries came, went, or was held or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is held from now on.
    Held,
    /// It is held no longer.
    Released,
}

/// Some targets of a job, sorted by the hash of their labels.
#[derive(Default)]
pub struct Page {
    slots: Vec<Slot>,
    gzip: OnceLock<Fragment>,
    zstd: OnceLock<Fragment>,
}

impl Page {
    /// The targets.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Appends its targets as they are published, as JSON objects with commas between them.
    pub fn json(&self, text: &mut Vec<u8>) {
        encode::json(self.slots.iter().map(|slot| &slot.labels), text);
    }

    /// The same as a piece of a gzip stream; made by the first who asks.
    pub fn gzip(&self) -> &Fragment {
        self.gzip.get_or_init(|| encode::deflate(&self.text()))
    }

    /// The same as a zstd frame; made by the first who asks.
    pub fn zstd(&self) -> &Fragment {
        self.zstd.get_or_init(|| encode::zstd(&self.text()))
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.json(&mut text);
        text
    }

    fn new(slots: Vec<Slot>) -> Self {
        Self { slots, ..Self::default() }
    }

    fn find(&self, labels: &Labels) -> Result<usize, usize> {
        let fingerprint = labels.fingerprint();
        let mut index = self.slots.partition_point(|slot| slot.fingerprint < fingerprint);
        while let Some(slot) = self.slots.get(index).filter(|slot| slot.fingerprint == fingerprint) {
            if slot.labels == *labels {
                return Ok(index);
            }
            index += 1;
        }
        Err(index)
    }
}

/// A copy starts without encoded forms: it is about to change.
impl Clone for Page {
    fn clone(&self) -> Self {
        Self::new(self.slots.clone())
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.slots).finish()
    }
}

/// The deduplicated targets of a job.
#[derive(Debug, Clone)]
pub struct Pages {
    pages: Vec<Arc<Page>>,
    targets: usize,
    duplicates: usize,
    held: usize,
    revision: u128,
}

impl Default for Pages {
    fn default() -> Self {
        Self { pages: vec![Arc::default()], targets: 0, duplicates: 0, held: 0, revision: 0 }
    }
}

impl Pages {
    /// How many distinct targets there are.
    pub fn len(&self) -> usize {
        self.targets
    }

    /// Whether there are no targets.
    pub fn is_empty(&self) -> bool {
        self.targets == 0
    }

    /// How many entries came out as a target that was there already.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// How many targets are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// A hash of all targets, whatever their order and history: equal lists have equal revisions, also after a restart.
    pub fn revision(&self) -> u128 {
        self.revision
    }

    /// The pages, in the order of the hash.
    pub fn pages(&self) -> &[Arc<Page>] {
        &self.pages
    }

    /// The slot of a target.
    pub fn get(&self, labels: &Labels) -> Option<&Slot> {
        find(&self.pages, labels)
    }

    /// Adds an entry that came out as `labels`. Returns the labels that all entries of this target share, and what became
    /// of the target.
    pub fn add(&mut self, labels: Labels, held: bool) -> (Labels, Option<Turn>) {
        let at = page_of(self.pages.len(), &labels);
        match self.pages[at].find(&labels) {
            Ok(index) => {
                self.duplicates += 1;
                let turn = self.count(at, index, |slot| {
                    slot.origins += 1;
                    slot.held += u32::from(held);
                });
                (self.pages[at].slots[index].labels.clone(), turn)
            }
            Err(index) => {
                let fingerprint = labels.fingerprint();
                let slot = Slot { fingerprint, labels: labels.clone(), origins: 1, held: u32::from(held) };
                self.page_mut(at).slots.insert(index, slot);
                self.targets += 1;
                self.held += usize::from(held);
                self.revision = self.revision.wrapping_add(digest(&labels));
                if self.targets > self.pages.len() * TARGETS_PER_PAGE {
                    self.split();
                }
                (labels, Some(Turn::Added))
            }
        }
    }

    /// Takes one entry of a target away, which was held or not. Returns what became of the target.
    pub fn remove(&mut self, labels: &Labels, held: bool) -> Option<Turn> {
        let at = page_of(self.pages.len(), labels);
        let index = self.pages[at].find(labels).ok()?;
        if self.pages[at].slots[index].origins > 1 {
            self.duplicates -= 1;
            return self.count(at, index, |slot| {
                slot.origins -= 1;
                slot.held -= u32::from(held);
            });
        }
        self.page_mut(at).slots.remove(index);
        self.targets -= 1;
        self.held -= usize::from(held);
        self.revision = self.revision.wrapping_sub(digest(labels));
        Some(Turn::Removed)
    }

    /// Takes one entry of a target as held, or as held no longer. Returns what became of the target.
    pub fn mark(&mut self, labels: &Labels, held: bool) -> Option<Turn> {
        let at = page_of(self.pages.len(), labels);
        let index = self.pages[at].find(labels).ok()?;
        self.count(at, index, |slot| if held { slot.held += 1 } else { slot.held -= 1 })
    }

    /// Counts entries of a target.
    fn count(&mut self, at: usize, index: usize, change: impl FnOnce(&mut Slot)) -> Option<Turn> {
        let slot = &mut self.page_mut(at).slots[index];
        let before = slot.is_held();
        change(slot);
        match (before, slot.is_held()) {
            (false, true) => {
                self.held += 1;
                Some(Turn::Held)
            }
            (true, false) => {
                self.held -= 1;
                Some(Turn::Released)
            }
            _ => None,
        }
    }

    /// The page, not shared with a snapshot any more and without its encoded form.
    fn page_mut(&mut self, at: usize) -> &mut Page {
        let page = Arc::make_mut(&mut self.pages[at]);
        page.gzip.take();
        page.zstd.take();
        page
    }

    fn split(&mut self) {
        let middle_bit = 63 - self.pages.len().trailing_zeros();
        let halves = self.pages.drain(..).flat_map(|page| {
            let slots = Arc::try_unwrap(page).map_or_else(|shared| shared.slots.clone(), |page| page.slots);
            let (low, high): (Vec<_>, Vec<_>) =
                slots.into_iter().partition(|slot| slot.fingerprint >> middle_bit & 1 == 0);
            [low, high].map(|slots| Arc::new(Page::new(slots)))
        });
        self.pages = halves.collect();
    }
}

/// The slot of a target among these pages of a job.
pub(super) fn find<'a>(pages: &'a [Arc<Page>], labels: &Labels) -> Option<&'a Slot> {
    let page = pages.get(page_of(pages.len(), labels))?;
    page.find(labels).ok().map(|index| &page.slots[index])
}

/// Pages are a power of two; the first bits of the hash choose one.
fn page_of(pages: usize, labels: &Labels) -> usize {
    // A shift by all 64 bits, where there is one page, has to give 0.
    labels.fingerprint().checked_shr(64 - pages.trailing_zeros()).unwrap_or(0) as usize
}

/// A target's share of the revision.
fn digest(labels: &Labels) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&labels.fingerprint().to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(number: usize) -> Labels {
        [("__address__", format!("h:{number}"))].into_iter().collect()
    }

    #[test]
    fn targets_survive_splits_and_are_found() {
        let mut pages = Pages::default();
        for number in 0..5_000 {
            assert_eq!(pages.add(labels(number), false).1, Some(Turn::Added));
        }
        assert!(pages.pages().len() > 10);
        assert!((0..5_000).all(|number| pages.get(&labels(number)).is_some()));
        for number in 0..5_000 {
            assert_eq!(pages.remove(&labels(number), false), Some(Turn::Removed));
        }
        assert_eq!((pages.len(), pages.revision()), (0, 0));
    }

    #[test]
    fn a_duplicate_is_counted_and_the_last_origin_removes() {
        let mut pages = Pages::default();
        let (first, new) = pages.add(labels(1), false);
        let (second, again) = pages.add(labels(1), false);
        assert!((new, again) == (Some(Turn::Added), None) && first == second);
        assert_eq!((pages.len(), pages.duplicates(), pages.get(&first).map(|slot| slot.origins)), (1, 1, Some(2)));
        let removed = [(); 3].map(|()| pages.remove(&labels(1), false));
        assert_eq!(removed, [None, Some(Turn::Removed), None]);
    }

    #[test]
    fn a_target_is_held_while_all_its_entries_are() {
        let mut pages = Pages::default();
        let one = labels(1);
        let turns = [
            pages.add(one.clone(), true).1,
            pages.add(one.clone(), true).1,
            pages.mark(&one, false),
            pages.mark(&one, true),
            pages.add(one.clone(), false).1,
            pages.remove(&one, false),
            pages.remove(&one, true),
        ];
        use Turn::{Added, Held, Released};
        assert_eq!(turns, [Some(Added), None, Some(Released), Some(Held), Some(Released), Some(Held), None]);
        assert_eq!((pages.held(), pages.duplicates(), pages.get(&one).map(Slot::is_held)), (1, 0, Some(true)));
        assert_eq!((pages.remove(&one, true), pages.held()), (Some(Turn::Removed), 0));
    }

    #[test]
    fn the_revision_forgets_order_and_history() {
        let mut one = Pages::default();
        let mut two = Pages::default();
        (0..1000).for_each(|number| drop(one.add(labels(number), false)));
        (0..2000).rev().for_each(|number| drop(two.add(labels(number), false)));
        assert_ne!(one.revision(), two.revision());
        assert!((1000..2000).all(|number| two.remove(&labels(number), false).is_some()));
        assert_eq!(one.revision(), two.revision());
    }

    #[test]
    fn a_snapshot_does_not_move_and_shares_what_did_not_change() {
        let mut pages = Pages::default();
        (0..5_000).for_each(|number| drop(pages.add(labels(number), false)));
        let snapshot = pages.clone();
        pages.remove(&labels(7), false);
        assert!(snapshot.get(&labels(7)).is_some() && pages.get(&labels(7)).is_none());
        let shared = snapshot.pages().iter().zip(pages.pages()).filter(|(old, new)| Arc::ptr_eq(old, new));
        assert_eq!(shared.count(), snapshot.pages().len() - 1);
    }
}
