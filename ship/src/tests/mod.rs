//! Endpoints against a receiver.

mod crash; // what a kill leaves
mod large; // requests that are too large
mod proofs; // who proves to receivers who sends
mod protocol; // versions, compression, statuses
mod queue; // what survives what
mod tenants; // whose queue it is
mod told; // the log, and what others see

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prometheus::Registry;
use rosterd_client::{HttpClientConfig, System};
use rosterd_model::relabel::Rules;
use rosterd_tasks::stopper::Stopper;
use rosterd_testkit::{RemoteWriteReceiver, WriteRequest, eventually, patience};
use tokio::time::Instant;

use crate::wire::field::put_bytes;
use crate::wire::{Compression, Message, Sends, put_label, put_sample};
use crate::{Block, Counts, DiskLimits, EndpointConfig, Metrics, QueueConfig, Shipper};

/// A shipper with what belongs to it.
struct Ship {
    shipper: Shipper,
    stopper: Stopper,
    registry: Registry,
}

impl Ship {
    fn new(folder: Option<&Path>) -> Self {
        Self::on(&System::default(), folder)
    }

    /// On a machine with this environment.
    fn on(system: &System, folder: Option<&Path>) -> Self {
        let (stopper, registry) = (Stopper::new(), Registry::new());
        let metrics = Metrics::register(&registry).unwrap();
        Self { shipper: Shipper::new(folder.map(Path::to_owned), metrics, system, &stopper), stopper, registry }
    }

    async fn of(folder: Option<&Path>, endpoints: Vec<EndpointConfig>) -> Self {
        let ship = Self::new(folder);
        ship.shipper.configure(endpoints).await.unwrap();
        ship
    }

    /// The value of a metric of the first endpoint, with all these labels among its own.
    fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == format!("rosterd_remote_write_{name}")).unwrap();
        let has = |metric: &prometheus::proto::Metric| {
            labels.iter().all(|label| metric.get_label().iter().any(|pair| pair.value() == *label))
        };
        let values = family.get_metric().iter().filter(|metric| has(metric));
        values.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }

    async fn wait_metric(&self, name: &str, labels: &[&str], value: f64) {
        let what = format!("{name} {labels:?} is {value}");
        eventually(patience(), &what, || self.metric(name, labels) == value).await;
    }

    async fn wait_empty(&self) {
        let empty = || self.shipper.status().iter().all(|status| status.pending == Counts::default());
        eventually(patience(), "all is sent", empty).await;
    }

    async fn end(self) {
        self.shipper.shutdown(Instant::now() + patience()).await;
        assert!(self.stopper.stop(Duration::from_secs(1)).await.is_empty());
    }
}

/// An endpoint that sends each block at once.
pub(crate) fn endpoint(name: &str, url: &str) -> EndpointConfig {
    EndpointConfig {
        name: name.to_owned(),
        named: true,
        url: url.parse().unwrap(),
        client: HttpClientConfig::default(),
        headers: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        message: Message::V1,
        compression: Compression::Snappy,
        rules: Rules::default(),
        sends: Sends::default(),
        queue: QueueConfig {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: Duration::from_millis(5),
            min_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(20),
            retry_on_http_429: false,
            keep_on: Vec::new(),
            sample_age_limit: Duration::ZERO,
        },
        metadata: crate::MetadataConfig { send: false, interval: Duration::from_secs(60), max_samples_per_send: 2000 },
        round_robin_dns: false,
        sigv4: None,
        azuread: None,
        google_iam: None,
        failed_request_logging: false,
        disk: DiskLimits { max_bytes: 4 << 30, max_age: Duration::from_secs(7 * 24 * 3600) },
    }
}

/// A block of one series for each name, all with one value and timestamp.
pub(crate) fn block(names: &[&str], value: f64, timestamp_ms: i64) -> Block {
    let mut block = Block { oldest_ms: timestamp_ms, newest_ms: timestamp_ms, ..Block::default() };
    for name in names {
        let mut series = Vec::new();
        put_label(b"__name__", name.as_bytes(), &mut series);
        put_sample(value, timestamp_ms, &mut series);
        put_bytes(1, &series, &mut block.series);
    }
    let count = names.len() as u32;
    block.counts = Counts { series: count, samples: count, ..Counts::default() };
    block
}

/// The values of a metric, in the order they were taken.
fn values(receiver: &RemoteWriteReceiver, name: &str) -> Vec<f64> {
    let samples = receiver.samples().into_iter().filter(|sample| sample.label("__name__") == Some(name));
    samples.filter_map(|sample| sample.value).collect()
}

/// The folders of queues, in any order.
fn queues(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.join("endpoint").exists()).collect()
}

/// Now and in order.
fn now(number: usize) -> i64 {
    crate::queue::now_ms() + number as i64
}

fn header<'a>(request: &'a WriteRequest, name: &str) -> &'a str {
    request.header(name).unwrap_or_default()
}
