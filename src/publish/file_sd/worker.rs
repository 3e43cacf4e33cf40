//! The worker of one output.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rosterd_tasks::blocking;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::write::{Disk, RealDisk, is_content, replace};
use super::{FileSdError, Format, Output};
use crate::publish::encode::{self, Encoding};
use crate::reconcile::{Outcome, Spec, Work, Worker};
use crate::roster::view::JobView;

/// How long a worker waits that has nothing to write yet. A change of the roster wakes it anyway.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// An output and what is to be written.
#[derive(Debug, Clone)]
pub struct FileSd {
    /// The output.
    pub output: Output,
    /// Its content.
    pub content: Content,
}

/// What is to be written.
#[derive(Clone)]
pub enum Content {
    /// The targets of these jobs.
    Jobs(Arc<[Arc<JobView>]>),
    /// Not known yet, or not fit to be handed out: the file is left alone.
    Unknown,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jobs(jobs) => write!(f, "Jobs({} jobs)", jobs.len()),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

impl Spec for FileSd {
    fn kind(&self) -> &'static str {
        "file_sd"
    }
}

impl FileSd {
    /// The content in pieces, encoded as they are taken.
    fn pieces(&self) -> Option<Box<dyn Iterator<Item = Bytes> + Send>> {
        let Content::Jobs(jobs) = &self.content else { return None };
        Some(match self.output.format {
            Format::Json => encode::list(jobs, Encoding::Identity),
            Format::Yaml => encode::yaml(jobs),
        })
    }
}

/// Writes the file of one output.
pub struct FileSdWorker {
    disk: Arc<dyn Disk>,
    /// Whether this process has written the file, or found it as it should be. Before, it may be there already.
    knows_file: bool,
}

impl fmt::Debug for FileSdWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSdWorker").field("knows_file", &self.knows_file).finish_non_exhaustive()
    }
}

impl Default for FileSdWorker {
    fn default() -> Self {
        Self::new()
    }
}

impl FileSdWorker {
    /// A worker that has not looked at its file yet.
    pub fn new() -> Self {
        Self::on(Arc::new(RealDisk))
    }

    pub(super) fn on(disk: Arc<dyn Disk>) -> Self {
        Self { disk, knows_file: false }
    }
}

#[async_trait]
impl Worker<FileSd> for FileSdWorker {
    async fn run(&mut self, work: &Work<FileSd>, _stop: &CancellationToken) -> Outcome {
        let Work::Reach { spec, .. } = work else {
            // The file stays: whoever reads it must not lose targets because a line of configuration went.
            return Outcome::Done;
        };
        if matches!(spec.content, Content::Unknown) {
            return Outcome::Snooze(LOOK_AGAIN);
        }
        let (spec, disk, knows_file) = (spec.clone(), Arc::clone(&self.disk), self.knows_file);
        // It is short and cannot be interrupted: a stop waits for it.
        match blocking(move || write(&spec, &*disk, knows_file)).await {
            Ok(()) => {
                self.knows_file = true;
                Outcome::Done
            }
            Err(error) => Outcome::failed(&error),
        }
    }
}

fn write(spec: &FileSd, disk: &dyn Disk, knows_file: bool) -> Result<(), FileSdError> {
    let path: &Path = &spec.output.path;
    let (Some(compared), Some(written)) = (spec.pieces(), spec.pieces()) else { return Ok(()) };
    if !knows_file && is_content(path, compared) {
        debug!(file = %path.display(), "the file is up to date");
        return Ok(());
    }
    replace(disk, path, written)?;
    info!(file = %path.display(), "file written");
    Ok(())
}
