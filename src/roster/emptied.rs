//! Jobs of which no target is left since a removal that was braked went through: what people have to see for as long as it is so. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::hold::HoldReason;
use super::state::Effect;
use super::view::{JobView, RosterView};

/// That a job has nothing left since what was braked of it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emptied {
    /// How many targets were braked, and went.
    pub targets: usize,
    /// Since when there is none.
    pub since: SystemTime,
    /// What confirmed it.
    pub by: ConfirmedBy,
}

/// What confirmed a removal that was braked, without anybody asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmedBy {
    /// Another reading.
    Reading,
    /// Time: the source did not take it back.
    Time,
}

/// By job. A copy costs a pointer.
pub(super) type EmptiedJobs = Arc<BTreeMap<Arc<str>, Emptied>>;

/// Follows what is confirmed of jobs until their sources say a target again.
#[derive(Debug, Default)]
pub(super) struct Follower {
    confirmed: BTreeMap<Arc<str>, (usize, ConfirmedBy)>,
    empty: EmptiedJobs,
}

impl Follower {
    /// Those that are empty now.
    pub(super) fn empty(&self) -> EmptiedJobs {
        Arc::clone(&self.empty)
    }

    /// An event left the roster like this. What somebody let go of is known to who did that, and not followed.
    pub(super) fn follow(&mut self, effect: &Effect, view: &RosterView, now: SystemTime) {
        for name in effect.jobs.keys() {
            let reading = effect.brakes.confirmed.get(name).map(|ended| (ended, ConfirmedBy::Reading));
            let over = effect.brakes.over.get(name).and_then(|over| over.get(&HoldReason::Braked));
            let time = effect.brakes.still.get(name).or(over);
            for (ended, by) in reading.into_iter().chain(time.map(|ended| (ended, ConfirmedBy::Time))) {
                let before = self.confirmed.get(name).map_or(0, |(targets, _)| *targets);
                self.confirmed.insert(Arc::clone(name), (before + ended.targets, by));
            }
            self.look(name, view.job(name).map(|job| &**job), now);
        }
    }

    fn look(&mut self, name: &Arc<str>, job: Option<&JobView>, now: SystemTime) {
        let (targets, held) = job.map_or((0, 0), |job| (job.counts().targets, job.pages().held()));
        // What was confirmed and is in its time of grace still goes with what is confirmed meanwhile.
        let is_going = job.is_some_and(|job| job.counts().held.of(HoldReason::Grace) > 0);
        if job.is_none() || (targets > held && !is_going) {
            self.confirmed.remove(name);
        }
        match self.confirmed.get(name).filter(|_| targets == 0) {
            Some((targets, by)) if !self.empty.contains_key(name) => {
                let emptied = Emptied { targets: *targets, since: now, by: *by };
                Arc::make_mut(&mut self.empty).insert(Arc::clone(name), emptied);
            }
            None if self.empty.contains_key(name) => _ = Arc::make_mut(&mut self.empty).remove(name),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rosterd_discovery::{Attention, ProviderKey, Update};
    use rosterd_model::TargetGroup;
    use rosterd_testkit::everything;
    use tokio::time::Instant;

    use super::*;
    use crate::roster::brake::{Brake, Confirm};
    use crate::roster::clock::Now;
    use crate::roster::state::{State, Wanted};
    use crate::roster::{JobSpec, Keeping, Limits};

    const ALL: [&str; 4] = ["h:1", "h:2", "h:3", "h:4"];

    fn key() -> ProviderKey {
        ProviderKey::new("p/1")
    }

    fn wanted(grace: Duration) -> Wanted {
        let window = Duration::from_secs(600);
        let brake = Brake { share: 0.5, min_targets: 4, window, confirm: Confirm::Reading };
        let defaults = [
            ("job", "a"),
            ("__scrape_interval__", "1m"),
            ("__scrape_timeout__", "10s"),
            ("__metrics_path__", "/metrics"),
            ("__scheme__", "http"),
        ];
        let job = JobSpec {
            name: "a".into(),
            rules: Default::default(),
            defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            interval: "1m".to_owned(),
            timeout: "10s".to_owned(),
            params: BTreeMap::new(),
            limits: Limits::default(),
            keeping: Keeping { brake: Some(brake), grace },
            providers: vec![key()],
        };
        Wanted { jobs: vec![job], ..Wanted::default() }
    }

    fn reading(targets: &[&str]) -> Update {
        let group = |target: &&str| TargetGroup {
            source: (*target).into(),
            targets: vec![[("__address__", *target)].into_iter().collect()],
            ..TargetGroup::default()
        };
        let update = everything(key(), targets.iter().map(group).collect());
        Update { read: true, attention: Attention::of_polling(), ..update }
    }

    /// Times so many seconds after the first.
    fn clock() -> impl Fn(u64) -> Now {
        let start = Instant::now();
        move |seconds| {
            let time = Duration::from_secs(seconds);
            Now { instant: start + time, wall: SystemTime::UNIX_EPOCH + time }
        }
    }

    /// What becomes of a job with four targets that are all gone after 100 s and are still gone after 120 s.
    fn emptied(grace: Duration, then: impl Fn(&mut State, Now) -> Effect) -> [Option<Emptied>; 3] {
        let at = clock();
        let (mut state, mut follower) = (State::default(), Follower::default());
        let mut see = |state: &State, effect: &Effect, seconds| {
            follower.follow(effect, &state.view(), at(seconds).wall);
            follower.empty().get("a").copied()
        };
        let effect = state.set_jobs(wanted(grace), at(0));
        assert_eq!(see(&state, &effect, 0), None);
        for (seconds, targets) in [(0, &ALL[..]), (100, &[])] {
            let effect = state.update(reading(targets), at(seconds));
            assert_eq!(see(&state, &effect, seconds), None);
            assert_eq!(state.view().job("a").map(|job| job.counts().targets), Some(4), "they are braked");
        }
        let effect = state.update(reading(&[]), at(120));
        let confirmed = see(&state, &effect, 120);
        let effect = state.pass(at(170));
        let later = see(&state, &effect, 170);
        let effect = then(&mut state, at(200));
        [confirmed, later, see(&state, &effect, 200)]
    }

    #[test]
    fn a_job_is_empty_from_when_its_last_target_goes_until_it_has_one() {
        let since = |seconds| {
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            Some(Emptied { targets: 4, since, by: ConfirmedBy::Reading })
        };
        let back = |state: &mut State, now| state.update(reading(&ALL[..1]), now);
        assert_eq!(emptied(Duration::ZERO, back), [since(120), since(120), None]);
        assert_eq!(emptied(Duration::from_secs(60), back), [None, since(170), None], "its time of grace comes first");
        let gone = |state: &mut State, now| state.set_jobs(Wanted::default(), now);
        assert_eq!(emptied(Duration::ZERO, gone), [since(120), since(120), None]);
    }

    #[test]
    fn a_job_is_empty_of_what_was_braked_when_the_last_of_that_and_of_others_had_its_time() {
        let at = clock();
        let (mut state, mut follower) = (State::default(), Follower::default());
        let mut see = |state: &State, effect: &Effect, seconds| {
            let view = state.view();
            follower.follow(effect, &view, at(seconds).wall);
            let held = view.job("a").map_or(0, |job| job.pages().held());
            (held, follower.empty().get("a").copied())
        };
        let effect = state.set_jobs(wanted(Duration::from_secs(60)), at(0));
        see(&state, &effect, 0);
        let five = [&ALL[..], &["h:5"]].concat();
        for (seconds, targets, held) in [(0, &five[..], 0), (100, &ALL[..], 1), (110, &[], 5), (130, &[], 5)] {
            let effect = state.update(reading(targets), at(seconds));
            assert_eq!(see(&state, &effect, seconds), (held, None), "after {seconds} s");
        }
        let reasons = |state: &State| {
            let counts = state.view().job("a").map(|job| job.counts().held).unwrap_or_default();
            [HoldReason::Braked, HoldReason::Grace].map(|reason| counts.of(reason))
        };
        assert_eq!(reasons(&state), [0, 5], "four of them are confirmed, and one was never braked");
        for (seconds, held) in [(159, 5), (160, 4), (169, 4)] {
            let effect = state.pass(at(seconds));
            assert_eq!(see(&state, &effect, seconds), (held, None), "after {seconds} s");
        }
        let effect = state.pass(at(170));
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(170);
        assert_eq!(see(&state, &effect, 170), (0, Some(Emptied { targets: 4, since, by: ConfirmedBy::Reading })));
    }
}
