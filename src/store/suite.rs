//! What every backend has to pass: [`for_backend`] makes a test of each case. Below it the cases, each a sentence that
//! is true of any store, starting with an empty one.

use std::sync::Arc;

use bytes::Bytes;
use rosterd_model::Coded;

use super::{
    Action, Block, Change, Operation, OperationId, PendingOperation, Precondition, Revision, Store, StoreError,
    Transaction, WorkerState,
};

/// Makes a test of each case of the suite. The argument is an expression of a closure that returns a future of an empty
/// store and of a future that ends what the store needs.
macro_rules! for_backend {
    ($make:expr) => {
        crate::store::suite::for_backend! { $make;
            blocks_come_back_sorted_and_in_pages,
            a_block_is_replaced_and_deleted,
            providers_are_listed_until_their_last_block_goes,
            neighbours_of_a_deleted_provider_stay,
            an_empty_provider_key_is_a_key,
            thousands_of_blocks_go_in_one_transaction,
            pending_operations_and_workers_come_back,
            changes_tell_what_was_done_and_nothing_else,
            operations_take_effect_in_their_order,
            every_precondition_is_mapped,
            a_failed_precondition_changes_nothing,
            concurrent_transactions_are_serialised,
        }
    };
    ($make:expr; $($case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                rosterd_testkit::leak_checked_live(|| async {
                    let make = $make;
                    let (store, end) = make().await;
                    crate::store::suite::$case(store).await;
                    end.await;
                });
            }
        )*

        #[test]
        fn no_case_of_the_suite_is_left_out() {
            crate::store::suite::assert_all_cases(&[$(stringify!($case)),*]);
        }
    };
}
pub(crate) use for_backend;

/// Fails when a case of this file is not in the list.
pub(crate) fn assert_all_cases(cases: &[&str]) {
    let marker = concat!("pub(crate) async fn ", "");
    let defined = include_str!("suite.rs").lines().filter_map(|line| line.strip_prefix(marker));
    let defined: Vec<_> = defined.filter_map(|line| line.split(['(', '<']).next()).collect();
    assert!(!defined.is_empty());
    for case in &defined {
        assert!(cases.contains(case), "add `{case}` to the list in for_backend!");
    }
}

pub(crate) fn block(id: u64, text: &str) -> Block {
    Block { id, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

pub(crate) fn put(provider: &str, blocks: Vec<Block>) -> Operation {
    Operation::PutBlocks { provider: provider.into(), blocks }
}

pub(crate) fn delete(provider: &str, ids: &[u64]) -> Operation {
    Operation::DeleteBlocks { provider: provider.into(), ids: ids.to_vec() }
}

pub(crate) fn pending(id: u64, worker: &str) -> PendingOperation {
    let (worker, kind) = (worker.to_owned(), "file_sd".to_owned());
    PendingOperation { id: OperationId(id), worker, kind, action: Action::Update, revision: Some(Revision(9)) }
}

pub(crate) fn worker(id: &str, actual: Option<u128>) -> WorkerState {
    WorkerState {
        id: id.to_owned(),
        kind: "file_sd".to_owned(),
        desired: Some(Revision(u128::MAX)),
        actual: actual.map(Revision),
    }
}

pub(crate) fn transaction(operations: Vec<Operation>) -> Transaction {
    Transaction { preconditions: Vec::new(), operations }
}

async fn done(store: &impl Store, operations: Vec<Operation>) -> Vec<Change> {
    store.apply(transaction(operations)).await.expect("the transaction has no preconditions")
}

async fn ids(store: &impl Store, provider: &str) -> Vec<u64> {
    let blocks = store.blocks(provider, 0, usize::MAX).await.expect("blocks can be read");
    blocks.into_iter().map(|block| block.id).collect()
}

pub(crate) async fn blocks_come_back_sorted_and_in_pages(store: impl Store) {
    done(&store, vec![put("dns/1", vec![block(u64::MAX, "z"), block(2, "b"), block(0, "a")])]).await;
    assert_eq!(store.blocks("dns/1", 0, 2).await.unwrap(), [block(0, "a"), block(2, "b")]);
    assert_eq!(store.blocks("dns/1", 3, 2).await.unwrap(), [block(u64::MAX, "z")]);
    assert_eq!(store.blocks("dns/1", 0, 0).await.unwrap(), []);
    assert_eq!(store.blocks("dns/2", 0, 9).await.unwrap(), []);
}

pub(crate) async fn a_block_is_replaced_and_deleted(store: impl Store) {
    done(&store, vec![put("p", vec![block(1, "old"), block(2, "other")])]).await;
    done(&store, vec![put("p", vec![block(1, "new")])]).await;
    assert_eq!(store.block("p", 1).await.unwrap(), Some(Bytes::from_static(b"new")));
    done(&store, vec![delete("p", &[1, 77])]).await;
    assert_eq!(store.block("p", 1).await.unwrap(), None);
    assert_eq!(ids(&store, "p").await, [2]);
}

pub(crate) async fn providers_are_listed_until_their_last_block_goes(store: impl Store) {
    assert_eq!(store.providers().await.unwrap(), Vec::<String>::new());
    done(&store, vec![put("b", vec![block(1, ""), block(u64::MAX, "")]), put("a", vec![block(0, "x")])]).await;
    assert_eq!(store.providers().await.unwrap(), ["a", "b"]);
    done(&store, vec![delete("a", &[0])]).await;
    assert_eq!(store.providers().await.unwrap(), ["b"]);
}

pub(crate) async fn neighbours_of_a_deleted_provider_stay(store: impl Store) {
    let all = |provider: &str| put(provider, vec![block(0, "x"), block(u64::MAX, "y")]);
    done(&store, vec![all("a"), all("ab"), all("b"), all("a\0")]).await;
    done(&store, vec![Operation::DeleteProvider("ab".into()), Operation::DeleteProvider("none".into())]).await;
    assert_eq!(store.providers().await.unwrap(), ["a", "a\0", "b"]);
    assert_eq!(ids(&store, "a").await, [0, u64::MAX]);
    assert_eq!(ids(&store, "b").await, [0, u64::MAX]);
}

pub(crate) async fn an_empty_provider_key_is_a_key(store: impl Store) {
    done(&store, vec![put("", vec![block(5, "x")])]).await;
    assert_eq!(store.providers().await.unwrap(), [""]);
    assert_eq!(ids(&store, "").await, [5]);
}

pub(crate) async fn thousands_of_blocks_go_in_one_transaction(store: impl Store) {
    let large: String = "0123456789abcdef".repeat(256);
    let blocks: Vec<_> = (0..5000).map(|id| block(id, &large[..(id as usize) % 4096])).collect();
    let changes = done(&store, vec![put("p", blocks.clone())]).await;
    assert_eq!(changes, [Change::Blocks { provider: "p".into(), put: 5000, deleted: 0 }]);
    assert!(store.blocks("p", 0, usize::MAX).await.unwrap() == blocks, "the blocks came back changed");
    let changes = done(&store, vec![Operation::DeleteProvider("p".into())]).await;
    assert_eq!(changes, [Change::Blocks { provider: "p".into(), put: 0, deleted: 5000 }]);
}

pub(crate) async fn pending_operations_and_workers_come_back(store: impl Store) {
    let operations = vec![
        Operation::PutPending(pending(300, "b")),
        Operation::PutPending(pending(2, "a")),
        Operation::PutWorker(worker("b", Some(u128::MAX))),
        Operation::PutWorker(worker("a", None)),
    ];
    done(&store, operations).await;
    store.flush().await.unwrap();
    assert_eq!(store.pending().await.unwrap(), [pending(2, "a"), pending(300, "b")]);
    assert_eq!(store.workers().await.unwrap(), [worker("a", None), worker("b", Some(u128::MAX))]);
    done(&store, vec![Operation::DeletePending(OperationId(2)), Operation::DeleteWorker("b".to_owned())]).await;
    assert_eq!(store.pending().await.unwrap(), [pending(300, "b")]);
    assert_eq!(store.workers().await.unwrap(), [worker("a", None)]);
}

pub(crate) async fn changes_tell_what_was_done_and_nothing_else(store: impl Store) {
    let nothing = vec![
        put("p", Vec::new()),
        delete("p", &[1]),
        Operation::DeleteProvider("p".into()),
        Operation::DeletePending(OperationId(1)),
        Operation::DeleteWorker("w".to_owned()),
    ];
    assert_eq!(done(&store, nothing).await, []);
    assert_eq!(store.providers().await.unwrap(), Vec::<String>::new());

    let first = vec![Operation::PutPending(pending(1, "w")), Operation::PutWorker(worker("w", None))];
    let changes = done(&store, first.clone()).await;
    let (id, now) = ("w".to_owned(), Some(worker("w", None)));
    assert_eq!(
        changes,
        [Change::Pending { id: OperationId(1), now: Some(pending(1, "w")) }, Change::Worker { id, before: None, now }]
    );
    assert_eq!(done(&store, first).await, [], "writing the same again changes nothing");
    let changes = done(&store, vec![Operation::PutWorker(worker("w", Some(1)))]).await;
    let (before, now) = (Some(worker("w", None)), Some(worker("w", Some(1))));
    assert_eq!(changes, [Change::Worker { id: "w".to_owned(), before, now }]);
}

pub(crate) async fn operations_take_effect_in_their_order(store: impl Store) {
    let operations = vec![
        put("p", vec![block(1, "first"), block(1, "second"), block(2, "x")]),
        delete("p", &[2]),
        Operation::DeleteProvider("q".into()),
        put("q", vec![block(1, "kept")]),
        Operation::PutWorker(worker("w", Some(1))),
        Operation::DeleteWorker("w".to_owned()),
    ];
    done(&store, operations).await;
    assert_eq!(store.blocks("p", 0, 9).await.unwrap(), [block(1, "second")]);
    assert_eq!(ids(&store, "q").await, [1]);
    assert_eq!(store.workers().await.unwrap(), []);
}

/// For each kind of precondition some that hold and some that do not, in a store that [`every_precondition_is_mapped`]
/// filled. A new kind does not compile until it has its examples here.
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

pub(crate) async fn every_precondition_is_mapped(store: impl Store) {
    let filled = vec![
        Operation::PutPending(pending(3, "at 7")),
        Operation::PutWorker(worker("at 7", Some(7))),
        Operation::PutWorker(worker("fresh", None)),
    ];
    done(&store, filled).await;
    let kinds = [
        Precondition::RevisionIs { worker: String::new(), revision: None },
        Precondition::OperationPending(OperationId(0)),
    ];
    for kind in kinds {
        let (held, failed) = examples(&kind);
        store.apply(Transaction { preconditions: held, operations: Vec::new() }).await.expect("all of them hold");
        for precondition in failed {
            let transaction = Transaction { preconditions: vec![precondition.clone()], operations: Vec::new() };
            let error = store.apply(transaction).await.expect_err("it does not hold");
            assert_eq!(error.code(), "store_precondition_failed");
            assert!(matches!(error, StoreError::Precondition(named) if named == precondition));
        }
    }
}

pub(crate) async fn a_failed_precondition_changes_nothing(store: impl Store) {
    done(&store, vec![Operation::PutWorker(worker("w", Some(7)))]).await;
    let held = Precondition::RevisionIs { worker: "w".to_owned(), revision: Some(Revision(7)) };
    let failed = Precondition::OperationPending(OperationId(1));
    // The operation would make the precondition true: it is checked before.
    let operations = vec![
        Operation::PutPending(pending(1, "w")),
        put("p", vec![block(1, "x")]),
        Operation::DeleteWorker("w".to_owned()),
    ];
    let result = store.apply(Transaction { preconditions: vec![held, failed.clone()], operations }).await;
    assert!(matches!(result, Err(StoreError::Precondition(named)) if named == failed));
    assert_eq!(store.pending().await.unwrap(), []);
    assert_eq!(store.workers().await.unwrap(), [worker("w", Some(7))]);
    assert_eq!(store.providers().await.unwrap(), Vec::<String>::new());
}

/// Each of several tasks raises a revision by compare and set: no step is lost.
pub(crate) async fn concurrent_transactions_are_serialised(store: impl Store) {
    let store = Arc::new(store);
    let raise = async |store: &dyn Store| loop {
        let actual = store.workers().await.unwrap().first().and_then(|state| state.actual);
        let next = actual.map_or(1, |revision| revision.0 + 1);
        let transaction = Transaction {
            preconditions: vec![Precondition::RevisionIs { worker: "w".to_owned(), revision: actual }],
            operations: vec![Operation::PutWorker(worker("w", Some(next)))],
        };
        match store.apply(transaction).await {
            Ok(_) => return,
            Err(StoreError::Precondition(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let tasks = (0..4).map(|_| async {
        for _ in 0..5 {
            raise(&*store).await;
        }
    });
    futures_util::future::join_all(tasks).await;
    assert_eq!(store.workers().await.unwrap(), [worker("w", Some(20))]);
}
