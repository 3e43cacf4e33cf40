//! A shard: the schedule of its targets, the scrapes under way, and what becomes of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use prometheus::Histogram;
use rosterd_client::Connection;
use rosterd_model::{Coded, Labels, Report, Retry};
use rosterd_tasks::{Guard, Turns};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use xxhash_rust::xxh3::xxh3_64;

use super::delivery::{Delivery, Elsewhere, HandedOver};
use super::entry::{End, Entry};
use super::fetch::{Body, Fetching, Ticket, begin, url};
use super::slots::Slots;
use super::take::TakenScrape;
use super::{Change, Clock, Command, key};
use crate::divided::Divided;
use crate::error::ScrapeError;
use crate::ingest::Families;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::sink::Sink;
use crate::status::{Health, Statuses, TargetStatus};

/// The targets of one shard.
pub(super) struct Shard {
    clock: Clock,
    metrics: Metrics,
    /// Those of the intervals that its targets have.
    intervals: HashMap<Duration, Histogram>,
    statuses: Statuses,
    commands: mpsc::Receiver<Command>,
    slots: Slots,
    jobs: HashMap<Arc<str>, JobTargets>,
    /// When targets are due, for a scrape or for their end: the time, the place and the generation. What is outdated is
    /// passed over.
    due: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    /// The last number that a generation or a scrape got.
    number: u32,
    delivery: Delivery,
    /// Catches panics of scrapes that are under way.
    guard: Guard,
}

struct JobTargets {
    job: Arc<Job>,
    too_many: Option<(usize, usize)>,
    slots: Divided<(Labels, u32)>,
}

/// A target with this many series may have as many stale markers: also what a scrape of it gives is looked at elsewhere.
const MANY: usize = 20_000;

/// What was known of targets that leave, by their places.
type Left = Divided<(u32, TargetStatus)>;

/// What woke the loop.
enum Event {
    Stop,
    Command(Command),
    Due,
    Landed(Landed),
}

/// A scrape under way that came to something.
enum Landed {
    /// A body, or none.
    Fetched(Fetching),
    /// Something large, of which all is known by now.
    CameBack(Ticket, Connection, Box<Elsewhere>),
    /// The same, when the sink has it.
    HandedOver(Ticket, Connection, HandedOver),
}

/// A scrape under way. In a box: the socket remembers whom to wake, and with it all of a future that stands in the set itself.
type Flight = Pin<Box<dyn Future<Output = Landed> + Send>>;

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
            intervals: HashMap::new(),
            statuses,
            commands,
            slots: Slots::default(),
            jobs: HashMap::new(),
            due: BinaryHeap::new(),
            number: 0,
            delivery: Delivery::new(families, sink, guard.clone()),
            guard,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut running = FuturesUnordered::<Flight>::new();
        // Without the budget that tokio gives a task: once it is used up, all futures under way would be polled in vain.
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let wake = self.due.peek().map(|Reverse((at, ..))| *at);
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => Event::Stop,
                Some(command) = self.commands.recv() => Event::Command(command),
                () = until(wake, timer.as_mut()) => Event::Due,
                Some(fetched) = unconstrained(running.next()), if !running.is_empty() => Event::Landed(fetched),
            };
            match event {
                Event::Stop => return,
                Event::Command(Command::Change(change)) => self.change(change).await,
                Event::Command(Command::RemoveJob(job)) => self.remove_job(&job.name).await,
                Event::Command(Command::End { stale, done }) => {
                    self.end(stale).await;
                    self.hand_over_the_last(&mut running).await;
                    running = FuturesUnordered::new();
                    self.metrics.running.set(0);
                    // Whoever asked may have gone away.
                    done.send(()).ok();
                }
                Event::Due => {
                    let mut turns = Turns::default();
                    while let Some(ticket) = self.next_due(&mut turns).await {
                        let guard = self.guard.clone();
                        let Some(entry) = self.slots.get_mut(ticket.slot) else { continue };
                        running.push(Box::pin(begin(entry, ticket, guard).map(Landed::Fetched)));
                        self.metrics.running.inc();
                    }
                }
                Event::Landed(landed) => match self.landed(landed) {
                    Some(goes_on) => running.push(goes_on),
                    None => self.metrics.running.dec(),
                },
            }
        }
    }

    /// The next target that has to be asked. Those that are not to be asked have their scrape fail at once, and those whose
    /// time is over come to their end.
    async fn next_due(&mut self, turns: &mut Turns) -> Option<Ticket> {
        loop {
            turns.next().await;
            let Reverse((at, slot, generation)) = *self.due.peek()?;
            let started = Instant::now();
            if at > started {
                return None;
            }
            self.due.pop();
            let flight = self.next_number();
            let Some(entry) = self.slots.get_mut(slot).filter(|entry| entry.generation == generation) else { continue };
            if let Some(missed_ms) = entry.missed_ms {
                self.end_of(slot, missed_ms);
                continue;
            }
            let ticket = Ticket { slot, flight, started, wall: self.clock.now() };
            let error = match entry.snoozing.take_if(|snoozing| snoozing.0 <= started) {
                Some(_) => None,
                None => entry.snoozing.as_ref().map(|snoozing| ScrapeError::Snoozing(Arc::clone(&snoozing.1))),
            };
            let job = Arc::clone(&entry.job.name);
            self.metrics.late_start.observe((started - at).as_secs_f64());
            let too_many = self.jobs.get(&job).and_then(|job| job.too_many);
            let too_many = too_many.map(|(targets, limit)| ScrapeError::TargetLimit { targets, limit });
            match too_many.or(error) {
                None => return Some(ticket),
                Some(error) => self.refuse(ticket, error),
            }
        }
    }

    fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// Takes what a scrape came to. Returns what is still under way of it.
    fn landed(&mut self, landed: Landed) -> Option<Flight> {
        let (Landed::Fetched(Fetching { ticket, .. }) | Landed::CameBack(ticket, ..) | Landed::HandedOver(ticket, ..)) =
            landed;
        let seconds = move || ticket.started.elapsed().as_secs_f64();
        let entry = self.slots.get_mut(ticket.slot).filter(|entry| entry.flight == Some(ticket.flight));
        match landed {
            Landed::HandedOver(_, connection, handed) => {
                let Some(entry) = entry else {
                    self.delivery.handed_over(None, handed, 0, seconds);
                    return None;
                };
                let at_ms = entry.grid.timestamp(ticket.wall);
                entry.land(connection);
                let taken = self.delivery.handed_over(Some(entry), handed, at_ms, seconds);
                taken.into_iter().for_each(|taken| self.finish(ticket, taken));
                None
            }
            // A target whose time is over has nothing to say any more.
            Landed::Fetched(Fetching { connection, result, .. }) => {
                let entry = entry?;
                let at_ms = entry.grid.timestamp(ticket.wall);
                if entry.track.len() >= MANY || result.as_ref().is_ok_and(Body::is_large) {
                    let elsewhere = self.delivery.elsewhere(entry.copy(), result, at_ms, Box::new(seconds));
                    return Some(Box::pin(elsewhere.map(move |became| Landed::CameBack(ticket, connection, became))));
                }
                entry.land(connection);
                let taken = self.delivery.scraped(entry, result, at_ms, seconds);
                self.note(ticket, at_ms);
                self.finish(ticket, taken);
                None
            }
            Landed::CameBack(_, connection, elsewhere) => {
                let entry = entry?;
                if entry.job.rules != elsewhere.copy.job.rules {
                    // A reload ends the scrapes that it changes, as in Prometheus.
                    entry.land(connection);
                    self.schedule(ticket);
                    return None;
                }
                let at_ms = entry.grid.timestamp(ticket.wall);
                let handed = self.delivery.hand_over(entry, elsewhere);
                self.note(ticket, at_ms);
                Some(Box::pin(handed.map(move |handed| Landed::HandedOver(ticket, connection, handed))))
            }
        }
    }

    /// All targets are forgotten: what is being handed over of one of them comes before what was said of its end.
    async fn hand_over_the_last(&mut self, running: &mut FuturesUnordered<Flight>) {
        while self.delivery.is_handing_over() {
            let Some(landed) = running.next().await else { return };
            if let Landed::HandedOver(.., handed) = landed {
                self.delivery.handed_over(None, handed, 0, || 0.0);
            }
        }
    }

    /// A scrape fails before it begins.
    fn refuse(&mut self, ticket: Ticket, error: ScrapeError) {
        let Some(entry) = self.slots.get_mut(ticket.slot) else { return };
        let at_ms = entry.grid.timestamp(ticket.wall);
        let taken = self.delivery.scraped(entry, Err(error), at_ms, || ticket.started.elapsed().as_secs_f64());
        self.note(ticket, at_ms);
        self.finish(ticket, taken);
    }

    /// Notes that what a scrape gave is handed over, or about to be.
    fn note(&mut self, ticket: Ticket, at_ms: i64) {
        let Some(entry) = self.slots.get_mut(ticket.slot) else { return };
        if let Some(last_ms) = entry.scraped_ms {
            let interval = entry.grid.interval();
            let histogram = self.intervals.entry(interval).or_insert_with(|| self.metrics.interval(interval));
            histogram.observe((at_ms - last_ms) as f64 / 1000.0);
        }
        entry.scraped(at_ms);
    }

    /// Says what a scrape came to, and puts the target on the schedule again.
    fn finish(&mut self, ticket: Ticket, taken: TakenScrape) {
        let Some(entry) = self.slots.get_mut(ticket.slot) else { return };
        let report = taken.error.as_ref().map(|error| Arc::new(taken.secrets.hide_in(Report::of(error))));
        // It may have gone meanwhile, and its job with it.
        if self.jobs.contains_key(&entry.job.name) {
            count(entry, &taken, report.as_deref(), ticket);
        }
        if entry.missed_ms.is_some() {
            return;
        }
        tell(entry, &taken, report, ticket, &self.statuses);
        if let Some(error) = taken.error
            && let Some(wait) = rest(&error, &entry.job)
        {
            entry.snoozing = Some(Box::new((ticket.started + wait, Arc::new(error))));
        }
        self.schedule(ticket);
    }

    /// Puts a target whose scrape has ended on the schedule again.
    fn schedule(&mut self, ticket: Ticket) {
        let Some(entry) = self.slots.get_mut(ticket.slot).filter(|entry| entry.missed_ms.is_none()) else { return };
        let (now, interval) = (Instant::now(), entry.grid.interval());
        self.metrics.late_end.observe(now.saturating_duration_since(ticket.started + entry.timeout).as_secs_f64());
        let mut due = ticket.started + entry.grid.until_next_after(ticket.wall);
        // One that took as long as its timeout, which may be the interval, is scraped again at once. One that took longer has
        // missed its turn, or several.
        if due + interval / 10 <= now {
            let skipped = (now - due).as_nanos() / interval.as_nanos().max(1) + 1;
            entry.job.metrics.skipped.inc_by(u64::try_from(skipped).unwrap_or(u64::MAX));
            due = now + entry.grid.until_next(self.clock.now());
        }
        self.due.push(Reverse((due, ticket.slot, entry.generation)));
    }

    async fn change(&mut self, change: Change) {
        let Change { job, too_many, removed, moved, added } = change;
        let targets = self.jobs.entry(Arc::clone(&job.name)).or_insert_with(|| JobTargets {
            job: Arc::clone(&job),
            too_many,
            slots: Divided::default(),
        });
        targets.too_many = too_many;
        let (now, wall) = (Instant::now(), self.clock.now());
        let (mut gone, mut turns) = (Vec::with_capacity(removed.len() + moved.len()), Turns::default());
        let removed = removed.into_iter().map(|labels| (labels, End::Stale));
        for (labels, end) in removed.chain(moved.into_iter().map(|labels| (labels, End::Elsewhere))) {
            turns.next().await;
            let removed = targets.slots.remove(labels.fingerprint(), |(other, _)| *other == labels, fingerprint);
            gone.extend(removed.map(|(_, slot)| (slot, end)));
        }
        if !Arc::ptr_eq(&targets.job, &job) {
            for (_, slot) in targets.slots.iter() {
                turns.next().await;
                if let Some(entry) = self.slots.get_mut(*slot) {
                    entry.set_job(&job);
                    self.delivery.replaced(entry, &targets.job, milliseconds(wall));
                }
            }
            targets.job = Arc::clone(&job);
        }
        // Those that come may take the place of those that go.
        let mut statuses = Left::default();
        for (slot, end) in gone {
            turns.next().await;
            // What nobody knows anything of has nothing to leave.
            let status = self.leave(slot, end, now, wall).filter(|status| status.health != Health::Unknown);
            if let Some(status) = status {
                statuses.insert(spread(slot), (slot, status), |(slot, _)| spread(*slot));
            }
        }
        for labels in added {
            turns.next().await;
            let slot = self.add(&job, &labels, now, wall, &mut statuses);
            if let Some(targets) = self.jobs.get_mut(&job.name) {
                targets.slots.insert(labels.fingerprint(), (labels, slot), fingerprint);
            }
        }
        while let Some(some) = statuses.take_some() {
            for status in some {
                turns.next().await;
                drop(status);
            }
        }
    }

    /// Begins with a target, or goes on where one with the same labels for its series has left. Returns its place.
    fn add(&mut self, job: &Arc<Job>, labels: &Labels, now: Instant, wall: u64, statuses: &mut Left) -> u32 {
        let key = key(labels);
        let generation = self.next_number();
        let mut entry = Entry::new(Arc::clone(job), labels.clone(), key, generation);
        job.metrics.targets.inc();
        let before = self.slots.of_key(key).find(|(_, before)| before.missed_ms.is_some()).map(|(slot, _)| slot);
        let status = before.and_then(|slot| {
            let (_, status) = statuses.remove(spread(slot), |(other, _)| *other == slot, |(slot, _)| spread(*slot))?;
            Some(status)
        });
        let status = status.unwrap_or_default();
        job.metrics.turned(None, Some(status.health));
        self.statuses.update(&job.name, labels.fingerprint(), |now| *now = status);
        let due = now + entry.grid.until_next(wall);
        let taken = before.and_then(|slot| Some((slot, self.slots.take(slot)?)));
        let slot = match taken {
            None => self.slots.insert(entry),
            Some((slot, before)) => {
                let before_job = Arc::clone(&before.job);
                entry.succeed(before);
                self.delivery.replaced(&mut entry, &before_job, milliseconds(wall));
                if entry.flight.is_some() {
                    // It is on the schedule again when that has ended.
                    self.slots.put(slot, entry);
                    return slot;
                }
                self.slots.put(slot, entry);
                slot
            }
        };
        self.due.push(Reverse((due, slot, generation)));
        slot
    }

    /// A target is gone. What it has to say at the end has to wait. Returns what was known of it.
    fn leave(&mut self, slot: u32, end: End, now: Instant, wall: u64) -> Option<TargetStatus> {
        let generation = self.next_number();
        let entry = self.slots.get_mut(slot)?;
        entry.job.metrics.targets.dec();
        let status = self.statuses.remove(&entry.job.name, entry.labels.fingerprint());
        entry.job.metrics.turned(status.as_ref().map(|status| status.health), None);
        entry.generation = generation;
        let stays = entry.leave(end, wall);
        let due = if entry.has_said_something() { now + stays } else { now };
        self.due.push(Reverse((due, slot, generation)));
        status
    }

    /// The end of a target that is gone: its series are, too, but for those that another one has sent since.
    fn end_of(&mut self, slot: u32, at_ms: i64) {
        let Some(mut entry) = self.slots.take(slot) else { return };
        self.slots.release(slot);
        let others = self.slots.of_key(entry.key).map(|(_, other)| other);
        let others: Vec<_> = others.filter(|other| other.scraped_ms.is_some_and(|scraped| scraped > at_ms)).collect();
        if entry.end == End::Stale {
            self.delivery.gone(&mut entry, &others, at_ms);
        }
    }

    async fn remove_job(&mut self, name: &str) {
        let Some(targets) = self.jobs.remove(name) else { return };
        let (now, wall, mut turns) = (Instant::now(), self.clock.now(), Turns::default());
        let mut slots = targets.slots;
        while let Some(some) = slots.take_some() {
            for (_, slot) in some {
                turns.next().await;
                self.leave(slot, End::Stale, now, wall);
            }
        }
    }

    /// Forgets all targets. With `stale` their series end now, or when they were missed first.
    async fn end(&mut self, stale: bool) {
        let now = milliseconds(self.clock.now());
        let (mut entries, mut gone, mut turns) = (Vec::new(), Vec::new(), Turns::default());
        for mut targets in std::mem::take(&mut self.jobs).into_values() {
            while let Some(some) = targets.slots.take_some() {
                for slot in some {
                    turns.next().await;
                    drop(slot);
                }
            }
        }
        self.due.clear();
        for entry in self.slots.drain() {
            turns.next().await;
            if entry.missed_ms.is_some() { gone.push(Box::new(entry)) } else { entries.push(Box::new(entry)) }
        }
        // Of targets with the same series those come first that went first.
        gone.sort_by_key(|entry| entry.missed_ms);
        for mut entry in gone.into_iter().chain(entries) {
            turns.next().await;
            if entry.missed_ms.is_none() {
                let status = self.statuses.remove(&entry.job.name, entry.labels.fingerprint());
                entry.job.metrics.turned(status.map(|status| status.health), None);
                entry.job.metrics.targets.dec();
            }
            if stale && entry.end == End::Stale {
                let at_ms = entry.missed_ms.map_or(now, |missed| missed.min(now));
                self.delivery.gone(&mut entry, &[], at_ms);
            }
        }
    }
}

/// How long a target is left alone after this error: as it asks for, if the job lets it.
fn rest(error: &ScrapeError, job: &Job) -> Option<Duration> {
    let Retry::After(wait) = error.retry() else { return None };
    Some(wait.min(job.honor_retry_after)).filter(|wait| !wait.is_zero())
}

fn fingerprint((labels, _): &(Labels, u32)) -> u64 {
    labels.fingerprint()
}

/// A hash of a place.
fn spread(slot: u32) -> u64 {
    xxh3_64(&slot.to_le_bytes())
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

/// When a scrape began, by the clock.
fn began(ticket: Ticket) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(ticket.wall)
}

/// Counts a scrape, and writes down that it failed.
fn count(entry: &Entry, taken: &TakenScrape, error: Option<&Report>, ticket: Ticket) {
    let report = &taken.report;
    let metrics = &entry.job.metrics;
    match error {
        None => metrics.succeeded.inc(),
        Some(error) => {
            metrics.failed(&error.code);
            let url = || url(&entry.job, &entry.labels);
            debug!(job = &*entry.job.name, target = url(), %error, code = error.code, "scrape failed");
            if let Some(log) = &entry.job.failure_log {
                log.note(began(ticket), &entry.job.name, &url(), error);
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
}

/// Says how a target is now.
fn tell(entry: &Entry, taken: &TakenScrape, error: Option<Arc<Report>>, ticket: Ticket, statuses: &Statuses) {
    let TakenScrape { error: cause, report, .. } = taken;
    let wall = began(ticket);
    // Or it snoozes already.
    let asks = cause.as_ref().and_then(|cause| rest(cause, &entry.job));
    let rests = asks.or_else(|| entry.snoozing.as_ref().map(|snoozing| snoozing.0 - ticket.started));
    let snoozed_until = rests.filter(|_| error.is_some()).map(|rests| wall + rests);
    statuses.update(&entry.job.name, entry.labels.fingerprint(), |status| {
        let health = if report.up { Health::Up } else { Health::Down };
        entry.job.metrics.turned(Some(status.health), Some(health));
        status.health = health;
        status.last_scrape = Some(wall);
        status.duration = Duration::from_secs_f64(report.seconds);
        status.snoozed_until = snoozed_until;
        status.outcomes.note(!report.up);
        if let Some(error) = &error {
            status.last_failure = Some(Arc::new((wall, Arc::clone(error))));
        }
        status.error = error;
        // A body that was too large has no size.
        status.bytes = u32::try_from(report.body_bytes.max(0)).unwrap_or(u32::MAX);
        if report.up {
            status.samples = report.ingested.scraped;
        }
        let families = entry.track.families();
        if status.metadata.as_ref().map(Arc::as_ptr) != families.map(Arc::as_ptr) {
            status.metadata = families.cloned();
        }
    });
}
