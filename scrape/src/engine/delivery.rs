//! From a scrape that ended to the sink. A panic on the way costs this scrape, and nothing else: memory that is half
//! written is made anew, and so is what is remembered of the target.
//!
//! What is large is looked at elsewhere, and handed over elsewhere, one after the other. In between the shard says whether it
//! still counts; from then on it does, and what else is said with the key of its target stands behind it.

use std::fmt;
use std::sync::Arc;

use rosterd_client::Secrets;
use rosterd_model::Labels;
use rosterd_ship::Block;
use rosterd_tasks::{Guard, Panicked, blocking};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::entry::Entry;
use super::fetch::{Body, url};
use super::take::{Intake, TakenScrape};
use crate::error::ScrapeError;
use crate::ingest::{Families, Report, Track};
use crate::job::Job;
use crate::sink::Sink;

/// Turns what scrapes gave into samples, one scrape after the other, and hands them on.
pub(super) struct Delivery {
    intake: Intake,
    families: Families,
    sink: Arc<dyn Sink>,
    guard: Guard,
    /// One large body at a time.
    turns: Arc<Semaphore>,
    /// The key of the target whose body is being handed over, and what stands behind it.
    behind: Option<(u64, Vec<Block>)>,
}

/// What a body became elsewhere.
pub(super) struct Elsewhere {
    /// The target, as it was when it went away, with what is remembered of its series from now on.
    pub(super) copy: Entry,
    intake: Intake,
    taken: Result<TakenScrape, Panicked>,
    turn: Option<OwnedSemaphorePermit>,
}

/// A body was handed over elsewhere, or half of it before a panic.
pub(super) struct HandedOver {
    result: Result<TakenScrape, Panicked>,
    _turn: Option<OwnedSemaphorePermit>,
}

/// Names a target in the log.
struct Named(Arc<Job>, Labels);

impl Named {
    fn of(entry: &Entry) -> Self {
        Self(Arc::clone(&entry.job), entry.labels.clone())
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scrape of {}", url(&self.0, &self.1))
    }
}

impl Delivery {
    pub(super) fn new(families: Families, sink: Arc<dyn Sink>, guard: Guard) -> Self {
        let turns = Arc::new(Semaphore::new(1));
        Self { intake: Intake::new(families.clone()), families, sink, guard, turns, behind: None }
    }

    /// Hands on what a scrape gave, and says what it came to.
    pub(super) fn scraped(
        &mut self,
        entry: &mut Entry,
        fetched: Result<Body, ScrapeError>,
        at_ms: i64,
        seconds: impl Fn() -> f64,
    ) -> TakenScrape {
        match self.try_scraped(entry, fetched, at_ms, &seconds) {
            Ok(taken) => taken,
            Err(panicked) => self.panicked(entry, &panicked, at_ms, seconds),
        }
    }

    /// Looks elsewhere at what a scrape gave, for a target of which this is a copy.
    pub(super) fn elsewhere(
        &self,
        mut copy: Entry,
        fetched: Result<Body, ScrapeError>,
        at_ms: i64,
        seconds: Box<dyn Fn() -> f64 + Send>,
    ) -> impl Future<Output = Box<Elsewhere>> + Send + use<> {
        let (families, guard) = (self.families.clone(), self.guard.clone());
        let turns = Arc::clone(&self.turns);
        async move {
            // It is closed by nobody.
            let turn = turns.acquire_owned().await.ok();
            blocking(move || {
                let mut intake = Intake::new(families);
                let name = Named::of(&copy);
                let taken = guard.call(&name, || intake.take(&mut copy, fetched, at_ms, seconds));
                Box::new(Elsewhere { copy, intake, taken, turn })
            })
            .await
        }
    }

    /// Hands over elsewhere what a body became. From now on this is what the target has said; until [`handed_over`] is told
    /// of the end, what else is said with its key waits.
    ///
    /// [`handed_over`]: Self::handed_over
    pub(super) fn hand_over(
        &mut self,
        entry: &mut Entry,
        elsewhere: Box<Elsewhere>,
    ) -> impl Future<Output = HandedOver> + Send + use<> {
        let Elsewhere { copy, mut intake, taken, turn } = *elsewhere;
        let (name, key) = (Named::of(entry), entry.key);
        let (guard, sink) = (self.guard.clone(), Arc::clone(&self.sink));
        if taken.is_ok() {
            entry.track = copy.track;
            self.behind = Some((key, Vec::new()));
        }
        blocking(move || {
            let hand_over =
                |taken| guard.call(&name, || intake.each_block(|block| sink.push(key, block))).map(|()| taken);
            HandedOver { result: taken.and_then(hand_over), _turn: turn }
        })
    }

    /// Whether a body is being handed over.
    pub(super) fn is_handing_over(&self) -> bool {
        self.behind.is_some()
    }

    /// Takes note that a body was handed over, for a target that is perhaps not there any more, and lets follow what stood
    /// behind it. Returns what the scrape came to.
    pub(super) fn handed_over(
        &mut self,
        entry: Option<&mut Entry>,
        handed: HandedOver,
        at_ms: i64,
        seconds: impl Fn() -> f64,
    ) -> Option<TakenScrape> {
        let behind = self.behind.take();
        let taken = match (handed.result, entry) {
            (Ok(taken), _) => Some(taken),
            (Err(panicked), Some(entry)) => Some(self.panicked(entry, &panicked, at_ms, seconds)),
            (Err(_), None) => None,
        };
        if let Some((key, blocks)) = behind {
            let sink = &self.sink;
            // Logged and counted is all there is to do about a panic, here and below.
            self.guard
                .call(&"what follows a large body", || blocks.iter().for_each(|block| sink.push(key, block)))
                .ok();
        }
        taken
    }

    /// The scrape failed by a panic.
    fn panicked(
        &mut self,
        entry: &mut Entry,
        panicked: &Panicked,
        at_ms: i64,
        seconds: impl Fn() -> f64,
    ) -> TakenScrape {
        let failed = || ScrapeError::Panicked { message: panicked.0.clone() };
        // The series that are known are stale, unless it is they that cannot be told.
        let taken = self.try_scraped(entry, Err(failed()), at_ms, &seconds).unwrap_or_else(|_| {
            let report =
                Report { seconds: seconds(), timeout_seconds: entry.timeout.as_secs_f64(), ..Report::default() };
            TakenScrape { error: Some(failed()), report, secrets: Secrets::default() }
        });
        entry.track = Track::default();
        taken
    }

    fn try_scraped(
        &mut self,
        entry: &mut Entry,
        fetched: Result<Body, ScrapeError>,
        at_ms: i64,
        seconds: impl Fn() -> f64,
    ) -> Result<TakenScrape, Panicked> {
        self.guarded(entry, |intake, entry| intake.take(entry, fetched, at_ms, seconds))
    }

    /// Marks automatic series as stale that a target does not have any more, now that its job is another one.
    pub(super) fn replaced(&mut self, entry: &mut Entry, before: &Job, at_ms: i64) {
        let (old, new) = (&before.rules, &entry.job.rules);
        if old.external != new.external || old.extra_metrics != new.extra_metrics {
            self.guarded(entry, |intake, entry| intake.replaced(entry, before, at_ms)).ok();
        }
    }

    /// Marks everything that a target had as stale, but for what `others` have: it is gone.
    pub(super) fn gone(&mut self, entry: &mut Entry, others: &[&Entry], at_ms: i64) {
        self.guarded(entry, |intake, entry| intake.end(entry, others, at_ms)).ok();
    }

    fn guarded<T>(
        &mut self,
        entry: &mut Entry,
        fill: impl FnOnce(&mut Intake, &mut Entry) -> T,
    ) -> Result<T, Panicked> {
        let name = Named::of(entry);
        let Self { intake, sink, behind, .. } = self;
        let mut behind = behind.as_mut().filter(|(key, _)| *key == entry.key);
        let result = self.guard.call(&name, || {
            let filled = fill(intake, entry);
            intake.each_block(|block| match &mut behind {
                Some((_, waiting)) => waiting.push(block.clone()),
                None => sink.push(entry.key, block),
            });
            intake.shrink();
            filled
        });
        if result.is_err() {
            self.intake = Intake::new(self.families.clone());
        }
        result
    }
}
