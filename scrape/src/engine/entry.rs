//! A target at rest: some 250 bytes, besides its labels, its socket and what is remembered of its series.
//!
//! One that is gone from its job stays for a little more than two intervals, as in Prometheus: discovery may have flapped.
//! If it comes back in this time, or another one with the same labels for its series, its series go on. Otherwise they are
//! marked as stale, at the time of the first scrape that was missed.

use std::sync::Arc;
use std::time::Duration;

use rosterd_client::Connection;
use rosterd_exposition::HistogramOptions;
use rosterd_model::Labels;
use rosterd_model::labels::{ADDRESS, SCHEME};
use rosterd_model::target::{
    ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, CONVERT_CLASSIC_HISTOGRAMS, SCRAPE_NATIVE_HISTOGRAMS, Target, UNIX_SOCKET,
};
use tokio::time::Instant;

use crate::error::ScrapeError;
use crate::ingest::Track;
use crate::job::Job;
use crate::schedule::Grid;

/// What becomes of the series of a target that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// They end.
    Stale,
    /// Another agent goes on with them.
    Elsewhere,
}

/// A target of a shard.
pub(super) struct Entry {
    pub(super) job: Arc<Job>,
    pub(super) labels: Labels,
    /// The hash of the labels that its series have in common.
    pub(super) key: u64,
    /// Tells what is due of it from what was due at the same place before.
    pub(super) generation: u32,
    /// Which scrape is under way.
    pub(super) flight: Option<u32>,
    pub(super) grid: Grid,
    pub(super) timeout: Duration,
    /// Taken by a scrape that is under way.
    pub(super) connection: Connection,
    /// That connection was made by other settings.
    renews: bool,
    pub(super) track: Track,
    /// The timestamp of the last scrape, if there was one.
    pub(super) scraped_ms: Option<i64>,
    /// It is gone: the timestamp that its next scrape would have had.
    pub(super) missed_ms: Option<i64>,
    /// What becomes of its series then.
    pub(super) end: End,
    /// Until when it asked to be left alone, and by what.
    pub(super) snoozing: Option<Box<(Instant, Arc<ScrapeError>)>>,
}

impl Entry {
    pub(super) fn new(job: Arc<Job>, labels: Labels, key: u64, generation: u32) -> Self {
        let target = Target(&labels);
        let grid = Grid::new(&labels, duration(target.interval()), job.seed);
        let timeout = duration(target.timeout());
        Self {
            job,
            labels,
            key,
            generation,
            flight: None,
            grid,
            timeout,
            connection: Connection::default(),
            renews: false,
            track: Track::default(),
            scraped_ms: None,
            missed_ms: None,
            end: End::Stale,
            snoozing: None,
        }
    }

    /// A copy for a thread that looks at a body while this one stays, as it was, where it is.
    pub(super) fn copy(&self) -> Self {
        Self {
            job: Arc::clone(&self.job),
            labels: self.labels.clone(),
            connection: Connection::default(),
            track: self.track.clone(),
            snoozing: None,
            ..*self
        }
    }

    /// Begins a scrape, and hands over the connection.
    pub(super) fn take_off(&mut self, flight: u32) -> Connection {
        self.flight = Some(flight);
        self.renews = false;
        std::mem::take(&mut self.connection)
    }

    /// The scrape that was under way has ended.
    pub(super) fn land(&mut self, connection: Connection) {
        self.flight = None;
        if !self.renews {
            self.connection = connection;
        }
    }

    /// Does without the connection that there is.
    fn renew(&mut self) {
        self.connection = Connection::default();
        self.renews = true;
    }

    /// Whether anything was ever told of it, or may be in a moment.
    pub(super) fn has_said_something(&self) -> bool {
        self.track.has_said_something() || self.flight.is_some()
    }

    /// It is gone from its job, at this time. Returns for how long it stays.
    pub(super) fn leave(&mut self, end: End, wall: u64) -> Duration {
        self.end = end;
        self.renew();
        let next = self.grid.until_next(wall);
        let missed_ms = self.grid.timestamp(wall.saturating_add(nanoseconds(next)));
        self.missed_ms = Some(missed_ms);
        self.not_before_the_last();
        let interval = self.grid.interval();
        // As long as Prometheus: whoever comes back has been scraped by then.
        next + interval + interval / 10
    }

    /// A scrape with this timestamp was told of.
    pub(super) fn scraped(&mut self, at_ms: i64) {
        self.scraped_ms = Some(at_ms);
        self.not_before_the_last();
    }

    /// The scrape that is missed comes after the last one, though that began when its target was gone already.
    fn not_before_the_last(&mut self) {
        if let (Some(missed), Some(last)) = (&mut self.missed_ms, self.scraped_ms)
            && *missed <= last
        {
            *missed = last + self.grid.interval().as_millis() as i64;
        }
    }

    /// Takes over what a target left that had the same series, and the scrape that it has under way.
    pub(super) fn succeed(&mut self, before: Self) {
        self.track = before.track;
        self.flight = before.flight;
        self.scraped_ms = before.scraped_ms;
        let rules_changed = before.job.rules != self.job.rules;
        if rules_changed {
            self.track.rules_changed();
        }
        let same = |name| before.labels.get(name) == self.labels.get(name);
        if [ADDRESS, SCHEME, UNIX_SOCKET].into_iter().all(same) && Arc::ptr_eq(&before.job, &self.job) {
            (self.connection, self.renews) = (before.connection, before.renews);
            self.snoozing = before.snoozing;
        } else {
            self.renew();
        }
    }

    /// Follows the settings of its job.
    pub(super) fn set_job(&mut self, job: &Arc<Job>) {
        if job.rules != self.job.rules {
            self.track.rules_changed();
        }
        if job.seed != self.job.seed {
            self.grid = Grid::new(&self.labels, duration(Target(&self.labels).interval()), job.seed);
        }
        self.renew();
        self.snoozing = None;
        self.job = Arc::clone(job);
    }

    /// What becomes of histograms.
    pub(super) fn histograms(&self) -> HistogramOptions {
        histograms(&self.labels)
    }
}

/// What becomes of the histograms of a target.
pub(super) fn histograms(labels: &Labels) -> HistogramOptions {
    let is_on = |label| labels.get(label).is_some_and(|value| value.starts_with(['t', 'T', '1']));
    HistogramOptions {
        native: is_on(SCRAPE_NATIVE_HISTOGRAMS),
        always_classic: is_on(ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS),
        convert_classic: is_on(CONVERT_CLASSIC_HISTOGRAMS),
    }
}

/// In nanoseconds, as clocks count.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The roster has checked these labels.
pub(super) fn duration(text: &str) -> Duration {
    text.parse::<rosterd_model::Duration>().map_or(Duration::from_secs(60), Duration::from)
}
