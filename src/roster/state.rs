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
mod turns;
mod unused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::TargetGroup;
use tokio::time::Instant;

use super::brake::Brake;
use super::clock::Now;
use super::head::{Head, HeldBy};
use super::hold::{Hold, HoldReason};
use super::job::JobSpec;
use super::step::{JobStep, LimitStep, Reason, Step};
use super::target::Workbench;
use super::view::{JobView, NotServable, ProviderPresence, RosterView};
use awaited::Awaited;
use decide::{Agent, by_job};
pub(super) use effect::Effect;
use former::{Former, Touched, held_of};
use job::{Job, Work};
pub(super) use kept::{Holds, KeptHold, STORED};
use kept::{Kept, KeptOn};
pub(super) use provider::Stored;
use provider::{Provider, Providers, sources_in};
pub(super) use turns::Delta;
use turns::TargetTurns;
pub(super) use unused::Left;
use unused::Unused;

/// An update that adds, replaces and removes at least this many entries is worked on aside, so that the runtime stays
/// responsive.
const LARGE: usize = 500;

/// The jobs of a configuration.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) jobs: Vec<JobSpec>,
    /// How long what never reported keeps the rest of its job from consumers.
    pub(super) grace: Duration,
    /// What is stored of their providers, and of those that they used before the process started.
    pub(super) stored: Vec<Stored>,
    /// What else is stored.
    pub(super) left: Vec<Left>,
    /// What is stored of what jobs keep.
    pub(super) kept: Vec<Stored>,
    /// When removals are held that concern many jobs.
    pub(super) brake: Option<Brake>,
}

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
    /// Providers that no job uses or holds and of which something is stored.
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
        self.unused.len()
    }

    /// Whether differences are worked out from now on.
    pub(super) fn set_telling(&mut self, telling: bool) {
        self.telling = telling;
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

    /// Takes the jobs of a configuration in place of those before. A job that relabels as before is not relabelled.
    ///
    /// A provider that comes in place of another with the same data begins with its groups, unless a job waited for it when the process
    /// ended. What another one had in its place, a job goes on to hold until it knows what the new one has.
    pub(super) fn set_jobs(&mut self, wanted: Wanted, now: Now) -> Effect {
        let mut effect = Effect::default();
        let Wanted { jobs: specs, grace, stored, left, kept, brake } = wanted;
        self.grace = grace;
        self.agent.brake = brake;
        let mut kept = by_job(kept);
        let mut former = self.replaced(&specs, &stored, now);
        self.set_providers(&specs, stored, now, &mut effect);
        let mut before = std::mem::take(&mut self.jobs);
        for spec in specs {
            let name = Arc::clone(&spec.name);
            let former = former.remove(&name).unwrap_or_default();
            let old = before.remove(&name);
            let kept = kept.remove(&name).unwrap_or_default();
            self.set_job(spec, old, (former, kept), now, &mut effect);
        }
        // Of jobs that are not configured any more.
        effect.forgotten.extend(kept.into_values().flatten().map(|(_, stored)| stored.key));
        for (name, job) in before {
            job.kept.forget(&name, &mut effect);
            effect.brakes.note_configured(&name, Kept::default().ended_since(&job.kept.reasons(), &KeptOn::default()));
            let mut turns = TargetTurns::new(&job.pages, self.telling);
            job.end(&mut turns);
            effect.note(&name, turns, None);
        }
        self.agent.said = self.jobs.values().filter(|job| job.is_braked()).map(Job::said).sum();
        if !effect.jobs.is_empty() {
            // What a configuration removes is not held, now or later.
            self.agent.sizes.begin(self.agent.said, now.instant);
        }
        left.into_iter().for_each(|left| self.unused.take(left, now, &mut effect));
        self.let_go(now, &mut effect);
        self.store_kept(&mut effect);
        self.refresh_view(&mut effect);
        effect
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
            if !over.is_empty() {
                effect.brakes.over.insert(Arc::clone(&name), job.kept.let_go(&over, &keeping, now));
            }
            self.let_lapse(&name, over, now, &mut effect);
        }
        self.store_kept(&mut effect);
        self.refresh_view(&mut effect);
        effect
    }

    /// What each job used or held before, and does not use any more.
    fn replaced(
        &self,
        specs: &[JobSpec],
        stored: &[Stored],
        now: Now,
    ) -> BTreeMap<Arc<str>, BTreeMap<ProviderKey, Former>> {
        let hold = |since| Hold::new(HoldReason::Replaced, since);
        let of = |spec: &JobSpec| {
            let mut former = BTreeMap::new();
            if let Some(job) = self.jobs.get(&spec.name) {
                let stays = spec.providers.iter().filter(|key| job.spec.providers.contains(key));
                let fresh = Former::all(hold(now.wall), stays.cloned());
                former.extend(job.spec.providers.iter().map(|key| (key.clone(), fresh.clone())));
                let still = |former: &Former| former.clone().after_reload(&spec.providers);
                former.extend(job.former.iter().map(|(key, former)| (key.clone(), still(former))));
            }
            let (held, used): (Vec<_>, Vec<_>) = stored
                .iter()
                .filter(|stored| stored.head.jobs.contains(&spec.name))
                .partition(|stored| stored.head.held.contains_key(&spec.name));
            let stays = used.iter().map(|stored| &stored.key).filter(|key| spec.providers.contains(key));
            let fresh = Former::all(hold(now.wall), stays.cloned());
            former.extend(used.iter().map(|stored| (stored.key.clone(), fresh.clone())));
            former.extend(held.iter().filter_map(|stored| {
                let held = stored.head.held.get(&spec.name)?;
                let beside = held.beside.iter().map(|key| ProviderKey::new(Arc::clone(key)));
                Some((stored.key.clone(), Former::all(hold(held.since), beside).after_reload(&spec.providers)))
            }));
            former
        };
        specs.iter().map(|spec| (Arc::clone(&spec.name), of(spec))).collect()
    }

    /// Takes the providers of these jobs, each with what is known of it.
    fn set_providers(&mut self, specs: &[JobSpec], stored: Vec<Stored>, now: Now, effect: &mut Effect) {
        let used: BTreeSet<_> = specs.iter().flat_map(|spec| spec.providers.iter().cloned()).collect();
        let awaited = Awaited::of(specs, &stored);
        // After a restart a key may be that of a provider which was only held: then one that was used knows the same data better.
        let better: Vec<_> =
            stored.iter().filter(|stored| stored.head.is_used()).map(|stored| stored.key.clone()).collect();
        let is_behind = |key: &ProviderKey, head: &Head| {
            used.contains(key) && !head.is_used() && better.iter().any(|other| awaited.may_adopt(key, other))
        };
        for Stored { key, head, blocks } in stored.into_iter().filter(|it| !is_behind(&it.key, &it.head)) {
            self.providers.entry(key).or_insert_with(|| Provider::restored(blocks, head, now));
        }
        for key in &used {
            if self.providers.contains_key(key) {
                continue;
            }
            let twins = || self.providers.iter().filter(|(other, _)| other.data() == key.data());
            let is_known = |twin: &Provider| twin.presence != ProviderPresence::Unsynced;
            let known = twins().find(|(other, twin)| is_known(twin) && awaited.may_adopt(key, other));
            let twin = known.or_else(|| twins().find(|(_, twin)| !is_known(twin))).map(|(_, twin)| twin);
            let provider = match twin {
                Some(twin) => {
                    // What is stored under its own key could not be read.
                    effect.forgotten.push(key.clone());
                    if is_known(twin) {
                        effect.store_all(key, twin);
                    }
                    Provider::adopting(twin, now)
                }
                None => Provider::unsynced(now),
            };
            self.providers.insert(key.clone(), provider);
        }
        for (key, provider) in &mut self.providers {
            provider.set_used(used.contains(key), now);
            self.unused.remove(key);
        }
        let restored = |it: &&Provider| it.used && it.is_restored();
        self.restored = self.providers.values().filter(restored).count();
    }

    fn set_job(
        &mut self,
        spec: JobSpec,
        old: Option<Job>,
        (former, kept): (BTreeMap<ProviderKey, Former>, Vec<(ProviderKey, Stored)>),
        now: Now,
        effect: &mut Effect,
    ) {
        let name = Arc::clone(&spec.name);
        let before = old.as_ref().map(|job| job.pages.clone()).unwrap_or_default();
        let unchanged = old.as_ref().is_some_and(|job| *job.spec == spec);
        let (mut job, mut replaced) = match old {
            Some(mut job) if job.spec.relabels_like(&spec) => {
                job.spec = Arc::new(spec);
                (job, None)
            }
            replaced => (Job::new(spec), replaced),
        };
        if let Some(replaced) = &mut replaced {
            job.kept = std::mem::take(&mut replaced.kept);
        }
        let keeping = job.spec.keeping;
        kept.into_iter().for_each(|(key, stored)| job.kept.restore(key, stored, &keeping, now));
        let former = held_of(&former, &job.spec.providers, &self.providers);
        let kept_before = job.kept.reasons();
        if !unchanged || former != job.former {
            job.former = former;
            let wanted = job.wanted();
            let kept_on = job.kept.follow(&wanted, &keeping, now);
            let mut turns = TargetTurns::new(&before, self.telling);
            let mut work = Work::new(&mut self.bench, &mut effect.tally);
            match replaced {
                None => job.follow_providers(&self.providers, Reason::Reload, &mut work, &mut turns),
                Some(old) => {
                    job.follow_providers(
                        &self.providers,
                        Reason::Rules,
                        &mut work,
                        &mut TargetTurns::new(&before, false),
                    );
                    job.compare(&old, &mut turns);
                }
            }
            job.sizes.begin(job.said(), now.instant);
            effect.note(&name, turns, Some(&job));
            effect.brakes.note_configured(&name, job.kept.ended_since(&kept_before, &kept_on));
        }
        self.jobs.insert(name, job);
    }

    /// Tells each provider who uses or holds it, and lets go of those that no job does: what is stored of them stays for a
    /// while.
    fn let_go(&mut self, now: Now, effect: &mut Effect) {
        let mut users: BTreeMap<ProviderKey, BTreeMap<Arc<str>, Option<HeldBy>>> = BTreeMap::new();
        for (name, job) in &self.jobs {
            let held = job.former.iter().map(|(key, former)| (key, Some(former.to_store())));
            for (key, held) in job.spec.providers.iter().map(|key| (key, None)).chain(held) {
                users.entry(key.clone()).or_default().insert(Arc::clone(name), held);
            }
        }
        for (key, provider) in &mut self.providers {
            provider.users = users.remove(key).unwrap_or_default();
        }
        for (key, mut provider) in self.providers.extract_if(.., |_, provider| provider.users.is_empty()) {
            effect.sizes.push((key.clone(), None));
            let before = provider.head.clone();
            provider.changed_head();
            match provider.head.filter(|_| provider.presence != ProviderPresence::Unsynced) {
                Some(head) => {
                    let unused = before.as_ref().and_then(|before| before.unused);
                    let head = Some(Head { unused, ..head });
                    let left = Left { key, head, bytes: provider.archive.size() as u64 };
                    self.unused.take(left, now, effect);
                }
                None => effect.forgotten.push(key),
            }
        }
        for key in self.providers.keys().cloned().collect::<Vec<_>>() {
            self.settle(&key, effect);
        }
        self.awaited.retain(|key| self.providers.contains_key(key));
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
