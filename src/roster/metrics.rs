//! The metrics of the roster.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::hold::HoldReason;
use super::state::Effect;
use super::view::{ProviderSize, RosterView};

/// Registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    targets: IntGaugeVec,
    duplicates: IntGaugeVec,
    dropped: IntGaugeVec,
    failed: IntGaugeVec,
    held: IntGaugeVec,
    brakes: IntCounterVec,
    target_limit_exceeded: IntGaugeVec,
    added: IntCounterVec,
    removed: IntCounterVec,
    failures: IntCounterVec,
    job_duration: HistogramVec,
    relabelled: IntCounter,
    store_failures: IntCounter,
    restored: IntGauge,
    unused: IntGauge,
    synced: IntGaugeVec,
    discovered: IntGaugeVec,
    duration: Histogram,
}

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["job"]);
        let counter = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["job"]);
        let provider = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["mechanism", "provider"]);
        let duration = HistogramOpts::new("rosterd_roster_update_duration_seconds", "How long a change took to apply.");
        let job_duration = HistogramOpts::new(
            "rosterd_roster_job_update_duration_seconds",
            "How long changes took to apply that concerned the job, and perhaps others.",
        );
        let metrics = Self {
            targets: gauge("rosterd_roster_targets", "Targets of the job after relabelling and deduplication.")?,
            duplicates: gauge(
                "rosterd_roster_duplicate_targets",
                "Discovered targets of the job that came out equal to another one.",
            )?,
            dropped: gauge("rosterd_roster_dropped_targets", "Discovered targets that relabelling dropped.")?,
            failed: gauge("rosterd_roster_failed_targets", "Discovered targets that cannot be targets.")?,
            held: IntGaugeVec::new(
                Opts::new(
                    "rosterd_roster_held_targets",
                    "Discovered targets that are kept although their source does not say so now, by reason.",
                ),
                &["job", "reason"],
            )?,
            brakes: counter(
                "rosterd_roster_brakes_total",
                "Removals of so many targets at once that they were held until they are confirmed.",
            )?,
            target_limit_exceeded: gauge(
                "rosterd_roster_target_limit_exceeded",
                "1 while the job has more targets than its target_limit.",
            )?,
            added: counter("rosterd_roster_targets_added_total", "Targets that came.")?,
            removed: counter("rosterd_roster_targets_removed_total", "Targets that went.")?,
            failures: counter(
                "rosterd_roster_target_failures_total",
                "Discovered targets that turned out, when they were relabelled, to be none.",
            )?,
            job_duration: HistogramVec::new(job_duration.buckets(vec![0.001, 0.1, 1.0, 10.0]), &["job"])?,
            relabelled: IntCounter::new(
                "rosterd_roster_relabelled_total",
                "Discovered targets that were relabelled, because they or the rules changed.",
            )?,
            store_failures: IntCounter::new(
                "rosterd_roster_store_failures_total",
                "Writes of target groups that the store did not take; they are tried again.",
            )?,
            restored: IntGauge::new(
                "rosterd_roster_restored_providers",
                "Providers whose targets are those from before the restart.",
            )?,
            unused: IntGauge::new(
                "rosterd_roster_unused_providers",
                "Providers that no job uses any more, and of which is stored for a day what was known.",
            )?,
            synced: provider(
                "rosterd_discovery_synced",
                "1 once something is known of the provider: it has reported, or what it said before the restart is restored.",
            )?,
            discovered: provider(
                "rosterd_discovery_targets",
                "Targets of the provider before relabelling, those among them that are restored or held.",
            )?,
            duration: Histogram::with_opts(duration.buckets(vec![0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 20.0]))?,
        };
        for collector in metrics.collectors() {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// Follows one event. Costs as much as that changed.
    pub(super) fn observe(&self, effect: &Effect, view: &RosterView, restored: usize, unused: usize, seconds: f64) {
        self.duration.observe(seconds);
        self.relabelled.inc_by(effect.tally.relabelled);
        for (name, delta) in &effect.jobs {
            let Some(job) = view.job(name) else {
                self.forget(name);
                continue;
            };
            let counts = job.counts();
            let set = |gauge: &IntGaugeVec, value: usize| {
                gauge.with_label_values(&[name]).set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set(&self.targets, counts.targets);
            set(&self.duplicates, counts.duplicates);
            set(&self.dropped, counts.dropped);
            set(&self.failed, counts.failed);
            for reason in HoldReason::ALL {
                let held = i64::try_from(counts.held.of(reason)).unwrap_or(i64::MAX);
                self.held.with_label_values(&[&**name, reason.as_str()]).set(held);
            }
            set(&self.target_limit_exceeded, usize::from(job.within_limit().is_err()));
            self.brakes.with_label_values(&[name]).inc_by(u64::from(effect.brakes.held.contains_key(name)));
            self.added.with_label_values(&[name]).inc_by(delta.added);
            self.removed.with_label_values(&[name]).inc_by(delta.removed);
            let failed = effect.tally.failed.get(name).copied().unwrap_or_default();
            self.failures.with_label_values(&[name]).inc_by(failed);
            self.job_duration.with_label_values(&[name]).observe(seconds);
        }
        for (key, size) in &effect.sizes {
            let labels = [key.mechanism(), key.as_str()];
            match size {
                Some(ProviderSize { known, targets, .. }) => {
                    self.synced.with_label_values(&labels).set(i64::from(*known));
                    self.discovered.with_label_values(&labels).set(i64::try_from(*targets).unwrap_or(i64::MAX));
                }
                None => {
                    // A provider that was only held never had any.
                    self.synced.remove_label_values(&labels).ok();
                    self.discovered.remove_label_values(&labels).ok();
                }
            }
        }
        self.restored.set(i64::try_from(restored).unwrap_or(i64::MAX));
        self.unused.set(i64::try_from(unused).unwrap_or(i64::MAX));
    }

    /// Counts what the store did not take.
    pub(super) fn store_failures(&self) -> &IntCounter {
        &self.store_failures
    }

    /// Removes the metrics of a job that is gone. A job that never had any is no error.
    fn forget(&self, job: &str) {
        for gauge in [&self.targets, &self.duplicates, &self.dropped, &self.failed, &self.target_limit_exceeded] {
            gauge.remove_label_values(&[job]).ok();
        }
        for reason in HoldReason::ALL {
            self.held.remove_label_values(&[job, reason.as_str()]).ok();
        }
        self.brakes.remove_label_values(&[job]).ok();
        self.added.remove_label_values(&[job]).ok();
        self.removed.remove_label_values(&[job]).ok();
        self.failures.remove_label_values(&[job]).ok();
        self.job_duration.remove_label_values(&[job]).ok();
    }

    fn collectors(&self) -> [Box<dyn Collector>; 18] {
        [
            Box::new(self.targets.clone()),
            Box::new(self.duplicates.clone()),
            Box::new(self.dropped.clone()),
            Box::new(self.failed.clone()),
            Box::new(self.held.clone()),
            Box::new(self.brakes.clone()),
            Box::new(self.target_limit_exceeded.clone()),
            Box::new(self.added.clone()),
            Box::new(self.removed.clone()),
            Box::new(self.failures.clone()),
            Box::new(self.job_duration.clone()),
            Box::new(self.relabelled.clone()),
            Box::new(self.store_failures.clone()),
            Box::new(self.restored.clone()),
            Box::new(self.unused.clone()),
            Box::new(self.synced.clone()),
            Box::new(self.discovered.clone()),
            Box::new(self.duration.clone()),
        ]
    }
}
