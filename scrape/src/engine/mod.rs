//! The engine: scrapes targets on their schedules and hands the samples on.
//!
//! Targets are divided among shards, one task each. A shard keeps the schedule of its targets, has their scrapes under way
//! side by side, and turns bodies into samples one after the other, in memory that all its targets share; so a target at
//! rest is its labels, its socket and what tells new series from old ones. A slow target is a future that waits and
//! delays nobody.

mod delivery; // from a scrape that ended to the sink; what a panic costs
mod entry; // a target at rest
mod fetch; // a scrape under way
mod once; // one beside the schedule
mod shard; // the loop
mod slots; // all targets of a shard
mod take; // from a body to samples
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::Labels;
use rosterd_model::target::Target;
use rosterd_tasks::Turns;
use rosterd_tasks::stopper::Stopper;
use tokio::sync::{mpsc, oneshot};
use xxhash_rust::xxh3::Xxh3Default;

use crate::ingest::Families;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::sink::Sink;
use crate::status::Statuses;
pub use once::Exposition;
use shard::Shard;

/// Tells the time, in nanoseconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        })
    }

    /// A clock of one's own.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many tasks share the work: as many as there are threads.
    pub shards: usize,
    /// The clock.
    pub clock: Clock,
}

/// What changed in a job.
#[derive(Debug, Clone)]
pub struct Change {
    /// The job as it is now.
    pub job: Arc<Job>,
    /// How many targets it has and may have, if it has too many: then none of them is asked.
    pub too_many: Option<(usize, usize)>,
    /// The final labels of targets that it does not have any more.
    pub removed: Vec<Labels>,
    /// The final labels of targets that another agent scrapes from now on: their series go on, and are not marked as stale.
    pub moved: Vec<Labels>,
    /// The final labels of targets that are new.
    pub added: Vec<Labels>,
}

impl Change {
    /// None but, perhaps, that the job is another one.
    pub fn of(job: Arc<Job>) -> Self {
        Self { job, too_many: None, removed: Vec::new(), moved: Vec::new(), added: Vec::new() }
    }
}

enum Command {
    Change(Change),
    RemoveJob(Arc<Job>),
    End { stale: bool, done: oneshot::Sender<()> },
}

/// A running engine. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Engine {
    shards: Arc<[mpsc::Sender<Command>]>,
    statuses: Statuses,
}

/// How many changes a shard may have waiting; whoever brings more of them waits.
const WAITING: usize = 16;

impl Engine {
    /// Starts an engine without targets. Its tasks end with the stopper.
    pub fn start(settings: &Settings, sink: &Arc<dyn Sink>, metrics: &Metrics, stopper: &Stopper) -> Self {
        let (statuses, families) = (Statuses::default(), Families::default());
        let shards = (0..settings.shards.max(1)).map(|number| {
            let (commands, received) = mpsc::channel(WAITING);
            let shard = Shard::new(
                settings.clock.clone(),
                Arc::clone(sink),
                metrics.clone(),
                statuses.clone(),
                families.clone(),
                received,
                stopper.supervision().guard("scrape"),
            );
            // Which targets it has is known to nobody else.
            stopper.spawn_essential(("scrapes", number), shard.run(stopper.token().clone()));
            commands
        });
        Self { shards: shards.collect(), statuses }
    }

    /// What is known of each target.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Brings the targets of a job to what they should be. A target that takes the place of one with equal labels for its
    /// series, such as one with another interval, goes on with these series. Those of a target that is gone are marked as
    /// stale after a little more than two intervals, at the time of the first scrape that was missed, unless it comes back.
    pub async fn change(&self, change: Change) {
        let count = self.shards.len();
        let mut parts: Vec<_> =
            (0..count).map(|_| Change { too_many: change.too_many, ..Change::of(Arc::clone(&change.job)) }).collect();
        let mut turns = Turns::default();
        for labels in change.removed {
            turns.next().await;
            parts[key(&labels) as usize % count].removed.push(labels);
        }
        for labels in change.moved {
            turns.next().await;
            parts[key(&labels) as usize % count].moved.push(labels);
        }
        for labels in change.added {
            turns.next().await;
            parts[key(&labels) as usize % count].added.push(labels);
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            // A shard that is gone has ended with the stopper.
            shard.send(Command::Change(part)).await.ok();
        }
    }

    /// Ends all scrapes of a job. Its targets are gone as those are that a change removes.
    pub async fn remove_job(&self, job: &Arc<Job>) {
        for shard in self.shards.iter() {
            shard.send(Command::RemoveJob(Arc::clone(job))).await.ok();
        }
        job.metrics.remove();
    }

    /// Ends all scrapes, and returns when all that they had to say was handed on. With `stale`, series are marked as such.
    pub async fn end(&self, stale: bool) {
        for shard in self.shards.iter() {
            let (done, ended) = oneshot::channel();
            if shard.send(Command::End { stale, done }).await.is_ok() {
                // It may end with its stopper instead.
                ended.await.ok();
            }
        }
    }
}

/// A hash of what the series of a target have in common: its labels but for those that begin with `__`.
fn key(labels: &Labels) -> u64 {
    let mut hasher = Xxh3Default::new();
    for text in Target(labels).public().flat_map(|(name, value)| [name, value]) {
        hasher.update(text.as_bytes());
        hasher.update(&[0xff]);
    }
    hasher.digest()
}
