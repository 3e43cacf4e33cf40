//! For tests of workers, here and in crates that add a kind: three ways to run them.
//!
//! - [`inline`] runs a worker once, on the spot, and returns its outcome.
//! - [`Manual`] stands in for all workers of a reconciler: each run waits until the test says how it ends.
//! - [`Live`] is a reconciler on a store in memory, with real workers or with [`Manual`] ones, and tells which operations
//!   are enqueued.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_tasks::stopper::Stopper;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::{DesiredSet, MakeWorker, Outcome, Reconciler, Spec, Statuses, Work, Worker, WorkerId};
use crate::store::StoreError;
use crate::store::ledger::{Action, Ledger, Member, MemoryLedger, Revision};

/// Runs a worker once and returns its outcome.
pub async fn inline<S: Send + Sync>(worker: &mut dyn Worker<S>, work: &Work<S>) -> Outcome {
    worker.run(work, &CancellationToken::new()).await
}

/// The test's end of workers that do nothing by themselves.
#[derive(Debug)]
pub struct Manual<S> {
    runs: mpsc::Receiver<Run<S>>,
}

/// A run of a worker that waits for its outcome.
#[derive(Debug)]
pub struct Run<S> {
    /// The worker.
    pub worker: WorkerId,
    /// What it is told to do.
    pub work: Work<S>,
    outcome: oneshot::Sender<Outcome>,
}

/// Makes the workers of a [`Manual`].
#[derive(Debug, Clone)]
pub struct ManualWorkers<S>(mpsc::Sender<Run<S>>);

impl<S: Spec> Manual<S> {
    /// The test's end, and what a reconciler makes its workers with.
    pub fn new() -> (Self, ManualWorkers<S>) {
        let (sender, runs) = mpsc::channel(1);
        (Self { runs }, ManualWorkers(sender))
    }

    /// The next run that some worker begins. Waits for it; panics when no worker is left that could begin one.
    pub async fn next(&mut self) -> Run<S> {
        self.runs.recv().await.expect("the reconciler keeps what makes its workers")
    }

    /// Whether no run waits at the moment.
    pub fn is_idle(&mut self) -> bool {
        self.runs.is_empty()
    }
}

impl<S> Run<S> {
    /// Ends the run like this. A reconciler that has gone away does not mind.
    pub fn finish(self, outcome: Outcome) {
        self.outcome.send(outcome).ok();
    }
}

impl<S: Spec> MakeWorker<S> for ManualWorkers<S> {
    fn make(&self, id: &WorkerId, _: &S) -> Box<dyn Worker<S>> {
        Box::new(ManualWorker { id: id.clone(), runs: self.0.clone() })
    }
}

struct ManualWorker<S> {
    id: WorkerId,
    runs: mpsc::Sender<Run<S>>,
}

#[async_trait]
impl<S: Spec> Worker<S> for ManualWorker<S> {
    async fn run(&mut self, work: &Work<S>, stop: &CancellationToken) -> Outcome {
        let (outcome, decided) = oneshot::channel();
        let run = Run { worker: self.id.clone(), work: work.clone(), outcome };
        let ended = async {
            self.runs.send(run).await.ok()?;
            decided.await.ok()
        };
        tokio::select! {
            biased;
            ended = ended => ended.unwrap_or(Outcome::Snooze(Duration::ZERO)),
            () = stop.cancelled() => Outcome::Snooze(Duration::ZERO),
        }
    }
}

/// A reconciler at work on a store in memory.
#[derive(Debug)]
pub struct Live<S> {
    /// Its store.
    pub store: Arc<MemoryLedger>,
    /// What it says of its workers.
    pub statuses: Statuses,
    desired: watch::Sender<Option<Arc<DesiredSet<S>>>>,
    stopper: Stopper,
}

impl<S: Spec> Live<S> {
    /// Starts a reconciler that wants nothing yet. It has to be stopped.
    pub fn start(make: impl MakeWorker<S>) -> Self {
        let (store, stopper) = (Arc::new(MemoryLedger::new()), Stopper::new());
        let (desired, wanted) = watch::channel(None);
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("an empty registry takes all names");
        let statuses = Reconciler::start(Arc::clone(&store) as Arc<dyn Ledger>, make, wanted, metrics, &stopper);
        Self { store, statuses, desired, stopper }
    }

    /// Wants these workers from now on.
    pub fn want(&self, desired: DesiredSet<S>) {
        self.desired.send_replace(Some(Arc::new(desired)));
    }

    /// The operations that are enqueued: worker, action, and where it leads. Fails when the store does.
    pub async fn enqueued(&self) -> Result<Vec<(String, Action, Option<Revision>)>, StoreError> {
        let pending = self.store.read(&Member::local()).await?.operations;
        Ok(pending.into_iter().map(|operation| (operation.worker, operation.action, operation.revision)).collect())
    }

    /// Panics unless exactly these operations are enqueued, in the order in which they were.
    pub async fn assert_enqueued(&self, wanted: &[(&str, Action, Option<Revision>)]) {
        let found = self.enqueued().await.expect("a store in memory answers");
        let wanted: Vec<_> = wanted.iter().map(|(worker, action, to)| ((*worker).to_owned(), *action, *to)).collect();
        assert_eq!(found, wanted, "the enqueued operations are others");
    }

    /// Ends the reconciler and waits for it. Panics when a worker had to be aborted.
    pub async fn stop(self) {
        let aborted = self.stopper.stop(Duration::from_secs(10)).await;
        assert!(aborted.is_empty(), "did not end in time: {aborted:?}");
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{Folder, leak_checked, leak_checked_live};

    use super::*;
    use crate::publish::file_sd::{Content, FileSd, FileSdWorker, Format, Output};
    use crate::reconcile::Desired;

    fn spec(folder: &Folder) -> FileSd {
        let output = Output { path: folder.path("a.json"), format: Format::Json, jobs: Vec::new() };
        FileSd { output, content: Content::Jobs([].into()) }
    }

    fn wanted(spec: &FileSd, revision: u128) -> DesiredSet<FileSd> {
        [(WorkerId::from("w"), Desired { revision: Revision(revision), spec: spec.clone() })].into()
    }

    #[test]
    fn inline_runs_a_worker_on_the_spot() {
        leak_checked_live(|| async {
            let folder = Folder::new();
            let work = Work::Reach { spec: spec(&folder), revision: Revision(1) };
            let outcome = inline(&mut FileSdWorker::new(), &work).await;
            assert_eq!(outcome.name(), Outcome::Done.name());
            assert_eq!(folder.read("a.json").split_whitespace().collect::<String>(), "[]");
        });
    }

    #[test]
    fn manual_workers_wait_for_the_test_while_their_operation_is_enqueued() {
        leak_checked(|| async {
            let folder = Folder::new();
            let (mut manual, workers) = Manual::new();
            let live = Live::start(workers);
            live.assert_enqueued(&[]).await;
            assert!(manual.is_idle());
            live.want(wanted(&spec(&folder), 7));
            let run = manual.next().await;
            assert_eq!(&*run.worker, "w");
            live.assert_enqueued(&[("w", Action::Start, Some(Revision(7)))]).await;
            run.finish(Outcome::Done);
            rosterd_testkit::eventually(Duration::from_secs(30), "the outcome is recorded", || {
                live.statuses.get("w").is_some_and(|status| status.revision == Some(Revision(7)))
            })
            .await;
            live.assert_enqueued(&[]).await;
            live.stop().await;
        });
    }

    #[test]
    fn a_live_reconciler_runs_real_workers() {
        leak_checked_live(|| async {
            let folder = Folder::new();
            let make = |_: &WorkerId, _: &FileSd| -> Box<dyn Worker<FileSd>> { Box::new(FileSdWorker::new()) };
            let live = Live::start(make);
            live.want(wanted(&spec(&folder), 1));
            let file = folder.path("a.json");
            rosterd_testkit::eventually(Duration::from_secs(30), "the file is written", || file.exists()).await;
            live.stop().await;
        });
    }
}
