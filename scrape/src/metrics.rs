//! The metrics of scrapes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::status::Health;

/// The metrics of scrapes, registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    targets: IntGaugeVec,
    health: IntGaugeVec,
    intervals: HistogramVec,
    scrapes: IntCounterVec,
    duration: HistogramVec,
    samples: IntCounterVec,
    left_out: IntCounterVec,
    bytes: IntCounterVec,
    pub(crate) running: IntGauge,
    skipped: IntCounterVec,
    lag: HistogramVec,
    pub(crate) late_start: Histogram,
    pub(crate) late_end: Histogram,
    pub(crate) log_dropped: IntCounter,
    /// What jobs have counted that are gone.
    gone: Arc<Mutex<Totals>>,
}

/// What all jobs have counted since the start, those that are gone among them: it never falls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Scrapes that ended, by result.
    pub scrapes: BTreeMap<String, u64>,
    /// Samples that were left out, by reason.
    pub left_out: BTreeMap<String, u64>,
}

/// The share of one job: handles that are ready, so that zeros are visible.
#[derive(Debug, Clone)]
pub struct JobMetrics {
    all: Metrics,
    job: String,
    pub(crate) targets: IntGauge,
    health: [IntGauge; 3],
    pub(crate) succeeded: IntCounter,
    pub(crate) duration: Histogram,
    pub(crate) samples: IntCounter,
    pub(crate) relabelled: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) out_of_bounds: IntCounter,
    pub(crate) out_of_order: IntCounter,
    pub(crate) bytes: IntCounter,
    pub(crate) skipped: IntCounter,
}

/// The reasons for which samples are left out.
const REASONS: [&str; 4] = ["relabelled", "duplicate", "out_of_bounds", "out_of_order"];

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.targets.clone()))?;
        registry.register(Box::new(metrics.health.clone()))?;
        registry.register(Box::new(metrics.intervals.clone()))?;
        registry.register(Box::new(metrics.scrapes.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.skipped.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.log_dropped.clone()))?;
        Ok(metrics)
    }

    fn new() -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let duration = HistogramOpts::new("rosterd_scrape_duration_seconds", "How long scrapes took.")
            .buckets(vec![0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        let lag = HistogramOpts::new(
            "rosterd_scrape_lag_seconds",
            "How late scrapes began, and how long after their timeout they ended.",
        )
        .buckets(vec![0.001, 0.002, 0.005, 0.01, 0.1, 1.0, 10.0]);
        let lag = HistogramVec::new(lag, &["at"])?;
        let intervals = HistogramOpts::new(
            "rosterd_scrape_interval_seconds",
            "Time between two scrapes of a target, by the interval that it should be.",
        )
        .buckets(vec![1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0]);
        Ok(Self {
            targets: IntGaugeVec::new(
                Opts::new("rosterd_scrape_targets", "Targets that are scraped, or are about to be."),
                &["job"],
            )?,
            health: IntGaugeVec::new(
                Opts::new(
                    "rosterd_scrape_targets_by_health",
                    "Targets by how their last scrape went: up, down, or unknown before the first.",
                ),
                &["job", "health"],
            )?,
            intervals: HistogramVec::new(intervals, &["interval"])?,
            scrapes: counters(
                "rosterd_scrapes_total",
                "Scrapes that ended, by result: success or the code of the error.",
                &["job", "result"],
            )?,
            duration: HistogramVec::new(duration, &["job"])?,
            samples: counters("rosterd_scrape_samples_total", "Samples that scrapes handed over.", &["job"])?,
            left_out: counters(
                "rosterd_scrape_samples_left_out_total",
                "Samples of good scrapes that were left out, by reason.",
                &["job", "reason"],
            )?,
            bytes: counters("rosterd_scrape_body_bytes_total", "Bytes of bodies, once unpacked.", &["job"])?,
            running: IntGauge::new("rosterd_scrapes_running", "Scrapes that are under way.")?,
            skipped: counters(
                "rosterd_scrape_skipped_total",
                "Scrapes that did not begin because the one before them had not ended.",
                &["job"],
            )?,
            late_start: lag.with_label_values(&["start"]),
            late_end: lag.with_label_values(&["end"]),
            lag,
            log_dropped: IntCounter::new(
                "rosterd_scrape_failure_log_dropped_total",
                "Failures that were not written to a scrape_failure_log_file because it could not be written in time.",
            )?,
            gone: Arc::default(),
        })
    }

    /// The share of a job.
    pub fn job(&self, job: &str) -> JobMetrics {
        let left_out = |reason| self.left_out.with_label_values(&[job, reason]);
        JobMetrics {
            targets: self.targets.with_label_values(&[job]),
            health: Health::ALL.map(|health| self.health.with_label_values(&[job, health.as_str()])),
            succeeded: self.scrapes.with_label_values(&[job, "success"]),
            duration: self.duration.with_label_values(&[job]),
            samples: self.samples.with_label_values(&[job]),
            relabelled: left_out(REASONS[0]),
            duplicates: left_out(REASONS[1]),
            out_of_bounds: left_out(REASONS[2]),
            out_of_order: left_out(REASONS[3]),
            bytes: self.bytes.with_label_values(&[job]),
            skipped: self.skipped.with_label_values(&[job]),
            all: self.clone(),
            job: job.to_owned(),
        }
    }

    /// How long targets with this interval were not scraped.
    pub(crate) fn interval(&self, interval: Duration) -> Histogram {
        let interval = rosterd_model::Duration::from(interval).to_string();
        self.intervals.with_label_values(&[&interval])
    }

    /// What all jobs have counted since the start.
    pub fn totals(&self) -> Totals {
        // No job goes meanwhile.
        let gone = self.gone();
        let mut all = gone.clone();
        all.add(self, |_| true);
        all
    }

    fn gone(&self) -> MutexGuard<'_, Totals> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    /// Adds what jobs have counted that are there.
    fn add(&mut self, metrics: &Metrics, wanted: impl Fn(&str) -> bool) {
        let Self { scrapes, left_out } = self;
        for (counters, label, sums) in [(&metrics.scrapes, "result", scrapes), (&metrics.left_out, "reason", left_out)]
        {
            for metric in counters.collect().iter().flat_map(|family| family.get_metric()) {
                let value = |name: &str| metric.get_label().iter().find(|pair| pair.name() == name);
                if let (Some(job), Some(by)) = (value("job"), value(label))
                    && wanted(job.value())
                {
                    *sums.entry(by.value().to_owned()).or_default() += metric.get_counter().get_value() as u64;
                }
            }
        }
    }
}

impl JobMetrics {
    /// Counts a scrape that failed.
    pub(crate) fn failed(&self, code: &str) {
        self.all.scrapes.with_label_values(&[self.job.as_str(), code]).inc();
    }

    /// A target is of this health from now on, and was of that before.
    pub(crate) fn turned(&self, from: Option<Health>, to: Option<Health>) {
        if from != to {
            from.iter().for_each(|health| self.health[*health as usize].dec());
            to.iter().for_each(|health| self.health[*health as usize].inc());
        }
    }

    /// Removes what was registered for the job: it is gone. What it has counted stays in the totals.
    pub(crate) fn remove(&self) {
        let job = self.job.as_str();
        let mut gone = self.all.gone();
        let mut own = Totals::default();
        own.add(&self.all, |other| other == job);
        // What was never used is not there.
        self.all.targets.remove_label_values(&[job]).ok();
        self.all.duration.remove_label_values(&[job]).ok();
        self.all.samples.remove_label_values(&[job]).ok();
        self.all.bytes.remove_label_values(&[job]).ok();
        self.all.skipped.remove_label_values(&[job]).ok();
        for health in Health::ALL {
            self.all.health.remove_label_values(&[job, health.as_str()]).ok();
        }
        for (reason, count) in own.left_out {
            self.all.left_out.remove_label_values(&[job, &reason]).ok();
            *gone.left_out.entry(reason).or_default() += count;
        }
        for (result, count) in own.scrapes {
            self.all.scrapes.remove_label_values(&[job, &result]).ok();
            *gone.scrapes.entry(result).or_default() += count;
        }
    }
}
