//! The suite of the ledger, run against every backend, and their agreement.

pub(crate) mod suite;

use proptest::prelude::*;
use rosterd_testkit::leak_checked_live;
use serde_json::json;
use suite::for_backend;

use super::*;
use crate::store::open_folder;
use crate::store::tests::failing::Failing;
use crate::store::tests::{block_on, disk};

mod memory {
    super::for_backend!(|| async { (super::Failing::<super::MemoryLedger>::default().tested(), ()) });
}

mod embedded {
    super::for_backend!(super::disk::ledger);
}

pub(crate) fn operation(id: u64, worker: &str) -> Operation {
    let progress = Progress { step: 1, attempt: 2, last_error: None, left: json!(["half", worker]) };
    Operation {
        id: OperationId(id),
        worker: worker.to_owned(),
        kind: "file_sd".to_owned(),
        action: Action::Update,
        revision: Some(Revision(9)),
        spec: json!({ "path": format!("/{worker}.json") }),
        progress,
    }
}

pub(crate) fn worker(id: &str, revision: Option<u128>) -> WorkerState {
    let spec = json!({ "path": id });
    WorkerState { id: id.to_owned(), kind: "file_sd".to_owned(), revision: revision.map(Revision), spec, failed: None }
}

/// A transaction of the only member, without preconditions.
pub(crate) fn transaction(writes: Vec<Write>) -> Transaction {
    Transaction { member: Member::local(), preconditions: Vec::new(), writes }
}

/// All that is kept of the only member.
pub(crate) async fn content(ledger: &impl Ledger) -> Picture {
    ledger.read(&Member::local()).await.unwrap()
}

#[test]
fn everything_is_there_after_reopening() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (_, ledger) = open_folder(folder.path()).await.unwrap();
        let writes = vec![Write::PutOperation(operation(1, "w")), Write::PutWorker(worker("w", Some(3)))];
        let version = ledger.apply(transaction(writes)).await.unwrap();
        let before = content(&ledger).await;
        drop(ledger);
        let (_, ledger) = open_folder(folder.path()).await.unwrap();
        assert_eq!(content(&ledger).await, before);
        let next = ledger.apply(transaction(vec![Write::DeleteWorker("w".to_owned())])).await.unwrap();
        assert!(next > version, "versions go on after a restart");
    });
}

#[test]
fn after_a_failure_of_the_disk_watchers_read_again() {
    leak_checked_live(|| async {
        let (it, _folder) = disk::ledger().await;
        let mut watch = it.store.watch(&Member::local()).await.unwrap();
        (it.fail)(true);
        let error = it.store.apply(transaction(vec![Write::PutWorker(worker("w", None))])).await;
        let error = error.expect_err("the disk is full");
        assert_eq!(rosterd_model::Coded::code(&error), "store_disk_full", "{error:?}");
        assert!(error.to_string().contains("ledger.redb"), "{error}");
        let told = tokio::time::timeout(rosterd_testkit::patience(), watch.next()).await.expect("it is told");
        assert_eq!(told, Some(LedgerNews::Missed));
        (it.fail)(false);
        it.store.apply(transaction(vec![Write::PutWorker(worker("w", None))])).await.unwrap();
        assert!(matches!(watch.next().await, Some(LedgerNews::Changed(_))));
    });
}

#[test]
fn every_backend_runs_the_suite() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/ledger");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let with_backend = sources.filter(|path| std::fs::read_to_string(path).unwrap().contains("\nimpl Ledger for "));
    let mut names: Vec<_> = with_backend.map(|path| path.file_stem().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["embedded", "memory"], "a backend is new: give it a module with for_backend! above");
}

/// What happens to both ledgers in the property below.
#[derive(Debug, Clone)]
enum Event {
    Apply(Transaction),
    Reopen,
}

fn writes() -> impl Strategy<Value = Write> {
    prop_oneof![
        (0..4u64, "[uvw]").prop_map(|(id, name)| Write::PutOperation(operation(id, &name))),
        (0..4u64).prop_map(|id| Write::DeleteOperation(OperationId(id))),
        ("[uvw]", prop::option::of(0..3u128)).prop_map(|(id, revision)| Write::PutWorker(worker(&id, revision))),
        "[uvw]".prop_map(Write::DeleteWorker),
    ]
}

fn preconditions() -> impl Strategy<Value = Precondition> {
    prop_oneof![
        ("[uvw]", prop::option::of((0..3u128).prop_map(Revision)))
            .prop_map(|(worker, revision)| Precondition::RevisionIs { worker, revision }),
        (0..4u64).prop_map(|id| Precondition::OperationPending(OperationId(id))),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let member = prop_oneof![3 => Just(Member::local()), 1 => Just(Member::new("a"))];
    let (preconditions, writes) = (prop::collection::vec(preconditions(), 0..2), prop::collection::vec(writes(), 0..6));
    let transaction = (member, preconditions, writes).prop_map(|(member, preconditions, writes)| Transaction {
        member,
        preconditions,
        writes,
    });
    prop_oneof![8 => transaction.prop_map(Event::Apply), 1 => Just(Event::Reopen)]
}

async fn both_agree(events: Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryLedger::new();
    let (_, mut embedded) = open_folder(folder.path()).await.unwrap();
    for event in events {
        match event {
            Event::Apply(transaction) => {
                let member = transaction.member.clone();
                let (mut one, mut other) =
                    (memory.watch(&member).await.unwrap(), embedded.watch(&member).await.unwrap());
                let expected = memory.apply(transaction.clone()).await.map_err(|error| error.to_string());
                let found = embedded.apply(transaction).await.map_err(|error| error.to_string());
                assert_eq!(found, expected);
                let next = |watch: &mut Watch| futures_util::FutureExt::now_or_never(watch.next());
                assert_eq!(next(&mut one), next(&mut other));
            }
            Event::Reopen => {
                drop(embedded);
                (_, embedded) = open_folder(folder.path()).await.unwrap();
            }
        }
        for member in [Member::local(), Member::new("a")] {
            assert_eq!(embedded.read(&member).await.unwrap(), memory.read(&member).await.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_transactions_agree_in_memory_and_in_a_file(events in prop::collection::vec(events(), 1..24)) {
        block_on(both_agree(events));
    }
}
