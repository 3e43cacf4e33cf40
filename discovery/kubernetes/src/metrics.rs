//! What discovery by Kubernetes counts, over all its watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use rosterd_discovery::MechanismMetrics;

use crate::resource::Resource;
use crate::stream::EventKind;
use crate::watch::Watched;

/// The metrics of discovery by Kubernetes.
#[derive(Debug, Clone)]
pub struct KubernetesMetrics {
    /// Watches that run.
    pub(crate) watches: IntGauge,
    /// Objects that are known, by resource.
    pub(crate) objects: IntGaugeVec,
    /// What is kept of them, in bytes, by resource.
    pub(crate) bytes: IntGaugeVec,
    /// Lists that were begun, by resource and cause.
    pub(crate) lists: IntCounterVec,
    /// Lists and watches that failed, by resource.
    pub(crate) failures: IntCounterVec,
    /// Watches that were begun where a list or the last one ended, by resource.
    pub(crate) restarts: IntCounterVec,
    events: IntCounterVec,
    heard: Heard,
}

impl KubernetesMetrics {
    /// This watch is told of by when something was heard of it, as long as there is one.
    pub(crate) fn watches(&self, watched: &Arc<Watched>) {
        let mut watches = self.heard.watches();
        watches.retain(|watched| watched.strong_count() > 0);
        watches.push(Arc::downgrade(watched));
    }

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
                "Lists of objects that were begun, by why: one at the start of each watch, and more when history was lost.",
                &["resource", "cause"],
            )?,
            failures: counter(
                "rosterd_discovery_kubernetes_failures_total",
                "Lists and watches that failed and are tried again.",
                &resource,
            )?,
            restarts: counter(
                "rosterd_discovery_kubernetes_watch_restarts_total",
                "Watches that were begun at the end of a list, or where the last one ended: a server ends each after some minutes.",
                &resource,
            )?,
            heard: Heard::new()?,
            events: counter(
                "rosterd_discovery_kubernetes_events_total",
                "Events of watches, those of streamed lists included.",
                &["resource", "event"],
            )?,
        };
        let all: [Box<dyn Collector>; 8] = [
            Box::new(metrics.watches.clone()),
            Box::new(metrics.objects.clone()),
            Box::new(metrics.bytes.clone()),
            Box::new(metrics.lists.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.events.clone()),
            Box::new(metrics.restarts.clone()),
            Box::new(metrics.heard.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        Ok(metrics)
    }
}

/// When something was heard of the watches of a resource: of the one that is silent for longest. Looked up when asked for,
/// since it changes with each event.
#[derive(Debug, Clone)]
struct Heard {
    watches: Arc<Mutex<Vec<Weak<Watched>>>>,
    last: GaugeVec,
}

impl Heard {
    fn new() -> Result<Self, prometheus::Error> {
        let last = Opts::new(
            "rosterd_discovery_kubernetes_last_heard_timestamp_seconds",
            "Unix time at which anything was last heard of the watches of a resource, of the one that is silent for longest.",
        );
        Ok(Self { watches: Arc::default(), last: GaugeVec::new(last, &["resource"])? })
    }

    fn watches(&self) -> MutexGuard<'_, Vec<Weak<Watched>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Heard {
    fn desc(&self) -> Vec<&Desc> {
        self.last.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut oldest: BTreeMap<Resource, SystemTime> = BTreeMap::new();
        let watches = self.watches();
        for watched in watches.iter().filter_map(Weak::upgrade) {
            // Of what was never heard of tell the state of the watch and the failures.
            let Some(heard) = watched.last_heard() else { continue };
            let oldest = oldest.entry(watched.key().resource).or_insert(heard);
            *oldest = heard.min(*oldest);
        }
        // Under the lock, so that two who ask do not mix.
        self.last.reset();
        for (resource, heard) in oldest {
            let since_epoch = heard.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.last.with_label_values(&[resource.plural()]).set(since_epoch.as_secs_f64());
        }
        let families = self.last.collect();
        drop(watches);
        families
    }
}
