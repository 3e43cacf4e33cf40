//! The loop: look, plan, record, let the workers work, record what came of it.

use std::sync::Arc;
use std::time::Duration;

use rosterd_model::{Coded, Priority, Report};
use rosterd_tasks::{Guard, Schedule, Stopper};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::metrics::Metrics;
use super::table::{Ended, Run, Table};
use super::{DesiredSet, MakeWorker, Outcome, Spec, Statuses, Work, WorkerId, plan};
use crate::store::StoreError;
use crate::store::ledger::{Ledger, Member, Transaction};

/// How many workers are at work at the same time.
const CONCURRENT: usize = 64;

/// A worker panicked. It is made anew for the next try.
#[derive(Debug, thiserror::Error)]
#[error("worker {0} panicked")]
pub struct WorkerPanicked(WorkerId);

impl Coded for WorkerPanicked {
    fn code(&self) -> &'static str {
        "reconcile_worker_panicked"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }
}

/// The reconciler of workers of the kinds in `S`.
#[derive(Debug)]
pub struct Reconciler;

impl Reconciler {
    /// Starts the loop on the stopper. It begins once `desired` is known: `None` is not *nothing*.
    ///
    /// When the stopper stops, workers that are at work end their run, and the outcome is recorded. Workers are not
    /// stopped by that: the next process finds them in the store and starts them again.
    pub fn start<S: Spec>(
        store: Arc<dyn Ledger>,
        make: impl MakeWorker<S>,
        desired: watch::Receiver<Option<Arc<DesiredSet<S>>>>,
        metrics: Metrics,
        stopper: &Stopper,
    ) -> Statuses {
        let statuses = Statuses::default();
        let (sender, ended) = mpsc::channel(CONCURRENT);
        let reconciling = Loop {
            store,
            make: Arc::new(make),
            desired,
            metrics,
            statuses: statuses.clone(),
            stopper: stopper.clone(),
            table: Table::new(),
            loaded: false,
            planned: false,
            unrecorded: Vec::new(),
            at_work: 0,
            store_schedule: Schedule::new(Duration::from_secs(60), "reconciler"),
            store_retry: None,
            sender,
            working: stopper.supervision().guard("worker"),
        };
        // Workers go on without it, and must not be begun a second time beside those.
        stopper.spawn_essential("reconciler", reconciling.run(ended));
        statuses
    }
}

struct Loop<S> {
    store: Arc<dyn Ledger>,
    make: Arc<dyn MakeWorker<S>>,
    desired: watch::Receiver<Option<Arc<DesiredSet<S>>>>,
    metrics: Metrics,
    statuses: Statuses,
    stopper: Stopper,
    table: Table<S>,
    /// Whether the table holds what the store does.
    loaded: bool,
    /// Whether the latest desired state was planned and recorded.
    planned: bool,
    /// Outcomes that are not in the store yet.
    unrecorded: Vec<Ended<S>>,
    at_work: usize,
    store_schedule: Schedule,
    store_retry: Option<Instant>,
    sender: mpsc::Sender<Ended<S>>,
    /// Catches panics of workers.
    working: Guard,
}

impl<S: Spec> Loop<S> {
    async fn run(mut self, mut ended: mpsc::Receiver<Ended<S>>) {
        let stop = self.stopper.token().clone();
        let mut watching = true;
        loop {
            self.bring_store_up_to_date().await;
            if self.dispatch() {
                continue;
            }
            let wake = self.wake();
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ended.recv_many(&mut batch, CONCURRENT) => self.take_back(batch),
                changed = self.desired.changed(), if watching => {
                    self.planned = false;
                    // Without its owner the desired state stays as it is.
                    watching = changed.is_ok();
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        while self.at_work > 0 {
            let Some(last) = ended.recv().await else { break };
            self.take_back(vec![last]);
        }
        if let Err(error) = self.record_outcomes().await {
            warn!(error = %Report::of(&error), code = error.code(), "the last outcomes were not recorded: the next start repeats them");
        }
    }

    /// When there is something to do, if nothing happens before.
    fn wake(&self) -> Option<Instant> {
        let due = self.table.next_due().filter(|_| self.at_work < CONCURRENT);
        due.into_iter().chain(self.store_retry).min()
    }

    /// Loads, records and plans, as far as that is due. Failures of the store are tried again after a while; until then
    /// nothing new begins, and what was decided goes on.
    async fn bring_store_up_to_date(&mut self) {
        if self.store_retry.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.store_retry = None;
        let result = self.try_bring_store_up_to_date().await;
        let (pending, retrying) = self.table.counts();
        self.metrics.pending.set(pending.try_into().unwrap_or(i64::MAX));
        self.metrics.retrying.set(retrying.try_into().unwrap_or(i64::MAX));
        match result {
            Ok(()) => drop(self.store_schedule.succeeded()),
            Err(error) => {
                let wait = self.store_schedule.failed(error.retry());
                let report = Report::of(&error);
                warn!(error = %report, code = error.code(), retry_in = ?wait, "the store refused, workers stay as they are");
                self.metrics.store_failures.inc();
                self.store_retry = Some(Instant::now() + wait);
            }
        }
    }

    async fn try_bring_store_up_to_date(&mut self) -> Result<(), StoreError> {
        if !self.loaded {
            let found = self.store.read(&Member::local()).await?;
            let (states, pending) = (found.workers, found.operations);
            if !pending.is_empty() {
                info!(operations = pending.len(), "resuming operations that had not ended");
            }
            self.table.load(states, pending);
            (self.loaded, self.planned) = (true, false);
        }
        self.record_outcomes().await?;
        self.plan_and_record().await
    }

    async fn record_outcomes(&mut self) -> Result<(), StoreError> {
        if self.unrecorded.is_empty() {
            return Ok(());
        }
        let transaction = Table::conclude(&self.unrecorded);
        self.apply(transaction).await?;
        let ended = std::mem::take(&mut self.unrecorded);
        let ids: Vec<_> = ended.iter().map(|ended| ended.id.clone()).collect();
        self.table.settle(ended, Instant::now());
        self.show(&ids);
        Ok(())
    }

    async fn plan_and_record(&mut self) -> Result<(), StoreError> {
        if self.planned {
            return Ok(());
        }
        let Some(desired) = self.desired.borrow_and_update().clone() else {
            self.planned = true;
            return Ok(());
        };
        let plan = plan(&self.table.actual(), &desired);
        let operations = self.table.operations(&plan, &desired);
        let transaction = self.table.decide(&operations);
        self.apply(transaction).await?;
        self.planned = true;
        for (id, operation) in &operations {
            debug!(worker = &**id, action = operation.action.name(), "operation decided");
        }
        self.table.take_over(operations, &plan, &desired, Instant::now());
        let ids: Vec<_> = plan.steps.into_keys().collect();
        self.show(&ids);
        Ok(())
    }

    /// A failed precondition says that the store knows something else than the table: all is loaded and planned again.
    async fn apply(&mut self, transaction: Transaction) -> Result<(), StoreError> {
        if transaction.writes.is_empty() {
            return Ok(());
        }
        let result = self.store.apply(transaction).await;
        if let Err(StoreError::Precondition(_)) = &result {
            self.loaded = false;
            self.unrecorded.clear();
        }
        result.map(drop)
    }

    /// Lets workers begin that are due. Says whether an outcome is there already.
    fn dispatch(&mut self) -> bool {
        while self.at_work < CONCURRENT
            && let Some(run) = self.table.next_run(Instant::now())
        {
            self.at_work += 1;
            if let (Work::End, None) = (&run.work, &run.worker) {
                // Known from the store alone: nothing of it runs in this process.
                let Run { id, operation, .. } = run;
                self.take_back(vec![Ended { id, operation, outcome: Outcome::Done, worker: None }]);
                return true;
            }
            self.begin(run);
        }
        false
    }

    fn begin(&self, run: Run<S>) {
        let (make, sender, stop) = (Arc::clone(&self.make), self.sender.clone(), self.stopper.token().clone());
        let Run { id, operation, work, worker } = run;
        let guard = self.working.clone();
        self.stopper.spawn_expendable(("worker", id.clone()), async move {
            let working = async {
                let mut worker = match (worker, &work) {
                    (Some(worker), _) => worker,
                    (None, Work::Reach { spec, .. }) => make.make(&id, spec),
                    (None, Work::End) => return (Outcome::Done, None),
                };
                let outcome = worker.run(&work, &stop).await;
                (outcome, Some(worker))
            };
            let result = guard.run(&id, working).await;
            let panicked = |_| (Outcome::failed(&WorkerPanicked(id.clone())), None);
            let (outcome, worker) = result.unwrap_or_else(panicked);
            // The loop waits for every worker that it let begin, unless it was aborted.
            sender.send(Ended { id, operation, outcome, worker }).await.ok();
        });
    }

    fn take_back(&mut self, batch: Vec<Ended<S>>) {
        for mut ended in batch {
            self.at_work -= 1;
            let (kind, action) = (ended.operation.kind.as_str(), ended.operation.action.name());
            self.metrics.operations.with_label_values(&[kind, action, ended.outcome.name()]).inc();
            let worker = &*ended.id;
            match &ended.outcome {
                Outcome::Done => debug!(worker, action, "operation done"),
                Outcome::Snooze(wait) => debug!(worker, action, ?wait, "operation snoozes"),
                Outcome::Retry(error) => {
                    warn!(worker, action, %error, code = error.code, "operation failed, trying again")
                }
                Outcome::Cancel(error) => {
                    error!(worker, action, %error, code = error.code, "operation cannot work, waiting for another configuration");
                }
            }
            if self.table.take_back(&mut ended, Instant::now()) {
                self.unrecorded.push(ended);
            }
        }
    }

    fn show(&self, ids: &[WorkerId]) {
        for id in ids {
            self.statuses.set(id, self.table.status(id));
        }
    }
}

#[cfg(test)]
#[path = "reconciler_tests.rs"]
mod tests;
