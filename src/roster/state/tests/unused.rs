//! What stays in the store of providers that no job uses any more.

use super::*;
use crate::roster::hold::HoldReason;

const HOUR: Duration = Duration::from_secs(3600);

fn at(start: Now, hours: u64) -> Now {
    let later = HOUR * u32::try_from(hours).expect("few hours");
    Now { instant: start.instant + later, wall: start.wall + later }
}

fn jobs(provider: &str) -> Vec<JobSpec> {
    vec![job("a", &[provider], "[]")]
}

/// What is stored after a job and its provider came and went again.
fn gone(start: Now) -> (State, Kept) {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(jobs("p/1")), start));
    kept.take(state.update(update("p/1", vec![group("s", &["h:1", "h:2"])], true), start));
    let effect = state.set_jobs(wanted(Vec::new()), start);
    assert_eq!((&effect.forgotten[..], state.unused()), (&[][..], 1));
    kept.take(effect);
    (state, kept)
}

/// The state after a reload that takes back what is in the store.
fn taken_back(state: &mut State, kept: &mut Kept, now: Now) {
    let stored = kept.stored().into_iter().filter(|stored| stored.key == key("p/1")).collect();
    kept.take(state.set_jobs(Wanted { stored, ..wanted(jobs("p/1")) }, now));
}

/// The state after a start with these jobs, as the roster asks the store.
fn started(kept: &mut Kept, jobs: Vec<JobSpec>, now: Now) -> State {
    let needed = |stored: &Stored| {
        let names = |spec: &JobSpec| spec.providers.contains(&stored.key) || stored.head.jobs.contains(&spec.name);
        jobs.iter().any(names)
    };
    let (stored, left): (Vec<_>, Vec<_>) = kept.stored().into_iter().partition(needed);
    let left = left.into_iter().map(|Stored { key, head, .. }| Left { key, head: Some(head), bytes: 1 }).collect();
    let mut state = State::default();
    kept.take(state.set_jobs(Wanted { stored, left, ..wanted(jobs) }, now));
    state
}

#[test]
fn a_job_that_comes_back_within_a_day_has_its_targets_of_before() {
    let start = now();
    let (mut state, mut kept) = gone(start);
    taken_back(&mut state, &mut kept, at(start, 23));
    assert_eq!(instances(&state, "a"), ["h:1", "h:2"]);
    let view = state.view();
    let job = view.job("a").expect("it came back");
    assert!(job.providers()[0].restored && job.servable().is_ok());
    assert_eq!(job.counts().held.of(HoldReason::Restored), 2);
    assert_eq!(state.unused(), 0);
    kept.take(state.pass(at(start, 25)));
    assert_eq!((kept.stored().len(), kept.stored()[0].head.unused), (1, None), "it is used again");
}

#[test]
fn after_a_day_it_is_forgotten_however_often_rosterd_starts_meanwhile() {
    let start = now();
    let (state, mut kept) = gone(start);
    assert_eq!(state.deadline(), Some(at(start, 24).instant));
    let mut state = started(&mut kept, Vec::new(), at(start, 20));
    kept.take(state.pass(at(start, 23)));
    assert_eq!((kept.stored().len(), state.unused()), (1, 1));
    kept.take(state.pass(at(start, 24)));
    assert_eq!((kept.stored().len(), state.unused()), (0, 0));
    let (_, mut kept) = gone(start);
    let state = started(&mut kept, Vec::new(), at(start, 24));
    assert_eq!((kept.stored().len(), state.unused()), (0, 0), "nobody was there when the day was over");
}

#[test]
fn what_the_configuration_does_not_have_at_a_start_is_unused_from_then_on_and_no_other_job_gets_it() {
    let (start, mut kept) = (now(), Kept::default());
    let mut state = State::default();
    kept.take(state.set_jobs(wanted(jobs("p/1")), start));
    kept.take(state.update(update("p/1", vec![group("s", &["h:1"])], true), start));
    let mut state = started(&mut kept, vec![job("b", &["p/2"], "[]")], at(start, 100));
    assert!(instances(&state, "b").is_empty());
    kept.take(state.pass(at(start, 123)));
    assert!(kept.0.contains_key(&key("p/1")));
    // Whoever had it before gets it by the same provider alone.
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), at(start, 123)));
    assert!(instances(&state, "a").is_empty());
    let again = started(&mut kept, vec![job("a", &["p/2"], "[]")], at(start, 123));
    assert!(instances(&again, "a").is_empty());
    let again = started(&mut kept, jobs("p/1"), at(start, 123));
    assert_eq!(instances(&again, "a"), ["h:1"]);
}

#[test]
fn of_too_many_or_too_large_ones_the_oldest_go() {
    let start = now();
    let left = |number: u64, bytes| Left { key: key(&format!("p/{number:04}")), head: Some(Head::default()), bytes };
    let mut state = State::default();
    for number in 0..1002 {
        state.set_jobs(Wanted { left: vec![left(number, 1)], ..wanted(Vec::new()) }, at(start, number / 100));
    }
    assert_eq!(state.unused(), 1000);
    let mut state = State::default();
    let mut forgotten = Vec::new();
    for number in 0..4 {
        let wanted = Wanted { left: vec![left(number, 100 << 20)], ..wanted(Vec::new()) };
        let effect = state.set_jobs(wanted, at(start, number));
        assert!(effect.heads.iter().all(|(key, _)| !effect.forgotten.contains(key)));
        forgotten.extend(effect.forgotten);
    }
    assert_eq!((forgotten, state.unused()), (vec![key("p/0000"), key("p/0001")], 2));
    let (mut state, all) = (State::default(), (0..4).map(|number| left(number, 100 << 20)).collect());
    let effect = state.set_jobs(Wanted { left: all, ..wanted(Vec::new()) }, start);
    let heads: Vec<_> = effect.heads.into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        (heads, state.unused()),
        (vec![key("p/0002"), key("p/0003")], 2),
        "of what is forgotten no head is left"
    );
}

#[test]
fn of_what_never_reported_nothing_is_kept() {
    let head = Some(Head { reported: false, known: false, ..Head::default() });
    let left = vec![Left { key: key("p/1"), head, bytes: 0 }, Left { key: key("p/2"), head: None, bytes: 9 }];
    let mut state = State::default();
    let effect = state.set_jobs(Wanted { left, ..wanted(Vec::new()) }, now());
    assert_eq!((effect.forgotten, state.unused()), (vec![key("p/1"), key("p/2")], 0));
}
