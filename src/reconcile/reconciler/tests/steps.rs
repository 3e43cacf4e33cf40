//! Operations of several steps, through failures and restarts.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing_subscriber::layer::SubscriberExt;

use super::*;

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
fn why_an_operation_failed_before_a_restart_is_shown_until_it_is_tried_again() {
    leak_checked(|| async {
        let it = Running::start(in_the_middle().await);
        let gate = it.script.gate();
        it.want(&[("a", 2)]);
        advance_until("it goes on", async || it.script.runs().len() == 1).await;
        let status = it.statuses.get("a").expect("it is known");
        assert_eq!(status.last_error.map(|error| error.code), Some("test_failed".to_owned()));
        gate.add_permits(1);
        it.until_reached(&[("a", 2)]).await;
        it.stop().await;
    });
}

#[test]
fn an_operation_goes_on_with_its_own_specification() {
    leak_checked(|| async {
        let store = Arc::<Flaky>::default();
        let progress = Progress { step: 1, ..Progress::default() };
        let writes = vec![
            Write::PutOperation(Operation { progress, ..left(7, "a", 2) }),
            Write::PutWorker(state("a", 1, Some(1))),
        ];
        write(&store, writes).await;
        let it = Running::start(store);
        it.want(&[("a", 3)]);
        it.until_reached(&[("a", 3)]).await;
        assert_eq!(it.script.runs(), [run("a", 0, Some(2)), run("a", 1, Some(3))]);
        it.stop().await;
    });
}

#[test]
fn what_was_decided_before_the_ledger_could_be_read_does_not_hide_what_is_in_it() {
    leak_checked(|| async {
        let store = in_the_middle().await;
        store.fail_reads(true);
        let it = Running::start(store);
        it.want(&[("a", 2)]);
        advance_until("the ledger failed twice", async || it.metrics.store_failures.get() >= 2).await;
        it.store.fail_reads(false);
        it.until_reached(&[("a", 2)]).await;
        assert_eq!(it.script.steps(), [(2, 4, json!("half"))]);
        it.stop().await;
    });
}

#[test]
fn a_step_is_told_whether_it_may_have_been_begun_before() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Next(json!("half"))));
        it.script.answer(Some(Outcome::Retry(failure(Retry::Backoff))));
        it.script.answer(None);
        it.script.answer(Some(Outcome::Next(json!("more"))));
        it.want(&[("a", 1)]);
        it.until_reached(&[("a", 1)]).await;
        assert_eq!(it.script.repeated(), [false, false, true, true, false], "a new step, a retry, and a panic");
        it.stop().await;
        let it = Running::start(in_the_middle().await);
        it.want(&[("a", 2)]);
        it.until_reached(&[("a", 2)]).await;
        assert_eq!(it.script.repeated(), [true], "nobody knows how far the process before came");
        it.stop().await;
    });
}

#[test]
fn a_worker_that_is_not_where_it_should_be_begins_an_operation_which_may_be_given_up() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.script.answer(Some(Outcome::Done));
        it.script.answer(Some(Outcome::To(4, json!("undo"))));
        it.script.answer(Some(Outcome::Cancel(failure(Retry::Never))));
        it.script.keeps.lock().unwrap().extend([Some(Outcome::Done), Some(Outcome::Begin)]);
        it.want(&[("a", 1)]);
        it.until("it is given up", Phase::Cancelled, "a").await;
        let runs = [run("a", 0, Some(1)), run("a", 1, Some(1)), run("a", 2, Some(1))];
        assert_eq!(it.script.runs(), runs);
        assert_eq!(it.script.steps(), [(0, 0, Value::Null), (0, 0, Value::Null), (4, 0, json!("undo"))]);
        let ended: Vec<_> = it.statuses.ended().iter().map(|it| (it.status.action, it.status.state)).collect();
        assert_eq!(ended, [(Action::Start, OperationState::Done), (Action::Update, OperationState::Failed)]);
        advance_until("what was there is kept on", async || *it.script.kept.lock().unwrap() == 3).await;
        advance_until("that is recorded", async || pending(&it.store).await.is_empty()).await;
        let failed = workers(&it.store).await.remove(0).failed.expect("the ledger has it");
        assert_eq!((failed.operation.progress.step, failed.operation.revision), (4, Some(Revision(1))));
        let store = Arc::clone(&it.store);
        it.stop().await;

        let it = Running::start(store);
        let gate = it.script.gate();
        it.script.answer(Some(Outcome::Begun));
        it.want(&[("a", 1)]);
        advance_until("it begins", async || it.script.runs().len() == 1).await;
        let told: Vec<_> = it.statuses.ended().iter().map(|it| it.status.id).collect();
        assert_eq!(told, [failed.operation.id], "it is told after a restart, too");
        let status = it.statuses.get("a").and_then(|status| status.operation).expect("it is pending");
        assert_eq!(status.state, OperationState::InFlight);
        gate.add_permits(10);
        it.until("it is looked after, which does not make it well", Phase::Cancelled, "a").await;
        advance_until("it is kept", async || *it.script.kept.lock().unwrap() == 1).await;
        let store = Arc::clone(&it.store);
        it.stop().await;
        assert!(workers(&store).await.remove(0).failed.is_some(), "who is cut off says nothing of what it keeps");

        let it = Running::start(store);
        it.script.answer(Some(Outcome::Begun));
        it.script.keeps.lock().unwrap().extend([Some(Outcome::Done), Some(Outcome::Done)]);
        it.want(&[("a", 1)]);
        it.until("it says that it is well", Phase::Done, "a").await;
        let last = it.statuses.ended().pop().expect("that is told as well");
        assert_eq!((last.status.action, last.status.state), (Action::Update, OperationState::Done));
        assert!(last.means.reached && last.status.id != failed.operation.id, "{last:?}");
        advance_until("the ledger has that", async || workers(&it.store).await.iter().all(|it| it.failed.is_none()))
            .await;
        it.stop().await;
    });
}

#[test]
fn what_was_given_up_is_told_to_be_well_however_its_worker_says_so() {
    leak_checked(|| async {
        for well in [Outcome::Done, Outcome::Begun, Outcome::Next(Value::Null), Outcome::To(1, Value::Null)] {
            let it = Running::start(Arc::default());
            it.script.answer(Some(Outcome::Done));
            it.script.answer(Some(Outcome::Cancel(failure(Retry::Never))));
            it.script.keeps.lock().unwrap().extend([Some(Outcome::Begin), Some(well)]);
            it.want(&[("a", 1)]);
            advance_until("that is told", async || it.statuses.ended().len() == 3).await;
            let ended: Vec<_> = it.statuses.ended().iter().map(|it| (it.status.action, it.status.state)).collect();
            let told = [OperationState::Failed, OperationState::Done].map(|state| (Action::Update, state));
            assert_eq!(ended[1..], told);
            it.stop().await;
        }
    });
}

/// Counts the errors in the log.
struct Errors(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Errors {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(usize::from(*event.metadata().level() == tracing::Level::ERROR), Ordering::Relaxed);
    }
}

#[test]
fn what_fails_again_as_before_is_one_operation_and_told_once() {
    leak_checked(|| async {
        let errors = Arc::new(AtomicUsize::new(0));
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(Errors(Arc::clone(&errors))));
        let it = Running::start(Arc::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&told);
        it.statuses
            .on_end(move |ended| listener.lock().unwrap().push(ended.error.as_ref().map(|it| it.message.clone())));
        let why = |message: &str| Report { message: message.to_owned(), ..failure(Retry::Never) };
        let of = |message| Some(Outcome::Cancel(why(message)));
        it.script.answers.lock().unwrap().extend([Some(Outcome::Done), of("a"), of("a"), of("b"), of("a"), of("a")]);
        it.script.keeps.lock().unwrap().extend((0..5).map(|_| Some(Outcome::Begin)));
        it.want(&[("a", 1)]);
        advance_until("all are given up", async || it.script.runs().len() == 6 && *it.script.kept.lock().unwrap() == 6)
            .await;
        let messages = ["a", "b", "a"].map(|message| Some(message.to_owned()));
        assert_eq!(told.lock().unwrap()[1..], messages);
        assert_eq!(errors.load(Ordering::Relaxed), 3, "so is it in the log");
        let ended: Vec<_> =
            it.statuses.ended().into_iter().map(|it| (it.status.id, it.error.map(|it| it.message))).collect();
        assert_eq!(ended[1..].iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), messages);
        advance_until("that is recorded", async || pending(&it.store).await.is_empty()).await;
        let failed = workers(&it.store).await.remove(0).failed.expect("the ledger has it");
        assert_eq!(failed.operation.id, ended[3].0, "the last of those that are like each other is told");
        it.stop().await;
    });
}

#[test]
fn what_is_given_up_is_told_in_the_log_although_a_try_failed_alike_before() {
    leak_checked(|| async {
        let errors = Arc::new(AtomicUsize::new(0));
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(Errors(Arc::clone(&errors))));
        let it = Running::start(Arc::default());
        let why = failure(Retry::Backoff);
        let given_up = || [Some(Outcome::Retry(why.clone())), Some(Outcome::Cancel(why.clone()))];
        it.script.answers.lock().unwrap().extend([Some(Outcome::Done)].into_iter().chain(given_up()).chain(given_up()));
        it.script.keeps.lock().unwrap().extend([Some(Outcome::Begin), Some(Outcome::Begin)]);
        it.want(&[("a", 1)]);
        advance_until("it is given up twice", async || {
            it.script.runs().len() == 5 && *it.script.kept.lock().unwrap() == 3
        })
        .await;
        assert_eq!(errors.load(Ordering::Relaxed), 1, "that it fails as before is told once");
        it.stop().await;
    });
}
