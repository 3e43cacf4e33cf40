//! An update that waits until the roster is free, and takes in what comes meanwhile. Pure.

use std::collections::{HashMap, HashSet};

use rosterd_model::GroupId;

use super::update::Update;

/// An update, and where in it a group is, once somebody has asked.
#[derive(Debug)]
pub(super) struct Pending {
    update: Update,
    index: Option<Index>,
    /// How many targets were put into it.
    targets: usize,
}

/// An update with at least this many targets takes nothing in any more: memory is bounded, and who says more waits.
const FULL: usize = 10_000;

#[derive(Debug)]
struct Index {
    groups: HashMap<GroupId, usize>,
    gone: HashSet<GroupId>,
}

impl Pending {
    pub(super) fn new(update: Update) -> Self {
        let targets = targets_of(&update);
        Self { update, index: None, targets }
    }

    /// Whether later news may be merged into it. A piece of a picture goes by itself: what it is part of may be large.
    pub(super) fn takes_more(&self) -> bool {
        !self.update.piece && self.targets < FULL
    }

    /// How much there is to do to take in a later update: so many groups are looked at or let go.
    pub(super) fn work(&self, later: &Update) -> usize {
        let waiting = match &self.index {
            Some(_) if !later.whole && !later.piece => 0,
            index => self.size() + index.as_ref().map_or(0, |index| index.groups.len()),
        };
        waiting + later.groups.len() + later.gone.len()
    }

    /// How much there is to let go of it, when nobody takes it: so many groups and targets.
    pub(super) fn weight(&self) -> usize {
        self.size() + self.targets
    }

    /// How many groups it names.
    pub(super) fn size(&self) -> usize {
        let gone = self.index.as_ref().map_or(0, |index| index.gone.len());
        self.update.groups.len() + self.update.gone.len() + gone
    }

    /// Takes in a later update of the same provider, in time that follows the later one: what waits is walked once, by
    /// the first.
    pub(super) fn merge(&mut self, later: Update) {
        // Nothing in a whole picture depends on what came before it, but for its pieces; and nobody has waited for what came before
        // these.
        if later.whole || later.piece {
            *self = Self::new(later);
            return;
        }
        self.targets += targets_of(&later);
        let waiting = &mut self.update;
        let index = self.index.get_or_insert_with(|| Index {
            groups: waiting.groups.iter().enumerate().map(|(at, group)| (group.id(), at)).collect(),
            gone: waiting.gone.drain(..).collect(),
        });
        for id in later.gone {
            if let Some(at) = index.groups.remove(&id) {
                waiting.groups.swap_remove(at);
                if let Some(moved) = waiting.groups.get(at) {
                    index.groups.insert(moved.id(), at);
                }
            }
            // Named also where the waiting update brought it: the roster may have it from before.
            index.gone.insert(id);
        }
        for group in later.groups {
            let id = group.id();
            index.gone.remove(&id);
            match index.groups.get(&id) {
                Some(&at) => waiting.groups[at] = group,
                None => {
                    index.groups.insert(id, waiting.groups.len());
                    waiting.groups.push(group);
                }
            }
        }
        waiting.unread = later.unread;
        waiting.seen = later.seen;
        waiting.read |= later.read;
    }

    /// The update, to be sent.
    pub(super) fn into_update(self) -> Update {
        let mut update = self.update;
        update.gone.extend(self.index.into_iter().flat_map(|index| index.gone));
        update
    }
}

fn targets_of(update: &Update) -> usize {
    update.groups.iter().map(|group| group.targets.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::SystemTime;

    use proptest::prelude::*;
    use rosterd_model::TargetGroup;

    use super::*;
    use crate::contract::Unreadable;
    use crate::error::RunError;
    use crate::manager::Unread;
    use crate::{Attention, ProviderKey};

    fn group(source: u8, content: u8) -> TargetGroup {
        let targets = vec![[("__address__", format!("h:{content}"))].into_iter().collect()];
        TargetGroup { source: source.to_string().into(), targets, ..TargetGroup::default() }
    }

    fn told(whole: bool, groups: Vec<TargetGroup>) -> Update {
        let provider = ProviderKey::new("p/1");
        let (told, gone, unread) = (HashSet::new(), Vec::new(), Arc::default());
        let attention = Attention::default();
        Update { provider, whole, piece: false, told, groups, gone, unread, seen: None, read: false, attention }
    }

    fn update(changes: &BTreeMap<u8, Option<u8>>) -> Update {
        let groups = changes.iter().filter_map(|(source, content)| Some(group(*source, (*content)?))).collect();
        let gone = changes.iter().filter(|(_, content)| content.is_none());
        let gone = gone.map(|(source, _)| GroupId::of(&source.to_string(), "")).collect();
        Update { gone, ..told(false, groups) }
    }

    /// Applies an update as a roster would.
    fn apply(picture: &mut BTreeMap<GroupId, TargetGroup>, update: Update) {
        let mut named = BTreeSet::new();
        if update.whole {
            picture.clear();
        }
        for id in update.gone {
            assert!(named.insert(id), "{id:?} is named twice");
            picture.remove(&id);
        }
        for group in update.groups {
            assert!(named.insert(group.id()), "{:?} is named twice", group.id());
            picture.insert(group.id(), group);
        }
    }

    #[test]
    fn a_whole_picture_takes_the_place_of_what_waited() {
        let mut pending = Pending::new(update(&BTreeMap::from([(1, Some(1))])));
        let whole = told(true, vec![group(2, 1)]);
        pending.merge(whole.clone());
        assert_eq!(pending.into_update(), whole);
    }

    #[test]
    fn what_is_unread_and_what_was_seen_is_as_the_later_one_says() {
        let report = Unreadable::new("s", RunError::EndedUnasked).error.report();
        let unread = Unread { since: SystemTime::UNIX_EPOCH, known: true, hides: false, beneath: None, report };
        let later = Update {
            unread: Arc::new(BTreeMap::from([("s".into(), unread)])),
            seen: Some(Arc::new(BTreeSet::from([GroupId::of("t", "").source]))),
            ..update(&BTreeMap::from([(2, Some(1))]))
        };
        let mut pending = Pending::new(update(&BTreeMap::from([(1, Some(1))])));
        pending.merge(later.clone());
        let merged = pending.into_update();
        assert_eq!((merged.unread, merged.seen, merged.groups.len()), (later.unread, later.seen, 2));
    }

    #[test]
    fn what_waits_is_walked_by_the_first_that_comes_and_by_the_picture_that_takes_its_place() {
        let waiting = (0..9).map(|source| (source, Some(1))).chain([(9, None)]).collect();
        let (mut pending, later) =
            (Pending::new(update(&waiting)), || update(&BTreeMap::from([(1, None), (20, Some(1))])));
        let whole = || told(true, vec![group(2, 1)]);
        assert_eq!((pending.size(), pending.work(&later()), pending.work(&whole())), (10, 12, 11));
        pending.merge(later());
        assert_eq!((pending.size(), pending.work(&later())), (11, 2));
        assert_eq!(pending.work(&whole()), 11 + 9 + 1, "the index goes with it");
    }

    #[test]
    fn pieces_go_by_themselves_and_what_waits_stays_of_a_size() {
        let mut pending = Pending::new(update(&BTreeMap::from([(1, Some(1))])));
        assert!(pending.takes_more());
        pending.merge(Update { piece: true, ..update(&BTreeMap::from([(2, Some(1))])) });
        assert!(!pending.takes_more());
        let update = pending.into_update();
        assert_eq!((update.piece, update.groups.len()), (true, 1), "what came before a picture begins is of no use");
        let target: rosterd_model::Labels = [("__address__", "h:1")].into_iter().collect();
        let large = TargetGroup { targets: vec![target; FULL], ..group(3, 1) };
        let mut pending = Pending::new(told(false, Vec::new()));
        pending.merge(told(false, vec![large]));
        assert!(!pending.takes_more());
    }

    proptest! {
        #[test]
        fn a_merged_update_does_what_its_parts_do(
            whole in any::<bool>(),
            parts in prop::collection::vec(prop::collection::btree_map(0u8..6, prop::option::of(0u8..3), 0..5), 1..8),
        ) {
            let before: BTreeMap<_, _> = (0..6).map(|source| group(source, 9)).map(|group| (group.id(), group)).collect();
            let mut parts: Vec<_> = parts.iter().map(update).collect();
            parts[0].whole = whole;
            let (mut one_by_one, mut at_once) = (before.clone(), before);
            let mut pending = Pending::new(parts[0].clone());
            for part in parts.iter().skip(1).cloned() {
                pending.merge(part);
            }
            parts.into_iter().for_each(|part| apply(&mut one_by_one, part));
            apply(&mut at_once, pending.into_update());
            prop_assert_eq!(one_by_one, at_once);
        }
    }
}
