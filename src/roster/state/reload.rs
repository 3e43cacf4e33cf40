//! Another configuration: its jobs in place of those before, with what is stored of their providers, and what becomes of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::ProviderKey;

use super::State;
use super::awaited::Awaited;
use super::decide::by_job;
use super::effect::Effect;
use super::former::{Former, held_of};
use super::job::{Job, Work};
use super::kept::{Kept, KeptOn};
use super::provider::{Provider, Stored};
use super::turns::TargetTurns;
use super::unused::Left;
use crate::roster::brake::Brake;
use crate::roster::clock::Now;
use crate::roster::head::{Head, HeldBy};
use crate::roster::hold::{Hold, HoldReason};
use crate::roster::job::JobSpec;
use crate::roster::step::Reason;
use crate::roster::view::ProviderPresence;

/// The jobs of a configuration.
#[derive(Debug, Default)]
pub(in crate::roster) struct Wanted {
    pub(in crate::roster) jobs: Vec<JobSpec>,
    /// How long what never reported keeps the rest of its job from consumers.
    pub(in crate::roster) grace: Duration,
    /// What is stored of their providers, and of those that they used before the process started.
    pub(in crate::roster) stored: Vec<Stored>,
    /// What else is stored.
    pub(in crate::roster) left: Vec<Left>,
    /// What is stored of what jobs keep.
    pub(in crate::roster) kept: Vec<Stored>,
    /// When removals are held that concern many jobs.
    pub(in crate::roster) brake: Option<Brake>,
}

impl State {
    /// Takes the jobs of a configuration in place of those before. A job that relabels as before is not relabelled.
    ///
    /// A provider that comes in place of another with the same data begins with its groups, unless a job waited for it when the process
    /// ended. What another one had in its place, a job goes on to hold until it knows what the new one has.
    pub(in crate::roster) fn set_jobs(&mut self, wanted: Wanted, now: Now) -> Effect {
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
        for (name, stored) in kept {
            self.leave_kept(&name, &Kept::restored(stored, now), now, &mut effect);
        }
        for (name, job) in before {
            self.leave_kept(&name, &job.kept, now, &mut effect);
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
        let comes_back = kept.iter().any(|(_, stored)| stored.head.unused.is_some());
        for (key, stored) in kept {
            self.unused.remove(&stored.key);
            job.kept.restore(key, stored, &keeping, now);
        }
        // What could not be read is not mixed with what is kept from now on.
        for key in self.unused.kept_of(&name) {
            self.unused.forget(&key, effect);
        }
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
            match comes_back {
                // What it does not hold now was not there.
                true => effect.brakes.note_again(&name, &job.kept),
                false => effect.brakes.note_configured(&name, job.kept.ended_since(&kept_before, &kept_on)),
            }
        }
        self.jobs.insert(name, job);
    }

    /// A job is gone that kept this: it has it again when it comes back within a day.
    fn leave_kept(&mut self, job: &Arc<str>, kept: &Kept, now: Now, effect: &mut Effect) {
        effect.brakes.note_configured(job, Kept::default().ended_since(&kept.reasons(), &KeptOn::default()));
        kept.left(job).for_each(|left| self.unused.take(left, now, effect));
    }

    /// Tells each provider who uses or holds it, and lets go of those that no job does: what is stored of them stays for a
    /// while.
    pub(super) fn let_go(&mut self, now: Now, effect: &mut Effect) {
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
}
