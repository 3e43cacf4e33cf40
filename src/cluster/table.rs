//! Which member owns a slot: the one that a hash of both ranks first. So it follows from the names of the members alone, and who
//! comes or goes moves the slots that are his.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::slot::Slot;

/// The owner of each slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    members: Box<[Arc<str>]>,
    /// By slot, the place of the owner among the members.
    owners: Box<[u16]>,
}

impl Table {
    /// The table of these members: equal for equal names, in whatever order. `None` if there are none.
    pub fn new<'a>(members: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut members: Vec<Arc<str>> = members.into_iter().map(Arc::from).collect();
        members.sort();
        members.dedup();
        let seeds: Vec<_> = members.iter().map(|name| xxh3_64(name.as_bytes())).collect();
        let owner = |slot: Slot| {
            // Of two with one hash the first by name.
            let best = (0u16..).zip(&seeds).min_by_key(|(_, seed)| rank(slot, **seed));
            best.map(|(place, _)| place)
        };
        let owners: Option<Box<[u16]>> = Slot::all().map(owner).collect();
        Some(Self { members: members.into(), owners: owners? })
    }

    /// The members, sorted.
    pub fn members(&self) -> &[Arc<str>] {
        &self.members
    }

    /// The owner of a slot.
    pub fn owner(&self, slot: Slot) -> &Arc<str> {
        &self.members[usize::from(self.owners[slot.index()])]
    }

    /// How many slots each member owns, in the order of the members.
    pub fn slots(&self) -> Vec<u16> {
        let mut counts = vec![0; self.members.len()];
        self.owners.iter().for_each(|place| counts[usize::from(*place)] += 1);
        counts
    }

    pub(super) fn place_of(&self, member: &str) -> Option<u16> {
        let place = self.members.binary_search_by(|name| (**name).cmp(member)).ok()?;
        u16::try_from(place).ok()
    }

    pub(super) fn owner_place(&self, slot: Slot) -> u16 {
        self.owners[slot.index()]
    }
}

fn rank(slot: Slot, seed: u64) -> u64 {
    let mut both = [0; 10];
    both[..8].copy_from_slice(&seed.to_le_bytes());
    both[8..].copy_from_slice(&(slot.index() as u16).to_le_bytes());
    xxh3_64(&both)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::cluster::SLOTS;

    fn table<'a>(members: impl IntoIterator<Item = &'a str>) -> Table {
        Table::new(members).expect("there are members")
    }

    #[test]
    fn nobody_owns_nothing_and_one_owns_all() {
        assert_eq!(Table::new([]), None);
        assert_eq!(table(["a"]).slots(), [SLOTS]);
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        let table = table(["rosterd-0", "rosterd-1", "rosterd-2"]);
        assert_eq!(table.slots(), [1377, 1354, 1365]);
        let first: String = Slot::all().take(8).filter_map(|slot| table.owner(slot).chars().last()).collect();
        assert_eq!(first, "21102000");
    }

    fn names() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("[a-z0-9.-]{1,20}", 1..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_order_of_the_names_does_not_count(names in names()) {
            let forwards = table(names.iter().map(String::as_str));
            prop_assert_eq!(forwards, table(names.iter().rev().map(String::as_str)));
        }

        /// Whoever comes takes from all and gives to none; whoever goes is the same read backwards.
        #[test]
        fn a_join_moves_what_the_new_one_owns_and_nothing_else(names in names(), new in "[A-Z]{1,20}") {
            let before = table(names.iter().map(String::as_str));
            let after = table(names.iter().map(String::as_str).chain([new.as_str()]));
            let mut moved = 0;
            for slot in Slot::all() {
                if before.owner(slot) != after.owner(slot) {
                    prop_assert_eq!(&**after.owner(slot), new.as_str());
                    moved += 1;
                }
            }
            let fair = f64::from(SLOTS) / (names.len() + 1) as f64;
            prop_assert!(f64::from(moved) <= fair + 6.0 * fair.sqrt(), "{moved} of {fair}");
        }

        #[test]
        fn everybody_has_about_as_much(names in names()) {
            let fair = f64::from(SLOTS) / names.len() as f64;
            for slots in table(names.iter().map(String::as_str)).slots() {
                prop_assert!((f64::from(slots) - fair).abs() <= 6.0 * fair.sqrt(), "{slots} of {fair}");
            }
        }
    }
}
