//! Operations of one step: begun, failed, overtaken, stopped; and what was reached is kept.

use super::*;
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
        assert_eq!((all.len(), all[0].state, all[0].desired), (1, Phase::Done, Some(Revision(3))));
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
        let mut told = workers(&it.store).await.remove(0);
        let failed = told.failed.take().and_then(|failed| failed.operation.progress.last_error);
        assert_eq!(failed.map(|error| error.code), Some("test_failed".to_owned()), "why stays in the ledger");
        assert_eq!(told, state("a", 1, None));
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
fn a_worker_that_refuses_to_end_is_gone_all_the_same() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.want(&[("a", 1)]);
        it.until_reached(&[("a", 1)]).await;
        it.script.answer(Some(Outcome::Cancel(failure(Retry::Never))));
        it.want(&[]);
        it.until_reached(&[]).await;
        assert!(it.statuses.get("a").is_none());
        it.stop().await;
    });
}

#[test]
fn many_workers_have_operations_of_their_own_and_few_are_at_work_at_once() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = it.script.gate();
        let names: Vec<_> = (0..300).map(|number| format!("w{number:03}")).collect();
        let wanted: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        it.want(&wanted);
        advance_until("all are recorded", async || workers(&it.store).await.len() == names.len()).await;
        assert_eq!(pending(&it.store).await.len(), names.len(), "no two have one number");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(it.script.runs().len(), CONCURRENT);
        gate.add_permits(names.len());
        it.until_reached(&wanted).await;
        it.stop().await;
    });
}

#[test]
fn the_pauses_of_keeping_begin_anew_when_it_went_well() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let failed = || Outcome::Retry(failure(Retry::Backoff));
        let answers =
            (0..6).map(|_| failed()).chain([Outcome::Done, failed(), Outcome::Snooze(Duration::from_secs(600))]);
        it.script.keeps.lock().unwrap().extend(answers.map(Some));
        it.want(&[("a", 1)]);
        advance_until("it failed again", async || *it.script.kept.lock().unwrap() == 8).await;
        let begun = Instant::now();
        it.until("it is kept", Phase::Snoozing, "a").await;
        assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
        it.stop().await;
    });
}
