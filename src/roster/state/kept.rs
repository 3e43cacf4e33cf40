//! What a job keeps of what its sources no longer have: braked, or in its time of grace. Pure.
//!
//! Each kept entry is a group of its own, in blocks of the job's own that stand behind those of the provider it came from. So it is
//! relabelled, shown, counted and stored as any other. A target is kept once, and only while no source says it.

mod ended; // what became of it, for people
mod groups; // of one provider
mod hold; // of one entry

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_discovery::ProviderKey;
use rosterd_model::target::Target;
use rosterd_model::{GroupId, Labels};
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3Default;

use super::Effect;
use super::job::Happened;
use super::provider::{Provider, Providers, Stored};
use super::unused::{Left, stored_name};
use crate::roster::archive::{Archive, BlockChange, Edit};
use crate::roster::block::{Block, BlockId};
use crate::roster::brake::{APART, Confirm};
use crate::roster::clock::Now;
use crate::roster::head::Head;
use crate::roster::hold::{HoldReason, Mark};
use crate::roster::job::Keeping;
use crate::roster::view::ProviderPresence;
pub(super) use ended::KeptOn;
pub(in crate::roster) use groups::Holds;
pub(super) use groups::KeptEdit;
use groups::KeptGroups;
pub(in crate::roster) use hold::KeptHold;

/// How soon it is looked again what is due while the source cannot be read, and how often at most whether anything is due.
const AGAIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// All that a job keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    of: BTreeMap<ProviderKey, KeptGroups>,
    /// Where each is, by what is scraped.
    places: HashMap<u64, Vec<KeptPlace>>,
    /// What has to be stored, for each provider.
    changed: BTreeMap<ProviderKey, BTreeMap<BlockId, Option<Arc<Block>>>>,
}

/// Where a kept entry is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeptPlace {
    pub(super) provider: ProviderKey,
    pub(super) id: GroupId,
}

/// What is scraped for a target, whatever other labels it has: its address, scheme, path and parameters.
pub(super) fn scraped(labels: &Labels) -> u64 {
    let target = Target(labels);
    let (scheme, path, params) = target.url_parts();
    let mut hasher = Xxh3Default::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    [target.address(), scheme, path].into_iter().for_each(&mut add);
    params.for_each(|(name, value)| [name, value].into_iter().for_each(&mut add));
    hasher.digest()
}

impl Kept {
    /// How many targets are kept.
    pub(super) fn len(&self) -> usize {
        self.of.values().map(|groups| groups.holds.len()).sum()
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The providers of which something is kept.
    pub(super) fn providers(&self) -> impl Iterator<Item = &ProviderKey> {
        self.of.keys()
    }

    /// Whether something of a provider is braked.
    pub(super) fn brakes(&self, key: &ProviderKey) -> bool {
        self.of.get(key).is_some_and(|groups| !groups.braked.is_empty())
    }

    /// Since when targets are braked, if any are.
    pub(super) fn braked(&self) -> Option<SystemTime> {
        self.of.values().filter_map(|groups| groups.braked.keys().next()).min().copied()
    }

    /// Since when the last of them is.
    pub(super) fn braked_last(&self) -> Option<SystemTime> {
        self.of.values().filter_map(|groups| groups.braked.keys().next_back()).max().copied()
    }

    /// The providers of which all that is braked may still come.
    pub(super) fn awaited(&self, providers: &Providers) -> impl Iterator<Item = &ProviderKey> {
        let awaits = |(key, groups): &(&ProviderKey, &KeptGroups)| {
            let open = providers.get(key).filter(|provider| provider.is_open() && !groups.braked.is_empty());
            let is_known = |provider: &Provider, (id, held): (&GroupId, &KeptHold)| {
                held.hold.reason == HoldReason::Braked && !provider.may_come(id.source)
            };
            open.is_some_and(|provider| !groups.holds.iter().any(|held| is_known(provider, held)))
        };
        self.of.iter().filter(awaits).map(|(key, _)| key)
    }

    /// How many targets are braked.
    pub(super) fn braked_len(&self) -> usize {
        self.of.values().flat_map(|groups| groups.braked.values()).sum()
    }

    /// Whether a kept entry is braked.
    pub(super) fn is_braked(&self, place: &KeptPlace) -> bool {
        let held = self.of.get(&place.provider).and_then(|groups| groups.holds.get(&place.id));
        held.is_some_and(|held| held.hold.reason == HoldReason::Braked)
    }

    /// Why each is kept, for readers.
    pub(super) fn holds(&self) -> BTreeMap<ProviderKey, Holds> {
        self.of.iter().map(|(key, groups)| (key.clone(), groups.holds.clone())).collect()
    }

    /// The blocks of a provider.
    pub(super) fn blocks(&self, key: &ProviderKey) -> impl Iterator<Item = (BlockId, &Arc<Block>)> {
        self.of.get(key).into_iter().flat_map(|groups| groups.archive.blocks()).map(|(id, block)| (*id, block))
    }

    /// Why the groups of a block are held.
    pub(super) fn mark(&self, key: &ProviderKey, block: &Block) -> Mark {
        let holds = self.of.get(key).map(|groups| &groups.holds);
        let reason = |id: &GroupId| holds.and_then(|holds| holds.get(id)).map(|held| held.hold.reason);
        Mark::Groups(block.groups().iter().map(|head| reason(&head.id)).collect())
    }

    /// When time has to be told next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.of.values().filter_map(|groups| groups.next).min()
    }

    /// The kept entries in whose place this target comes, and whether each is the very same target.
    pub(super) fn replaced_by(&self, labels: &Labels) -> impl Iterator<Item = (&KeptPlace, bool)> {
        let places = if self.places.is_empty() { None } else { self.places.get(&scraped(labels)) };
        places.into_iter().flatten().map(|place| (place, self.target(place) == Some(labels)))
    }

    fn target(&self, place: &KeptPlace) -> Option<&Labels> {
        self.of.get(&place.provider)?.holds.get(&place.id)?.target.as_ref()
    }

    /// What it comes to that the time of these is over, or that another reading has confirmed their end.
    pub(super) fn lapsed(
        &self,
        places: Vec<KeptPlace>,
        keeping: &Keeping,
        now: Now,
    ) -> BTreeMap<ProviderKey, KeptEdit> {
        let mut of: BTreeMap<ProviderKey, Vec<GroupId>> = BTreeMap::new();
        for place in places {
            of.entry(place.provider).or_default().push(place.id);
        }
        let lapsed = |(key, ids): (ProviderKey, Vec<GroupId>)| {
            let edit = self.of.get(&key)?.lapsed(ids, keeping, now);
            Some((key, edit))
        };
        of.into_iter().filter_map(lapsed).collect()
    }

    /// Changes what is kept of a provider.
    pub(super) fn edit(&mut self, key: &ProviderKey, edit: KeptEdit, keeping: &Keeping) -> Vec<BlockChange> {
        let groups = self.of.entry(key.clone()).or_default();
        let mut changes = Edit::default();
        for id in edit.gone {
            let Some(held) = groups.remove(id) else { continue };
            changes.gone.push(id);
            let Some(target) = held.target else { continue };
            let target = scraped(&target);
            let Some(places) = self.places.get_mut(&target) else { continue };
            places.retain(|place| place.id != id || place.provider != *key);
            if places.is_empty() {
                self.places.remove(&target);
            }
        }
        for (group, hold) in edit.groups {
            // Whether it is polled is looked at when it is due.
            groups.next = groups.next.into_iter().chain(hold.end(keeping, false)).min();
            groups.insert(group.id(), hold);
            changes.groups.push(group);
        }
        let changes = groups.archive.apply(&changes);
        self.note(key, &changes);
        changes
    }

    fn note(&mut self, key: &ProviderKey, changes: &[BlockChange]) {
        let changed = self.changed.entry(key.clone()).or_default();
        changed.extend(changes.iter().map(|change| (change.id, change.after.clone())));
        if self.of.get(key).is_some_and(|groups| groups.holds.len() == 0) {
            self.of.remove(key);
        }
    }

    /// A kept entry is this target.
    pub(super) fn locate(&mut self, key: &ProviderKey, id: GroupId, labels: &Labels) {
        let Some(groups) = self.of.get_mut(key) else { return };
        let Some(held) = groups.holds.get(&id).filter(|held| held.target.as_ref() != Some(labels)).cloned() else {
            return;
        };
        self.places.entry(scraped(labels)).or_default().push(KeptPlace { provider: key.clone(), id });
        groups.holds.insert(id, KeptHold { target: Some(labels.clone()), ..held });
    }

    /// Lets go of what is not wanted any more: of other providers than these, or what the job does not keep now. Of a provider in
    /// whose place one with the same data came, that one has it. Relabelling begins anew: no targets are known. Returns what goes
    /// on in its time of grace.
    pub(super) fn follow(&mut self, wanted: &[ProviderKey], keeping: &Keeping, now: Now) -> KeptOn {
        let mut kept_on = KeptOn::default();
        self.places.clear();
        let before = std::mem::take(&mut self.of);
        let keys: HashSet<_> = before.keys().cloned().collect();
        for (key, mut groups) in before {
            let all = || groups.archive.blocks().keys().map(|id| (*id, None));
            let is_free = |twin: &ProviderKey| !keys.contains(twin) && !self.of.contains_key(twin);
            let twin = || wanted.iter().find(|twin| twin.data() == key.data() && is_free(twin));
            let Some(now_of) = wanted.iter().find(|other| **other == key).or_else(twin).cloned() else {
                self.changed.entry(key.clone()).or_default().extend(all());
                continue;
            };
            if now_of != key {
                self.changed.entry(key.clone()).or_default().extend(all());
                let blocks = groups.archive.blocks().iter().map(|(id, block)| (*id, Some(Arc::clone(block))));
                self.changed.entry(now_of.clone()).or_default().extend(blocks);
                groups.is_stored = false;
            }
            let is_over = |(id, held): (&GroupId, &KeptHold)| (!keeping.keeps(held.hold.reason)).then_some(*id);
            let over = groups.lapsed(groups.holds.iter().filter_map(is_over).collect(), keeping, now);
            let holds = std::mem::take(&mut groups.holds);
            groups.braked.clear();
            let stays = holds.iter().filter(|(_, held)| keeping.keeps(held.hold.reason));
            let place = |id| KeptPlace { provider: now_of.clone(), id };
            for (id, held) in stays {
                if held.hold.reason == HoldReason::Grace {
                    kept_on.grace.push(place(*id));
                }
                groups.insert(*id, KeptHold { target: None, ..held.clone() }.under(keeping));
            }
            let mut edit = Edit { gone: over.gone, ..Edit::default() };
            for (group, hold) in over.groups {
                kept_on.graced.push(place(group.id()));
                groups.insert(group.id(), hold);
                edit.groups.push(group);
            }
            groups.next = Some(now.instant);
            let changes = groups.archive.apply(&edit);
            self.of.insert(now_of.clone(), groups);
            self.note(&now_of, &changes);
        }
        kept_on
    }

    /// What was stored of a job that is gone.
    pub(super) fn restored(stored: Vec<(ProviderKey, Stored)>, now: Now) -> Self {
        let mut kept = Self::default();
        stored.into_iter().for_each(|(key, stored)| kept.restore(key, stored, &Keeping::default(), now));
        kept
    }

    /// Takes what was stored of a provider.
    pub(super) fn restore(&mut self, key: ProviderKey, stored: Stored, keeping: &Keeping, now: Now) {
        // What nobody kept for a while needs another head.
        let is_stored = stored.head.unused.is_none();
        let mut groups = KeptGroups { next: Some(now.instant), is_stored, ..KeptGroups::default() };
        let mut unknown = Edit::default();
        for block in stored.blocks.values() {
            let unpacked = block.unpack();
            for (group, head) in unpacked.groups().zip(block.groups()) {
                match KeptHold::from_key(group.key(), keeping, now) {
                    Some(hold) => groups.insert(head.id, hold),
                    None => unknown.gone.push(head.id),
                }
            }
        }
        groups.archive = Archive::restore(stored.blocks);
        let changes = groups.archive.apply(&unknown);
        self.of.insert(key.clone(), groups);
        self.note(&key, &changes);
    }

    /// What another reading of a provider confirms: what is braked for long enough, and did not come back by it.
    pub(super) fn confirmed(
        &self,
        key: &ProviderKey,
        provider: &Provider,
        keeping: &Keeping,
        now: Now,
        happened: &Happened,
    ) -> Vec<KeptPlace> {
        let Some(groups) = self.of.get(key).filter(|groups| !groups.braked.is_empty()) else { return Vec::new() };
        if keeping.confirm() != Some(Confirm::Reading) {
            return Vec::new();
        }
        let unread = groups.unreadable(provider);
        let is_confirmed = |id: &GroupId, held: &KeptHold| {
            let is_apart = now.instant.saturating_duration_since(held.at) >= APART;
            held.hold.reason == HoldReason::Braked && is_apart && !unread.contains(&id.source)
        };
        let confirmed = groups.holds.iter().filter(|kept| is_confirmed(kept.0, kept.1));
        let confirmed = confirmed.map(|(id, _)| KeptPlace { provider: key.clone(), id: *id });
        confirmed.filter(|place| !happened.has_returned(place)).collect()
    }

    /// What had its time. Of what is braked that ends only while its source can be read.
    pub(super) fn over(&mut self, keeping: &Keeping, providers: &Providers, now: Now) -> Vec<KeptPlace> {
        let mut over = Vec::new();
        for (key, groups) in &mut self.of {
            if groups.next.is_none_or(|next| next > now.instant) {
                continue;
            }
            let provider = providers.get(key);
            let reads = provider.is_some_and(|it| it.presence == ProviderPresence::Synced && it.is_reached());
            let polls = provider.is_none_or(Provider::polls);
            let unread = provider.map(|provider| groups.unreadable(provider)).unwrap_or_default();
            groups.next = None;
            for (id, held) in groups.holds.iter() {
                let Some(end) = held.end(keeping, polls) else { continue };
                let may_end = held.hold.reason != HoldReason::Braked || (reads && !unread.contains(&id.source));
                let next = match (end <= now.instant, may_end) {
                    (true, true) => {
                        over.push(KeptPlace { provider: key.clone(), id: *id });
                        continue;
                    }
                    (true, false) => now.instant + AGAIN.0,
                    (false, _) => end.max(now.instant + AGAIN.1),
                };
                groups.next = groups.next.into_iter().chain([next]).min();
            }
        }
        over
    }

    /// A provider reports otherwise than before: what it confirms has to be looked at again.
    pub(super) fn look_again(&mut self, key: &ProviderKey, now: Now) {
        if let Some(groups) = self.of.get_mut(key).filter(|groups| !groups.braked.is_empty()) {
            groups.next = Some(now.instant);
        }
    }

    /// All that is braked.
    pub(super) fn all_braked(&self) -> Vec<KeptPlace> {
        let of = |(key, groups): (&ProviderKey, &KeptGroups)| {
            let braked = groups.holds.iter().filter(|(_, held)| held.hold.reason == HoldReason::Braked);
            braked.map(|(id, _)| KeptPlace { provider: key.clone(), id: *id }).collect::<Vec<_>>()
        };
        self.of.iter().flat_map(of).collect()
    }

    /// Has what changed stored.
    pub(super) fn store(&mut self, job: &Arc<str>, effect: &mut Effect) {
        for (key, blocks) in std::mem::take(&mut self.changed) {
            let name = stored_name(job, &key);
            let Some(groups) = self.of.get_mut(&key) else {
                effect.forgotten.push(name);
                continue;
            };
            if !std::mem::replace(&mut groups.is_stored, true) {
                effect.heads.push((name.clone(), head_of(job, &key)));
            }
            effect.blocks.extend(blocks.into_iter().map(|(id, block)| (name.clone(), id, block)));
        }
    }

    /// What is stored of it, which nobody keeps any more: the job is gone.
    pub(super) fn left<'a>(&'a self, job: &'a Arc<str>) -> impl Iterator<Item = Left> + 'a {
        self.of.iter().map(move |(key, groups)| Left {
            key: stored_name(job, key),
            head: Some(head_of(job, key)),
            bytes: groups.archive.size() as u64,
        })
    }
}

/// What is stored beside what a job keeps of a provider.
fn head_of(job: &Arc<str>, key: &ProviderKey) -> Head {
    Head { jobs: [Arc::clone(job)].into(), kept: Some(key.shared()), ..Head::default() }
}
