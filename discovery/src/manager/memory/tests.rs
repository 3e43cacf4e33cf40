//! What words come to.

use std::time::Duration;

use rosterd_model::GroupId;
use rosterd_testkit::group;

use super::*;
use crate::error::RunError;

fn failing(sources: &[&str]) -> Vec<Unreadable> {
    sources.iter().map(|source| Unreadable::new(*source, RunError::EndedUnasked)).collect()
}

fn after(words: Vec<Word>) -> Memory {
    let mut memory = Memory::default();
    words.into_iter().for_each(|word| drop(memory.hear(word, SystemTime::UNIX_EPOCH)));
    memory
}

/// The unread sources, those that were never read in brackets, with a mark those that may hide something although they are known.
fn unread(list: &UnreadSources) -> Vec<String> {
    let shown = |(name, unread): (&Arc<str>, &Unread)| match (unread.known, unread.hides) {
        (true, false) => name.to_string(),
        (true, true) => format!("{name}?"),
        (false, _) => format!("({name})"),
    };
    list.iter().map(shown).collect()
}

#[test]
fn the_work_for_a_word_is_what_it_says_and_what_it_may_end() {
    let memory = after(vec![Word::Everything((0..50).map(|n| group(&n.to_string(), &["x:1", "y:1"])).collect())]);
    let unread = || failing(&["0", "1", "2"]);
    for (word, work) in [
        (Word::Everything(Vec::new()), 50),
        (Word::EverythingBut(vec![group("0", &["x:1"])], unread()), 55),
        (Word::Found(Vec::new(), unread()), 53),
        (Word::Changed(vec![group("0", &["x:1"]), TargetGroup::gone("1")]), 3),
        (Word::Unread(unread()), 3),
        (Word::Unchanged, 0),
        (piece(true, vec![group("0", &["x:1"])]), 2),
        (pieced(Vec::new()), 50),
    ] {
        assert_eq!(memory.work(&word), work, "{word:?}");
    }
    let after = after(vec![Word::Everything(vec![TargetGroup::gone("a")]), Word::Unread(failing(&["b", "c"]))]);
    assert_eq!(after.work(&Word::Everything(Vec::new())), 3, "a source without targets, and two that failed");
}

#[test]
fn only_the_first_picture_is_whole() {
    let mut memory = Memory::default();
    let picture = || Word::Everything(vec![group("a", &["x:1"])]);
    let first = memory.hear(picture(), SystemTime::UNIX_EPOCH);
    assert!(first.whole && first.is_news() && first.news.groups.len() == 1);
    assert!(!memory.hear(picture(), SystemTime::UNIX_EPOCH).is_news());
    let later = memory.hear(Word::Everything(Vec::new()), SystemTime::UNIX_EPOCH);
    assert_eq!((later.whole, later.news.gone), (false, vec![GroupId::of("a", "")]));
}

#[test]
fn a_picture_of_nothing_is_news_and_one_of_failures_is_no_report() {
    let mut memory = Memory::default();
    let heard = memory.hear(Word::EverythingBut(Vec::new(), failing(&["a"])), SystemTime::UNIX_EPOCH);
    assert!(heard.whole && !memory.has_reported());
    assert!(!memory.hear(Word::Unread(failing(&["a"])), SystemTime::UNIX_EPOCH).is_news() && !memory.has_reported());
    memory.hear(Word::Changed(vec![TargetGroup::gone("a")]), SystemTime::UNIX_EPOCH);
    assert!(memory.has_reported());
    assert!(after(vec![Word::Everything(Vec::new())]).has_reported());
}

#[test]
fn what_was_never_read_is_told_from_what_was() {
    let first = || Word::EverythingBut(vec![group("a", &["x:1"])], failing(&["b"]));
    for (words, wanted) in [
        (vec![], vec!["(b)"]),
        (vec![Word::Unread(failing(&["a", "c"]))], vec!["a", "(b)", "(c)"]),
        (vec![Word::EverythingBut(Vec::new(), failing(&["a", "b"]))], vec!["a", "(b)"]),
        (vec![Word::Changed(vec![TargetGroup::gone("b")]), Word::Unread(failing(&["b"]))], vec!["b"]),
        (vec![Word::Everything(Vec::new()), Word::Unread(failing(&["b"]))], vec!["(b)"]),
        (vec![Word::Everything(vec![TargetGroup::gone("b")]), Word::Unread(failing(&["b"]))], vec!["b"]),
        (
            vec![
                Word::Everything(vec![TargetGroup::gone("b")]),
                Word::EverythingBut(Vec::new(), failing(&["b"])),
                Word::Unchanged,
                Word::Unread(failing(&["b"])),
            ],
            vec!["b"],
        ),
        (vec![Word::EverythingBut(Vec::new(), failing(&["a"]))], vec!["a"]),
        (vec![Word::Unread(failing(&["a"])), Word::Unchanged], vec!["(b)"]),
        (vec![Word::Everything(Vec::new())], vec![]),
    ] {
        let said = format!("{words:?}");
        let memory = after([first()].into_iter().chain(words).collect());
        assert_eq!(unread(&memory.unread), wanted, "after {said}");
    }
}

#[test]
fn what_was_never_read_was_not_either_when_more_cannot_be_read() {
    let a = || group("n/a/x", &["x:1"]);
    let b = || Word::EverythingBut(vec![a()], vec![scope("n/b", "n/b")]);
    let wider = || Word::EverythingBut(Vec::new(), vec![scope("n", "n")]);
    let found = |groups, unread| Word::Found(groups, unread);
    for (words, wanted) in [
        (vec![b(), wider()], vec!["n?"]),
        (vec![b(), wider(), wider()], vec!["n?"]),
        (vec![Word::EverythingBut(vec![a()], failing(&["n/b/y"])), wider()], vec!["n?"]),
        (
            vec![b(), Word::Changed(vec![group("n/b/y", &["y:1"])]), Word::Unread(vec![scope("n", "n")])],
            vec!["n?", "(n/b)"],
        ),
        // A narrower one, of which something was said while nobody knew what else is there.
        (
            vec![
                Word::EverythingBut(Vec::new(), vec![scope("n", "n")]),
                Word::Changed(vec![a()]),
                Word::Unread(vec![scope("n/a", "n/a")]),
            ],
            vec!["(n)", "n/a?"],
        ),
        // What was not there when others could still come.
        (vec![found(vec![a()], Vec::new()), wider()], vec!["n?"]),
        (vec![found(vec![a()], vec![scope("n", "n")]), wider()], vec!["(n)"]),
        // What was not told yet when the first picture was.
        (vec![piece(true, vec![a()]), pieced(vec![scope("n", "n")])], vec!["n?"]),
        (vec![piece(true, vec![a(), TargetGroup::gone("n")]), pieced(vec![scope("n", "n")])], vec!["n?"]),
        // Of one beside it nothing follows, and what was read is.
        (vec![b(), Word::EverythingBut(Vec::new(), vec![scope("m", "m")])], vec!["(m)"]),
        (vec![b(), Word::Everything(vec![a()]), wider()], vec!["n"]),
        (vec![b(), wider(), Word::Everything(Vec::new())], vec![]),
        (vec![b(), wider(), Word::Unchanged], vec![]),
    ] {
        let said = format!("{words:?}");
        assert_eq!(unread(&after(words).unread), wanted, "after {said}");
    }
}

#[test]
fn what_is_said_before_the_first_picture_and_is_no_piece_of_it_is_told_with_it() {
    for begins in [piece(true, Vec::new()), piece(true, vec![group("a", &["x:1"])])] {
        let mut memory = after(vec![begins]);
        let failed = memory.hear(Word::Unread(failing(&["b"])), SystemTime::UNIX_EPOCH);
        assert!(!failed.is_news() && failed.unread != failed.unread_before, "it is shown, but the roster has to wait");
        assert!(memory.hear(Word::Changed(vec![group("c", &["y:1"])]), SystemTime::UNIX_EPOCH).is_news());
        let whole = memory.hear(pieced(failing(&["b"])), SystemTime::UNIX_EPOCH);
        assert!(whole.is_news() && unread(&whole.unread) == ["(b)"]);
        assert!(memory.hear(Word::Unread(failing(&["d"])), SystemTime::UNIX_EPOCH).is_news());
    }
}

#[test]
fn an_empty_source_beneath_a_scope_that_fails_was_read() {
    let empty = || vec![TargetGroup::gone("n/b/x"), TargetGroup::gone("n/a/x")];
    let mut memory = after(vec![Word::Everything(empty())]);
    memory.hear(Word::EverythingBut(Vec::new(), vec![scope("n/b", "n/b")]), SystemTime::UNIX_EPOCH);
    let heard = memory.hear(Word::Unread(failing(&["n/b/x", "n/a/x"])), SystemTime::UNIX_EPOCH);
    assert_eq!(unread(&heard.unread), ["(n/a/x)", "n/b", "n/b/x"]);
}

#[test]
fn a_source_that_fails_again_keeps_the_time_of_its_first_failure() {
    let mut memory = after(vec![Word::Everything(Vec::new()), Word::Unread(failing(&["a"]))]);
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
    let heard = memory.hear(Word::EverythingBut(Vec::new(), failing(&["a", "b"])), later);
    assert_eq!(heard.unread["a"].since, SystemTime::UNIX_EPOCH);
    assert_eq!(heard.unread["b"].since, later);
    assert_eq!(**memory.tried(), BTreeMap::from([("a".into(), later), ("b".into(), later)]), "and is tried again");
    assert!(heard.is_news(), "another list is news");
}

#[test]
fn stale_groups_stay_and_a_source_that_can_be_read_again_is_replaced() {
    let (a, b) = (|| group("a", &["x:1"]), || group("b", &["y:1"]));
    let mut memory = after(vec![Word::Everything(vec![a(), b()])]);
    let heard = memory.hear(Word::EverythingBut(vec![a()], failing(&["b"])), SystemTime::UNIX_EPOCH);
    assert!(heard.news.is_empty() && heard.is_news());
    let heard = memory.hear(Word::Unread(failing(&["a"])), SystemTime::UNIX_EPOCH);
    assert_eq!((heard.news.len(), memory.groups()), (0, 2));
    let heard = memory.hear(Word::Changed(vec![TargetGroup::gone("b")]), SystemTime::UNIX_EPOCH);
    assert_eq!((heard.news.gone, unread(&heard.unread)), (vec![GroupId::of("b", "")], vec!["a".to_owned()]));
}

#[test]
fn what_was_not_found_may_still_come_until_the_picture_is_whole() {
    let seen = |heard: &Heard| heard.seen.as_ref().map(|seen| Vec::from_iter(seen.iter().copied()));
    let ids = |names: &[&str]| {
        let mut ids: Vec<_> = names.iter().map(|name| SourceId::of(name)).collect();
        ids.sort_unstable();
        Some(ids)
    };
    let mut memory = Memory::default();
    let first = memory.hear(Word::Found(vec![group("a", &["x:1"])], failing(&["b"])), SystemTime::UNIX_EPOCH);
    assert!(first.whole && memory.has_reported());
    assert_eq!((seen(&first), unread(&first.unread)), (ids(&["a"]), vec!["(b)".to_owned()]));
    let empty = memory.hear(Word::Changed(vec![TargetGroup::gone("c")]), SystemTime::UNIX_EPOCH);
    assert!(empty.is_news() && empty.news.is_empty(), "what it had before this process is to go");
    assert_eq!(seen(&empty), ids(&["a", "c"]));
    let failed = memory.hear(Word::Unread(failing(&["c", "d"])), SystemTime::UNIX_EPOCH);
    assert_eq!(unread(&failed.unread), ["(b)", "c", "(d)"]);
    // A discoverer that is built again does not know what the one before it has said.
    let again = memory.hear(Word::Found(vec![group("e", &["y:1"])], Vec::new()), SystemTime::UNIX_EPOCH);
    assert!(!again.whole && again.news.gone.is_empty());
    assert_eq!((again.news.groups.len(), seen(&again), memory.groups()), (1, ids(&["a", "c", "e"]), 2));
    let whole = memory.hear(Word::Everything(vec![group("e", &["y:1"])]), SystemTime::UNIX_EPOCH);
    assert_eq!((whole.is_news(), seen(&whole), whole.news.gone), (true, None, vec![GroupId::of("a", "")]));
    let same = memory.hear(Word::Everything(vec![group("e", &["y:1"])]), SystemTime::UNIX_EPOCH);
    assert!(!same.is_news());
}

fn scope(source: &str, path: &str) -> Unreadable {
    Unreadable::scope(source, path, RunError::EndedUnasked)
}

#[test]
fn what_is_beneath_a_scope_that_cannot_be_read_stays_and_all_else_is_gone() {
    let all = || ["n/a/x", "n/b/x", "n/b/y"].map(|source| group(source, &["x:1"])).to_vec();
    let but_b = |groups| Word::EverythingBut(groups, vec![scope("n/b/*", "n/b")]);
    for begins in [Word::Everything(all()), but_b(all())] {
        let mut memory = after(vec![begins]);
        memory.begin_run();
        let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
        let heard = hear(but_b(vec![group("n/c/x", &["x:1"])]));
        assert_eq!((heard.news.groups.len(), heard.news.gone), (1, vec![GroupId::of("n/a/x", "")]));
        let in_pieces = [piece(true, vec![group("n/d/x", &["x:1"])]), pieced(vec![scope("n/b/*", "n/b")])];
        let gone: Vec<_> = in_pieces.into_iter().flat_map(|word| hear(word).news.gone).collect();
        assert_eq!(gone, [GroupId::of("n/c/x", "")]);
        assert!(hear(Word::Changed(vec![TargetGroup::gone("n/b/*")])).news.is_empty());
        assert_eq!(hear(Word::Everything(Vec::new())).news.gone.len(), 3);
    }
}

#[test]
fn a_scope_is_known_that_was_named_or_has_anything_beneath() {
    let b = || vec![scope("n/b/*", "n/b")];
    let there = || group("n/b/x", &["x:1"]);
    for (words, wanted) in [
        (vec![Word::EverythingBut(Vec::new(), b())], "(n/b/*)"),
        (vec![Word::Everything(Vec::new()), Word::Unread(b())], "(n/b/*)"),
        (vec![Word::Everything(vec![group("n/bb/x", &["x:1"])]), Word::Unread(b())], "(n/b/*)"),
        (vec![Word::Everything(vec![there()]), Word::Unread(b())], "n/b/*"),
        (vec![Word::Everything(vec![there()]), Word::EverythingBut(Vec::new(), b())], "n/b/*"),
        (vec![Word::Everything(vec![TargetGroup::gone("n/b/*")]), Word::Unread(b())], "n/b/*"),
        // What is said beneath one that was never read does not make it known: more may be there.
        (vec![Word::EverythingBut(Vec::new(), b()), Word::Changed(vec![there()]), Word::Unread(b())], "(n/b/*)"),
    ] {
        let said = format!("{words:?}");
        assert_eq!(unread(&after(words).unread), [wanted], "after {said}");
    }
}

#[test]
fn that_a_source_has_nothing_is_told_where_something_may_be_stored_of_it() {
    let b = || vec![scope("n/b", "n/b")];
    let empty = || vec![TargetGroup::gone("n/b/x"), TargetGroup::gone("n/a/x")];
    let gone = |memory: &mut Memory, word| {
        let gone = memory.hear(word, SystemTime::UNIX_EPOCH).news.gone;
        gone.into_iter().map(|id| id.source).collect::<Vec<_>>()
    };
    let mut memory = after(vec![Word::EverythingBut(Vec::new(), b())]);
    assert_eq!(gone(&mut memory, Word::Changed(empty())), ids(&["n/b/x"]));
    assert_eq!(gone(&mut memory, Word::Changed(empty())), [], "it is no news");
    assert_eq!(gone(&mut Memory::default(), Word::EverythingBut(empty(), b())), ids(&["n/b/x"]));
    let mut memory = Memory::default();
    assert_eq!(gone(&mut memory, piece(true, vec![TargetGroup::gone("n/b/x")])), []);
    assert_eq!(gone(&mut memory, pieced(b())), ids(&["n/b/x"]));
    // Where all is known, what is stored and was not told goes by itself.
    assert_eq!(gone(&mut Memory::default(), Word::Everything(empty())), []);
    assert_eq!(gone(&mut after(vec![Word::Everything(Vec::new())]), Word::Changed(empty())), []);
}

fn piece(first: bool, groups: Vec<TargetGroup>) -> Word {
    Word::Piece { first, groups }
}

fn pieced(unread: Vec<Unreadable>) -> Word {
    Word::Pieced { unread, found: false }
}

fn told(heard: &Heard) -> Vec<SourceId> {
    let mut told = Vec::from_iter(heard.told.iter().copied());
    told.sort_unstable();
    told
}

fn ids(names: &[&str]) -> Vec<SourceId> {
    let mut ids: Vec<_> = names.iter().map(|name| SourceId::of(name)).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn the_first_picture_is_passed_on_piece_by_piece_and_counts_with_the_last() {
    let mut memory = Memory::default();
    let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
    let begun = hear(piece(true, vec![group("a", &["x:1"]), TargetGroup::gone("empty")]));
    assert!(begun.piece && !begun.whole && begun.news.groups.len() == 1);
    let more = hear(piece(false, vec![group("b", &["y:1"])]));
    assert!(more.piece && !more.whole);
    let whole = hear(pieced(failing(&["c"])));
    assert!(whole.whole && !whole.piece && whole.news.is_empty());
    assert_eq!((told(&whole), unread(&whole.unread)), (ids(&["a", "b"]), vec!["(c)".to_owned()]));
    assert!(memory.has_reported() && memory.has_read(SourceId::of("empty")));
}

#[test]
fn what_changes_between_the_pieces_of_the_first_picture_is_a_piece_of_it() {
    let keyed = |key: &str, address: &str| TargetGroup { key: key.into(), ..group("a", &[address]) };
    let mut memory = after(vec![piece(true, vec![keyed("1", "x:1"), keyed("2", "x:2"), keyed("3", "x:3")])]);
    let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
    let more = hear(Word::Changed(vec![group("b", &["y:1"])]));
    assert_eq!((more.piece, more.whole, more.news.groups.len()), (true, false, 1));
    // A source stands whole in a piece: what is as it was is told again.
    let again = hear(Word::Changed(vec![keyed("1", "x:1"), keyed("2", "x:9")]));
    assert_eq!(again.news.groups, [keyed("1", "x:1"), keyed("2", "x:9")]);
    assert_eq!((again.piece, again.news.gone), (true, vec![GroupId::of("a", "3")]));
    let whole = hear(pieced(Vec::new()));
    assert_eq!((whole.whole, told(&whole), whole.news.len()), (true, ids(&["a", "b"]), 0));
    let later = hear(Word::Changed(vec![group("b", &["y:2"])]));
    assert!(!later.piece && later.news.groups.len() == 1);
}

#[test]
fn what_fails_between_the_pieces_of_the_first_picture_was_read_if_it_was_told() {
    let mut memory = after(vec![piece(true, vec![group("a", &["x:1"]), TargetGroup::gone("empty")])]);
    let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
    hear(Word::Unread(failing(&["a", "b", "empty"])));
    let whole = hear(pieced(failing(&["a", "b", "empty"])));
    assert_eq!(unread(&whole.unread), ["a", "(b)", "empty"]);
    // Not of one that was broken off.
    for word in [Word::EverythingBut(Vec::new(), failing(&["a"])), pieced(failing(&["a"]))] {
        let mut memory = after(vec![piece(true, vec![group("a", &["x:1"])]), Word::Unread(failing(&["a"]))]);
        memory.begin_run();
        if matches!(word, Word::Pieced { .. }) {
            memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        }
        let heard = memory.hear(word, SystemTime::UNIX_EPOCH);
        assert_eq!(unread(&heard.unread), ["(a)"]);
    }
}

#[test]
fn nothing_is_reported_before_the_last_piece() {
    let memory = after(vec![piece(true, vec![group("a", &["x:1"])])]);
    assert!(!memory.has_reported() && memory.groups() == 1);
    assert!(after(vec![piece(true, Vec::new()), pieced(Vec::new())]).has_reported());
}

#[test]
fn what_is_in_no_piece_of_a_later_picture_is_gone_with_the_last() {
    let (a, b) = (|| group("a", &["x:1"]), || group("b", &["y:1"]));
    let mut memory = after(vec![Word::Everything(vec![a(), b(), group("c", &["z:1"])])]);
    let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
    let begun = hear(piece(true, vec![group("a", &["x:2"])]));
    assert!(!begun.piece && !begun.whole && begun.news.gone.is_empty() && begun.news.groups.len() == 1);
    // What changes meanwhile is in the picture too.
    assert!(hear(Word::Changed(vec![group("d", &["w:1"])])).is_news());
    let whole = hear(pieced(failing(&["b"])));
    assert_eq!((whole.whole, whole.told.len(), whole.news.gone), (false, 0, vec![GroupId::of("c", "")]));
    assert_eq!(memory.groups(), 3);
}

#[test]
fn a_picture_that_is_broken_off_takes_nothing_away_and_adds_nothing_to_the_next() {
    let whole = || Word::Everything(vec![group("a", &["x:1"]), group("b", &["y:1"])]);
    let mut memory = after(vec![whole(), piece(true, vec![group("a", &["x:1"])])]);
    memory.begin_run();
    assert_eq!(memory.groups(), 2);
    memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    let next = memory.hear(pieced(Vec::new()), SystemTime::UNIX_EPOCH);
    assert_eq!(next.news.gone, vec![GroupId::of("a", "")]);
    // Nor to one that is said in one word.
    memory.hear(piece(true, vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
    let next = memory.hear(Word::Everything(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    assert_eq!(next.news.gone, vec![GroupId::of("a", "")]);
}

#[test]
fn a_first_picture_that_was_broken_off_is_passed_on_anew() {
    let mut memory = after(vec![piece(true, vec![group("a", &["x:1"]), group("b", &["y:1"])])]);
    memory.begin_run();
    let begun = memory.hear(piece(true, vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
    assert!(begun.piece && begun.news.groups.len() == 1);
    let whole = memory.hear(pieced(Vec::new()), SystemTime::UNIX_EPOCH);
    assert_eq!((whole.whole, told(&whole), memory.groups()), (true, ids(&["a"]), 1));
}

#[test]
fn of_what_was_found_in_pieces_all_counts_as_seen() {
    let mut memory = after(vec![piece(true, vec![group("a", &["x:1"]), TargetGroup::gone("b")])]);
    let found = Word::Pieced { unread: failing(&["c"]), found: true };
    let found = memory.hear(found, SystemTime::UNIX_EPOCH);
    let seen = found.seen.as_ref().map(|seen| Vec::from_iter(seen.iter().copied()));
    assert_eq!((found.whole, seen, told(&found)), (true, Some(ids(&["a", "b"])), ids(&["a"])));
}

#[test]
fn whatever_was_said_before_the_first_picture_it_is_passed_on_whole() {
    let mut memory = after(vec![Word::Changed(vec![group("a", &["x:1"])])]);
    let heard = memory.hear(Word::Everything(vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
    assert!(heard.whole && heard.news.groups.len() == 1);
    let heard = Memory::default().hear(Word::Changed(vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
    assert!(!heard.piece && !heard.whole, "of a picture that nobody began it is no piece");
}

#[test]
fn a_picture_that_is_begun_anew_has_nothing_of_the_one_before() {
    let whole = Word::Everything(vec![group("a", &["x:1"]), group("b", &["y:1"]), group("c", &["z:1"])]);
    let mut memory = after(vec![whole, piece(true, vec![group("a", &["x:1"])])]);
    memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    let mut gone = memory.hear(pieced(Vec::new()), SystemTime::UNIX_EPOCH).news.gone;
    gone.sort_unstable();
    let mut wanted = ["a", "c"].map(|source| GroupId::of(source, ""));
    wanted.sort_unstable();
    assert_eq!(gone, wanted);
    // What changes afterwards is not kept for a picture that does not come.
    memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    memory.hear(Word::Everything(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    memory.hear(Word::Changed(vec![group("a", &["x:2"])]), SystemTime::UNIX_EPOCH);
    assert_eq!(memory.told, None);
}

#[test]
fn what_another_run_says_is_no_piece_of_a_picture_that_was_broken_off() {
    let mut memory = after(vec![piece(true, vec![group("a", &["x:1"])])]);
    memory.begin_run();
    let heard = memory.hear(Word::Changed(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    assert!(!heard.piece);
}

#[test]
fn when_a_source_was_tried_is_known_as_long_as_it_fails() {
    let mut memory = after(vec![Word::EverythingBut(vec![group("a", &["x:1"])], failing(&["b", "c"]))]);
    assert_eq!(memory.tried().len(), 2);
    memory.hear(Word::Changed(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
    assert_eq!(memory.tried().keys().map(|source| &**source).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn what_no_picture_has_any_more_or_none_had_yet_was_not_read() {
    let empty = || Word::Everything(vec![TargetGroup::gone("a")]);
    for (words, wanted) in [
        (vec![empty()], "a"),
        (vec![empty(), Word::Everything(vec![group("b", &["x:1"])])], "(a)"),
        (vec![Word::Changed(vec![group("a", &["x:1"])])], "(a)"),
    ] {
        let heard = after(words).hear(Word::Unread(failing(&["a"])), SystemTime::UNIX_EPOCH);
        assert_eq!(unread(&heard.unread), [wanted]);
    }
}

#[test]
fn what_an_earlier_run_read_counts_as_seen_where_others_may_still_come() {
    let mut memory = after(vec![Word::Everything(vec![group("a", &["x:1"])])]);
    memory.begin_run();
    let heard = memory.hear(Word::Found(vec![group("b", &["y:1"])], Vec::new()), SystemTime::UNIX_EPOCH);
    let seen = heard.seen.map(|seen| Vec::from_iter(seen.iter().copied()));
    assert_eq!(seen, Some(ids(&["a", "b"])));
}
