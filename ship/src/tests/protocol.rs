//! Versions, compression, statuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rosterd_exposition::{Metadata, MetricKind};
use rosterd_model::NameScheme;
use rosterd_model::relabel::Rules;
use rosterd_testkit::{RemoteWriteReceiver, WriteAnswer, leak_checked_live};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::{EndpointState, ShipError};

#[test]
fn a_request_has_the_headers_of_its_version() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let mut config = endpoint("a", &receiver.url());
        config.headers.insert("X-Scope-OrgID".to_owned(), "tenant".into());
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        receiver.wait_samples(1).await;
        let request = &receiver.requests()[0];
        for (name, value) in [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
            ("x-scope-orgid", "tenant"),
            ("retry-attempt", ""),
        ] {
            assert_eq!(header(request, name), value, "{name}");
        }
        assert!(header(request, "user-agent").starts_with("rosterd/"));
        ship.wait_metric("sent_items_total", &["a", "samples"], 1.0).await;
        assert_eq!(ship.metric("requests_total", &["2xx"]), 1.0);
        ship.end().await;
    });
}

/// Answers each request with these bytes, and counts the requests.
async fn answer_with(listener: TcpListener, answer: &str, requests: &AtomicUsize) {
    loop {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line).await.unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        requests.fetch_add(1, Ordering::Relaxed);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[test]
fn what_is_answered_by_something_that_cannot_be_read_is_not_sent_for_ever() {
    leak_checked_live(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let requests = AtomicUsize::new(0);
        let ship = Ship::of(None, vec![endpoint("a", &url)]).await;
        let sending = async {
            ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
            ship.wait_metric("dropped_items_total", &["samples", "rejected"], 1.0).await;
        };
        tokio::select! {
            () = answer_with(listener, "NONSENSE\r\n\r\n", &requests) => {}
            () = sending => {}
        }
        assert_eq!(requests.load(Ordering::Relaxed), 3);
        assert_eq!(ship.shipper.status()[0].last_error.as_ref().unwrap().code, "http_malformed");
        ship.end().await;
    });
}

#[test]
fn heads_that_go_takes_are_answers() {
    leak_checked_live(|| async {
        let many: String = (0..120).map(|number| format!("x-{number}: {}\r\n", "v".repeat(200))).collect();
        let answer = format!("HTTP/1.1 204 No\r\nx y: 1\r\nfolded: a\r\n  b\r\nconnection: close\r\n{many}\r\n");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let requests = AtomicUsize::new(0);
        let ship = Ship::of(None, vec![endpoint("a", &url)]).await;
        let sending = async {
            ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
            ship.wait_metric("sent_items_total", &["samples"], 1.0).await;
        };
        tokio::select! {
            () = answer_with(listener, &answer, &requests) => {}
            () = sending => {}
        }
        assert_eq!(requests.load(Ordering::Relaxed), 1);
        ship.end().await;
    });
}

#[test]
fn a_failure_is_tried_again() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        receiver.then(WriteAnswer::status(500));
        receiver.then(WriteAnswer::status(503));
        let ship = Ship::of(None, vec![endpoint("a", &receiver.url())]).await;
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        receiver.wait_samples(1).await;
        let attempts: Vec<_> =
            receiver.requests().iter().map(|request| header(request, "retry-attempt").to_owned()).collect();
        assert_eq!(attempts, ["", "1", "2"]);
        ship.wait_metric("sent_items_total", &["samples"], 1.0).await;
        assert_eq!(ship.metric("retried_items_total", &["samples"]), 2.0);
        let status = &ship.shipper.status()[0];
        assert!(status.state == EndpointState::Working && status.last_success.is_some());
        assert_eq!(status.last_error.as_ref().unwrap().code, "ship_receiver_failed");
        ship.end().await;
    });
}

#[test]
fn retry_after_is_waited_for() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let headers = vec![("retry-after", "1".to_owned())];
        receiver.then(WriteAnswer { headers, ..WriteAnswer::status(429) });
        let ship = Ship::of(None, vec![endpoint("a", &receiver.url())]).await;
        let started = tokio::time::Instant::now();
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        receiver.wait_samples(1).await;
        assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
        ship.end().await;
    });
}

#[test]
fn what_a_receiver_rejects_is_dropped_with_its_words() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        receiver.then(WriteAnswer { body: "out of order", ..WriteAnswer::status(400) });
        let ship = Ship::of(None, vec![endpoint("a", &receiver.url())]).await;
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        ship.wait_metric("dropped_items_total", &["samples", "rejected"], 1.0).await;
        ship.shipper.push(1, &block(&["up"], 2.0, now(1)));
        receiver.wait_samples(1).await;
        assert_eq!(values(&receiver, "up"), [2.0]);
        let error = ship.shipper.status()[0].last_error.clone().unwrap();
        assert!(error.code == "ship_rejected" && error.message.ends_with("out of order"), "{error}");
        ship.end().await;
    });
}

#[test]
fn an_endpoint_that_refuses_everything_looks_like_it() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        // It is away first, and refuses everything when it is back.
        receiver.then(WriteAnswer::status(503));
        receiver.then(WriteAnswer { body: "no such tenant", ..WriteAnswer::status(404) });
        let ship = Ship::of(None, vec![endpoint("a", &receiver.url())]).await;
        ship.shipper.push(1, &block(&["up", "down"], 1.0, now(0)));
        ship.wait_metric("dropped_items_total", &["samples", "rejected"], 2.0).await;
        ship.wait_empty().await;
        for (name, value) in [
            ("highest_sent_timestamp_seconds", 0.0),
            ("sent_bytes_total", 0.0),
            ("sent_items_total", 0.0),
            ("partial_writes_total", 0.0),
        ] {
            assert_eq!(ship.metric(name, &[]), value, "{name}");
        }
        let status = ship.shipper.status().remove(0);
        assert_eq!((status.state, status.last_success), (EndpointState::Rejecting, None));
        assert_eq!((status.samples_sent, status.samples_rejected, status.samples_dropped), (0, 2, 0));

        ship.shipper.push(1, &block(&["up"], 2.0, now(1)));
        ship.wait_metric("sent_items_total", &["samples"], 1.0).await;
        ship.wait_empty().await;
        assert_eq!(ship.shipper.status()[0].state, EndpointState::Working);
        assert!(ship.metric("highest_sent_timestamp_seconds", &[]) > 0.0);
        assert!(ship.metric("sent_bytes_total", &[]) > 0.0);
        ship.end().await;
    });
}

#[test]
fn a_secret_that_a_receiver_repeats_is_not_shown() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let body = "no key hunter3 of tenant-4 for me:hunter2 (Basic bWU6aHVudGVyMg==)";
        receiver.then(WriteAnswer { body, ..WriteAnswer::status(400) });
        let mut config = endpoint("a", &format!("{}?api_key=hunter3&x=1", receiver.url()));
        config.client = serde_yaml::from_str("{basic_auth: {username: me, password: hunter2}}").unwrap();
        config.headers.insert("X-Scope-OrgID".to_owned(), "tenant-4".into());
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        ship.wait_metric("dropped_items_total", &["samples", "rejected"], 1.0).await;
        let status = ship.shipper.status().remove(0);
        let error = status.last_error.unwrap().to_string();
        let words = "400: no key <secret> of <secret> for <secret> (<secret>)";
        assert!(error.ends_with(words) && error.starts_with(&receiver.url()) && !error.contains('?'), "{error}");
        assert!(status.url.ends_with("?api_key=xxxxx&x=1"), "{}", status.url);
        ship.end().await;
    });
}

#[test]
fn what_is_kept_on_a_status_waits_and_arrives() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        for status in [401, 403, 429, 404] {
            receiver.then(WriteAnswer { body: "token expired", ..WriteAnswer::status(status) });
        }
        let mut config = endpoint("a", &receiver.url());
        config.queue.keep_on = vec![401, 403, 429];
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
        // The last one is not among them.
        ship.wait_metric("dropped_items_total", &["samples", "rejected"], 1.0).await;
        assert_eq!(ship.metric("retried_items_total", &["samples"]), 3.0);

        receiver.then(WriteAnswer { body: "token expired", ..WriteAnswer::status(401) });
        ship.shipper.push(1, &block(&["up"], 2.0, now(1)));
        receiver.wait_samples(1).await;
        assert_eq!(values(&receiver, "up"), [2.0]);
        let error = ship.shipper.status()[0].last_error.clone().unwrap();
        assert!(error.code == "ship_kept" && error.message.ends_with("token expired"), "{error}");
        ship.end().await;
    });
}

#[test]
fn a_receiver_of_version_1_gets_version_1() {
    leak_checked_live(|| async {
        for answer in [WriteAnswer::status(415), WriteAnswer::status(204)] {
            let folder = tempfile::tempdir().unwrap();
            let receiver = RemoteWriteReceiver::start().await;
            let refused = answer.clone();
            receiver.rule(move |request| if request.is_v2() { refused.clone() } else { WriteAnswer::default() });
            let config = EndpointConfig { message: Message::V2, ..endpoint("a", &receiver.url()) };
            let ship = Ship::of(Some(folder.path()), vec![config.clone()]).await;
            assert!(ship.shipper.wants().extras);
            ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
            receiver.wait_requests(2).await;
            ship.wait_empty().await;
            ship.shipper.push(1, &block(&["up"], 2.0, now(1)));
            receiver.wait_requests(3).await;
            let versions: Vec<_> = receiver.requests().iter().map(super::WriteRequest::is_v2).collect();
            assert_eq!(versions, [true, false, false]);
            assert_eq!(ship.metric("fallbacks_total", &[]), 1.0);
            assert_eq!(ship.shipper.status()[0].message, Message::V1);
            ship.end().await;

            // The next process knows.
            let ship = Ship::of(Some(folder.path()), vec![config]).await;
            ship.shipper.push(1, &block(&["up"], 3.0, now(2)));
            receiver.wait_requests(4).await;
            assert!(!receiver.requests()[3].is_v2());
            ship.end().await;
        }
    });
}

#[test]
fn custom_buckets_are_counted_before_and_after_a_fall_back() {
    leak_checked_live(|| async {
        for message in [Message::V1, Message::V2] {
            let receiver = RemoteWriteReceiver::start().await;
            receiver.rule(|request| WriteAnswer::status(if request.is_v2() { 415 } else { 204 }));
            let mut config = EndpointConfig { message, ..endpoint("a", &receiver.url()) };
            config.sends.native_histograms = true;
            let ship = Ship::of(None, vec![config]).await;
            ship.shipper.push(1, &crate::wire::tests::custom_buckets(now(0)));
            ship.wait_metric("dropped_items_total", &["histograms", "custom_buckets"], 2.0).await;
            ship.wait_metric("sent_items_total", &["histograms"], 1.0).await;
            ship.wait_empty().await;
            // What was dropped is not counted as anything else.
            assert_eq!(ship.metric("dropped_items_total", &[]), 2.0);
            ship.end().await;
        }
    });
}

#[test]
fn zstd_is_used_where_it_is_taken() {
    leak_checked_live(|| async {
        for taken in [true, false] {
            let receiver = RemoteWriteReceiver::start().await;
            receiver.rule(move |request| match request.header("content-encoding") {
                Some("zstd") if !taken => WriteAnswer { body: "snappy: corrupt input", ..WriteAnswer::status(400) },
                _ => WriteAnswer::default(),
            });
            let config = EndpointConfig { compression: Compression::Zstd, ..endpoint("a", &receiver.url()) };
            let ship = Ship::of(None, vec![config]).await;
            ship.shipper.push(1, &block(&["up"], 1.0, now(0)));
            receiver.wait_samples(1).await;
            let encoding = header(receiver.requests().last().unwrap(), "content-encoding").to_owned();
            assert_eq!(encoding, if taken { "zstd" } else { "snappy" });
            ship.end().await;
        }
    });
}

#[test]
fn partial_writes_are_counted() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let headers = vec![("x-prometheus-remote-write-samples-written", "1".to_owned())];
        receiver.then(WriteAnswer { headers, ..WriteAnswer::status(204) });
        let config = EndpointConfig { message: Message::V2, ..endpoint("a", &receiver.url()) };
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &block(&["a", "b", "c"], 1.0, now(0)));
        ship.wait_metric("partial_writes_total", &[], 1.0).await;
        ship.wait_metric("sent_items_total", &["samples"], 1.0).await;
        assert_eq!(ship.metric("dropped_items_total", &["rejected", "samples"]), 2.0);
        ship.end().await;
    });
}

#[test]
fn rules_and_limits_of_an_endpoint_apply_to_it_alone() {
    leak_checked_live(|| async {
        let receivers = [RemoteWriteReceiver::start().await, RemoteWriteReceiver::start().await];
        let rules =
            serde_yaml::from_str::<Vec<_>>("[{source_labels: [__name__], regex: drop_.*, action: drop}]").unwrap();
        let mut first = endpoint("a", &receivers[0].url());
        first.rules = Rules::compile(&rules, NameScheme::Utf8).unwrap();
        first.queue.sample_age_limit = Duration::from_secs(60);
        let ship = Ship::of(None, vec![first, endpoint("b", &receivers[1].url())]).await;
        ship.shipper.push(1, &block(&["drop_me", "keep_me"], 1.0, now(0)));
        ship.shipper.push(1, &block(&["keep_me"], 2.0, now(0) - 3_600_000));
        receivers[1].wait_samples(3).await;
        receivers[0].wait_samples(1).await;
        ship.wait_metric("dropped_items_total", &["a", "samples", "too_old"], 1.0).await;
        assert_eq!(ship.metric("dropped_items_total", &["a", "samples", "relabelled"]), 1.0);
        assert_eq!(receivers[0].samples().len(), 1);
        ship.end().await;
    });
}

#[test]
fn batches_are_as_large_as_they_may_be() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let mut config = endpoint("a", &receiver.url());
        config.queue.max_samples_per_send = 10;
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &block(&["m"; 25], 1.0, now(0)));
        receiver.wait_samples(25).await;
        let sizes: Vec<_> = receiver.requests().iter().map(|request| request.samples.len()).collect();
        assert_eq!(sizes, [10, 10, 5]);
        ship.end().await;
    });
}

#[test]
fn a_task_of_an_endpoint_that_panics_begins_again_and_costs_nobody_else_anything() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let mut config = endpoint("e", &receiver.url());
        config.metadata =
            crate::MetadataConfig { send: true, interval: Duration::from_millis(100), max_samples_per_send: 2000 };
        let ship = Ship::of(None, vec![config]).await;
        let asked = std::sync::atomic::AtomicBool::new(false);
        ship.shipper.set_metadata_source(Arc::new(move || {
            assert!(asked.swap(true, std::sync::atomic::Ordering::Relaxed), "asked for the first time");
            vec![Metadata { family: "a".into(), kind: MetricKind::Gauge, help: "".into(), unit: "".into() }]
        }));
        ship.shipper.push(1, &block(&["x"], 1.0, 1));
        ship.wait_empty().await;
        receiver.wait_requests(2).await;
        let families: Vec<_> = receiver.requests().into_iter().flat_map(|request| request.metadata).collect();
        assert_eq!(families[0], "a");
        ship.end().await;
    });
}

#[test]
fn metadata_come_at_their_interval() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        receiver.then(WriteAnswer::status(500));
        let mut config = endpoint("a", &receiver.url());
        config.metadata =
            crate::MetadataConfig { send: true, interval: Duration::from_millis(200), max_samples_per_send: 2 };
        let ship = Ship::of(None, vec![config]).await;
        let family =
            |name: &str| Metadata { family: name.into(), kind: MetricKind::Gauge, help: "".into(), unit: "".into() };
        ship.shipper.set_metadata_source(Arc::new(move || ["a", "b", "c"].map(family).to_vec()));
        receiver.wait_requests(3).await;
        let families: Vec<_> = receiver.requests().into_iter().map(|request| request.metadata).collect();
        assert_eq!(families[..3], [vec!["a", "b"], vec!["a", "b"], vec!["c"]]);
        ship.wait_metric("sent_items_total", &["metadata"], 3.0).await;
        ship.end().await;
    });
}

#[test]
fn settings_that_cannot_work_change_nothing() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let good = endpoint("a", &receiver.url());
        let ship = Ship::of(None, vec![good.clone()]).await;
        let twice = ship.shipper.configure(vec![good.clone(), good.clone()]).await;
        assert!(matches!(twice, Err(ShipError::DuplicateName { .. })));
        let mut bad = endpoint("b", &receiver.url());
        bad.headers.insert("no name".to_owned(), "x".into());
        let bad = ship.shipper.configure(vec![bad]).await;
        assert!(matches!(bad, Err(ShipError::Settings { .. })));
        assert_eq!(ship.shipper.status()[0].name, "a");
        ship.end().await;
    });
}
