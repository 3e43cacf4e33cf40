//! The worker of one output.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd_model::{Coded, Report};
use rosterd_tasks::files::Stamp;
use rosterd_tasks::{Schedule, blocking};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::content::{Content, content, pieces};
use super::desired;
use super::pace::Pace;
use super::publisher::{Publisher, Reader};
use super::write::{Disk, is_content, is_unreadable, replace};
use super::{FileSdError, Format, Output};
use crate::reconcile::steps::Tried;
use crate::reconcile::{Outcome, Spec, Work, Worker};
use crate::roster::view::JobView;
use crate::store::ledger::Action;

/// How often a file is looked at that nothing happened to: twice a minute, so that it is put right within one.
const LOOK: Duration = Duration::from_secs(25);
/// How long a worker that is to stop waits for its turn and its disk.
const GRACE: Duration = Duration::from_secs(1);
/// How long an operation waits for its turn and its disk before it tells that the disk does not answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so long an operation looks again whether it is known what the file should be.
const UNKNOWN: Duration = Duration::from_secs(1);
/// The longest wait before a file is tried again that could not be written.
const LONGEST: Duration = Duration::from_secs(60);

impl Spec for Output {
    fn kind(&self) -> &'static str {
        "file_sd"
    }

    /// Each write brings the whole file to where it should be.
    fn needs_record(&self) -> bool {
        false
    }

    fn begins_again(&self) -> bool {
        true
    }
}

/// Writes the file of one output. What works is no decision, and none of it is in the ledger; what does not is an operation, until
/// the file is as it should be.
pub(super) struct FileSdWorker {
    publisher: Publisher,
    reader: Option<Reader>,
    pace: Pace,
    /// What this process knows of the file; `None` before it has looked.
    known: Option<Known>,
    /// Since a write has failed, until one works.
    failing: Option<Failing>,
    /// What the reconciler shows of it.
    shown: Shown,
}

/// The file when it was last written or looked at.
#[derive(Debug, Clone, Copy)]
struct Known {
    revision: u128,
    format: Format,
    at: Instant,
    /// `None` when it could not be seen.
    stamp: Option<Stamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Nothing was looked at yet.
    Nothing,
    Good,
    Waiting,
    Failing,
}

/// A file that could not be written.
struct Failing {
    /// Why, as long as no operation has told it.
    untold: Option<FileSdError>,
    /// Why, as an operation that was given up has told it.
    told: Option<Report>,
    schedule: Schedule,
    /// When it is tried again.
    until: Instant,
}

impl Failing {
    fn new(error: FileSdError, path: &Path) -> Self {
        let schedule = Schedule::new(LONGEST, &path.to_string_lossy());
        Self { untold: Some(error), told: None, schedule, until: Instant::now() }
    }
}

/// What an operation for a file that could not be written comes to.
enum Retried {
    /// The file is as it should be.
    Good,
    /// It is not known what it should be.
    Unknown,
    Failed(FileSdError),
}

/// What has to be done about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Write what it does not have yet; before that, look whether it has it already.
    First,
    /// Write other content.
    Change,
    /// Look whether somebody else touched it.
    Look,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Written,
    WasThere,
}

impl FileSdWorker {
    /// A worker that has not looked at its file yet.
    pub(super) fn new(publisher: &Publisher) -> Self {
        let publisher = publisher.clone();
        Self { publisher, reader: None, pace: Pace::default(), known: None, failing: None, shown: Shown::Nothing }
    }

    /// What has to be done about the file, if it should have this content, and after what time.
    fn task(&self, format: Format, revision: u128, now: Instant) -> (Task, Duration) {
        let Some(known) = &self.known else { return (Task::First, self.pace.wait(now)) };
        if (known.revision, known.format) != (revision, format) {
            return (Task::Change, self.pace.wait(now));
        }
        (Task::Look, (known.at + LOOK).saturating_duration_since(now).max(self.pace.wait(now)))
    }

    /// Tries once more what failed, for an operation.
    async fn try_again(&mut self, output: &Output) -> Retried {
        if let Some(error) = self.failing.as_mut().and_then(|failing| failing.untold.take()) {
            return Retried::Failed(error);
        }
        let view = Arc::clone(&self.publisher.roster.borrow());
        if !self.publisher.wants(output) {
            return Retried::Unknown;
        }
        let Content::Jobs { revision, jobs } = content(output, &view) else { return Retried::Unknown };
        drop(view);
        match self.carry_out_in_time(output, revision, jobs).await {
            Ok(_) => Retried::Good,
            Err(error) => Retried::Failed(error),
        }
    }

    /// Writes the file, unless its disk does not answer.
    async fn carry_out_in_time(
        &mut self,
        output: &Output,
        revision: u128,
        jobs: Arc<[Arc<JobView>]>,
    ) -> Result<Came, FileSdError> {
        let tried = timeout(PATIENCE, self.carry_out(output, Task::First, revision, jobs)).await;
        tried.unwrap_or_else(|_| Err(FileSdError::Hangs { path: output.path.clone() }))
    }

    /// What came of an operation, of which so many tries failed before.
    fn tried(&mut self, output: &Output, result: Retried, before: u32) -> Outcome {
        let error = match result {
            Retried::Good => {
                self.shown = Shown::Good;
                self.is_good(output);
                return Outcome::Done;
            }
            Retried::Unknown => return Outcome::Snooze(UNKNOWN),
            Retried::Failed(error) => error,
        };
        if !error.tries().is_over(before) {
            return Outcome::Retry(Report::of(&error));
        }
        self.shown = Shown::Failing;
        let report = Report::of(&error);
        if let Some(failing) = &mut self.failing {
            failing.told = Some(report.clone());
        }
        self.wait_longer(output, &error);
        Outcome::Cancel(report)
    }

    /// Nothing fails any more.
    fn is_good(&mut self, output: &Output) {
        self.failing = None;
        self.publisher.statuses.edit(&output.path, |status| status.next_try = None);
    }

    /// It failed once more: it is tried again later.
    fn wait_longer(&mut self, output: &Output, error: &FileSdError) {
        let Some(failing) = &mut self.failing else { return };
        let wait = failing.schedule.failed(error.retry());
        failing.until = Instant::now() + wait;
        let next = SystemTime::now().checked_add(wait);
        self.publisher.statuses.edit(&output.path, |status| status.next_try = next);
    }

    /// Tries again what an operation was given up for. What comes of it is an operation if it is anything else than before.
    async fn try_quietly(&mut self, output: &Output, revision: u128, jobs: Arc<[Arc<JobView>]>) -> Option<Outcome> {
        match self.carry_out_in_time(output, revision, jobs).await {
            Ok(_) => self.is_good(output),
            Err(error) => {
                let failing = self.failing.as_mut()?;
                if failing.told.as_ref() == Some(&Report::of(&error)) {
                    self.wait_longer(output, &error);
                    return None;
                }
                failing.untold = Some(error);
            }
        }
        Some(Outcome::Begin)
    }

    /// Does what has to be done. A failure leaves it to be done.
    ///
    /// Dropped before it is over, it leaves the call to its end: nobody else touches the file until then.
    async fn carry_out(
        &mut self,
        output: &Output,
        task: Task,
        revision: u128,
        jobs: Arc<[Arc<JobView>]>,
    ) -> Result<Came, FileSdError> {
        let stamp = self.known.and_then(|known| known.stamp);
        let Some(touched) = self.publisher.touch(&output.path) else {
            self.known = None;
            return Err(FileSdError::Hangs { path: output.path.clone() });
        };
        // Only a runtime that shuts down closes it.
        let permit = Arc::clone(&self.publisher.writing).acquire_owned().await.ok();
        let (disk, spec) = (Arc::clone(&self.publisher.disk), output.clone());
        let begun = Instant::now();
        let result = blocking(move || {
            let _until_it_ends = (permit, touched);
            carry_out(&*disk, &spec, task, stamp, &jobs)
        })
        .await;
        let now = Instant::now();
        match result {
            Ok((came, stamp)) => {
                self.known = Some(Known { revision, format: output.format, at: now, stamp });
                let written = (came == Came::Written).then(SystemTime::now);
                if written.is_some() {
                    self.pace.wrote(begun, now);
                }
                self.publisher.statuses.edit(&output.path, |status| {
                    status.last_written = written.or(status.last_written);
                    status.reached = Some(desired::revision(output));
                });
                Ok(came)
            }
            Err(error) => {
                self.pace.wrote(begun, now);
                self.known = None;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Worker<Output> for FileSdWorker {
    /// Nothing has to be done to begin, nor to end: the file stays, as whoever reads it must not lose targets because a
    /// line of configuration went. What could not be written is.
    async fn run(&mut self, work: &Work<Output>, stop: &CancellationToken) -> Outcome {
        if work.action == Action::Stop {
            self.publisher.statuses.remove(&work.spec.path);
            return Outcome::Done;
        }
        if self.failing.is_none() {
            self.shown = Shown::Nothing;
            return Outcome::Begun;
        }
        match unless_it_hangs(stop, self.try_again(&work.spec)).await {
            Some(result) => self.tried(&work.spec, result, work.attempt),
            // It is begun anew when rosterd starts.
            None => Outcome::Snooze(Duration::ZERO),
        }
    }

    async fn keep(&mut self, output: &Output, stop: &CancellationToken) -> Outcome {
        if self.reader.as_ref().is_none_or(|reader| !reader.reads(&output.jobs)) {
            self.reader = Some(self.publisher.subscribe(&output.jobs));
        }
        let mut wanted = self.publisher.wanted.clone();
        loop {
            wanted.mark_unchanged();
            let view = Arc::clone(&self.publisher.roster.borrow());
            let wait = match content(output, &view) {
                // The view may be that of another configuration, by which this worker is about to stop or be told otherwise.
                _ if !self.publisher.wants(output) => None,
                Content::Unknown => {
                    if std::mem::replace(&mut self.shown, Shown::Waiting) != Shown::Waiting {
                        return Outcome::Snooze(Duration::ZERO);
                    }
                    None
                }
                Content::Jobs { revision, jobs } if self.failing.is_some() => {
                    let until = self.failing.as_ref().map_or_else(Instant::now, |failing| failing.until);
                    let wait = until.saturating_duration_since(Instant::now());
                    if wait.is_zero() {
                        drop(view);
                        match unless_it_hangs(stop, self.try_quietly(output, revision, jobs)).await {
                            Some(None) => continue,
                            Some(Some(outcome)) => return outcome,
                            None => return Outcome::Done,
                        }
                    }
                    Some((Task::Change, wait))
                }
                Content::Jobs { revision, jobs } => {
                    let (task, wait) = self.task(output.format, revision, Instant::now());
                    if wait.is_zero() {
                        let working = self.carry_out(output, task, revision, jobs);
                        let Some(result) = unless_it_hangs(stop, working).await else {
                            warn!(file = %output.path.display(), "not waiting for the disk, which does not answer");
                            return Outcome::Done;
                        };
                        match result {
                            Ok(came) => {
                                let before = std::mem::replace(&mut self.shown, Shown::Good);
                                if (came, before) != (Came::WasThere, Shown::Good) {
                                    return Outcome::Done;
                                }
                                continue;
                            }
                            Err(error) => {
                                self.failing = Some(Failing::new(error, &output.path));
                                return Outcome::Begin;
                            }
                        }
                    }
                    Some((task, wait))
                }
            };
            drop(view);
            let reader = self.reader.as_ref();
            let changed = async {
                match (reader, wait) {
                    // It is known already that it is another one: only the latest is written.
                    (Some(reader), None | Some((Task::Look, _))) => reader.changed().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Outcome::Done,
                () = changed => {}
                // Its owner is gone when the agent ends.
                Ok(()) = wanted.changed() => {}
                () = tokio::time::sleep(wait.map_or(LOOK, |(_, wait)| wait)) => {}
            }
        }
    }
}

/// What the work comes to; `None` when the worker is to stop, and it does not come to an end soon.
pub(in crate::publish) async fn unless_it_hangs<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = too_late => None,
    }
}

/// Looks at the file and writes it if need be. Returns its stamp.
fn carry_out(
    disk: &dyn Disk,
    output: &Output,
    task: Task,
    stamp: Option<Stamp>,
    jobs: &[Arc<JobView>],
) -> Result<(Came, Option<Stamp>), FileSdError> {
    let (path, content): (&Path, _) = (&output.path, || pieces(output.format, jobs));
    // Before the content is read: a change after it is seen by the next look.
    let now = Stamp::at(path).ok();
    let untouched = || stamp.zip(now).is_some_and(|(before, now)| before.is_settled_at(&now));
    let has_content = || is_content(path, content()).map(|same| same && !is_unreadable(path));
    let as_it_should_be = match task {
        Task::Change => Ok(false),
        Task::Look if untouched() => Ok(true),
        Task::First | Task::Look => has_content(),
    };
    match as_it_should_be {
        Ok(true) => {
            debug!(file = %path.display(), "the file is up to date");
            return Ok((Came::WasThere, now));
        }
        Ok(false) if task == Task::Look => {
            warn!(file = %path.display(), "somebody else changed the file, it is written again");
        }
        Err(error) if task == Task::Look => {
            warn!(file = %path.display(), %error, "cannot read the file, it is written again");
        }
        Ok(false) | Err(_) => {}
    }
    replace(disk, path, content())?;
    info!(file = %path.display(), "file written");
    Ok((Came::Written, Stamp::at(path).ok()))
}
