//! What stays although nobody says so now, what is missing, and what time does to it.

use super::*;
use crate::roster::hold::HoldReason::{Replaced, Restored, Unread};

/// An update of which some sources could not be read, and never were by this process.
pub(super) fn but(update: Update, unread: &[&str]) -> Update {
    let unread: Vec<_> = unread.iter().map(|name| (*name, false)).collect();
    Update { unread: failing(&unread), ..update }
}

pub(super) fn view(state: &State, job: &str) -> Arc<JobView> {
    Arc::clone(state.view().job(job).expect("the job exists"))
}

/// The targets that are held, by instance, as whoever reads entries sees them; fails where counts or slots disagree.
pub(super) fn held(state: &State, job: &str) -> Vec<(String, HoldReason)> {
    let view = view(state, job);
    let mut held = BTreeMap::new();
    for block in view.blocks() {
        for (index, entry) in block.entries().iter().enumerate() {
            let crate::roster::target::Entry::Active(labels) = entry else { continue };
            let hold = view.hold(block, index);
            assert_eq!(hold.is_some(), view.slot(labels).is_some_and(|slot| slot.is_held()));
            held.extend(hold.map(|hold| (labels.get("instance").unwrap_or_default().to_owned(), hold.reason)));
        }
    }
    assert_eq!(view.pages().held(), held.len());
    held.into_iter().collect()
}

pub(super) fn all_held(instances: &[&str], reason: HoldReason) -> Vec<(String, HoldReason)> {
    instances.iter().map(|instance| ((*instance).to_owned(), reason)).collect()
}

/// What no job uses any more.
pub(super) fn let_go(effect: &Effect) -> Vec<ProviderKey> {
    effect.heads.iter().filter(|(_, head)| head.unused.is_some()).map(|(key, _)| key.clone()).collect()
}

pub(super) fn after(now: Now, seconds: u64) -> Now {
    Now { instant: now.instant + Duration::from_secs(seconds), ..now }
}

#[test]
fn a_source_that_cannot_be_read_after_a_restart_keeps_its_targets_marked() {
    let mut state = restored();
    assert_eq!(held(&state, "a"), all_held(&["h:1", "h:2"], Restored));
    state.update(but(update("p/1", vec![group("s", &["h:1", "h:3"])], true), &["t"]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (3, all_held(&["h:2"], Unread)));
    assert_eq!(view(&state, "a").counts().held.of(Unread), 1);
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]), "it is known");
    state.update(update("p/1", vec![group("t", &["h:2"])], false), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (3, vec![]));
}

/// An update while sources other than these may still come.
pub(super) fn found(update: Update, seen: &[&str]) -> Update {
    let seen = seen.iter().map(|name| SourceId::of(name)).collect();
    Update { seen: Some(Arc::new(seen)), ..update }
}

#[test]
fn what_is_not_there_after_a_restart_is_held_until_it_comes() {
    let mut state = restored();
    state.update(found(update("p/1", vec![], true), &[]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:1", "h:2"], Unread)));
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]), "it is known");
    state.update(found(update("p/1", vec![group("s", &["h:3"])], false), &["s"]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:2"], Unread)));
    // It comes, and is empty.
    state.update(found(update("p/1", vec![], false), &["s", "t"]), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:3".to_owned()], vec![]));
}

#[test]
fn what_did_not_come_goes_once_the_picture_is_whole() {
    let (close, still) = (|| update("p/1", vec![], false), || all_held(&["h:2"], Unread));
    let open = || {
        let mut state = restored();
        state.update(found(update("p/1", vec![group("s", &["h:1"])], true), &["s"]), now());
        assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, still()));
        state
    };
    let mut state = open();
    assert!(state.is_large(&close()), "any number of targets may go");
    state.update(close(), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned()], vec![]));
    assert!(!state.is_large(&close()));
    // It came, and cannot be read.
    let mut state = open();
    state.update(but(close(), &["t"]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, still()));
    // Used no more, and again: the next one begins anew.
    let mut state = open();
    state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), now());
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned()], vec![]));
}

#[test]
fn a_provider_that_begins_again_keeps_what_it_had_of_a_source_that_it_cannot_read_any_more() {
    let mut state = restored();
    state.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), now());
    state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:2"], Unread)));
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]), "it is known");
    state.update(update("p/1", vec![group("t", &["h:3"])], false), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned(), "h:3".to_owned()], vec![]));
}

#[test]
fn what_is_not_there_when_a_provider_begins_again_is_held_from_then_on() {
    let (mut state, start) = (State::default(), now());
    let later = Now { wall: start.wall + GRACE, ..after(start, 300) };
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), start);
    state.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), start);
    state.update(found(update("p/1", vec![group("s", &["h:1"])], true), &["s"]), later);
    assert_eq!((held(&state, "a"), since(&state, "a")), (all_held(&["h:2"], Unread), vec![later.wall]));
}

#[test]
fn a_source_that_goes_stale_is_not_held() {
    let mut state = restored();
    state.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), now());
    let stale = Update { unread: failing(&[("t", true)]), ..update("p/1", vec![], false) };
    state.update(stale, now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a"), view(&state, "a").servable()), (2, vec![], Ok(())));
}

#[test]
fn a_source_that_never_answers_keeps_the_others_away_for_the_time_of_grace() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    let jobs = || vec![job("a", &["p/1"], "[]")];
    state.set_jobs(wanted(jobs()), start);
    assert_eq!(state.deadline(), Some(start.instant + GRACE));
    kept.take(state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), after(start, 10)));
    let told = NotServable::Unsynced { job: "a".into(), missing: vec![missing("p/1", Some("t"), false)] };
    assert_eq!((view(&state, "a").servable(), instances(&state, "a").len()), (Err(told), 1));
    assert_eq!(state.deadline(), Some(start.instant + GRACE), "grace runs from when it was wanted");
    kept.take(state.pass(after(start, 300)));
    assert_eq!(view(&state, "a").servable(), Ok(()));
    assert_eq!((view(&state, "a").missing(), state.deadline()), (&[missing("p/1", Some("t"), true)][..], None));

    // After a restart it does not begin again.
    let mut state = kept.restart(jobs());
    assert_eq!((view(&state, "a").servable(), instances(&state, "a").len()), (Ok(()), 1));
    state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), now());
    assert_eq!(view(&state, "a").servable(), Ok(()));
    state.update(update("p/1", vec![], false), now());
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]));
}

#[test]
fn of_two_providers_one_that_is_always_down_keeps_the_other_away_for_the_time_of_grace() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["p/1", "p/2"], "[]")]), start);
    state.update(update("p/1", vec![group("s", &["h:1"])], true), start);
    assert!(view(&state, "a").servable().is_err());
    assert!(state.pass(after(start, 299)).jobs.is_empty());
    let effect = state.pass(after(start, 300));
    assert_eq!(effect.jobs.keys().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing().len()), (Ok(()), 1));
    // A reload that adds another one begins with the grace of that one.
    state.set_jobs(wanted(vec![job("a", &["p/1", "p/2", "p/3"], "[]")]), after(start, 400));
    let told = NotServable::Unsynced {
        job: "a".into(),
        missing: vec![missing("p/2", None, true), missing("p/3", None, false)],
    };
    assert_eq!(
        (view(&state, "a").servable(), state.deadline()),
        (Err(told), Some(start.instant + Duration::from_secs(700)))
    );
}

#[test]
fn a_job_of_which_nothing_is_known_is_never_served() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]"), job("b", &["p/2"], "[]")]), start);
    state.update(but(update("p/2", vec![], true), &["t"]), start);
    state.pass(after(start, 1000));
    assert!(["a", "b"].iter().all(|job| view(&state, job).servable().is_err()));
    state.update(update("p/2", vec![], false), start);
    assert_eq!(view(&state, "b").servable(), Ok(()), "known to be empty");
}

#[test]
fn a_reload_that_adds_a_source_which_never_answers_leaves_the_others() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["dns/1"], "[]")]), start);
    state.update(update("dns/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), start);
    state.set_jobs(wanted(vec![job("a", &["dns/2"], "[]")]), start);
    assert_eq!(held(&state, "a"), all_held(&["h:1", "h:2"], Replaced));
    assert!(view(&state, "a").servable().is_err(), "the list stays away, nobody loses targets by it");
    let effect =
        state.update(but(update("dns/2", vec![group("s", &["h:1"]), group("t", &["h:3"])], true), &["u"]), start);
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned(), "h:3".to_owned()], vec![]));
    assert_eq!((&effect.forgotten[..], let_go(&effect)), (&[key("dns/2")][..], vec![key("dns/1")]));
}

#[test]
fn a_source_that_the_new_provider_cannot_read_is_held_from_the_one_before() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    let jobs = || vec![job("a", &["dns/2"], "[]")];
    kept.take(state.set_jobs(wanted(vec![job("a", &["dns/1"], "[]")]), start));
    kept.take(state.update(update("dns/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), start));
    kept.take(state.set_jobs(wanted(jobs()), start));
    kept.take(state.update(but(update("dns/2", vec![group("s", &["h:3"])], true), &["t"]), start));
    let expected = (vec!["h:2".to_owned(), "h:3".to_owned()], all_held(&["h:2"], Replaced));
    assert_eq!((instances(&state, "a"), held(&state, "a")), expected);
    assert_eq!(view(&state, "a").servable(), Ok(()), "what is held is not missing");
    let mut state = kept.restart(jobs());
    assert_eq!(instances(&state, "a"), expected.0, "also after a restart");
    kept.take(state.update(but(update("dns/2", vec![group("s", &["h:3"])], true), &["t"]), now()));
    assert_eq!((instances(&state, "a"), held(&state, "a")), expected);
    kept.take(state.update(update("dns/2", vec![group("t", &["h:4"])], false), now()));
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:3".to_owned(), "h:4".to_owned()], vec![]));
    assert_eq!(kept.in_use(), [key("dns/2")]);
}

#[test]
fn a_job_holds_what_a_replaced_provider_had_also_over_a_restart_and_no_other_job_does() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    // A rotated token: other data under another key.
    let jobs = || vec![job("a", &["http/2"], "[]"), job("b", &["http/2"], "[]")];
    kept.take(state.set_jobs(wanted(vec![job("a", &["http/1"], "[]")]), start));
    kept.take(state.update(update("http/1", vec![group("s", &["h:1"])], true), start));
    kept.take(state.set_jobs(wanted(jobs()), start));
    let restart = kept.restart(jobs());
    for mut state in [state, restart] {
        assert_eq!((held(&state, "a"), instances(&state, "b")), (all_held(&["h:1"], Replaced), vec![]));
        assert_eq!(view(&state, "a").counts().held.of(Replaced), 1);
        state.pass(after(now(), 1000));
        assert_eq!((view(&state, "a").servable(), view(&state, "b").servable().is_err()), (Ok(()), true));
        // What comes late from the one before is not wanted any more.
        assert!(state.update(update("http/1", vec![], true), start).jobs.is_empty());
        let effect = state.update(update("http/2", vec![group("s", &["h:2"])], true), start);
        assert_eq!((instances(&state, "a"), instances(&state, "b")), (vec!["h:2".to_owned()], vec!["h:2".to_owned()]));
        assert_eq!((held(&state, "a"), let_go(&effect)), (vec![], vec![key("http/1")]));
    }
}

#[test]
fn what_is_held_follows_the_rules_of_the_job_as_they_are() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1", "h:2"])], true), now());
    let keep = "[{source_labels: [__address__], regex: 'h:1', action: keep}]";
    state.set_jobs(wanted(vec![job("a", &["p/2"], keep)]), now());
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced));
}

#[test]
fn a_reload_back_takes_what_is_held_as_what_was_known_before() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), now());
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    // Nothing was restored, and nobody has said it again.
    assert_eq!((held(&state, "a"), state.restored()), (all_held(&["h:1"], Replaced), 0));
    assert!(state.update(update("p/1", vec![group("s", &["h:9"])], false), now()).jobs.is_empty(), "a late difference");
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    assert_eq!((held(&state, "a"), instances(&state, "a")), (vec![], vec!["h:1".to_owned()]));
}

#[test]
fn a_provider_with_the_same_data_adopts_what_is_known() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/12"], "[]")]), now()));
    kept.take(state.update(update("p/12", vec![group("s", &["h:1"])], true), now()));
    // After a restart with other intervals, and without one.
    let mut jobs = vec![job("a", &["p/12-2"], "[]"), job("b", &["p/12-2"], "[]")];
    let restart = kept.restart(jobs.clone());
    let effect = state.set_jobs(wanted(jobs.split_off(0)), now());
    assert_eq!((effect.jobs[&Arc::from("a")], effect.tally.relabelled), (Delta::default(), 1), "that of b alone");
    assert_eq!((&effect.forgotten[..], let_go(&effect)), (&[key("p/12-2")][..], vec![key("p/12")]));
    for (state, reason) in [(state, Replaced), (restart, Restored)] {
        let all = || all_held(&["h:1"], reason);
        assert_eq!((held(&state, "a"), held(&state, "b")), (all(), all()));
        assert_eq!(view(&state, "a").servable(), Ok(()));
    }
    assert_eq!(kept.in_use(), [key("p/12-2")]);
}

#[test]
fn what_another_provider_adopted_is_not_held_beside_it() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/12"], "[]")]), now());
    state.update(update("p/12", vec![group("s", &["h:1", "h:2"])], true), now());
    // Of the second provider nothing is known.
    let effect = state.set_jobs(wanted(vec![job("a", &["p/12-2", "q/3"], "[]")]), now());
    assert_eq!(let_go(&effect), [key("p/12")]);
    state.update(update("p/12-2", vec![group("s", &["h:1"])], true), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned()], vec![]));
}

#[test]
fn a_target_that_any_source_says_now_is_not_held() {
    let mut state = restored();
    state.set_jobs(wanted(vec![job("a", &["p/1", "p/2"], "[]")]), now());
    state.update(update("p/2", vec![group("x", &["h:1"])], true), now());
    assert_eq!(held(&state, "a"), all_held(&["h:2"], Restored));
    assert_eq!(view(&state, "a").counts().held.of(Restored), 2, "entries are counted");
    state.update(update("p/2", vec![], true), now());
    assert_eq!(held(&state, "a"), all_held(&["h:1", "h:2"], Restored));
}

#[test]
fn what_could_not_be_read_of_the_store_is_not_mixed_with_what_comes() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let effect = state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    assert_eq!((effect.forgotten, effect.blocks.len()), (vec![key("p/1")], 1));
}

#[test]
fn what_a_provider_that_is_down_has_nothing_to_do_with_is_not_held_for_it() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/down", "p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    state.set_jobs(wanted(vec![job("a", &["p/down", "p/2"], "[]")]), now());
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced));
    // Another reload, before anything is known: still that one is awaited, and what came now.
    state.set_jobs(wanted(vec![job("a", &["p/down", "p/2", "p/3"], "[]")]), now());
    state.update(update("p/3", vec![], true), now());
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced));
    let effect = state.update(update("p/2", vec![group("s", &["h:2"])], true), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:2".to_owned()], vec![]));
    assert_eq!(let_go(&effect), [key("p/1")]);
    let effect = state.set_jobs(wanted(vec![job("a", &["p/down", "p/3"], "[]")]), now());
    assert_eq!((instances(&state, "a"), let_go(&effect)), (vec![], vec![key("p/2")]), "nothing came in its place");
}

#[test]
fn what_is_missing_of_a_provider_is_missing_of_the_one_that_adopts_its_data() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["p/12"], "[]")]), start);
    state.update(but(update("p/12", vec![group("s", &["h:1"])], true), &["t"]), start);
    state.pass(after(start, 300));
    // Another interval, say. What never answers has had its time.
    let effect = state.set_jobs(wanted(vec![job("a", &["p/12-2"], "[]")]), after(start, 400));
    let used = effect.heads.iter().filter(|(_, head)| head.unused.is_none());
    assert_eq!(used.map(|(key, head)| (key.as_str(), head.missing.len())).collect::<Vec<_>>(), [("p/12-2", 1)]);
    let told = |state: &State| (view(state, "a").servable(), view(state, "a").missing().len());
    assert_eq!(told(&state), (Ok(()), 1));
    state.update(but(update("p/12-2", vec![group("s", &["h:1"])], true), &["t"]), after(start, 401));
    assert_eq!(told(&state), (Ok(()), 1));
}

/// Whether its list is handed out, and what is missing.
fn told(state: &State, job: &str) -> (bool, Vec<Missing>) {
    (view(state, job).servable().is_ok(), view(state, job).missing().to_vec())
}

fn restored_missing(provider: &str, source: Option<&str>) -> Missing {
    Missing { report: None, ..missing(provider, source, true) }
}

#[test]
fn a_provider_that_never_answered_within_its_grace_does_not_get_another_one() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    let jobs = || vec![job("a", &["p/1", "p/2"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), start));
    kept.take(state.update(update("p/1", vec![group("s", &["h:1"])], true), start));
    kept.take(state.pass(after(start, 300)));
    let mut again = kept.restart(jobs());
    assert_eq!((told(&again, "a"), again.deadline()), ((true, vec![restored_missing("p/2", None)]), None));
    // Another interval, say.
    for state in [&mut state, &mut again] {
        kept.take(state.set_jobs(wanted(vec![job("a", &["p/1", "p/2-2"], "[]")]), after(start, 400)));
        assert_eq!((told(state, "a"), state.deadline()), ((true, vec![restored_missing("p/2-2", None)]), None));
    }
    let mut again = kept.restart(vec![job("a", &["p/1", "p/2-3"], "[]")]);
    assert_eq!(told(&again, "a"), (true, vec![restored_missing("p/2-3", None)]));
    // It answers, in part: what it cannot read has had its time too.
    again.update(but(update("p/2-3", vec![group("s", &["h:2"])], true), &["t"]), now());
    assert_eq!(told(&again, "a"), (true, vec![missing("p/2-3", Some("t"), true)]));
}

#[test]
fn a_reload_that_changes_an_interval_does_not_begin_the_grace_anew() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["p/1", "p/2"], "[]")]), start);
    state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), start);
    state.set_jobs(wanted(vec![job("a", &["p/1-2", "p/2-2"], "[]")]), after(start, 200));
    state.pass(after(start, 300));
    let a_day_after_the_reload = after(start, 200 + 24 * 3600).instant;
    assert_eq!((told(&state, "a").0, state.deadline()), (true, Some(a_day_after_the_reload)));
}

#[test]
fn a_source_that_was_known_to_be_empty_keeps_nothing_away_when_it_fails_after_a_restart() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    let jobs = || vec![job("a", &["p/1"], "[]"), job("b", &["p/2"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), now()));
    kept.take(state.update(update("p/1", vec![group("s", &["h:1"])], true), now()));
    kept.take(state.update(update("p/2", vec![], true), now()));
    let mut state = kept.restart(jobs());
    state.update(but(update("p/1", vec![group("s", &["h:1"])], true), &["t"]), now());
    kept.take(state.update(but(update("p/2", vec![], true), &["t"]), now()));
    for state in [state, kept.restart(jobs())] {
        assert!(told(&state, "a").0 && told(&state, "b").0);
        assert_eq!((instances(&state, "a"), instances(&state, "b")), (vec!["h:1".to_owned()], vec![]));
    }
}

#[test]
fn a_source_that_is_new_and_cannot_be_read_is_named_and_keeps_nothing_away() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    state.update(but(update("p/1", vec![], false), &["t"]), now());
    assert_eq!(told(&state, "a"), (true, vec![missing("p/1", Some("t"), true)]));
}

#[test]
fn that_nothing_is_known_outlives_a_restart_too() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    let jobs = || vec![job("a", &["p/1"], "[]"), job("b", &["p/2"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), start));
    kept.take(state.update(but(update("p/1", vec![], true), &["t"]), start));
    kept.take(state.pass(after(start, 300)));
    let state = kept.restart(jobs());
    assert!(!told(&state, "a").0 && !told(&state, "b").0);
}

#[test]
fn a_provider_that_came_in_anothers_place_is_known_after_a_restart_and_so_is_since_when() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    let later = Now { wall: start.wall + Duration::from_secs(60), ..start };
    let jobs = || vec![job("a", &["p/down", "p/2"], "[]")];
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/down", "p/1"], "[]")]), start));
    kept.take(state.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), start));
    kept.take(state.set_jobs(wanted(jobs()), later));
    kept.take(state.pass(after(start, 300)));
    let mut state = kept.restart(jobs());
    assert_eq!((told(&state, "a").0, held(&state, "a")), (true, all_held(&["h:1", "h:2"], Replaced)));
    assert_eq!(since(&state, "a"), [later.wall, later.wall]);
    state.update(update("p/2", vec![group("s", &["h:3"])], true), now());
    assert_eq!(
        (instances(&state, "a"), held(&state, "a")),
        (vec!["h:3".to_owned()], vec![]),
        "the other may stay down"
    );
}

/// Since when each of its held targets is held.
pub(super) fn since(state: &State, job: &str) -> Vec<std::time::SystemTime> {
    holds(state, job).into_iter().map(|hold| hold.since).collect()
}

/// Why each of its held targets is, since when and how long.
pub(super) fn holds(state: &State, job: &str) -> Vec<Hold> {
    let view = view(state, job);
    let of = |block: crate::roster::view::BlockView<'_>| {
        (0..block.entries().len()).filter_map(|entry| view.hold(block, entry)).collect::<Vec<_>>()
    };
    view.blocks().flat_map(of).collect()
}

#[test]
fn since_when_targets_are_held_outlives_restarts() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    let jobs = || vec![job("a", &["p/1"], "[]")];
    let at = |minutes: u64| Now { wall: std::time::UNIX_EPOCH + Duration::from_secs(60 * minutes), ..now() };
    let first = || update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true);
    let read = || update("p/1", vec![group("s", &["h:1"])], true);
    kept.take(state.set_jobs(wanted(jobs()), at(0)));
    kept.take(state.update(first(), at(0)));
    let restart = |kept: &mut Kept, minutes| {
        let mut state = State::default();
        kept.take(state.set_jobs(Wanted { stored: kept.stored(), ..wanted(jobs()) }, at(minutes)));
        state
    };
    assert_eq!(since(&restart(&mut kept, 1), "a"), [at(1).wall; 2]);
    let mut state = restart(&mut kept, 2);
    assert_eq!(since(&state, "a"), [at(1).wall; 2]);
    kept.take(state.update(but(read(), &["t"]), at(3)));
    assert_eq!((since(&state, "a"), held(&state, "a")), (vec![at(1).wall], all_held(&["h:2"], Unread)));
    let mut state = restart(&mut kept, 4);
    assert_eq!(since(&state, "a"), [at(4).wall, at(1).wall], "that of t has not been read since the first");
    kept.take(state.update(but(read(), &["t"]), at(5)));
    assert_eq!(since(&state, "a"), [at(1).wall]);
    kept.take(state.update(first(), at(6)));
    assert_eq!((since(&state, "a"), since(&restart(&mut kept, 7), "a")), (vec![], vec![at(7).wall; 2]));
}

#[test]
fn each_source_has_its_own_time_of_grace() {
    let (mut state, start) = (State::default(), now());
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), start);
    state.update(but(update("p/1", vec![], true), &["s"]), start);
    state.update(but(update("p/1", vec![], false), &["s", "t"]), after(start, 200));
    state.pass(after(start, 300));
    let overdue = |state: &State| {
        let view = view(state, "a");
        let overdue: BTreeMap<_, _> = view.missing().iter().map(|it| (it.source.clone(), it.overdue)).collect();
        overdue.into_values().collect::<Vec<_>>()
    };
    assert_eq!(overdue(&state), [true, false]);
    assert_eq!(state.deadline(), Some(after(start, 500).instant));
    state.pass(after(start, 500));
    assert_eq!((overdue(&state), state.deadline()), (vec![true, true], None));
}

#[test]
fn what_has_the_same_data_and_knows_nothing_yet_is_waited_for_as_another() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1-2"], "[]"), job("b", &["p/1"], "[]")]), now());
    state.update(update("p/1-2", vec![group("s", &["h:1"])], true), now());
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]"), job("b", &["p/1"], "[]")]), now());
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced));
    state.update(update("p/1", vec![group("s", &["h:2"])], true), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:2".to_owned()], vec![]));
}

#[test]
fn a_provider_that_went_and_came_back_is_waited_for_again() {
    let mut state = State::default();
    let jobs = |state: &mut State, providers: &[&str]| {
        state.set_jobs(wanted(vec![job("a", providers, "[]")]), now());
    };
    jobs(&mut state, &["p/1", "q/2"]);
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    jobs(&mut state, &["q/2", "r/3"]);
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced), "the new one may have the same");
    jobs(&mut state, &["r/3"]);
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced));
    jobs(&mut state, &["q/2"]);
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Replaced), "it is as new as the other was");
    state.update(update("q/2", vec![], true), now());
    assert_eq!(instances(&state, "a"), [""; 0]);
}

#[test]
fn a_job_without_providers_is_known_to_be_empty() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &[], "[]")]), now());
    assert_eq!((view(&state, "a").servable(), instances(&state, "a").len()), (Ok(()), 0));
}

#[test]
fn of_several_with_the_same_data_one_that_knows_it_is_adopted() {
    let mut state = State::default();
    let jobs = || vec![job("a", &["p/1"], "[]"), job("b", &["p/1-2"], "[]")];
    state.set_jobs(wanted(jobs()), now());
    state.update(update("p/1-2", vec![group("s", &["h:1"])], true), now());
    state.set_jobs(wanted([jobs(), vec![job("c", &["p/1-3"], "[]")]].concat()), now());
    assert_eq!((instances(&state, "c"), held(&state, "c")), (vec!["h:1".to_owned()], all_held(&["h:1"], Replaced)));
}
