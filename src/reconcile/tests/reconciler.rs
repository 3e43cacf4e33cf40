//! The loop with workers that a test drives, on a paused clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use rosterd_model::Retry;
use rosterd_testkit::{leak_checked, patience};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::reconcile::{Desired, Phase, Work, Worker};
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
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < patience(), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
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
    WorkerState { id: id.to_owned(), kind: "fake".to_owned(), revision: reached.map(Revision), spec }
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

#[test]
fn workers_are_started_updated_and_stopped() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.want(&[("a", 1), ("b", 1)]);
        it.until_reached(&[("a", 1), ("b", 1)]).await;
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        it.want(&[("a", 2)]);
        it.want(&[("a", 3)]);
        it.until_reached(&[("a", 3)]).await;
        let runs = it.script.runs();
        let of = |id: &str| runs.iter().filter(|run| run.0 == id).cloned().collect::<Vec<_>>();
        assert_eq!(of("a"), [run("a", 0, Some(1)), run("a", 1, Some(2)), run("a", 2, Some(3))]);
        assert_eq!(of("b"), [run("b", 0, Some(1)), run("b", 1, None)]);
        let all = it.statuses.all();
        assert_eq!((all.len(), all[0].state, all[0].revision), (1, Phase::Done, Some(Revision(3))));
        assert_eq!(it.metrics.operations.with_label_values(&["fake", "update", "done"]).get(), 2);
        assert_eq!(it.metrics.operations.with_label_values(&["fake", "stop", "done"]).get(), 1);
        assert_eq!(it.metrics.pending.get(), 0);
        it.stop().await;
    });
}

#[test]
fn a_failure_is_shown_and_tried_again() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Retry(failure(Retry::After(Duration::from_secs(40))))));
        let begun = Instant::now();
        it.want(&[("a", 1)]);
        it.until("it waits to try again", Phase::Retrying, "a").await;
        let status = it.statuses.get("a").unwrap();
        assert_eq!(status.last_error.unwrap().code, "test_failed");
        assert!(status.next_try.is_some());
        assert_eq!(pending(&it.store).await.len(), 1);
        it.until_reached(&[("a", 1)]).await;
        assert!(begun.elapsed() >= Duration::from_secs(40), "{:?}", begun.elapsed());
        it.until("it is done", Phase::Done, "a").await;
        assert_eq!(it.statuses.get("a").unwrap().last_error, None);
        assert_eq!(it.script.runs(), [run("a", 0, Some(1)), run("a", 1, Some(1))]);
        it.stop().await;
    });
}

#[test]
fn what_can_never_work_waits_for_another_state() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Cancel(failure(Retry::Never))));
        it.want(&[("a", 1)]);
        it.until("it is cancelled", Phase::Cancelled, "a").await;
        it.want(&[("a", 1), ("b", 1)]);
        it.until("the other is done", Phase::Done, "b").await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(1)), run("b", 0, Some(1))]);
        assert_eq!(workers(&it.store).await[0], state("a", 1, None));
        it.want(&[("a", 2), ("b", 1)]);
        it.until_reached(&[("a", 2), ("b", 1)]).await;
        it.stop().await;
    });
}

#[test]
fn a_newer_state_does_not_wait_for_the_backoff_of_an_older_one() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Snooze(Duration::from_secs(3000))));
        it.want(&[("a", 1)]);
        it.until("it snoozes", Phase::Snoozing, "a").await;
        let begun = Instant::now();
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        assert_eq!(it.script.runs(), [run("a", 0, Some(1)), run("a", 1, Some(2))]);
        it.stop().await;
    });
}

#[test]
fn a_newer_state_waits_for_the_step_at_work_and_no_longer() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = it.script.gate();
        it.want(&[("a", 1)]);
        advance_until("the first run began", async || it.script.runs().len() == 1).await;
        it.script.answer(Some(Outcome::Retry(failure(Retry::After(Duration::from_secs(3000))))));
        it.want(&[("a", 2), ("b", 1)]);
        advance_until("the other one began", async || it.script.runs().len() == 2).await;
        assert_eq!(workers(&it.store).await[0], state("a", 1, None), "one run at a time");
        let begun = Instant::now();
        gate.add_permits(3);
        it.until_reached(&[("a", 2), ("b", 1)]).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        it.stop().await;
    });
}

#[test]
fn a_stop_waits_for_the_run_and_records_its_outcome() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = it.script.gate();
        it.want(&[("a", 1)]);
        advance_until("the run began", async || it.script.runs().len() == 1).await;
        let store = Arc::clone(&it.store);
        let release = async {
            tokio::task::yield_now().await;
            gate.add_permits(1);
        };
        tokio::join!(it.stop(), release);
        assert_eq!(workers(&store).await, [state("a", 1, Some(1))]);
        assert_eq!(pending(&store).await, []);
    });
}

#[test]
fn an_operation_that_a_crash_cut_off_is_resumed() {
    leak_checked(|| async {
        let store = Arc::<Flaky>::default();
        let writes = vec![
            Write::PutOperation(left(7, "a", 2)),
            Write::PutWorker(state("a", 2, Some(1))),
            Write::PutOperation(left(8, "outdated", 1)),
            Write::PutOperation(left(9, "gone", 1)),
            Write::PutWorker(state("gone too", 1, Some(1))),
        ];
        write(&store, writes).await;

        let it = Running::start(Arc::clone(&store));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(pending(&store).await.len(), 3, "as long as nothing is known, nothing is done");
        let gate = it.script.gate();
        it.want(&[("a", 2), ("outdated", 5)]);
        advance_until("all began", async || it.script.runs().len() == 4).await;
        let pending = pending(&store).await;
        assert_eq!(pending[0], left(7, "a", 2), "it keeps its number");
        assert!(pending.iter().all(|operation| ![8, 9].contains(&operation.id.0)), "{pending:?}");
        gate.add_permits(4);
        it.until_reached(&[("a", 2), ("outdated", 5)]).await;
        let mut runs = it.script.runs();
        runs.sort();
        let wanted =
            [run("a", 0, Some(2)), run("gone", 0, None), run("gone too", 0, None), run("outdated", 0, Some(5))];
        assert_eq!(runs, wanted);
        it.stop().await;
    });
}

#[test]
fn an_operation_goes_from_step_to_step_with_what_each_left_behind() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Next(json!({ "half": 1 }))));
        it.script.answer(Some(Outcome::Retry(failure(Retry::Backoff))));
        it.script.answer(Some(Outcome::Snooze(Duration::from_secs(5))));
        it.script.answer(Some(Outcome::Next(json!("more"))));
        let gate = it.script.gate();
        it.want(&[("a", 1)]);
        gate.add_permits(2);
        it.until("the second step failed", Phase::Retrying, "a").await;
        advance_until("that is recorded", async || pending(&it.store).await[0].progress.attempt == 1).await;
        let Progress { step, attempt, last_error, left } = pending(&it.store).await.remove(0).progress;
        assert_eq!((step, attempt, left), (1, 1, json!({ "half": 1 })));
        assert_eq!(last_error.map(|error| error.code), Some("test_failed".to_owned()));
        let status = it.statuses.get("a").and_then(|status| status.operation).expect("it is pending");
        assert_eq!((status.action, status.step, status.attempt), (Action::Start, 1, 1));
        gate.add_permits(10);
        it.until_reached(&[("a", 1)]).await;
        let half = json!({ "half": 1 });
        let steps =
            [(0, 0, Value::Null), (1, 0, half.clone()), (1, 1, half.clone()), (1, 1, half), (2, 0, json!("more"))];
        assert_eq!(it.script.steps(), steps);
        it.stop().await;
    });
}

/// A ledger with an operation in the middle.
async fn in_the_middle() -> Arc<Flaky> {
    let store = Arc::<Flaky>::default();
    let progress = Progress { step: 2, attempt: 4, last_error: Some(failure(Retry::Backoff)), left: json!("half") };
    let writes =
        vec![Write::PutOperation(Operation { progress, ..left(7, "a", 2) }), Write::PutWorker(state("a", 2, Some(1)))];
    write(&store, writes).await;
    store
}

#[test]
fn after_a_restart_an_operation_goes_on_where_it_was() {
    leak_checked(|| async {
        let it = Running::start(in_the_middle().await);
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(2))], "the steps before are not repeated");
        assert_eq!(it.script.steps(), [(2, 4, json!("half"))]);
        it.stop().await;
    });
}

#[test]
fn after_a_restart_an_operation_goes_on_although_its_publication_was_removed() {
    leak_checked(|| async {
        let it = Running::start(in_the_middle().await);
        it.script.answer(Some(Outcome::Next(json!("last"))));
        it.want(&[]);
        it.until_reached(&[]).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(2)), run("a", 1, Some(2)), run("a", 2, None)]);
        assert_eq!(it.script.steps()[..2], [(2, 4, json!("half")), (3, 0, json!("last"))]);
        it.stop().await;
    });
}

#[test]
fn an_operation_past_its_first_step_ends_before_a_newer_state_is_begun() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Next(json!("half"))));
        it.script.answer(Some(Outcome::Retry(failure(Retry::Backoff))));
        it.want(&[("a", 1)]);
        it.until("the second step failed", Phase::Retrying, "a").await;
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        let runs = [run("a", 0, Some(1)), run("a", 1, Some(1)), run("a", 2, Some(1)), run("a", 3, Some(2))];
        assert_eq!(it.script.runs(), runs);
        it.stop().await;
    });
}

#[test]
fn a_step_that_the_ledger_does_not_know_yet_is_not_followed_by_the_next() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = it.script.gate();
        it.script.answer(Some(Outcome::Next(json!("half"))));
        it.want(&[("a", 1)]);
        advance_until("the first step began", async || it.script.runs().len() == 1).await;
        it.store.fail_writes(true);
        gate.add_permits(10);
        advance_until("the ledger failed twice", async || it.metrics.store_failures.get() >= 2).await;
        assert_eq!(it.script.steps().len(), 1);
        it.store.fail_writes(false);
        it.until_reached(&[("a", 1)]).await;
        assert_eq!(it.script.steps()[1..], [(1, 0, json!("half"))]);
        it.stop().await;
    });
}

#[test]
fn what_the_ledger_has_and_nobody_understands_is_begun_anew() {
    leak_checked(|| async {
        let store = Arc::<Flaky>::default();
        let (mut operation, mut worker) = (left(7, "a", 2), state("b", 1, Some(1)));
        operation.progress.step = 3;
        (operation.spec, worker.spec) = (json!({ "of": "another version" }), json!(["of another version"]));
        write(&store, vec![Write::PutOperation(operation), Write::PutWorker(worker)]).await;
        let it = Running::start(store);
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        assert_eq!(it.script.steps(), [(0, 0, Value::Null)]);
        it.stop().await;
    });
}

#[test]
fn what_was_reached_is_kept_and_none_of_that_is_in_the_ledger() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let wait = Duration::from_secs(40);
        let answers =
            [Outcome::Done, Outcome::Retry(failure(Retry::After(wait))), Outcome::Done, Outcome::Snooze(wait)];
        it.script.keeps.lock().unwrap().extend(answers.map(Some));
        it.want(&[("a", 1)]);
        it.until("a try to keep it failed", Phase::Retrying, "a").await;
        let before = it.store.backend.read(&Member::local()).await.unwrap();
        assert_eq!(before.workers, [state("a", 1, Some(1))]);
        let status = it.statuses.get("a").unwrap();
        assert_eq!((status.last_error.unwrap().code, status.operation), ("test_failed".to_owned(), None));
        it.until("nothing is wrong any more", Phase::Snoozing, "a").await;
        assert_eq!(it.statuses.get("a").unwrap().last_error, None);
        advance_until("it is called again", async || *it.script.kept.lock().unwrap() == 5).await;
        assert_eq!(it.store.backend.read(&Member::local()).await.unwrap(), before);
        assert_eq!(it.metrics.operations.with_label_values(&["fake", "keep", "done"]).get(), 2);
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(1)), run("a", 1, Some(2))], "an operation interrupts it");
        it.stop().await;
    });
}

#[test]
fn what_cannot_be_kept_is_looked_at_again_after_a_minute() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let answers = [Some(Outcome::Cancel(failure(Retry::Never))), None, Some(Outcome::Done)];
        it.script.keeps.lock().unwrap().extend(answers);
        let begun = Instant::now();
        it.want(&[("a", 1)]);
        it.until("it cannot be kept", Phase::Cancelled, "a").await;
        it.until("it panicked", Phase::Retrying, "a").await;
        it.until("it is kept", Phase::Done, "a").await;
        assert!(begun.elapsed() >= Duration::from_secs(60), "{:?}", begun.elapsed());
        it.stop().await;
    });
}

#[test]
fn a_worker_that_panics_is_made_anew() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(None);
        it.want(&[("a", 1)]);
        it.until("it waits to try again", Phase::Retrying, "a").await;
        assert_eq!(it.statuses.get("a").unwrap().last_error.unwrap().code, "reconcile_worker_panicked");
        it.until_reached(&[("a", 1)]).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(1)), run("a", 0, Some(1))]);
        it.stop().await;
    });
}

#[test]
fn nothing_begins_that_is_not_recorded() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.want(&[("a", 1)]);
        it.until_reached(&[("a", 1)]).await;
        it.store.fail_writes(true);
        it.want(&[("a", 2)]);
        advance_until("the store failed twice", async || it.metrics.store_failures.get() >= 2).await;
        assert_eq!(it.script.runs().len(), 1);
        it.store.fail_writes(false);
        it.until_reached(&[("a", 2)]).await;
        it.stop().await;
    });
}

#[test]
fn what_needs_no_record_goes_on_while_the_ledger_fails() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.store.fail_writes(true);
        it.store.fail_reads(true);
        it.want_light(&[("a", 1), ("b", 1)]);
        it.until("it is done", Phase::Done, "a").await;
        it.want_light(&[("a", 2)]);
        advance_until("the other one has ended", async || it.statuses.get("b").is_none()).await;
        advance_until("the next is reached", async || {
            it.statuses.get("a").is_some_and(|status| status.revision == Some(Revision(2)))
        })
        .await;
        advance_until("the ledger failed twice", async || it.metrics.store_failures.get() >= 2).await;
        assert_eq!(workers(&it.store).await, []);
        it.store.fail_reads(false);
        it.store.fail_writes(false);
        advance_until("it is recorded afterwards", async || {
            let workers = workers(&it.store).await;
            workers.len() == 1 && workers[0].revision == Some(Revision(2)) && pending(&it.store).await.is_empty()
        })
        .await;
        assert_eq!(it.script.runs().len(), 4, "and not done again: {:?}", it.script.runs());
        it.stop().await;
    });
}

#[test]
fn a_change_by_somebody_else_is_noticed_and_planned_over() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.want(&[("a", 1), ("b", 1)]);
        it.until_reached(&[("a", 1), ("b", 1)]).await;
        write(&it.store, vec![Write::PutWorker(state("a", 77, Some(77)))]).await;
        it.until_reached(&[("a", 1), ("b", 1)]).await;
        write(&it.store, vec![Write::DeleteWorker("a".to_owned())]).await;
        it.until_reached(&[("a", 1), ("b", 1)]).await;
        let runs = it.script.runs();
        assert_eq!(runs.iter().filter(|run| run.0 == "a").count(), 3, "{runs:?}");
        assert_eq!(runs.iter().filter(|run| run.0 == "b").count(), 1, "{runs:?}");
        assert_eq!(it.metrics.store_failures.get(), 0);
        it.stop().await;
    });
}

/// What happens in the property below.
#[derive(Debug, Clone)]
enum Event {
    Want(BTreeMap<String, u128>),
    Answer(u8),
    Wait(u16),
    /// Tasks are aborted where they are, and a new process starts from what the store has.
    Crash,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop::collection::btree_map("[abc]", 1..4u128, 0..4).prop_map(Event::Want),
        3 => (0..4u8).prop_map(Event::Answer),
        3 => (0..3000u16).prop_map(Event::Wait),
        1 => Just(Event::Crash),
    ]
}

async fn whatever_happens(events: Vec<Event>) {
    let mut it = Running::start(Arc::default());
    for event in events {
        match event {
            Event::Want(wanted) => {
                it.want(&wanted.iter().map(|(id, revision)| (id.as_str(), *revision)).collect::<Vec<_>>());
            }
            Event::Answer(0) => it.script.answer(None),
            Event::Answer(1) => it.script.answer(Some(Outcome::Retry(failure(Retry::Backoff)))),
            Event::Answer(2) => it.script.answer(Some(Outcome::Next(json!("half")))),
            Event::Answer(_) => it.script.answer(Some(Outcome::Snooze(Duration::from_secs(1)))),
            Event::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis.into())).await,
            Event::Crash => {
                // A stop without any patience: whoever waits is aborted there.
                it.stopper.stop(Duration::ZERO).await;
                it = Running::start(Arc::clone(&it.store));
            }
        }
    }
    it.want(&[("a", 9), ("z", 9)]);
    it.until_reached(&[("a", 9), ("z", 9)]).await;
    it.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_and_crashes_the_desired_state_is_reached(events in prop::collection::vec(events(), 0..20)) {
        leak_checked(|| whatever_happens(events.clone()));
    }
}
