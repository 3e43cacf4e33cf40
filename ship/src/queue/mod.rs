//! The queue of an endpoint: one order of all its records, in memory at the front and on disk behind it.
//!
//! Whoever appends never waits for the disk: a thread of the queue writes what has not been sent within [`GRACE`], so that a
//! healthy endpoint costs no I/O. What is in memory is bounded; when that bound is reached because the disk is slow or full,
//! the oldest goes first and is counted as `queue_full`.

mod keeper; // the thread that owns the log
mod slots; // what is in memory, and what may be sent next; pure
mod state; // what is where; pure
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::warn;

use rosterd_tasks::Guard;

use self::state::State;
use crate::Counts;
use crate::limiter::{Limiter, Sum};
use crate::log::{LogError, Record};
use crate::metrics::{EndpointMetrics, Reason};
use crate::status::DiskFailure;

pub(crate) use slots::{Flight, Take};
pub(crate) use state::Limits;

/// How long a record may wait for its reply before it is written to disk. A record of an endpoint that fails is written at
/// once.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// Where a queue is kept on disk.
#[derive(Debug, Clone)]
pub(crate) struct QueuePlace {
    pub(crate) folder: PathBuf,
    pub(crate) max_bytes: u64,
    /// Is told when somebody removed it: the queue is to be opened anew.
    pub(crate) lost: Arc<Notify>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes the sender.
    ready: Notify,
    /// Records are written at once.
    hurry: AtomicBool,
    closing: AtomicBool,
    /// Somebody removed the log.
    lost: AtomicBool,
    disk_failure: Mutex<Option<DiskFailure>>,
    metrics: EndpointMetrics,
    /// Messages about what was dropped, by reason.
    told: [Limiter; Reason::ALL.len()],
    /// Catches panics of the thread.
    guard: Guard,
}

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) pending: Counts,
    pub(crate) bytes_in_memory: usize,
    pub(crate) bytes_on_disk: u64,
    pub(crate) oldest_ms: Option<i64>,
    /// More than what is in memory.
    pub(crate) backlog: bool,
}

impl Queue {
    /// A queue. Nothing is handed out before [`open`](Self::open) or [`open_in_memory`](Self::open_in_memory).
    pub(crate) fn new(name: &str, limits: Limits, metrics: EndpointMetrics, guard: Guard) -> Self {
        let shared = Shared {
            name: name.to_owned(),
            state: Mutex::new(State::new(limits)),
            work: Condvar::new(),
            ready: Notify::new(),
            hurry: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            disk_failure: Mutex::default(),
            metrics,
            told: std::array::from_fn(|_| Limiter::default()),
            guard,
        };
        Self { shared: Arc::new(shared), ended: Mutex::new(None) }
    }

    /// Takes what a queue before this one has left. Only good before it is open.
    pub(crate) fn prepend(&self, rest: Vec<Record>) {
        self.shared.lock().prepend(rest, Instant::now());
    }

    /// There is no log.
    pub(crate) fn open_in_memory(&self) {
        self.shared.lock().gave_up();
        self.shared.ready.notify_one();
    }

    /// Opens the log and starts the thread. When that fails the queue is in memory only.
    pub(crate) async fn open(&self, place: QueuePlace) -> Result<(), LogError> {
        let (opened, result) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let folder = place.folder.clone();
        let run = move || {
            // After a panic in opening the log, `opened` says that there is none.
            shared.guard.call(&shared.name, || keeper::run(&shared, &place, opened)).ok();
            // Nobody may wait any more.
            end.send(()).ok();
        };
        // supervised: its panics are caught in it, and `ended` tells of its end.
        let started = std::thread::Builder::new().name("rosterd-queue".to_owned()).spawn(run);
        if let Err(source) = started {
            self.shared.lock().gave_up();
            return Err(LogError::Io { path: folder, source });
        }
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        result.await.unwrap_or_else(|_| {
            self.shared.lock().gave_up();
            Err(LogError::Io { path: folder, source: std::io::Error::other("the thread of the queue panicked") })
        })
    }

    /// Adds a record, whose number is given by the queue. Never waits for the disk or the network.
    pub(crate) fn append(&self, record: Record) {
        let shared = &self.shared;
        shared.metrics.queued(record.head.counts, record.head.newest_ms);
        let mut state = shared.lock();
        // The thread looks by itself after what it knows of.
        let idle = state.waits_since().is_none();
        let dropped = state.append(record, Instant::now());
        shared.show(&state);
        drop(state);
        shared.dropped(Reason::QueueFull, dropped);
        shared.ready.notify_one();
        if idle {
            shared.work.notify_one();
        }
    }

    /// What is sent next.
    pub(crate) fn take(&self) -> Take {
        let mut state = self.shared.lock();
        let (take, expired) = state.take(Instant::now(), now_ms());
        self.shared.show(&state);
        drop(state);
        self.shared.dropped(Reason::Expired, expired);
        take
    }

    /// Somebody begins to send: what another had under way comes again.
    pub(crate) fn return_flights(&self) {
        self.shared.lock().slots.return_flights();
    }

    /// Waits until there may be something to take.
    pub(crate) async fn ready(&self) {
        self.shared.ready.notified().await;
    }

    /// A record need not be sent again.
    pub(crate) fn done(&self, seq: u64) {
        let mut state = self.shared.lock();
        state.done(seq);
        self.shared.show(&state);
        let on_disk = state.bytes_on_disk > 0;
        drop(state);
        if on_disk {
            self.shared.work.notify_one();
        }
    }

    /// A record is to be sent again; see [`Slots::again`](slots::Slots::again).
    pub(crate) fn again(&self, seq: u64, not_before: Option<Instant>, tried: bool) {
        self.shared.lock().slots.again(seq, not_before, tried);
    }

    /// A record was changed before it is sent, or is sent in parts; see [`Slots::replace`](slots::Slots::replace).
    pub(crate) fn replace(&self, seq: u64, parts: Vec<Record>, refused: bool) {
        self.shared.lock().slots.replace(seq, parts, refused);
    }

    /// Whether the endpoint fails, so that what comes is written to disk at once.
    pub(crate) fn hurry(&self, hurry: bool) {
        if self.shared.hurry.swap(hurry, Ordering::Relaxed) != hurry && hurry {
            self.shared.work.notify_one();
        }
    }

    /// What it holds.
    pub(crate) fn held(&self) -> Held {
        let state = self.shared.lock();
        Held {
            pending: state.pending(),
            bytes_in_memory: state.slots.bytes(),
            bytes_on_disk: state.bytes_on_disk,
            oldest_ms: state.oldest_ms(),
            backlog: state.has_backlog(),
        }
    }

    /// Why what should be on disk is in memory, if it is.
    pub(crate) fn disk_failure(&self) -> Option<DiskFailure> {
        self.shared.disk_failure().clone()
    }

    /// Why it goes on in memory and has to be opened anew, if somebody removed its log.
    pub(crate) fn lost(&self) -> Option<DiskFailure> {
        self.disk_failure().filter(|_| self.shared.lost.load(Ordering::Relaxed))
    }

    /// Tells what the limits of the log have kept back: what is over, or everything.
    pub(crate) fn tell_rest(&self, everything: bool) {
        for (reason, limiter) in Reason::ALL.into_iter().zip(&self.shared.told) {
            if let Some(Sum { samples, .. }) = limiter.rest(everything) {
                self.shared.warn(reason, samples);
            }
        }
    }

    /// Whether all was sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.lock().is_empty()
    }

    /// Writes to disk what is left, and waits until that is done, or until the deadline. Returns what is not on disk.
    pub(crate) async fn close(&self, deadline: Instant) -> Vec<Record> {
        self.shared.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            match tokio::time::timeout_at(deadline, ended).await {
                // An error means that the thread is gone, too.
                Ok(_) => {}
                Err(_) => warn!(endpoint = &*self.shared.name, "queue on disk is still busy, its thread goes on"),
            }
        }
        let (rest, dropped) = self.shared.lock().hand_over();
        self.shared.dropped(Reason::QueueFull, dropped);
        rest
    }
}

/// The thread ends with its queue.
impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk_failure(&self) -> MutexGuard<'_, Option<DiskFailure>> {
        self.disk_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk did not do what it was asked for.
    fn disk_failed(&self, report: Report) {
        let mut failure = self.disk_failure();
        *failure = Some(DiskFailure::again(failure.take(), report));
        self.metrics.write_failures.inc();
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        // Under the lock, so that the thread cannot miss it on its way to sleep.
        let _state = self.lock();
        self.work.notify_one();
    }

    fn show(&self, state: &State) {
        let pending = state.pending();
        self.metrics.pending.set(pending.all_samples() as i64);
        self.metrics.memory_bytes.set(state.slots.bytes() as i64);
        self.metrics.disk_bytes.set(state.bytes_on_disk as i64);
        self.metrics.oldest_pending.set(state.oldest_ms().map_or(0.0, |ms| ms as f64 / 1000.0));
    }

    fn dropped(&self, reason: Reason, counts: Counts) {
        if counts == Counts::default() {
            return;
        }
        self.metrics.dropped(reason, counts);
        if let Some(Sum { samples, .. }) = self.told[reason.index()].admit("", counts.all_samples(), ()) {
            self.warn(reason, samples);
        }
    }

    fn warn(&self, reason: Reason, samples: u64) {
        warn!(endpoint = &*self.name, reason = reason.as_str(), samples, "queue dropped its oldest samples");
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
