//! What is stored beneath scopes that cannot be read.

use rosterd_discovery::Unread;

use super::holds::{all_held, held, view};
use super::*;
use crate::roster::hold::HoldReason;

/// An update of which these scopes could not be read, and never were by this process.
pub(super) fn hiding(update: Update, scopes: &[&str]) -> Update {
    let unread = |scope: &&str| {
        let beneath = Some(format!("{scope}/").into());
        let unread = Unread { since: std::time::UNIX_EPOCH, known: false, hides: true, beneath, report: report() };
        (Arc::from(*scope), unread)
    };
    Update { unread: Arc::new(scopes.iter().map(unread).collect()), ..update }
}

pub(super) fn all() -> Vec<TargetGroup> {
    ["n/a/x", "n/a/y", "n/b/x", "n/b/y", "n/b/c/x", "n/bb/x"]
        .map(|name| group(name, &[&format!("{}:1", name.replace('/', "-"))]))
        .to_vec()
}

/// What was stored before a restart, and is now.
fn restarted() -> (State, Kept) {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    kept.take(before.update(update("p/1", all(), true), now()));
    (kept.restart(vec![job("a", &["p/1"], "[]")]), kept)
}

fn hidden(instances: &[&str]) -> Vec<(String, HoldReason)> {
    all_held(instances, HoldReason::Unread)
}

#[test]
fn what_went_beside_a_scope_that_cannot_be_read_is_gone_and_what_is_beneath_it_is_held() {
    let (mut state, mut kept) = restarted();
    let picture = || hiding(update("p/1", vec![group("n/a/x", &["n-a-x:2"])], true), &["n/b"]);
    kept.take(state.update(picture(), now()));
    let beneath = ["n-b-c-x:1", "n-b-x:1", "n-b-y:1"];
    assert_eq!(instances(&state, "a"), [&["n-a-x:2"][..], &beneath].concat());
    assert_eq!(held(&state, "a"), hidden(&beneath));
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]), "something is known");
    // Nor does it go when other things are told.
    kept.take(state.update(hiding(update("p/1", vec![group("n/a/z", &["n-a-z:1"])], false), &["n/b"]), now()));
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (5, hidden(&beneath)));
    // Nor by the next restart.
    let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
    state.update(picture(), now());
    assert_eq!(instances(&state, "a"), [&["n-a-x:2"][..], &beneath].concat());
    assert_eq!(held(&state, "a"), hidden(&beneath));
}

#[test]
fn what_is_beneath_a_scope_is_told_in_several_words_and_what_was_not_is_gone_with_its_name() {
    let (mut state, _) = restarted();
    state.update(hiding(update("p/1", vec![], true), &["n/b"]), now());
    let keyed = TargetGroup { key: "k".into(), ..group("n/b/x", &["n-b-x:2"]) };
    state.update(hiding(update("p/1", vec![keyed], false), &["n/b"]), now());
    assert_eq!(instances(&state, "a"), ["n-b-c-x:1", "n-b-x:2", "n-b-y:1"], "all that was stored of it went");
    assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-y:1"]));
    let last = update("p/1", vec![group("n/b/z", &["n-b-z:1"])], false);
    assert!(state.is_large(&last), "all that is held may have to be looked through");
    state.update(last, now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["n-b-x:2".to_owned(), "n-b-z:1".to_owned()], vec![]));
}

#[test]
fn a_scope_beneath_which_nothing_is_known_is_missing() {
    let (mut state, _) = restarted();
    let picture = hiding(update("p/1", all(), true), &["n/c"]);
    state.update(picture, now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (6, vec![]));
    assert_eq!(view(&state, "a").missing(), [missing("p/1", Some("n/c"), true)]);
}

#[test]
fn what_is_beneath_two_scopes_stays_until_both_are_read() {
    let (mut state, _) = restarted();
    state.update(hiding(update("p/1", vec![], true), &["n/b"]), now());
    state.update(hiding(update("p/1", vec![], false), &["n/b", "n/b/c"]), now());
    assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-x:1", "n-b-y:1"]));
    state.update(hiding(update("p/1", vec![], false), &["n/b/c"]), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["n-b-c-x:1".to_owned()], hidden(&["n-b-c-x:1"])));
    state.update(update("p/1", vec![], false), now());
    assert!(instances(&state, "a").is_empty());
}

#[test]
fn what_came_in_pieces_is_not_hidden() {
    let (mut state, _) = restarted();
    state.update(Update { piece: true, ..update("p/1", vec![group("n/b/x", &["n-b-x:2"])], false) }, now());
    let told = [SourceId::of("n/b/x")].into_iter().collect();
    state.update(hiding(Update { told, ..update("p/1", vec![], true) }, &["n/b"]), now());
    assert_eq!(instances(&state, "a"), ["n-b-c-x:1", "n-b-x:2", "n-b-y:1"]);
    assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-y:1"]));
}

/// The same of one that this process has read once, though perhaps not all that is there.
fn hiding_though_known(update: Update, scopes: &[&str]) -> Update {
    let mut update = hiding(update, scopes);
    Arc::make_mut(&mut update.unread).values_mut().for_each(|unread| unread.known = true);
    update
}

#[test]
fn what_was_never_read_is_held_beneath_a_wider_scope_and_beneath_the_narrower_that_takes_its_place() {
    let (mut state, _) = restarted();
    let beneath = ["n-b-c-x:1", "n-b-x:1", "n-b-y:1"];
    state.update(hiding(update("p/1", vec![group("n/a/x", &["n-a-x:1"])], true), &["n/b"]), now());
    for scopes in [&["n"][..], &["n", "n/b"], &["n/b"]] {
        for known in [true, false] {
            let update = update("p/1", vec![], false);
            state.update(if known { hiding_though_known(update, scopes) } else { hiding(update, scopes) }, now());
            assert_eq!(held(&state, "a"), hidden(&beneath), "beneath {scopes:?}, known: {known}");
            assert_eq!(instances(&state, "a").len(), 4, "beneath {scopes:?}, known: {known}");
        }
    }
    state.update(update("p/1", vec![], false), now());
    assert_eq!(instances(&state, "a"), ["n-a-x:1"]);
}

#[test]
fn a_source_that_was_never_read_is_held_when_a_scope_stands_for_it() {
    let (mut state, _) = restarted();
    let first =
        Update { unread: failing(&[("n/b/x", false)]), ..update("p/1", vec![group("n/a/x", &["n-a-x:1"])], true) };
    state.update(first, now());
    assert_eq!(held(&state, "a"), hidden(&["n-b-x:1"]));
    for whole in [false, true] {
        let groups = if whole { vec![group("n/a/x", &["n-a-x:1"])] } else { vec![] };
        state.update(hiding_though_known(update("p/1", groups, whole), &["n/b"]), now());
        assert_eq!(held(&state, "a"), hidden(&["n-b-x:1"]), "whole: {whole}");
    }
}

#[test]
fn what_did_not_come_before_a_scope_failed_is_held() {
    let (mut state, _) = restarted();
    let seen = |names: &[&str]| Some(Arc::new(names.iter().map(|name| SourceId::of(name)).collect()));
    let there = vec![group("n/b/x", &["n-b-x:1"])];
    state.update(Update { seen: seen(&["n/b/x"]), ..update("p/1", there, true) }, now());
    assert_eq!(instances(&state, "a").len(), 6, "others may come");
    state.update(hiding_though_known(update("p/1", vec![], false), &["n/b"]), now());
    assert_eq!(instances(&state, "a"), ["n-b-c-x:1", "n-b-x:1", "n-b-y:1"]);
    assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-y:1"]));
    assert!(view(&state, "a").missing().is_empty());
}

#[test]
fn what_a_scope_itself_has_is_held_with_what_is_beneath_it() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let own = || group("n/b", &["n-b:1"]);
    kept.take(before.update(update("p/1", [all(), vec![own()]].concat(), true), now()));
    let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
    kept.take(state.update(hiding(update("p/1", vec![], true), &["n/b"]), now()));
    assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-x:1", "n-b-y:1", "n-b:1"]));
    // When nothing is left beneath it, it is still held, and not missing.
    let told = ["n/b/c/x", "n/b/x", "n/b/y"].map(|name| group(name, &["told:1"])).to_vec();
    state.update(hiding(update("p/1", told, false), &["n/b"]), now());
    assert_eq!((held(&state, "a"), view(&state, "a").missing()), (hidden(&["n-b:1"]), &[][..]));
    state.update(update("p/1", vec![], false), now());
    assert_eq!(instances(&state, "a"), ["told:1"]);
}

#[test]
fn what_a_scope_itself_has_is_not_held_once_it_is_told_though_the_scope_failed_since() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    kept.take(before.update(update("p/1", [all(), vec![group("n/b", &["n-b:1"])]].concat(), true), now()));
    let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
    let seen = |names: &[&str]| Some(Arc::new(names.iter().map(|name| SourceId::of(name)).collect()));
    state.update(Update { seen: seen(&[]), ..update("p/1", vec![], true) }, now());
    assert_eq!(held(&state, "a").len(), 7, "all may come");
    // It is told and fails while the roster is busy, so that both are one update.
    let told = Update { seen: seen(&["n/b"]), ..update("p/1", vec![group("n/b", &["n-b:2"])], false) };
    state.update(hiding_though_known(told, &["n/b"]), now());
    let rest = ["n-a-x:1", "n-a-y:1", "n-b-c-x:1", "n-b-x:1", "n-b-y:1", "n-bb-x:1"];
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (7, hidden(&rest)));
    state.update(hiding_though_known(update("p/1", vec![], false), &["n/b"]), now());
    assert_eq!(instances(&state, "a"), ["n-b-c-x:1", "n-b-x:1", "n-b-y:1", "n-b:2"]);
    assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-x:1", "n-b-y:1"]));
}

#[test]
fn what_is_told_to_have_nothing_is_gone_though_a_scope_around_it_fails() {
    let keyed = || TargetGroup { key: "k".into(), ..group("n/b/x", &["n-b-x:2"]) };
    for first in [true, false] {
        let (mut before, mut kept) = (State::default(), Kept::default());
        before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
        kept.take(before.update(update("p/1", [all(), vec![keyed()]].concat(), true), now()));
        let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
        let told = || vec![TargetGroup::gone("n/b/x")];
        state.update(hiding(update("p/1", if first { told() } else { vec![] }, true), &["n/b"]), now());
        if !first {
            assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-x:1", "n-b-x:2", "n-b-y:1"]));
            state.update(hiding(update("p/1", told(), false), &["n/b"]), now());
        }
        assert_eq!(held(&state, "a"), hidden(&["n-b-c-x:1", "n-b-y:1"]), "in the first picture: {first}");
        assert_eq!(instances(&state, "a").len(), 2, "in the first picture: {first}");
    }
}
