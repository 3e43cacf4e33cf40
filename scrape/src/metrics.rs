//! The metrics of scrapes.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The metrics of scrapes, registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    targets: IntGaugeVec,
    scrapes: IntCounterVec,
    duration: HistogramVec,
    samples: IntCounterVec,
    left_out: IntCounterVec,
    bytes: IntCounterVec,
    pub(crate) running: IntGauge,
    pub(crate) lag: Histogram,
    pub(crate) log_dropped: IntCounter,
}

/// The share of one job: handles that are ready, so that zeros are visible.
#[derive(Debug, Clone)]
pub struct JobMetrics {
    all: Metrics,
    job: String,
    pub(crate) targets: IntGauge,
    pub(crate) succeeded: IntCounter,
    pub(crate) duration: Histogram,
    pub(crate) samples: IntCounter,
    pub(crate) relabelled: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) out_of_bounds: IntCounter,
    pub(crate) out_of_order: IntCounter,
    pub(crate) bytes: IntCounter,
}

/// The reasons for which samples are left out.
const REASONS: [&str; 4] = ["relabelled", "duplicate", "out_of_bounds", "out_of_order"];

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.targets.clone()))?;
        registry.register(Box::new(metrics.scrapes.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.log_dropped.clone()))?;
        Ok(metrics)
    }

    fn new() -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let duration = HistogramOpts::new("rosterd_scrape_duration_seconds", "How long scrapes took.")
            .buckets(vec![0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        let lag = HistogramOpts::new("rosterd_scrape_lag_seconds", "How late scrapes began.")
            .buckets(vec![0.001, 0.002, 0.005, 0.01, 0.1, 1.0, 10.0]);
        Ok(Self {
            targets: IntGaugeVec::new(
                Opts::new("rosterd_scrape_targets", "Targets that are scraped, or are about to be."),
                &["job"],
            )?,
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
            lag: Histogram::with_opts(lag)?,
            log_dropped: IntCounter::new(
                "rosterd_scrape_failure_log_dropped_total",
                "Failures that were not written to a scrape_failure_log_file because it could not be written in time.",
            )?,
        })
    }

    /// The share of a job.
    pub fn job(&self, job: &str) -> JobMetrics {
        let left_out = |reason| self.left_out.with_label_values(&[job, reason]);
        JobMetrics {
            targets: self.targets.with_label_values(&[job]),
            succeeded: self.scrapes.with_label_values(&[job, "success"]),
            duration: self.duration.with_label_values(&[job]),
            samples: self.samples.with_label_values(&[job]),
            relabelled: left_out(REASONS[0]),
            duplicates: left_out(REASONS[1]),
            out_of_bounds: left_out(REASONS[2]),
            out_of_order: left_out(REASONS[3]),
            bytes: self.bytes.with_label_values(&[job]),
            all: self.clone(),
            job: job.to_owned(),
        }
    }
}

impl JobMetrics {
    /// Counts a scrape that failed.
    pub(crate) fn failed(&self, code: &str) {
        self.all.scrapes.with_label_values(&[self.job.as_str(), code]).inc();
    }

    /// Removes what was registered for the job: it is gone.
    pub(crate) fn remove(&self) {
        use prometheus::core::Collector;
        let job = self.job.as_str();
        // What was never used is not there.
        self.all.targets.remove_label_values(&[job]).ok();
        self.all.duration.remove_label_values(&[job]).ok();
        self.all.samples.remove_label_values(&[job]).ok();
        self.all.bytes.remove_label_values(&[job]).ok();
        for reason in REASONS {
            self.all.left_out.remove_label_values(&[job, reason]).ok();
        }
        for family in self.all.scrapes.collect() {
            for metric in family.get_metric() {
                let value = |name: &str| metric.get_label().iter().find(|pair| pair.name() == name);
                if let (Some(found), Some(result)) = (value("job"), value("result"))
                    && found.value() == job
                {
                    self.all.scrapes.remove_label_values(&[job, result.value()]).ok();
                }
            }
        }
    }
}
