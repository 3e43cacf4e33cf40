//! What is stored beneath scopes that cannot be read.

use rosterd_discovery::Unread;

use super::holds::{all_held, held, view};
use super::*;
use crate::roster::hold::HoldReason;

/// An update of which these scopes could not be read, and never were by this process.
fn hiding(update: Update, scopes: &[&str]) -> Update {
    let unread = |scope: &&str| {
        let beneath = Some(format!("{scope}/").into());
        let unread = Unread { since: std::time::UNIX_EPOCH, known: false, beneath, report: report() };
        (format!("{scope}/*").into(), unread)
    };
    Update { unread: Arc::new(scopes.iter().map(unread).collect()), ..update }
}

fn all() -> Vec<TargetGroup> {
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
    assert_eq!(view(&state, "a").missing(), [missing("p/1", Some("n/c/*"), true)]);
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
