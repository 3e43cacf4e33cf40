//! What publications tell of themselves.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::file_sd::{FileStatus, FileStatuses, Output};
use crate::reconcile::{Statuses, WorkerStatus};
use crate::store::ledger::Revision;

/// Lists the publications as they are at the moment.
#[derive(Clone)]
pub struct Publications(Arc<dyn Fn() -> Vec<Publication> + Send + Sync>);

/// One publication.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Its worker.
    pub worker: WorkerStatus<Output>,
    /// When this process last wrote it.
    pub last_written: Option<SystemTime>,
    /// The settings that it was last seen to follow.
    pub reached: Option<Revision>,
}

impl Publications {
    /// Wraps what knows the publications; it must not block.
    pub fn new(list: impl Fn() -> Vec<Publication> + Send + Sync + 'static) -> Self {
        Self(Arc::new(list))
    }

    /// Those that a reconciler keeps as files.
    pub fn of_files(workers: Statuses<Output>, files: FileStatuses) -> Self {
        let publication = move |worker: WorkerStatus<Output>| {
            let FileStatus { last_written, reached } =
                worker.spec.as_ref().and_then(|output| files.get(&output.path)).unwrap_or_default();
            Publication { worker, last_written, reached }
        };
        Self::new(move || workers.all().into_iter().map(&publication).collect())
    }

    /// All publications, by the ids of their workers.
    pub fn list(&self) -> Vec<Publication> {
        (self.0)()
    }
}

impl fmt::Debug for Publications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publications")
    }
}
