//! The targets of one job, deduplicated, in pages by the hash of their labels. A snapshot shares its pages with the
//! next one, so a change copies the pages it touches and nothing else. Pure.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rosterd_model::Labels;

use super::tree::Tree;

/// A page with more targets than this is split in two, and two halves that have no more together are one again. So the
/// pages follow from the targets, whatever came and went before.
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
    /// By how many of its entries it is held.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

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

/// Some targets of a job, sorted by the hash of their labels: all whose hash begins with the same bits.
///
/// A copy shares the forms that readers derived of it, until its labels change: another count of origins, or of held ones,
/// is no change.
#[derive(Clone, Default)]
pub struct Page {
    slots: Vec<Slot>,
    /// How many bits of the hash all its targets have in common.
    depth: u32,
    forms: Arc<Forms>,
}

/// What readers made of the labels of a page, and keep with it.
#[derive(Default)]
struct Forms(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Page {
    /// The targets.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The labels of its targets.
    pub fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.slots.iter().map(|slot| &slot.labels)
    }

    /// What a reader derives of the labels and keeps with the page, such as an encoded form: one value of each type, at
    /// first its default. All copies of the page have it in common, as long as their labels are equal.
    pub fn form<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut forms = self.forms.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = forms.iter().find_map(|form| Arc::clone(form).downcast().ok());
        known.unwrap_or_else(|| {
            let new = Arc::<T>::default();
            forms.push(Arc::clone(&new) as _);
            new
        })
    }

    /// Called when the labels changed.
    fn forget_forms(&mut self) {
        match Arc::get_mut(&mut self.forms) {
            Some(forms) => *forms = Forms::default(),
            None => self.forms = Arc::default(),
        }
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

    fn insert(&mut self, index: usize, labels: Labels, held: bool) {
        if self.slots.len() == self.slots.capacity() {
            // Doubling would leave a quarter of the memory of all pages unused.
            self.slots.reserve_exact(8 + self.slots.len() / 8);
        }
        let slot = Slot { fingerprint: labels.fingerprint(), labels, origins: 1, held: u32::from(held) };
        self.slots.insert(index, slot);
        self.forget_forms();
    }

    fn remove(&mut self, labels: &Labels) {
        if let Ok(index) = self.find(labels) {
            self.slots.remove(index);
            self.forget_forms();
        }
    }

    /// Takes the half away whose hashes have a 1 after the common bits.
    fn split(&mut self, first: u64) -> Self {
        let at = self.slots.partition_point(|slot| slot.fingerprint < first);
        let high = self.slots.split_off(at);
        self.slots.shrink_to_fit();
        self.depth += 1;
        self.forget_forms();
        Self { slots: high, depth: self.depth, forms: Arc::default() }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.slots).finish()
    }
}

/// The deduplicated targets of a job. A copy costs a pointer and shares all that does not change in either.
#[derive(Debug, Clone)]
pub struct Pages {
    /// Each page under the lowest hash that belongs to it; together they cover all hashes.
    pages: Tree<u64, Arc<Page>>,
    targets: usize,
    duplicates: usize,
    held: usize,
    revision: u128,
}

/// Targets that came and went, were held and released.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Targets that were not there.
    pub added: Vec<Labels>,
    /// Targets that are not there any more.
    pub removed: Vec<Labels>,
    /// Targets that were not held.
    pub held: Vec<Labels>,
    /// Targets that are held no longer.
    pub released: Vec<Labels>,
}

impl Difference {
    /// What became of the targets of one hash.
    fn note(&mut self, here: &[&Slot], there: &[&Slot]) {
        let find = |slots: &[&Slot], labels: &Labels| {
            slots.iter().find(|slot| slot.labels == *labels).map(|slot| slot.is_held())
        };
        for slot in here {
            match (find(there, &slot.labels), slot.is_held()) {
                (None, false) => self.added.push(slot.labels.clone()),
                (None, true) => {
                    self.added.push(slot.labels.clone());
                    self.held.push(slot.labels.clone());
                }
                (Some(false), true) => self.held.push(slot.labels.clone()),
                (Some(true), false) => self.released.push(slot.labels.clone()),
                (Some(_), _) => {}
            }
        }
        let gone = there.iter().filter(|slot| find(here, &slot.labels).is_none());
        self.removed.extend(gone.map(|slot| slot.labels.clone()));
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self { pages: Tree::from_iter([(0, Arc::default())]), targets: 0, duplicates: 0, held: 0, revision: 0 }
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
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Page>> {
        self.pages.values()
    }

    /// The page with this many others before it.
    pub fn nth(&self, index: usize) -> Option<&Arc<Page>> {
        self.pages.nth(index).map(|(_, page)| page)
    }

    /// The slot of a target.
    pub fn get(&self, labels: &Labels) -> Option<&Slot> {
        let (_, page) = self.pages.floor(&labels.fingerprint())?;
        page.find(labels).ok().map(|index| &page.slots[index])
    }

    /// The same without the targets that are held. What both have in common they share.
    pub fn without_held(&self) -> Self {
        let mut rest = self.clone();
        if self.held > 0 {
            let held = self.iter().flat_map(|page| page.slots()).filter(|slot| slot.is_held());
            held.for_each(|slot| (0..slot.origins).for_each(|_| _ = rest.remove(&slot.labels, true)));
        }
        rest
    }

    /// The slot of a target by the fingerprint of its labels.
    pub fn by_fingerprint(&self, fingerprint: u64) -> Option<&Slot> {
        let (_, page) = self.pages.floor(&fingerprint)?;
        let index = page.slots.partition_point(|slot| slot.fingerprint < fingerprint);
        page.slots.get(index).filter(|slot| slot.fingerprint == fingerprint)
    }

    /// What changed since an earlier snapshot. Costs as much as that: what both share is not looked at.
    pub fn since(&self, earlier: &Self) -> Difference {
        let unshared = self.pages.unshared(&earlier.pages, Arc::ptr_eq);
        let mut difference = Difference::default();
        let mut now = unshared.here.into_iter().flat_map(|(_, page)| page.slots()).peekable();
        let mut before = unshared.there.into_iter().flat_map(|(_, page)| page.slots()).peekable();
        // Both are in the order of the hash; equal hashes of different labels are rare, and in any order.
        let (mut here, mut there) = (Vec::new(), Vec::new());
        loop {
            let next = [now.peek(), before.peek()].into_iter().flatten().map(|slot| slot.fingerprint).min();
            let Some(fingerprint) = next else { return difference };
            let equal = |slot: &&Slot| slot.fingerprint == fingerprint;
            here.extend(std::iter::from_fn(|| now.next_if(equal)));
            there.extend(std::iter::from_fn(|| before.next_if(equal)));
            difference.note(&here, &there);
            here.clear();
            there.clear();
        }
    }

    /// Adds an entry that came out as `labels`. Returns the labels that all entries of this target share, and what became
    /// of the target.
    pub fn add(&mut self, labels: Labels, held: bool) -> (Labels, Option<Turn>) {
        let (&first, page) = self.page_mut(&labels);
        match page.find(&labels) {
            Ok(index) => {
                let shared = page.slots[index].labels.clone();
                self.duplicates += 1;
                let turn = self.count(&shared, |slot| {
                    slot.origins += 1;
                    slot.held += u32::from(held);
                });
                (shared, turn)
            }
            Err(index) => {
                page.insert(index, labels.clone(), held);
                let large = page.slots.len() > TARGETS_PER_PAGE;
                self.targets += 1;
                self.held += usize::from(held);
                self.revision = self.revision.wrapping_add(digest(&labels));
                if large {
                    self.split(first);
                }
                (labels, Some(Turn::Added))
            }
        }
    }

    /// Takes one entry of a target away, which was held or not. Returns what became of the target.
    pub fn remove(&mut self, labels: &Labels, held: bool) -> Option<Turn> {
        if self.get(labels)?.origins > 1 {
            self.duplicates -= 1;
            return self.count(labels, |slot| {
                slot.origins -= 1;
                slot.held -= u32::from(held);
            });
        }
        let (&first, page) = self.page_mut(labels);
        page.remove(labels);
        self.targets -= 1;
        self.held -= usize::from(held);
        self.revision = self.revision.wrapping_sub(digest(labels));
        self.join(first);
        Some(Turn::Removed)
    }

    /// Takes one entry of a target as held, or as held no longer. Returns what became of the target.
    pub fn mark(&mut self, labels: &Labels, held: bool) -> Option<Turn> {
        self.count(labels, |slot| if held { slot.held += 1 } else { slot.held -= 1 })
    }

    /// Counts entries of a target.
    fn count(&mut self, labels: &Labels, change: impl FnOnce(&mut Slot)) -> Option<Turn> {
        let (_, page) = self.page_mut(labels);
        let index = page.find(labels).ok()?;
        let slot = &mut page.slots[index];
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

    /// The page of a target, not shared with a snapshot any more, and where it begins.
    fn page_mut(&mut self, labels: &Labels) -> (&u64, &mut Page) {
        let (first, page) = self.pages.floor_mut(&labels.fingerprint()).expect("the first page begins at 0");
        (first, Arc::make_mut(page))
    }

    /// Splits a page until no part of it is too large. Equal hashes stay together.
    fn split(&mut self, mut first: u64) {
        loop {
            let (_, page) = self.pages.floor_mut(&first).expect("the first page begins at 0");
            let page = Arc::make_mut(page);
            if page.slots.len() <= TARGETS_PER_PAGE || page.depth == u64::BITS {
                return;
            }
            let middle = first | 1 << (u64::BITS - 1 - page.depth);
            let high = page.split(middle);
            let large = high.slots.len() > TARGETS_PER_PAGE;
            self.pages.insert(middle, Arc::new(high));
            if large {
                first = middle;
            }
        }
    }

    /// Puts a page together with its other half as long as both fit into one.
    fn join(&mut self, mut first: u64) {
        while let Some((low, high)) = self.halves(first) {
            let removed = self.pages.remove(&high).expect("both halves are there");
            let (_, page) = self.pages.floor_mut(&low).expect("the first page begins at 0");
            let page = Arc::make_mut(page);
            page.slots.extend(removed.slots.iter().cloned());
            page.depth -= 1;
            page.forget_forms();
            first = low;
        }
    }

    /// Where a page and its other half begin, if one page could hold both.
    fn halves(&self, first: u64) -> Option<(u64, u64)> {
        let page = self.pages.get(&first)?;
        let bit = 1 << (u64::BITS - page.depth.checked_sub(1)? - 1);
        let other = self.pages.get(&(first ^ bit))?;
        let fit = other.depth == page.depth && page.slots.len() + other.slots.len() <= TARGETS_PER_PAGE;
        fit.then_some((first & !bit, first | bit))
    }
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
        assert!(pages.iter().len() > 10);
        assert!((0..5_000).all(|number| pages.get(&labels(number)).is_some()));
        let found = |number| pages.by_fingerprint(labels(number).fingerprint()).map(|slot| slot.labels.clone());
        assert!((0..5_000).all(|number| found(number) == Some(labels(number))) && found(5_000).is_none());
        for number in 0..5_000 {
            assert_eq!(pages.remove(&labels(number), false), Some(Turn::Removed));
        }
        assert_eq!((pages.len(), pages.revision(), pages.iter().len()), (0, 0, 1));
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
    fn without_what_is_held_the_rest_is_as_if_that_had_never_been() {
        let (mut pages, mut said) = (Pages::default(), Pages::default());
        for number in 0..1000 {
            for held in [number % 3 == 0, number % 2 == 0] {
                pages.add(labels(number), held);
                if number % 6 != 0 {
                    said.add(labels(number), held);
                }
            }
        }
        let rest = pages.without_held();
        assert_eq!((rest.len(), rest.held(), rest.revision()), (833, 0, said.revision()));
        assert_eq!((rest.duplicates(), rest.iter().len()), (833, said.iter().len()));
        assert_eq!((pages.len(), pages.held()), (1000, 167), "who has it sees nothing of that");
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
        let shared = snapshot.iter().filter(|old| pages.iter().any(|new| Arc::ptr_eq(old, new)));
        assert_eq!(shared.count(), snapshot.iter().len() - 1);
        assert_eq!(pages.since(&snapshot), Difference { removed: vec![labels(7)], ..Difference::default() });
    }

    #[test]
    fn the_pages_follow_from_the_targets_whatever_came_and_went() {
        let mut one = Pages::default();
        let mut two = Pages::default();
        (0..3000).for_each(|number| drop(one.add(labels(number), false)));
        (0..20_000).for_each(|number| drop(two.add(labels(number), false)));
        assert!((3000..20_000).all(|number| two.remove(&labels(number), false).is_some()));
        let slots = |pages: &Pages| pages.iter().map(|page| page.slots().to_vec()).collect::<Vec<_>>();
        assert!(slots(&one) == slots(&two), "the pages are not the same");
        assert!(one.iter().all(|page| page.slots().len() <= TARGETS_PER_PAGE));
    }

    #[test]
    fn what_came_and_went_is_told_also_when_pages_are_split() {
        let mut pages = Pages::default();
        let empty = pages.clone();
        (0..200).for_each(|number| drop(pages.add(labels(number), false)));
        let some = pages.clone();
        assert_eq!(some.since(&empty).added.len(), 200);
        (200..5000).for_each(|number| drop(pages.add(labels(number), false)));
        pages.remove(&labels(3), false);
        let grown = pages.since(&some);
        assert_eq!((grown.added.len(), grown.removed), (4800, vec![labels(3)]));
        assert_eq!(pages.since(&pages), Difference::default());
        let before = pages.clone();
        pages.mark(&labels(8), true);
        pages.add(labels(9_999), true);
        let expected =
            Difference { added: vec![labels(9_999)], held: vec![labels(8), labels(9_999)], ..Difference::default() };
        let mut since = pages.since(&before);
        since.held.sort();
        assert_eq!(since, expected);
        assert_eq!(before.since(&pages).released, vec![labels(8)]);
    }

    #[test]
    fn a_form_is_kept_until_the_labels_of_its_page_change() {
        let mut pages = Pages::default();
        pages.add(labels(1), false);
        let form = |pages: &Pages| pages.nth(0).expect("there is a page").form::<Mutex<u8>>();
        let first = form(&pages);
        let snapshot = pages.clone();
        pages.add(labels(1), false);
        assert!(Arc::ptr_eq(&first, &form(&pages)), "another origin is no other list");
        pages.remove(&labels(1), false);
        assert!(Arc::ptr_eq(&first, &form(&pages)) && Arc::ptr_eq(&first, &form(&snapshot)));
        pages.add(labels(2), false);
        assert!(!Arc::ptr_eq(&first, &form(&pages)));
    }

    #[test]
    fn no_form_outlives_what_it_was_made_of_when_targets_go_and_pages_are_split_and_joined() {
        let mut pages = Pages::default();
        let look = |pages: &Pages| {
            for page in pages.iter() {
                let form = page.form::<Mutex<Option<Vec<Labels>>>>();
                let mut made = form.lock().expect("nobody panicked");
                assert!(made.get_or_insert_with(|| page.labels().cloned().collect()).iter().eq(page.labels()));
            }
        };
        for number in 0..700 {
            pages.add(labels(number), false);
            look(&pages);
        }
        assert!(pages.iter().len() > 1);
        for number in 0..700 {
            pages.remove(&labels(number), false);
            look(&pages);
        }
        assert_eq!(pages.iter().len(), 1);
    }
}
