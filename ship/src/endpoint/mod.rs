//! One receiver: its lanes, its queue, and the tasks that send.

mod custom_buckets; // histograms that version 1.0 cannot carry
mod exchange; // one request and its reply
pub(crate) mod fuzzing; // any bytes as a reply
mod health; // how it has been lately; pure
mod lanes; // blocks -> batches
mod load; // how many lanes; pure
mod metadata; // metadata in requests of their own
mod pace; // how fast to send after failures; pure
mod proof; // who proves to receivers who sends
mod protocol; // what the receiver takes
mod request; // the form of requests; pure
mod sender; // the task that sends
mod size; // how large requests may be; pure
mod verdict; // what a reply means; pure

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rosterd_client::{Client, Options, SafeUrl, System};
use rosterd_model::{Coded, Report};
use rosterd_tasks::stopper::Stopper;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::custom_buckets::CustomBuckets;
use self::health::Health;
use self::lanes::Lanes;
use self::load::{Load, Seen};
use self::protocol::Protocol;
use self::sender::{Sender, Work};
use crate::config::EndpointConfig;
use crate::error::ShipError;
use crate::limiter::Limiter;
use crate::log::{LogError, Record};
use crate::metrics::{Metrics, Reason};
use crate::queue::{Limits, Queue, QueuePlace};
use crate::status::{DiskFailure, EndpointStatus};
use crate::wire::Message;
use crate::{Block, Wants};

pub(crate) use metadata::Source;
pub(crate) use proof::Proofs;

/// The memory for bodies: at the front of a queue on disk, and as much for what the disk has not taken; without a disk.
const MEMORY: usize = 16 << 20;
const MEMORY_ALONE: usize = 64 << 20;

/// A running endpoint. Until [`start`](Self::start) it only takes blocks.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) config: EndpointConfig,
    lanes: Arc<Lanes>,
    queue: Arc<Queue>,
    sender: Arc<Sender>,
    protocol: Arc<Protocol>,
    place: Option<QueuePlace>,
    stopper: Stopper,
    metrics: Metrics,
    /// Why its queue is in memory, although it was to be on disk.
    degraded: Mutex<Option<DiskFailure>>,
}

impl Endpoint {
    /// Makes an endpoint, or says which of its settings are of no use. `lost` is told when somebody removed its queue on disk.
    pub(crate) fn new(
        config: EndpointConfig,
        folder: Option<PathBuf>,
        metrics: &Metrics,
        system: &System,
        proofs: &Proofs,
        stopper: Stopper,
        lost: Arc<Notify>,
    ) -> Result<Self, ShipError> {
        let settings = |reason| ShipError::Settings { endpoint: config.name.clone(), reason };
        let headers = request::user_headers(&config.headers).map_err(settings)?;
        let authorize = proofs.of(&config, system)?;
        let options = Options {
            timeout: config.timeout,
            name: config.name.clone(),
            gzip: false,
            by_turns: config.round_robin_dns,
            system: system.clone(),
            ..Options::default()
        };
        let client = Client::unchecked(&config.client, options)
            .map_err(|source| ShipError::Client { endpoint: config.name.clone(), source })?;
        if let Err(error) = client.check() {
            let report = Report::of(&error);
            warn!(endpoint = config.name, error = %report, code = error.code(), "nothing can be sent as long as this is so");
        }
        let handles = metrics.endpoint(&config.name);
        handles.lanes_min.set(i64::from(config.queue.min_shards));
        handles.lanes_max.set(i64::from(config.queue.max_shards));
        let guard = |task| stopper.supervision().guard(task);
        let (limits, disk) = (limits(&config, folder.is_some()), guard("remote write disk"));
        let most_on_disk = if folder.is_some() { config.disk.max_bytes } else { 0 };
        handles.disk_limit.set(i64::try_from(most_on_disk).unwrap_or(i64::MAX));
        handles.memory_limit.set(i64::try_from(limits.bytes).unwrap_or(i64::MAX));
        let queue = Arc::new(Queue::new(&config.name, limits, handles.clone(), disk));
        let protocol = Arc::new(Protocol::new(config.message, config.compression, folder.as_ref()));
        let custom_buckets = Arc::new(CustomBuckets::new(&config.name, &handles));
        let (lanes, ours) = (guard("remote write lanes"), &custom_buckets);
        let lanes = Arc::new(Lanes::new(&config, &queue, &protocol, ours, &handles, lanes));
        let sender = Arc::new(Sender {
            name: config.name.clone(),
            url: config.url.clone(),
            shown: SafeUrl::new(config.url.clone()).without_user(),
            client,
            headers,
            authorize,
            signs: config.sigv4.is_some(),
            forbidden: Mutex::default(),
            config: config.queue.clone(),
            log_failed: config.failed_request_logging,
            queue: Arc::clone(&queue),
            protocol: Arc::clone(&protocol),
            custom_buckets,
            metrics: handles,
            health: Mutex::new(Health::default()),
            size: Mutex::default(),
            work: Work::default(),
            progress: Notify::new(),
            splits: Limiter::default(),
            rejections: Limiter::default(),
        });
        let place = folder.map(|folder| QueuePlace { folder, max_bytes: config.disk.max_bytes, lost });
        let (metrics, degraded) = (metrics.clone(), Mutex::default());
        Ok(Self { config, lanes, queue, sender, protocol, place, stopper, metrics, degraded })
    }

    /// Takes the series of a block. Never waits for the disk or the network.
    pub(crate) fn push(&self, key: u64, block: &Block) {
        self.lanes.push(key, block);
    }

    /// Opens the queue and starts to send. `rest` is what an endpoint before this one has left in memory; `remembered` says
    /// whether what was learnt about the receiver holds. When the queue on disk cannot be opened, it works in memory.
    pub(crate) async fn start(
        &self,
        rest: Vec<Record>,
        remembered: bool,
        source: impl Fn() -> Option<Source> + Clone + Send + 'static,
    ) -> Result<(), ShipError> {
        if remembered {
            self.protocol.recall().await;
        }
        if !rest.is_empty() {
            self.queue.prepend(rest);
        }
        let opened = match &self.place {
            Some(place) => self.queue.open(place.clone()).await,
            None => {
                self.queue.open_in_memory();
                Ok(())
            }
        };
        self.begin(source);
        opened.map_err(|error| {
            let endpoint = self.config.name.clone();
            let error = match error {
                LogError::InUse { .. } => ShipError::QueueInUse { endpoint, source: Box::new(error) },
                LogError::Io { .. } => ShipError::Queue { endpoint, source: Box::new(error) },
            };
            let mut degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
            *degraded = Some(DiskFailure::again(degraded.take(), Report::of(&error)));
            error
        })
    }

    fn degraded(&self) -> Option<DiskFailure> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone().or_else(|| self.queue.lost())
    }

    /// Its tasks. One that panics begins again; what it was about is in the queue and in the lanes still.
    fn begin(&self, source: impl Fn() -> Option<Source> + Clone + Send + 'static) {
        let (name, stop) = (&*self.config.name, self.stopper.token());
        let (sender, token) = (Arc::clone(&self.sender), stop.clone());
        let send = move || sender::run(Arc::clone(&sender), token.clone());
        self.stopper.spawn_restarting(("remote write sender", name), send);
        let (lanes, token) = (Arc::clone(&self.lanes), stop.clone());
        let batches = move || flush(Arc::clone(&lanes), token.clone());
        self.stopper.spawn_restarting(("remote write batches", name), batches);
        let (config, lanes) = (self.config.clone(), Arc::clone(&self.lanes));
        let (sender, token) = (Arc::clone(&self.sender), stop.clone());
        let load = move || adapt(config.clone(), Arc::clone(&lanes), Arc::clone(&sender), token.clone());
        self.stopper.spawn_restarting(("remote write lanes", name), load);
        if self.config.metadata.send {
            let (sender, config, token) = (Arc::clone(&self.sender), self.config.metadata.clone(), stop.clone());
            let metadata = move || metadata::run(Arc::clone(&sender), config.clone(), source.clone(), token.clone());
            self.stopper.spawn_restarting(("remote write metadata", name), metadata);
        }
    }

    /// Where its queue is on disk.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| &*place.folder)
    }

    /// Whether it runs with this configuration, and as well as it can.
    pub(crate) fn is(&self, config: &EndpointConfig) -> bool {
        self.config == *config && self.degraded().is_none()
    }

    /// The disk cannot be used yet: a write that failed, so that who watches that is told as long as it is so.
    pub(crate) fn still_degraded(&self) {
        self.sender.metrics.write_failures.inc();
    }

    /// Finishes all batches and waits until they are sent or it is no use to wait.
    pub(crate) async fn drain(&self, deadline: Instant) {
        self.lanes.flush();
        while !self.queue.is_empty() {
            if self.place.is_some() && self.sender.health().failing_since().is_some() {
                debug!(endpoint = self.config.name, "endpoint is down, the rest stays in its queue");
                return;
            }
            let progress = self.sender.progress.notified();
            if tokio::time::timeout_at(deadline.min(Instant::now() + Duration::from_millis(100)), progress)
                .await
                .is_err()
                && Instant::now() >= deadline
            {
                return;
            }
        }
    }

    /// Stops sending, and hands to disk what is left. Returns what is not on disk. At the deadline tasks are aborted, and a
    /// disk that is still busy is left to itself.
    pub(crate) async fn stop(&self, deadline: Instant) -> Vec<Record> {
        for task in self.stopper.stop_by(deadline).await {
            warn!(endpoint = self.config.name, task = &*task, "task did not end in time and was aborted");
        }
        self.lanes.flush();
        let rest = self.queue.close(deadline).await;
        self.sender.tell_rest(true);
        self.lanes.tell_rest(true);
        rest
    }

    /// Counts what nobody will send.
    pub(crate) fn give_up(&self, rest: &[Record]) {
        for record in rest {
            self.sender.metrics.dropped(crate::metrics::Reason::Shutdown, record.head.counts);
        }
    }

    /// Removes its metrics.
    pub(crate) fn forget(&self) {
        self.metrics.forget(&self.config.name);
    }

    /// What it can make use of.
    pub(crate) fn wants(&self) -> Wants {
        Wants {
            samples: true,
            exemplars: self.config.sends.exemplars,
            native_histograms: self.config.sends.native_histograms,
            extras: self.config.message == Message::V2,
        }
    }

    /// How it is.
    pub(crate) fn status(&self) -> EndpointStatus {
        let held = self.queue.held();
        let health = self.sender.health().clone();
        let (message, compression) = self.protocol.now(crate::queue::now_ms());
        EndpointStatus {
            name: self.config.name.clone(),
            url: self.sender.shown.clone(),
            message,
            compression,
            pending: held.pending,
            bytes_in_memory: held.bytes_in_memory as u64,
            bytes_on_disk: held.bytes_on_disk,
            disk_failure: self.degraded().or_else(|| self.queue.disk_failure()),
            oldest_pending_ms: held.oldest_ms,
            lanes: self.lanes.count(),
            capacity: self.config.queue.capacity,
            state: health.state(),
            last_error: health.last_error,
            last_success: health.last_success,
            samples_sent: self.sender.metrics.samples_sent(),
            samples_rejected: self.sender.metrics.samples_dropped(|reason| reason == Reason::Rejected),
            samples_dropped: self
                .sender
                .metrics
                .samples_dropped(|reason| !matches!(reason, Reason::Rejected | Reason::Relabelled)),
        }
    }
}

fn limits(config: &EndpointConfig, on_disk: bool) -> Limits {
    let queue = &config.queue;
    let samples = u64::from(queue.capacity) * u64::from(queue.max_shards);
    let records = samples / u64::from(queue.max_samples_per_send.max(1));
    Limits {
        front_bytes: if on_disk { MEMORY } else { MEMORY_ALONE },
        front_records: if on_disk { records.clamp(64, crate::log::REACH) as usize } else { usize::MAX },
        bytes: if on_disk { 2 * MEMORY } else { MEMORY_ALONE },
        max_age_ms: i64::try_from(config.disk.max_age.as_millis()).unwrap_or(i64::MAX),
    }
}

/// Finishes batches at their deadline.
async fn flush(lanes: Arc<Lanes>, stop: CancellationToken) {
    loop {
        let next = lanes.flush_due();
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// Adapts the number of lanes to the load.
async fn adapt(config: EndpointConfig, lanes: Arc<Lanes>, sender: Arc<Sender>, stop: CancellationToken) {
    let mut load = Load::new(config.queue.min_shards, config.queue.max_shards);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(load::INTERVAL) => {}
        }
        let now = Instant::now();
        sender.tell_rest(false);
        lanes.tell_rest(false);
        let pending = sender.queue.held().pending;
        let seen = Seen {
            samples_in: lanes.take_samples_in(),
            samples_out: sender.work.samples.swap(0, Ordering::Relaxed),
            busy: Duration::from_micros(sender.work.busy_us.swap(0, Ordering::Relaxed)),
            pending: pending.all_samples(),
            down: sender.health().failing_since().map(|since| now.duration_since(since)),
        };
        let before = lanes.count();
        let (desired, wanted) = load.decide(seen, now - last, before);
        last = now;
        sender.metrics.lanes_desired.set(desired);
        if wanted != before {
            debug!(endpoint = config.name, before, lanes = wanted, "number of lanes follows the load");
            lanes.resize(wanted);
        }
    }
}
