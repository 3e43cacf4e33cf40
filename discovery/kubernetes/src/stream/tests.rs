//! However bodies are cut on their way, the pieces are the same.

use std::time::Duration;

use proptest::prelude::*;

use super::{Event, EventKind, Items, Lines, ListMeta, Piece, Status};
use crate::error::Malformed;

const LIST: &str = r#"{
  "kind": "PodList", "apiVersion": "v1", "junk": {"items": [{"no": 1}], "metadata": {}},
  "metadata": {"resourceVersion": "77", "continue": "a\"}]"},
  "more": ["metadata", {"items": []}], "text": "items", "items" : [
    {"metadata": {"name": "a"}, "s": "}{][\\"}, {"items": [{"metadata": {}}], "k\u0022": "\\\""},
    {}
  ]
}
"#;

/// What a list is cut into when it arrives in pieces of these sizes.
fn cut(list: &str, sizes: &[usize]) -> Result<Vec<String>, String> {
    let (mut items, mut pieces) = (Items::default(), Vec::new());
    let mut each = |piece: Piece<'_>| {
        pieces.push(match piece {
            Piece::Metadata(bytes) => format!("metadata {}", String::from_utf8_lossy(bytes)),
            Piece::Object(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        });
        Ok::<_, Malformed>(())
    };
    let (mut rest, mut sizes) = (list.as_bytes(), sizes.iter().copied().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        items.push(chunk, &mut each).map_err(|error| error.to_string())?;
        rest = after;
    }
    if !items.has_ended() {
        return Err("not whole".to_owned());
    }
    Ok(pieces)
}

#[test]
fn a_list_is_cut_into_its_objects() {
    let pieces = cut(LIST, &[usize::MAX]).expect("a list");
    assert_eq!(
        pieces,
        [
            r#"metadata {"resourceVersion": "77", "continue": "a\"}]"}"#,
            r#"{"metadata": {"name": "a"}, "s": "}{][\\"}"#,
            r#"{"items": [{"metadata": {}}], "k\u0022": "\\\""}"#,
            "{}",
        ]
    );
    assert_eq!(cut(r#"{"items":null,"metadata":{}}"#, &[3]), Ok(vec!["metadata {}".to_owned()]));
    assert_eq!(cut(r#"{"items":[]}"#, &[1]), Ok(Vec::new()));
}

#[test]
fn what_is_no_list_is_refused() {
    for (body, error) in [
        ("[1]", "a list is not a map with items"),
        ("<html>", "a list is not a map with items"),
        ("{}}", "a list is not a map with items"),
        ("{}{}", "a list is not a map with items"),
        (r#"{"items":[{}"#, "not whole"),
        ("", "not whole"),
    ] {
        assert_eq!(cut(body, &[2]), Err(error.to_owned()), "{body}");
    }
}

proptest! {
    #[test]
    fn where_a_list_is_cut_does_not_matter(sizes in proptest::collection::vec(1usize..40, 1..20)) {
        prop_assert_eq!(cut(LIST, &sizes), cut(LIST, &[usize::MAX]));
    }

    #[test]
    fn no_bytes_make_it_panic(list in "[\\[\\]{}\",:\\\\a ]{0,60}", sizes in proptest::collection::vec(1usize..9, 1..5)) {
        prop_assert_eq!(cut(&list, &sizes).ok(), cut(&list, &[usize::MAX]).ok());
    }

    #[test]
    fn lines_are_whole_wherever_they_are_cut(
        lines in proptest::collection::vec("[a-z]{0,9}", 0..9),
        size in 1usize..12,
    ) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let (mut cutter, mut found) = (Lines::default(), Vec::new());
        for chunk in text.as_bytes().chunks(size) {
            let each = |line: &[u8]| {
                found.push(String::from_utf8_lossy(line).into_owned());
                Ok::<_, Malformed>(())
            };
            cutter.push(chunk, each).unwrap();
        }
        prop_assert_eq!(found, lines);
    }
}

#[test]
fn an_event_is_read_however_it_is_written() {
    for (line, kind, object) in [
        (r#"{"type":"ADDED","object":{"a":{}}}"#, EventKind::Added, r#"{"a":{}}"#),
        ("{\"type\":\"DELETED\",\"object\":{}}\r", EventKind::Deleted, "{}"),
        (r#"{ "object": {"a": [1]}, "type": "MODIFIED" }"#, EventKind::Modified, r#"{"a":[1]}"#),
        (r#"{"type":"BOOKMARK", "object":{}}"#, EventKind::Bookmark, "{}"),
        (r#"{"type":"ERROR","object":{"code":410}}"#, EventKind::Error, r#"{"code":410}"#),
        (r#"{"type":"NEWS","object":{}}"#, EventKind::Unknown, "{}"),
    ] {
        let event = Event::read(line.as_bytes()).expect(line);
        assert_eq!((event.kind, &*event.object), (kind, object.as_bytes()), "{line}");
    }
    assert!(Event::read(b"{}").is_err());
    assert!(Event::read(br#"{"type":"ADDED"}"#).is_err());
}

#[test]
fn a_bookmark_says_how_far_the_history_is() {
    let plain = br#"{"kind":"Pod","metadata":{"resourceVersion":"12","creationTimestamp":null}}"#;
    let read = ListMeta::of_bookmark(plain).expect("a bookmark");
    assert_eq!((&*read.resource_version, read.ends_list()), ("12", false));
    let last = br#"{"metadata":{"resourceVersion":"12","annotations":{"k8s.io/initial-events-end":"true"}}}"#;
    assert!(ListMeta::of_bookmark(last).expect("a bookmark").ends_list());
}

#[test]
fn a_refusal_is_read_whatever_it_is() {
    let body =
        br#"{"kind":"Status","message":"too old","reason":"Expired","details":{"retryAfterSeconds":3},"code":410}"#;
    let status = Status::of_body(410, body);
    assert_eq!((&*status.message, &*status.reason, status.code), ("too old", "Expired", 410));
    assert_eq!(status.wait(), Some(Duration::from_secs(3)));
    let status = Status::of_body(502, b"<html>Bad Gateway</html>\n");
    assert_eq!((&*status.message, status.code, status.wait()), ("<html>Bad Gateway</html>", 502, None));
}
