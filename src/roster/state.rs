//! The roster's state and the three things that can happen to it: other jobs, restored groups, an update. No I/O, no
//! clock, no tasks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rosterd_discovery::{ProviderKey, UnreadSources, Update};
use rosterd_model::{Names, SourceId};

use super::archive::{Archive, BlockChange, Edit};
use super::block::{Block, BlockId};
use super::job::JobSpec;
use super::pages::{Pages, Turn};
use super::target::{Entry, Failure, Workbench, populate};
use super::tree::Tree;
use super::view::{Counts, JobView, Knowledge, RosterView, Worked};

/// What an event did to the roster.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// The jobs whose targets or knowledge changed.
    pub(super) jobs: BTreeMap<Arc<str>, Delta>,
    /// Blocks to write to the store.
    pub(super) blocks: Vec<(ProviderKey, BlockId, Option<Arc<Block>>)>,
    /// Providers that reported for the first time.
    pub(super) synced: Vec<ProviderKey>,
    /// Providers that no job uses any more.
    pub(super) forgotten: Vec<ProviderKey>,
    /// What relabelling had to do.
    pub(super) tally: Tally,
}

/// What relabelling had to do for an event.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How many entries were relabelled.
    pub(super) relabelled: u64,
    /// How many of them cannot be targets.
    pub(super) failed: u64,
    /// The first of these, for the log.
    pub(super) failures: Vec<(Arc<str>, Arc<Failure>)>,
}

/// How many failures of an event are told one by one.
const TOLD: usize = 5;

/// What changed in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Delta {
    pub(super) added: u64,
    pub(super) removed: u64,
}

/// All providers' groups and all jobs' targets.
#[derive(Debug, Default)]
pub(super) struct State {
    providers: BTreeMap<ProviderKey, Provider>,
    /// How many of them are restored.
    restored: usize,
    jobs: BTreeMap<Arc<str>, Job>,
    bench: Workbench,
    view: RosterView,
}

#[derive(Debug)]
struct Provider {
    archive: Archive,
    knowledge: Knowledge,
    /// Sources that it could not read lately, as it told last.
    unread: Arc<UnreadSources>,
    /// The jobs that use it.
    jobs: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Job {
    spec: Arc<JobSpec>,
    /// The blocks of each of its providers.
    blocks: BTreeMap<ProviderKey, Tree<BlockId, Worked>>,
    pages: Pages,
    counts: Counts,
    names: Names,
}

impl State {
    /// The roster as others see it now.
    pub(super) fn view(&self) -> RosterView {
        self.view.clone()
    }

    /// How many providers are known only from the store.
    pub(super) fn restored(&self) -> usize {
        self.restored
    }

    /// Takes the jobs of a configuration in place of those before. A job that relabels as before is not relabelled.
    pub(super) fn set_jobs(&mut self, specs: Vec<JobSpec>) -> Effect {
        let mut effect = Effect::default();
        let used: BTreeSet<_> = specs.iter().flat_map(|spec| spec.providers.iter().cloned()).collect();
        effect.forgotten = self.providers.keys().filter(|key| !used.contains(*key)).cloned().collect();
        for key in used {
            self.providers.entry(key).or_insert_with(Provider::new).jobs.clear();
        }
        let mut before = std::mem::take(&mut self.jobs);
        for spec in specs {
            let name = Arc::clone(&spec.name);
            let kept = before.remove(&name);
            let unchanged = kept.as_ref().is_some_and(|job| *job.spec == spec);
            let (mut job, replaced) = match kept {
                Some(mut job) if job.spec.relabels_like(&spec) => {
                    job.spec = Arc::new(spec);
                    (job, None)
                }
                replaced => (Job::new(spec), replaced),
            };
            if !unchanged {
                let mut delta = job.follow_providers(&self.providers, &mut self.bench, &mut effect.tally);
                if let Some(old) = replaced {
                    delta = job.compare(&old);
                }
                effect.jobs.insert(Arc::clone(&name), delta);
            }
            for key in &job.spec.providers {
                self.providers.get_mut(key).expect("each provider in use was added").jobs.push(Arc::clone(&name));
            }
            self.jobs.insert(name, job);
        }
        for (name, job) in before {
            effect.jobs.insert(name, Delta { added: 0, removed: job.pages.len() as u64 });
        }
        for key in &effect.forgotten {
            let known = self.providers.remove(key).map(|provider| provider.knowledge);
            self.restored -= usize::from(known == Some(Knowledge::Restored));
        }
        self.refresh_view(&effect);
        effect
    }

    /// Takes what a provider reported before this process started. Ignored once the provider has reported itself.
    pub(super) fn restore(&mut self, key: &ProviderKey, blocks: BTreeMap<BlockId, Arc<Block>>) -> Effect {
        let mut effect = Effect::default();
        let Some(provider) = self.providers.get_mut(key).filter(|it| it.knowledge == Knowledge::Unsynced) else {
            return effect;
        };
        let (archive, moved) = Archive::restore(blocks);
        effect.blocks.extend(moved.into_iter().map(|change| (key.clone(), change.id, change.after)));
        let changes: Vec<_> = archive.blocks().iter().map(|(id, block)| new(*id, block)).collect();
        provider.archive = archive;
        provider.knowledge = Knowledge::Restored;
        self.restored += 1;
        self.spread(key, &changes, true, &mut effect);
        effect
    }

    /// Takes what a provider reports now.
    pub(super) fn update(&mut self, update: Update) -> Effect {
        let mut effect = Effect::default();
        // A provider that was just removed may still have had something to say.
        let Some(provider) = self.providers.get_mut(&update.provider) else { return effect };
        let first = update.whole && provider.knowledge != Knowledge::Synced;
        if first {
            let before = std::mem::replace(&mut provider.knowledge, Knowledge::Synced);
            self.restored -= usize::from(before == Knowledge::Restored);
            effect.synced.push(update.provider.clone());
        }
        let key = update.provider.clone();
        let changes = provider.take(update);
        effect.blocks.extend(changes.iter().map(|change| (key.clone(), change.id, change.after.clone())));
        self.spread(&key, &changes, first, &mut effect);
        effect
    }

    /// Brings changed blocks to the jobs that use the provider.
    fn spread(&mut self, key: &ProviderKey, changes: &[BlockChange], news: bool, effect: &mut Effect) {
        if changes.is_empty() && !news {
            return;
        }
        for name in self.providers.get(key).into_iter().flat_map(|provider| &provider.jobs) {
            let job = self.jobs.get_mut(name).expect("a provider knows the jobs that use it");
            let delta = job.change(key, changes, &mut self.bench, &mut effect.tally);
            effect.jobs.insert(Arc::clone(name), delta);
        }
        self.refresh_view(effect);
    }

    fn refresh_view(&mut self, effect: &Effect) {
        for name in effect.jobs.keys() {
            match self.jobs.get(name) {
                Some(job) => drop(self.view.jobs.insert(Arc::clone(name), Arc::new(job.view(&self.providers)))),
                None => drop(self.view.jobs.remove(name)),
            }
        }
    }
}

impl Provider {
    fn new() -> Self {
        Self { archive: Archive::default(), knowledge: Knowledge::Unsynced, unread: Arc::default(), jobs: Vec::new() }
    }

    /// Takes an update: what is stored of a source that could not be read stays until it can.
    fn take(&mut self, update: Update) -> Vec<BlockChange> {
        let was_read = |name: &Arc<str>| update.unread.get(name).is_none_or(|unread| unread.known);
        let first_read = self.unread.iter().filter(|(name, before)| !before.known && was_read(name));
        let edit = Edit {
            replaced: first_read.map(|(name, _)| SourceId::of(name)).collect(),
            unread: update.unread.keys().map(|name| SourceId::of(name)).collect(),
            groups: update.groups,
            gone: update.gone,
            whole: update.whole,
        };
        self.unread = update.unread;
        self.archive.apply(&edit)
    }
}

impl Job {
    fn new(spec: JobSpec) -> Self {
        Self {
            spec: Arc::new(spec),
            blocks: BTreeMap::new(),
            pages: Pages::default(),
            counts: Counts::default(),
            names: Names::new(),
        }
    }

    /// Makes the job's blocks those of its providers.
    fn follow_providers(
        &mut self,
        providers: &BTreeMap<ProviderKey, Provider>,
        bench: &mut Workbench,
        tally: &mut Tally,
    ) -> Delta {
        let mut total = Delta::default();
        let left: BTreeSet<_> = self.blocks.keys().cloned().collect();
        let spec = Arc::clone(&self.spec);
        for key in left.iter().filter(|key| !spec.providers.contains(*key)) {
            let gone: Vec<_> = self.blocks[key].iter().map(|(id, _)| BlockChange { id: *id, after: None }).collect();
            total += self.change(key, &gone, bench, tally);
            self.blocks.remove(key);
        }
        for key in spec.providers.iter().filter(|key| !left.contains(*key)) {
            let blocks = providers.get(key).map(|provider| provider.archive.blocks());
            let new: Vec<_> = blocks.into_iter().flatten().map(|(id, block)| new(*id, block)).collect();
            total += self.change(key, &new, bench, tally);
        }
        total
    }

    /// What changed from an earlier state of the job that was relabelled by other rules.
    fn compare(&self, earlier: &Self) -> Delta {
        let missing = |from: &Self, other: &Self| {
            let labels = from.pages.iter().flat_map(|page| page.labels());
            labels.filter(|labels| other.pages.get(labels).is_none()).count() as u64
        };
        Delta { added: missing(self, earlier), removed: missing(earlier, self) }
    }

    /// Relabels the entries of changed blocks that were not there before, and counts them in before those that are
    /// gone are counted out: a target that only moved is neither added nor removed.
    fn change(
        &mut self,
        provider: &ProviderKey,
        changes: &[BlockChange],
        bench: &mut Workbench,
        tally: &mut Tally,
    ) -> Delta {
        let mut delta = Delta::default();
        let mut blocks = self.blocks.remove(provider).unwrap_or_default();
        let mut leftover = take_old(&mut blocks, changes);
        for change in changes {
            let Some(block) = &change.after else { continue };
            let entries = self.entries(block, &mut leftover, bench, &mut delta, tally);
            blocks.insert(change.id, Worked { block: Arc::clone(block), entries });
        }
        self.blocks.insert(provider.clone(), blocks);
        for entry in leftover.into_values().flatten() {
            self.count_out(&entry, &mut delta);
        }
        delta
    }

    /// What becomes of the entries of a block: as before where the discovered labels are as before.
    fn entries(
        &mut self,
        block: &Block,
        old: &mut HashMap<u64, Vec<Entry>>,
        bench: &mut Workbench,
        delta: &mut Delta,
        tally: &mut Tally,
    ) -> Arc<[Entry]> {
        let mut kept: Vec<Option<Entry>> =
            block.entries().iter().map(|hash| old.get_mut(hash).and_then(Vec::pop)).collect();
        if kept.iter().any(Option::is_none) {
            let unpacked = block.unpack();
            let raw = unpacked.groups().flat_map(|group| group.entries());
            for (slot, raw) in kept.iter_mut().zip(raw).filter(|(slot, _)| slot.is_none()) {
                raw.load(&mut bench.labels);
                let entry = populate(bench, &self.spec, &mut self.names);
                tally.relabelled += 1;
                if let Entry::Failed(failure) = &entry {
                    tally.failed += 1;
                    if tally.failures.len() < TOLD {
                        tally.failures.push((Arc::clone(&self.spec.name), Arc::clone(failure)));
                    }
                }
                *slot = Some(self.count_in(entry, delta));
            }
        }
        kept.into_iter().map(|entry| entry.expect("all that was missing was relabelled")).collect()
    }

    fn count_in(&mut self, entry: Entry, delta: &mut Delta) -> Entry {
        match entry {
            Entry::Active(labels) => {
                let (shared, turn) = self.pages.add(labels, false);
                delta.added += u64::from(turn == Some(Turn::Added));
                Entry::Active(shared)
            }
            Entry::Dropped => {
                self.counts.dropped += 1;
                entry
            }
            Entry::Failed(_) => {
                self.counts.failed += 1;
                entry
            }
        }
    }

    fn count_out(&mut self, entry: &Entry, delta: &mut Delta) {
        match entry {
            Entry::Active(labels) => {
                delta.removed += u64::from(self.pages.remove(labels, false) == Some(Turn::Removed));
            }
            Entry::Dropped => self.counts.dropped -= 1,
            Entry::Failed(_) => self.counts.failed -= 1,
        }
    }

    fn view(&self, providers: &BTreeMap<ProviderKey, Provider>) -> JobView {
        let knowledge = |key: &ProviderKey| providers.get(key).map_or(Knowledge::Unsynced, |it| it.knowledge);
        let blocks = self.spec.providers.iter().filter_map(|key| Some((key.clone(), self.blocks.get(key)?.clone())));
        JobView {
            providers: self.spec.providers.iter().map(|key| (key.clone(), knowledge(key))).collect(),
            spec: Arc::clone(&self.spec),
            pages: self.pages.clone(),
            blocks: blocks.collect(),
            counts: Counts { targets: self.pages.len(), duplicates: self.pages.duplicates(), ..self.counts },
        }
    }
}

/// The entries of the blocks as they were, by the hash of their discovered labels.
fn take_old(blocks: &mut Tree<BlockId, Worked>, changes: &[BlockChange]) -> HashMap<u64, Vec<Entry>> {
    let mut old: HashMap<u64, Vec<Entry>> = HashMap::new();
    for change in changes {
        let Some(Worked { block, entries }) = blocks.remove(&change.id) else { continue };
        for (hash, entry) in block.entries().iter().zip(entries.iter()) {
            old.entry(*hash).or_default().push(entry.clone());
        }
    }
    old
}

impl std::ops::AddAssign for Delta {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.removed += other.removed;
    }
}

fn new(id: BlockId, block: &Arc<Block>) -> BlockChange {
    BlockChange { id, after: Some(Arc::clone(block)) }
}

#[cfg(test)]
mod tests;
