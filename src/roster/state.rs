//! The roster's state and what can happen to it: other jobs, with what is stored of their providers; an update; time that
//! passes. No I/O, no clock that it was not handed, no tasks.

mod awaited;
mod decide;
mod effect;
mod former;
mod hidden;
mod job;
mod kept;
mod provider;
mod reload;
mod turns;
mod unused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::TargetGroup;
use tokio::time::Instant;

use super::clock::Now;
use super::job::JobSpec;
use super::step::{JobStep, LimitStep, Step};
use super::target::Workbench;
use super::view::{JobView, NotServable, ProviderPresence, RosterView};
use decide::Agent;
pub(super) use effect::Effect;
use former::Touched;
use job::Job;
pub(super) use kept::{Holds, KeptHold};
pub(super) use provider::Stored;
use provider::{Provider, Providers, sources_in};
pub(super) use reload::Wanted;
pub(super) use turns::Delta;
use unused::Unused;
pub(super) use unused::{Left, is_kept};

/// An update that adds, replaces and removes at least this many entries is worked on aside, so that the runtime stays
/// responsive.
const LARGE: usize = 500;

/// All providers' groups and all jobs' targets.
#[derive(Debug, Default)]
pub(super) struct State {
    providers: Providers,
    /// How many of them are restored and wanted.
    restored: usize,
    jobs: BTreeMap<Arc<str>, Job>,
    grace: Duration,
    bench: Workbench,
    view: RosterView,
    /// Whether somebody follows the steps.
    telling: bool,
    /// Providers for which, or for sources of which, the time of grace runs.
    awaited: BTreeSet<ProviderKey>,
    /// What is stored of providers that no job uses or holds, and of what jobs kept that are gone.
    unused: Unused,
    /// Jobs that keep what their sources no longer have.
    keeping: BTreeSet<Arc<str>>,
    /// The providers that are asked to tell of each reading.
    attended: BTreeSet<ProviderKey>,
    /// Removals that concern many jobs.
    agent: Agent,
}

impl State {
    /// The roster as others see it now.
    pub(super) fn view(&self) -> RosterView {
        self.view.clone()
    }

    /// How many providers that jobs use are known only from the store.
    pub(super) fn restored(&self) -> usize {
        self.restored
    }

    /// How many providers that no job uses are stored.
    pub(super) fn unused(&self) -> usize {
        self.unused.providers()
    }

    /// Whether differences are worked out from now on.
    pub(super) fn set_telling(&mut self, telling: bool) {
        self.telling = telling;
    }

    /// Under which names it is stored what these jobs kept before they were gone.
    pub(super) fn left_of(&self, jobs: &[JobSpec]) -> Vec<ProviderKey> {
        jobs.iter().flat_map(|job| self.unused.kept_of(&job.name)).collect()
    }

    /// Whether it has this provider.
    pub(super) fn has(&self, key: &ProviderKey) -> bool {
        self.providers.contains_key(key)
    }

    /// When time has to be told next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let graces = self.awaited.iter().filter_map(|key| self.providers.get(key)?.deadline(self.grace));
        let kept = self.keeping.iter().filter_map(|name| self.jobs.get(name)?.kept.deadline());
        graces.chain(self.unused.deadline()).chain(kept).min()
    }

    /// Whether an update is, or may be, too much work for a thread that runs tasks.
    pub(super) fn is_large(&self, update: &Update) -> bool {
        let new: usize = update.groups.iter().map(|group| group.targets.len()).sum();
        if new + update.gone.len() >= LARGE {
            return true;
        }
        let Some(provider) = self.providers.get(&update.provider) else { return false };
        let keeps = |name: &Arc<str>| self.jobs.get(name).is_some_and(|job| job.kept.len() >= LARGE);
        if update.read && provider.users.keys().any(keeps) {
            // What it confirms goes.
            return true;
        }
        let holds = |name: &Arc<str>| self.jobs.get(name).is_some_and(|job| !job.former.is_empty());
        if provider.users.keys().any(holds) && (update.whole || provider.reads_otherwise(update)) {
            // What is held goes, when this tells what is in its place.
            return true;
        }
        if (provider.is_open() && update.seen.is_none()) || provider.looks_for_hidden(update) {
            // What did not come goes.
            return true;
        }
        let archive = &provider.archive;
        let named = update.groups.iter().map(TargetGroup::id).chain(update.gone.iter().copied());
        let known = match update.whole {
            true => archive.entries(),
            false => {
                let replaced = provider.replaced_by(update).into_iter().map(|source| archive.entries_of_source(source));
                named.map(|id| archive.entries_of(id)).sum::<usize>().max(replaced.sum())
            }
        };
        // What others are held for goes, and comes back, with what this tells.
        let former = provider.users.keys().filter_map(|name| self.jobs.get(name)).flat_map(|job| &job.former);
        let held = former.filter_map(|(key, former)| Some((former, &self.providers.get(key)?.archive)));
        let held = held.flat_map(|(former, archive)| {
            let sources = sources_in(update).filter(move |source| former.may_hold(*source));
            sources.map(move |source| archive.entries_of_source(source))
        });
        new + known + held.sum::<usize>() >= LARGE
    }

    /// Takes what a provider reports now.
    pub(super) fn update(&mut self, update: Update, now: Now) -> Effect {
        let mut effect = Effect::default();
        let key = update.provider.clone();
        // A provider that was just removed may still have had something to say. One that comes back begins with a whole
        // picture: a difference to what it knew before it was removed is of no use.
        let begins = update.whole || update.piece;
        let wanted = |it: &&mut Provider| it.used && (begins || it.presence == ProviderPresence::Synced);
        let Some(provider) = self.providers.get_mut(&key).filter(wanted) else { return effect };
        effect.more_follows = update.piece;
        let (unsynced, restored) = (provider.presence == ProviderPresence::Unsynced, provider.is_restored());
        let holds = |name: &Arc<str>| self.jobs.get(name).is_some_and(|job| !job.former.is_empty());
        let told: Vec<_> = match provider.users.keys().any(holds) {
            true => sources_in(&update).collect(),
            false => Vec::new(),
        };
        let read = update.read && !update.piece && update.seen.is_none();
        let reads_otherwise = provider.presence != ProviderPresence::Synced || provider.reads_otherwise(&update);
        let is_former = |name: &Arc<str>| self.jobs.get(name).is_some_and(|job| job.former.contains_key(&key));
        let touched = provider.users.keys().any(is_former).then(|| Touched::by(&update, provider));
        let taken = provider.take(update, now);
        match (unsynced, effect.more_follows) {
            // Half of a picture is not stored: read again, it would pass for all there is.
            (true, true) => {}
            (true, false) => {
                // Something may be stored that could not be read.
                effect.forgotten.push(key.clone());
                effect.store_all(&key, provider);
            }
            (false, _) => {
                let changes = taken.changes.iter();
                effect.blocks.extend(changes.map(|change| (key.clone(), change.id, change.after.clone())));
            }
        }
        self.restored -= usize::from(restored && !provider.is_restored());
        if reads_otherwise {
            self.look_again(&key, now);
        }
        let confirms = read && self.keeping.iter().any(|name| self.jobs[name].kept.brakes(&key));
        if taken.changes.is_empty() && !taken.presence_changed && !confirms {
            return effect;
        }
        let events = self.take_in(&key, &taken, touched.as_ref(), &mut effect);
        let released = self.settle_jobs((&key, &taken, &told), events, read, now, &mut effect);
        match released {
            true => self.let_go(now, &mut effect),
            false => self.settle(&key, &mut effect),
        }
        self.store_kept(&mut effect);
        self.refresh_view(&mut effect);
        effect
    }

    /// Takes note of the time: what did not come within its time of grace no longer keeps the rest from consumers.
    pub(super) fn pass(&mut self, now: Now) -> Effect {
        let mut effect = Effect::default();
        for key in self.awaited.clone() {
            let Some(provider) = self.providers.get_mut(&key) else { continue };
            if provider.deadline(self.grace).is_some_and(|deadline| deadline <= now.instant) {
                provider.pass(self.grace, now);
                effect.jobs.extend(provider.users.keys().map(|name| (Arc::clone(name), Delta::default())));
                self.settle(&key, &mut effect);
            }
        }
        self.unused.pass(now, &mut effect);
        for name in self.keeping.clone() {
            let Some(job) = self.jobs.get_mut(&name) else { continue };
            let keeping = job.spec.keeping;
            let over = job.kept.over(&keeping, &self.providers, now);
            effect.brakes.note_over(&name, job.kept.let_go(&over, &keeping, now), keeping.confirm());
            self.let_lapse(&name, over, now, &mut effect);
        }
        self.store_kept(&mut effect);
        self.refresh_view(&mut effect);
        effect
    }

    /// Notes whether a provider's head has to be stored, and whether time runs for it.
    fn settle(&mut self, key: &ProviderKey, effect: &mut Effect) {
        let Some(provider) = self.providers.get_mut(key) else { return };
        effect.heads.extend(provider.changed_head().map(|head| (key.clone(), head)));
        let size = provider.used.then(|| provider.size());
        if provider.shown != size {
            provider.shown = size;
            effect.sizes.push((key.clone(), size));
        }
        match provider.deadline(self.grace) {
            Some(_) => self.awaited.insert(key.clone()),
            None => self.awaited.remove(key),
        };
    }

    fn refresh_view(&mut self, effect: &mut Effect) {
        if effect.jobs.is_empty() {
            return;
        }
        self.view.step += 1;
        let mut jobs = Vec::new();
        for name in effect.jobs.keys() {
            let view = self.jobs.get(name).map(|job| Arc::new(job.view(&self.providers)));
            let before = match &view {
                Some(view) => self.view.jobs.insert(Arc::clone(name), Arc::clone(view)),
                None => self.view.jobs.remove(name),
            };
            if self.telling {
                let sources = effect.sources.remove(name).unwrap_or_default();
                let limit = limit_step(before.as_deref(), view.as_deref());
                let brakes = effect.brakes.of(name);
                jobs.push(JobStep { name: Arc::clone(name), view, sources, limit, brakes });
            }
        }
        effect.step = self.telling.then_some(Step { number: self.view.step, jobs });
    }
}

/// Whether a job went above its limit or back.
fn limit_step(before: Option<&JobView>, now: Option<&JobView>) -> Option<LimitStep> {
    let exceeded = |job: Option<&JobView>| match job?.within_limit() {
        Err(NotServable::TargetLimit { targets, limit, .. }) => Some(LimitStep::Exceeded { targets, limit }),
        Err(NotServable::Unsynced { .. }) | Ok(()) => None,
    };
    match (exceeded(before), exceeded(Some(now?))) {
        (None, None) | (Some(_), Some(_)) => None,
        (None, now @ Some(_)) => now,
        (Some(_), None) => Some(LimitStep::Kept),
    }
}

#[cfg(test)]
mod tests;
