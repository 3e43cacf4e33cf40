//! The metrics of remote write.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::Counts;

/// The metrics of all endpoints, registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    received: [IntCounter; 3],
    received_by_kind: IntCounterVec,
    queued: IntCounterVec,
    sent: IntCounterVec,
    retried: IntCounterVec,
    dropped: IntCounterVec,
    pending: IntGaugeVec,
    sent_bytes: IntCounterVec,
    disk_bytes: IntGaugeVec,
    memory_bytes: IntGaugeVec,
    disk_limit: IntGaugeVec,
    memory_limit: IntGaugeVec,
    oldest_pending: GaugeVec,
    lanes: IntGaugeVec,
    lanes_desired: GaugeVec,
    lanes_min: IntGaugeVec,
    lanes_max: IntGaugeVec,
    highest: GaugeVec,
    highest_sent: GaugeVec,
    duration: HistogramVec,
    requests: IntCounterVec,
    partial: IntCounterVec,
    fallbacks: IntCounterVec,
    corruptions: IntCounterVec,
    write_failures: IntCounterVec,
}

const ENDPOINT: &[&str] = &["endpoint"];
const KINDS: [&str; 3] = ["samples", "histograms", "exemplars"];
const METADATA: &str = "metadata";
const STATUSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// Why something is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Older than `sample_age_limit`.
    TooOld,
    /// Longer in the queue than it may be.
    Expired,
    /// The queue has no room.
    QueueFull,
    /// `write_relabel_configs`.
    Relabelled,
    /// A native histogram with custom buckets, for remote write 1.0.
    CustomBuckets,
    /// The receiver does not want it.
    Rejected,
    /// Damaged in memory or on disk.
    Invalid,
    /// There was no time at the end, and no disk.
    Shutdown,
}

impl Reason {
    pub(crate) const ALL: [Self; 8] = [
        Self::TooOld,
        Self::Expired,
        Self::QueueFull,
        Self::Relabelled,
        Self::CustomBuckets,
        Self::Rejected,
        Self::Invalid,
        Self::Shutdown,
    ];

    /// Its place in the list of all.
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|known| *known == self).expect("the list has all reasons")
    }

    /// The word for it, in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::Expired => "expired",
            Self::QueueFull => "queue_full",
            Self::Relabelled => "relabelled",
            Self::CustomBuckets => "custom_buckets",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), ENDPOINT);
        let float = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), ENDPOINT);
        let by_kind = &["endpoint", "kind"];
        let buckets = vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        let duration = HistogramOpts::new(
            "rosterd_remote_write_request_duration_seconds",
            "How long requests took, whatever came of them.",
        );
        let received_by_kind = counter(
            "rosterd_remote_write_received_items_total",
            "What scrapes handed over, before relabelling: each endpoint gets it.",
            &["kind"],
        )?;
        let metrics = Self {
            received: KINDS.map(|kind| received_by_kind.with_label_values(&[kind])),
            received_by_kind,
            queued: counter(
                "rosterd_remote_write_queued_items_total",
                "What was put into the queue, after relabelling.",
                by_kind,
            )?,
            sent: counter("rosterd_remote_write_sent_items_total", "What a receiver has taken.", by_kind)?,
            retried: counter(
                "rosterd_remote_write_retried_items_total",
                "What was sent again after a failure.",
                by_kind,
            )?,
            dropped: counter(
                "rosterd_remote_write_dropped_items_total",
                "What is not sent, by reason.",
                &["endpoint", "kind", "reason"],
            )?,
            pending: gauge(
                "rosterd_remote_write_pending_samples",
                "Samples and histograms in the queue, in memory and on disk.",
            )?,
            sent_bytes: counter(
                "rosterd_remote_write_sent_bytes_total",
                "Bytes of bodies that were taken, at least in part, compressed.",
                ENDPOINT,
            )?,
            disk_bytes: gauge("rosterd_remote_write_queue_disk_bytes", "Bytes of the queue on disk.")?,
            memory_bytes: gauge("rosterd_remote_write_queue_memory_bytes", "Bytes of finished bodies in memory.")?,
            disk_limit: gauge(
                "rosterd_remote_write_queue_disk_limit_bytes",
                "What the queue may take on disk, after which its oldest samples go; 0 without a disk.",
            )?,
            memory_limit: gauge(
                "rosterd_remote_write_queue_memory_limit_bytes",
                "What bodies may take in memory, after which the oldest samples there go.",
            )?,
            oldest_pending: float(
                "rosterd_remote_write_oldest_pending_timestamp_seconds",
                "The timestamp of the batch that waits longest in the queue; 0 while none waits.",
            )?,
            lanes: gauge("rosterd_remote_write_lanes", "Lanes: requests that can be under way at once.")?,
            lanes_desired: float(
                "rosterd_remote_write_lanes_desired",
                "Lanes that the load would need, before limits.",
            )?,
            lanes_min: gauge("rosterd_remote_write_lanes_min", "The least lanes, from the configuration.")?,
            lanes_max: gauge("rosterd_remote_write_lanes_max", "The most lanes, from the configuration.")?,
            highest: float(
                "rosterd_remote_write_highest_timestamp_seconds",
                "The newest timestamp that was put into the queue.",
            )?,
            highest_sent: float(
                "rosterd_remote_write_highest_sent_timestamp_seconds",
                "The newest timestamp that a receiver has taken.",
            )?,
            duration: HistogramVec::new(duration.buckets(buckets), ENDPOINT)?,
            requests: counter(
                "rosterd_remote_write_requests_total",
                "Requests by the class of their status; none if there was no reply.",
                &["endpoint", "status"],
            )?,
            partial: counter(
                "rosterd_remote_write_partial_writes_total",
                "Requests of which a receiver says it wrote only a part.",
                ENDPOINT,
            )?,
            fallbacks: counter(
                "rosterd_remote_write_fallbacks_total",
                "Times a receiver did not take a message version or a compression, and got another.",
                ENDPOINT,
            )?,
            corruptions: counter(
                "rosterd_remote_write_queue_corruptions_total",
                "Damaged places of the queue on disk.",
                ENDPOINT,
            )?,
            write_failures: counter(
                "rosterd_remote_write_queue_write_failures_total",
                "Writes to the queue on disk that failed.",
                ENDPOINT,
            )?,
        };
        for collector in metrics.collectors() {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// Something came from a scrape.
    pub(crate) fn received(&self, counts: Counts) {
        add(&self.received, counts);
    }

    /// The handles of one endpoint; made at its start, so that zeros are visible.
    pub(crate) fn endpoint(&self, name: &str) -> EndpointMetrics {
        let of = |all: &IntCounterVec| all.with_label_values(&[name]);
        let kinds = |all: &IntCounterVec| KINDS.map(|kind| all.with_label_values(&[name, kind]));
        let gauge = |all: &IntGaugeVec| all.with_label_values(&[name]);
        let float = |all: &GaugeVec| all.with_label_values(&[name]);
        EndpointMetrics {
            queued: kinds(&self.queued),
            sent: kinds(&self.sent),
            metadata: self.sent.with_label_values(&[name, METADATA]),
            retried: kinds(&self.retried),
            dropped: Reason::ALL
                .map(|reason| KINDS.map(|kind| self.dropped.with_label_values(&[name, kind, reason.as_str()]))),
            pending: gauge(&self.pending),
            sent_bytes: of(&self.sent_bytes),
            disk_bytes: gauge(&self.disk_bytes),
            memory_bytes: gauge(&self.memory_bytes),
            disk_limit: gauge(&self.disk_limit),
            memory_limit: gauge(&self.memory_limit),
            oldest_pending: float(&self.oldest_pending),
            lanes: gauge(&self.lanes),
            lanes_desired: float(&self.lanes_desired),
            lanes_min: gauge(&self.lanes_min),
            lanes_max: gauge(&self.lanes_max),
            highest: float(&self.highest),
            highest_sent: float(&self.highest_sent),
            duration: self.duration.with_label_values(&[name]),
            requests: STATUSES.map(|status| self.requests.with_label_values(&[name, status])),
            partial: of(&self.partial),
            fallbacks: of(&self.fallbacks),
            corruptions: of(&self.corruptions),
            write_failures: of(&self.write_failures),
        }
    }

    /// Removes the metrics of an endpoint that has ended. One that never had any is no error.
    pub(crate) fn forget(&self, name: &str) {
        for all in [&self.queued, &self.sent, &self.retried] {
            KINDS.iter().chain([&METADATA]).for_each(|kind| drop(all.remove_label_values(&[name, kind])));
        }
        for reason in Reason::ALL {
            KINDS.iter().for_each(|kind| drop(self.dropped.remove_label_values(&[name, kind, reason.as_str()])));
        }
        STATUSES.iter().for_each(|status| drop(self.requests.remove_label_values(&[name, status])));
        for all in [&self.sent_bytes, &self.partial, &self.fallbacks, &self.corruptions, &self.write_failures] {
            all.remove_label_values(&[name]).ok();
        }
        self.gauges().into_iter().for_each(|all| drop(all.remove_label_values(&[name])));
        self.floats().into_iter().for_each(|all| drop(all.remove_label_values(&[name])));
        self.duration.remove_label_values(&[name]).ok();
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        fn boxed(collector: &(impl Collector + Clone + 'static)) -> Box<dyn Collector> {
            Box::new(collector.clone())
        }
        let counters = [
            &self.received_by_kind,
            &self.queued,
            &self.sent,
            &self.retried,
            &self.dropped,
            &self.sent_bytes,
            &self.requests,
            &self.partial,
            &self.fallbacks,
            &self.corruptions,
            &self.write_failures,
        ];
        let all = counters.into_iter().map(boxed).chain(self.gauges().into_iter().map(boxed));
        all.chain(self.floats().into_iter().map(boxed)).chain([boxed(&self.duration)]).collect()
    }

    fn gauges(&self) -> [&IntGaugeVec; 8] {
        let Self { pending, disk_bytes, memory_bytes, disk_limit, memory_limit, lanes, lanes_min, lanes_max, .. } =
            self;
        [pending, disk_bytes, memory_bytes, disk_limit, memory_limit, lanes, lanes_min, lanes_max]
    }

    fn floats(&self) -> [&GaugeVec; 4] {
        [&self.lanes_desired, &self.highest, &self.highest_sent, &self.oldest_pending]
    }
}

/// The metrics of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct EndpointMetrics {
    queued: [IntCounter; 3],
    sent: [IntCounter; 3],
    pub(crate) metadata: IntCounter,
    retried: [IntCounter; 3],
    dropped: [[IntCounter; 3]; Reason::ALL.len()],
    pub(crate) pending: IntGauge,
    pub(crate) sent_bytes: IntCounter,
    pub(crate) disk_bytes: IntGauge,
    pub(crate) memory_bytes: IntGauge,
    pub(crate) disk_limit: IntGauge,
    pub(crate) memory_limit: IntGauge,
    pub(crate) oldest_pending: Gauge,
    pub(crate) lanes: IntGauge,
    pub(crate) lanes_desired: Gauge,
    pub(crate) lanes_min: IntGauge,
    pub(crate) lanes_max: IntGauge,
    highest: Gauge,
    highest_sent: Gauge,
    pub(crate) duration: Histogram,
    requests: [IntCounter; 5],
    pub(crate) partial: IntCounter,
    pub(crate) fallbacks: IntCounter,
    pub(crate) corruptions: IntCounter,
    pub(crate) write_failures: IntCounter,
}

impl EndpointMetrics {
    pub(crate) fn queued(&self, counts: Counts, newest_ms: i64) {
        add(&self.queued, counts);
        raise(&self.highest, newest_ms);
    }

    pub(crate) fn sent(&self, counts: Counts, newest_ms: i64) {
        add(&self.sent, counts);
        raise(&self.highest_sent, newest_ms);
    }

    pub(crate) fn retried(&self, counts: Counts) {
        add(&self.retried, counts);
    }

    pub(crate) fn dropped(&self, reason: Reason, counts: Counts) {
        if counts != Counts::default() {
            add(&self.dropped[reason.index()], counts);
        }
    }

    /// How many float samples and native histograms a receiver took.
    pub(crate) fn samples_sent(&self) -> u64 {
        all_samples(&self.sent)
    }

    /// How many float samples and native histograms were dropped for such reasons.
    pub(crate) fn samples_dropped(&self, wanted: impl Fn(Reason) -> bool) -> u64 {
        let counted = Reason::ALL.into_iter().zip(&self.dropped).filter(|(reason, _)| wanted(*reason));
        counted.map(|(_, counters)| all_samples(counters)).sum()
    }

    /// A request that ended, with its status if there was a reply.
    pub(crate) fn requested(&self, status: Option<u16>) {
        let index = status.map_or(4, |status| usize::from(status / 100).clamp(2, 5) - 2);
        self.requests[index].inc();
    }
}

fn all_samples([samples, histograms, _]: &[IntCounter; 3]) -> u64 {
    samples.get() + histograms.get()
}

fn add(counters: &[IntCounter; 3], counts: Counts) {
    for (counter, count) in counters.iter().zip([counts.samples, counts.histograms, counts.exemplars]) {
        counter.inc_by(u64::from(count));
    }
}

/// Several tasks may raise it at once, and then one of both wins until the next.
fn raise(gauge: &Gauge, ms: i64) {
    let seconds = ms as f64 / 1000.0;
    if seconds > gauge.get() {
        gauge.set(seconds);
    }
}
