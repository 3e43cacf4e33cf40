//! What the log and those who look are told of an outage.

use rosterd_testkit::{Log, RemoteWriteReceiver, WriteAnswer, leak_checked_live};

use super::*;
use crate::EndpointState;

/// The first words of lines of the log, and what stands in these fields.
fn short(lines: &[String], fields: &[&str]) -> Vec<String> {
    let field = |line: &str, name: &str| {
        let (_, value) = line.split_once(&format!(" {name}="))?;
        Some(format!(" {name}={}", value.split(' ').next()?))
    };
    let line = |line: &String| {
        let words = line.split_once(" endpoint=").map_or(&**line, |(words, _)| words);
        fields.iter().filter_map(|name| field(line, name)).fold(words.to_owned(), |all, one| all + &one)
    };
    lines.iter().map(line).collect()
}

#[test]
fn an_outage_is_logged_when_it_begins_and_when_it_is_over_in_this_order() {
    leak_checked_live(|| async {
        let (receiver, log) = (RemoteWriteReceiver::start().await, Log::of("rosterd_ship"));
        let listening = tracing::subscriber::set_default(log.clone());
        for _ in 0..5 {
            receiver.then(WriteAnswer { body: "no room", ..WriteAnswer::status(500) });
        }
        let ship = Ship::of(None, vec![endpoint("a", &receiver.url())]).await;
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        receiver.wait_samples(1).await;
        ship.wait_empty().await;
        let lines = log.take();
        assert_eq!(
            short(&lines, &["code", "failures"]),
            [
                "INFO remote write starts",
                "WARN request failed, trying again code=ship_receiver_failed failures=1",
                "INFO remote write works again failures=5",
            ]
        );
        assert!(lines[1].contains("no room"), "the receiver's words: {}", lines[1]);

        // What is lost is told with its sum before it is told that it works.
        for number in 0..3 {
            receiver.then(WriteAnswer { body: "no such tenant", ..WriteAnswer::status(404) });
            ship.shipper.push(1, &block(&["up", "down"], 1.0, now(number)));
            ship.wait_metric("dropped_items_total", &["samples", "rejected"], 2.0 * (number + 1) as f64).await;
        }
        assert_eq!(ship.shipper.status()[0].state, EndpointState::Rejecting);
        ship.shipper.push(1, &block(&["up"], 2.0, now(3)));
        receiver.wait_samples(2).await;
        ship.wait_empty().await;
        let lines = log.take();
        assert_eq!(
            short(&lines, &["code", "requests", "samples"]),
            [
                "WARN samples refused, they are lost code=ship_rejected requests=1 samples=2",
                "WARN samples refused, they are lost code=ship_rejected requests=2 samples=4",
                "INFO remote write works again",
            ]
        );
        assert!(lines[1].contains("no such tenant"), "the reason of the last: {}", lines[1]);
        ship.end().await;
        assert_eq!(log.take(), [""; 0], "nothing is told behind the end");
        drop(listening);
    });
}

#[test]
fn how_far_behind_an_endpoint_is_can_be_told_before_its_receiver_has_ever_answered() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        receiver.then(WriteAnswer { headers: vec![("retry-after", "3600".to_owned())], ..WriteAnswer::status(503) });
        // With a queue on disk a receiver that is down is not waited for at the end.
        let folder = tempfile::tempdir().unwrap();
        let ship = Ship::of(Some(folder.path()), vec![endpoint("a", &receiver.url())]).await;
        let oldest = || ship.metric("oldest_pending_timestamp_seconds", &[]);
        assert_eq!(oldest(), 0.0, "nothing waits");
        // A target may give a sample the time of an hour ago: it waits no longer for that.
        let first = now(0);
        ship.shipper.push(1, &Block { oldest_ms: first - 3_600_000, ..block(&["up"], 1.0, first) });
        eventually(patience(), "it failed", || ship.shipper.status()[0].state == EndpointState::Failing).await;
        ship.shipper.push(1, &block(&["up"], 2.0, first + 60_000));
        eventually(patience(), "another waits behind it", || ship.shipper.status()[0].pending.samples == 2).await;
        assert_eq!((oldest(), ship.metric("highest_sent_timestamp_seconds", &[])), (first as f64 / 1000.0, 0.0));
        assert_eq!(ship.shipper.status()[0].oldest_pending_ms, Some(first));
        ship.end().await;
    });
}
