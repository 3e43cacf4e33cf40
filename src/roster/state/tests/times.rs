//! Since when something is held, and for how long what is missing keeps the rest away.

use super::holds::{after, all_held, but, found, held, since, view};
use super::*;
use crate::roster::hold::HoldReason::{Replaced, Unread};

fn at(minutes: u64) -> Now {
    Now { wall: std::time::UNIX_EPOCH + Duration::from_secs(60 * minutes), ..now() }
}

/// What was stored of `s` and `t`, in a state that began at this minute.
fn restored_at(minutes: u64) -> (State, Kept) {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), at(0));
    kept.take(before.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), at(0)));
    let mut state = State::default();
    let wanted = Wanted { stored: kept.stored(), ..wanted(vec![job("a", &["p/1"], "[]")]) };
    kept.take(state.set_jobs(wanted, at(minutes)));
    (state, kept)
}

#[test]
fn what_a_source_holds_is_adopted_with_since_when() {
    let (mut state, _) = restored_at(1);
    state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), at(2));
    state.set_jobs(wanted(vec![job("a", &["p/1-2"], "[]")]), at(3));
    assert_eq!(held(&state, "a"), all_held(&["h:1", "h:2"], Replaced));
    assert_eq!(since(&state, "a"), [at(3).wall, at(1).wall]);
}

#[test]
fn what_is_held_in_anothers_place_is_so_since_it_was_restored() {
    let (mut state, _) = restored_at(1);
    state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), at(2));
    assert_eq!((held(&state, "a"), since(&state, "a")), (all_held(&["h:1", "h:2"], Replaced), vec![at(1).wall; 2]));
}

#[test]
fn what_a_reload_made_another_adopt_counts_as_replaced_after_a_restart_too() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), at(0)));
    kept.take(state.update(update("p/1", vec![group("s", &["h:1"])], true), at(0)));
    let jobs = || vec![job("a", &["p/1-2"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), at(1)));
    let state = kept.restart(jobs());
    assert_eq!((held(&state, "a"), state.restored()), (all_held(&["h:1"], Replaced), 0));
    assert_eq!(since(&state, "a"), [at(1).wall]);
}

#[test]
fn a_source_that_could_not_be_read_and_is_not_there_then_may_still_come() {
    let (mut state, _) = restored_at(1);
    let first = || found(update("p/1", vec![group("s", &["h:1"])], true), &["s"]);
    state.update(but(first(), &["t"]), at(2));
    state.update(found(update("p/1", vec![], false), &["s"]), at(3));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:2"], Unread)));
}

#[test]
fn a_provider_that_is_used_again_has_a_time_of_grace_of_its_own() {
    let (mut state, start) = (State::default(), now());
    let jobs = |state: &mut State, provider: &str, seconds| {
        state.set_jobs(wanted(vec![job("a", &[provider], "[]")]), after(start, seconds));
    };
    jobs(&mut state, "p/1", 0);
    state.update(but(update("p/1", vec![], true), &["t"]), start);
    jobs(&mut state, "p/2", 100);
    jobs(&mut state, "p/1", 200);
    assert_eq!(state.deadline(), Some(after(start, 200).instant + GRACE));
    state.update(but(update("p/1", vec![], true), &["u"]), after(start, 250));
    assert_eq!(state.deadline(), Some(after(start, 200).instant + GRACE));
}

#[test]
fn once_all_that_is_missing_had_its_time_what_is_missing_too_waits_no_more() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), start);
    state.update(but(update("p/1", vec![], true), &["t"]), start);
    state.pass(after(start, 300));
    state.update(but(update("p/1", vec![], false), &["t", "u"]), after(start, 400));
    let overdue = |state: &State| view(state, "a").missing().iter().map(|it| it.overdue).collect::<Vec<_>>();
    assert_eq!((overdue(&state), state.deadline()), (vec![true, true], None));
}

#[test]
fn without_what_is_held_a_job_is_not_known_before_its_provider_reports_though_a_source_had_its_time() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), start));
    kept.take(state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), start));
    kept.take(state.pass(after(start, 300)));
    assert_eq!(view(&state, "a").without_held().map(|plain| plain.counts().targets).ok(), Some(1));
    let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing().len()), (Ok(()), 1));
    assert!(view(&state, "a").without_held().is_err(), "what there is now nobody has said");
    state.update(but(update("p/1", vec![group("s", &["h:2"])], true), &["t"]), start);
    assert_eq!(view(&state, "a").without_held().map(|plain| plain.counts().targets).ok(), Some(1));
}

#[test]
fn what_is_restored_is_waited_for() {
    let (state, _) = restored_at(1);
    assert_eq!(state.view().waiting_for().len(), 1);
}
