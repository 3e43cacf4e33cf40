//! Metadata in requests of their own, which version 1.0 has. They are not queued: the next time there are new ones.

use std::sync::Arc;
use std::time::Duration;

use rosterd_exposition::Metadata;
use rosterd_model::Report;
use rosterd_tasks::blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::request::request;
use super::sender::Sender;
use crate::config::MetadataConfig;
use crate::queue::now_ms;
use crate::wire::{MOST_BYTES, Message, Packer, metadata_request};

/// More than keys and lengths of one take.
const OVERHEAD: usize = 32;

/// Gives all metadata that are known at the moment.
pub(crate) type Source = Arc<dyn Fn() -> Vec<Metadata> + Send + Sync>;

/// Sends metadata at each interval until stopped. `source` is asked each time where they come from.
pub(super) async fn run(
    sender: Arc<Sender>,
    config: MetadataConfig,
    source: impl Fn() -> Option<Source> + Send,
    stop: CancellationToken,
) {
    // 0 would be all the time.
    let interval = config.interval.max(Duration::from_millis(100));
    loop {
        let next = Instant::now() + interval;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => {}
        }
        // Version 2.0 has them beside each series.
        let (message, compression) = sender.protocol.now(now_ms());
        let Some(source) = source().filter(|_| message == Message::V1) else { continue };
        let all = blocking(move || source()).await;
        let mut packer = Packer::default();
        for part in parts(&all, config.max_samples_per_send.max(1) as usize) {
            let body = packer.pack(compression, &metadata_request(part));
            let until = next + interval;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                sent = tokio::time::timeout_at(until, send(&sender, compression, body)) => {
                    if sent == Ok(true) {
                        sender.metrics.metadata.inc_by(part.len() as u64);
                    }
                }
            }
        }
    }
}

/// As many as there may be in a request, and fit into one.
fn parts(mut all: &[Metadata], most: usize) -> impl Iterator<Item = &[Metadata]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |one: &&Metadata| {
            bytes += one.family.len() + one.help.len() + one.unit.len() + OVERHEAD;
            bytes <= MOST_BYTES
        };
        let count = all.iter().take(most).take_while(fits).count().max(1).min(all.len());
        let (part, rest) = all.split_at(count);
        all = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// Tries again until there is an answer that is final. Returns whether it is a good one.
async fn send(sender: &Sender, compression: crate::wire::Compression, body: bytes::Bytes) -> bool {
    let (mut wait, mut attempts) = (sender.config.min_backoff.max(Duration::from_millis(1)), 0);
    loop {
        let request = request(&sender.url, &sender.headers, Message::V1, compression, attempts, body.clone());
        let endpoint = &*sender.name;
        let mut pause = wait;
        match sender.exchange(request).await {
            Ok(reply) if reply.status.is_success() => return true,
            Ok(reply) => {
                debug!(endpoint, status = reply.status.as_u16(), words = reply.words, "metadata were not taken");
                let kept = sender.config.keeps(reply.status.as_u16(), reply.after.is_some());
                if !reply.status.is_server_error() && !kept {
                    return false;
                }
                pause = reply.after.unwrap_or(wait);
            }
            Err(error) => debug!(endpoint, error = %Report::of(&error), "metadata were not sent"),
        }
        tokio::time::sleep(pause).await;
        wait = (wait * 2).min(sender.config.max_backoff.max(wait));
        attempts += 1;
    }
}

#[cfg(test)]
mod tests {
    use rosterd_exposition::MetricKind;

    use super::*;

    #[test]
    fn requests_are_bounded_by_number_and_bytes() {
        let of = |bytes: usize| Metadata {
            family: "m".into(),
            kind: MetricKind::Counter,
            help: "x".repeat(bytes).into(),
            unit: "".into(),
        };
        let lengths = |all: &[Metadata], most| parts(all, most).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&vec![of(1); 5], 2), [2, 2, 1]);
        let large = vec![of(3 << 20), of(3 << 20), of(3 << 20), of(20 << 20), of(1)];
        assert_eq!(lengths(&large, 100), [2, 1, 1, 1]);
        assert!(lengths(&[], 2).is_empty());
    }
}
