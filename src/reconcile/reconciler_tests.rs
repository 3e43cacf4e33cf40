//! The loop with workers that a test drives, on a paused clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use rosterd_model::Retry;
use rosterd_testkit::{leak_checked, patience};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::reconcile::{Desired, Phase, Worker};
use crate::store::ledger::{Action, MemoryLedger, Operation, OperationId, Progress, Revision, WorkerState, Write};
use crate::store::tests::failing::Failing;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fake(u128);

impl Spec for Fake {
    fn kind(&self) -> &'static str {
        "fake"
    }
}

/// What workers did, and what they are told to answer.
#[derive(Debug, Default)]
struct Script {
    /// Each run: the worker, how many runs this instance had before, and the revision, `None` for the end.
    runs: Mutex<Vec<(String, usize, Option<u128>)>>,
    /// Answers of the next runs; `None` panics. Without an answer a run succeeds.
    answers: Mutex<VecDeque<Option<Outcome>>>,
    /// When set, each run waits for a permit.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

impl Script {
    fn answer(&self, outcome: Option<Outcome>) {
        self.answers.lock().unwrap().push_back(outcome);
    }

    fn runs(&self) -> Vec<(String, usize, Option<u128>)> {
        self.runs.lock().unwrap().clone()
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
        let revision = match work {
            Work::Reach { spec, revision } => {
                assert_eq!(spec.0, revision.0);
                Some(revision.0)
            }
            Work::End => None,
        };
        self.script.runs.lock().unwrap().push((self.id.to_string(), self.runs, revision));
        self.runs += 1;
        let gate = self.script.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("the gate stays").forget();
        }
        let answer = self.script.answers.lock().unwrap().pop_front().unwrap_or(Some(Outcome::Done));
        answer.expect("this run is told to panic")
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
    statuses: Statuses,
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
        let statuses =
            Reconciler::start(Arc::clone(&store) as Arc<dyn Ledger>, make, receiver, metrics.clone(), &stopper);
        Self { store, script, desired, statuses, metrics, stopper }
    }

    fn want(&self, wanted: &[(&str, u128)]) {
        self.desired.send_replace(Some(Arc::new(set(wanted))));
    }

    async fn until(&self, what: &str, phase: Phase, id: &str) {
        advance_until(what, async || self.statuses.get(id).is_some_and(|status| status.state == phase)).await;
    }

    /// Waits until the store says that everything is as desired and nothing is pending.
    async fn until_reached(&self, wanted: &[(&str, u128)]) {
        let expected: Vec<_> = wanted.iter().map(|(id, revision)| state(id, Some(*revision))).collect();
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
    let desired = |revision: u128| Desired { revision: Revision(revision), spec: Fake(revision) };
    wanted.iter().map(|(id, revision)| ((*id).into(), desired(*revision))).collect()
}

fn state(id: &str, revision: Option<u128>) -> WorkerState {
    let spec = serde_json::Value::Null;
    WorkerState { id: id.to_owned(), kind: "fake".to_owned(), revision: revision.map(Revision), spec }
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
        assert_eq!(workers(&it.store).await[0], state("a", None));
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
fn the_outcome_of_a_superseded_operation_is_not_recorded() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = Arc::new(Semaphore::new(0));
        *it.script.gate.lock().unwrap() = Some(Arc::clone(&gate));
        it.want(&[("a", 1)]);
        advance_until("the first run began", async || it.script.runs().len() == 1).await;
        it.want(&[("a", 2)]);
        advance_until("the second operation is recorded", async || workers(&it.store).await == [state("a", None)])
            .await;
        assert_eq!(it.script.runs().len(), 1, "one run at a time");
        gate.add_permits(1);
        advance_until("the second run began", async || it.script.runs().len() == 2).await;
        assert_eq!(workers(&it.store).await, [state("a", None)]);
        gate.add_permits(1);
        it.until_reached(&[("a", 2)]).await;
        it.stop().await;
    });
}

#[test]
fn a_stop_waits_for_the_run_and_records_its_outcome() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = Arc::new(Semaphore::new(0));
        *it.script.gate.lock().unwrap() = Some(Arc::clone(&gate));
        it.want(&[("a", 1)]);
        advance_until("the run began", async || it.script.runs().len() == 1).await;
        let store = Arc::clone(&it.store);
        let release = async {
            tokio::task::yield_now().await;
            gate.add_permits(1);
        };
        tokio::join!(it.stop(), release);
        assert_eq!(workers(&store).await, [state("a", Some(1))]);
        assert_eq!(pending(&store).await, []);
    });
}

#[test]
fn an_operation_that_a_crash_cut_off_is_resumed() {
    leak_checked(|| async {
        let store = Arc::<Flaky>::default();
        let left = |id, worker: &str, revision: Option<u128>| Operation {
            id: OperationId(id),
            worker: worker.to_owned(),
            kind: "fake".to_owned(),
            action: Action::Update,
            revision: revision.map(Revision),
            spec: serde_json::Value::Null,
            progress: Progress::default(),
        };
        let writes = vec![
            Write::PutOperation(left(7, "a", Some(2))),
            Write::PutWorker(state("a", Some(1))),
            Write::PutOperation(left(8, "outdated", Some(1))),
            Write::PutOperation(left(9, "gone", Some(1))),
            Write::PutWorker(state("gone too", Some(1))),
        ];
        write(&store, writes).await;

        let it = Running::start(Arc::clone(&store));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(pending(&store).await.len(), 3, "as long as nothing is known, nothing is done");
        let gate = Arc::new(Semaphore::new(0));
        *it.script.gate.lock().unwrap() = Some(Arc::clone(&gate));
        it.want(&[("a", 2), ("outdated", 5)]);
        advance_until("both began", async || it.script.runs().len() == 2).await;
        let pending = pending(&store).await;
        assert_eq!(pending[0], left(7, "a", Some(2)), "it keeps its number");
        assert!(pending.iter().all(|operation| operation.id != OperationId(8)), "{pending:?}");
        gate.add_permits(2);
        it.until_reached(&[("a", 2), ("outdated", 5)]).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(2)), run("outdated", 0, Some(5))]);
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
fn a_change_by_somebody_else_is_noticed_and_planned_over() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.want(&[("a", 1)]);
        it.until_reached(&[("a", 1)]).await;
        let writes = vec![Write::PutWorker(state("a", Some(77)))];
        write(&it.store, writes).await;
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        assert_eq!(it.metrics.store_failures.get(), 1);
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
        3 => (0..3u8).prop_map(Event::Answer),
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
