//! What an update does to jobs, decided for all of them at once: what of it is kept, what a reading confirms, and what lets go of what
//! is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::SourceId;

use super::former::{Touched, alike, held_of};
use super::job::{Happened, Job, Work};
use super::kept::KeptPlace;
use super::provider::{Stored, TakenUpdate};
use super::turns::TargetTurns;
use super::{Effect, LARGE, State};
use crate::roster::brake::{Brake, Change, Sizes};
use crate::roster::clock::Now;
use crate::roster::hold::HoldReason;
use crate::roster::step::Reason;

/// What all jobs that have a brake are together.
#[derive(Debug, Default)]
pub(super) struct Agent {
    pub(super) brake: Option<Brake>,
    /// How many targets they have that sources say.
    pub(super) said: usize,
    pub(super) sizes: Sizes,
}

/// What an update did to a job, before it is known what of that is kept.
pub(super) struct JobEvent {
    job: Arc<str>,
    happened: Happened,
    turns: TargetTurns,
}

impl Agent {
    /// Whether a removal is held because of what it comes to in all jobs.
    fn holds(
        &mut self,
        events: &[JobEvent],
        jobs: &BTreeMap<Arc<str>, Job>,
        keeping: &BTreeSet<Arc<str>>,
        now: Now,
    ) -> bool {
        let Some(brake) = self.brake else { return false };
        let braked = events.iter().filter(|event| jobs.get(&event.job).is_some_and(Job::is_braked));
        let of_jobs =
            braked.fold(Change::default(), |all, JobEvent { happened: Happened { change, .. }, .. }| Change {
                before: all.before + change.before,
                after: all.after + change.after,
                returned: all.returned + change.returned,
                kept: all.kept + change.kept,
            });
        let is_other = |name: &Arc<str>| !events.iter().any(|event| event.job == *name);
        let others = keeping.iter().filter(|name| is_other(name)).filter_map(|name| jobs.get(name));
        let kept = of_jobs.kept + others.map(|job| job.kept.braked_len()).sum::<usize>();
        self.sizes.note(self.said, now.instant, brake.window);
        let after = self.said.saturating_sub(of_jobs.before) + of_jobs.after;
        let change = Change { before: self.said, after, returned: of_jobs.returned, kept };
        brake.holds(change, self.sizes.greatest(now.instant, brake.window))
    }

    /// Takes the number of targets as it is now, and forgets the one before where a reload made it.
    fn note(&mut self, reloaded: bool, now: Now) {
        match (reloaded, self.brake) {
            (true, _) => self.sizes.begin(self.said, now.instant),
            (false, Some(brake)) => self.sizes.note(self.said, now.instant, brake.window),
            (false, None) => {}
        }
    }
}

impl State {
    /// The jobs of a provider take what changed of it. What ends by that counts until it is known what of it is kept.
    pub(super) fn take_in(
        &mut self,
        key: &ProviderKey,
        taken: &TakenUpdate,
        touched: Option<&Touched>,
        effect: &mut Effect,
    ) -> Vec<JobEvent> {
        let provider = &self.providers[key];
        let mut events = Vec::new();
        for name in provider.users.keys() {
            let Some(job) = self.jobs.get_mut(name) else { continue };
            let mut turns = TargetTurns::new(&job.pages, self.telling);
            let mut work = Work::new(&mut self.bench, &mut effect.tally);
            if let (Some(touched), Some(former)) = (touched, job.former.get_mut(key)) {
                former.learn(touched, &provider.archive, &alike(key, &job.spec.providers, &self.providers));
            }
            let happened = job.update(key, provider, &taken.changes, taken.held_changed, &mut work, &mut turns);
            events.push(JobEvent { job: Arc::clone(name), happened, turns });
        }
        events
    }

    /// Decides what of an event is kept, and lets go of what a reading confirms. Returns whether some job holds less of what it had
    /// before a reload.
    pub(super) fn settle_jobs(
        &mut self,
        (key, taken, told): (&ProviderKey, &TakenUpdate, &[SourceId]),
        events: Vec<JobEvent>,
        read: bool,
        now: Now,
        effect: &mut Effect,
    ) -> bool {
        let provider = &self.providers[key];
        let confirmed = |event: &JobEvent| match self.jobs.get(&event.job).filter(|_| read) {
            Some(job) => job.kept.confirmed(key, provider, &job.spec.keeping, now, &event.happened),
            None => Vec::new(),
        };
        let confirmed: Vec<_> = events.iter().map(confirmed).collect();
        if confirmed.iter().any(|over| !over.is_empty()) {
            self.agent.sizes.begin(self.agent.said, now.instant);
        }
        let agent_holds = self.agent.holds(&events, &self.jobs, &self.keeping, now);
        let (mut said, mut released) = (self.agent.said, false);
        for (JobEvent { job: name, happened, mut turns }, over) in events.into_iter().zip(confirmed) {
            let Some(job) = self.jobs.get_mut(&name) else { continue };
            let (before, keeping) = (happened.change.before, job.spec.keeping);
            let ended = job.kept.let_go(&over, &keeping, now);
            effect.brakes.note_confirmed(&name, ended.get(&HoldReason::Braked).copied().unwrap_or_default());
            let reason = job.decide(&happened, agent_holds, !over.is_empty(), now);
            if reason == Some(HoldReason::Braked) {
                effect.brakes.note_held(&name, key, happened.ends(), before);
            }
            let mut work = Work::new(&mut self.bench, &mut effect.tally);
            let change = happened.change;
            let (was_braked, is_confirmed) = (job.kept.braked().is_some(), !over.is_empty());
            job.settle(key, happened, reason, over, now, &mut work, &mut turns);
            if was_braked && !is_confirmed && job.kept.braked().is_none() {
                effect.brakes.returned.insert(Arc::clone(&name));
            }
            // What it holds follows from what its own providers miss, and from what the former ones have of that.
            let former = job.former.len();
            let other = match taken.misses_others && former > 0 {
                true => Some(held_of(&job.former, &job.spec.providers, &self.providers)),
                false => {
                    job.hear(told, &self.providers, &mut work, &mut turns);
                    job.former.retain(|_, former| !former.is_over());
                    None
                }
            };
            if other.as_ref().is_some_and(|other| *other != job.former) || job.former.len() < former {
                released = true;
                job.former = other.unwrap_or_else(|| std::mem::take(&mut job.former));
                let (wanted, kept) = (job.wanted(), job.kept.reasons());
                let kept_on = job.kept.follow(&wanted, &keeping, now);
                job.follow_providers(&self.providers, Reason::Reload, &mut work, &mut turns);
                // A reload had given the job other providers.
                effect.brakes.note_configured(&name, job.kept.ended_since(&kept, &kept_on));
                job.sizes.begin(job.said(), now.instant);
            }
            if job.is_braked() {
                said = said.saturating_sub(change.before) + job.said();
            }
            effect.note(&name, turns, Some(job));
        }
        self.agent.said = said;
        self.agent.note(released, now);
        released
    }

    /// A provider can read other sources than before: what is braked of it may have had its time.
    pub(super) fn look_again(&mut self, key: &ProviderKey, now: Now) {
        for name in &self.keeping {
            if let Some(job) = self.jobs.get_mut(name) {
                job.kept.look_again(key, now);
            }
        }
    }

    /// Whether much may end by the time that passed.
    pub(in crate::roster) fn is_pass_large(&self) -> bool {
        self.keeping.iter().filter_map(|name| self.jobs.get(name)).any(|job| job.kept.len() >= LARGE)
    }

    /// Lets go of what is braked, of a job or of all of them. Returns how many targets of each that were.
    pub(in crate::roster) fn release(&mut self, job: Option<&str>, now: Now) -> (Effect, BTreeMap<Arc<str>, usize>) {
        let (mut effect, mut released) = (Effect::default(), BTreeMap::new());
        for name in self.keeping.clone() {
            let Some(of_job) = self.jobs.get(&name).filter(|_| job.is_none_or(|job| *job == *name)) else { continue };
            let over = of_job.kept.all_braked();
            if !over.is_empty() {
                released.insert(Arc::clone(&name), over.len());
                self.let_go_of_kept(&name, now, &mut effect, |job, work, turns| job.release(over, work, turns));
            }
        }
        self.store_kept(&mut effect);
        self.refresh_view(&mut effect);
        (effect, released)
    }

    /// What had its time of what a job keeps, is let go of.
    pub(super) fn let_lapse(&mut self, name: &Arc<str>, over: Vec<KeptPlace>, now: Now, effect: &mut Effect) {
        if !over.is_empty() {
            self.let_go_of_kept(name, now, effect, |job, work, turns| job.lapse(over, now, work, turns));
        }
    }

    fn let_go_of_kept(
        &mut self,
        name: &Arc<str>,
        now: Now,
        effect: &mut Effect,
        let_go: impl FnOnce(&mut Job, &mut Work<'_>, &mut TargetTurns),
    ) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let mut turns = TargetTurns::new(&job.pages, self.telling);
        let was_braked = job.kept.braked().is_some();
        let_go(job, &mut Work::new(&mut self.bench, &mut effect.tally), &mut turns);
        effect.note(name, turns, Some(job));
        if was_braked && job.kept.braked().is_none() {
            // What somebody or the time confirmed is the size from now on.
            job.sizes.begin(job.said(), now.instant);
            self.agent.sizes.begin(self.agent.said, now.instant);
        }
    }

    /// Has stored what jobs keep now, and asks the providers for readings that may confirm a removal.
    pub(super) fn store_kept(&mut self, effect: &mut Effect) {
        let touched: BTreeSet<_> = effect.jobs.keys().chain(&self.keeping).cloned().collect();
        let mut wanted = BTreeSet::new();
        for name in touched {
            let Some(job) = self.jobs.get_mut(&name) else {
                self.keeping.remove(&name);
                continue;
            };
            job.kept.store(&name, effect);
            match job.kept.is_empty() {
                true => _ = self.keeping.remove(&name),
                false => _ = self.keeping.insert(name),
            }
            wanted.extend(job.kept.providers().filter(|key| job.kept.brakes(key)).cloned());
        }
        for (key, provider) in
            self.providers.iter().filter(|(key, _)| wanted.contains(*key) || self.attended.contains(*key))
        {
            provider.attend(wanted.contains(key));
        }
        self.attended = wanted;
    }
}

/// What is stored of what each job keeps, by the provider that it is of.
pub(super) fn by_job(kept: Vec<Stored>) -> BTreeMap<Arc<str>, Vec<(ProviderKey, Stored)>> {
    let mut by_job: BTreeMap<Arc<str>, Vec<_>> = BTreeMap::new();
    for stored in kept {
        let (Some(job), Some(provider)) = (stored.head.jobs.first(), &stored.head.kept) else { continue };
        let (job, provider) = (Arc::clone(job), ProviderKey::new(Arc::clone(provider)));
        by_job.entry(job).or_default().push((provider, stored));
    }
    by_job
}
