//! What the ledger says, whether it fails or somebody else writes into it.

use super::*;
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
fn a_ledger_that_refused_is_tried_again_although_nothing_has_to_be_recorded_any_more() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = it.script.gate();
        it.want(&[("a", 1)]);
        advance_until("it began", async || it.script.runs().len() == 1).await;
        it.store.fail_writes(true);
        gate.add_permits(1);
        advance_until("the ledger refused", async || it.metrics.store_failures.get() == 1).await;
        // It was written all the same.
        let began = pending(&it.store).await.remove(0).id;
        write(&it.store, vec![Write::DeleteOperation(began), Write::PutWorker(state("a", 1, Some(1)))]).await;
        advance_until("it refuses again", async || it.metrics.store_failures.get() > 1).await;
        let written = it.store.written();
        it.store.fail_writes(false);
        advance_until("it takes something", async || it.store.written() > written).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!((it.store.written(), it.script.runs().len()), (written + 1, 1));
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
            it.statuses.get("a").is_some_and(|it| it.desired == Some(Revision(2)) && it.state == Phase::Done)
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

#[test]
fn who_missed_what_others_wrote_reads_the_ledger_again() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        it.want(&[("a", 1)]);
        it.until_reached(&[("a", 1)]).await;
        // More than wait for a reader, and the last of them of another member.
        write(&it.store, vec![Write::DeleteWorker("a".to_owned())]).await;
        for number in 0..1000 {
            let writes = vec![Write::PutWorker(state("b", number, None))];
            let other = Transaction { member: Member::new("other"), preconditions: Vec::new(), writes };
            it.store.backend.apply(other).await.unwrap();
        }
        it.until_reached(&[("a", 1)]).await;
        assert_eq!(it.script.runs().len(), 2);
        it.stop().await;
    });
}

#[test]
fn a_run_that_somebody_overtook_does_not_end_what_came_in_its_place() {
    leak_checked(|| async {
        let it = Running::start(Arc::default());
        let gate = it.script.gate();
        it.want(&[("a", 1)]);
        advance_until("it began", async || it.script.runs().len() == 1).await;
        let before = pending(&it.store).await.remove(0);
        let progress = Progress { step: 1, left: json!("theirs"), ..Progress::default() };
        let theirs = Operation { id: OperationId(7), progress, ..before.clone() };
        write(&it.store, vec![Write::DeleteOperation(before.id), Write::PutOperation(theirs)]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.add_permits(9);
        it.until_reached(&[("a", 1)]).await;
        assert_eq!(it.script.steps(), [(0, 0, Value::Null), (1, 0, json!("theirs"))]);
        it.stop().await;
    });
}
