//! The loop with workers that a test drives, on a paused clock.

mod ledger;
mod random;
mod runs;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use rosterd_model::Retry;
use rosterd_testkit::{eventually_ok, leak_checked};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::reconcile::{Desired, OperationState, Phase, Work, Worker};
use crate::store::ledger::{
    Action, MemoryLedger, Operation, OperationId, Progress, Revision, Transaction, WorkerState, Write,
};
use crate::store::tests::failing::Failing;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fake {
    number: u128,
    /// Whether it is of the kind that goes on while the ledger fails.
    light: bool,
}

impl Spec for Fake {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn needs_record(&self) -> bool {
        !self.light
    }
}

/// What workers did, and what they are told to answer.
#[derive(Debug, Default)]
struct Script {
    /// Each run of an operation: the worker, how many runs this instance had before, and the revision, `None` for the
    /// end.
    runs: Mutex<Vec<(String, usize, Option<u128>)>>,
    /// The step of each run, and what it was given by the one before.
    steps: Mutex<Vec<(u32, u32, Value)>>,
    /// Whether each run was told that it may have been begun before.
    repeated: Mutex<Vec<bool>>,
    /// Answers of the next runs; `None` panics. Without an answer a run succeeds.
    answers: Mutex<VecDeque<Option<Outcome>>>,
    /// When set, each run waits for a permit.
    gate: Mutex<Option<Arc<Semaphore>>>,
    /// Answers of the next calls to keep what was reached; `None` panics. Without an answer it waits for the stop.
    keeps: Mutex<VecDeque<Option<Outcome>>>,
    /// How often that was called.
    kept: Mutex<usize>,
}

impl Script {
    fn answer(&self, outcome: Option<Outcome>) {
        self.answers.lock().unwrap().push_back(outcome);
    }

    fn runs(&self) -> Vec<(String, usize, Option<u128>)> {
        self.runs.lock().unwrap().clone()
    }

    fn steps(&self) -> Vec<(u32, u32, Value)> {
        self.steps.lock().unwrap().clone()
    }

    fn repeated(&self) -> Vec<bool> {
        self.repeated.lock().unwrap().clone()
    }

    fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }
}

struct FakeWorker {
    id: WorkerId,
    runs: usize,
    script: Arc<Script>,
}

#[async_trait]
impl Worker<Fake> for FakeWorker {
    async fn run(&mut self, work: &Work<Fake>, _stop: &CancellationToken) -> Outcome {
        assert_eq!(work.revision.is_none(), work.action == Action::Stop);
        assert!(work.revision.is_none_or(|revision| work.spec.number == revision.0));
        let revision = work.revision.map(|revision| revision.0);
        self.script.runs.lock().unwrap().push((self.id.to_string(), self.runs, revision));
        self.script.repeated.lock().unwrap().push(work.repeated);
        self.script.steps.lock().unwrap().push((work.step, work.attempt, work.left.clone()));
        self.runs += 1;
        let gate = self.script.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("the gate stays").forget();
        }
        let answer = self.script.answers.lock().unwrap().pop_front().unwrap_or(Some(Outcome::Done));
        answer.expect("this run is told to panic")
    }

    async fn keep(&mut self, _: &Fake, stop: &CancellationToken) -> Outcome {
        *self.script.kept.lock().unwrap() += 1;
        let answer = self.script.keeps.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer.expect("this one is told to panic"),
            None => {
                stop.cancelled().await;
                Outcome::Done
            }
        }
    }
}

/// The ledger in memory, which can be told to fail.
type Flaky = Failing<MemoryLedger>;

async fn workers(ledger: &Flaky) -> Vec<WorkerState> {
    ledger.backend.read(&Member::local()).await.unwrap().workers
}

async fn pending(ledger: &Flaky) -> Vec<Operation> {
    ledger.backend.read(&Member::local()).await.unwrap().operations
}

async fn write(ledger: &Flaky, writes: Vec<Write>) {
    let transaction = Transaction { member: Member::local(), preconditions: Vec::new(), writes };
    ledger.backend.apply(transaction).await.unwrap();
}

/// Waits, without moving the clock by more than a little, until the condition holds.
async fn advance_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let look = async || if condition().await { Ok(()) } else { Err(String::new()) };
    eventually_ok(Duration::from_secs(600), what, look).await;
}

type Sender = watch::Sender<Option<Arc<DesiredSet<Fake>>>>;

struct Running {
    store: Arc<Flaky>,
    script: Arc<Script>,
    desired: Sender,
    statuses: Statuses<Fake>,
    metrics: Metrics,
    stopper: Stopper,
}

impl Running {
    fn start(store: Arc<Flaky>) -> Self {
        let (stopper, script) = (Stopper::new(), Arc::new(Script::default()));
        let (desired, receiver) = watch::channel(None);
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let workers = Arc::clone(&script);
        let make = move |id: &WorkerId, _: &Fake| -> Box<dyn Worker<Fake>> {
            Box::new(FakeWorker { id: id.clone(), runs: 0, script: Arc::clone(&workers) })
        };
        let ledger = (Arc::clone(&store) as Arc<dyn Ledger>, Member::local());
        let statuses = Reconciler::start(ledger, make, receiver, metrics.clone(), &stopper);
        Self { store, script, desired, statuses, metrics, stopper }
    }

    fn want(&self, wanted: &[(&str, u128)]) {
        self.desired.send_replace(Some(Arc::new(set(wanted))));
    }

    fn want_light(&self, wanted: &[(&str, u128)]) {
        let mut set = set(wanted);
        set.values_mut().for_each(|desired| desired.spec.light = true);
        self.desired.send_replace(Some(Arc::new(set)));
    }

    async fn until(&self, what: &str, phase: Phase, id: &str) {
        advance_until(what, async || self.statuses.get(id).is_some_and(|status| status.state == phase)).await;
    }

    /// Waits until the store says that everything is as desired and nothing is pending.
    async fn until_reached(&self, wanted: &[(&str, u128)]) {
        let expected: Vec<_> = wanted.iter().map(|(id, revision)| state(id, *revision, Some(*revision))).collect();
        advance_until("the store has what is desired", async || {
            workers(&self.store).await == expected && pending(&self.store).await.is_empty()
        })
        .await;
    }

    async fn stop(self) {
        assert!(self.stopper.stop(Duration::from_secs(5)).await.is_empty());
    }
}

fn set(wanted: &[(&str, u128)]) -> DesiredSet<Fake> {
    let desired = |revision: u128| Desired { revision: Revision(revision), spec: fake(revision) };
    wanted.iter().map(|(id, revision)| ((*id).into(), desired(*revision))).collect()
}

fn fake(number: u128) -> Fake {
    Fake { number, light: false }
}

fn told(number: u128) -> Value {
    serde_json::to_value(fake(number)).unwrap()
}

/// What the ledger has of a worker that was told to reach a revision.
fn state(id: &str, told_revision: u128, reached: Option<u128>) -> WorkerState {
    let spec = told(told_revision);
    WorkerState { id: id.to_owned(), kind: "fake".to_owned(), revision: reached.map(Revision), spec, failed: None }
}

/// What the ledger has of an operation at its first step.
fn left(id: u64, worker: &str, revision: u128) -> Operation {
    Operation {
        id: OperationId(id),
        worker: worker.to_owned(),
        kind: "fake".to_owned(),
        action: Action::Update,
        revision: Some(Revision(revision)),
        spec: told(revision),
        progress: Progress::default(),
    }
}

fn run(id: &str, before: usize, revision: Option<u128>) -> (String, usize, Option<u128>) {
    (id.to_owned(), before, revision)
}

fn failure(retry: Retry) -> Report {
    let (code, message) = ("test_failed".to_owned(), "it failed".to_owned());
    Report { code, message, priority: Priority::Retry, retry, causes: Vec::new() }
}
