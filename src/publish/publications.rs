//! What publications tell of themselves.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Kind;
use super::file_sd::{FileStatus, FileStatuses};
use crate::reconcile::{EndedOperation, Statuses, WorkerStatus};
use crate::store::ledger::Revision;

/// Lists the publications as they are at the moment.
#[derive(Clone)]
pub struct Publications {
    list: Arc<dyn Fn() -> Vec<Publication> + Send + Sync>,
    ended: Arc<dyn Fn() -> Vec<EndedOperation> + Send + Sync>,
}

/// One publication.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Its worker.
    pub worker: WorkerStatus<Kind>,
    /// When this process last wrote it.
    pub last_written: Option<SystemTime>,
    /// The settings that it was last seen to follow.
    pub reached: Option<Revision>,
}

impl Publications {
    /// Wraps what knows the publications; it must not block.
    pub fn new(list: impl Fn() -> Vec<Publication> + Send + Sync + 'static) -> Self {
        Self::with_ended(list, Vec::new)
    }

    /// With what knows the operations that ended last; it must not block either.
    pub fn with_ended(
        list: impl Fn() -> Vec<Publication> + Send + Sync + 'static,
        ended: impl Fn() -> Vec<EndedOperation> + Send + Sync + 'static,
    ) -> Self {
        Self { list: Arc::new(list), ended: Arc::new(ended) }
    }

    /// Those that a reconciler keeps as files.
    pub fn of_files(workers: Statuses<Kind>, files: FileStatuses) -> Self {
        let publication = move |worker: WorkerStatus<Kind>| {
            let FileStatus { last_written, reached, next_try } =
                worker.spec.as_ref().and_then(|kind| files.get(kind.path())).unwrap_or_default();
            let next_try = worker.next_try.or(next_try.filter(|_| worker.operation.is_none()));
            Publication { worker: WorkerStatus { next_try, ..worker }, last_written, reached }
        };
        let ended = workers.clone();
        Self::with_ended(move || workers.all().into_iter().map(&publication).collect(), move || ended.ended())
    }

    /// All publications, by the ids of their workers.
    pub fn list(&self) -> Vec<Publication> {
        (self.list)()
    }

    /// The operations that ended last, in the order in which they did.
    pub fn ended(&self) -> Vec<EndedOperation> {
        (self.ended)()
    }
}

impl fmt::Debug for Publications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publications")
    }
}
