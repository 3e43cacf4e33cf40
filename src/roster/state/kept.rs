//! What a job keeps of what its sources no longer have: braked, or in its time of grace. Pure.
//!
//! Each kept entry is a group of its own, in blocks of the job's own that stand behind those of the provider it came from. So it is
//! relabelled, shown, counted and stored as any other. A target is kept once, and only while no source says it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_discovery::ProviderKey;
use rosterd_model::target::Target;
use rosterd_model::{GroupId, Labels, SourceId, TargetGroup};
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3Default;

use super::job::Happened;
use super::provider::{Provider, Providers, Stored};
use crate::roster::archive::{Archive, BlockChange, Edit};
use crate::roster::block::{Block, BlockId, RawEntry};
use crate::roster::brake::{APART, Confirm, STILL};
use crate::roster::clock::Now;
use crate::roster::head::Head;
use crate::roster::hold::{Hold, HoldReason, Mark};
use crate::roster::job::Keeping;
use crate::roster::step::{LetGo, Stay};
use crate::roster::tree::Tree;
use crate::roster::view::ProviderPresence;

use super::Effect;

/// How soon it is looked again what is due while the source cannot be read, and how often at most whether anything is due.
const AGAIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// The name in the store of what a job keeps of a provider begins with this, as that of no provider does.
pub(in crate::roster) const STORED: &str = "+kept/";

/// All that a job keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    of: BTreeMap<ProviderKey, KeptGroups>,
    /// Where each is, by what is scraped.
    places: HashMap<u64, Vec<KeptPlace>>,
    /// What has to be stored, for each provider.
    changed: BTreeMap<ProviderKey, BTreeMap<BlockId, Option<Arc<Block>>>>,
}

/// What a job keeps of a provider.
#[derive(Debug, Default)]
struct KeptGroups {
    archive: Archive,
    holds: Holds,
    /// How many are braked, by since when.
    braked: BTreeMap<SystemTime, usize>,
    /// When the time of some may be over.
    next: Option<Instant>,
    /// Whether it has a head in the store.
    is_stored: bool,
}

/// Why each kept group is.
pub(in crate::roster) type Holds = Tree<GroupId, KeptHold>;

/// Why an entry is kept, and what it is.
#[derive(Debug, Clone)]
pub(in crate::roster) struct KeptHold {
    pub(in crate::roster) hold: Hold,
    /// Since when, on the clock that only goes forward.
    at: Instant,
    /// The target, once it is counted.
    target: Option<Labels>,
}

/// Where a kept entry is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeptPlace {
    pub(super) provider: ProviderKey,
    pub(super) id: GroupId,
}

/// What is kept on under another configuration.
#[derive(Debug, Default)]
pub(super) struct KeptOn {
    /// What was braked and goes on in its time of grace.
    graced: Vec<KeptPlace>,
    /// What goes on in it as before.
    grace: Vec<KeptPlace>,
}

/// What changes of what is kept of a provider.
#[derive(Debug, Default)]
pub(super) struct KeptEdit {
    pub(super) groups: Vec<(TargetGroup, KeptHold)>,
    pub(super) gone: Vec<GroupId>,
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

impl KeptHold {
    pub(super) fn new(reason: HoldReason, keeping: &Keeping, now: Now) -> Self {
        Self { hold: Hold::new(reason, now.wall), at: now.instant, target: None }.under(keeping)
    }

    /// The same, with the settings that a job has now.
    fn under(mut self, keeping: &Keeping) -> Self {
        self.hold.until = keeping.longest(self.hold.reason).map(|time| self.hold.since + time);
        self
    }

    /// When time may end it.
    fn end(&self, keeping: &Keeping, polls: bool) -> Option<Instant> {
        let own = keeping.longest(self.hold.reason);
        let still = || {
            (self.hold.reason == HoldReason::Braked && keeping.confirm()? == Confirm::Reading && !polls)
                .then_some(STILL)
        };
        Some(self.at + own.or_else(still)?)
    }

    /// What it is held for when nothing brakes it any more: its time of grace, if it has one left since its source said that it is gone.
    fn graced(&self, keeping: &Keeping, now: Now) -> Option<Self> {
        let has_left = self.hold.reason == HoldReason::Braked && self.at + keeping.grace > now.instant;
        let hold = Hold::new(HoldReason::Grace, self.hold.since);
        has_left.then(|| Self { hold, target: None, ..self.clone() }.under(keeping))
    }

    /// The key of the group of an entry with this hash, which says after a restart what is to be known of it.
    fn key(&self, entry: u64) -> String {
        let since = self.hold.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{},{},{entry:016x}", self.hold.reason.as_str(), since.as_millis())
    }

    /// The group that an entry of this source, with this hash, is kept as.
    pub(super) fn group(&self, source: &str, entry: RawEntry<'_>, hash: u64) -> TargetGroup {
        TargetGroup { source: source.into(), key: self.key(hash).into(), ..entry.alone() }
    }

    fn from_key(key: &str, keeping: &Keeping, now: Now) -> Option<Self> {
        let mut parts = key.split(',');
        let reason = match parts.next()? {
            "braked" => HoldReason::Braked,
            "grace" => HoldReason::Grace,
            _ => return None,
        };
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(parts.next()?.parse().ok()?))?;
        // A calendar that was put back makes it no longer than it would be anew.
        let age = now.wall.duration_since(since).unwrap_or_default();
        let at = now.instant.checked_sub(age).unwrap_or(now.instant);
        Some(Self { hold: Hold::new(reason, since), at, target: None }.under(keeping))
    }
}

impl KeptGroups {
    fn insert(&mut self, id: GroupId, hold: KeptHold) {
        self.remove(id);
        if hold.hold.reason == HoldReason::Braked {
            *self.braked.entry(hold.hold.since).or_default() += 1;
        }
        self.holds.insert(id, hold);
    }

    fn remove(&mut self, id: GroupId) -> Option<KeptHold> {
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
    fn lapsed(&self, ids: Vec<GroupId>, keeping: &Keeping, now: Now) -> KeptEdit {
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

    /// Takes what was stored of a provider.
    pub(super) fn restore(&mut self, key: ProviderKey, stored: Stored, keeping: &Keeping, now: Now) {
        let mut groups = KeptGroups { next: Some(now.instant), is_stored: true, ..KeptGroups::default() };
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

    /// What it comes to that nothing holds these any more for what they are held for, by why they are.
    pub(super) fn let_go(&self, places: &[KeptPlace], keeping: &Keeping, now: Now) -> BTreeMap<HoldReason, LetGo> {
        let mut reasons = BTreeMap::<_, LetGo>::new();
        for place in places {
            if let Some(held) = self.of.get(&place.provider).and_then(|groups| groups.holds.get(&place.id)) {
                let ended = reasons.entry(held.hold.reason).or_default();
                ended.targets += 1;
                ended.stay = held.graced(keeping, now).map_or(ended.stay, |graced| longer(ended.stay, &graced));
            }
        }
        reasons
    }

    /// How many are kept for each reason.
    pub(super) fn reasons(&self) -> BTreeMap<HoldReason, usize> {
        let reasons = [(HoldReason::Braked, self.braked_len()), (HoldReason::Grace, self.len() - self.braked_len())];
        reasons.into_iter().filter(|(_, targets)| *targets > 0).collect()
    }

    /// What a configuration has let go of, where so many were kept before for each reason, and these were kept on at first: other
    /// rules may have dropped some of them.
    pub(super) fn ended_since(
        &self,
        before: &BTreeMap<HoldReason, usize>,
        kept_on: &KeptOn,
    ) -> BTreeMap<HoldReason, LetGo> {
        let of = |reason| before.get(&reason).copied().unwrap_or_default();
        let hold = |place: &KeptPlace| self.of.get(&place.provider)?.holds.get(&place.id);
        let stay = kept_on.graced.iter().filter_map(hold).fold(None, longer);
        let braked = of(HoldReason::Braked).saturating_sub(self.braked_len());
        let grace = of(HoldReason::Grace).saturating_sub(kept_on.grace.iter().filter_map(hold).count());
        let ended = [
            (HoldReason::Braked, LetGo { targets: braked, stay }),
            (HoldReason::Grace, LetGo { targets: grace, stay: None }),
        ];
        ended.into_iter().filter(|(_, ended)| ended.targets > 0).collect()
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
                let head = Head { jobs: [Arc::clone(job)].into(), kept: Some(key.shared()), ..Head::default() };
                effect.heads.push((name.clone(), head));
            }
            effect.blocks.extend(blocks.into_iter().map(|(id, block)| (name.clone(), id, block)));
        }
    }

    /// Has nothing of it stored any more: the job is gone.
    pub(super) fn forget(&self, job: &Arc<str>, effect: &mut Effect) {
        effect.forgotten.extend(self.of.keys().map(|key| stored_name(job, key)));
    }
}

impl KeptGroups {
    /// The sources of which it is not known now what they have.
    fn unreadable(&self, provider: &Provider) -> HashSet<SourceId> {
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

/// With one more that stays.
fn longer(stay: Option<Stay>, hold: &KeptHold) -> Option<Stay> {
    let until = hold.hold.until.unwrap_or(hold.hold.since);
    Some(
        stay.map_or(Stay { targets: 1, until }, |stay| Stay {
            targets: stay.targets + 1,
            until: stay.until.max(until),
        }),
    )
}

/// Under which name it is stored what a job keeps of a provider.
fn stored_name(job: &str, key: &ProviderKey) -> ProviderKey {
    ProviderKey::new(format!("{STORED}{}/{job}/{key}", job.len()))
}
