//! Hints of an engine that tells events, stops doing so, or never begins.

use rosterd_client::{Client, HttpClientConfig, Options};
use rosterd_tasks::Machine;
use rosterd_testkit::{FakeEngine, ScriptedServer, Step, leak_checked_live, patience};
use serde_json::json;

use super::*;
use crate::Host;
use crate::engine::Spoken;

/// The events of an engine at this place.
fn events_at(host: &str, echo: Option<Duration>) -> Events {
    let address = Host::new(host).address().expect("an engine can be there");
    let options = Options { unix_socket: address.socket, ..Options::default() };
    let client = Client::new(&HttpClientConfig::default(), options).expect("a client");
    Events {
        engine: Engine { client, base: address.url, spoken: Spoken::Unsaid },
        wanted: Wanted { filters: [("type", "container")].into_iter().collect(), echo },
        provider: "docker/1".to_owned(),
        stream: Stream::Unopened,
        schedule: Schedule::new(LONGEST_PAUSE, "docker/1").on(Machine::named("here")),
        settle: SETTLE,
        echo_at: None,
        told: false,
    }
}

/// The time jumps while nothing is under way.
async fn jump(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What this is, which does not take for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(patience(), what).await.expect("it comes in time")
}

fn opened(engine: &FakeEngine) -> usize {
    engine.asked().iter().filter(|asked| asked.contains("/events")).count()
}

/// How long it waits until it opens a broken stream again.
fn pause(events: &Events) -> Duration {
    let Stream::Broken(again) = &events.stream else { panic!("{:?}", events.stream) };
    again.saturating_duration_since(Instant::now())
}

#[test]
fn the_next_hint_waits_by_how_long_lists_take() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        let mut events = events_at(&engine.host(), None);
        soon(events.follow()).await;
        for (took, least) in [(Duration::ZERO, SETTLE), (Duration::from_millis(100), Duration::from_secs(1))] {
            events.listed(took);
            let begun = Instant::now();
            engine.event(json!({"Type": "container"})).await;
            soon(events.next()).await;
            assert!(begun.elapsed() >= least, "{:?} for a list of {took:?}", begun.elapsed());
        }
        assert_eq!(opened(&engine), 1);
        engine.finish().await;
    });
}

#[test]
fn blanks_keep_a_stream_alive_and_hint_at_nothing() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        let mut events = events_at(&engine.host(), None);
        soon(events.follow()).await;
        engine.wait_stream().await;
        engine.say("\r\n \n").await;
        assert!(timeout(4 * SETTLE, events.next()).await.is_err());
        engine.event(json!({})).await;
        soon(events.next()).await;
        engine.finish().await;
    });
}

#[test]
fn a_stream_that_tells_nothing_for_long_is_opened_anew_which_is_a_hint() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        let mut events = events_at(&engine.host(), None);
        soon(events.follow()).await;
        jump(OLDEST - Duration::from_secs(60)).await;
        assert!(timeout(SETTLE, events.next()).await.is_err() && opened(&engine) == 1);
        jump(Duration::from_secs(61)).await;
        timeout(patience(), events.next()).await.expect("something may have been missed");
        assert_eq!(opened(&engine), 2);
        engine.finish().await;
    });
}

#[test]
fn a_list_does_not_wait_for_a_stream_that_does_not_begin() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::get("/events").any_times().stall()]).await;
        let mut events = events_at(&server.url("/"), None);
        let is_asked = async {
            server.wait_requests(1).await;
            jump(BEGIN).await;
        };
        let (followed, ()) = tokio::join!(timeout(2 * BEGIN, events.follow()), is_asked);
        followed.expect("it gives up");
        assert!(pause(&events) > Duration::ZERO);
        // Nor is it opened by each list.
        soon(events.follow()).await;
        assert_eq!(server.requests().len(), 1);
        server.finish().await;
    });
}

#[test]
fn a_stream_that_cannot_be_opened_is_tried_less_and_less_often_until_one_has_lived() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        engine.fail("events", 500, "no events");
        let mut events = events_at(&engine.host(), None);
        soon(events.follow()).await;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pauses.push(pause(&events));
            jump(pause(&events)).await;
            assert!(!soon(events.wait()).await, "that is no hint");
        }
        let (first, last) = (pauses[0], pauses[9]);
        assert!(4 * first < last && pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");

        engine.set("events", json!([]));
        jump(pause(&events)).await;
        assert!(soon(events.wait()).await, "something may have been missed");
        engine.cut_events();
        assert!(!soon(events.wait()).await && events.told);
        assert!(4 * first < pause(&events), "one that breaks soon is no better than one that cannot be opened");

        jump(pause(&events)).await;
        assert!(soon(events.wait()).await);
        jump(2 * LONGEST_PAUSE).await;
        engine.cut_events();
        assert!(!soon(events.wait()).await && pause(&events) < 4 * first, "{:?}", pause(&events));
        engine.finish().await;
    });
}

#[test]
fn an_event_is_followed_by_one_echo() {
    leak_checked_live(async || {
        let (engine, echo) = (FakeEngine::start().await, Duration::from_secs(600));
        let mut events = events_at(&engine.host(), Some(echo));
        soon(events.follow()).await;
        assert_eq!(events.echo_at, None, "nothing has happened yet");
        engine.event(json!({})).await;
        soon(events.next()).await;
        assert!(timeout(SETTLE, events.next()).await.is_err());
        jump(echo).await;
        timeout(patience(), events.next()).await.expect("what moved on meanwhile is looked at");
        assert_eq!((events.echo_at, opened(&engine)), (None, 1), "an echo has none itself");
        engine.finish().await;
    });
}
