//! What others see of the roster: immutable snapshots, one for each job, replaced whole when the job changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Builder, Coded, Labels, Priority};
use serde::Serialize;

use super::block::{Block, BlockId, Walk};
use super::job::JobSpec;
use super::pages::{Page, Slot};
use super::target::Entry;

/// What the roster knows of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Knowledge {
    /// Nothing: it has never reported, and nothing was stored. Not the same as having no targets.
    Unsynced,
    /// What it reported before this process started, read from the store.
    Restored,
    /// What it reported to this process.
    Synced,
}

/// Why the list of a job must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotServable {
    /// Nothing is known of some of its providers yet.
    #[error("the targets of job {job:?} are not known yet: {} has not reported", list(.providers))]
    Unsynced {
        /// The job.
        job: Arc<str>,
        /// The providers that are missing.
        providers: Vec<ProviderKey>,
    },
    /// It has more targets than its `target_limit`.
    #[error("job {job:?}: target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit {
        /// The job.
        job: Arc<str>,
        /// How many targets it has.
        targets: usize,
        /// Its limit.
        limit: usize,
    },
}

fn list(providers: &[ProviderKey]) -> String {
    providers.iter().map(ProviderKey::as_str).collect::<Vec<_>>().join(", ")
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
}

/// A job at one moment.
#[derive(Debug, Clone)]
pub struct JobView {
    pub(super) spec: Arc<JobSpec>,
    pub(super) providers: Vec<(ProviderKey, Knowledge)>,
    pub(super) pages: Vec<Arc<Page>>,
    pub(super) blocks: Vec<BlockView>,
    pub(super) revision: u128,
    pub(super) counts: Counts,
}

/// A block of discovered groups and what became of its entries in a job.
#[derive(Debug, Clone)]
pub struct BlockView {
    pub(super) provider: ProviderKey,
    pub(super) id: BlockId,
    pub(super) block: Arc<Block>,
    pub(super) entries: Arc<[Entry]>,
}

impl BlockView {
    /// Calls `see` for each entry with its source, its labels before relabelling (the job's defaults included, as
    /// Prometheus shows them), and what became of it.
    pub fn each(&self, spec: &JobSpec, labels: &mut Builder, mut see: impl FnMut(&str, &mut Builder, &Entry)) {
        let unpacked = self.block.unpack();
        let mut entries = self.entries.iter();
        for group in unpacked.groups() {
            for (raw, entry) in group.entries().zip(&mut entries) {
                raw.load(labels);
                spec.add_defaults(labels);
                see(group.source(), labels, entry);
            }
        }
    }

    /// The discovered labels of its entries, in order, for reading with pauses in between. The job's defaults are not
    /// among them.
    pub fn walk(&self) -> Walk {
        self.block.walk()
    }

    /// Where the groups come from.
    pub fn provider(&self) -> &ProviderKey {
        &self.provider
    }

    /// Its number within the provider: the order of discovery, which paging follows.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// What became of its entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl JobView {
    /// The job.
    pub fn spec(&self) -> &Arc<JobSpec> {
        &self.spec
    }

    /// Its providers, and what is known of each.
    pub fn providers(&self) -> &[(ProviderKey, Knowledge)] {
        &self.providers
    }

    /// Providers of which nothing is known.
    pub fn unsynced(&self) -> Vec<ProviderKey> {
        self.with(Knowledge::Unsynced)
    }

    /// Providers of which only what was stored is known.
    pub fn restored(&self) -> Vec<ProviderKey> {
        self.with(Knowledge::Restored)
    }

    fn with(&self, wanted: Knowledge) -> Vec<ProviderKey> {
        let providers = self.providers.iter().filter(|(_, knowledge)| *knowledge == wanted);
        providers.map(|(key, _)| key.clone()).collect()
    }

    /// Whether the list of targets may be handed out: unknown is not empty.
    pub fn servable(&self) -> Result<(), NotServable> {
        let job = Arc::clone(&self.spec.name);
        let unsynced = self.unsynced();
        if !unsynced.is_empty() {
            return Err(NotServable::Unsynced { job, providers: unsynced });
        }
        self.within_limit()
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
        self.revision
    }

    /// How many entries became what.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The distinct targets, in pages.
    pub fn pages(&self) -> &[Arc<Page>] {
        &self.pages
    }

    /// The distinct targets.
    pub fn targets(&self) -> impl Iterator<Item = &Slot> {
        self.pages.iter().flat_map(|page| page.slots())
    }

    /// The slot of a target: how many origins it has.
    pub fn slot(&self, labels: &Labels) -> Option<&Slot> {
        super::pages::find(&self.pages, labels)
    }

    /// Discovered groups and what became of their entries, in the order of discovery.
    pub fn blocks(&self) -> &[BlockView] {
        &self.blocks
    }
}

/// All jobs at one moment.
#[derive(Debug, Clone, Default)]
pub struct RosterView {
    pub(super) jobs: BTreeMap<Arc<str>, Arc<JobView>>,
}

impl RosterView {
    /// A job by its name.
    pub fn job(&self, name: &str) -> Option<&Arc<JobView>> {
        self.jobs.get(name)
    }

    /// All jobs, by name.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = &Arc<JobView>> {
        self.jobs.values()
    }

    /// Providers of any job of which nothing was heard since this process started, restored or not.
    pub fn waiting_for(&self) -> Vec<ProviderKey> {
        let providers = self.jobs.values().flat_map(|job| job.providers.iter());
        let mut missing: Vec<_> =
            providers.filter(|(_, knowledge)| *knowledge != Knowledge::Synced).map(|(key, _)| key.clone()).collect();
        missing.sort();
        missing.dedup();
        missing
    }
}
