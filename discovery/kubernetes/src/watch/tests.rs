//! What is asked next, after whatever came.

use std::time::Duration;

use rosterd_model::Coded;
use rosterd_tasks::Machine as OnMachine;

use super::machine::{Cause, Machine, Step, What};
use crate::error::WatchError;
use crate::resource::{Resource, WatchKey};
use crate::stream::{ListMeta, Status};

fn machine(streams: bool) -> Machine {
    Machine::new(WatchKey::all(Resource::Pod, None), streams, OnMachine::default(), Cause::Start)
}

/// What is asked now, without what is different each time, and after what pause.
fn asks(machine: &mut Machine) -> (String, Duration) {
    let ask = machine.ask();
    let parameters = ask.parameters.iter().filter(|(name, _)| !matches!(*name, "timeoutSeconds" | "watch"));
    let parameters: Vec<_> = parameters.map(|(name, value)| format!("{name}={value}")).collect();
    (format!("{:?} {}", ask.what, parameters.join("&")), ask.pause)
}

fn meta(version: &str, rest: &str) -> ListMeta {
    serde_json::from_str(&format!(r#"{{"resourceVersion":"{version}","continue":"{rest}"}}"#)).expect("a list")
}

fn last_bookmark(version: &str) -> ListMeta {
    let bookmark = format!(
        r#"{{"metadata":{{"resourceVersion":"{version}","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}"#
    );
    ListMeta::of_bookmark(bookmark.as_bytes()).expect("a bookmark")
}

fn refuses(machine: &mut Machine, what: What, code: u16) -> Option<&'static str> {
    let status = Status { code, ..Status::default() };
    machine.refused(what, status, None).map(|error| error.code())
}

fn incomplete() -> WatchError {
    WatchError::Incomplete { key: WatchKey::all(Resource::Pod, None) }
}

const STREAMED: &str = "StreamedList allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
const LIST: &str = "List limit=500";
const SECOND: Duration = Duration::from_secs(1);

fn watch_from(version: &str) -> String {
    format!("Watch allowWatchBookmarks=true&resourceVersion={version}")
}

#[test]
fn a_streamed_list_goes_on_as_a_watch_and_is_resumed() {
    let mut machine = machine(true);
    assert_eq!(asks(&mut machine), (STREAMED.to_owned(), Duration::ZERO));
    assert_eq!(machine.silence(), 30 * SECOND);
    machine.event("5");
    assert_eq!(machine.bookmark(&meta("6", "")), Step::Go);
    assert_eq!(machine.bookmark(&last_bookmark("7")), Step::Listed);
    machine.event("9");
    assert_eq!(machine.silence(), 150 * SECOND);
    assert!(machine.ended(What::StreamedList, 300 * SECOND).is_ok());
    assert_eq!(asks(&mut machine), (watch_from("9"), Duration::ZERO));
    machine.bookmark(&meta("12", ""));
    assert!(machine.ended(What::Watch, 300 * SECOND).is_ok());
    assert_eq!(asks(&mut machine), (watch_from("12"), Duration::ZERO));
}

#[test]
fn a_server_that_does_not_stream_is_asked_for_pages() {
    for code in [400, 422, 500] {
        let mut machine = machine(true);
        machine.ask();
        assert_eq!(refuses(&mut machine, What::StreamedList, code), None, "{code}");
        assert_eq!((machine.streams(), machine.cause()), (code == 500, Cause::Refused), "one failure says little");
        assert_eq!(asks(&mut machine), (LIST.to_owned(), Duration::ZERO));
        machine.page(meta("7", "")).expect("a page");
        machine.ask();
        machine.event("8");
        assert_eq!(refuses(&mut machine, What::Watch, 410), None);
        let next = if code == 500 { STREAMED } else { LIST };
        assert_eq!((&*asks(&mut machine).0, machine.cause()), (next, Cause::Expired), "{code}");
    }
    let mut machine = machine(false);
    machine.ask();
    assert_eq!(machine.page(meta("7", "a b")).expect("a page"), Step::Go);
    assert_eq!(asks(&mut machine), ("Rest limit=500&continue=a b".to_owned(), Duration::ZERO));
    assert_eq!(machine.page(meta("7", "")).expect("a page"), Step::Listed);
    assert_eq!(asks(&mut machine), (watch_from("7"), Duration::ZERO));
    assert!(machine.page(meta("", "")).is_err(), "without a version there is nothing to go on from");
}

#[test]
fn history_that_is_gone_means_a_new_list_soon_but_not_again_and_again() {
    let mut machine = machine(false);
    machine.ask();
    machine.page(meta("7", "")).expect("a page");
    machine.ask();
    machine.event("8");
    assert_eq!(refuses(&mut machine, What::Watch, 410), None);
    let (asked, pause) = asks(&mut machine);
    assert_eq!(asked, LIST);
    assert!(pause < 2 * SECOND, "{pause:?}");
    // Some say so by the reason alone.
    machine.page(meta("8", "")).expect("a page");
    machine.ask();
    machine.event("9");
    let status = Status { code: 500, reason: "Expired".to_owned(), ..Status::default() };
    assert!(machine.refused(What::Watch, status, None).is_none());
    assert_eq!(asks(&mut machine).0, LIST);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        machine.page(meta("9", "")).expect("a page");
        machine.ask();
        assert_eq!(refuses(&mut machine, What::Watch, 410), Some("sd_kubernetes_expired"));
        pauses.push(asks(&mut machine).1);
    }
    assert!(pauses.is_sorted() && pauses[0] > SECOND / 2 && pauses[3] > 5 * SECOND, "{pauses:?}");
}

#[test]
fn history_that_is_gone_does_not_make_all_machines_list_at_once() {
    let after = |name: &str| {
        let key = WatchKey::all(Resource::Pod, None);
        let mut machine = Machine::new(key, false, OnMachine::named(name), Cause::Start);
        machine.ask();
        machine.page(meta("7", "")).expect("a page");
        machine.ask();
        machine.event("8");
        refuses(&mut machine, What::Watch, 410);
        machine.ask().pause
    };
    let pauses: std::collections::BTreeSet<_> = (0..20).map(|number| after(&number.to_string())).collect();
    assert!(pauses.len() > 15 && pauses.iter().all(|pause| *pause < 2 * SECOND), "{pauses:?}");
}

#[test]
fn a_watch_may_be_silent_for_as_long_as_it_lives_where_no_bookmarks_come() {
    let mut machine = machine(false);
    machine.ask();
    machine.page(meta("7", "")).expect("a page");
    let life = machine.ask().time;
    machine.event("8");
    assert!(machine.silence() >= life, "{:?}", machine.silence());
    machine.bookmark(&meta("9", ""));
    assert_eq!(machine.silence(), 150 * SECOND);
}

#[test]
fn what_is_followed_is_followed_from_where_it_was_after_any_other_failure() {
    for (code, wanted) in [
        (401, "sd_kubernetes_unauthorized"),
        (403, "sd_kubernetes_forbidden"),
        (404, "sd_kubernetes_no_resource"),
        (429, "sd_kubernetes_throttled"),
        (500, "sd_kubernetes_refused"),
        (503, "sd_kubernetes_throttled"),
    ] {
        let mut machine = machine(false);
        machine.ask();
        machine.page(meta("7", "")).expect("a page");
        machine.ask();
        assert_eq!(refuses(&mut machine, What::Watch, code), Some(wanted));
        let (asked, pause) = asks(&mut machine);
        assert_eq!(asked, watch_from("7"), "{code}");
        assert!(pause > SECOND / 2, "{code}: {pause:?}");
    }
}

#[test]
fn who_asks_for_time_gets_it() {
    let after = |name: &str| {
        let mut machine = Machine::new(WatchKey::all(Resource::Pod, None), true, OnMachine::named(name), Cause::Start);
        machine.ask();
        let status = Status { code: 429, ..Status::default() };
        machine.refused(What::StreamedList, status, Some(17 * SECOND));
        let (asked, pause) = asks(&mut machine);
        assert_eq!(asked, STREAMED);
        pause
    };
    // And not from all at the same moment.
    let pauses: std::collections::BTreeSet<_> = (0..20).map(|number| after(&number.to_string())).collect();
    let in_time = |pause: &Duration| (17 * SECOND..19 * SECOND).contains(pause);
    assert!(pauses.len() > 15 && pauses.iter().all(in_time), "{pauses:?}");
}

#[test]
fn a_list_that_keeps_ending_in_the_middle_is_taken_in_another_way() {
    let mut machine = machine(true);
    for _ in 0..2 {
        assert_eq!(asks(&mut machine).0, STREAMED);
        machine.ended(What::StreamedList, 9 * SECOND).expect_err("it was not whole");
    }
    assert_eq!((&*asks(&mut machine).0, machine.cause(), machine.streams()), (LIST, Cause::Failed, true));
    let mut machine = self::machine(false);
    for wanted in ["Rest limit=500&continue=r", "Rest limit=500&continue=r"] {
        machine.ask();
        machine.page(meta("7", "r")).expect("a page");
        assert_eq!(asks(&mut machine).0, wanted);
        assert_eq!(refuses(&mut machine, What::Rest, 410), Some("sd_kubernetes_expired"));
    }
    assert_eq!(asks(&mut machine).0, "List ");
    // Other failures say nothing about the way.
    let mut machine = self::machine(true);
    for _ in 0..5 {
        assert_eq!(asks(&mut machine).0, STREAMED);
        assert_eq!(refuses(&mut machine, What::StreamedList, 403), Some("sd_kubernetes_forbidden"));
    }
    machine.ask();
    machine.failed(What::StreamedList, &incomplete());
    assert_eq!(asks(&mut machine).0, STREAMED);
}

#[test]
fn watches_that_end_at_once_are_not_asked_for_in_a_busy_loop() {
    let mut machine = machine(false);
    machine.ask();
    machine.page(meta("7", "")).expect("a page");
    let mut pauses = Vec::new();
    for _ in 0..4 {
        machine.ask();
        machine.ended(What::Watch, SECOND / 10).expect("that is no failure");
        pauses.push(machine.pause());
    }
    assert!(pauses.is_sorted() && pauses[0] > SECOND / 2, "{pauses:?}");
}

#[test]
fn watches_do_not_all_end_at_the_same_time() {
    let of = |name: &str| Machine::new(WatchKey::all(Resource::Pod, None), true, OnMachine::named(name), Cause::Start);
    assert_ne!(of("one").ask().time, of("two").ask().time);
    let mut machine = of("one");
    let lives: std::collections::BTreeSet<_> = (0..50).map(|_| machine.ask().time).collect();
    assert!(lives.len() > 40 && lives.iter().all(|life| (330..630).contains(&life.as_secs())), "{lives:?}");
}
