//! What confirms a removal while sources that were not there at the start may still come.

use std::time::{Duration, SystemTime};

use rosterd_discovery::{ProviderStatus, Status};

use super::holds::{after, all_held, found, held, view};
use super::*;
use crate::roster::Keeping;
use crate::roster::brake::{Brake, Confirm};
use crate::roster::confirmation::{Confirmation, Readings};
use crate::roster::hold::HoldReason::Braked;

const ALL: [&str; 4] = ["h:1", "h:2", "h:3", "h:4"];

fn braking() -> Vec<JobSpec> {
    let brake = Brake { share: 0.5, min_targets: 4, window: Duration::from_secs(600), confirm: Confirm::Reading };
    vec![JobSpec { keeping: Keeping { brake: Some(brake), grace: Duration::ZERO }, ..job("a", &["p/1"], "[]") }]
}

/// A state in which all but one of a job's four targets were braked at this time, and what of it is stored.
fn braked(start: Now) -> (State, Kept) {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(braking()), start));
    kept.take(state.update(found(update("p/1", vec![group("s", &ALL)], true), &["s"]), start));
    kept.take(state.update(found(update("p/1", vec![group("s", &["h:1"])], false), &["s"]), start));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (4, all_held(&ALL[1..], Braked)));
    (state, kept)
}

#[test]
fn a_source_that_was_read_confirms_although_others_may_still_come() {
    let start = now();
    let (mut state, _) = braked(start);
    assert_eq!(state.deadline(), Some(after(start, 60).instant));
    // A reading that may not be all there is confirms nothing at once.
    state.update(Update { read: true, ..found(update("p/1", vec![], false), &["s"]) }, after(start, 30));
    state.pass(after(start, 59));
    assert_eq!(held(&state, "a").len(), 3);
    state.pass(after(start, 60));
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned()], vec![]));
}

#[test]
fn a_source_that_was_never_there_since_a_restart_confirms_nothing_until_it_comes_or_may_come_no_more() {
    let start = now();
    let absent = |seen: &[&str]| found(update("p/1", vec![], false), seen);
    let restarted = || {
        let mut state = State::default();
        braked(start).1.restart_at(&mut state, braking(), after(start, 600));
        state.update(found(update("p/1", vec![group("t", &["h:5"])], true), &["t"]), after(start, 600));
        // All that is there was read again.
        state.update(Update { read: true, ..absent(&["t"]) }, after(start, 900));
        state.pass(after(start, 960));
        assert_eq!((instances(&state, "a").len(), held(&state, "a").len()), (5, 4));
        state
    };
    let mut state = restarted();
    let came = found(update("p/1", vec![group("s", &["h:1"])], false), &["s", "t"]);
    state.update(came, after(start, 990));
    state.pass(after(start, 1000));
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned(), "h:5".to_owned()], vec![]));
    let mut state = restarted();
    state.update(update("p/1", vec![], false), after(start, 990));
    state.pass(after(start, 1000));
    // Those that are braked count as there until that is confirmed, and with them most of the job is gone at once.
    assert_eq!(
        (instances(&state, "a"), held(&state, "a")),
        (vec!["h:1".to_owned(), "h:5".to_owned()], all_held(&["h:1"], Braked))
    );
}

#[test]
fn when_it_may_be_confirmed_is_told_of_what_was_not_there_since_the_start_as_well() {
    let start = now();
    let time = |seconds| start.wall + Duration::from_secs(seconds);
    let told = |state: &State, now: SystemTime| {
        let status = Status { next_try: Some(time(900)), ..Status::default() };
        let (jobs, reads) = (vec!["a".into()], Arc::default());
        let provider = ProviderStatus { key: key("p/1"), jobs, reads, status, watches: Vec::new() };
        Confirmation::of(&view(state, "a"), &Readings::of([&provider]), now).map(|it| (it.watched, it.expected))
    };
    let (mut state, mut kept) = braked(start);
    kept.take(state.update(found(update("p/1", vec![TargetGroup::gone("s")], false), &["s"]), after(start, 10)));
    assert_eq!(told(&state, time(20)), Some((true, Some(time(60)))), "its source does not take it back");
    assert_eq!(told(&state, time(61)), Some((true, None)));
    let mut state = State::default();
    kept.restart_at(&mut state, braking(), after(start, 30));
    state.update(found(update("p/1", vec![], true), &[]), after(start, 31));
    assert_eq!(told(&state, time(32)), Some((false, Some(time(900)))), "the next reading of all");
    // Of what may be known it is not told later for that which may not.
    state.update(found(update("p/1", vec![group("t", &ALL)], false), &["t"]), after(start, 33));
    state.update(found(update("p/1", vec![group("s", &ALL)], false), &["s", "t"]), after(start, 34));
    assert_eq!(told(&state, time(35)), None, "it came");
}
