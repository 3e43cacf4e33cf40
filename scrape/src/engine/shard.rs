//! A shard: the schedule of its targets, the scrapes under way, and what becomes of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rosterd_model::{Coded, Labels, Report, Retry};
use rosterd_tasks::Guard;
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::delivery::Delivery;
use super::entry::Entry;
use super::fetch::{Body, Fetching, Ticket, begin, url};
use super::take::Taken;
use super::{Change, Clock, Command, key};
use crate::error::ScrapeError;
use crate::ingest::Families;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::sink::Sink;
use crate::status::{Health, Statuses};

/// The targets of one shard.
pub(super) struct Shard {
    clock: Clock,
    metrics: Metrics,
    statuses: Statuses,
    commands: mpsc::Receiver<Command>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    jobs: HashMap<Arc<str>, JobTargets>,
    /// When targets are due: the time, the place and the generation. What is outdated is passed over.
    due: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    generation: u32,
    delivery: Delivery,
    /// Catches panics of scrapes that are under way.
    guard: Guard,
}

struct JobTargets {
    job: Arc<Job>,
    too_many: Option<(usize, usize)>,
    slots: HashMap<Labels, u32>,
}

/// What woke the loop.
enum Event {
    Stop,
    Command(Command),
    Due,
    Fetched(Fetching),
}

impl Shard {
    pub(super) fn new(
        clock: Clock,
        sink: Arc<dyn Sink>,
        metrics: Metrics,
        statuses: Statuses,
        families: Families,
        commands: mpsc::Receiver<Command>,
        guard: Guard,
    ) -> Self {
        Self {
            clock,
            metrics,
            statuses,
            commands,
            entries: Vec::new(),
            free: Vec::new(),
            jobs: HashMap::new(),
            due: BinaryHeap::new(),
            generation: 0,
            delivery: Delivery::new(families, sink, guard.clone()),
            guard,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut running = FuturesUnordered::new();
        // Without the budget that tokio gives a task: once it is used up, all futures under way would be polled in vain.
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let wake = self.due.peek().map(|Reverse((at, ..))| *at);
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => Event::Stop,
                Some(command) = self.commands.recv() => Event::Command(command),
                () = until(wake, timer.as_mut()) => Event::Due,
                Some(fetched) = unconstrained(running.next()), if !running.is_empty() => Event::Fetched(fetched),
            };
            match event {
                Event::Stop => return,
                Event::Command(Command::Change(change)) => self.change(change),
                Event::Command(Command::RemoveJob(job)) => self.remove_job(&job.name),
                Event::Command(Command::End { stale, done }) => {
                    self.end(stale);
                    running = FuturesUnordered::new();
                    self.metrics.running.set(0);
                    // Whoever asked may have gone away.
                    done.send(()).ok();
                }
                Event::Due => {
                    while let Some(ticket) = self.next_due() {
                        let guard = self.guard.clone();
                        let Some(entry) = self.entry(ticket) else { continue };
                        // In a box: the socket remembers whom to wake, and with it all of a future that stands in the set itself.
                        running.push(Box::pin(begin(entry, ticket, guard)));
                        self.metrics.running.inc();
                    }
                }
                Event::Fetched(fetched) => {
                    self.metrics.running.dec();
                    self.fetched(fetched);
                }
            }
        }
    }

    /// The next target that has to be asked. Those that are not to be asked have their scrape fail at once.
    fn next_due(&mut self) -> Option<Ticket> {
        loop {
            let Reverse((at, slot, generation)) = *self.due.peek()?;
            let started = Instant::now();
            if at > started {
                return None;
            }
            self.due.pop();
            let ticket = Ticket { slot, generation, started, wall: self.clock.now() };
            let Some(entry) = self.entry(ticket) else { continue };
            let error = match entry.snoozing.take_if(|snoozing| snoozing.0 <= started) {
                Some(_) => None,
                None => entry.snoozing.as_ref().map(|snoozing| ScrapeError::Snoozing(Arc::clone(&snoozing.1))),
            };
            let job = Arc::clone(&entry.job.name);
            self.metrics.lag.observe((started - at).as_secs_f64());
            let too_many = self.jobs.get(&job).and_then(|job| job.too_many);
            let too_many = too_many.map(|(targets, limit)| ScrapeError::TargetLimit { targets, limit });
            match too_many.or(error) {
                None => return Some(ticket),
                Some(error) => self.finish(ticket, Err(error)),
            }
        }
    }

    fn entry(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(ticket.slot as usize)?.as_mut()?;
        (entry.generation == ticket.generation).then_some(entry)
    }

    fn fetched(&mut self, fetched: Fetching) {
        let Fetching { ticket, connection, result } = fetched;
        // A target that is gone has nothing to say any more.
        let Some(entry) = self.entry(ticket) else { return };
        entry.connection = Some(connection);
        self.finish(ticket, result);
    }

    /// Hands on what a scrape gave, and puts the target on the schedule again.
    fn finish(&mut self, ticket: Ticket, result: Result<Body, ScrapeError>) {
        let Some(entry) = self.entries.get_mut(ticket.slot as usize).and_then(Option::as_mut) else { return };
        let at_ms = entry.grid.timestamp(ticket.wall);
        let taken = self.delivery.scraped(entry, result, at_ms, || ticket.started.elapsed().as_secs_f64());
        note(entry, &taken, ticket, &self.statuses);
        let due = ticket.started + entry.grid.until_next_after(ticket.wall);
        let now = Instant::now();
        // A scrape that took longer than its interval has missed its turn.
        let due = if due > now { due } else { now + entry.grid.until_next(self.clock.now()) };
        self.due.push(Reverse((due, ticket.slot, ticket.generation)));
        let Some(error) = taken.error else { return };
        if let Retry::After(wait) = error.retry() {
            entry.snoozing = Some(Box::new((ticket.started + wait, Arc::new(error))));
        }
    }

    fn change(&mut self, change: Change) {
        let Change { job, too_many, removed, added } = change;
        let targets = self.jobs.entry(Arc::clone(&job.name)).or_insert_with(|| JobTargets {
            job: Arc::clone(&job),
            too_many,
            slots: HashMap::new(),
        });
        targets.too_many = too_many;
        let mut leaving: HashMap<u64, Vec<Entry>> = HashMap::new();
        for slot in removed.iter().filter_map(|labels| targets.slots.remove(labels)) {
            if let Some(entry) = self.entries[slot as usize].take() {
                leaving.entry(entry.key).or_default().push(entry);
            }
            self.free.push(slot);
        }
        let (now, wall) = (Instant::now(), self.clock.now());
        if !Arc::ptr_eq(&targets.job, &job) {
            for slot in targets.slots.values() {
                if let Some(entry) = self.entries[*slot as usize].as_mut() {
                    entry.set_job(&job);
                    self.delivery.replaced(entry, &targets.job, milliseconds(wall));
                }
            }
            targets.job = Arc::clone(&job);
        }
        job.metrics.targets.add(added.len() as i64);
        for labels in added {
            let key = key(&labels);
            self.generation = self.generation.wrapping_add(1);
            let mut entry = Entry::new(Arc::clone(&job), labels.clone(), key, self.generation);
            let before = leaving.get_mut(&key).and_then(Vec::pop);
            self.statuses.update(&job.name, labels.fingerprint(), |_| {});
            if let Some(before) = before {
                job.metrics.targets.dec();
                let status = self.statuses.remove(&job.name, before.labels.fingerprint());
                self.statuses.update(&job.name, labels.fingerprint(), |now| *now = status.unwrap_or_default());
                let before_job = Arc::clone(&before.job);
                entry.succeed(before);
                self.delivery.replaced(&mut entry, &before_job, milliseconds(wall));
            }
            let slot = self.free.pop().unwrap_or_else(|| {
                self.entries.push(None);
                (self.entries.len() - 1) as u32
            });
            self.due.push(Reverse((now + entry.grid.until_next(wall), slot, self.generation)));
            self.entries[slot as usize] = Some(entry);
            targets.slots.insert(labels, slot);
        }
        leaving.into_values().flatten().for_each(|entry| self.gone(entry, true));
    }

    /// A target is gone: its series are, too.
    fn gone(&mut self, mut entry: Entry, stale: bool) {
        self.statuses.remove(&entry.job.name, entry.labels.fingerprint());
        entry.job.metrics.targets.dec();
        if stale {
            self.delivery.gone(&mut entry, milliseconds(self.clock.now()));
        }
    }

    fn remove_job(&mut self, name: &str) {
        let Some(targets) = self.jobs.remove(name) else { return };
        for slot in targets.slots.into_values() {
            if let Some(entry) = self.entries[slot as usize].take() {
                self.gone(entry, true);
            }
            self.free.push(slot);
        }
    }

    fn end(&mut self, stale: bool) {
        self.jobs.clear();
        self.due.clear();
        self.free.clear();
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().flatten().for_each(|entry| self.gone(entry, stale));
    }
}

/// Nanoseconds in milliseconds.
fn milliseconds(wall: u64) -> i64 {
    (wall / 1_000_000) as i64
}

/// Waits until a moment, by a timer that is set anew only when the moment is another one; for ever without one.
async fn until(at: Option<Instant>, mut timer: Pin<&mut Sleep>) {
    let Some(at) = at else { return pending().await };
    if timer.deadline() != at {
        timer.as_mut().reset(at);
    }
    timer.await;
}

/// Writes down what became of a scrape: status, metrics, and the log of failures.
fn note(entry: &Entry, taken: &Taken, ticket: Ticket, statuses: &Statuses) {
    let Taken { error, report } = taken;
    let metrics = &entry.job.metrics;
    let error = error.as_ref().map(|error| Arc::new(Report::of(error)));
    let wall = SystemTime::UNIX_EPOCH + Duration::from_nanos(ticket.wall);
    match &error {
        None => metrics.succeeded.inc(),
        Some(error) => {
            metrics.failed(&error.code);
            let url = || url(&entry.job, &entry.labels);
            debug!(job = &*entry.job.name, target = url(), %error, code = error.code, "scrape failed");
            if let Some(log) = &entry.job.failure_log {
                log.note(wall, &entry.job.name, &url(), error);
            }
        }
    }
    metrics.duration.observe(report.seconds);
    let ingested = report.ingested;
    if report.up {
        let left_out = ingested.duplicates + ingested.out_of_bounds + ingested.out_of_order;
        metrics.samples.inc_by(ingested.kept.saturating_sub(left_out) as u64);
        metrics.relabelled.inc_by((ingested.scraped - ingested.kept) as u64);
        metrics.duplicates.inc_by(ingested.duplicates as u64);
        metrics.out_of_bounds.inc_by(ingested.out_of_bounds as u64);
        metrics.out_of_order.inc_by(ingested.out_of_order as u64);
    }
    metrics.bytes.inc_by(u64::try_from(report.body_bytes).unwrap_or_default());
    let snoozed_until = match &error {
        None => None,
        Some(error) => match error.retry {
            Retry::After(wait) => Some(wall + wait),
            // Of one that snoozes already.
            _ => entry.snoozing.as_ref().map(|snoozing| wall + (snoozing.0 - ticket.started)),
        },
    };
    statuses.update(&entry.job.name, entry.labels.fingerprint(), |status| {
        status.health = if report.up { Health::Up } else { Health::Down };
        status.last_scrape = Some(wall);
        status.duration = Duration::from_secs_f64(report.seconds);
        status.snoozed_until = snoozed_until;
        status.error = error;
        if report.up {
            status.samples = ingested.scraped;
        }
        let families = entry.track.families();
        if status.metadata.as_ref().map(Arc::as_ptr) != families.map(Arc::as_ptr) {
            status.metadata = families.cloned();
        }
    });
}
