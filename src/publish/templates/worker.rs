//! The worker of one template: watches the roster, the template and the file, and begins an operation when the file should
//! be another one.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd_model::Report;
use rosterd_tasks::blocking;
use rosterd_tasks::watch::Watcher;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::info;

use super::engine::{Bounds, ReadFiles};
use super::look::{Last, Look};
use super::place::Files;
use super::publisher::Templates;
use super::refusals::{Refusals, What};
use super::steps::STEPS;
use super::{Rendered, Template, TemplateError, desired, render};
use crate::publish::file_sd::FileSdError;
use crate::publish::file_sd::publisher::Reader;
use crate::publish::file_sd::worker::unless_it_hangs;
use crate::publish::file_sd::write::Disk;
use crate::reconcile::steps::{Then, carry_out};
use crate::reconcile::{Outcome, Work, Worker};
use crate::roster::view::JobView;
use crate::store::ledger::Action;

/// A template that is being rendered. Dropped, it ends soon.
pub(super) struct Rendering {
    pub(super) jobs: Vec<Arc<JobView>>,
    pub(super) coming: Pin<Box<dyn Future<Output = Came> + Send>>,
    _stop: DropGuard,
}

/// What came of it, and the files that it was made of.
pub(super) type Came = (Result<Rendered, TemplateError>, ReadFiles);

impl Rendering {
    /// One that is over.
    pub(super) fn over(jobs: Vec<Arc<JobView>>, came: Came) -> Self {
        let coming = Box::pin(std::future::ready(came));
        Self { jobs, coming, _stop: CancellationToken::new().drop_guard() }
    }
}

/// Renders the file of one template.
pub(super) struct TemplateWorker {
    pub(super) templates: Templates,
    pub(super) template: Template,
    reader: Option<Reader>,
    /// What is to be staged by the operation that was just begun. The lock is for the compiler: only its owner has it.
    rendering: Mutex<Option<Rendering>>,
    /// What was rendered last.
    pub(super) last: Option<Last>,
    /// When the last operation ended.
    ended: Option<Instant>,
    pub(super) refusals: Refusals,
    shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Nothing was looked at yet.
    Nothing,
    Good,
    Waiting,
    Failing,
}

impl TemplateWorker {
    /// A worker that has not looked at its file yet.
    pub(super) fn new(templates: &Templates, template: &Template) -> Self {
        Self {
            templates: templates.clone(),
            template: template.clone(),
            reader: None,
            rendering: Mutex::new(None),
            last: None,
            ended: None,
            refusals: Refusals::new(&template.destination.to_string_lossy()),
            shown: Shown::Nothing,
        }
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    /// The template, if what is to be done about it needs no command or commands are allowed. An operation may be older than
    /// this process, which is told otherwise.
    pub(super) fn allowed(
        &self,
        what: &'static str,
        needed: impl FnOnce(&Template) -> bool,
    ) -> Result<&Template, TemplateError> {
        if needed(&self.template) && !self.templates.allow_commands {
            return Err(TemplateError::Disabled { what, path: self.template.destination.clone() });
        }
        Ok(&self.template)
    }

    /// Looks, and has it told when what was refused is tried again.
    async fn looked(&mut self, jobs: Vec<Arc<JobView>>, stop: &CancellationToken) -> Look {
        let looked = self.look(jobs, stop).await;
        let again = match &looked {
            Look::Refused(until) => SystemTime::now().checked_add(until.saturating_duration_since(Instant::now())),
            _ => None,
        };
        self.templates.files.statuses.edit(&self.template.destination, |status| status.next_try = again);
        looked
    }

    /// The jobs of the template as they are now; `None` while one of them is unknown, however long, or not fit to be handed out:
    /// a program that is told of no targets drops those that it has.
    pub(super) fn jobs(&self) -> Option<Vec<Arc<JobView>>> {
        let view = Arc::clone(&self.templates.files.roster.borrow());
        let jobs = self.template.jobs.iter().map(|name| view.job(name).cloned()).collect::<Option<Vec<_>>>()?;
        jobs.iter().all(|job| job.servable().is_ok()).then_some(jobs)
    }

    /// What an operation was begun with.
    pub(super) fn take_rendering(&mut self) -> Option<Rendering> {
        self.rendering.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps it for the operation that is about to begin.
    pub(super) fn hand_over(&mut self, rendering: Option<Rendering>) {
        *self.rendering.get_mut().unwrap_or_else(PoisonError::into_inner) = rendering;
    }

    /// Renders, once it is waited for.
    pub(super) fn begin_rendering(&self, jobs: Vec<Arc<JobView>>) -> Rendering {
        let (source, of, stop) = (self.template.source.clone(), jobs.clone(), CancellationToken::new());
        let bounds = Bounds { time: self.template.timeout, stop: stop.clone() };
        let writing = Arc::clone(&self.templates.files.writing);
        let coming = async move {
            // Only a runtime that shuts down closes it.
            let permit = writing.acquire_owned().await.ok();
            blocking(move || {
                let _until_it_ends = permit;
                render(&source, &of, &bounds)
            })
            .await
        };
        Rendering { jobs, coming: Box::pin(coming), _stop: stop.drop_guard() }
    }

    /// What came of it; `None` when the worker is to stop, and it does not come to an end soon.
    pub(super) async fn rendered(
        &mut self,
        mut rendering: Rendering,
        stop: &CancellationToken,
    ) -> Result<Option<Rendered>, TemplateError> {
        let Some((came, files)) = unless_it_hangs(stop, &mut rendering.coming).await else { return Ok(None) };
        self.last = Some(Last::of(rendering.jobs, &came, files));
        came.map(Some)
    }

    /// Does something with the files of the destination; `None` when the worker is to stop, and the disk does not answer.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        stop: &CancellationToken,
        work: impl FnOnce(&Files, &dyn Disk) -> Result<T, FileSdError> + Send + 'static,
    ) -> Result<Option<T>, TemplateError> {
        let path = self.template.destination.clone();
        let Some(touched) = self.templates.files.touch(&path) else { return Err(FileSdError::Hangs { path }.into()) };
        let disk = Arc::clone(&self.templates.files.disk);
        let working = blocking(move || {
            let _until_it_ends = touched;
            work(&Files::of(&path)?, &*disk)
        });
        Ok(unless_it_hangs(stop, working).await.transpose()?)
    }

    /// The file is in its place.
    pub(super) fn swapped(&self) {
        info!(file = %self.template.destination.display(), template = %self.template.source.display(), "file rendered");
        let revision = desired::revision(&self.template);
        self.templates.files.statuses.edit(&self.template.destination, |status| {
            status.last_written = Some(SystemTime::now());
            status.reached = Some(revision);
        });
    }

    /// The operation is undone, and this is what it came to. `content` is what was rendered, if anything was; it is not tried
    /// again before this time.
    pub(super) fn undone<L>(
        &mut self,
        content: Option<u128>,
        why: Option<Report>,
        outcome: &str,
        at_least: Duration,
    ) -> Then<L> {
        let what = match content {
            Some(hash) => What::Content(hash),
            None if self.last.as_ref().is_some_and(Last::has_failed) => What::Rendering,
            None => What::Anything,
        };
        self.refusals.refused(what, at_least);
        match why {
            Some(why) => Then::Undone(Report { message: format!("{}; {outcome}", why.message), ..why }),
            None => Then::Done,
        }
    }

    /// The template and those that it includes, as far as they are known.
    fn sources(&self) -> Vec<PathBuf> {
        match &self.last {
            Some(last) => last.files().map(Path::to_owned).collect(),
            None => vec![self.template.source.clone()],
        }
    }

    /// Takes over a template, which may be another one than before.
    fn told(&mut self, template: &Template) {
        if self.template != *template {
            self.template = template.clone();
            self.last = None;
            self.hand_over(None);
            self.refusals.clear();
        }
    }
}

#[async_trait]
impl Worker<Template> for TemplateWorker {
    /// Nothing has to be done to begin: whether the file should be another one is found out by keeping it. The file stays at
    /// the end.
    async fn run(&mut self, work: &Work<Template>, stop: &CancellationToken) -> Outcome {
        self.told(&work.spec);
        match work.action {
            Action::Start if work.step == 0 => return Outcome::Begun,
            Action::Stop => {
                self.on_disk(stop, |files, _| files.clear()).await.ok();
                self.templates.files.statuses.remove(&work.spec.destination);
                return Outcome::Done;
            }
            Action::Start | Action::Update => {}
        }
        let outcome = carry_out(&STEPS, self, work, stop).await;
        if matches!(outcome, Outcome::Done | Outcome::Cancel(_)) {
            self.ended = Some(Instant::now());
            self.shown = if outcome == Outcome::Done { Shown::Good } else { Shown::Failing };
        }
        outcome
    }

    async fn keep(&mut self, template: &Template, stop: &CancellationToken) -> Outcome {
        self.told(template);
        if self.reader.as_ref().is_none_or(|reader| !reader.reads(&template.jobs)) {
            self.reader = Some(self.templates.files.subscribe(&template.jobs));
        }
        let sources = self.sources();
        let watching = Watcher::new(&self.templates.inotify, &sources);
        let Some(mut watcher) = stop.run_until_cancelled(watching).await else { return Outcome::Done };
        let (mut wanted, look) = (self.templates.wanted.clone(), self.templates.look);
        loop {
            wanted.mark_unchanged();
            let now = Instant::now();
            let paced = self.ended.map_or(now, |ended| ended + template.min_interval).max(now);
            let is_paced = paced > now;
            let next = match self.jobs() {
                // The roster may be that of another configuration, by which this worker is about to stop or be told otherwise.
                _ if !self.templates.wants(template) => now + look,
                None => {
                    self.last = None;
                    if std::mem::replace(&mut self.shown, Shown::Waiting) != Shown::Waiting {
                        return Outcome::Snooze(Duration::ZERO);
                    }
                    now + look
                }
                Some(_) if is_paced => paced,
                Some(jobs) => match self.looked(jobs, stop).await {
                    Look::CutOff => return Outcome::Done,
                    Look::Begin => return Outcome::Begin,
                    Look::Refused(until) => until.min(now + look),
                    Look::AsItShouldBe => {
                        if std::mem::replace(&mut self.shown, Shown::Good) != Shown::Good {
                            return Outcome::Done;
                        }
                        now + look
                    }
                },
            };
            let sources = self.sources();
            if stop.run_until_cancelled(watcher.set(&sources)).await.is_none() {
                return Outcome::Done;
            }
            let reader = self.reader.as_ref();
            let changed = async {
                match reader {
                    // While it waits for its time anyway, only the latest counts.
                    Some(reader) if !is_paced => reader.changed().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Outcome::Done,
                () = changed => {}
                _ = watcher.changed(), if !is_paced => {}
                // Its owner is gone when the agent ends.
                Ok(()) = wanted.changed() => {}
                () = tokio::time::sleep_until(next) => drop(stop.run_until_cancelled(watcher.rearm()).await),
            }
        }
    }
}
