//! A first picture that comes in pieces: what is known before it is whole, and after.

use super::holds::{after, all_held, but, held, view};
use super::*;
use crate::roster::hold::HoldReason::{Restored, Unread};

fn piece(groups: Vec<TargetGroup>) -> Update {
    Update { piece: true, ..update("p/1", groups, false) }
}

/// The last update of a picture of which these sources came before.
fn rest(groups: Vec<TargetGroup>, told: &[&str]) -> Update {
    Update { told: told.iter().map(|source| SourceId::of(source)).collect(), ..update("p/1", groups, true) }
}

#[test]
fn a_provider_is_known_with_its_last_piece_and_stored_then() {
    let (mut state, mut kept) = (State::default(), Kept::default());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now()));
    for (source, address) in [("s", "h:1"), ("t", "h:2")] {
        kept.take(state.update(piece(vec![group(source, &[address])]), now()));
    }
    assert_eq!(instances(&state, "a"), ["h:1", "h:2"]);
    assert_eq!(view(&state, "a").missing(), [missing("p/1", None, false)]);
    assert!(view(&state, "a").servable().is_err());
    assert!(kept.0.values().all(|(_, blocks)| blocks.is_empty()), "half of a picture is stored");

    kept.take(state.update(rest(vec![group("u", &["h:3"])], &["s", "t"]), now()));
    assert_eq!(instances(&state, "a"), ["h:1", "h:2", "h:3"]);
    assert_eq!((view(&state, "a").servable(), view(&state, "a").missing()), (Ok(()), &[][..]));
    let (_, blocks) = &kept.0[&key("p/1")];
    assert_eq!(blocks.values().map(|block| block.len()).sum::<usize>(), 3, "all pieces are stored");
    // As if it had come in one.
    state.update(update("p/1", vec![group("s", &[])], false), now());
    assert_eq!(instances(&state, "a"), ["h:2", "h:3"]);
}

#[test]
fn what_is_stored_counts_as_from_before_until_the_picture_is_whole() {
    let mut state = restored();
    state.update(piece(vec![group("s", &["h:3"])]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:2", "h:3"], Restored)));
    assert_eq!(state.restored(), 1);
    state.update(rest(vec![], &["s"]), now());
    assert_eq!((instances(&state, "a"), held(&state, "a")), (vec!["h:3".to_owned()], vec![]));
    assert_eq!(state.restored(), 0);
}

#[test]
fn what_is_stored_of_a_source_that_could_not_be_read_is_held_beside_pieces() {
    let mut state = restored();
    state.update(piece(vec![group("s", &["h:3"])]), now());
    state.update(but(rest(vec![], &["s"]), &["t"]), now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:2"], Unread)));
}

#[test]
fn what_was_not_found_beside_pieces_may_still_come() {
    let mut state = restored();
    state.update(piece(vec![group("s", &["h:3"])]), now());
    let seen = Some(Arc::new([SourceId::of("s")].into_iter().collect()));
    state.update(Update { seen, ..rest(vec![], &["s"]) }, now());
    assert_eq!((instances(&state, "a").len(), held(&state, "a")), (2, all_held(&["h:2"], Unread)));
}

#[test]
fn a_picture_that_is_broken_off_takes_nothing_away_and_leaves_nothing_behind() {
    let mut state = restored();
    state.update(piece(vec![group("new", &["h:9"])]), now());
    assert_eq!(instances(&state, "a").len(), 3);
    state.update(piece(vec![group("s", &["h:1"])]), now());
    state.update(rest(vec![], &["s"]), now());
    assert_eq!(instances(&state, "a"), ["h:1"]);
}

#[test]
fn a_piece_replaces_all_that_was_stored_of_its_sources() {
    let mut state = restored();
    let keyed = TargetGroup { key: "k".into(), ..group("s", &["h:3"]) };
    state.update(piece(vec![keyed]), now());
    assert_eq!(instances(&state, "a"), ["h:2", "h:3"]);
}

#[test]
fn half_a_picture_goes_on_under_another_key_and_is_not_stored_there() {
    let (mut state, mut kept, start) = (State::default(), Kept::default(), now());
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), start));
    kept.take(state.update(piece(vec![group("s", &["h:1"])]), start));
    // It had its time: that is stored.
    let start = after(start, GRACE.as_secs());
    kept.take(state.pass(start));
    kept.take(state.set_jobs(wanted(vec![job("a", &["p/1-2"], "[]")]), start));
    assert_eq!(instances(&state, "a"), ["h:1"]);
    let (head, blocks) = &kept.0[&key("p/1-2")];
    assert!(head.as_ref().is_some_and(|head| !head.reported) && blocks.is_empty(), "{head:?}, {blocks:?}");
    let state = kept.restart(vec![job("a", &["p/1-2"], "[]")]);
    assert_eq!(instances(&state, "a"), [] as [&str; 0]);
    assert_eq!(view(&state, "a").missing(), [missing("p/1-2", None, true)]);
}

#[test]
fn a_piece_is_as_large_as_what_it_says_and_what_was_stored_of_its_sources() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let many: Vec<_> = (0..600).map(|number| format!("h:{number}")).collect();
    let many = group("many", &many.iter().map(String::as_str).collect::<Vec<_>>());
    kept.take(before.update(update("p/1", vec![many.clone(), group("few", &["h:1"])], true), now()));
    let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
    let other = |source: &str| TargetGroup { key: "other".into(), ..group(source, &["h:1"]) };
    assert!(state.is_large(&piece(vec![other("many")])), "what it has under another key goes");
    assert!(!state.is_large(&piece(vec![other("few"), other("new")])));
    assert!(state.is_large(&rest(Vec::new(), &["few"])), "what is in no piece goes");
    state.update(piece(vec![other("many")]), now());
    assert_eq!(instances(&state, "a"), ["h:1"]);
}
