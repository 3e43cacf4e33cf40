//! What an event did to the roster. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::ProviderKey;

use super::job::Job;
use super::kept::Kept;
use super::provider::Provider;
use super::turns::{Delta, TargetTurns};
use crate::roster::block::{Block, BlockId};
use crate::roster::brake::Confirm;
use crate::roster::head::Head;
use crate::roster::hold::HoldReason;
use crate::roster::pages::Pages;
use crate::roster::step::{BrakeStep, LetGo, SourceStep, Step};
use crate::roster::target::Failure;
use crate::roster::view::ProviderSize;

/// How many failures of an event are told one by one.
pub(super) const TOLD: usize = 5;

/// What an event did to the roster.
#[derive(Debug, Default)]
pub(in crate::roster) struct Effect {
    /// The jobs whose targets, or what is known of them, changed.
    pub(in crate::roster) jobs: BTreeMap<Arc<str>, Delta>,
    /// The step for those who follow, if there are any and there was one.
    pub(in crate::roster) step: Option<Step>,
    /// Providers of which nothing has to be stored any more, or not what is stored. Comes before what follows.
    pub(in crate::roster) forgotten: Vec<ProviderKey>,
    /// Blocks to write to the store.
    pub(in crate::roster) blocks: Vec<(ProviderKey, BlockId, Option<Arc<Block>>)>,
    /// What to write beside the blocks.
    pub(in crate::roster) heads: Vec<(ProviderKey, Head)>,
    /// How much is known of providers now; `None` of those that no job uses any more.
    pub(in crate::roster) sizes: Vec<(ProviderKey, Option<ProviderSize>)>,
    /// What relabelling had to do.
    pub(in crate::roster) tally: Tally,
    /// Whether it is part of something that goes on: people are told once, at the end.
    pub(in crate::roster) more_follows: bool,
    /// What was braked, and let go of.
    pub(in crate::roster) brakes: Brakes,
    pub(super) sources: BTreeMap<Arc<str>, Vec<SourceStep>>,
}

/// What an event had to do with brakes.
#[derive(Debug, Default)]
pub(in crate::roster) struct Brakes {
    /// Of each job the targets whose removal is held, of how many, and who said it.
    pub(in crate::roster) held: BTreeMap<Arc<str>, (ProviderKey, usize, usize)>,
    /// Of each job how many were let go of, as another reading has confirmed it.
    pub(in crate::roster) confirmed: BTreeMap<Arc<str>, LetGo>,
    /// The same, as a watched source has not taken them back for a while.
    pub(in crate::roster) still: BTreeMap<Arc<str>, LetGo>,
    /// Of each job how many were let go of, as their time was over, by why they were held.
    pub(in crate::roster) over: BTreeMap<Arc<str>, BTreeMap<HoldReason, LetGo>>,
    /// The same, as the configuration does not hold them any more.
    pub(in crate::roster) configured: BTreeMap<Arc<str>, BTreeMap<HoldReason, LetGo>>,
    /// Of each job that came back how many are braked as before it was gone, and since when.
    pub(in crate::roster) again: BTreeMap<Arc<str>, (usize, SystemTime)>,
    /// Jobs of which all that was braked has come back.
    pub(in crate::roster) returned: BTreeSet<Arc<str>>,
}

impl Brakes {
    pub(super) fn note_held(&mut self, job: &Arc<str>, provider: &ProviderKey, targets: usize, of: usize) {
        if targets > 0 {
            self.held.insert(Arc::clone(job), (provider.clone(), targets, of));
        }
    }

    pub(super) fn note_confirmed(&mut self, job: &Arc<str>, ended: LetGo) {
        if ended.targets > 0 {
            self.confirmed.insert(Arc::clone(job), ended);
        }
    }

    pub(super) fn note_over(
        &mut self,
        job: &Arc<str>,
        mut ended: BTreeMap<HoldReason, LetGo>,
        confirm: Option<Confirm>,
    ) {
        if confirm == Some(Confirm::Reading) {
            let braked = ended.remove(&HoldReason::Braked);
            self.still.extend(braked.map(|braked| (Arc::clone(job), braked)));
        }
        if !ended.is_empty() {
            self.over.insert(Arc::clone(job), ended);
        }
    }

    pub(super) fn note_configured(&mut self, job: &Arc<str>, ended: BTreeMap<HoldReason, LetGo>) {
        if !ended.is_empty() {
            self.configured.insert(Arc::clone(job), ended);
        }
    }

    pub(super) fn note_again(&mut self, job: &Arc<str>, kept: &Kept) {
        self.again.extend(kept.braked().map(|since| (Arc::clone(job), (kept.braked_len(), since))));
    }

    /// What of it concerns a job.
    pub(super) fn of(&self, job: &str) -> Vec<BrakeStep> {
        let confirmed = self.confirmed.get(job).map(|ended| BrakeStep::Confirmed(*ended));
        let still = self.still.get(job).map(|ended| BrakeStep::Still(*ended));
        let returned = self.returned.contains(job).then_some(BrakeStep::Returned);
        let over = self.over.get(job).into_iter().flatten();
        let over = over.map(|(reason, ended)| BrakeStep::Over { reason: *reason, ended: *ended });
        let configured = self.configured.get(job).into_iter().flatten();
        let configured = configured.map(|(reason, ended)| BrakeStep::Configured { reason: *reason, ended: *ended });
        let held = self.held.get(job).map(|(provider, targets, of)| BrakeStep::Braked {
            provider: provider.clone(),
            targets: *targets,
            of: *of,
        });
        let again = self.again.get(job);
        let again = again.map(|(targets, since)| BrakeStep::Again { targets: *targets, since: *since });
        let held = again.into_iter().chain(held);
        confirmed.into_iter().chain(still).chain(returned).chain(over).chain(configured).chain(held).collect()
    }
}

/// What relabelling had to do for an event.
#[derive(Debug, Default)]
pub(in crate::roster) struct Tally {
    /// How many entries were relabelled.
    pub(in crate::roster) relabelled: u64,
    /// How many of each job cannot be targets.
    pub(in crate::roster) failed: BTreeMap<Arc<str>, u64>,
    /// The first of these, for the log.
    pub(in crate::roster) failures: Vec<(Arc<str>, Arc<Failure>)>,
}

impl Effect {
    /// What became of the targets of a job, which may have ended.
    pub(super) fn note(&mut self, name: &Arc<str>, turns: TargetTurns, job: Option<&Job>) {
        let (delta, sources) = match job {
            Some(job) => turns.finish(&job.pages, |targets| job.holds_of(targets)),
            None => turns.finish(&Pages::default(), |_| HashMap::new()),
        };
        self.jobs.insert(Arc::clone(name), delta);
        if !sources.is_empty() {
            self.sources.insert(Arc::clone(name), sources);
        }
    }

    /// All groups of a provider are to be stored under this key.
    pub(super) fn store_all(&mut self, key: &ProviderKey, provider: &Provider) {
        let blocks = provider.archive.blocks().iter();
        self.blocks.extend(blocks.map(|(id, block)| (key.clone(), *id, Some(Arc::clone(block)))));
    }
}
