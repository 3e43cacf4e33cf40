//! What all templates of an agent have in common: the roster, and whether commands may be run.

use std::sync::Arc;
use std::time::Duration;

use rosterd_tasks::watch::Inotify;
use tokio::sync::watch;

use super::Template;
use super::desired::id;
use super::worker::TemplateWorker;
use crate::publish::file_sd::Publisher;
use crate::reconcile::{DesiredSet, MakeWorker, Worker, WorkerId};

/// Makes the workers of templates. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct Templates {
    /// What follows the roster, and knows which files are being touched.
    pub(super) files: Publisher,
    /// What is to be rendered; `None` before there is a configuration.
    pub(super) wanted: watch::Receiver<Option<Arc<DesiredSet<Template>>>>,
    pub(super) allow_commands: bool,
    /// Tells of edits of templates.
    pub(super) inotify: Inotify,
    /// How often the template and the file are looked at that nothing happened to.
    pub(super) look: Duration,
}

/// As long as an edit goes unnoticed on a file system without events, and a file stays as somebody else left it.
const LOOK: Duration = Duration::from_secs(10);

impl Templates {
    /// Beside the files of `files`, by whom they learn of changes. `wanted` are the templates of a configuration before the
    /// roster has its jobs.
    pub fn new(
        files: Publisher,
        wanted: watch::Receiver<Option<Arc<DesiredSet<Template>>>>,
        allow_commands: bool,
    ) -> Self {
        Self { files, wanted, allow_commands, inotify: Inotify::default(), look: LOOK }
    }

    /// Whether the configuration has this template, and not another one in its place.
    pub(super) fn wants(&self, template: &Template) -> bool {
        let wanted = self.wanted.borrow();
        wanted.as_ref().and_then(|wanted| wanted.get(&id(template))).is_some_and(|wanted| wanted.spec == *template)
    }
}

impl MakeWorker<Template> for Templates {
    fn make(&self, _: &WorkerId, template: &Template) -> Box<dyn Worker<Template>> {
        self.files.statuses.edit(&template.destination, |_| {});
        Box::new(TemplateWorker::new(self, template))
    }
}
