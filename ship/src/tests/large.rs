//! Requests that are too large.

use rosterd_testkit::{RemoteWriteReceiver, WriteAnswer, leak_checked_live};

use super::*;

/// Series with a label of so many bytes, the same for all or not.
fn large(series: usize, bytes: usize, same: bool) -> Block {
    let timestamp_ms = now(0);
    let mut block = Block { oldest_ms: timestamp_ms, newest_ms: timestamp_ms, ..Block::default() };
    for number in 0..series {
        let mut one = Vec::new();
        put_label(b"__name__", b"m", &mut one);
        let text = if same { "x".repeat(bytes) } else { format!("{number:07}").repeat(bytes / 7) };
        put_label(b"text", text.as_bytes(), &mut one);
        put_sample(number as f64, timestamp_ms, &mut one);
        put_bytes(1, &one, &mut block.series);
    }
    let count = series as u32;
    block.counts = Counts { series: count, samples: count, ..Counts::default() };
    block
}

/// A receiver that takes requests whose labels have so many bytes, all together.
async fn receiver_of(most: usize) -> RemoteWriteReceiver {
    let receiver = RemoteWriteReceiver::start().await;
    receiver.rule(move |request| {
        let pairs = request.samples.iter().flat_map(|sample| &sample.labels);
        let bytes: usize = pairs.map(|(name, value)| name.len() + value.len()).sum();
        if bytes > most { WriteAnswer::status(413) } else { WriteAnswer::default() }
    });
    receiver
}

#[test]
fn a_large_scrape_comes_in_requests_that_receivers_take() {
    leak_checked_live(|| async {
        for message in [Message::V1, Message::V2] {
            let receiver = receiver_of(10 << 20).await;
            let ship = Ship::of(None, vec![EndpointConfig { message, ..endpoint("a", &receiver.url()) }]).await;
            ship.shipper.push(1, &large(40, 1 << 20, false));
            receiver.wait_samples(40).await;
            assert_eq!(values(&receiver, "m"), (0..40).map(f64::from).collect::<Vec<_>>());
            assert!(receiver.requests().iter().all(|request| request.status == 204), "none was too large");
            ship.end().await;
        }
    });
}

#[test]
fn what_is_larger_in_the_other_version_comes_in_parts() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        receiver.rule(|request| match request.is_v2() {
            true => WriteAnswer::status(415),
            false if request.samples.len() > 10 => WriteAnswer::status(413),
            false => WriteAnswer::default(),
        });
        let config = EndpointConfig { message: Message::V2, ..endpoint("a", &receiver.url()) };
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &large(40, 1 << 20, true));
        receiver.wait_samples(40).await;
        assert_eq!(values(&receiver, "m"), (0..40).map(f64::from).collect::<Vec<_>>());
        ship.wait_empty().await;
        ship.wait_metric("sent_items_total", &["samples"], 40.0).await;
        assert_eq!(ship.metric("dropped_items_total", &[]), 0.0);
        ship.end().await;
    });
}

#[test]
fn a_receiver_that_finds_a_request_too_large_gets_it_in_parts_once() {
    leak_checked_live(|| async {
        for (message, compression) in [
            (Message::V1, Compression::Snappy),
            (Message::V1, Compression::Zstd),
            (Message::V2, Compression::Snappy), //
        ] {
            let receiver = receiver_of(700_000).await;
            let config = EndpointConfig { message, compression, ..endpoint("a", &receiver.url()) };
            let ship = Ship::of(None, vec![config]).await;
            ship.shipper.push(1, &large(100, 10_000, false));
            ship.shipper.push(1, &block(&["m"], 100.0, now(1)));
            receiver.wait_samples(101).await;
            assert_eq!(values(&receiver, "m"), (0..=100).map(f64::from).collect::<Vec<_>>());
            ship.wait_metric("sent_items_total", &["samples"], 101.0).await;
            assert_eq!(ship.metric("dropped_items_total", &[]), 0.0);
            ship.end().await;

            let receiver = receiver_of(100_000).await;
            let config = EndpointConfig { message, compression, ..endpoint("a", &receiver.url()) };
            let ship = Ship::of(None, vec![config]).await;
            ship.shipper.push(1, &large(100, 10_000, false));
            ship.wait_metric("dropped_items_total", &["samples", "rejected"], 100.0).await;
            ship.wait_empty().await;
            let requests = receiver.requests().len();
            assert!(
                (3..7).contains(&requests),
                "what follows a part is smaller, and no part is split itself: {requests}"
            );
            ship.end().await;
        }
    });
}

#[test]
fn what_a_receiver_finds_too_large_is_not_tried_again_and_again() {
    leak_checked_live(|| async {
        for message in [Message::V1, Message::V2] {
            let receiver = receiver_of(300_000).await;
            let ship = Ship::of(None, vec![EndpointConfig { message, ..endpoint("a", &receiver.url()) }]).await;
            let too_large = || receiver.requests().iter().filter(|request| request.status == 413).count();
            // Of the first a half is lost, until it is known what fits.
            ship.shipper.push(1, &large(100, 10_000, false));
            eventually(patience(), "the half comes", || !receiver.samples().is_empty()).await;
            ship.wait_empty().await;
            let lost = ship.metric("dropped_items_total", &["samples", "rejected"]);
            assert_eq!((too_large(), (49.0..=51.0).contains(&lost)), (2, true), "{message:?}: {lost}");
            for _ in 0..3 {
                let before = receiver.samples().len();
                ship.shipper.push(1, &large(100, 10_000, false));
                receiver.wait_samples(before + 100).await;
                ship.wait_empty().await;
            }
            assert_eq!(too_large(), 2, "{message:?}");
            assert_eq!(ship.metric("dropped_items_total", &["samples", "rejected"]), lost);
            ship.end().await;
        }
    });
}
