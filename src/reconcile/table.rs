//! The workers as the loop knows them: what was decided, what came of it, what of it the ledger has, and who is due. No
//! I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::entry::{Entry, Ongoing};
use super::recorded::{self, Recorded};
use super::run::{Ended, Run};
use super::status::EndedOperation;
use super::{Actual, Aim, DesiredSet, Outcome, Phase, Plan, Spec, WorkerId, WorkerStatus};
use crate::store::ledger::{Member, OperationId, Picture, Transaction};

/// All workers.
pub(super) struct Table<S> {
    entries: BTreeMap<WorkerId, Entry<S>>,
    /// Workers of which the ledger may have something else.
    unrecorded: BTreeSet<WorkerId>,
    /// When workers are due.
    due: BTreeSet<(Instant, WorkerId)>,
    last_operation: u64,
}

impl<S: Spec> Table<S> {
    /// Without any worker.
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), unrecorded: BTreeSet::new(), due: BTreeSet::new(), last_operation: 0 }
    }

    /// Takes over what the ledger has. The `first` time, what was decided without it stays; later, whoever wrote
    /// something else than this table did is right, and where these workers are has to be planned again.
    pub(super) fn load(&mut self, found: Picture, first: bool, now: Instant) {
        let mut found = recorded::by_worker(found);
        let ids: BTreeSet<_> = self.entries.keys().chain(found.keys()).cloned().collect();
        for id in ids {
            let recorded = found.remove(&id).unwrap_or_default();
            let known = self.entries.contains_key(&id);
            let kind = recorded.kind().unwrap_or_default();
            let entry = self.entries.entry(id.clone()).or_insert_with(|| Entry::new(&id, kind));
            let mine = known && (first || recorded == entry.recorded || recorded == entry.to_record(&id));
            entry.recorded = recorded;
            if !mine && let Err(error) = entry.take_recorded(&id) {
                warn!(worker = &*id, %error, "what the ledger has of a worker is not understood, it is begun anew");
            }
            self.unrecorded.insert(id.clone());
            self.schedule(&id, Some(now));
        }
    }

    /// What is known, for the plan.
    pub(super) fn actual(&self) -> BTreeMap<WorkerId, Actual> {
        let known = |entry: &Entry<S>| Actual { running: entry.running, aim: entry.aim, bound: entry.is_bound() };
        let here = self.entries.iter().filter(|(_, entry)| !entry.gone);
        here.map(|(id, entry)| (id.clone(), known(entry))).collect()
    }

    /// Takes over a plan: each step is an operation that is due.
    pub(super) fn decide(&mut self, plan: &Plan, desired: &DesiredSet<S>, now: Instant) {
        for (id, step) in &plan.steps {
            let number = Self::next_operation(&mut self.last_operation);
            let entry = self.entries.entry(id.clone()).or_insert_with(|| Entry::new(id, ""));
            if let Some(desired) = desired.get(id) {
                entry.told(&desired.spec);
            }
            entry.decide(id, *step, number);
            if let Some(Ongoing { operation: None, stop }) = &entry.ongoing {
                stop.cancel();
            }
            self.unrecorded.insert(id.clone());
            self.schedule(id, Some(now));
        }
    }

    /// Microseconds since 1970: greater than all before, also than those of earlier processes, which the ledger may not
    /// have told yet. A clock that was set back can only repeat the number of an operation that ended long ago.
    fn next_operation(last: &mut u64) -> OperationId {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        *last = now.max(*last + 1);
        OperationId(*last)
    }

    /// Whether the worker is where it should be, or on the way there.
    pub(super) fn agrees(&self, id: &WorkerId, desired: &DesiredSet<S>) -> bool {
        let entry = self.entries.get(id).filter(|entry| !entry.gone);
        match (entry, desired.get(id)) {
            (Some(entry), Some(desired)) => entry.aim == Aim::Revision(desired.revision),
            (Some(entry), None) => entry.aim == Aim::End,
            (None, desired) => desired.is_none(),
        }
    }

    /// What brings the ledger up to date, and what it has then of which workers.
    pub(super) fn to_record(&self, member: &Member) -> (Transaction, Vec<(WorkerId, Recorded)>) {
        let entries = || self.unrecorded.iter().filter_map(|id| Some((id, self.entries.get(id)?)));
        let wanted: Vec<_> = entries().map(|(id, entry)| (id.clone(), entry.to_record(id))).collect();
        let differing = entries().zip(&wanted).filter(|((_, entry), (_, wanted))| entry.recorded != *wanted);
        let differing = differing.map(|((id, entry), (_, wanted))| (id, &entry.recorded, wanted));
        (recorded::transaction(member, differing), wanted)
    }

    /// The ledger has this now. Operations that waited for that are due.
    pub(super) fn recorded(&mut self, recorded: Vec<(WorkerId, Recorded)>, now: Instant) {
        self.unrecorded.clear();
        for (id, recorded) in recorded {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.recorded = recorded;
            if entry.gone && entry.ongoing.is_none() {
                self.schedule(&id, None);
                self.entries.remove(&id);
            } else if entry.pending.is_some() && entry.due.is_none() {
                self.schedule(&id, Some(now));
            }
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

    /// The next run that is due, if there is one. A worker that is at work comes when its run has ended, one whose
    /// operation has to be in the ledger first, when it is.
    pub(super) fn next_run(&mut self, now: Instant, stop: &CancellationToken) -> Option<Run<S>> {
        while self.next_due().is_some_and(|at| at <= now) {
            let (_, id) = self.due.pop_first()?;
            let recorded = !self.unrecorded.contains(&id);
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.due = None;
            if entry.ongoing.is_some() || entry.gone {
                continue;
            }
            let Some(job) = entry.next_job(recorded) else { continue };
            let (stop, operation) = (stop.child_token(), job.operation().map(|(id, _)| id));
            entry.goes_on(Ongoing { operation, stop: stop.clone() });
            return Some(Run { id, job, worker: entry.worker.take(), stop });
        }
        None
    }

    /// Takes a worker back after its run, and takes over the outcome. Says whether something else may be decided for it
    /// that had to wait for the run.
    pub(super) fn take_back(&mut self, ended: Ended<S>, now: Instant) -> bool {
        let Ended { id, operation, outcome, worker } = ended;
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        let cut_off = entry.ongoing.take().is_some_and(|ongoing| ongoing.stop.is_cancelled());
        let had_failed = entry.has_failed();
        entry.worker = worker;
        entry.running = entry.worker.is_some();
        let wait = match operation {
            Some((number, _)) if entry.pending.as_ref().is_some_and(|pending| pending.operation.id == number) => {
                entry.step_ended(outcome)
            }
            // It says nothing of what it keeps.
            None if cut_off => Some(Duration::ZERO),
            None if entry.pending.is_none() && outcome == Outcome::Begin => {
                entry.begin(&id, Self::next_operation(&mut self.last_operation));
                self.unrecorded.insert(id.clone());
                Some(Duration::ZERO)
            }
            None if entry.pending.is_none() => {
                let wait = entry.kept(outcome);
                if had_failed && !entry.has_failed() {
                    entry.is_well_again(&id, Self::next_operation(&mut self.last_operation));
                }
                Some(wait)
            }
            // Something else was decided meanwhile.
            Some(_) | None => Some(Duration::ZERO),
        };
        let free = operation.is_some() && !entry.is_bound();
        if operation.is_some() || entry.has_failed() != had_failed {
            self.unrecorded.insert(id.clone());
        }
        self.schedule(&id, wait.map(|wait| now + wait));
        free
    }

    /// Whether the worker failed like this the last time, too.
    pub(super) fn failed_like(&self, id: &WorkerId, error: &Report) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.failed_like(error))
    }

    /// Operations that ended since this was last asked.
    pub(super) fn ended(&mut self, id: &WorkerId) -> Vec<EndedOperation> {
        self.entries.get_mut(id).map(|entry| std::mem::take(&mut entry.ended)).unwrap_or_default()
    }

    /// How many operations are pending, how many workers wait to try again, and how many have given up.
    pub(super) fn counts(&self) -> [usize; 3] {
        let pending = self.entries.values().filter(|entry| entry.pending.is_some()).count();
        let in_phase = |phase| self.entries.values().filter(|entry| !entry.gone && entry.phase == phase).count();
        [pending, in_phase(Phase::Retrying), in_phase(Phase::Cancelled)]
    }

    /// The status of a worker, `None` when it is gone.
    pub(super) fn status(&self, id: &WorkerId) -> Option<WorkerStatus<S>> {
        self.entries.get(id).filter(|entry| !entry.gone).map(|entry| entry.status(id))
    }

    /// All workers.
    pub(super) fn ids(&self) -> impl Iterator<Item = &WorkerId> {
        self.entries.keys()
    }
}
