//! One worker of the table: what is known of it, and what follows from an outcome.

use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use rosterd_tasks::Schedule;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::recorded::Recorded;
use super::run::Job;
use super::status::{EndedOperation, Means, OperationState, OperationStatus};
use super::{Aim, Outcome, Phase, Spec, Step, Work, Worker, WorkerId, WorkerStatus};
use crate::store::ledger::{Action, FailedOperation, Operation, OperationId, Progress, Revision, WorkerState};

/// The longest wait between two tries.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A worker.
pub(super) struct Entry<S> {
    pub(super) kind: String,
    /// What it was last told, and as it is in the ledger.
    pub(super) spec: Option<S>,
    spec_value: Value,
    pub(super) aim: Aim,
    /// The revision it last reached, or gave up where its worker says when the next operation begins.
    pub(super) reached: Option<Revision>,
    /// The operation that has not ended.
    pub(super) pending: Option<Pending<S>>,
    /// The operation that was given up last, until its worker says that it is well.
    failed: Option<FailedOperation>,
    /// Operations that ended since they were last asked for.
    pub(super) ended: Vec<EndedOperation>,
    /// It has ended, and the ledger may not know it yet.
    pub(super) gone: bool,
    /// What the ledger has of it.
    pub(super) recorded: Recorded,
    /// Whether the worker was made in this process.
    pub(super) running: bool,
    /// The worker, unless it is at work.
    pub(super) worker: Option<Box<dyn Worker<S>>>,
    /// The run that goes on.
    pub(super) ongoing: Option<Ongoing>,
    pub(super) due: Option<tokio::time::Instant>,
    /// The backoff of keeping what was reached.
    keeping: Schedule,
    pub(super) phase: Phase,
    last_error: Option<Report>,
    pub(super) next_try: Option<SystemTime>,
}

/// An operation that has not ended.
pub(super) struct Pending<S> {
    pub(super) operation: Operation,
    pub(super) spec: S,
    pub(super) schedule: Schedule,
    /// Whether its step may have been begun.
    pub(super) repeated: bool,
}

impl<S> Pending<S> {
    /// The step before is done, and left this behind.
    fn goes_to(&mut self, step: u32, left: Value) {
        self.operation.progress = Progress { step, left, ..Progress::default() };
        self.schedule.succeeded();
        self.repeated = false;
    }
}

/// A run that goes on.
pub(super) struct Ongoing {
    /// `None` when it keeps what was reached.
    pub(super) operation: Option<OperationId>,
    pub(super) stop: CancellationToken,
}

impl<S: Spec> Entry<S> {
    pub(super) fn new(id: &WorkerId, kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            spec: None,
            spec_value: Value::Null,
            aim: Aim::Unknown,
            reached: None,
            pending: None,
            failed: None,
            ended: Vec::new(),
            gone: false,
            recorded: Recorded::default(),
            running: false,
            worker: None,
            ongoing: None,
            due: None,
            keeping: Schedule::new(LONGEST_WAIT, id),
            phase: Phase::Pending,
            last_error: None,
            next_try: None,
        }
    }

    /// Whether nothing else may be decided before its operation is further.
    pub(super) fn is_bound(&self) -> bool {
        let at_work = self.ongoing.as_ref().is_some_and(|ongoing| ongoing.operation.is_some());
        at_work || self.pending.as_ref().is_some_and(|pending| pending.operation.progress.step > 0)
    }

    /// Gives it another specification.
    pub(super) fn told(&mut self, spec: &S) {
        self.kind = spec.kind().to_owned();
        self.spec_value = serde_json::to_value(spec).expect("a specification is plain data with text as keys");
        self.spec = Some(spec.clone());
    }

    /// Decides a step, if it is known what the worker is. A pending operation that leads to the same keeps its number
    /// and its progress.
    pub(super) fn decide(&mut self, id: &WorkerId, step: Step, number: OperationId) {
        let left = self.pending.take().filter(|left| left.operation.revision == step.revision());
        let repeated = left.as_ref().is_some_and(|left| left.repeated);
        self.aim = step.aim();
        self.phase = Phase::Pending;
        self.next_try = None;
        self.gone = self.spec.is_none();
        self.pending = self.spec.clone().map(|spec| {
            let operation = left.map(|left| left.operation).unwrap_or_else(|| Operation {
                id: number,
                worker: id.to_string(),
                kind: self.kind.clone(),
                action: step.action(),
                revision: step.revision(),
                spec: self.spec_value.clone(),
                progress: Progress::default(),
            });
            Pending { operation, spec, schedule: Schedule::new(LONGEST_WAIT, id), repeated }
        });
    }

    /// Begins an operation of this number that brings the worker to where it was before, as it says that it is not there any more.
    pub(super) fn begin(&mut self, id: &WorkerId, number: OperationId) {
        let Some(spec) = self.spec.clone() else { return };
        let operation = self.anew(id, number);
        self.phase = Phase::Pending;
        self.next_try = None;
        self.pending = Some(Pending { operation, spec, schedule: Schedule::new(LONGEST_WAIT, id), repeated: false });
    }

    /// What the ledger should have of it.
    pub(super) fn to_record(&self, id: &WorkerId) -> Recorded {
        let state = || WorkerState {
            id: id.to_string(),
            kind: self.kind.clone(),
            revision: self.reached,
            spec: self.spec_value.clone(),
            failed: self.failed.clone(),
        };
        Recorded {
            operation: self.pending.as_ref().map(|pending| pending.operation.clone()),
            state: (!self.gone).then(state),
        }
    }

    /// Goes on from what the ledger has. Fails when that is not understood; then the worker counts as never begun.
    pub(super) fn take_recorded(&mut self, id: &WorkerId) -> Result<(), serde_json::Error> {
        let Recorded { operation, state } = self.recorded.clone();
        self.aim = Aim::Unknown;
        self.pending = None;
        self.gone = false;
        self.reached = state.as_ref().and_then(|state| state.revision);
        self.failed = state.as_ref().and_then(|state| state.failed.clone());
        let value = operation.as_ref().map(|operation| operation.spec.clone()).or(state.map(|state| state.spec));
        self.spec_value = value.unwrap_or_default();
        self.spec = None;
        if self.spec_value.is_null() {
            return Ok(());
        }
        let spec: S = serde_json::from_value(self.spec_value.clone())?;
        self.spec = Some(spec.clone());
        if let Some(FailedOperation { operation, ended }) = self.failed.clone() {
            self.remember(&operation, ended, operation.progress.last_error.clone(), Means::default());
        }
        if let Some(operation) = operation {
            if operation.progress.step > 0 {
                self.aim = operation.revision.map_or(Aim::End, Aim::Revision);
            }
            self.last_error = operation.progress.last_error.clone();
            self.pending = Some(Pending { operation, spec, schedule: Schedule::new(LONGEST_WAIT, id), repeated: true });
        }
        Ok(())
    }

    /// What it does next, if it is due. `recorded` says whether the ledger has all of it.
    pub(super) fn next_job(&self, recorded: bool) -> Option<Job<S>> {
        let Some(Pending { operation, spec, repeated, .. }) = &self.pending else {
            let here = self.reached.is_some_and(|reached| self.aim == Aim::Revision(reached));
            return self.spec.clone().filter(|_| here).map(Job::Keep);
        };
        if spec.needs_record() && !recorded {
            return None;
        }
        let Progress { step, attempt, left, .. } = operation.progress.clone();
        let (action, spec, revision) = (operation.action, spec.clone(), operation.revision);
        let repeated = *repeated;
        Some(Job::Operation(operation.id, Work { action, spec, revision, step, attempt, repeated, left }))
    }

    /// A run goes on from now on: a step that is cut off now may have been done.
    pub(super) fn goes_on(&mut self, ongoing: Ongoing) {
        if let Some(pending) = self.pending.as_mut().filter(|_| ongoing.operation.is_some()) {
            pending.repeated = true;
        }
        self.ongoing = Some(ongoing);
    }

    /// Takes over how a step of the pending operation ended. Returns when it is due again, if it is.
    pub(super) fn step_ended(&mut self, outcome: Outcome) -> Option<Duration> {
        let pending = self.pending.as_mut()?;
        let step_before = pending.operation.progress.step;
        let (phase, error, wait) = match outcome {
            // It is no operation's to begin one.
            Outcome::Done | Outcome::Begun | Outcome::Begin | Outcome::Cancel(_) => {
                return self.operation_ended(outcome);
            }
            Outcome::Next(left) => {
                pending.goes_to(step_before + 1, left);
                (Phase::Pending, None, None)
            }
            Outcome::To(step, left) => {
                pending.goes_to(step, left);
                (Phase::Pending, None, None)
            }
            Outcome::Snooze(wait) => (Phase::Snoozing, None, Some(wait)),
            Outcome::Retry(error) => {
                let progress = &mut pending.operation.progress;
                progress.attempt = progress.attempt.saturating_add(1);
                progress.last_error = Some(error.clone());
                let wait = pending.schedule.failed(error.retry);
                (Phase::Retrying, Some(error), Some(wait))
            }
        };
        self.show(phase, error, wait);
        Some(wait.unwrap_or_default())
    }

    fn operation_ended(&mut self, outcome: Outcome) -> Option<Duration> {
        let mut operation = self.pending.take()?.operation;
        let (ended, error) = (SystemTime::now(), outcome.error().cloned());
        operation.progress.last_error = error.clone();
        let again = self.failed.as_ref().is_some_and(|failed| is_like(&failed.operation, &operation));
        let reached = error.is_none() && outcome != Outcome::Begun;
        self.remember(&operation, ended, error.clone(), Means { again, reached });
        if error.is_some() {
            self.failed = Some(FailedOperation { operation: operation.clone(), ended });
        } else if reached {
            self.failed = None;
        }
        if operation.action == Action::Stop {
            // A worker that refuses to stop is gone all the same: nothing would ever try again.
            (self.gone, self.worker, self.running) = (true, None, false);
            return None;
        }
        match outcome {
            Outcome::Cancel(error) => {
                self.show(Phase::Cancelled, Some(error), None);
                // What leads there is begun by its worker, from here on.
                if self.spec.as_ref().is_some_and(S::begins_again) {
                    self.reached = operation.revision;
                }
                // What was there before is kept.
                let is_there = operation.revision.is_some() && operation.revision == self.reached;
                is_there.then_some(Duration::ZERO)
            }
            _ => {
                self.reached = operation.revision;
                match self.failed.as_ref().and_then(|failed| failed.operation.progress.last_error.clone()) {
                    Some(error) => self.show(Phase::Cancelled, Some(error), None),
                    None => self.show(Phase::Done, None, None),
                }
                Some(Duration::ZERO)
            }
        }
    }

    /// Whether an operation was given up, and its worker has not said since that it is well.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// It says that it is well after an operation was given up, which no other one has made so: that is one of this number, as whoever
    /// was told of the failure is told of that.
    pub(super) fn is_well_again(&mut self, id: &WorkerId, number: OperationId) {
        let operation = self.anew(id, number);
        self.remember(&operation, SystemTime::now(), None, Means { again: false, reached: true });
    }

    /// An operation of this number that leads to where the worker is, or was.
    fn anew(&self, id: &WorkerId, number: OperationId) -> Operation {
        Operation {
            id: number,
            worker: id.to_string(),
            kind: self.kind.clone(),
            action: Action::Update,
            revision: self.reached,
            spec: self.spec_value.clone(),
            progress: Progress::default(),
        }
    }

    /// Takes over what came of keeping what was reached. Returns when it is due again.
    pub(super) fn kept(&mut self, outcome: Outcome) -> Duration {
        let (phase, error, wait) = match outcome {
            Outcome::Done | Outcome::Begun | Outcome::Begin | Outcome::Next(_) | Outcome::To(..) => {
                self.failed = None;
                (Phase::Done, None, None)
            }
            Outcome::Snooze(wait) => (Phase::Snoozing, None, Some(wait).filter(|wait| !wait.is_zero())),
            Outcome::Retry(error) => {
                let wait = self.keeping.failed(error.retry);
                (Phase::Retrying, Some(error), Some(wait))
            }
            Outcome::Cancel(error) => (Phase::Cancelled, Some(error), Some(LONGEST_WAIT)),
        };
        if error.is_none() {
            self.keeping.succeeded();
        }
        self.show(phase, error, wait);
        wait.unwrap_or_default()
    }

    fn show(&mut self, phase: Phase, error: Option<Report>, wait: Option<Duration>) {
        self.phase = phase;
        self.last_error = error;
        self.next_try = wait.and_then(|wait| SystemTime::now().checked_add(wait));
    }

    fn status_of(&self, operation: &Operation, state: OperationState) -> OperationStatus {
        let Progress { step, attempt, .. } = operation.progress;
        let names = self.spec.as_ref().filter(|_| operation.action != Action::Stop).map_or(&[][..], S::steps);
        let step_name = names.get(step as usize).copied();
        OperationStatus { id: operation.id, action: operation.action, state, step, step_name, attempt }
    }

    fn remember(&mut self, operation: &Operation, ended: SystemTime, error: Option<Report>, means: Means) {
        let state = if error.is_some() { OperationState::Failed } else { OperationState::Done };
        let status = self.status_of(operation, state);
        let (worker, kind) = (operation.worker.as_str().into(), operation.kind.clone());
        self.ended.push(EndedOperation { worker, kind, status, ended, error, means });
    }

    /// Whether it was given up for the same reason before. A try of the same operation that failed like this is none that was.
    pub(super) fn failed_like(&self, error: &Report) -> bool {
        let before = self.failed.as_ref().and_then(|failed| failed.operation.progress.last_error.as_ref());
        let kept = self.last_error.as_ref().filter(|_| self.phase == Phase::Cancelled);
        [kept, before].into_iter().flatten().any(|one| tells_the_same(one, error))
    }

    pub(super) fn status(&self, id: &WorkerId) -> WorkerStatus<S> {
        let at_work = self.ongoing.as_ref().is_some_and(|ongoing| ongoing.operation.is_some());
        let state = if at_work { OperationState::InFlight } else { OperationState::Enqueued };
        let operation = self.pending.as_ref().map(|pending| self.status_of(&pending.operation, state));
        let desired = match self.aim {
            Aim::Revision(revision) => Some(revision),
            Aim::Unknown | Aim::End => None,
        };
        WorkerStatus {
            id: id.clone(),
            kind: self.kind.clone(),
            spec: self.spec.clone(),
            state: self.phase,
            operation,
            last_error: self.last_error.clone(),
            next_try: self.next_try,
            desired,
        }
    }
}

/// Whether an operation that was given up leads to where the one before led, and was given up for the same reason.
fn is_like(before: &Operation, now: &Operation) -> bool {
    let (why, why_now) = (&before.progress.last_error, &now.progress.last_error);
    before.revision == now.revision
        && why.as_ref().zip(why_now.as_ref()).is_some_and(|(one, other)| tells_the_same(one, other))
}

/// Whether both tell the same but for numbers: what commands say has times in it, and those of processes.
fn tells_the_same(one: &Report, other: &Report) -> bool {
    let words = |report: &Report| report.to_string().replace(|character: char| character.is_ascii_digit(), "");
    one.code == other.code && words(one) == words(other)
}
