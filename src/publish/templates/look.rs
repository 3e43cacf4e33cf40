//! Whether the file of a template is as it should be: what would be rendered now, and what is in place.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rosterd_model::Report;
use rosterd_tasks::blocking;
use rosterd_tasks::files::Stamp;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::engine::ReadFiles;
use super::worker::{Rendering, TemplateWorker};
use super::{Rendered, TemplateError, desired};
use crate::publish::file_sd::worker::unless_it_hangs;
use crate::roster::view::JobView;

/// How long a look renders before that counts as work, which everybody can see: an operation goes on with it.
const SOON: Duration = Duration::from_secs(1);

/// What was rendered last, without the text.
#[derive(Clone)]
pub(super) struct Last {
    jobs: Vec<Arc<JobView>>,
    text: Result<u128, Failure>,
    /// The files that it was made of.
    files: ReadFiles,
    /// The file in place, if it had this text.
    in_place: Option<Stamp>,
}

/// Why nothing was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    report: Report,
    /// Whether it took as long as it may.
    is_endless: bool,
}

/// What a look came to.
pub(super) enum Look {
    AsItShouldBe,
    /// It differs, or that is not known yet: an operation has to begin.
    Begin,
    /// It differs, or its program does not work with it, but this content was refused, and is tried again at this time.
    Refused(Instant),
    /// The worker is to stop.
    CutOff,
}

impl Last {
    /// What came of a template.
    pub(super) fn of(jobs: Vec<Arc<JobView>>, came: &Result<Rendered, TemplateError>, files: ReadFiles) -> Self {
        let failure = |error: &TemplateError| Failure {
            report: Report::of(error),
            is_endless: matches!(error, TemplateError::Endless { .. }),
        };
        let text = came.as_ref().map(|rendered| rendered.hash).map_err(failure);
        Self { jobs, text, files, in_place: None }
    }

    /// The files that it was made of: the template, and those that it includes.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Whether nothing was rendered.
    pub(super) fn has_failed(&self) -> bool {
        self.text.is_err()
    }

    fn is_of(&self, jobs: &[Arc<JobView>]) -> bool {
        self.jobs.len() == jobs.len() && self.jobs.iter().zip(jobs).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl TemplateWorker {
    /// What was rendered last, if the template is the same now. `None` when the worker is to stop.
    async fn last_of_template(&self, stop: &CancellationToken) -> Option<Option<Last>> {
        let Some(last) = self.last.clone() else { return Some(None) };
        let files = last.files.clone();
        let untouched = blocking(move || files.iter().all(|(path, stamp)| is_untouched(path, *stamp)));
        let untouched = unless_it_hangs(stop, untouched).await?;
        Some(untouched.then_some(last))
    }

    /// Renders if need be, and compares that with the file in place.
    pub(super) async fn look(&mut self, jobs: Vec<Arc<JobView>>, stop: &CancellationToken) -> Look {
        let Some(last) = self.last_of_template(stop).await else { return Look::CutOff };
        if let Some(last) = last {
            match &last.text {
                Ok(hash) if last.is_of(&jobs) => return self.compare(*hash, None, stop).await,
                // What took too long does so with other targets, too.
                Err(failure) if failure.is_endless || last.is_of(&jobs) => {
                    if let Some(until) = self.refusals.until_rendered() {
                        return Look::Refused(until);
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
        let mut rendering = self.begin_rendering(jobs);
        let came = match unless_it_hangs(stop, timeout(SOON, &mut rendering.coming)).await {
            None => return Look::CutOff,
            Some(Err(_)) => {
                self.hand_over(Some(rendering));
                return Look::Begin;
            }
            Some(Ok((came, files))) => (came, files),
        };
        let now = Last::of(rendering.jobs.clone(), &came.0, came.1.clone());
        let (text, before) = (now.text.clone(), self.last.replace(now));
        match text {
            Ok(hash) => self.compare(hash, Some(Rendering::over(rendering.jobs, came)), stop).await,
            Err(failure) => {
                let is_known = before.is_some_and(|before| before.text == Err(failure));
                if let Some(until) = self.refusals.until_rendered().filter(|_| is_known) {
                    return Look::Refused(until);
                }
                self.hand_over(Some(Rendering::over(rendering.jobs, came)));
                Look::Begin
            }
        }
    }

    /// Compares what was rendered last, and has this hash, with the file in place. Where that cannot be, the log says why, and so does
    /// an operation that fails for it.
    async fn compare(&mut self, hash: u128, rendering: Option<Rendering>, stop: &CancellationToken) -> Look {
        let (before, path) = (self.last.as_ref().and_then(|last| last.in_place), self.template.destination.clone());
        let compared = self.on_disk(stop, move |files, _| {
            // Before the content is read: a change after it is seen by the next look.
            let now = Stamp::at(&path).ok();
            let untouched = before.zip(now).is_some_and(|(before, now)| before.is_settled_at(&now));
            let same = if untouched { Ok(true) } else { files.compare(hash) };
            Ok((same.map(|same| now.filter(|_| same)), files.is_under_way()?))
        });
        let (compared, is_under_way) = match compared.await {
            Ok(Some((compared, is_under_way))) => (compared.map_err(Into::into), is_under_way),
            Ok(None) => return Look::CutOff,
            Err(error) => (Err(error), false),
        };
        let in_place = *compared.as_ref().unwrap_or(&None);
        if let Some(last) = &mut self.last {
            last.in_place = in_place;
        }
        // What was refused may be in place when nobody could undo it.
        if in_place.is_some() && !is_under_way && !self.refusals.has(hash) {
            self.refusals.clear();
            let revision = desired::revision(&self.template);
            self.templates.files.statuses.edit(&self.template.destination, |status| status.reached = Some(revision));
            return Look::AsItShouldBe;
        }
        let file = self.template.destination.display();
        match compared {
            Ok(None) if before.is_some() => warn!(%file, "somebody else changed the file, it is put there again"),
            Err(error) if before.is_some() => {
                let error = Report::of(&error);
                warn!(%file, %error, code = error.code, "cannot see what is in the file, it is put there again");
            }
            Ok(_) | Err(_) => {}
        }
        match self.refusals.until(hash) {
            Some(until) => Look::Refused(until),
            None => {
                if is_under_way {
                    warn!(%file, "the ledger does not know how far the file was put to use, it is done again");
                }
                self.hand_over(rendering);
                Look::Begin
            }
        }
    }
}

fn is_untouched(path: &Path, stamp: Option<Stamp>) -> bool {
    stamp.zip(Stamp::at(path).ok()).is_some_and(|(before, now)| before.is_settled_at(&now))
}
