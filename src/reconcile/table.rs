//! The workers as the loop knows them, and the transactions that record what happens to them. No I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use rosterd_tasks::Schedule;
use serde_json::Value;
use tokio::time::Instant;

use super::{Actual, Aim, DesiredSet, Outcome, Phase, Plan, Spec, Step, Work, Worker, WorkerId, WorkerStatus};
use crate::store::ledger::{
    Member, Operation, OperationId, Precondition, Progress, Revision, Transaction, WorkerState, Write,
};

/// The longest wait between two tries of one operation.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// All workers.
pub(super) struct Table<S> {
    entries: BTreeMap<WorkerId, Entry<S>>,
    next_operation: u64,
    /// When workers are due.
    due: BTreeSet<(Instant, WorkerId)>,
}

/// A worker.
struct Entry<S> {
    kind: String,
    aim: Aim,
    /// Whether the worker was made in this process.
    running: bool,
    /// The worker, unless it is at work.
    worker: Option<Box<dyn Worker<S>>>,
    /// The number of the operation whose run goes on.
    at_work: Option<OperationId>,
    /// What is stored as its actual revision.
    reached: Option<Revision>,
    /// The operation that is recorded and has not ended.
    pending: Option<Pending<S>>,
    due: Option<Instant>,
    phase: Phase,
    last_error: Option<Report>,
    next_try: Option<SystemTime>,
}

struct Pending<S> {
    stored: Operation,
    /// `None` for what an earlier process left, until it is planned again.
    work: Option<Work<S>>,
    schedule: Schedule,
}

/// A run that can begin.
pub(super) struct Run<S> {
    pub(super) id: WorkerId,
    pub(super) operation: Operation,
    pub(super) work: Work<S>,
    /// `None` when it has to be made first.
    pub(super) worker: Option<Box<dyn Worker<S>>>,
}

/// A run that ended.
pub(super) struct Ended<S> {
    pub(super) id: WorkerId,
    pub(super) operation: Operation,
    pub(super) outcome: Outcome,
    /// `None` when it panicked.
    pub(super) worker: Option<Box<dyn Worker<S>>>,
}

impl<S: Spec> Table<S> {
    /// Without any worker.
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), next_operation: 1, due: BTreeSet::new() }
    }

    /// Takes over what the store knows. Where each worker is has to be planned again; what runs goes on.
    pub(super) fn load(&mut self, states: Vec<WorkerState>, pending: Vec<Operation>) {
        for entry in self.entries.values_mut() {
            (entry.aim, entry.reached, entry.pending) = (Aim::Unknown, None, None);
        }
        for state in states {
            self.entries.entry(state.id.into()).or_insert_with(|| Entry::new(state.kind)).reached = state.revision;
        }
        for stored in pending {
            self.next_operation = self.next_operation.max(stored.id.0 + 1);
            let schedule = Schedule::new(LONGEST_WAIT, &stored.worker);
            let entry = self.entries.entry(stored.worker.as_str().into());
            let entry = entry.or_insert_with(|| Entry::new(stored.kind.clone()));
            entry.pending = Some(Pending { stored, work: None, schedule });
        }
    }

    /// What is known, for the plan.
    pub(super) fn actual(&self) -> BTreeMap<WorkerId, Actual> {
        let known = |entry: &Entry<S>| Actual { running: entry.running, aim: entry.aim };
        self.entries.iter().map(|(id, entry)| (id.clone(), known(entry))).collect()
    }

    /// The operations of a plan, each with a number; one that is stored already, and leads to the same, keeps its own.
    pub(super) fn operations(&mut self, plan: &Plan, desired: &DesiredSet<S>) -> BTreeMap<WorkerId, Operation> {
        let number = |(id, step): (&WorkerId, &Step)| {
            let entry = self.entries.get(id);
            let left = entry.and_then(|entry| entry.pending.as_ref()).filter(|pending| pending.work.is_none());
            if let Some(left) = left.filter(|left| left.stored.revision == step.revision()) {
                return (id.clone(), left.stored.clone());
            }
            let number = OperationId(self.next_operation);
            self.next_operation += 1;
            let kind = desired.get(id).map(|desired| desired.spec.kind().to_owned());
            let kind = kind.or_else(|| entry.map(|entry| entry.kind.clone())).unwrap_or_default();
            let (action, revision) = (step.action(), step.revision());
            (
                id.clone(),
                Operation {
                    id: number,
                    worker: id.to_string(),
                    kind,
                    action,
                    revision,
                    spec: Value::Null,
                    progress: Progress::default(),
                },
            )
        };
        plan.steps.iter().map(number).collect()
    }

    /// Records operations before they begin: nobody else changed the workers, and what they replace is gone.
    pub(super) fn decide(&self, operations: &BTreeMap<WorkerId, Operation>) -> Transaction {
        let mut transaction = Self::transaction();
        for (id, operation) in operations {
            let entry = self.entries.get(id);
            let revision = entry.and_then(|entry| entry.reached);
            transaction.preconditions.push(Precondition::RevisionIs { worker: id.to_string(), revision });
            let stored = entry.and_then(|entry| entry.pending.as_ref()).map(|pending| &pending.stored);
            if stored == Some(operation) {
                continue;
            }
            transaction.writes.extend(stored.map(|replaced| Write::DeleteOperation(replaced.id)));
            transaction.writes.push(Write::PutOperation(operation.clone()));
            transaction.writes.push(Write::PutWorker(WorkerState {
                id: id.to_string(),
                kind: operation.kind.clone(),
                revision,
                spec: Value::Null,
            }));
        }
        transaction
    }

    /// Takes over operations that were recorded, and makes their workers due.
    pub(super) fn take_over(
        &mut self,
        operations: BTreeMap<WorkerId, Operation>,
        plan: &Plan,
        desired: &DesiredSet<S>,
        now: Instant,
    ) {
        for (id, operation) in operations {
            let entry = self.entries.entry(id.clone()).or_insert_with(|| Entry::new(operation.kind.clone()));
            let work = match desired.get(&id) {
                Some(desired) => Work::Reach { spec: desired.spec.clone(), revision: desired.revision },
                None => Work::End,
            };
            entry.aim = plan.steps.get(&id).map_or(entry.aim, |step| step.aim());
            entry.pending =
                Some(Pending { stored: operation, work: Some(work), schedule: Schedule::new(LONGEST_WAIT, &id) });
            entry.phase = Phase::Pending;
            entry.next_try = None;
            self.schedule(&id, Some(now));
        }
    }

    fn schedule(&mut self, id: &WorkerId, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if let Some(before) = std::mem::replace(&mut entry.due, at) {
            self.due.remove(&(before, id.clone()));
        }
        self.due.extend(at.map(|at| (at, id.clone())));
    }

    /// When the next worker is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next run that is due, if there is one. A worker that is at work comes when its run has ended.
    pub(super) fn next_run(&mut self, now: Instant) -> Option<Run<S>> {
        while self.next_due().is_some_and(|at| at <= now) {
            let (_, id) = self.due.pop_first()?;
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.due = None;
            if entry.at_work.is_some() {
                continue;
            }
            let Some(pending) = &entry.pending else { continue };
            let Some(work) = pending.work.clone() else { continue };
            entry.at_work = Some(pending.stored.id);
            let operation = pending.stored.clone();
            return Some(Run { id, operation, work, worker: entry.worker.take() });
        }
        None
    }

    /// Takes a worker back after its run. Says whether the outcome counts; it does not when something else was decided
    /// meanwhile, and then that is due.
    pub(super) fn take_back(&mut self, ended: &mut Ended<S>, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(&ended.id) else { return false };
        entry.at_work = None;
        let stopped = ended.operation.revision.is_none() && ended.outcome == Outcome::Done;
        entry.worker = ended.worker.take().filter(|_| !stopped);
        entry.running = entry.worker.is_some();
        let counts = entry.pending.as_ref().is_some_and(|pending| pending.stored.id == ended.operation.id);
        if !counts {
            self.schedule(&ended.id, Some(now));
        }
        counts
    }

    /// Records that operations ended: they are still pending, and will not be.
    pub(super) fn conclude(ended: &[Ended<S>]) -> Transaction {
        let mut transaction = Self::transaction();
        for Ended { operation, outcome, .. } in ended {
            let done = match outcome {
                Outcome::Done => true,
                Outcome::Cancel(_) => false,
                Outcome::Retry(_) | Outcome::Snooze(_) => continue,
            };
            transaction.preconditions.push(Precondition::OperationPending(operation.id));
            transaction.writes.push(Write::DeleteOperation(operation.id));
            match operation.revision {
                Some(_) if done => transaction.writes.push(Write::PutWorker(WorkerState {
                    id: operation.worker.clone(),
                    kind: operation.kind.clone(),
                    revision: operation.revision,
                    spec: Value::Null,
                })),
                Some(_) => {}
                // A worker that refuses to stop is gone all the same: nothing would ever try again.
                None => transaction.writes.push(Write::DeleteWorker(operation.worker.clone())),
            }
        }
        transaction
    }

    fn transaction() -> Transaction {
        Transaction { member: Member::local(), preconditions: Vec::new(), writes: Vec::new() }
    }

    /// Takes over outcomes that were recorded.
    pub(super) fn settle(&mut self, ended: Vec<Ended<S>>, now: Instant) {
        for Ended { id, operation, outcome, .. } in ended {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let (phase, error, wait) = match outcome {
                Outcome::Done => (Phase::Done, None, None),
                Outcome::Cancel(error) => (Phase::Cancelled, Some(error), None),
                Outcome::Snooze(wait) => (Phase::Snoozing, None, Some(wait)),
                Outcome::Retry(error) => {
                    let wait = entry.pending.as_mut().map(|pending| pending.schedule.failed(error.retry));
                    (Phase::Retrying, Some(error), wait)
                }
            };
            entry.phase = phase;
            entry.last_error = error;
            entry.next_try = wait.and_then(|wait| SystemTime::now().checked_add(wait));
            if wait.is_some() {
                self.schedule(&id, wait.map(|wait| now + wait));
            } else if operation.revision.is_none() {
                self.entries.remove(&id);
            } else {
                entry.pending = None;
                if phase == Phase::Done {
                    entry.reached = operation.revision;
                }
            }
        }
    }

    /// How many operations are pending, and how many workers wait to try again.
    pub(super) fn counts(&self) -> (usize, usize) {
        let pending = self.entries.values().filter(|entry| entry.pending.is_some()).count();
        let retrying = self.entries.values().filter(|entry| entry.phase == Phase::Retrying).count();
        (pending, retrying)
    }

    /// The status of a worker, `None` when it is gone.
    pub(super) fn status(&self, id: &WorkerId) -> Option<WorkerStatus> {
        let entry = self.entries.get(id)?;
        let desired = match entry.aim {
            Aim::Revision(revision) => Some(revision),
            Aim::Unknown | Aim::End => None,
        };
        Some(WorkerStatus {
            id: id.clone(),
            kind: entry.kind.clone(),
            state: entry.phase,
            last_error: entry.last_error.clone(),
            next_try: entry.next_try,
            revision: entry.reached,
            desired,
        })
    }
}

impl<S> Entry<S> {
    fn new(kind: String) -> Self {
        Self {
            kind,
            aim: Aim::Unknown,
            running: false,
            worker: None,
            at_work: None,
            reached: None,
            pending: None,
            due: None,
            phase: Phase::Pending,
            last_error: None,
            next_try: None,
        }
    }
}
