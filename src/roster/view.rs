//! What others see of the roster: immutable snapshots, one for each job, replaced whole when the job changed.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Builder, Coded, Labels, Priority};
use serde::Serialize;

use super::block::{Block, BlockId, GroupNumber, KEPT, Walk};
use super::emptied::{Emptied, EmptiedJobs};
use super::entries::Entries;
use super::hold::{Held, Hold, HoldReason, Mark, Missing};
use super::job::JobSpec;
use super::pages::{Pages, Slot};
use super::state::{Holds, KeptHold};
use super::target::Entry;
use super::tree::Tree;

/// What the roster knows of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderPresence {
    /// Nothing: it has never reported, and nothing was stored. Not the same as having no targets.
    Unsynced,
    /// What it reported before this process started, read from the store.
    Restored,
    /// What it reported to this process.
    Synced,
}

/// A provider of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderView {
    /// Its name.
    pub key: ProviderKey,
    /// What is known of it.
    pub presence: ProviderPresence,
    /// Whether all that is known of it is from before this process.
    pub restored: bool,
    /// How much.
    pub size: ProviderSize,
    /// Whether it reads all of its sources again and again, and confirms by that what is braked.
    pub polls: bool,
}

/// How much is known of a provider, whoever said it and when: what is held of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderSize {
    /// Whether anything is, were it that it has no targets.
    pub known: bool,
    /// Groups with targets.
    pub groups: usize,
    /// Targets, before relabelling.
    pub targets: usize,
}

/// Why the list of a job must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotServable {
    /// Nothing is known of some of its providers or sources yet.
    #[error("the targets of job {job:?} are not known yet: {}", list(.missing))]
    Unsynced {
        /// The job.
        job: Arc<str>,
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// It has more targets than its `target_limit`.
    #[error(
        "job {job:?}: target_limit exceeded (number of targets: {targets}, limit: {limit}): raise it, or drop some by relabel_configs"
    )]
    TargetLimit {
        /// The job.
        job: Arc<str>,
        /// How many targets it has.
        targets: usize,
        /// Its limit.
        limit: usize,
    },
}

/// How much of what is missing an error tells one by one.
const TOLD: usize = 5;

fn list(missing: &[Missing]) -> String {
    let told = missing.iter().take(TOLD).map(Missing::to_string).collect::<Vec<_>>().join("; ");
    match missing.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

impl Coded for NotServable {
    fn code(&self) -> &'static str {
        match self {
            Self::Unsynced { .. } => "roster_unsynced",
            Self::TargetLimit { .. } => "roster_target_limit",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Unsynced { .. } => Priority::Retry,
            Self::TargetLimit { .. } => Priority::Operator,
        }
    }
}

/// How many entries of target groups became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Distinct targets.
    pub targets: usize,
    /// Entries that came out equal to another one.
    pub duplicates: usize,
    /// Entries that relabelling dropped.
    pub dropped: usize,
    /// Entries that cannot be targets.
    pub failed: usize,
    /// Entries that are held.
    pub held: HeldCounts,
}

/// How many entries of target groups that became targets are held, for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HeldCounts {
    restored: usize,
    unread: usize,
    replaced: usize,
    braked: usize,
    grace: usize,
}

impl HeldCounts {
    /// How many are held for this reason.
    pub fn of(&self, reason: HoldReason) -> usize {
        match reason {
            HoldReason::Restored => self.restored,
            HoldReason::Unread => self.unread,
            HoldReason::Replaced => self.replaced,
            HoldReason::Braked => self.braked,
            HoldReason::Grace => self.grace,
        }
    }

    pub(super) fn count_in(&mut self, reason: Option<HoldReason>) {
        if let Some(reason) = reason {
            *self.of_mut(reason) += 1;
        }
    }

    pub(super) fn count_out(&mut self, reason: Option<HoldReason>) {
        if let Some(reason) = reason {
            *self.of_mut(reason) -= 1;
        }
    }

    fn of_mut(&mut self, reason: HoldReason) -> &mut usize {
        match reason {
            HoldReason::Restored => &mut self.restored,
            HoldReason::Unread => &mut self.unread,
            HoldReason::Replaced => &mut self.replaced,
            HoldReason::Braked => &mut self.braked,
            HoldReason::Grace => &mut self.grace,
        }
    }
}

/// A job at one moment. Shares all that did not change with the one before and the one after.
#[derive(Debug, Clone)]
pub struct JobView {
    pub(super) spec: Arc<JobSpec>,
    pub(super) providers: Vec<ProviderView>,
    /// Whether anything is known of it, were it that it has no targets.
    pub(super) known: bool,
    pub(super) missing: Vec<Missing>,
    /// What is held of which provider.
    pub(super) held: BTreeMap<ProviderKey, Held>,
    /// Why each group is held that the job keeps of a provider.
    pub(super) kept: BTreeMap<ProviderKey, Holds>,
    /// Since when targets are braked, the first and the last, while any are.
    pub(super) braked: Option<(SystemTime, SystemTime)>,
    /// Providers of which all that is braked may still come, as not all was read yet.
    pub(super) awaited: Vec<ProviderKey>,
    pub(super) pages: Pages,
    /// The blocks of each provider, in the order of the configuration, then those of providers that were replaced.
    pub(super) blocks: Vec<(ProviderKey, Tree<BlockId, Worked>)>,
    pub(super) counts: Counts,
}

/// A block of discovered groups and what became of its entries in a job.
#[derive(Debug, Clone)]
pub(super) struct Worked {
    pub(super) block: Arc<Block>,
    pub(super) entries: Entries,
    /// Which of its groups are held.
    pub(super) held: Mark,
}

impl Worked {
    /// Hands over the targets among its entries that are held by these, each with its group and why.
    pub(super) fn each_held<'a>(&'a self, mut each: impl FnMut(usize, &'a Labels, HoldReason)) {
        for group in 0..self.block.groups().len() {
            let Some(hold) = self.held.of(group) else { continue };
            for entry in &self.entries[self.block.entries_of(group)] {
                if let Entry::Active(labels) = entry {
                    each(group, labels, hold);
                }
            }
        }
    }
}

/// A block of discovered groups and what became of its entries in a job.
#[derive(Debug, Clone, Copy)]
pub struct BlockView<'a> {
    provider: &'a ProviderKey,
    id: BlockId,
    worked: &'a Worked,
}

impl<'a> BlockView<'a> {
    /// Calls `see` for those of these entries that are wanted, with the source, the labels before relabelling (the job's defaults included,
    /// as Prometheus shows them), and what became of it, until `see` has enough. No more is unpacked than that takes.
    pub fn each(
        self,
        entries: Range<usize>,
        wanted: impl Fn(&Entry) -> bool,
        spec: &JobSpec,
        labels: &mut Builder,
        mut see: impl FnMut(&str, &mut Builder, &Entry) -> ControlFlow<()>,
    ) {
        let mut unpacked = self.worked.block.first_entries();
        for (at, entry) in self.entries().iter().enumerate().take(entries.end) {
            let Some((source, raw)) = unpacked.next_entry() else { return };
            if at < entries.start || !wanted(entry) {
                continue;
            }
            raw.load(labels);
            spec.add_defaults(labels);
            if see(source, labels, entry).is_break() {
                return;
            }
        }
    }

    /// Loads the discovered labels of an entry, without the job's defaults. Returns its source, and which of the source's
    /// groups it belongs to; of what is kept that is not known any more, and the empty name of an only one.
    pub fn load(self, entry: usize, labels: &mut Builder) -> Option<(String, String)> {
        let heads = self.worked.block.groups();
        let index = heads.partition_point(|head| head.first as usize <= entry).checked_sub(1)?;
        let unpacked = self.worked.block.unpack();
        let group = unpacked.groups().nth(index)?;
        group.entries().nth(entry - heads[index].first as usize)?.load(labels);
        let key = if self.id < KEPT { group.key() } else { "" };
        Some((group.source().to_owned(), key.to_owned()))
    }

    /// The discovered labels of its entries, in order, for reading with pauses in between. The job's defaults are not
    /// among them.
    pub fn walk(self) -> Walk {
        self.worked.block.walk()
    }

    /// Where the groups come from.
    pub fn provider(self) -> &'a ProviderKey {
        self.provider
    }

    /// The number of the group that an entry belongs to, and which of the group's entries it is: where the entry is found
    /// again, as long as the group does not change, whatever becomes of others and of the block.
    pub fn group_of(self, entry: usize) -> Option<(GroupNumber, usize)> {
        let head = self.worked.block.group_of(entry)?;
        Some((self.id + u64::from(head.offset), entry - head.first as usize))
    }

    /// The memory that its groups take, in bytes, without what became of them.
    pub fn size(self) -> usize {
        self.worked.block.size()
    }

    /// How much it is when it is unpacked, in bytes.
    pub fn unpacked_size(self) -> usize {
        self.worked.block.unpacked_size()
    }

    /// What became of its entries, in order.
    pub fn entries(self) -> &'a [Entry] {
        &self.worked.entries
    }
}

/// The jobs that a list of all of these has. Jobs of which nothing at all is known, and that had their time, do not keep the
/// others from consumers; where there are no others, there is no list.
pub fn servable(jobs: &[Arc<JobView>]) -> Result<Vec<Arc<JobView>>, NotServable> {
    let (unknown, known): (Vec<_>, Vec<_>) = jobs.iter().cloned().partition(|job| job.is_given_up());
    known.iter().try_for_each(|job| job.servable())?;
    match unknown.first().filter(|_| known.is_empty()) {
        Some(job) => job.servable().map(|()| known),
        None => Ok(known),
    }
}

impl JobView {
    /// The job.
    pub fn spec(&self) -> &Arc<JobSpec> {
        &self.spec
    }

    /// Its providers, and what is known of each.
    pub fn providers(&self) -> &[ProviderView] {
        &self.providers
    }

    /// Providers and sources of which nothing is known.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Whether the list of targets may be handed out: unknown is not empty. What is missing for longer than its time of
    /// grace does not keep the rest away; where nothing at all is known there is no rest.
    pub fn servable(&self) -> Result<(), NotServable> {
        if !self.known || self.missing.iter().any(|missing| !missing.overdue) {
            return Err(NotServable::Unsynced { job: Arc::clone(&self.spec.name), missing: self.missing.clone() });
        }
        self.within_limit()
    }

    /// The job as its sources say now that it is: without what is held. Of one whose provider has not reported to this process that
    /// is not known, were it known how it was.
    pub fn without_held(&self) -> Result<Self, NotServable> {
        let waits = self.providers.iter().filter(|provider| provider.presence != ProviderPresence::Synced);
        // One of which a source is missing has not reported yet either: that source was missing before the process began, too.
        let is_missing = |key: &ProviderKey| {
            self.missing.iter().any(|missing| missing.provider == *key && missing.source.is_none()) //
        };
        let waits = waits.filter(|it| !is_missing(&it.key));
        let mut missing = self.missing.clone();
        let unknown =
            |it: &ProviderView| Missing { provider: it.key.clone(), source: None, overdue: false, report: None };
        missing.extend(waits.map(unknown));
        if missing.len() > self.missing.len() {
            return Err(NotServable::Unsynced { job: Arc::clone(&self.spec.name), missing });
        }
        let pages = self.pages.without_held();
        let counts = Counts { targets: pages.len(), duplicates: pages.duplicates(), ..self.counts };
        Ok(Self { pages, counts, ..self.clone() })
    }

    /// Whether nothing at all is known of it, and nothing is waited for any more.
    pub fn is_given_up(&self) -> bool {
        !self.known && self.missing.iter().all(|missing| missing.overdue)
    }

    /// Hands over the target of each entry that is held, and why that is. Others may say some of them.
    pub(super) fn each_held<'a>(&'a self, mut each: impl FnMut(&'a Labels, HoldReason)) {
        let worked = self.blocks.iter().flat_map(|(_, blocks)| blocks.iter().map(|(_, worked)| worked));
        worked.for_each(|worked| worked.each_held(|_, labels, reason| each(labels, reason)));
    }

    /// Why the target of an entry is held, if it is: whether all its entries are, and why this one is.
    pub fn hold(&self, block: BlockView<'_>, entry: usize) -> Option<Hold> {
        let Entry::Active(labels) = block.entries().get(entry)? else { return None };
        let group = block.worked.block.group_of(entry)?.id;
        let hold = match block.id < KEPT {
            true => self.held.get(block.provider)?.of(group.source),
            false => self.kept.get(block.provider)?.get(&group).map(|kept| kept.hold),
        };
        hold.filter(|_| self.slot(labels).is_some_and(Slot::is_held))
    }

    /// Since when a removal of targets is held that nothing has confirmed, if one is.
    pub fn braked(&self) -> Option<SystemTime> {
        self.braked.map(|(first, _)| first)
    }

    /// Since when the last of them is.
    pub fn braked_last(&self) -> Option<SystemTime> {
        self.braked.map(|(_, last)| last)
    }

    /// Whether all that is braked of a provider was not there since rosterd began to read it, and may still come.
    pub fn awaits(&self, provider: &ProviderKey) -> bool {
        self.awaited.contains(provider)
    }

    /// The providers of which targets are braked.
    pub fn braked_by(&self) -> impl Iterator<Item = &ProviderKey> {
        let is_braked = |held: &KeptHold| held.hold.reason == HoldReason::Braked;
        self.kept.iter().filter(move |(_, holds)| holds.values().any(is_braked)).map(|(key, _)| key)
    }

    /// When the last time of grace of a target is over, if one has such a time.
    pub fn grace_until(&self) -> Option<SystemTime> {
        let of_grace = |held: &&KeptHold| held.hold.reason == HoldReason::Grace;
        self.kept.values().flat_map(|holds| holds.values().filter(of_grace).filter_map(|held| held.hold.until)).max()
    }

    /// How many targets are braked of each provider.
    pub fn braked_of(&self) -> BTreeMap<ProviderKey, usize> {
        let is_braked = |held: &&KeptHold| held.hold.reason == HoldReason::Braked;
        let of = |(key, holds): (&ProviderKey, &Holds)| (key.clone(), holds.values().filter(is_braked).count());
        self.kept.iter().map(of).filter(|(_, braked)| *braked > 0).collect()
    }

    /// Whether the job has no more targets than its `target_limit`.
    pub fn within_limit(&self) -> Result<(), NotServable> {
        let (targets, limit) = (self.counts.targets, self.spec.limits.targets);
        if limit > 0 && targets > limit {
            return Err(NotServable::TargetLimit { job: Arc::clone(&self.spec.name), targets, limit });
        }
        Ok(())
    }

    /// A hash of all targets: equal lists have equal revisions, also after a restart.
    pub fn revision(&self) -> u128 {
        self.pages.revision()
    }

    /// How many entries became what.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The distinct targets, in pages.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The distinct targets.
    pub fn targets(&self) -> impl Iterator<Item = &Slot> {
        self.pages.iter().flat_map(|page| page.slots())
    }

    /// The slot of a target: how many origins it has.
    pub fn slot(&self, labels: &Labels) -> Option<&Slot> {
        self.pages.get(labels)
    }

    /// Whether several entries come to this target.
    pub fn has_several_origins(&self, labels: &Labels) -> bool {
        self.counts.duplicates > 0 && self.slot(labels).is_some_and(|slot| slot.origins > 1)
    }

    /// Discovered groups and what became of their entries, in the order of discovery.
    pub fn blocks(&self) -> impl Iterator<Item = BlockView<'_>> {
        self.blocks
            .iter()
            .flat_map(|(provider, blocks)| blocks.iter().map(|(id, worked)| BlockView { provider, id: *id, worked }))
    }

    /// The block with this many others before it.
    pub fn block(&self, mut index: usize) -> Option<BlockView<'_>> {
        for (provider, blocks) in &self.blocks {
            if let Some((id, worked)) = blocks.nth(index) {
                return Some(BlockView { provider, id: *id, worked });
            }
            index -= blocks.len();
        }
        None
    }

    /// Where an entry of a group is: the block, and the entry in it. If the group is not there any more, that is where the
    /// next one begins; if the job does not have the provider, it is the very beginning.
    pub fn place_of(&self, provider: &str, group: GroupNumber, entry: usize) -> (usize, usize) {
        let Some(at) = self.blocks.iter().position(|(key, _)| key.as_str() == provider) else { return (0, 0) };
        let (before, blocks) = (&self.blocks[..at], &self.blocks[at].1);
        let before = before.iter().map(|(_, blocks)| blocks.len()).sum::<usize>();
        let Some((id, worked)) = blocks.floor(&group) else { return (before, 0) };
        let (here, heads) = (before + blocks.rank(id), worked.block.groups());
        let index = heads.partition_point(|head| id + u64::from(head.offset) < group);
        match heads.get(index) {
            Some(head) if id + u64::from(head.offset) == group => {
                let entries = worked.block.entries_of(index);
                (here, (entries.start + entry).min(entries.end))
            }
            Some(head) => (here, head.first as usize),
            None => (here + 1, 0),
        }
    }
}

/// All jobs at one moment. A copy costs a pointer.
#[derive(Debug, Clone, Default)]
pub struct RosterView {
    /// The number of the last step.
    pub(super) step: u64,
    pub(super) jobs: Tree<Arc<str>, Arc<JobView>>,
    /// Jobs of which nothing is left since what was braked of them went.
    pub(super) emptied: EmptiedJobs,
}

impl RosterView {
    /// The number of the last step; 0 as long as there was none, and so no job.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// A job by its name.
    pub fn job(&self, name: &str) -> Option<&Arc<JobView>> {
        self.jobs.get(name)
    }

    /// All jobs, by name.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = &Arc<JobView>> {
        self.jobs.values()
    }

    /// Whether a job has no target since what was braked of it was confirmed to be gone, as far as this process knows.
    pub fn emptied(&self, job: &str) -> Option<Emptied> {
        self.emptied.get(job).copied()
    }

    /// A provider that these jobs use.
    pub fn provider(&self, key: &ProviderKey, jobs: &[Arc<str>]) -> Option<&ProviderView> {
        jobs.iter()
            .filter_map(|job| self.job(job))
            .flat_map(|job| job.providers())
            .find(|provider| provider.key == *key)
    }

    /// Providers of any job of which nothing was heard since this process started, restored or not.
    pub fn waiting_for(&self) -> Vec<ProviderKey> {
        let providers = self.jobs().flat_map(|job| job.providers.iter());
        let mut missing: Vec<_> =
            providers.filter(|it| it.presence != ProviderPresence::Synced).map(|it| it.key.clone()).collect();
        missing.sort();
        missing.dedup();
        missing
    }
}
