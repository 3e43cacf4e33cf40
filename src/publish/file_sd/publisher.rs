//! What all outputs of an agent have in common: the view of the roster, who is woken when a job changed, and how many
//! files are written at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rosterd_tasks::{Stopper, blocking};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::Output;
use super::desired::id;
use super::status::FileStatuses;
use super::worker::FileSdWorker;
use super::write::{Disk, RealDisk};
use crate::reconcile::{DesiredSet, MakeWorker, Worker, WorkerId};
use crate::roster::RosterHandle;
use crate::roster::step::{RosterNews, Step, Steps};
use crate::roster::view::RosterView;

/// How many files are written at the same time.
const CONCURRENT: usize = 8;

/// Makes the workers of outputs. Cloning shares everything.
#[derive(Clone)]
pub struct Publisher {
    pub(in crate::publish) roster: watch::Receiver<Arc<RosterView>>,
    /// What is to be published.
    pub(super) wanted: Wanted,
    pub(in crate::publish) statuses: FileStatuses,
    pub(in crate::publish) disk: Arc<dyn Disk>,
    pub(in crate::publish) writing: Arc<Semaphore>,
    readers: Arc<Mutex<Readers>>,
    touched: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// The outputs of the configuration; `None` before there is one.
pub(super) type Wanted = watch::Receiver<Option<Arc<DesiredSet<Output>>>>;

/// Who is woken when a job changed.
type Readers = BTreeMap<Arc<str>, Vec<Arc<Notify>>>;

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("statuses", &self.statuses).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Follows the roster with a task on the stopper. `wanted` are the outputs of a configuration before the roster has its
    /// jobs: so no file gets what the jobs of one configuration come to in an output of another.
    pub fn start(
        roster: &RosterHandle,
        wanted: watch::Receiver<Option<Arc<DesiredSet<Output>>>>,
        stopper: &Stopper,
    ) -> Self {
        Self::on(Arc::new(RealDisk), roster, wanted, stopper)
    }

    pub(super) fn on(disk: Arc<dyn Disk>, roster: &RosterHandle, wanted: Wanted, stopper: &Stopper) -> Self {
        let (statuses, writing) = (FileStatuses::default(), Arc::new(Semaphore::new(CONCURRENT)));
        let (readers, touched) = (Arc::default(), Arc::default());
        let publisher = Self { roster: roster.watch(), wanted, statuses, disk, writing, readers, touched };
        let (following, roster, stop) = (publisher.clone(), roster.clone(), stopper.token().clone());
        // What it misses between two beginnings is in the picture that it begins with.
        stopper.spawn_restarting("file_sd", move || following.clone().wake_readers(roster.steps(), stop.clone()));
        publisher
    }

    /// What is known of the files.
    pub fn statuses(&self) -> FileStatuses {
        self.statuses.clone()
    }

    /// Wakes whoever reads a job that changed. The work for it grows with what changed, not with what there is.
    async fn wake_readers(self, mut steps: Steps, stop: CancellationToken) {
        while let Some(Some(news)) = stop.run_until_cancelled(steps.next()).await {
            match news {
                RosterNews::Picture(view) => {
                    self.readers().values().flatten().for_each(|reader| reader.notify_one());
                    // It may have been replaced meanwhile, and let go of by everybody else.
                    blocking(move || drop(view)).await;
                }
                RosterNews::Step(step) => {
                    self.wake(&step);
                    step.let_go(()).await;
                }
            }
        }
    }

    fn wake(&self, step: &Step) {
        let readers = self.readers();
        let woken = step.jobs.iter().filter_map(|job| readers.get(&job.name)).flatten();
        woken.for_each(|reader| reader.notify_one());
    }

    /// Whether the configuration has this output, and not another one in its place.
    pub(super) fn wants(&self, output: &Output) -> bool {
        let wanted = self.wanted.borrow();
        wanted.as_ref().and_then(|wanted| wanted.get(&id(output))).is_some_and(|wanted| wanted.spec == *output)
    }

    /// Wakes the reader whenever one of the jobs changes, until it is dropped.
    pub(in crate::publish) fn subscribe(&self, jobs: &[Arc<str>]) -> Reader {
        let woken = Arc::new(Notify::new());
        let mut readers = self.readers();
        for job in jobs {
            readers.entry(Arc::clone(job)).or_default().push(Arc::clone(&woken));
        }
        drop(readers);
        Reader { publisher: self.clone(), jobs: jobs.to_vec(), woken }
    }

    /// Makes sure that nobody else touches the file, until what is returned is dropped. `None` if somebody does.
    pub(in crate::publish) fn touch(&self, path: &Path) -> Option<Touched> {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.insert(path.to_path_buf()).then(|| Touched { all: Arc::clone(&self.touched), path: path.to_path_buf() })
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MakeWorker<Output> for Publisher {
    fn make(&self, _: &WorkerId, output: &Output) -> Box<dyn Worker<Output>> {
        self.statuses.edit(&output.path, |_| {});
        Box::new(FileSdWorker::new(self))
    }
}

/// A file that is being written or looked at, perhaps by a call that hangs since its worker has stopped.
pub(in crate::publish) struct Touched {
    all: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Drop for Touched {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

/// Somebody who is woken when jobs changed.
pub(in crate::publish) struct Reader {
    publisher: Publisher,
    jobs: Vec<Arc<str>>,
    woken: Arc<Notify>,
}

impl Reader {
    /// Waits for the next change. One that came before this call counts.
    pub(in crate::publish) async fn changed(&self) {
        self.woken.notified().await;
    }

    /// Whether it is woken by exactly these jobs.
    pub(in crate::publish) fn reads(&self, jobs: &[Arc<str>]) -> bool {
        self.jobs == jobs
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut readers = self.publisher.readers();
        for job in &self.jobs {
            let Some(of_job) = readers.get_mut(job) else { continue };
            of_job.retain(|reader| !Arc::ptr_eq(reader, &self.woken));
            if of_job.is_empty() {
                readers.remove(job);
            }
        }
    }
}
