//! The metrics of the agent as a whole.

use std::time::SystemTime;

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::process::Process;
use crate::api::Build;
use crate::cluster::Share;

/// Registered once for an agent.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    successful: IntGauge,
    success_time: Gauge,
    reloads: IntCounterVec,
    build: IntGaugeVec,
    slots: IntGaugeVec,
}

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub(super) fn register(registry: &Registry, build: &Build) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            successful: IntGauge::new(
                "rosterd_config_last_reload_successful",
                "1 if the configuration was good when it was last read, 0 if the one before is still in use.",
            )?,
            success_time: Gauge::new(
                "rosterd_config_last_reload_success_timestamp_seconds",
                "Unix time at which the configuration in use was read.",
            )?,
            reloads: IntCounterVec::new(
                Opts::new("rosterd_config_reloads_total", "Times the configuration was read, by result."),
                &["result"],
            )?,
            build: IntGaugeVec::new(
                Opts::new("rosterd_build_info", "1, with what rosterd was built from as labels."),
                &["version", "revision", "rustc"],
            )?,
            slots: IntGaugeVec::new(
                Opts::new(
                    "rosterd_cluster_slots",
                    "Slots that this member of a cluster owns, of 4096 that all have together.",
                ),
                &["cluster"],
            )?,
        };
        metrics.build.with_label_values(&[&build.version, &build.revision, &build.go_version]).set(1);
        for result in ["success", "failure"] {
            metrics.reloads.with_label_values(&[result]);
        }
        let collectors: [Box<dyn Collector>; 6] = [
            Box::new(metrics.successful.clone()),
            Box::new(metrics.success_time.clone()),
            Box::new(metrics.reloads.clone()),
            Box::new(metrics.build.clone()),
            Box::new(metrics.slots.clone()),
            Box::new(Process::new()),
        ];
        for collector in collectors {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// The configuration came into use, and this share of a cluster of this name with it.
    pub(super) fn loaded(&self, cluster: &str, share: &Share) {
        self.slots.reset();
        if let Some(slots) = share.slots() {
            self.slots.with_label_values(&[cluster]).set(slots.into());
        }
        self.successful.set(1);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.success_time.set(now.as_secs_f64());
        self.reloads.with_label_values(&["success"]).inc();
    }

    /// The configuration was refused.
    pub(super) fn refused(&self) {
        self.successful.set(0);
        self.reloads.with_label_values(&["failure"]).inc();
    }
}
