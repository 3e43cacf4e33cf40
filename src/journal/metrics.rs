//! The metrics of the journal.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use rosterd_journal::{Kind, Reader};

/// Registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    events: IntCounterVec,
    bytes: IntGauge,
    oldest: Gauge,
    pub(super) caught_up: IntCounter,
    pub(super) missed: IntCounter,
    pub(super) faults: IntCounter,
    pub(super) failures: IntCounter,
}

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let metrics = Self {
            events: IntCounterVec::new(
                Opts::new("rosterd_journal_events_total", "Events that were written down, by kind."),
                &["kind"],
            )?,
            bytes: IntGauge::new("rosterd_journal_size_bytes", "The size of the journal, on disk and in memory.")?,
            oldest: Gauge::new(
                "rosterd_journal_oldest_timestamp_seconds",
                "Since when the journal tells of the roster; 0 while there is none.",
            )?,
            caught_up: counter(
                "rosterd_journal_caught_up_total",
                "How often the journal fell behind the roster, and wrote the differences alone.",
            )?,
            missed: counter(
                "rosterd_journal_missed_events_total",
                "Events besides those of targets for which there was no time.",
            )?,
            faults: counter(
                "rosterd_journal_damaged_parts_total",
                "Parts of the journal on disk that were damaged and passed over.",
            )?,
            failures: counter(
                "rosterd_journal_write_failures_total",
                "Writes that the disk did not take; memory does until it does.",
            )?,
        };
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.oldest.clone()))?;
        for one in [&metrics.caught_up, &metrics.missed, &metrics.faults, &metrics.failures] {
            registry.register(Box::new(one.clone()))?;
        }
        // Children are made at start, so that zeros are visible.
        Kind::ALL.iter().for_each(|kind| metrics.count(*kind, 0));
        Ok(metrics)
    }

    pub(super) fn count(&self, kind: Kind, events: u64) {
        self.events.with_label_values(&[kind.as_str()]).inc_by(events);
    }

    /// Follows what is written.
    pub(super) fn observe(&self, reader: &Reader) {
        self.bytes.set(i64::try_from(reader.size().0).unwrap_or(i64::MAX));
        self.oldest.set(reader.oldest().map_or(0.0, |oldest| oldest.0 as f64 / 1000.0));
    }
}
