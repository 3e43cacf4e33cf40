//! What discovery by Kubernetes counts, over all its watches.

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use rosterd_discovery::MechanismMetrics;

use crate::resource::Resource;
use crate::stream::EventKind;

/// The metrics of discovery by Kubernetes.
#[derive(Debug, Clone)]
pub struct KubernetesMetrics {
    /// Watches that run.
    pub(crate) watches: IntGauge,
    /// Objects that are known, by resource.
    pub(crate) objects: IntGaugeVec,
    /// What is kept of them, in bytes, by resource.
    pub(crate) bytes: IntGaugeVec,
    /// Lists that were begun, by resource.
    pub(crate) lists: IntCounterVec,
    /// Lists and watches that failed, by resource.
    pub(crate) failures: IntCounterVec,
    events: IntCounterVec,
}

impl KubernetesMetrics {
    /// An event of a watch of this resource.
    pub(crate) fn event(&self, resource: Resource, kind: EventKind) {
        self.events.with_label_values(&[resource.plural(), kind.name()]).inc();
    }
}

impl MechanismMetrics for KubernetesMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let resource = ["resource"];
        let metrics = Self {
            watches: IntGauge::new(
                "rosterd_discovery_kubernetes_watches",
                "Watches that run on API servers of Kubernetes.",
            )?,
            objects: gauge(
                "rosterd_discovery_kubernetes_objects",
                "Objects of Kubernetes that are known, once for each watch that covers them.",
                &resource,
            )?,
            bytes: gauge(
                "rosterd_discovery_kubernetes_object_bytes",
                "Bytes that are kept of the objects of Kubernetes that are known.",
                &resource,
            )?,
            lists: counter(
                "rosterd_discovery_kubernetes_lists_total",
                "Lists of objects that were begun: one for each watch, and more when history was lost.",
                &resource,
            )?,
            failures: counter(
                "rosterd_discovery_kubernetes_failures_total",
                "Lists and watches that failed and are tried again.",
                &resource,
            )?,
            events: counter(
                "rosterd_discovery_kubernetes_events_total",
                "Events of watches, those of streamed lists included.",
                &["resource", "event"],
            )?,
        };
        let all: [Box<dyn Collector>; 6] = [
            Box::new(metrics.watches.clone()),
            Box::new(metrics.objects.clone()),
            Box::new(metrics.bytes.clone()),
            Box::new(metrics.lists.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.events.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        Ok(metrics)
    }
}
