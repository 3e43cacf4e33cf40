//! Whether the file of a template is as it should be: what would be rendered now, and what is in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rosterd_tasks::blocking;
use rosterd_tasks::files::Stamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::worker::TemplateWorker;
use super::{TemplateError, desired};
use crate::publish::file_sd::worker::unless_it_hangs;
use crate::roster::view::JobView;

/// What was rendered last, without the text.
#[derive(Clone)]
pub(super) struct Last {
    jobs: Vec<Arc<JobView>>,
    hash: u128,
    /// The files that it was made of.
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// The file in place, if it had this text.
    in_place: Option<Stamp>,
}

/// What a look came to.
pub(super) enum Look {
    AsItShouldBe,
    Differs,
    /// It differs, or its program does not work with it, but this content was refused, and is tried again at this time.
    Refused(Instant),
    /// The worker is to stop.
    CutOff,
}

impl Last {
    /// The files that it was made of: the template, and those that it includes.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }
}

impl TemplateWorker {
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
    pub(super) async fn look(
        &mut self,
        jobs: Vec<Arc<JobView>>,
        stop: &CancellationToken,
    ) -> Result<Look, TemplateError> {
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
        // What was refused may be in place when nobody could undo it.
        if in_place.is_some() && !self.refusals.has(hash) {
            self.refusals.clear();
            let revision = desired::revision(&self.template);
            self.templates.files.statuses.edit(&self.template.destination, |status| status.reached = Some(revision));
            return Ok(Look::AsItShouldBe);
        }
        if before.is_some() && in_place.is_none() {
            warn!(file = %self.template.destination.display(), "somebody else changed the file, it is put there again");
        }
        match self.refusals.until(hash) {
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
