//! The worker of one template: watches the roster, the template and the file, and begins an operation when the file should
//! be another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd_model::{Report, Retry};
use rosterd_tasks::files::Stamp;
use rosterd_tasks::{Schedule, blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::place::Files;
use super::publisher::Templates;
use super::steps::STEPS;
use super::{Rendered, Template, TemplateError, desired, render};
use crate::publish::file_sd::FileSdError;
use crate::publish::file_sd::publisher::Reader;
use crate::publish::file_sd::worker::unless_it_hangs;
use crate::publish::file_sd::write::Disk;
use crate::reconcile::steps::{Then, carry_out};
use crate::reconcile::{Outcome, Work, Worker};
use crate::roster::view::{self, JobView};
use crate::store::ledger::Action;

/// How often the template and the file are looked at that nothing happened to.
const LOOK: Duration = Duration::from_secs(10);
/// The longest wait before a content is tried again that was refused: the reason may be outside of it.
const LONGEST_REFUSAL: Duration = Duration::from_secs(300);

/// Renders the file of one template.
pub(super) struct TemplateWorker {
    templates: Templates,
    template: Template,
    reader: Option<Reader>,
    /// What is to be staged by the operation that was just begun.
    rendered: Option<Rendered>,
    /// What was rendered last.
    last: Option<Last>,
    /// When the last operation ended.
    ended: Option<Instant>,
    refused: Option<Refused>,
    refusals: Schedule,
    shown: Shown,
}

/// What was rendered last, without the text.
#[derive(Clone)]
struct Last {
    jobs: Vec<Arc<JobView>>,
    hash: u128,
    /// The files that it was made of.
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// The file in place, if it had this text.
    in_place: Option<Stamp>,
}

/// What was refused last.
struct Refused {
    /// Its hash; `None` for whatever is rendered.
    content: Option<u128>,
    /// When it is tried again.
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Good,
    Waiting,
    Failing,
}

/// What a look came to.
enum Look {
    AsItShouldBe,
    Differs,
    /// It differs, but this content was refused, and is tried again at this time.
    Refused(Instant),
    /// The worker is to stop.
    CutOff,
}

impl TemplateWorker {
    /// A worker that has not looked at its file yet.
    pub(super) fn new(templates: &Templates, template: &Template) -> Self {
        Self {
            templates: templates.clone(),
            template: template.clone(),
            reader: None,
            rendered: None,
            last: None,
            ended: None,
            refused: None,
            refusals: Schedule::new(LONGEST_REFUSAL, &template.destination.to_string_lossy()),
            shown: Shown::Good,
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

    /// The jobs of the template as they are now; `None` while they are unknown, or not fit to be handed out.
    pub(super) fn jobs(&self) -> Option<Vec<Arc<JobView>>> {
        let view = Arc::clone(&self.templates.files.roster.borrow());
        let jobs = self.template.jobs.iter().map(|name| view.job(name).cloned()).collect::<Option<Vec<_>>>()?;
        view::servable(&jobs).ok()
    }

    /// What an operation was begun with.
    pub(super) fn take_rendered(&mut self) -> Option<Rendered> {
        self.rendered.take()
    }

    /// Renders; `None` when the worker is to stop, and the disk does not answer.
    pub(super) async fn render(
        &self,
        jobs: Vec<Arc<JobView>>,
        stop: &CancellationToken,
    ) -> Result<Option<Rendered>, TemplateError> {
        let source = self.template.source.clone();
        // Only a runtime that shuts down closes it.
        let permit = Arc::clone(&self.templates.files.writing).acquire_owned().await.ok();
        let rendering = blocking(move || {
            let _until_it_ends = permit;
            render(&source, &jobs)
        });
        unless_it_hangs(stop, rendering).await.transpose()
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
        if self.refused.as_ref().is_none_or(|refused| refused.content != content) {
            self.refusals.succeeded();
        }
        let until = Instant::now() + self.refusals.failed(Retry::Backoff).max(at_least);
        self.refused = Some(Refused { content, until });
        match why {
            Some(why) => Then::Undone(Report { message: format!("{}; {outcome}", why.message), ..why }),
            None => Then::Done,
        }
    }

    /// Takes over a template, which may be another one than before.
    fn told(&mut self, template: &Template) {
        if self.template != *template {
            self.template = template.clone();
            (self.rendered, self.last, self.refused) = (None, None, None);
        }
    }

    /// What was rendered last, if the template would render the same now. `None` inside when the worker is to stop.
    async fn last_of(&self, jobs: &[Arc<JobView>], stop: &CancellationToken) -> Option<Option<Last>> {
        let same_jobs = |last: &&Last| {
            last.jobs.len() == jobs.len() && last.jobs.iter().zip(jobs).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        let Some(last) = self.last.as_ref().filter(same_jobs).cloned() else { return Some(None) };
        let files = last.files.clone();
        let untouched = blocking(move || files.iter().all(|(path, stamp)| is_untouched(path, *stamp)));
        let untouched = unless_it_hangs(stop, untouched).await?;
        Some(untouched.then_some(last))
    }

    /// Renders if need be, and compares that with the file in place.
    async fn look(&mut self, jobs: Vec<Arc<JobView>>, stop: &CancellationToken) -> Result<Look, TemplateError> {
        let Some(last) = self.last_of(&jobs, stop).await else { return Ok(Look::CutOff) };
        let (last, rendered) = match last {
            Some(last) => (last, None),
            None => {
                let Some(rendered) = self.render(jobs.clone(), stop).await? else { return Ok(Look::CutOff) };
                let (hash, files) = (rendered.hash, rendered.files.clone());
                (Last { jobs, hash, files, in_place: None }, Some(rendered))
            }
        };
        let (hash, before, path) = (last.hash, last.in_place, self.template.destination.clone());
        let compared = self.on_disk(stop, move |files, _| {
            // Before the content is read: a change after it is seen by the next look.
            let now = Stamp::at(&path).ok();
            let untouched = before.zip(now).is_some_and(|(before, now)| before.is_settled_at(&now));
            Ok((untouched || files.has(hash)).then_some(now).flatten())
        });
        let Some(in_place) = compared.await? else { return Ok(Look::CutOff) };
        self.last = Some(Last { in_place, ..last });
        if in_place.is_some() {
            self.refused = None;
            let revision = desired::revision(&self.template);
            self.templates.files.statuses.edit(&self.template.destination, |status| status.reached = Some(revision));
            return Ok(Look::AsItShouldBe);
        }
        if before.is_some() {
            warn!(file = %self.template.destination.display(), "somebody else changed the file, it is put there again");
        }
        let refused = self.refused.as_ref().filter(|refused| refused.content.is_none_or(|content| content == hash));
        match refused.map(|refused| refused.until).filter(|until| *until > Instant::now()) {
            Some(until) => Ok(Look::Refused(until)),
            None => {
                self.rendered = rendered;
                Ok(Look::Differs)
            }
        }
    }
}

fn is_untouched(path: &Path, stamp: Option<Stamp>) -> bool {
    stamp.zip(Stamp::at(path).ok()).is_some_and(|(before, now)| before.is_settled_at(&now))
}

#[async_trait]
impl Worker<Template> for TemplateWorker {
    /// Nothing has to be done to begin: whether the file should be another one is found out by keeping it. The file stays at
    /// the end.
    async fn run(&mut self, work: &Work<Template>, stop: &CancellationToken) -> Outcome {
        self.told(&work.spec);
        match work.action {
            Action::Start if work.step == 0 => return Outcome::Done,
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
        let mut wanted = self.templates.wanted.clone();
        loop {
            wanted.mark_unchanged();
            let now = Instant::now();
            let paced = self.ended.map_or(now, |ended| ended + template.min_interval).max(now);
            let is_paced = paced > now;
            let next = match self.jobs() {
                // The roster may be that of another configuration, by which this worker is about to stop or be told otherwise.
                _ if !self.templates.wants(template) => now + LOOK,
                None => {
                    self.last = None;
                    if std::mem::replace(&mut self.shown, Shown::Waiting) != Shown::Waiting {
                        return Outcome::Snooze(Duration::ZERO);
                    }
                    now + LOOK
                }
                Some(_) if is_paced => paced,
                Some(jobs) => match self.look(jobs, stop).await {
                    Ok(Look::CutOff) => return Outcome::Done,
                    Ok(Look::Differs) => return Outcome::Begin,
                    Ok(Look::Refused(until)) => until.min(now + LOOK),
                    Ok(Look::AsItShouldBe) => {
                        if std::mem::replace(&mut self.shown, Shown::Good) != Shown::Good {
                            return Outcome::Done;
                        }
                        now + LOOK
                    }
                    Err(error) => {
                        self.shown = Shown::Failing;
                        return Outcome::Retry(Report::of(&error));
                    }
                },
            };
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
                // Its owner is gone when the agent ends.
                Ok(()) = wanted.changed() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }
}
