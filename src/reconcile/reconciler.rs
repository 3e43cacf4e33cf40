//! The loop: look, plan, record, let the workers work, take over what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rosterd_model::{Coded, Priority, Report};
use rosterd_tasks::{Guard, Schedule, Stopper};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::metrics::Metrics;
use super::run::{Ended, Job, Run};
use super::table::Table;
use super::{DesiredSet, MakeWorker, Outcome, Spec, Statuses, WorkerId, plan};
use crate::store::StoreError;
use crate::store::ledger::{Ledger, LedgerNews, Member, Version, Watch};

/// How many workers are at work on operations at the same time.
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
    /// Starts the loop on the stopper, with a member's records in the ledger. It begins once `desired` is known: `None`
    /// is not *nothing*.
    ///
    /// When the stopper stops, workers that are at work end their run, and the outcome is recorded. Workers are not
    /// stopped by that: the next process finds them in the ledger and starts them again.
    pub fn start<S: Spec>(
        (ledger, member): (Arc<dyn Ledger>, Member),
        make: impl MakeWorker<S>,
        desired: watch::Receiver<Option<Arc<DesiredSet<S>>>>,
        metrics: Metrics,
        stopper: &Stopper,
    ) -> Statuses<S> {
        let statuses = Statuses::default();
        let (sender, ended) = mpsc::channel(CONCURRENT);
        let reconciling = Loop {
            ledger,
            member,
            make: Arc::new(make),
            desired,
            metrics,
            statuses: statuses.clone(),
            stopper: stopper.clone(),
            table: Table::new(),
            watch: None,
            loaded: Loaded::Never,
            planned: false,
            known: Version::default(),
            own: BTreeSet::new(),
            operating: 0,
            keeping: 0,
            ledger_schedule: Schedule::new(Duration::from_secs(60), "reconciler"),
            ledger_retry: None,
            refused: false,
            sender,
            working: stopper.supervision().guard("worker"),
        };
        // Workers go on without it, and must not be begun a second time beside those.
        stopper.spawn_essential("reconciler", reconciling.run(ended));
        statuses
    }
}

/// Whether the table knows what the ledger has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    /// It never did.
    Never,
    /// Somebody else has changed something.
    Outdated,
    /// It does.
    Yes,
}

struct Loop<S> {
    ledger: Arc<dyn Ledger>,
    member: Member,
    make: Arc<dyn MakeWorker<S>>,
    desired: watch::Receiver<Option<Arc<DesiredSet<S>>>>,
    metrics: Metrics,
    statuses: Statuses<S>,
    stopper: Stopper,
    table: Table<S>,
    /// `None` as long as the ledger was never read.
    watch: Option<Watch>,
    loaded: Loaded,
    /// Whether the latest desired state was planned.
    planned: bool,
    /// The changes of the ledger up to this one are known, and of the later ones those that are this loop's own.
    known: Version,
    own: BTreeSet<Version>,
    /// How many runs of operations go on, and how many that keep what was reached.
    operating: usize,
    keeping: usize,
    ledger_schedule: Schedule,
    ledger_retry: Option<Instant>,
    /// Whether the ledger refused the last transaction.
    refused: bool,
    sender: mpsc::Sender<Ended<S>>,
    /// Catches panics of workers.
    working: Guard,
}

impl<S: Spec> Loop<S> {
    async fn run(mut self, mut ended: mpsc::Receiver<Ended<S>>) {
        let stop = self.stopper.token().clone();
        let mut watching = true;
        loop {
            self.look().await;
            self.dispatch();
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
                news = next(&mut self.watch) => self.take_news(news),
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        while self.operating + self.keeping > 0 {
            let Some(last) = ended.recv().await else { break };
            self.take_back(vec![last]);
        }
        if self.loaded == Loaded::Yes
            && let Err(error) = self.record().await
        {
            warn!(error = %Report::of(&error), code = error.code(), "the last outcomes were not recorded: the next start repeats them");
        }
    }

    /// When there is something to do, if nothing happens before.
    fn wake(&self) -> Option<Instant> {
        let due = self.table.next_due().filter(|_| self.operating < CONCURRENT);
        due.into_iter().chain(self.ledger_retry).min()
    }

    /// Reads the ledger, plans and records, as far as that is due. When the ledger fails, it is tried again after a while;
    /// until then nothing new begins that has to be recorded, and everything else goes on.
    async fn look(&mut self) {
        let Some(desired) = self.desired.borrow_and_update().clone() else { return };
        let due = self.ledger_retry.is_none_or(|at| at <= Instant::now());
        let mut result = Ok(());
        if due {
            self.ledger_retry = None;
            result = self.load().await;
        }
        self.plan(&desired);
        if due && result.is_ok() {
            result = self.record().await;
        }
        let [pending, retrying, failed] = self.table.counts();
        for (gauge, count) in
            [(&self.metrics.pending, pending), (&self.metrics.retrying, retrying), (&self.metrics.failed, failed)]
        {
            gauge.set(count.try_into().unwrap_or(i64::MAX));
        }
        match result {
            Ok(()) if due => drop(self.ledger_schedule.succeeded()),
            Ok(()) => {}
            Err(error) => {
                let wait = self.ledger_schedule.failed(error.retry());
                let report = Report::of(&error);
                warn!(error = %report, code = error.code(), retry_in = ?wait, "the ledger refused, what has to be recorded waits");
                self.metrics.store_failures.inc();
                self.ledger_retry = Some(Instant::now() + wait);
            }
        }
    }

    async fn load(&mut self) -> Result<(), StoreError> {
        if self.loaded == Loaded::Yes {
            return Ok(());
        }
        if self.watch.is_none() {
            self.watch = Some(self.ledger.watch(&self.member).await?);
        }
        let found = self.ledger.read(&self.member).await?;
        if self.loaded == Loaded::Never && !found.operations.is_empty() {
            info!(operations = found.operations.len(), "resuming operations that had not ended");
        }
        self.known = found.version;
        self.table.load(found, self.loaded == Loaded::Never, Instant::now());
        (self.loaded, self.planned) = (Loaded::Yes, false);
        let ids: Vec<_> = self.table.ids().cloned().collect();
        let mut ended: Vec<_> = ids.iter().flat_map(|id| self.table.ended(id)).collect();
        ended.sort_by_key(|ended| ended.ended);
        self.statuses.remember(ended);
        for id in &ids {
            self.statuses.set(id, self.table.status(id));
        }
        Ok(())
    }

    fn plan(&mut self, desired: &DesiredSet<S>) {
        if std::mem::replace(&mut self.planned, true) {
            return;
        }
        let mut plan = plan(&self.table.actual(), desired);
        if self.loaded == Loaded::Never {
            // An earlier process may have left them in the middle of an operation.
            plan.steps.retain(|id, _| desired.get(id).is_none_or(|desired| !desired.spec.needs_record()));
        }
        self.table.decide(&plan, desired, Instant::now());
        for (id, step) in &plan.steps {
            debug!(worker = &**id, action = step.action().name(), "operation decided");
            self.statuses.set(id, self.table.status(id));
        }
    }

    /// Makes the ledger have what was decided and what came of it. A failed precondition says that it knows something
    /// else than the table: all is read and planned again.
    async fn record(&mut self) -> Result<(), StoreError> {
        let (transaction, recorded) = self.table.to_record(&self.member);
        // What was refused may not have to be recorded any more; that the ledger takes something again shows all the same.
        if !transaction.writes.is_empty() || self.refused {
            match self.ledger.apply(transaction).await {
                Ok(version) => {
                    self.refused = false;
                    self.own.extend(version);
                }
                Err(error) => {
                    self.refused = true;
                    if let StoreError::Precondition(_) = &error {
                        self.loaded = Loaded::Outdated;
                    }
                    return Err(error);
                }
            }
        }
        self.table.recorded(recorded, Instant::now());
        Ok(())
    }

    fn take_news(&mut self, news: LedgerNews) {
        let known = match news {
            LedgerNews::Changed(version) => {
                let own = self.own.contains(&version);
                self.own.retain(|own| *own > version);
                own || version <= self.known
            }
            LedgerNews::Missed => false,
        };
        if !known && self.loaded == Loaded::Yes {
            self.loaded = Loaded::Outdated;
        }
    }

    /// Lets workers begin that are due.
    fn dispatch(&mut self) {
        let stop = self.stopper.token().clone();
        while self.operating < CONCURRENT
            && let Some(run) = self.table.next_run(Instant::now(), &stop)
        {
            match run.job {
                Job::Operation(..) => {
                    self.operating += 1;
                    self.statuses.set(&run.id, self.table.status(&run.id));
                }
                Job::Keep(_) => self.keeping += 1,
            }
            self.begin(run);
        }
    }

    fn begin(&self, run: Run<S>) {
        let (make, sender) = (Arc::clone(&self.make), self.sender.clone());
        let Run { id, job, worker, stop } = run;
        let operation = job.operation();
        let guard = self.working.clone();
        self.stopper.spawn_expendable(("worker", id.clone()), async move {
            let working = async {
                let spec = match &job {
                    Job::Operation(_, work) => &work.spec,
                    Job::Keep(spec) => spec,
                };
                let mut worker = worker.unwrap_or_else(|| make.make(&id, spec));
                let outcome = match &job {
                    Job::Operation(_, work) => worker.run(work, &stop).await,
                    Job::Keep(spec) => worker.keep(spec, &stop).await,
                };
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
        for ended in batch {
            match ended.operation {
                Some(_) => self.operating -= 1,
                None => self.keeping -= 1,
            }
            self.tell(&ended);
            let id = ended.id.clone();
            let free = self.table.take_back(ended, Instant::now());
            let agrees = || self.desired.borrow().as_ref().is_none_or(|desired| self.table.agrees(&id, desired));
            if free && !agrees() {
                self.planned = false;
            }
            self.statuses.ends(self.table.ended(&id));
            self.statuses.set(&id, self.table.status(&id));
        }
    }

    fn tell(&self, ended: &Ended<S>) {
        let action = ended.operation.map_or("keep", |(_, action)| action.name());
        let worker = &*ended.id;
        if let Some(status) = self.table.status(&ended.id) {
            self.metrics.operations.with_label_values(&[&status.kind, action, ended.outcome.name()]).inc();
        }
        match &ended.outcome {
            Outcome::Done | Outcome::Begun => debug!(worker, action, "done"),
            Outcome::Next(_) | Outcome::To(..) => debug!(worker, action, "step done"),
            Outcome::Begin => debug!(worker, "has to be brought to where it should be"),
            Outcome::Snooze(wait) => debug!(worker, action, ?wait, "snoozes"),
            Outcome::Retry(error) => warn!(worker, action, %error, code = error.code, "failed, trying again"),
            Outcome::Cancel(error) if self.table.failed_like(&ended.id, error) => {
                debug!(worker, action, %error, "still cannot work");
            }
            Outcome::Cancel(error) => {
                error!(worker, action, %error, code = error.code, "given up for now");
            }
        }
    }
}

/// The next news of the ledger; none without a watch.
async fn next(watch: &mut Option<Watch>) -> LedgerNews {
    let told = match watch {
        Some(watch) => watch.next().await,
        None => None,
    };
    match told {
        Some(news) => news,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
