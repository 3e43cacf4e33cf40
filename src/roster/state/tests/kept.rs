//! What stays although its source says that it is gone: braked, or in its time of grace.

use rosterd_discovery::Attention;

use super::holds::{after, all_held, held, holds, since, view};
use super::steps::{telling, words};
use super::*;
use crate::roster::Keeping;
use crate::roster::brake::{Brake, Confirm};
use crate::roster::hold::HoldReason::{Braked, Grace, Restored};
use crate::roster::step::{BrakeStep, LetGo, Stay};

const BRAKE: Brake = Brake { share: 0.5, min_targets: 4, window: Duration::from_secs(600), confirm: Confirm::Reading };

fn braking(confirm: Confirm) -> Keeping {
    Keeping { brake: Some(Brake { confirm, ..BRAKE }), grace: Duration::ZERO }
}

fn gracious(seconds: u64) -> Keeping {
    Keeping { brake: None, grace: Duration::from_secs(seconds) }
}

fn keeping(keeping: Keeping) -> Vec<JobSpec> {
    vec![JobSpec { keeping, ..job("a", &["p/1"], "[]") }]
}

/// A whole reading of a source that is read again and again.
fn reading(groups: Vec<TargetGroup>) -> Update {
    Update { read: true, attention: Attention::of_polling(), ..update("p/1", groups, true) }
}

/// What the manager makes of a later one: what changed, if anything did.
fn again(groups: Vec<TargetGroup>) -> Update {
    Update { whole: false, ..reading(groups) }
}

const ALL: [&str; 4] = ["h:1", "h:2", "h:3", "h:4"];

/// A state in which the job has four targets.
fn four(of_job: Keeping, start: Now) -> (State, Kept) {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(keeping(of_job)), start));
    kept.take(state.update(reading(vec![group("s", &ALL)]), start));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (4, vec![]));
    (state, kept)
}

fn at(start: Now, seconds: u64) -> Now {
    Now { wall: start.wall + Duration::from_secs(seconds), ..after(start, seconds) }
}

fn delta(effect: &Effect) -> (u64, u64) {
    effect.jobs.get("a").map_or((0, 0), |delta| (delta.added, delta.removed))
}

#[test]
fn too_many_at_once_stay_until_another_reading_says_so_too() {
    let start = now();
    let (mut state, mut kept) = four(braking(Confirm::Reading), start);
    let asked = reading(vec![]).attention;
    let effect = state.update(Update { attention: asked.clone(), ..again(vec![group("s", &["h:1"])]) }, at(start, 60));
    assert_eq!((delta(&effect), effect.brakes.held.len()), ((0, 0), 1));
    kept.take(effect);
    assert_eq!(
        (instances(&state, "a"), held(&state, "a")),
        (ALL.map(str::to_owned).to_vec(), all_held(&ALL[1..], Braked))
    );
    assert_eq!(view(&state, "a").counts().held.of(Braked), 3);
    assert_eq!(view(&state, "a").braked(), Some(start.wall + Duration::from_secs(60)));
    assert!(asked.is_wanted(), "the next reading is asked for, whatever it finds");
    // Read again within a moment.
    assert_eq!(delta(&state.update(again(vec![]), at(start, 69))), (0, 0));
    // Something was read, but not all.
    let part = Update { read: false, ..again(vec![group("t", &["h:5"])]) };
    assert_eq!(delta(&state.update(part, at(start, 80))), (1, 0));
    assert_eq!(held(&state, "a").len(), 3);
    let effect = state.update(Update { attention: asked.clone(), ..again(vec![]) }, at(start, 90));
    assert_eq!((delta(&effect), effect.brakes.confirmed["a"].targets), ((0, 3), 3));
    kept.take(effect);
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned(), "h:5".to_owned()], vec![]));
    assert_eq!((view(&state, "a").braked(), asked.is_wanted(), state.deadline()), (None, false, None));
    assert!(kept.0.keys().all(|key| !is_kept(key)), "nothing of it stays stored");
}

#[test]
fn what_comes_back_is_held_no_more_and_the_rest_is_confirmed() {
    let start = now();
    let (mut state, _) = four(braking(Confirm::Reading), start);
    state.update(again(vec![TargetGroup::gone("s")]), at(start, 60));
    assert_eq!(held(&state, "a"), all_held(&ALL, Braked));
    // Half a reading: it came back in another source.
    let effect = state.update(Update { read: false, ..again(vec![group("t", &["h:1", "h:2"])]) }, at(start, 61));
    assert_eq!((delta(&effect), held(&state, "a")), ((0, 0), all_held(&ALL[2..], Braked)));
    let counts = view(&state, "a").counts();
    assert_eq!((counts.duplicates, counts.held.of(Braked)), (0, 2), "the kept copy is gone");
    let effect = state.update(again(vec![group("s", &["h:3"])]), at(start, 90));
    assert_eq!((delta(&effect), instances(&state, "a").len(), held(&state, "a")), ((0, 1), 3, vec![]));
}

#[test]
fn what_comes_back_takes_not_the_place_of_others_that_go() {
    let (start, brake) = (now(), Some(Brake { share: 0.3, ..BRAKE }));
    let (mut state, _) = four(Keeping { brake, grace: Duration::ZERO }, start);
    state.update(again(vec![group("s", &ALL[2..])]), at(start, 60));
    assert_eq!(held(&state, "a"), all_held(&ALL[..2], Braked));
    // Long after, when nobody remembers how many there were.
    let effect = state.update(again(vec![group("s", &ALL[..2])]), at(start, 9000));
    assert_eq!((delta(&effect), held(&state, "a")), ((0, 0), all_held(&ALL[2..], Braked)));
    // One comes back for one that goes.
    let (mut state, _) = four(braking(Confirm::Reading), start);
    state.update(again(vec![group("s", &ALL[3..])]), at(start, 60));
    let effect = state.update(again(vec![group("s", &ALL[..1])]), at(start, 61));
    assert_eq!((delta(&effect), held(&state, "a")), ((0, 0), all_held(&ALL[1..], Braked)));
}

#[test]
fn half_of_a_job_and_any_of_a_small_one_go_at_once() {
    let start = now();
    let (mut state, _) = four(braking(Confirm::Reading), start);
    assert_eq!(delta(&state.update(again(vec![group("s", &ALL[..2])]), start)), (0, 2));
    let mut state = State::default();
    state.set_jobs(wanted(keeping(braking(Confirm::Reading))), start);
    state.update(reading(vec![group("s", &ALL[..3])]), start);
    assert_eq!(delta(&state.update(again(vec![TargetGroup::gone("s")]), start)), (0, 3));
}

#[test]
fn targets_in_the_place_of_which_others_come_are_not_missed() {
    let start = now();
    let (mut state, _) = four(braking(Confirm::Reading), start);
    let effect = state.update(again(vec![group("s", &["h:5", "h:6", "h:7", "h:8"])]), start);
    assert_eq!((delta(&effect), held(&state, "a")), ((4, 4), vec![]));
    // The same targets with other labels, while as many go for good.
    let other = |address: &str| [("__address__", address), ("team", "x")].into_iter().collect();
    let changed = TargetGroup { targets: vec![other("h:5")], ..group("s", &[]) };
    state.update(again(vec![changed]), at(start, 60));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (4, all_held(&["h:6", "h:7", "h:8"], Braked)));
}

#[test]
fn what_drains_slowly_stays_once_it_is_too_much() {
    let start = now();
    let (mut state, _) = four(braking(Confirm::Reading), start);
    for (left, seconds) in [(3, 60), (2, 120)] {
        assert_eq!(delta(&state.update(again(vec![group("s", &ALL[..left])]), at(start, seconds))), (0, 1));
    }
    state.update(again(vec![group("s", &ALL[..1])]), at(start, 180));
    assert_eq!(held(&state, "a"), all_held(&["h:2"], Braked));
    // Confirmed, it is the size from then on.
    state.update(again(vec![]), at(start, 240));
    assert_eq!(instances(&state, "a"), ["h:1"]);
    assert_eq!(delta(&state.update(again(vec![TargetGroup::gone("s")]), at(start, 300))), (0, 1));
    // What went long ago does not count.
    let (mut state, _) = four(braking(Confirm::Reading), start);
    state.update(again(vec![group("s", &ALL[..2])]), at(start, 60));
    assert_eq!(delta(&state.update(again(vec![group("s", &ALL[..1])]), at(start, 661))), (0, 1));
}

#[test]
fn a_source_that_cannot_be_read_confirms_nothing() {
    let start = now();
    let (mut state, _) = four(braking(Confirm::Reading), start);
    let groups = vec![group("t", &["h:5", "h:6", "h:7", "h:8"])];
    state.update(again(groups), start);
    let gone = vec![TargetGroup::gone("s"), TargetGroup::gone("t")];
    state.update(again(gone), at(start, 60));
    assert_eq!(held(&state, "a").len(), 8);
    state.update(Update { unread: failing(&[("t", true)]), ..again(vec![]) }, at(start, 120));
    assert_eq!(held(&state, "a"), all_held(&["h:5", "h:6", "h:7", "h:8"], Braked));
    state.update(again(vec![]), at(start, 180));
    assert_eq!(instances(&state, "a").len(), 0);
}

#[test]
fn a_watched_source_confirms_by_not_taking_it_back() {
    let watched = |update: Update| Update { read: false, attention: Attention::default(), ..update };
    let start = now();
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(keeping(braking(Confirm::Reading))), start));
    kept.take(state.update(Update { attention: Attention::default(), ..reading(vec![group("s", &ALL)]) }, start));
    kept.take(state.update(watched(again(vec![TargetGroup::gone("s")])), start));
    assert_eq!(state.deadline(), Some(at(start, 60).instant));
    // It cannot be read when the time is over.
    kept.take(state.update(Update { unread: failing(&[("s", true)]), ..watched(again(vec![])) }, at(start, 30)));
    kept.take(state.pass(at(start, 60)));
    assert_eq!((held(&state, "a").len(), state.deadline()), (4, Some(at(start, 70).instant)));
    kept.take(state.update(watched(again(vec![])), at(start, 65)));
    let effect = state.pass(at(start, 70));
    assert_eq!((delta(&effect), instances(&state, "a").len(), state.deadline()), ((0, 4), 0, None));
}

#[test]
fn a_removal_is_confirmed_as_the_job_says() {
    let start = now();
    let (mut state, _) = four(braking(Confirm::After(Duration::from_secs(300))), start);
    state.update(again(vec![TargetGroup::gone("s")]), start);
    state.update(again(vec![]), at(start, 299));
    state.pass(at(start, 299));
    let until = view(&state, "a").blocks().find_map(|block| view(&state, "a").hold(block, 0)?.until);
    assert_eq!((held(&state, "a").len(), until), (4, Some(at(start, 300).wall)));
    assert_eq!(delta(&state.pass(at(start, 300))), (0, 4));
    let (mut state, _) = four(braking(Confirm::Never), start);
    state.update(again(vec![TargetGroup::gone("s")]), start);
    state.update(again(vec![]), at(start, 99_999));
    assert_eq!((held(&state, "a").len(), state.deadline()), (4, None));
    let (effect, released) = state.release(Some("b"), at(start, 99_999));
    assert!(effect.jobs.is_empty() && released.is_empty());
    let (effect, released) = state.release(Some("a"), at(start, 99_999));
    assert_eq!((delta(&effect), released), ((0, 4), [("a".into(), 4)].into()));
    assert_eq!((instances(&state, "a").len(), view(&state, "a").braked()), (0, None));
}

#[test]
fn what_was_braked_has_its_time_of_grace_all_the_same() {
    let start = now();
    let gracious = |confirm| Keeping { grace: Duration::from_secs(60), ..braking(confirm) };
    let brake = |confirm| {
        let (mut state, mut kept) = four(gracious(confirm), start);
        state.set_telling(true);
        kept.take(state.update(again(vec![TargetGroup::gone("s")]), at(start, 100)));
        assert_eq!(held(&state, "a"), all_held(&ALL, Braked));
        (state, kept)
    };
    let in_grace = |state: &State| {
        assert_eq!(held(state, "a"), all_held(&ALL, Grace));
        let ends = |hold: Hold| (hold.since, hold.until);
        assert!(
            holds(state, "a").into_iter().all(|hold| ends(hold) == (at(start, 100).wall, Some(at(start, 160).wall)))
        );
        assert_eq!(view(state, "a").braked(), None);
    };
    let ends_with_it = |state: &mut State| {
        assert_eq!((delta(&state.pass(at(start, 159))), delta(&state.pass(at(start, 160)))), ((0, 0), (0, 4)));
    };
    // Another reading confirms it; what comes back until then was never gone.
    let (mut state, _) = brake(Confirm::Reading);
    let effect = state.update(again(vec![]), at(start, 115));
    let stay = Stay { targets: 4, until: at(start, 160).wall };
    let ended = LetGo { targets: 4, stay: Some(stay) };
    assert_eq!((delta(&effect), brakes(&effect)), ((0, 0), vec![BrakeStep::Confirmed(ended)]));
    assert_eq!(words(&effect, "a"), ALL.map(|target| format!("p/1 s Source: held grace {target}")));
    in_grace(&state);
    let effect = state.update(again(vec![group("s", &ALL[..1])]), at(start, 120));
    assert_eq!((delta(&effect), held(&state, "a")), ((0, 0), all_held(&ALL[1..], Grace)));
    assert_eq!((delta(&state.pass(at(start, 159))), delta(&state.pass(at(start, 160)))), ((0, 0), (0, 3)));
    // The time does, over a restart, and when the brake is taken away.
    let (mut state, mut kept) = brake(Confirm::After(Duration::from_secs(5)));
    let effect = state.pass(at(start, 106));
    assert_eq!((delta(&effect), brakes(&effect)), ((0, 0), vec![BrakeStep::Over { reason: Braked, ended }]));
    kept.take(effect);
    in_grace(&state);
    let mut state = State::default();
    kept.restart_at(&mut state, keeping(gracious(Confirm::Reading)), at(start, 110));
    in_grace(&state);
    ends_with_it(&mut state);
    let (mut state, _) = brake(Confirm::Never);
    let effect = state.set_jobs(wanted(keeping(Keeping { brake: None, ..gracious(Confirm::Never) })), at(start, 110));
    assert_eq!((delta(&effect), brakes(&effect)), ((0, 0), vec![BrakeStep::Configured { reason: Braked, ended }]));
    in_grace(&state);
    ends_with_it(&mut state);
    // It had its time of grace while it was braked.
    let (mut state, _) = brake(Confirm::Reading);
    assert_eq!(delta(&state.update(again(vec![]), at(start, 160))), (0, 4));
    // Who lets go of it does not wait.
    let (mut state, _) = brake(Confirm::Reading);
    let (effect, released) = state.release(None, at(start, 110));
    assert_eq!((delta(&effect), released.values().sum::<usize>()), ((0, 4), 4));
}

#[test]
fn what_is_braked_counts_as_there_and_since_it_is() {
    let start = now();
    let (mut state, mut kept) = four(braking(Confirm::Never), start);
    kept.take(state.update(again(vec![group("s", &ALL[..1])]), at(start, 60)));
    let mut state = State::default();
    kept.restart_at(&mut state, keeping(braking(Confirm::Never)), at(start, 90));
    state.update(reading(vec![]), at(start, 100));
    assert_eq!(
        held(&state, "a"),
        all_held(&ALL, Braked),
        "the last one goes with the others that nobody has confirmed"
    );
    // Of what was braked at two times the first part has its time before the other.
    let (mut state, _) = four(braking(Confirm::After(Duration::from_secs(30))), start);
    state.update(again(vec![group("s", &ALL[..1])]), at(start, 60));
    state.update(again(vec![TargetGroup::gone("s")]), at(start, 70));
    assert_eq!(view(&state, "a").braked(), Some(at(start, 60).wall));
    state.pass(at(start, 91));
    assert_eq!(
        (held(&state, "a"), view(&state, "a").braked()),
        (all_held(&ALL[..1], Braked), Some(at(start, 70).wall))
    );
}

#[test]
fn that_a_target_is_held_for_another_reason_is_told() {
    let start = now();
    let (_, mut kept) = four(braking(Confirm::Reading), start);
    let mut state = State::default();
    state.set_telling(true);
    kept.restart_at(&mut state, keeping(braking(Confirm::Reading)), at(start, 10));
    assert_eq!(held(&state, "a"), all_held(&ALL, Restored));
    let effect = state.update(reading(vec![group("s", &ALL[..1])]), at(start, 20));
    assert_eq!(held(&state, "a"), all_held(&ALL[1..], Braked));
    let told = ALL[1..].iter().map(|target| format!("p/1 s Source: held braked {target}"));
    assert_eq!(words(&effect, "a"), told.chain(["p/1 s Source: released h:1".to_owned()]).collect::<Vec<_>>());
    // By other rules the same target comes from another provider.
    let from = |which: &str| {
        format!("[{{source_labels: [from], regex: {which}, action: keep}}, {{regex: from, action: labeldrop}}]")
    };
    let jobs = |rules: &str, grace| {
        let grace = Keeping { grace: Duration::from_secs(grace), ..Keeping::default() };
        vec![JobSpec { keeping: grace, ..job("a", &["p/1", "q/1"], rules) }]
    };
    let group = |from: &str| TargetGroup { labels: [("from", from)].into_iter().collect(), ..group("s", &["h:1"]) };
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(jobs(&from("p"), 60)), start));
    kept.take(state.update(reading(vec![group("p")]), start));
    kept.take(state.update(Update { provider: key("q/1"), ..reading(vec![group("q")]) }, start));
    let mut state = State::default();
    state.set_telling(true);
    kept.restart_at(&mut state, jobs(&from("p"), 60), at(start, 10));
    state.update(reading(vec![]), at(start, 20));
    assert_eq!(held(&state, "a"), all_held(&["h:1"], Grace));
    let effect = state.set_jobs(wanted(jobs(&from("q"), 60)), at(start, 30));
    assert_eq!((held(&state, "a"), words(&effect, "a").len()), (all_held(&["h:1"], Restored), 1));
    assert!(words(&effect, "a")[0].ends_with(": held restored h:1"), "{:?}", words(&effect, "a"));
}

#[test]
fn jobs_that_are_too_small_are_braked_together() {
    let (mut state, start) = (State::default(), now());
    let small = |name: &str, brake| {
        let keeping = Keeping { brake, grace: Duration::ZERO };
        JobSpec { keeping, ..job(name, &["p/1"], "[]") }
    };
    let brake = Some(Brake { min_targets: 10, ..BRAKE });
    let jobs = vec![small("a", brake), small("b", brake), small("c", None)];
    state.set_jobs(Wanted { brake: Some(BRAKE), ..wanted(jobs) }, start);
    state.update(reading(vec![group("s", &ALL)]), start);
    state.update(again(vec![group("s", &["h:1"])]), at(start, 60));
    let left = |state: &State| ["a", "b", "c"].map(|job| instances(state, job).len());
    assert_eq!((left(&state), held(&state, "a").len(), held(&state, "b").len()), ([4, 4, 1], 3, 3));
    state.update(again(vec![]), at(start, 120));
    assert_eq!(left(&state), [1, 1, 1]);
    let (_, released) = state.release(None, start);
    assert!(released.is_empty());
}

#[test]
fn what_jobs_together_had_counts_no_more_once_that_it_is_gone_is_confirmed_or_configured() {
    let start = now();
    let small = |name: &str, rules: &str| {
        let keeping = Keeping { brake: Some(Brake { min_targets: 10, ..BRAKE }), grace: Duration::ZERO };
        JobSpec { keeping, ..job(name, &["p/1"], rules) }
    };
    let jobs = |rules| Wanted { brake: Some(BRAKE), ..wanted(vec![small("a", rules), small("b", rules)]) };
    let of_eight = ["h:1", "h:2", "h:3", "h:4", "h:5", "h:6", "h:7", "h:8"];
    let left = |state: &State| ["a", "b"].map(|job| (instances(state, job).len(), held(state, job).len()));
    let of_eight_each = || {
        let mut state = State::default();
        state.set_jobs(jobs("[]"), start);
        state.update(reading(vec![group("s", &of_eight)]), start);
        state
    };
    let mut confirmed = of_eight_each();
    confirmed.update(again(vec![group("s", &of_eight[..3])]), at(start, 60));
    assert_eq!(left(&confirmed), [(8, 5); 2]);
    confirmed.update(again(vec![]), at(start, 120));
    let mut configured = of_eight_each();
    configured.set_jobs(jobs("[{source_labels: [__address__], regex: 'h:[4-8]', action: drop}]"), at(start, 120));
    for mut state in [confirmed, configured] {
        assert_eq!(left(&state), [(3, 0); 2]);
        state.update(again(vec![group("s", &of_eight[..2])]), at(start, 180));
        assert_eq!(left(&state), [(2, 0); 2], "a third of what was left is not much");
    }
}

#[test]
fn a_target_that_is_gone_for_a_moment_stays() {
    let start = now();
    let (mut state, _) = four(gracious(300), start);
    let effect = state.update(again(vec![group("s", &ALL[2..])]), start);
    assert_eq!(
        (delta(&effect), held(&state, "a"), since(&state, "a")),
        ((0, 0), all_held(&ALL[..2], Grace), vec![start.wall; 2])
    );
    assert_eq!(view(&state, "a").braked(), None);
    state.update(again(vec![group("s", &ALL[1..])]), at(start, 299));
    assert_eq!(held(&state, "a"), all_held(&ALL[..1], Grace));
    assert_eq!(delta(&state.pass(at(start, 299))), (0, 0));
    assert_eq!(delta(&state.pass(at(start, 300))), (0, 1));
    assert_eq!((instances(&state, "a").len(), held(&state, "a"), state.deadline()), (3, vec![], None));
}

#[test]
fn a_target_that_comes_with_other_labels_is_the_one_that_was_kept() {
    let start = now();
    let (mut state, _) = four(gracious(300), start);
    state.update(again(vec![group("s", &ALL[1..])]), start);
    let other = TargetGroup { labels: [("team", "x")].into_iter().collect(), ..group("t", &["h:1"]) };
    let effect = state.update(again(vec![other]), at(start, 10));
    assert_eq!((delta(&effect), instances(&state, "a").len(), held(&state, "a")), ((1, 1), 4, vec![]));
}

#[test]
fn what_is_kept_survives_a_restart_with_its_time() {
    let start = now();
    let gracious = gracious(300);
    let (mut state, mut kept) = four(gracious, start);
    kept.take(state.update(again(vec![group("s", &ALL[2..])]), start));
    kept.take(state.update(again(vec![group("s", &ALL[3..])]), at(start, 100)));
    let mut state = State::default();
    kept.restart_at(&mut state, keeping(gracious), at(start, 200));
    let all = [all_held(&ALL[..3], Grace), all_held(&ALL[3..], Restored)].concat();
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (4, all));
    kept.take(state.update(reading(vec![group("s", &["h:4", "h:2"])]), at(start, 250)));
    assert_eq!(held(&state, "a"), all_held(&["h:1", "h:3"], Grace));
    kept.take(state.pass(at(start, 300)));
    assert_eq!(held(&state, "a"), all_held(&["h:3"], Grace));
    kept.take(state.pass(at(start, 400)));
    assert_eq!((instances(&state, "a"), kept.0.len()), (vec!["h:2".to_owned(), "h:4".to_owned()], 1));
}

#[test]
fn what_a_source_says_after_a_restart_is_braked_too_and_confirmed_by_the_next() {
    let start = now();
    let braking = braking(Confirm::Reading);
    let (_, mut kept) = four(braking, start);
    let mut state = State::default();
    kept.restart_at(&mut state, keeping(braking), at(start, 100));
    assert_eq!(held(&state, "a"), all_held(&ALL, Restored));
    kept.take(state.update(reading(vec![]), at(start, 101)));
    assert_eq!((held(&state, "a"), view(&state, "a").servable()), (all_held(&ALL, Braked), Ok(())));
    // Another restart: the first reading of the next process is another one.
    let mut state = State::default();
    kept.restart_at(&mut state, keeping(braking), at(start, 200));
    assert_eq!((held(&state, "a"), view(&state, "a").braked()), (all_held(&ALL, Braked), Some(at(start, 101).wall)));
    kept.take(state.update(reading(vec![]), at(start, 201)));
    assert_eq!((instances(&state, "a").len(), kept.0.len()), (0, 1));
}

#[test]
fn what_a_configuration_removes_is_not_kept() {
    let start = now();
    let both = Keeping { grace: Duration::from_secs(300), ..braking(Confirm::Reading) };
    let (mut state, mut kept) = four(both, start);
    let drop = "[{source_labels: [__address__], regex: 'h:[123]', action: drop}]";
    let dropping = vec![JobSpec { keeping: both, ..job("a", &["p/1"], drop) }];
    assert_eq!(delta(&state.set_jobs(wanted(dropping.clone()), at(start, 10))), (0, 3));
    // Nor is it missed later.
    state.update(again(vec![group("s", &ALL[..3])]), at(start, 20));
    assert_eq!(held(&state, "a"), all_held(&["h:4"], Grace));
    state.set_jobs(wanted(keeping(gracious(0))), at(start, 30));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (3, vec![]));
    // What is kept already follows the rules, and goes with its provider or its job.
    let (mut state, _) = four(both, start);
    state.update(again(vec![TargetGroup::gone("s")]), start);
    kept.take(state.set_jobs(wanted(dropping), at(start, 10)));
    assert_eq!(held(&state, "a"), all_held(&["h:4"], Braked));
    kept.take(state.set_jobs(wanted(keeping(both)), at(start, 20)));
    assert_eq!(held(&state, "a"), all_held(&["h:4"], Braked));
    kept.take(state.set_jobs(wanted(vec![JobSpec { keeping: both, ..job("a", &["q/1"], "[]") }]), at(start, 30)));
    kept.take(state.update(update("q/1", vec![], true), at(start, 40)));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (0, vec![]));
    assert!(kept.0.keys().all(|key| !is_kept(key)), "{:?}", kept.0.keys());
}

#[test]
fn a_provider_with_the_same_data_takes_over_what_is_kept() {
    let start = now();
    let braking = braking(Confirm::Reading);
    let (mut state, mut kept) = four(braking, start);
    kept.take(state.update(again(vec![TargetGroup::gone("s")]), at(start, 10)));
    let other = || vec![JobSpec { keeping: braking, ..job("a", &["p/1-2"], "[]") }];
    let effect = state.set_jobs(wanted(other()), at(start, 20));
    assert_eq!((delta(&effect), held(&state, "a")), ((0, 0), all_held(&ALL, Braked)));
    kept.take(effect);
    let mut state = State::default();
    kept.restart_at(&mut state, other(), at(start, 30));
    assert_eq!(held(&state, "a"), all_held(&ALL, Braked));
    kept.take(state.update(Update { provider: key("p/1-2"), ..reading(vec![group("s", &ALL[..1])]) }, at(start, 40)));
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned()], vec![]));
}

#[test]
fn of_providers_with_the_same_data_each_keeps_its_own() {
    let start = now();
    let of = |providers: &[&str]| vec![JobSpec { keeping: gracious(300), ..job("a", providers, "[]") }];
    let other = |update: Update| Update { provider: key("p/1-2"), ..update };
    for (stays, left) in [("p/1", ["h:1", "h:2"]), ("p/1-2", ["h:3", "h:4"])] {
        let (mut state, mut kept) = (State::default(), Kept::default());
        kept.take(state.set_jobs(wanted(of(&["p/1", "p/1-2"])), start));
        for (most, read) in [(2, reading as fn(_) -> _), (1, again)] {
            let (first, second) = (&ALL[..most], &ALL[2..2 + most]);
            kept.take(state.update(read(vec![group("s", first)]), start));
            kept.take(state.update(other(read(vec![group("s", second)])), start));
        }
        assert_eq!(held(&state, "a"), all_held(&["h:2", "h:4"], Grace));
        kept.take(state.set_jobs(wanted(of(&[stays])), at(start, 10)));
        assert_eq!(
            (instances(&state, "a"), held(&state, "a")),
            (left.map(str::to_owned).to_vec(), all_held(&left[1..], Grace))
        );
        let mut state = State::default();
        kept.restart_at(&mut state, of(&[stays]), at(start, 20));
        assert!(held(&state, "a").ends_with(&all_held(&left[1..], Grace)), "{:?}", held(&state, "a"));
    }
}

/// What is stored of what a job keeps, or kept.
fn of_jobs(kept: &Kept) -> Vec<Stored> {
    kept.stored().into_iter().filter(|stored| stored.head.kept.is_some()).collect()
}

/// A reload with these jobs, of which those that come back find what is stored.
fn reload(state: &mut State, kept: &Kept, jobs: Vec<JobSpec>, now: Now) -> Effect {
    let (left, new) = (state.left_of(&jobs), |stored: &Stored| !state.has(&stored.key));
    let (of_jobs, stored): (Vec<_>, Vec<_>) = kept.stored().into_iter().partition(|stored| stored.head.kept.is_some());
    let stored = stored.into_iter().filter(new).collect();
    let of_jobs = of_jobs.into_iter().filter(|stored| left.contains(&stored.key)).collect();
    state.set_jobs(Wanted { stored, kept: of_jobs, ..wanted(jobs) }, now)
}

#[test]
fn a_job_that_comes_back_within_a_day_keeps_what_it_kept() {
    let start = now();
    let both = Keeping { grace: Duration::from_secs(3600), ..braking(Confirm::Never) };
    let others = || vec![job("b", &["q/1"], "[]")];
    // One is in its time of grace, and two are braked later.
    let before = || {
        let (mut state, mut kept) = four(both, start);
        state.set_telling(true);
        kept.take(state.update(again(vec![group("s", &ALL[1..])]), at(start, 10)));
        kept.take(state.update(again(vec![group("s", &ALL[3..])]), at(start, 20)));
        (state, kept)
    };
    let as_before = |state: &State, of_provider: HoldReason| {
        let own = all_held(&ALL[3..], of_provider);
        assert_eq!(held(state, "a"), [all_held(&ALL[..1], Grace), all_held(&ALL[1..3], Braked), own].concat());
        assert_eq!(view(state, "a").braked(), Some(at(start, 20).wall));
        let of_grace = holds(state, "a").into_iter().find(|hold| hold.reason == Grace);
        assert_eq!(of_grace.and_then(|hold| hold.until), Some(at(start, 3610).wall));
    };
    let is_back = BrakeStep::Again { targets: 2, since: at(start, 20).wall };
    // By two reloads.
    let (mut state, mut kept) = before();
    let effect = state.set_jobs(wanted(others()), at(start, 30));
    assert_eq!(brakes(&effect).len(), 2, "it is told of both");
    kept.take(effect);
    assert_eq!((of_jobs(&kept).len(), state.unused()), (1, 1), "it is no provider that nobody uses");
    let effect = reload(&mut state, &kept, keeping(both), at(start, 1000));
    assert_eq!(brakes(&effect), std::slice::from_ref(&is_back));
    kept.take(effect);
    as_before(&state, Restored);
    kept.take(state.update(reading(vec![group("s", &ALL[3..])]), at(start, 1010)));
    assert_eq!(held(&state, "a").len(), 3);
    assert_eq!(of_jobs(&kept)[0].head.unused, None);
    let mut state = State::default();
    kept.restart_at(&mut state, keeping(both), at(start, 1020));
    as_before(&state, Restored);
    // By a start without it, and a reload.
    let (_, mut kept) = before();
    let mut state = telling();
    kept.restart_at(&mut state, others(), at(start, 30));
    let effect = reload(&mut state, &kept, keeping(both), at(start, 1000));
    assert_eq!(brakes(&effect), std::slice::from_ref(&is_back));
    as_before(&state, Restored);
    // By two starts.
    let (_, mut kept) = before();
    kept.restart_at(&mut State::default(), others(), at(start, 30));
    let mut state = telling();
    kept.restart_at(&mut state, keeping(both), at(start, 1000));
    as_before(&state, Restored);
    assert_eq!((of_jobs(&kept)[0].head.unused, state.unused()), (None, 0));
    // While another job goes on with the provider.
    let (mut state, mut kept) = before();
    let shared = || vec![job("b", &["p/1"], "[]")];
    kept.take(state.set_jobs(wanted(shared()), at(start, 30)));
    kept.take(reload(&mut state, &kept, [keeping(both), shared()].concat(), at(start, 1000)));
    assert_eq!(held(&state, "a"), [all_held(&ALL[..1], Grace), all_held(&ALL[1..3], Braked)].concat());
    // What is over then goes, and what came back meanwhile is not held.
    let (mut state, mut kept) = before();
    kept.take(state.set_jobs(wanted(shared()), at(start, 30)));
    kept.take(state.update(again(vec![group("s", &ALL[2..])]), at(start, 40)));
    kept.take(reload(&mut state, &kept, [keeping(both), shared()].concat(), at(start, 3700)));
    kept.take(state.pass(at(start, 3700)));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (3, all_held(&ALL[1..2], Braked)));
}

#[test]
fn what_a_job_kept_that_is_gone_is_for_no_other_and_for_a_day() {
    let (start, both) = (now(), braking(Confirm::Never));
    let day = 24 * 3600;
    let gone = || {
        let (mut state, mut kept) = four(both, start);
        kept.take(state.update(again(vec![TargetGroup::gone("s")]), start));
        kept.take(state.set_jobs(wanted(vec![]), at(start, 10)));
        (state, kept)
    };
    let named = |name: &str, provider: &str, keeping| vec![JobSpec { keeping, ..job(name, &[provider], "[]") }];
    // Another one with the same provider.
    let (mut state, mut kept) = gone();
    kept.take(reload(&mut state, &kept, named("ab", "p/1", both), at(start, 20)));
    assert_eq!((instances(&state, "ab").len(), of_jobs(&kept).len()), (0, 1));
    // With another provider, or without the brake: what it kept before is gone for good.
    for jobs in [named("a", "q/1", both), named("a", "p/1", Keeping::default())] {
        let (mut state, mut kept) = gone();
        state.set_telling(true);
        let effect = reload(&mut state, &kept, jobs, at(start, 20));
        assert_eq!((brakes(&effect), instances(&state, "a").len()), (vec![], 0));
        kept.take(effect);
        assert_eq!(of_jobs(&kept).len(), 0);
    }
    // With one of the same data it is kept of that.
    let (mut state, mut kept) = gone();
    kept.take(reload(&mut state, &kept, named("a", "p/1-2", both), at(start, 20)));
    assert_eq!(held(&state, "a"), all_held(&ALL, Braked));
    // What cannot be read is forgotten, and not mixed with what is kept from then on.
    let (mut state, mut kept) = gone();
    let stored = kept.stored().into_iter().filter(|stored| stored.head.kept.is_none()).collect();
    let effect = state.set_jobs(Wanted { stored, ..wanted(keeping(both)) }, at(start, 20));
    assert_eq!(effect.forgotten, of_jobs(&kept).into_iter().map(|stored| stored.key).collect::<Vec<_>>());
    kept.take(effect);
    assert_eq!(of_jobs(&kept).len(), 0);
    // A day later, over starts as well.
    let (mut state, mut kept) = gone();
    kept.take(state.pass(at(start, day + 10)));
    assert_eq!(of_jobs(&kept).len(), 0);
    let (_, mut kept) = gone();
    kept.restart_at(&mut State::default(), named("b", "q/1", both), at(start, day));
    assert_eq!(of_jobs(&kept).len(), 1);
    kept.restart_at(&mut State::default(), named("b", "q/1", both), at(start, day + 11));
    assert_eq!(of_jobs(&kept).len(), 0);
}

#[test]
fn what_is_kept_stays_as_long_as_the_job_says_now() {
    let start = now();
    let over = |state: &State| holds(state, "a").iter().map(|hold| hold.until).collect::<Vec<_>>();
    let after = |seconds| braking(Confirm::After(Duration::from_secs(seconds)));
    let (mut state, _) = four(after(60), start);
    state.update(again(vec![group("s", &ALL[3..])]), at(start, 10));
    assert_eq!(over(&state), [Some(at(start, 70).wall); 3]);
    state.set_jobs(wanted(keeping(after(300))), at(start, 20));
    assert_eq!(over(&state), [Some(at(start, 310).wall); 3]);
    state.set_jobs(wanted(keeping(braking(Confirm::Never))), at(start, 30));
    assert_eq!(over(&state), [None; 3]);
}

#[test]
fn what_providers_had_that_a_reload_removed_is_not_missed_later() {
    let start = now();
    let many = ["h:1", "h:2", "h:3", "h:4", "h:5", "h:6", "h:7", "h:8"];
    // The brake of the job, and that of all jobs together.
    for (own, agent) in [(4, None), (10, Some(BRAKE))] {
        let of = |providers: &[&str]| {
            let brake = Some(Brake { min_targets: own, ..BRAKE });
            let spec = JobSpec { keeping: Keeping { brake, grace: Duration::ZERO }, ..job("a", providers, "[]") };
            Wanted { brake: agent, ..wanted(vec![spec]) }
        };
        let of_two = [update("q/1", vec![group("s", &many[..4])], true), reading(vec![group("s", &many[4..])])];
        let of_one = [reading(vec![group("s", &many)])];
        // One of two goes; another one, which has half as many, comes in the place of one.
        for (before, said, after) in
            [(&["p/1", "q/1"][..], &of_two[..], None), (&["p/1"][..], &of_one[..], Some(&many[..4]))]
        {
            let mut state = State::default();
            state.set_jobs(of(before), start);
            said.iter().for_each(|said| drop(state.update(said.clone(), start)));
            assert_eq!(instances(&state, "a").len(), 8);
            state.set_jobs(of(&["q/1"]), at(start, 10));
            if let Some(after) = after {
                state.update(update("q/1", vec![group("s", after)], true), at(start, 20));
            }
            assert_eq!((instances(&state, "a").len(), held(&state, "a")), (4, vec![]));
            state.update(update("q/1", vec![group("s", &many[..2])], false), at(start, 30));
            assert_eq!(
                (instances(&state, "a").len(), held(&state, "a")),
                (2, vec![]),
                "half of what was left is not much"
            );
        }
    }
}

#[test]
fn what_other_rules_make_one_target_is_kept_once() {
    let start = now();
    let (mut state, _) = four(gracious(300), start);
    state.update(again(vec![group("s", &ALL[2..])]), start);
    assert_eq!(held(&state, "a"), all_held(&ALL[..2], Grace));
    let rules = "[{source_labels: [__address__], regex: 'h:[12]', target_label: __address__, replacement: 'h:9'}]";
    state.set_jobs(wanted(vec![JobSpec { keeping: gracious(300), ..job("a", &["p/1"], rules) }]), at(start, 10));
    let counts = view(&state, "a").counts();
    assert_eq!((held(&state, "a"), counts.duplicates, counts.held.of(Grace)), (all_held(&["h:9"], Grace), 0, 1));
}

#[test]
fn a_target_of_several_sources_is_kept_once_the_last_one_has_lost_it() {
    let start = now();
    let (mut state, _) = four(gracious(300), start);
    state.update(again(vec![group("t", &["h:1", "h:1"])]), start);
    state.update(again(vec![group("s", &ALL[1..])]), start);
    assert_eq!(held(&state, "a"), vec![]);
    state.update(again(vec![TargetGroup::gone("t")]), start);
    let counts = view(&state, "a").counts();
    assert_eq!((held(&state, "a"), counts.duplicates, counts.held.of(Grace)), (all_held(&["h:1"], Grace), 0, 1));
}

#[test]
fn of_the_sources_that_lose_a_target_at_once_it_is_kept_from_the_first() {
    for _ in 0..10 {
        let start = now();
        let (mut state, _) = four(gracious(300), start);
        state.update(again(vec![group("t", &["h:1"]), group("u", &["h:1"])]), start);
        state.set_telling(true);
        let gone = ["u", "t"].map(TargetGroup::gone).into_iter().chain([group("s", &ALL[1..])]);
        let effect = state.update(again(gone.collect()), at(start, 10));
        assert!(words(&effect, "a").iter().all(|it| it.ends_with("held grace h:1")), "{:?}", words(&effect, "a"));
        let view = view(&state, "a");
        let whence = view.blocks().find_map(|block| {
            view.hold(block, 0)?;
            block.load(0, &mut rosterd_model::Builder::new())
        });
        assert_eq!(whence.map(|(source, _)| source).as_deref(), Some("s"));
    }
}

#[test]
fn of_what_a_source_loses_a_part_may_be_braked_and_another_in_its_time_of_grace() {
    let (mut state, start) = (telling(), now());
    let both = Keeping { grace: Duration::from_secs(300), ..braking(Confirm::Reading) };
    state.set_jobs(wanted(keeping(both)), start);
    state.update(reading(vec![group("s", &ALL)]), start);
    let effect = state.update(again(vec![group("s", &ALL[1..])]), at(start, 10));
    assert_eq!(words(&effect, "a"), ["p/1 s Source: held grace h:1"]);
    let effect = state.update(again(vec![group("s", &ALL[3..])]), at(start, 20));
    assert_eq!(words(&effect, "a"), ["p/1 s Source: held braked h:2", "p/1 s Source: held braked h:3"]);
}

#[test]
fn a_reload_and_a_restart_leave_it_known_that_targets_are_braked() {
    let start = now();
    let both = |grace| Keeping { grace: Duration::from_secs(grace), ..braking(Confirm::Reading) };
    let jobs = |grace| vec![JobSpec { keeping: both(grace), ..job("a", &["p/1", "q/1"], "[]") }];
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(jobs(300)), start));
    kept.take(state.update(reading(vec![group("s", &ALL)]), start));
    let other = |groups| Update { provider: key("q/1"), ..reading(groups) };
    kept.take(state.update(other(vec![group("s", &["i:1", "i:2", "i:3", "i:4"])]), start));
    kept.take(state.update(again(vec![group("s", &ALL[1..])]), at(start, 10)));
    kept.take(state.update(Update { whole: false, ..other(vec![TargetGroup::gone("s")]) }, at(start, 20)));
    assert_eq!((held(&state, "a")[0].1, view(&state, "a").braked()), (Grace, Some(at(start, 20).wall)));
    kept.take(state.set_jobs(wanted(jobs(200)), at(start, 30)));
    assert_eq!(view(&state, "a").braked(), Some(at(start, 20).wall));
    let mut state = State::default();
    kept.restart_at(&mut state, jobs(200), at(start, 40));
    assert_eq!((held(&state, "a").len(), view(&state, "a").braked()), (8, Some(at(start, 20).wall)));
    let (_, released) = state.release(Some("a"), at(start, 50));
    assert_eq!((released, view(&state, "a").braked()), ([("a".into(), 4)].into(), None));
}

/// The same rules on plain sets, without blocks, indexes or stores.
mod model {
    use proptest::prelude::*;

    use super::*;

    const SOURCES: [&str; 3] = ["s", "t", "u"];

    #[derive(Debug, Clone)]
    enum Event {
        /// Each source has these targets, or cannot be read; whether that is another reading of all of them.
        Says {
            content: Vec<Option<u8>>,
            read: bool,
        },
        /// So many tens of seconds pass.
        Passes(u64),
        Restart,
        Release,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let content = || prop::option::weighted(0.85, prop_oneof![2 => Just(0u8), 5 => any::<u8>()]);
        let says = (prop::collection::vec(content(), 3), prop::bool::weighted(0.7));
        let event = prop_oneof![
            8 => says.prop_map(|(content, read)| Event::Says { content, read }),
            5 => (1u64..8).prop_map(Event::Passes),
            1 => Just(Event::Restart),
            1 => Just(Event::Release),
        ];
        prop::collection::vec(event, 1..25)
    }

    fn keepings() -> impl Strategy<Value = (Keeping, bool)> {
        let after = Confirm::After(Duration::from_secs(50));
        let confirm = prop::sample::select(vec![Confirm::Reading, Confirm::Reading, after, Confirm::Never]);
        let grace = prop::sample::select(vec![0, 40]).prop_map(Duration::from_secs);
        let brake = |confirm| Brake { share: 0.5, min_targets: 3, window: Duration::from_secs(100), confirm };
        let brake = prop::option::weighted(0.8, confirm.prop_map(brake));
        (brake, grace, any::<bool>()).prop_map(|(brake, grace, polls)| (Keeping { brake, grace }, polls))
    }

    struct Model {
        keeping: Keeping,
        polls: bool,
        said: BTreeMap<&'static str, BTreeSet<String>>,
        unread: BTreeSet<&'static str>,
        restored: bool,
        /// The source of each, why it is kept, and since which second.
        kept: BTreeMap<String, (&'static str, HoldReason, u64)>,
        /// How many there were when.
        sizes: Vec<(u64, usize)>,
    }

    impl Model {
        fn size(&self) -> usize {
            self.said.values().map(BTreeSet::len).sum()
        }

        fn begin(&mut self, now: u64, size: usize) {
            self.sizes = vec![(now, size)];
        }

        fn says(&mut self, content: &[Option<BTreeSet<String>>], read: bool, now: u64) {
            let (before, was) = (self.size(), self.said.clone());
            self.unread =
                SOURCES.into_iter().zip(content).filter(|(_, it)| it.is_none()).map(|(name, _)| name).collect();
            for (name, content) in SOURCES.into_iter().zip(content) {
                if let Some(content) = content {
                    self.said.insert(name, content.clone());
                }
            }
            self.restored = false;
            let said: BTreeSet<_> = self.said.values().flatten().cloned().collect();
            let all_kept = self.kept.len();
            let counts = |(address, (_, reason, _)): &(&String, &(_, HoldReason, _))| {
                *reason == Braked || said.contains(*address)
            };
            let there = self.kept.iter().filter(counts).count();
            self.kept.retain(|address, _| !said.contains(address));
            let returned = all_kept - self.kept.len();
            let by_reading = read && self.keeping.confirm() == Some(Confirm::Reading);
            let (unread, grace) = (self.unread.clone(), self.keeping.grace.as_secs());
            let confirmed = self.kept.values_mut().filter(|(source, reason, since)| {
                by_reading && *reason == Braked && *since + 10 <= now && !unread.contains(source)
            });
            // It goes on in its time of grace, which is looked at afterwards.
            match confirmed.map(|(_, reason, _)| *reason = Grace).count() > 0 {
                true => self.begin(now, before),
                false => self.sizes.push((now, before)),
            }
            self.kept.retain(|_, (_, reason, since)| *reason != Grace || now - *since < grace);
            let after = self.size();
            let holds = self.keeping.brake.is_some_and(|brake| {
                let lately = self.sizes.iter().filter(|(at, _)| at + brake.window.as_secs() >= now);
                let greatest = lately.map(|(_, size)| *size).max().unwrap_or_default().max(before + there);
                after < before + returned && greatest >= brake.min_targets && 2 * (greatest - after) > greatest
            });
            self.sizes.push((now, after));
            let grace = (!self.keeping.grace.is_zero()).then_some(Grace);
            let Some(reason) = holds.then_some(Braked).or(grace) else { return };
            for (source, content) in was {
                for address in content.into_iter().filter(|address| !said.contains(address)) {
                    self.kept.insert(address, (source, reason, now));
                }
            }
        }

        fn passes(&mut self, now: u64) {
            let braked = |it: &Self| it.kept.values().any(|(_, reason, _)| *reason == Braked);
            let was = braked(self);
            let (keeping, polls, restored, unread) = (self.keeping, self.polls, self.restored, self.unread.clone());
            self.kept.retain(|_, (source, reason, since)| {
                let age = now - *since;
                let is_readable = !restored && !unread.contains(source);
                let is_confirmed = match keeping.confirm() {
                    Some(Confirm::After(time)) => is_readable && age >= time.as_secs(),
                    Some(Confirm::Reading) => is_readable && !polls && age >= 60,
                    _ => false,
                };
                if is_confirmed {
                    *reason = Grace;
                }
                *reason == Braked || age < keeping.grace.as_secs()
            });
            if was && !braked(self) {
                self.begin(now, self.size());
            }
        }

        fn released(&mut self, now: u64) {
            let before = self.kept.len();
            self.kept.retain(|_, (_, reason, _)| *reason != Braked);
            if self.kept.len() < before {
                self.begin(now, self.size());
            }
        }
    }

    /// What a source has, by the bits of a number.
    fn content(source: &str, bits: u8) -> BTreeSet<String> {
        (0..8).filter(|bit| bits & (1 << bit) != 0).map(|bit| format!("{source}-{bit}:1")).collect()
    }

    /// What the manager makes of it.
    fn told(model: &Model, said: &[Option<BTreeSet<String>>], read: bool) -> Update {
        let whole = model.restored;
        let (mut groups, mut gone) = (Vec::new(), Vec::new());
        for (name, content) in SOURCES.into_iter().zip(said) {
            let Some(content) = content else { continue };
            let addresses: Vec<_> = content.iter().map(String::as_str).collect();
            let is_news = model.said.get(name).is_none_or(|before| before != content);
            match (content.is_empty(), whole || is_news) {
                (false, true) => groups.push(group(name, &addresses)),
                (true, true) if !whole => gone.push(GroupId::of(name, "")),
                _ => {}
            }
        }
        let unread: Vec<_> =
            SOURCES.into_iter().zip(said).filter(|(_, it)| it.is_none()).map(|(name, _)| (name, true)).collect();
        let attention = if model.polls { Attention::of_polling() } else { Attention::default() };
        Update { whole, read: read || whole, unread: failing(&unread), attention, ..changed(key("p/1"), groups, gone) }
    }

    fn check(state: &State, model: &Model) {
        let said: BTreeSet<String> = model.said.values().flatten().cloned().collect();
        let all: BTreeSet<_> = said.iter().chain(model.kept.keys()).cloned().collect();
        assert_eq!(instances(state, "a"), all.into_iter().collect::<Vec<_>>());
        let mut wanted: BTreeMap<_, _> =
            model.kept.iter().map(|(address, (_, reason, _))| (address.clone(), *reason)).collect();
        wanted.extend(said.into_iter().filter(|_| model.restored).map(|address| (address, Restored)));
        assert_eq!(held(state, "a"), wanted.into_iter().collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_plain_sets_say((of_job, polls) in keepings(), events in events()) {
            let start = now();
            let (mut state, mut kept, mut seconds) = (State::default(), Kept::default(), 0);
            kept.take(state.set_jobs(wanted(keeping(of_job)), start));
            kept.take(state.update(Update { whole: true, ..reading(vec![]) }, start));
            let said = SOURCES.map(|name| (name, BTreeSet::new())).into();
            let mut model = Model {
                keeping: of_job, polls, said, unread: BTreeSet::new(), restored: false, kept: BTreeMap::new(), sizes: vec![(0, 0)],
            };
            for event in events {
                let now = at(start, seconds);
                match event {
                    Event::Says { content: said, read } => {
                        // What cannot be read at the first picture after a restart is another story.
                        let of = |(name, bits): (&'static str, &Option<u8>)| {
                            bits.or(model.restored.then_some(0)).map(|bits| content(name, bits))
                        };
                        let said: Vec<_> = SOURCES.into_iter().zip(&said).map(of).collect();
                        let update = told(&model, &said, read);
                        let read = update.read;
                        kept.take(state.update(update, now));
                        model.says(&said, read, seconds);
                    }
                    Event::Passes(tens) => seconds += 10 * tens,
                    Event::Restart => {
                        state = State::default();
                        kept.restart_at(&mut state, keeping(of_job), now);
                        model.restored = true;
                        model.unread.clear();
                        model.begin(seconds, model.size());
                    }
                    Event::Release => {
                        kept.take(state.release(None, now).0);
                        model.released(seconds);
                    }
                }
                kept.take(state.pass(at(start, seconds)));
                model.passes(seconds);
                check(&state, &model);
            }
        }
    }
}

/// What the step of an event says of the brake.
fn brakes(effect: &Effect) -> Vec<BrakeStep> {
    effect.step.iter().flat_map(|step| &step.jobs).flat_map(|job| job.brakes.clone()).collect()
}

/// That so many are let go of, and none of them stays.
fn ended(targets: usize) -> LetGo {
    LetGo { targets, stay: None }
}

#[test]
fn a_step_tells_once_what_is_braked_and_why_that_ends() {
    let start = now();
    let gone = || again(vec![TargetGroup::gone("s")]);
    let braked = |targets| BrakeStep::Braked { provider: ProviderKey::new("p/1"), targets, of: 4 };
    let four = |keeping| {
        let mut state = four(keeping, start).0;
        state.set_telling(true);
        state
    };

    let mut state = four(braking(Confirm::Reading));
    assert_eq!(brakes(&state.update(again(vec![group("s", &["h:1"])]), at(start, 60))), [braked(3)]);
    assert_eq!(brakes(&state.update(again(vec![]), at(start, 90))), [BrakeStep::Confirmed(ended(3))]);

    let mut state = four(braking(Confirm::Reading));
    assert_eq!(brakes(&state.update(gone(), at(start, 60))), [braked(4)]);
    assert_eq!(brakes(&state.update(again(vec![group("s", &ALL)]), at(start, 70))), [BrakeStep::Returned]);

    let mut state = four(braking(Confirm::After(Duration::from_secs(300))));
    assert_eq!(brakes(&state.update(gone(), start)), [braked(4)]);
    assert_eq!(brakes(&state.pass(at(start, 300))), [BrakeStep::Over { reason: Braked, ended: ended(4) }]);

    // A source that is watched confirms it by not taking it back.
    let mut state = four(braking(Confirm::Reading));
    let watched = || Update { read: false, attention: Attention::default(), ..gone() };
    assert_eq!(brakes(&state.update(watched(), start)), [braked(4)]);
    assert_eq!(brakes(&state.pass(at(start, 60))), [BrakeStep::Still(ended(4))]);

    let mut state = four(gracious(300));
    assert_eq!(brakes(&state.update(again(vec![group("s", &ALL[1..])]), start)), []);
    assert_eq!(brakes(&state.pass(at(start, 300))), [BrakeStep::Over { reason: Grace, ended: ended(1) }]);

    // Whoever asked for it is told elsewhere.
    let mut state = four(braking(Confirm::Never));
    assert_eq!(brakes(&state.update(gone(), start)), [braked(4)]);
    assert_eq!(brakes(&state.release(None, start).0), []);
}

#[test]
fn a_step_tells_what_the_configuration_does_not_hold_any_more() {
    let start = now();
    let both = |grace| Keeping { grace: Duration::from_secs(grace), ..braking(Confirm::Never) };
    let configured = |reason, ended| BrakeStep::Configured { reason, ended };
    // Four are braked since a minute.
    let braked = |grace| {
        let (mut state, mut kept) = four(both(grace), start);
        state.set_telling(true);
        kept.take(state.update(again(vec![TargetGroup::gone("s")]), at(start, 60)));
        (state, kept)
    };
    let reloaded = |grace, jobs: Vec<JobSpec>| {
        let effect = braked(grace).0.set_jobs(wanted(jobs), at(start, 90));
        (delta(&effect), brakes(&effect))
    };
    let no_brake = |grace| Keeping { brake: None, ..both(grace) };
    assert_eq!(reloaded(0, keeping(no_brake(0))), ((0, 4), vec![configured(Braked, ended(4))]));
    assert_eq!(reloaded(0, vec![]), ((0, 4), vec![configured(Braked, ended(4))]), "the job is gone");
    let stay = Some(Stay { targets: 4, until: at(start, 360).wall });
    assert_eq!(reloaded(300, keeping(no_brake(300))), ((0, 0), vec![configured(Braked, LetGo { targets: 4, stay })]));
    assert_eq!(reloaded(300, keeping(no_brake(0))), ((0, 4), vec![configured(Braked, ended(4))]));
    // Other rules leave one of them.
    let drop = "[{source_labels: [__address__], regex: 'h:[123]', action: drop}]";
    let dropping = |keeping| vec![JobSpec { keeping, ..job("a", &["p/1"], drop) }];
    assert_eq!(reloaded(0, dropping(both(0))), ((0, 3), vec![configured(Braked, ended(3))]));
    let stay = Some(Stay { targets: 1, until: at(start, 360).wall });
    assert_eq!(reloaded(300, dropping(no_brake(300))), ((0, 3), vec![configured(Braked, LetGo { targets: 4, stay })]));
    // What was in its time of grace goes on in it, and is none of those that were braked.
    let (mut state, _) = four(both(300), start);
    state.set_telling(true);
    state.update(again(vec![group("s", &ALL[1..])]), at(start, 60));
    state.update(again(vec![TargetGroup::gone("s")]), at(start, 70));
    assert_eq!(held(&state, "a"), [all_held(&ALL[..1], Grace), all_held(&ALL[1..], Braked)].concat());
    let drop_braked = "[{source_labels: [__address__], regex: 'h:[234]', action: drop}]";
    let jobs = vec![JobSpec { keeping: no_brake(300), ..job("a", &["p/1"], drop_braked) }];
    let effect = state.set_jobs(wanted(jobs), at(start, 90));
    assert_eq!((delta(&effect), brakes(&effect)), ((0, 3), vec![configured(Braked, ended(3))]));
    // What holds it as before tells nothing, however it is confirmed.
    assert_eq!(reloaded(300, keeping(both(300))), ((0, 0), vec![]));
    assert_eq!(reloaded(300, keeping(both(200))), ((0, 0), vec![]));
    assert_eq!(reloaded(0, keeping(braking(Confirm::Reading))), ((0, 0), vec![]));
    let after = Confirm::After(Duration::from_secs(10));
    let (mut state, _) = braked(0);
    assert_eq!(brakes(&state.set_jobs(wanted(keeping(braking(after))), at(start, 90))), []);
    assert_eq!(brakes(&state.pass(at(start, 90))), [BrakeStep::Over { reason: Braked, ended: ended(4) }]);

    // Another provider holds what the one before had until it reports.
    let (mut state, _) = braked(0);
    let other = vec![JobSpec { keeping: both(0), ..job("a", &["q/1"], "[]") }];
    assert_eq!(brakes(&state.set_jobs(wanted(other), at(start, 90))), []);
    let effect = state.update(update("q/1", vec![], true), at(start, 100));
    assert_eq!((delta(&effect), brakes(&effect)), ((0, 4), vec![configured(Braked, ended(4))]));
    // The time of grace can be taken away as well.
    let (mut state, _) = four(gracious(300), start);
    state.set_telling(true);
    state.update(again(vec![group("s", &ALL[1..])]), at(start, 60));
    let effect = state.set_jobs(wanted(keeping(gracious(0))), at(start, 90));
    assert_eq!((delta(&effect), brakes(&effect)), ((0, 1), vec![configured(Grace, ended(1))]));
    // So it is by a restart with another configuration.
    let (kept, stored) = braked(0).1.stored().into_iter().partition(|stored| stored.head.kept.is_some());
    let mut state = telling();
    let effect = state.set_jobs(Wanted { stored, kept, ..wanted(keeping(no_brake(0))) }, at(start, 90));
    assert_eq!((held(&state, "a").len(), brakes(&effect)), (0, vec![configured(Braked, ended(4))]));
}

#[test]
fn what_is_held_stays_so_under_settings_that_would_not_hold_it_but_not_without_a_brake() {
    let (start, never) = (now(), braking(Confirm::Never));
    let brake = |brake| Keeping { brake, ..never };
    let larger = [Brake { min_targets: 5, ..BRAKE }, Brake { share: 0.9, ..BRAKE }];
    let larger = larger.map(|it| brake(Some(Brake { confirm: Confirm::Never, ..it })));
    let (mut state, mut kept) = four(never, start);
    state.set_telling(true);
    kept.take(state.update(again(vec![group("s", &ALL[3..])]), at(start, 10)));
    for keeping_now in larger {
        let effect = state.set_jobs(wanted(keeping(keeping_now)), at(start, 20));
        assert_eq!((held(&state, "a"), brakes(&effect)), (all_held(&ALL[..3], Braked), vec![]));
        kept.take(effect);
        let mut state = State::default();
        kept.restart_at(&mut state, keeping(keeping_now), at(start, 30));
        assert_eq!(held(&state, "a")[..3], all_held(&ALL[..3], Braked));
    }
    let effect = state.set_jobs(wanted(keeping(brake(None))), at(start, 40));
    assert_eq!(brakes(&effect), [BrakeStep::Configured { reason: Braked, ended: ended(3) }]);
    // As it is of jobs that are braked together, and are not any more.
    let small = brake(Some(Brake { min_targets: 10, confirm: Confirm::Never, ..BRAKE }));
    let mut state = State::default();
    state.set_jobs(Wanted { brake: Some(BRAKE), ..wanted(keeping(small)) }, start);
    state.update(reading(vec![group("s", &ALL)]), start);
    state.update(again(vec![TargetGroup::gone("s")]), at(start, 10));
    state.set_jobs(wanted(keeping(small)), at(start, 20));
    assert_eq!(held(&state, "a"), all_held(&ALL, Braked));
}

#[test]
fn what_is_held_no_more_as_its_job_is_gone_is_told_at_a_start_as_well() {
    let (start, both) = (now(), Keeping { grace: Duration::from_secs(300), ..braking(Confirm::Never) });
    let (mut state, mut kept) = four(both, start);
    kept.take(state.update(again(vec![group("s", &ALL[1..])]), at(start, 10)));
    kept.take(state.update(again(vec![TargetGroup::gone("s")]), at(start, 20)));
    let told = |effect: &Effect| effect.brakes.configured.clone();
    let both_ended = [(Braked, ended(3)), (Grace, ended(1))].into();
    let expected: BTreeMap<Arc<str>, BTreeMap<_, _>> = [("a".into(), both_ended)].into();
    let (of_job, stored) = kept.stored().into_iter().partition(|stored| stored.head.kept.is_some());
    let effect = State::default().set_jobs(Wanted { stored, kept: of_job, ..wanted(vec![]) }, at(start, 30));
    assert_eq!(told(&effect), expected);
    kept.take(effect);
    // Once: what nobody keeps any more is not asked for.
    kept.restart_at(&mut State::default(), vec![], at(start, 40));
    assert_eq!(of_jobs(&kept).len(), 1);
    assert_eq!(told(&state.set_jobs(wanted(vec![]), at(start, 30))), expected, "as by a reload");
}

#[test]
fn what_another_target_came_for_is_told_as_replaced_whatever_else_ends_by_that() {
    let start = now();
    let mut state = telling();
    state.set_jobs(wanted(keeping(braking(Confirm::Reading))), start);
    state.update(reading(vec![group("s", &ALL)]), start);
    state.update(again(vec![TargetGroup::gone("s")]), at(start, 60));
    assert_eq!(held(&state, "a"), all_held(&ALL, Braked));
    // One comes with other labels, one as it was from another source, and two are confirmed.
    let other = TargetGroup { labels: [("team", "x")].into_iter().collect(), ..group("t", &["h:1"]) };
    let effect = state.update(again(vec![other, group("x", &["h:2"])]), at(start, 90));
    assert_eq!(brakes(&effect), [BrakeStep::Confirmed(ended(2))]);
    assert_eq!(
        words(&effect, "a"),
        [
            "p/1 s Over: -h:3",
            "p/1 s Over: -h:4",
            "p/1 s Replaced: -h:1",
            "p/1 t Source: +h:1",
            "p/1 x Source: released h:2"
        ]
    );
}
