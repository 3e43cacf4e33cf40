//! The metrics of the reconciler.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of the reconciler, registered once for an agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Runs of workers that ended, by kind, action and outcome.
    pub(super) operations: IntCounterVec,
    /// Operations that were decided and have not ended.
    pub(super) pending: IntGauge,
    /// Workers that wait to try again after a failure.
    pub(super) retrying: IntGauge,
    /// Workers that cannot do what they are told, or whose last operation was given up.
    pub(super) failed: IntGauge,
    /// Transactions that the store did not take.
    pub(super) store_failures: IntCounter,
}

impl Metrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            operations: IntCounterVec::new(
                Opts::new("rosterd_reconcile_operations_total", "Runs of workers that ended, by their outcome."),
                &["kind", "action", "outcome"],
            )?,
            pending: IntGauge::new(
                "rosterd_reconcile_pending_operations",
                "Operations that were decided and have not ended.",
            )?,
            retrying: IntGauge::new(
                "rosterd_reconcile_retrying_workers",
                "Workers that failed and wait for their next try.",
            )?,
            failed: IntGauge::new(
                "rosterd_reconcile_failed_workers",
                "Workers that cannot do what they are told, or whose last operation was given up.",
            )?,
            store_failures: IntCounter::new(
                "rosterd_reconcile_store_failures_total",
                "Transactions that the store did not take; they are tried again.",
            )?,
        };
        registry.register(Box::new(metrics.operations.clone()))?;
        registry.register(Box::new(metrics.pending.clone()))?;
        registry.register(Box::new(metrics.retrying.clone()))?;
        registry.register(Box::new(metrics.failed.clone()))?;
        registry.register(Box::new(metrics.store_failures.clone()))?;
        Ok(metrics)
    }
}
