//! The thread that owns the log of a queue: writes, reads ahead, acknowledges, deletes.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rosterd_model::{Coded, Report};
use rosterd_tasks::Telling;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{GRACE, QueuePlace, Shared, now_ms};
use crate::Counts;
use crate::error::DiskError;
use crate::log::{Fault, Kept, Log, LogError, Record, Settings};
use crate::metrics::Reason;

/// How often what is too old is looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How soon a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Records that are written in one go, between two looks at what else there is to do.
const AT_ONCE: usize = 64;

/// What a disk can fail at.
const POSITION: &str = "position";
const EXPIRY: &str = "expiry";
const READING: &str = "reading";
const WRITING: &str = "writing";

/// What to do next.
#[derive(Debug, Default)]
struct Job {
    write: Vec<Record>,
    read: Option<(u64, usize)>,
    /// Up to where records are done, if that is news.
    position: Option<(u64, Vec<u64>)>,
    housekeeping: bool,
    /// Writing failed, and there is nothing to write.
    probe: bool,
    /// Reading failed, and nothing is left to read.
    probe_reading: bool,
    end: bool,
}

/// Runs until the queue is closed and all is written.
pub(super) fn run(shared: &Shared, place: &QueuePlace, opened: oneshot::Sender<Result<(), LogError>>) {
    run_by(shared, place, opened, |keeper| keeper.step());
}

/// The same by steps that may panic: then it goes on with the next.
pub(super) fn run_by(
    shared: &Shared,
    place: &QueuePlace,
    opened: oneshot::Sender<Result<(), LogError>>,
    mut step: impl FnMut(&mut Keeper<'_>) -> bool,
) {
    let segment_bytes = (place.max_bytes / 8).clamp(64 << 10, 4 << 20);
    let (log, found) = match Log::open(&place.folder, Settings { segment_bytes }) {
        Ok(opened) => opened,
        Err(failed) => {
            shared.metrics.write_failures.inc();
            shared.lock().gave_up();
            shared.ready.notify_one();
            opened.send(Err(failed)).ok();
            return;
        }
    };
    report(shared, &found.faults);
    if found.records > 0 {
        let (endpoint, samples) = (&*shared.name, found.left.samples);
        info!(endpoint, batches = found.records, samples, "queue on disk is resumed");
    }
    let mut keeper = Keeper {
        shared,
        place,
        log,
        acknowledged: 0,
        failed: BTreeMap::new(),
        panicked: None,
        lost: false,
        housekept: Instant::now(),
        telling: Telling::default(),
    };
    let mut state = shared.lock();
    let left = (keeper.log.bytes() > 0).then_some(found.left);
    state.opened(found.next_seq, found.epoch, left);
    keeper.show(&mut state);
    drop(state);
    // The queue may have been given up meanwhile.
    opened.send(Ok(())).ok();
    shared.ready.notify_one();
    loop {
        match shared.guard.call(&shared.name, || step(&mut keeper)) {
            Ok(true) => {}
            Ok(false) => break,
            // As if the disk had failed: the queue goes on in memory, and the disk is tried again after a while.
            Err(_) if shared.closing.load(Ordering::Relaxed) => break,
            Err(_) => keeper.panicked = Some(Instant::now()),
        }
    }
    if keeper.lost {
        return;
    }
    if let Err(error) = keeper.log.close() {
        warn!(endpoint = &*shared.name, %error, "queue on disk could not be synced");
    }
}

/// What the thread knows.
pub(super) struct Keeper<'a> {
    shared: &'a Shared,
    place: &'a QueuePlace,
    log: Log,
    /// The position that was written last.
    acknowledged: u64,
    /// What the disk failed at when that was last tried, and when that was.
    failed: BTreeMap<&'static str, Instant>,
    /// When the last step panicked, if it did.
    panicked: Option<Instant>,
    /// The log is gone.
    lost: bool,
    housekept: Instant,
    telling: Telling,
}

impl Keeper<'_> {
    /// Waits for something to do, and does it. Returns whether to go on.
    pub(super) fn step(&mut self) -> bool {
        let job = self.wait();
        if (job.housekeeping || job.end || !self.failed.is_empty()) && !self.look_after() {
            self.give_up();
            return false;
        }
        // Room comes before what needs room.
        if let Some((base, beyond)) = &job.position {
            let acknowledged = self.log.acknowledge(*base, beyond.iter().copied());
            if self.tried(POSITION, acknowledged) {
                self.acknowledged = *base;
            }
        }
        if job.housekeeping {
            self.housekept = Instant::now();
            let expired = self.expire();
            self.tried(EXPIRY, expired);
        }
        if let Some((from, bytes)) = job.read {
            let read = self.read(from, bytes);
            self.tried(READING, read);
        }
        let mut wrote = true;
        for record in &job.write {
            // It may be done meanwhile, or given away.
            if wrote && self.shared.lock().slots.has(record.seq) {
                let written = self.write(record);
                wrote = self.tried(WRITING, written);
            }
        }
        if job.probe {
            let probed = self.log.probe();
            self.tried(WRITING, probed);
        }
        if job.probe_reading {
            let probed = self.log.probe_reading();
            self.tried(READING, probed);
        }
        if self.log.bytes() == 0 {
            // Where nothing is left there is nothing to try.
            self.failed.retain(|doing, _| ![POSITION, READING].contains(doing));
        }
        if self.failed.is_empty() {
            self.works();
        }
        self.panicked = None;
        self.show(&mut self.shared.lock());
        // At the end there may be more than was written in one go.
        !job.end || (wrote && self.shared.lock().waits_since().is_some())
    }

    /// Counts and tells a failure, and remembers it until the same is tried again. Returns whether it worked.
    fn tried(&mut self, doing: &'static str, result: io::Result<()>) -> bool {
        let Err(source) = result else {
            self.failed.remove(doing);
            return true;
        };
        let now = Instant::now();
        self.failed.insert(doing, now);
        let error = DiskError::Failed { doing, folder: self.place.folder.clone(), source };
        let report = Report::of(&error);
        if let Some(failures) = self.telling.failed(doing, now) {
            let (endpoint, code) = (&*self.shared.name, error.code());
            error!(endpoint, error = %report, code, failures, "queue on disk failed, going on in memory");
        }
        self.shared.disk_failed(report);
        false
    }

    /// Looks whether all is there that was. Returns whether it is, or is again.
    fn look_after(&mut self) -> bool {
        match self.log.look_after() {
            Ok(Kept::Whole) => {}
            Ok(Kept::Gone) => return false,
            Ok(Kept::Restored(fault)) => {
                self.tried(POSITION, Ok(()));
                report(self.shared, &[fault]);
            }
            Err(error) => {
                self.tried(POSITION, Err(error));
            }
        }
        true
    }

    /// Somebody removed the folder, and with it what was there alone. The queue goes on in memory until it is opened again.
    fn give_up(&mut self) {
        self.lost = true;
        let mut state = self.shared.lock();
        let lost = state.lost_log();
        self.shared.show(&state);
        drop(state);
        let error = DiskError::Gone { folder: self.place.folder.clone() };
        let (endpoint, code, report, lost_samples) =
            (&*self.shared.name, error.code(), Report::of(&error), lost.all_samples());
        error!(endpoint, error = %report, code, lost_samples, "queue on disk is gone, going on in memory");
        self.shared.metrics.corruptions.inc();
        self.shared.metrics.dropped(Reason::Invalid, lost);
        self.shared.disk_failed(report);
        self.shared.lost.store(true, Ordering::Relaxed);
        self.shared.ready.notify_one();
        self.place.lost.notify_one();
    }

    /// All that failed was tried again, and worked.
    fn works(&mut self) {
        *self.shared.disk_failure() = None;
        if let Some(failures) = self.telling.worked() {
            info!(endpoint = &*self.shared.name, failures, "queue on disk works again");
        }
    }

    /// Whether this failed so recently that it is not tried yet.
    fn rests(&self, doing: &'static str, now: Instant) -> bool {
        let failures = self.failed.get(doing).into_iter().chain(&self.panicked);
        failures.copied().any(|failed| now.duration_since(failed) < RETRY)
    }

    fn wait(&mut self) -> Job {
        let mut state = self.shared.lock();
        loop {
            let now = Instant::now();
            let closing = self.shared.closing.load(Ordering::Relaxed);
            let housekeeping = now.duration_since(self.housekept) >= HOUSEKEEPING;
            let rests = [WRITING, READING, POSITION].map(|doing| self.rests(doing, now));
            let [blocked, unreadable, unplaced] = rests.map(|rests| rests && !closing);
            let mut job = Job { end: closing, housekeeping, ..Job::default() };
            if !blocked {
                let at_once = closing || state.has_backlog() || self.shared.hurry.load(Ordering::Relaxed);
                job.write = state.to_write(if at_once { now } else { now.checked_sub(GRACE).unwrap_or(now) }, AT_ONCE);
            }
            job.probe = !blocked && job.write.is_empty() && self.failed.contains_key(WRITING);
            job.read = state.wanted().filter(|_| !closing && !unreadable);
            // What could not be read may be gone since: too old, or in the way of what is new.
            job.probe_reading = !unreadable && !state.has_backlog() && self.failed.contains_key(READING);
            let position = state.position();
            if !unplaced && state.bytes_on_disk > 0 && (position.0 > self.acknowledged || !position.1.is_empty()) {
                job.position = Some(position);
            }
            // Out of order alone is no news that is worth a wake-up.
            let news = job.position.as_ref().is_some_and(|(base, _)| *base > self.acknowledged);
            if closing
                || housekeeping
                || news
                || job.probe
                || job.probe_reading
                || !job.write.is_empty()
                || job.read.is_some()
            {
                return job;
            }
            let mut pause = HOUSEKEEPING.saturating_sub(now.duration_since(self.housekept));
            if blocked || unreadable || unplaced {
                pause = pause.min(RETRY);
            }
            if !blocked && let Some(since) = state.waits_since() {
                pause = pause.min((since + GRACE).saturating_duration_since(now));
            }
            let pause = pause.max(Duration::from_millis(1));
            state = match self.shared.work.wait_timeout(state, pause) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        self.make_room(record.size())?;
        self.log.append(record)?;
        let mut state = self.shared.lock();
        state.written(record.seq);
        self.show(&mut state);
        Ok(())
    }

    fn read(&mut self, from: u64, bytes: usize) -> io::Result<()> {
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        let next = self.log.read(from, bytes, &mut records, &mut faults)?;
        report(self.shared, &faults);
        let lost = faults.iter().fold(Counts::default(), |all, fault| all.plus(fault.lost));
        let mut state = self.shared.lock();
        state.loaded(records, next, lost, Instant::now());
        self.show(&mut state);
        drop(state);
        self.shared.ready.notify_one();
        Ok(())
    }

    fn make_room(&mut self, size: u64) -> io::Result<()> {
        while self.log.bytes() + size > self.place.max_bytes && self.drop_oldest(Reason::QueueFull)? {}
        Ok(())
    }

    fn expire(&mut self) -> io::Result<()> {
        let max_age_ms = self.shared.lock().limits.max_age_ms;
        let limit = now_ms() - max_age_ms;
        while max_age_ms > 0
            && self.log.oldest().is_some_and(|(_, newest_ms)| newest_ms < limit)
            && self.drop_oldest(Reason::Expired)?
        {}
        Ok(())
    }

    fn drop_oldest(&mut self, reason: Reason) -> io::Result<bool> {
        let cursor = self.shared.lock().cursor();
        let Some((last, lost)) = self.log.drop_oldest(cursor)? else { return Ok(false) };
        let mut state = self.shared.lock();
        let dropped = state.dropped(last, lost);
        self.show(&mut state);
        drop(state);
        self.shared.dropped(reason, dropped);
        Ok(true)
    }

    fn show(&self, state: &mut super::State) {
        state.bytes_on_disk = self.log.bytes();
        state.oldest_on_disk_ms = self.log.oldest().map(|(oldest_ms, _)| oldest_ms).filter(|_| state.has_backlog());
        self.shared.show(state);
    }
}

/// What was damaged is counted and told, once for each place.
fn report(shared: &Shared, faults: &[Fault]) {
    for fault in faults {
        shared.metrics.corruptions.inc();
        shared.metrics.dropped(Reason::Invalid, fault.lost);
        let (endpoint, path, bytes) = (&*shared.name, fault.path.display(), fault.bytes);
        // Where only the numbers of what is gone are known, its samples count as none.
        let (lost_batches, lost_samples) = (fault.batches, fault.lost.samples);
        error!(endpoint, %path, bytes, lost_batches, lost_samples, code = "ship_queue_damaged", "{}", fault.what);
    }
}

#[cfg(test)]
mod tests {
    use rosterd_tasks::Supervision;
    use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};

    use super::super::{Limits, Queue};
    use super::*;
    use crate::Metrics;
    use crate::wire::{Compression, Head, Message};

    #[test]
    fn reading_works_again_also_where_nothing_is_left_to_read() {
        leak_checked_live(async || {
            let folder = Folder::new();
            let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().endpoint("e");
            let supervision = Supervision::register(&prometheus::Registry::new()).unwrap();
            let limits = Limits { front_bytes: 1 << 20, front_records: 8, bytes: 1 << 20, max_age_ms: 0 };
            let queue = Queue::new("e", limits, metrics, supervision.guard("disk"));
            queue.append(Record {
                seq: 0,
                epoch: 1,
                lane: 0,
                message: Message::V1,
                compression: Compression::Snappy,
                head: Head { counts: Counts::default(), oldest_ms: 5, newest_ms: 10 },
                raw_len: 0,
                body: vec![0; 20].into(),
            });
            let place = QueuePlace { folder: folder.path("queue"), max_bytes: 1 << 20, lost: Default::default() };
            let (shared, (opened, is_open)) = (std::sync::Arc::clone(&queue.shared), oneshot::channel());
            let mut has_failed = false;
            let thread = std::thread::spawn(move || {
                run_by(&shared, &place, opened, |keeper| {
                    // What could not be read was dropped before it was tried again, and a small file is kept.
                    if !has_failed && keeper.log.bytes() > 0 {
                        has_failed = true;
                        keeper.tried(READING, Err(io::Error::other("a disk that hangs")));
                    }
                    keeper.step()
                });
            });
            is_open.await.unwrap().unwrap();
            let failures = || queue.shared.metrics.write_failures.get();
            eventually(patience(), "it failed", || failures() == 1).await;
            eventually(patience(), "it works again", || queue.disk_failure().is_none()).await;
            assert!(queue.held().bytes_on_disk > 0);
            queue.shared.close();
            eventually(patience(), "the thread ends", || thread.is_finished()).await;
        });
    }
}
