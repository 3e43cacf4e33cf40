//! A target at rest: some 250 bytes, besides its labels, its socket and what is remembered of its series.

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

/// A target of a shard.
pub(super) struct Entry {
    pub(super) job: Arc<Job>,
    pub(super) labels: Labels,
    /// The hash of the labels that its series have in common.
    pub(super) key: u64,
    /// Tells this target from others that were in the same place of the list before.
    pub(super) generation: u32,
    pub(super) grid: Grid,
    pub(super) timeout: Duration,
    /// Not there while a scrape is under way.
    pub(super) connection: Option<Connection>,
    pub(super) track: Track,
    /// Until when it asked to be left alone, and by what.
    pub(super) snoozing: Option<Box<(Instant, Arc<ScrapeError>)>>,
}

impl Entry {
    pub(super) fn new(job: Arc<Job>, labels: Labels, key: u64, generation: u32) -> Self {
        let target = Target(&labels);
        let grid = Grid::new(&labels, duration(target.interval()), job.seed);
        let timeout = duration(target.timeout());
        let connection = Some(Connection::default());
        Self { job, key, generation, grid, timeout, connection, track: Track::default(), snoozing: None, labels }
    }

    /// Takes over what a target left that had the same series.
    pub(super) fn succeed(&mut self, before: Self) {
        self.track = before.track;
        let rules_changed = before.job.rules != self.job.rules;
        if rules_changed {
            self.track.rules_changed();
        }
        let same = |name| before.labels.get(name) == self.labels.get(name);
        if [ADDRESS, SCHEME, UNIX_SOCKET].into_iter().all(same) && Arc::ptr_eq(&before.job, &self.job) {
            // One that is under way is lost.
            self.connection = before.connection.or(Some(Connection::default()));
            self.snoozing = before.snoozing;
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
        // Made by other settings.
        self.connection = self.connection.take().map(|_| Connection::default());
        self.snoozing = None;
        self.job = Arc::clone(job);
    }

    /// What becomes of histograms.
    pub(super) fn histograms(&self) -> HistogramOptions {
        let is_on = |label| self.labels.get(label).is_some_and(|value| value.starts_with(['t', 'T', '1']));
        HistogramOptions {
            native: is_on(SCRAPE_NATIVE_HISTOGRAMS),
            always_classic: is_on(ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS),
            convert_classic: is_on(CONVERT_CLASSIC_HISTOGRAMS),
        }
    }
}

/// The roster has checked these labels.
fn duration(text: &str) -> Duration {
    text.parse::<rosterd_model::Duration>().map_or(Duration::from_secs(60), Duration::from)
}
