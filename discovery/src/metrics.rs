//! The metrics that every provider has, whatever its mechanism.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// The metrics of discovery, registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    refresh_failures: IntCounterVec,
    refresh_duration: HistogramVec,
    updates_received: IntCounterVec,
    groups_changed: IntCounterVec,
    restarts: IntCounterVec,
    unread_sources: IntGaugeVec,
    last_success: GaugeVec,
    jobs: IntGaugeVec,
    /// Tasks that did not end in time when they were stopped, and were aborted.
    pub stragglers: IntCounter,
    /// How many providers run.
    pub providers: IntGauge,
}

const LABELS: [&str; 2] = ["mechanism", "provider"];

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &LABELS);
        let buckets = vec![0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];
        let duration = HistogramOpts::new("rosterd_discovery_refresh_duration_seconds", "How long a refresh took.");
        let metrics = Self {
            refresh_failures: counter(
                "rosterd_discovery_refresh_failures_total",
                "Reads of a source that failed; the groups known before are kept.",
            )?,
            refresh_duration: HistogramVec::new(duration.buckets(buckets), &LABELS)?,
            updates_received: counter(
                "rosterd_discovery_updates_received_total",
                "Updates that a discoverer sent, changed or not.",
            )?,
            groups_changed: counter(
                "rosterd_discovery_groups_changed_total",
                "Target groups that were new, changed or gone, and were passed on.",
            )?,
            restarts: counter(
                "rosterd_discovery_restarts_total",
                "Discoverers that ended unasked and were built again.",
            )?,
            unread_sources: IntGaugeVec::new(
                Opts::new("rosterd_discovery_unread_sources", "Sources of the provider that could not be read lately."),
                &LABELS,
            )?,
            last_success: GaugeVec::new(
                Opts::new(
                    "rosterd_discovery_last_success_timestamp_seconds",
                    "Unix time at which all sources of the provider were last read.",
                ),
                &LABELS,
            )?,
            jobs: IntGaugeVec::new(
                Opts::new("rosterd_discovery_provider_jobs", "1 for each job that uses the provider."),
                &["mechanism", "provider", "job"],
            )?,
            stragglers: IntCounter::new(
                "rosterd_discovery_stragglers_total",
                "Discoverers that did not stop in time and were aborted.",
            )?,
            providers: IntGauge::new("rosterd_discovery_providers", "Providers that run.")?,
        };
        for collector in metrics.collectors() {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// The handles of one provider; made at its start, so that zeros are visible.
    pub fn provider(&self, mechanism: &str, provider: &str) -> ProviderMetrics {
        let labels = [mechanism, provider];
        ProviderMetrics {
            refresh_failures: self.refresh_failures.with_label_values(&labels),
            refresh_duration: self.refresh_duration.with_label_values(&labels),
            updates_received: self.updates_received.with_label_values(&labels),
            groups_changed: self.groups_changed.with_label_values(&labels),
            restarts: self.restarts.with_label_values(&labels),
            unread_sources: self.unread_sources.with_label_values(&labels),
            last_success: self.last_success.with_label_values(&labels),
        }
    }

    /// Removes the metrics of a provider that has ended. A provider that never had any is no error.
    pub fn forget(&self, mechanism: &str, provider: &str) {
        let labels = [mechanism, provider];
        self.refresh_failures.remove_label_values(&labels).ok();
        self.refresh_duration.remove_label_values(&labels).ok();
        self.updates_received.remove_label_values(&labels).ok();
        self.groups_changed.remove_label_values(&labels).ok();
        self.restarts.remove_label_values(&labels).ok();
        self.unread_sources.remove_label_values(&labels).ok();
        self.last_success.remove_label_values(&labels).ok();
    }

    /// This job uses the provider from now on.
    pub(crate) fn used(&self, mechanism: &str, provider: &str, job: &str) {
        self.jobs.with_label_values(&[mechanism, provider, job]).set(1);
    }

    /// This job does not use the provider any more.
    pub(crate) fn unused(&self, mechanism: &str, provider: &str, job: &str) {
        self.jobs.remove_label_values(&[mechanism, provider, job]).ok();
    }

    fn collectors(&self) -> [Box<dyn Collector>; 10] {
        [
            Box::new(self.jobs.clone()),
            Box::new(self.refresh_failures.clone()),
            Box::new(self.refresh_duration.clone()),
            Box::new(self.updates_received.clone()),
            Box::new(self.groups_changed.clone()),
            Box::new(self.restarts.clone()),
            Box::new(self.unread_sources.clone()),
            Box::new(self.last_success.clone()),
            Box::new(self.stragglers.clone()),
            Box::new(self.providers.clone()),
        ]
    }
}

/// The metrics of one provider.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    /// Reads that failed.
    pub refresh_failures: IntCounter,
    /// How long reads took.
    pub refresh_duration: Histogram,
    /// Updates that the discoverer sent.
    pub updates_received: IntCounter,
    /// Groups that were passed on.
    pub groups_changed: IntCounter,
    /// How often the discoverer was built again.
    pub restarts: IntCounter,
    /// Sources that could not be read lately.
    pub unread_sources: IntGauge,
    /// When a read last succeeded.
    pub last_success: Gauge,
}

impl ProviderMetrics {
    /// Handles that no registry knows, for tests of a discoverer.
    pub fn detached() -> Self {
        Metrics::register(&Registry::new()).expect("an empty registry takes all names").provider("test", "test")
    }
}
