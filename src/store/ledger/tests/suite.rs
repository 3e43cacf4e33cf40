//! What every backend of the ledger has to pass: `for_backend` makes a test of each case. Below it the cases, each a
//! sentence that is true of any backend, starting with an empty one.

use rosterd_model::Coded;

use super::{operation, transaction, worker};
use crate::store::StoreError;
use crate::store::ledger::{
    Ledger, LedgerNews, Member, OperationId, Picture, Precondition, Revision, Transaction, Version, Write,
};
use crate::store::tests::Tested;

macro_rules! for_backend {
    ($make:expr) => {
        crate::store::tests::cases! { crate::store::ledger::tests::suite, include_str!("suite.rs"); $make;
            operations_and_workers_come_back,
            members_do_not_see_each_other,
            writes_take_effect_in_their_order,
            a_version_counts_what_changed_something,
            whoever_watches_is_told_of_changes_in_their_order,
            a_reader_that_is_far_behind_is_told_to_read_again,
            every_precondition_is_mapped,
            a_failed_precondition_changes_nothing,
            concurrent_transactions_are_serialised,
            a_failure_changes_nothing_and_passes_with_its_cause,
        }
    };
}
pub(crate) use for_backend;

async fn done(it: &Tested<impl Ledger>, writes: Vec<Write>) -> Option<Version> {
    it.store.apply(transaction(writes)).await.expect("the transaction has no preconditions")
}

async fn read(it: &Tested<impl Ledger>) -> Picture {
    it.store.read(&Member::local()).await.expect("the ledger can be read")
}

pub(crate) async fn operations_and_workers_come_back(it: &Tested<impl Ledger>) {
    let writes = vec![
        Write::PutOperation(operation(300, "b")),
        Write::PutOperation(operation(2, "a")),
        Write::PutWorker(worker("b", Some(u128::MAX))),
        Write::PutWorker(worker("a", None)),
    ];
    let version = done(it, writes).await;
    let found = read(it).await;
    assert_eq!(Some(found.version), version);
    assert_eq!(found.operations, [operation(2, "a"), operation(300, "b")]);
    assert_eq!(found.workers, [worker("a", None), worker("b", Some(u128::MAX))]);
    done(it, vec![Write::DeleteOperation(OperationId(2)), Write::DeleteWorker("b".to_owned())]).await;
    let found = read(it).await;
    assert_eq!(found.operations, [operation(300, "b")]);
    assert_eq!(found.workers, [worker("a", None)]);
}

pub(crate) async fn members_do_not_see_each_other(it: &Tested<impl Ledger>) {
    let members = ["a", "ab", "b", "a\0"].map(Member::new);
    let mut watch = it.store.watch(&members[0]).await.unwrap();
    for (number, member) in (1..).zip(&members) {
        let writes =
            vec![Write::PutOperation(operation(1, member.as_str())), Write::PutWorker(worker("w", Some(number)))];
        let transaction = Transaction { member: member.clone(), preconditions: Vec::new(), writes };
        it.store.apply(transaction).await.unwrap();
    }
    let writes = vec![Write::DeleteOperation(OperationId(1)), Write::DeleteWorker("w".to_owned())];
    // What it is about is true of the others alone.
    let preconditions = vec![Precondition::RevisionIs { worker: "w".to_owned(), revision: Some(Revision(2)) }];
    it.store.apply(Transaction { member: members[1].clone(), preconditions, writes }).await.unwrap();
    for (number, member) in (1..).zip(&members) {
        let found = it.store.read(member).await.unwrap();
        if number == 2 {
            assert_eq!((found.operations, found.workers), (Vec::new(), Vec::new()));
        } else {
            assert_eq!(found.operations, [operation(1, member.as_str())]);
            assert_eq!(found.workers, [worker("w", Some(number))]);
        }
    }
    assert!(matches!(watch.next().await, Some(LedgerNews::Changed(_))), "it is told of its own change");
    assert_eq!(futures_util::FutureExt::now_or_never(watch.next()), None, "and of nothing else");
}

pub(crate) async fn writes_take_effect_in_their_order(it: &Tested<impl Ledger>) {
    let writes = vec![
        Write::DeleteWorker("w".to_owned()),
        Write::PutWorker(worker("w", Some(1))),
        Write::PutWorker(worker("w", Some(2))),
        Write::PutOperation(operation(1, "w")),
        Write::DeleteOperation(OperationId(1)),
    ];
    done(it, writes).await;
    let found = read(it).await;
    assert_eq!((found.operations, found.workers), (Vec::new(), vec![worker("w", Some(2))]));
}

pub(crate) async fn a_version_counts_what_changed_something(it: &Tested<impl Ledger>) {
    let nothing = vec![Write::DeleteOperation(OperationId(1)), Write::DeleteWorker("w".to_owned())];
    assert_eq!(done(it, nothing).await, None);
    let first = vec![Write::PutOperation(operation(1, "w")), Write::PutWorker(worker("w", None))];
    assert_eq!(done(it, first.clone()).await, Some(Version(1)));
    assert_eq!(done(it, first).await, None, "writing the same again changes nothing");
    assert_eq!(done(it, vec![Write::DeleteOperation(OperationId(1))]).await, Some(Version(2)));
    assert_eq!(read(it).await.version, Version(2));
}

pub(crate) async fn whoever_watches_is_told_of_changes_in_their_order(it: &Tested<impl Ledger>) {
    done(it, vec![Write::PutWorker(worker("before", None))]).await;
    let mut watch = it.store.watch(&Member::local()).await.unwrap();
    let first = done(it, vec![Write::PutOperation(operation(1, "w")), Write::PutWorker(worker("w", Some(1)))]).await;
    done(it, vec![Write::DeleteWorker("none".to_owned())]).await;
    let second = done(it, vec![Write::DeleteOperation(OperationId(1)), Write::PutWorker(worker("w", Some(1)))]).await;
    assert_eq!(watch.next().await, Some(LedgerNews::Changed(first.unwrap())));
    assert_eq!(watch.next().await, Some(LedgerNews::Changed(second.unwrap())), "what changed nothing is not told");
}

pub(crate) async fn a_reader_that_is_far_behind_is_told_to_read_again(it: &Tested<impl Ledger>) {
    let mut watch = it.store.watch(&Member::local()).await.unwrap();
    for revision in 0..300 {
        done(it, vec![Write::PutWorker(worker("w", Some(revision)))]).await;
    }
    assert_eq!(watch.next().await, Some(LedgerNews::Missed));
    let last = read(it).await.version;
    let Some(LedgerNews::Changed(mut version)) = watch.next().await else { panic!("it goes on with what is left") };
    while version < last {
        let Some(LedgerNews::Changed(next)) = watch.next().await else { panic!("nothing is missed now") };
        assert_eq!(next.0, version.0 + 1);
        version = next;
    }
}

/// The kind of precondition after this one, with any content: a new kind does not compile until it stands here.
fn next_kind(of: Option<&Precondition>) -> Option<Precondition> {
    match of {
        None => Some(Precondition::RevisionIs { worker: String::new(), revision: None }),
        Some(Precondition::RevisionIs { .. }) => Some(Precondition::OperationPending(OperationId(0))),
        Some(Precondition::OperationPending(_)) => None,
    }
}

/// For each kind of precondition some that hold and some that do not, in a ledger that [`every_precondition_is_mapped`]
/// filled.
fn examples(of: &Precondition) -> (Vec<Precondition>, Vec<Precondition>) {
    match of {
        Precondition::RevisionIs { .. } => {
            let is = |worker: &str, revision: Option<u128>| Precondition::RevisionIs {
                worker: worker.to_owned(),
                revision: revision.map(Revision),
            };
            (
                vec![is("at 7", Some(7)), is("fresh", None), is("unknown", None)],
                vec![is("at 7", Some(8)), is("at 7", None), is("fresh", Some(0)), is("unknown", Some(7))],
            )
        }
        Precondition::OperationPending(_) => {
            let is = |id| Precondition::OperationPending(OperationId(id));
            (vec![is(3)], vec![is(4)])
        }
    }
}

pub(crate) async fn every_precondition_is_mapped(it: &Tested<impl Ledger>) {
    let filled = vec![
        Write::PutOperation(operation(3, "at 7")),
        Write::PutWorker(worker("at 7", Some(7))),
        Write::PutWorker(worker("fresh", None)),
    ];
    done(it, filled).await;
    let kinds: Vec<_> = std::iter::successors(next_kind(None), |kind| next_kind(Some(kind))).collect();
    assert!(!kinds.is_empty());
    for kind in kinds {
        let (held, failed) = examples(&kind);
        let held = Transaction { preconditions: held, ..transaction(Vec::new()) };
        it.store.apply(held).await.expect("all of them hold");
        for precondition in failed {
            let failing = Transaction { preconditions: vec![precondition.clone()], ..transaction(Vec::new()) };
            let error = it.store.apply(failing).await.expect_err("it does not hold");
            assert_eq!(error.code(), "store_precondition_failed");
            assert!(matches!(error, StoreError::Precondition(named) if named == precondition));
        }
    }
}

pub(crate) async fn a_failed_precondition_changes_nothing(it: &Tested<impl Ledger>) {
    done(it, vec![Write::PutWorker(worker("w", Some(7)))]).await;
    let before = read(it).await;
    let mut watch = it.store.watch(&Member::local()).await.unwrap();
    let held = Precondition::RevisionIs { worker: "w".to_owned(), revision: Some(Revision(7)) };
    let failed = Precondition::OperationPending(OperationId(1));
    // The write would make the precondition true: it is checked before.
    let writes = vec![Write::PutOperation(operation(1, "w")), Write::DeleteWorker("w".to_owned())];
    let failing = Transaction { preconditions: vec![held, failed.clone()], ..transaction(writes) };
    let result = it.store.apply(failing).await;
    assert!(matches!(result, Err(StoreError::Precondition(named)) if named == failed));
    assert_eq!(read(it).await, before);
    assert_eq!(futures_util::FutureExt::now_or_never(watch.next()), None, "nobody is told");
}

/// Each of several tasks raises a revision by compare and set: no step is lost.
pub(crate) async fn concurrent_transactions_are_serialised(it: &Tested<impl Ledger>) {
    let raise = async || loop {
        let revision = read(it).await.workers.first().and_then(|state| state.revision);
        let next = revision.map_or(1, |revision| revision.0 + 1);
        let preconditions = vec![Precondition::RevisionIs { worker: "w".to_owned(), revision }];
        let writes = vec![Write::PutWorker(worker("w", Some(next)))];
        match it.store.apply(Transaction { preconditions, ..transaction(writes) }).await {
            Ok(_) => return,
            Err(StoreError::Precondition(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let tasks = (0..4).map(|_| async {
        for _ in 0..5 {
            raise().await;
        }
    });
    futures_util::future::join_all(tasks).await;
    assert_eq!(read(it).await.workers, [worker("w", Some(20))]);
}

pub(crate) async fn a_failure_changes_nothing_and_passes_with_its_cause(it: &Tested<impl Ledger>) {
    done(it, vec![Write::PutWorker(worker("w", Some(1)))]).await;
    (it.fail)(true);
    for _ in 0..3 {
        let writes = vec![Write::PutWorker(worker("w", Some(2))), Write::PutOperation(operation(1, "w"))];
        it.store.apply(transaction(writes)).await.expect_err("it cannot write");
    }
    (it.fail)(false);
    let found = read(it).await;
    assert_eq!((found.workers, found.operations), (vec![worker("w", Some(1))], Vec::new()));
    done(it, vec![Write::PutWorker(worker("w", Some(3)))]).await;
    assert_eq!(read(it).await.workers, [worker("w", Some(3))]);
}
