//! What a job keeps of one provider: a group for each entry. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use rosterd_model::{GroupId, SourceId, TargetGroup};
use tokio::time::Instant;

use super::hold::KeptHold;
use crate::roster::archive::Archive;
use crate::roster::clock::Now;
use crate::roster::hold::HoldReason;
use crate::roster::job::Keeping;
use crate::roster::state::provider::Provider;
use crate::roster::tree::Tree;

/// Why each kept group is.
pub(in crate::roster) type Holds = Tree<GroupId, KeptHold>;

/// What a job keeps of a provider.
#[derive(Debug, Default)]
pub(super) struct KeptGroups {
    pub(super) archive: Archive,
    pub(super) holds: Holds,
    /// How many are braked, by since when.
    pub(super) braked: BTreeMap<SystemTime, usize>,
    /// When the time of some may be over.
    pub(super) next: Option<Instant>,
    /// Whether it has a head in the store.
    pub(super) is_stored: bool,
}

/// What changes of what is kept of a provider.
#[derive(Debug, Default)]
pub(in crate::roster::state) struct KeptEdit {
    pub(in crate::roster::state) groups: Vec<(TargetGroup, KeptHold)>,
    pub(in crate::roster::state) gone: Vec<GroupId>,
}

impl KeptGroups {
    pub(super) fn insert(&mut self, id: GroupId, hold: KeptHold) {
        self.remove(id);
        if hold.hold.reason == HoldReason::Braked {
            *self.braked.entry(hold.hold.since).or_default() += 1;
        }
        self.holds.insert(id, hold);
    }

    pub(super) fn remove(&mut self, id: GroupId) -> Option<KeptHold> {
        let hold = self.holds.remove(&id)?;
        if hold.hold.reason == HoldReason::Braked
            && let Entry::Occupied(mut braked) = self.braked.entry(hold.hold.since)
        {
            *braked.get_mut() -= 1;
            if *braked.get() == 0 {
                braked.remove();
            }
        }
        Some(hold)
    }

    /// These go, those aside that were braked and have some of their time of grace left: they go on in that.
    pub(super) fn lapsed(&self, ids: Vec<GroupId>, keeping: &Keeping, now: Now) -> KeptEdit {
        let graced = |id: &GroupId| Some((*id, self.holds.get(id)?.graced(keeping, now)?));
        let mut graced: HashMap<_, _> = ids.iter().filter_map(graced).collect();
        let mut edit = KeptEdit { gone: ids, groups: Vec::with_capacity(graced.len()) };
        for block in self.archive.blocks().values() {
            if !block.groups().iter().any(|head| graced.contains_key(&head.id)) {
                continue;
            }
            let unpacked = block.unpack();
            for (number, (group, head)) in unpacked.groups().zip(block.groups()).enumerate() {
                let Some(hold) = graced.remove(&head.id) else { continue };
                let hashes = &block.entries()[block.entries_of(number)];
                let groups = group.entries().zip(hashes).map(|(entry, hash)| hold.group(group.source(), entry, *hash));
                edit.groups.extend(groups.map(|group| (group, hold.clone())));
            }
        }
        edit
    }

    /// The sources of which it is not known now what they have.
    pub(super) fn unreadable(&self, provider: &Provider) -> HashSet<SourceId> {
        let (told, mut unreadable) = (provider.told(), HashSet::new());
        unreadable.extend(told.keys().map(|name| SourceId::of(name)));
        // Of what was not there since the start nobody knows whether it is gone; what was read meanwhile is.
        unreadable.extend(self.holds.iter().map(|(id, _)| id.source).filter(|source| provider.may_come(*source)));
        let scopes: Vec<_> = told.values().filter_map(|unread| unread.beneath.as_deref()).collect();
        if !scopes.is_empty() {
            self.archive.for_each_name(|name, source| {
                if scopes.iter().any(|scope| name.starts_with(scope)) {
                    unreadable.insert(source);
                }
            });
        }
        unreadable
    }
}
