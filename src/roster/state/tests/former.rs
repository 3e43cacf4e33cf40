//! What a job holds of providers that it had before, as far as those in their place do not know what is there.

use super::hidden::{all, hiding};
use proptest::prelude::*;

use super::holds::{all_held, held, let_go, view};
use super::*;
use crate::roster::hold::HoldReason;
use crate::roster::state::former::held_of;

fn replaced(instances: &[&str]) -> Vec<(String, HoldReason)> {
    all_held(instances, HoldReason::Replaced)
}

#[test]
fn what_a_job_waits_for_it_waits_for_after_a_restart_whoever_else_knows_the_same_data() {
    for own in [&["p/1", "p/1-2"][..], &["p/1-2"]] {
        let (mut state, mut kept) = (State::default(), Kept::default());
        kept.take(state.set_jobs(wanted(vec![job("c", &["q/4"], "[]")]), now()));
        kept.take(state.update(update("q/4", vec![group("s", &["h:1"])], true), now()));
        let jobs = || vec![job("b", &["p/1"], "[]"), job("c", own, "[]")];
        kept.take(state.set_jobs(wanted(jobs()), now()));
        kept.take(state.update(update("p/1", vec![], true), now()));
        assert_eq!(held(&state, "c"), replaced(&["h:1"]), "{own:?}");
        let mut state = kept.restart(jobs());
        assert_eq!(held(&state, "c"), replaced(&["h:1"]), "{own:?}");
        state.update(update("p/1-2", vec![], true), now());
        assert_eq!(instances(&state, "c"), [""; 0]);
    }
}

#[test]
fn what_a_job_waits_for_it_waits_for_after_a_restart_also_while_it_holds_the_same_data() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    let before = || vec![job("a", &["p/1-2", "q/4"], "[]"), job("b", &["p/1"], "[]")];
    kept.take(state.set_jobs(wanted(before()), now()));
    kept.take(state.update(update("p/1-2", vec![group("s", &["h:1"])], true), now()));
    kept.take(state.update(update("q/4", vec![group("s", &["h:2"])], true), now()));
    let jobs = || vec![job("a", &["p/1"], "[]"), job("b", &["p/1"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), now()));
    assert_eq!(held(&state, "a"), replaced(&["h:1", "h:2"]));
    let mut state = kept.restart(jobs());
    assert_eq!((held(&state, "a"), instances(&state, "b").len()), (replaced(&["h:1", "h:2"]), 0));
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:1".to_owned()], vec![]));
}

#[test]
fn what_a_job_used_until_it_was_stopped_is_adopted_though_the_job_waits_for_others() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1", "q/4"], "[]")]), now()));
    for provider in ["p/1", "q/4"] {
        kept.take(state.update(update(provider, vec![group("s", &[&format!("{}:1", &provider[..1])])], true), now()));
    }
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1", "r/5"], "[]")]), now()));
    // Another interval, say.
    let state = kept.restart(vec![job("a", &["p/1-2", "r/5"], "[]")]);
    let known = [("p:1".to_owned(), HoldReason::Restored), ("q:1".to_owned(), HoldReason::Replaced)];
    assert_eq!(held(&state, "a"), known);
}

#[test]
fn what_is_beneath_a_scope_that_the_new_provider_cannot_read_is_held_from_the_one_before() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now()));
    let own = group("n/b", &["n-b:1"]);
    kept.take(state.update(update("p/1", [all(), vec![own]].concat(), true), now()));
    let jobs = || vec![job("a", &["p/2"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), now()));
    let first = || hiding(update("p/2", vec![group("n/a/x", &["n-a-x:2"])], true), &["n/b"]);
    kept.take(state.update(first(), now()));
    let within = ["n-b-c-x:1", "n-b-x:1", "n-b-y:1", "n-b:1"];
    let all_there = [&["n-a-x:2"][..], &within].concat();
    assert_eq!(
        (instances(&state, "a"), held(&state, "a")),
        (all_there.iter().map(|it| it.to_string()).collect(), replaced(&within))
    );
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]), "something is known");
    // Nor does it go by a restart, before anything is read and after it.
    let mut state = kept.restart(jobs());
    assert_eq!((instances(&state, "a").len(), held(&state, "a").len()), (5, 5));
    kept.take(state.update(first(), now()));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (5, replaced(&within)));
    // Some of it is told.
    kept.take(state.update(hiding(update("p/2", vec![group("n/b/x", &["n-b-x:2"])], false), &["n/b"]), now()));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (5, replaced(&["n-b-c-x:1", "n-b-y:1", "n-b:1"])));
    let last = update("p/2", vec![], false);
    assert!(state.is_large(&last), "all that is held may have to be looked through");
    let effect = state.update(last, now());
    assert_eq!(
        (instances(&state, "a"), held(&state, "a").len()),
        (vec!["n-a-x:2".to_owned(), "n-b-x:2".to_owned()], 0)
    );
    assert_eq!(let_go(&effect), [key("p/1")]);
}

#[test]
fn what_others_hear_beneath_a_scope_that_the_new_provider_cannot_read_is_held_as_it_is() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]"), job("b", &["p/1"], "[]")]), now());
    state.update(update("p/1", all(), true), now());
    state.set_jobs(wanted(vec![job("a", &["p/2"], "[]"), job("b", &["p/1"], "[]")]), now());
    state.update(hiding(update("p/2", vec![], true), &["n/b"]), now());
    let news = [group("n/b/z", &["n-b-z:1"]), TargetGroup::gone("n/b/x"), group("n/c/z", &["n-c-z:1"])];
    assert!(!state.is_large(&update("p/1", news.to_vec(), false)), "only what changed is looked at");
    state.update(update("p/1", news.to_vec(), false), now());
    assert_eq!(held(&state, "a"), replaced(&["n-b-c-x:1", "n-b-y:1", "n-b-z:1"]));
    // With all that is there it is missing.
    let gone = ["n/b/z", "n/b/y", "n/b/c/x"].map(TargetGroup::gone);
    state.update(update("p/1", gone.to_vec(), false), now());
    assert_eq!(
        (instances(&state, "a").len(), view(&state, "a").missing()),
        (0, &[missing("p/2", Some("n/b"), false)][..])
    );
}

#[test]
fn what_another_mechanism_had_is_not_held_for_what_the_new_one_cannot_read() {
    for scope in [true, false] {
        let mut state = State::default();
        state.set_jobs(wanted(vec![job("a", &["p/1", "q/1"], "[]")]), now());
        for provider in ["p/1", "q/1"] {
            let groups = ["n/b", "n/b/x"].map(|name| group(name, &[&format!("{}:1", &provider[..1])]));
            state.update(update(provider, groups.to_vec(), true), now());
        }
        state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), now());
        let unread = match scope {
            true => hiding(update("p/2", vec![], true), &["n/b"]),
            false => Update { unread: failing(&[("n/b", false)]), ..update("p/2", vec![], true) },
        };
        state.update(unread, now());
        let held: Vec<_> = held(&state, "a").into_iter().map(|(instance, _)| instance).collect();
        assert_eq!(held, ["p:1"], "of a scope: {scope}");
    }
}

#[test]
fn a_provider_that_nothing_is_held_for_begins_with_what_others_know_after_a_restart() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1-2", "q/4"], "[]")]), now()));
    kept.take(state.update(update("q/4", vec![group("s", &["q:1"])], true), now()));
    let jobs = || vec![job("a", &["p/1-2", "r/5"], "[]"), job("b", &["p/1"], "[]")];
    kept.take(state.set_jobs(wanted(jobs()), now()));
    kept.take(state.update(update("p/1", vec![group("s", &["p:1"])], true), now()));
    assert_eq!(held(&state, "a"), replaced(&["q:1"]));
    let known = [("p:1".to_owned(), HoldReason::Restored), ("q:1".to_owned(), HoldReason::Replaced)];
    assert_eq!(held(&kept.restart(jobs()), "a"), known);
}

#[test]
fn what_a_job_holds_stays_when_another_one_that_waits_comes_to_use_it() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    let before = [("b", "p/1"), ("j", "q/4"), ("x", "p/1-2")];
    kept.take(state.set_jobs(wanted(before.map(|(name, key)| job(name, &[key], "[]")).to_vec()), now()));
    for (name, key) in before {
        kept.take(state.update(update(key, vec![group("s", &[&format!("{name}:1")])], true), now()));
    }
    let after = [("b", "p/1"), ("j", "s/6"), ("x", "r/5")];
    kept.take(state.set_jobs(wanted(after.map(|(name, key)| job(name, &[key], "[]")).to_vec()), now()));
    assert_eq!(held(&state, "x"), replaced(&["x:1"]));
    let other = [("b", "p/1"), ("j", "p/1-2"), ("x", "r/5")];
    let state = kept.restart(other.map(|(name, key)| job(name, &[key], "[]")).to_vec());
    assert_eq!((held(&state, "x"), instances(&state, "b")), (replaced(&["x:1"]), vec!["b:1".to_owned()]));
}

/// What happens while a job holds something of a provider that another one uses.
#[derive(Debug, Clone)]
enum Event {
    /// One of the two has these groups now, with so many targets.
    Tells { new: bool, whole: bool, groups: Vec<(usize, usize)> },
    /// The new one cannot read these.
    CannotRead(Vec<usize>),
}

const NAMES: [&str; 7] = ["n/a", "n/a/x", "n/b", "n/b/x", "n/b/c", "n/b/c/y", "m"];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let groups = || prop::collection::vec((0..NAMES.len(), 0..3usize), 0..4);
    let event = prop_oneof![
        6 => (any::<bool>(), prop::bool::weighted(0.1), groups())
            .prop_map(|(new, whole, groups)| Event::Tells { new, whole, groups }),
        1 => prop::collection::vec(0..NAMES.len(), 0..4).prop_map(Event::CannotRead),
    ];
    prop::collection::vec(event, 1..20)
}

proptest! {
    #[test]
    fn what_changed_alone_leads_to_what_all_that_there_is_leads_to(events in events()) {
        let mut state = State::default();
        state.set_jobs(wanted(vec![job("a", &["p/1"], "[]"), job("b", &["p/1"], "[]")]), now());
        let told = |groups: &[(usize, usize)], number: usize| {
            let groups: BTreeMap<_, _> = groups.iter().copied().collect();
            let addresses = |name: &str, count| (0..count).map(|it| format!("{name}-{it}:{number}")).collect::<Vec<_>>();
            let group = |(at, count): (usize, usize)| {
                let addresses = addresses(&NAMES[at].replace('/', "-"), count);
                group(NAMES[at], &addresses.iter().map(|it| &**it).collect::<Vec<_>>())
            };
            groups.into_iter().map(group).collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..NAMES.len()).map(|at| (at, 2)).collect();
        state.update(update("p/1", told(&all, 1), true), now());
        state.set_jobs(wanted(vec![job("a", &["p/2"], "[]"), job("b", &["p/1"], "[]")]), now());
        let mut unread = vec!["n/a", "n/b"];
        state.update(hiding(update("p/2", Vec::new(), true), &unread), now());
        for event in events {
            let update = match event {
                Event::Tells { new: false, whole, groups } => update("p/1", told(&groups, 1), whole),
                Event::Tells { new: true, whole, groups } => hiding(update("p/2", told(&groups, 2), whole), &unread),
                Event::CannotRead(names) => {
                    unread = names.into_iter().map(|at| NAMES[at]).collect();
                    hiding(update("p/2", Vec::new(), false), &unread)
                }
            };
            state.update(update, now());
            let job = &state.jobs["a"];
            let anew = job.former.iter().map(|(key, former)| (key.clone(), former.clone().anew())).collect();
            prop_assert_eq!(&held_of(&anew, &job.spec.providers, &state.providers), &job.former);
            let parts = job.former.iter().flat_map(|(key, former)| {
                let blocks = state.providers[key].archive.blocks().values();
                blocks.filter_map(|block| former.part(block)).map(|part| part.len())
            });
            let parts: usize = parts.sum();
            prop_assert_eq!(instances(&state, "a").len(), state.providers[&key("p/2")].archive.entries() + parts);
        }
    }
}
