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
    /// The hash of the labels, here so that a search does not follow a pointer at each step.
    fingerprint: u64,
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
    revision: u128,
}

impl Default for Pages {
    fn default() -> Self {
        Self { pages: vec![Arc::default()], targets: 0, duplicates: 0, revision: 0 }
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

    /// Adds an entry that came out as `labels`. Returns the labels that all entries of this target share, and whether
    /// the target is new.
    pub fn add(&mut self, labels: Labels) -> (Labels, bool) {
        let at = page_of(self.pages.len(), &labels);
        let found = self.pages[at].find(&labels);
        let page = self.page_mut(at);
        match found {
            Ok(index) => {
                page.slots[index].origins += 1;
                let shared = page.slots[index].labels.clone();
                self.duplicates += 1;
                (shared, false)
            }
            Err(index) => {
                page.slots
                    .insert(index, Slot { fingerprint: labels.fingerprint(), labels: labels.clone(), origins: 1 });
                self.targets += 1;
                self.revision = self.revision.wrapping_add(digest(&labels));
                if self.targets > self.pages.len() * TARGETS_PER_PAGE {
                    self.split();
                }
                (labels, true)
            }
        }
    }

    /// Takes one entry of a target away. Returns whether it was the last one.
    pub fn remove(&mut self, labels: &Labels) -> bool {
        let at = page_of(self.pages.len(), labels);
        let Ok(index) = self.pages[at].find(labels) else { return false };
        let page = self.page_mut(at);
        page.slots[index].origins -= 1;
        if page.slots[index].origins > 0 {
            self.duplicates -= 1;
            return false;
        }
        page.slots.remove(index);
        self.targets -= 1;
        self.revision = self.revision.wrapping_sub(digest(labels));
        true
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
            assert!(pages.add(labels(number)).1);
        }
        assert!(pages.pages().len() > 10);
        assert!((0..5_000).all(|number| pages.get(&labels(number)).is_some()));
        for number in 0..5_000 {
            assert!(pages.remove(&labels(number)));
        }
        assert_eq!((pages.len(), pages.revision()), (0, 0));
    }

    #[test]
    fn a_duplicate_is_counted_and_the_last_origin_removes() {
        let mut pages = Pages::default();
        let (first, new) = pages.add(labels(1));
        let (second, again) = pages.add(labels(1));
        assert!((new, again) == (true, false) && first == second);
        assert_eq!((pages.len(), pages.duplicates(), pages.get(&first).map(|slot| slot.origins)), (1, 1, Some(2)));
        assert!(!pages.remove(&labels(1)));
        assert!(pages.remove(&labels(1)));
        assert!(!pages.remove(&labels(1)));
    }

    #[test]
    fn the_revision_forgets_order_and_history() {
        let mut one = Pages::default();
        let mut two = Pages::default();
        (0..1000).for_each(|number| drop(one.add(labels(number))));
        (0..2000).rev().for_each(|number| drop(two.add(labels(number))));
        assert_ne!(one.revision(), two.revision());
        assert!((1000..2000).all(|number| two.remove(&labels(number))));
        assert_eq!(one.revision(), two.revision());
    }

    #[test]
    fn a_snapshot_does_not_move_and_shares_what_did_not_change() {
        let mut pages = Pages::default();
        (0..5_000).for_each(|number| drop(pages.add(labels(number))));
        let snapshot = pages.clone();
        pages.remove(&labels(7));
        assert!(snapshot.get(&labels(7)).is_some() && pages.get(&labels(7)).is_none());
        let shared = snapshot.pages().iter().zip(pages.pages()).filter(|(old, new)| Arc::ptr_eq(old, new));
        assert_eq!(shared.count(), snapshot.pages().len() - 1);
    }
}
