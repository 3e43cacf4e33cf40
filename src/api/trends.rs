//! How many targets there were, and how many samples were sent, over the last day: what the charts of the pages show. It is kept in
//! memory, and bounded; how many targets each job had before the process began is found in the journal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rosterd_scrape::Statuses;
use tokio_util::sync::CancellationToken;

use crate::journal::{Counts, JournalHandle, Time};
use crate::roster::RosterHandle;
use crate::roster::view::RosterView;
use crate::scrape::RemoteWrites;

/// How often it is looked, and how many looks are kept: a day.
const EVERY: Duration = Duration::from_secs(60);
const KEPT: usize = 24 * 60;
/// Jobs are noted at every so manyth look, and no more of them than this, by name.
const SELDOM: usize = 30;
const JOBS: usize = 500;

/// The last day. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Trends(Arc<Mutex<Past>>);

#[derive(Debug, Default)]
struct Past {
    points: VecDeque<Point>,
    jobs: BTreeMap<Arc<str>, VecDeque<u32>>,
    looks: usize,
    /// What the journal knows of the time before, until a job needs it.
    before: Vec<Counts>,
}

/// All jobs together at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: SystemTime,
    pub(super) targets: usize,
    pub(super) up: usize,
    pub(super) down: usize,
    /// Samples that were sent since the start.
    pub(super) sent: u64,
}

impl Trends {
    /// Looks at once and then again and again until `stop` fires.
    pub async fn follow(
        self,
        roster: RosterHandle,
        scrapes: Statuses,
        remote_writes: RemoteWrites,
        stop: CancellationToken,
    ) {
        loop {
            let sent = remote_writes.list().iter().map(|endpoint| endpoint.samples_sent).sum();
            self.note(SystemTime::now(), &roster.view(), &scrapes, sent);
            if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Takes from the journal how many targets each job had before now. Whoever looks meanwhile does not see it yet.
    pub async fn remember(self, journal: JournalHandle, stop: CancellationToken) {
        let (now, step) = (SystemTime::now(), EVERY * u32::try_from(SELDOM).unwrap_or(u32::MAX));
        let ago = |steps: u32| now.checked_sub(step * steps).map(Time::from);
        let times = (1..u32::try_from(KEPT / SELDOM).unwrap_or(u32::MAX)).rev().filter_map(ago).collect();
        match stop.run_until_cancelled(journal.counts(times)).await {
            None => {}
            Some(Ok(counts)) => self.take(counts),
            Some(Err(error)) => tracing::debug!(%error, "the charts begin with the process"),
        }
    }

    /// Those of jobs that there are by now, and of those that come soon.
    fn take(&self, counts: Vec<Counts>) {
        let mut past = self.past();
        let Past { jobs, before, .. } = &mut *past;
        for (job, noted) in jobs {
            let earlier = earlier(&counts, job);
            let room = (KEPT / SELDOM).saturating_sub(noted.len());
            earlier.into_iter().rev().take(room).for_each(|count| noted.push_front(count));
        }
        *before = counts;
    }

    /// Notes how things are.
    fn note(&self, at: SystemTime, view: &RosterView, scrapes: &Statuses, sent: u64) {
        let mut past = self.past();
        let (mut point, seldom) = (Point { at, targets: 0, up: 0, down: 0, sent }, past.looks.is_multiple_of(SELDOM));
        past.looks += 1;
        past.jobs.retain(|job, _| view.job(job).is_some());
        for job in view.jobs() {
            let (name, targets) = (&job.spec().name, job.counts().targets);
            let [up, down, _] = scrapes.counts(name);
            (point.targets, point.up, point.down) = (point.targets + targets, point.up + up, point.down + down);
            if seldom && (past.jobs.len() < JOBS || past.jobs.contains_key(name)) {
                let Past { jobs, before, .. } = &mut *past;
                let counts = jobs.entry(Arc::clone(name)).or_insert_with(|| earlier(before, name));
                push(counts, u32::try_from(targets).unwrap_or(u32::MAX), KEPT / SELDOM);
            }
        }
        if past.looks > SELDOM {
            // A job that comes now is a new one.
            past.before = Vec::new();
        }
        push(&mut past.points, point, KEPT);
    }

    /// All jobs together, the oldest first.
    pub(super) fn points(&self) -> Vec<Point> {
        self.past().points.iter().copied().collect()
    }

    /// How many targets a job had, the oldest first.
    pub(super) fn of_job(&self, job: &str) -> Vec<u64> {
        self.past().jobs.get(job).map(|counts| counts.iter().copied().map(u64::from).collect()).unwrap_or_default()
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many targets a job had, the oldest first; nothing of one that the journal does not know.
fn earlier(counts: &[Counts], job: &str) -> VecDeque<u32> {
    let of_job = |counts: &Counts| counts.jobs.get(job).map_or(0, |count| u32::try_from(*count).unwrap_or(u32::MAX));
    let known = counts.iter().position(|counts| counts.jobs.contains_key(job)).unwrap_or(counts.len());
    counts[known..].iter().map(of_job).collect()
}

fn push<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    if kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(new);
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked_live;

    use super::*;
    use crate::api::tests::{Face, group, job};

    #[test]
    fn what_the_journal_knows_comes_before_what_is_noted() {
        leak_checked_live(async || {
            let face = Face::start(|_| {}).await;
            let jobs = |names: &[&str]| names.iter().map(|name| job(name, "static/1", "[]")).collect();
            face.handle.set_jobs(jobs(&["one"]), Duration::ZERO).await;
            face.report("static/1", vec![group("s", &["a:1", "b:1"])]).await;
            let (trends, statuses) = (Trends::default(), Statuses::default());
            let note = |minute: u64| {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minute);
                trends.note(at, &face.handle.view(), &statuses, minute);
            };
            note(0);
            let before = |at: i64, jobs: &[(&str, usize)]| Counts {
                at: Time(at),
                jobs: jobs.iter().map(|(job, count)| (Arc::from(*job), *count)).collect(),
            };
            trends.take(vec![
                before(1, &[("two", 7), ("gone", 5)]),
                before(2, &[("one", 4), ("two", 8)]),
                before(3, &[("two", 9)]),
            ]);
            assert_eq!(trends.of_job("one"), [4, 0, 2], "it came at the second time, and had none at the third");
            face.handle.set_jobs(jobs(&["one", "two"]), Duration::ZERO).await;
            (1..=30).for_each(note);
            assert_eq!(trends.of_job("two"), [7, 8, 9, 2]);
            assert_eq!(trends.of_job("gone"), [0; 0]);
            face.handle.set_jobs(jobs(&["one"]), Duration::ZERO).await;
            (31..60).for_each(note);
            face.handle.set_jobs(jobs(&["one", "two"]), Duration::ZERO).await;
            note(60);
            assert_eq!(trends.of_job("two"), [2], "one that came later is a new one");
            trends.take((0..100).map(|at| before(at, &[("one", 1)])).collect());
            assert_eq!(trends.of_job("one").len(), KEPT / SELDOM);
            face.stop().await;
        });
    }

    #[test]
    fn a_day_is_kept_and_jobs_that_are_gone_are_not() {
        leak_checked_live(async || {
            let face = Face::start(|_| {}).await;
            let jobs = |names: &[&str]| names.iter().map(|name| job(name, "static/1", "[]")).collect();
            face.handle.set_jobs(jobs(&["one", "two"]), Duration::ZERO).await;
            face.report("static/1", vec![group("s", &["a:1", "b:1"])]).await;
            let (trends, statuses) = (Trends::default(), Statuses::default());
            let note = |minute: u64| {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minute);
                trends.note(at, &face.handle.view(), &statuses, minute);
            };
            (0..1500).for_each(note);
            let points = trends.points();
            assert_eq!((points.len(), points[0].sent, points[KEPT - 1].sent), (KEPT, 60, 1499));
            assert_eq!((points[0].targets, trends.of_job("one")), (4, vec![2; KEPT / SELDOM]));
            face.handle.set_jobs(jobs(&["two"]), Duration::ZERO).await;
            note(1500);
            assert_eq!((trends.of_job("one").len(), trends.of_job("two").len()), (0, KEPT / SELDOM));
            face.stop().await;
        });
    }
}
