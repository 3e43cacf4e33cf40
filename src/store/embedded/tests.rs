//! Opening, refusing, damage, full disks, and agreement with the store in memory.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::path::PathBuf;

use proptest::prelude::*;
use redb::backends::FileBackend;
use redb::{StorageBackend, TableDefinition};

use rosterd_testkit::leak_checked_live;

use super::tables::Step;
use super::*;
use crate::store::suite::{block, delete, for_backend, pending, put, transaction, worker};
use crate::store::{MemoryStore, OperationId, Precondition, Revision};

const DEADLINE: Duration = Duration::from_secs(30);

/// A store, its task and its folder.
#[derive(Debug)]
pub(super) struct Opened {
    store: EmbeddedStore,
    stopper: Stopper,
}

impl Opened {
    pub(super) async fn at(folder: &Path) -> Result<Self, StoreError> {
        Self::with(folder, file::open_file).await
    }

    async fn with(folder: &Path, opener: Opener) -> Result<Self, StoreError> {
        let stopper = Stopper::new();
        Ok(Self { store: EmbeddedStore::open_with(folder, &stopper, opener).await?, stopper })
    }

    pub(super) async fn close(self) {
        assert!(self.stopper.stop(DEADLINE).await.is_empty());
        assert_eq!(Arc::strong_count(&self.store.0), 1, "somebody still uses the store");
    }
}

impl Deref for Opened {
    type Target = EmbeddedStore;

    fn deref(&self) -> &EmbeddedStore {
        &self.store
    }
}

mod suite {
    use super::*;

    for_backend!(|| async {
        let (folder, stopper) = (tempfile::tempdir().unwrap(), Stopper::new());
        let store = EmbeddedStore::open(folder.path(), &stopper).await.unwrap();
        let end = async move {
            assert!(stopper.stop(DEADLINE).await.is_empty());
            drop(folder);
        };
        (store, end)
    });
}

#[test]
fn everything_is_there_after_reopening() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let store = Opened::at(&folder.path().join("made/on/the/way")).await.unwrap();
        let operations = vec![Operation::PutPending(pending(1, "w")), Operation::PutWorker(worker("w", Some(3)))];
        store.apply(transaction(operations)).await.unwrap();
        store.apply(transaction(vec![put("p", vec![block(1, "not durable yet")])])).await.unwrap();
        store.close().await;
        let store = Opened::at(&folder.path().join("made/on/the/way")).await.unwrap();
        assert_eq!(store.pending().await.unwrap(), [pending(1, "w")]);
        assert_eq!(store.workers().await.unwrap(), [worker("w", Some(3))]);
        assert_eq!(store.blocks("p", 0, 9).await.unwrap(), [block(1, "not durable yet")]);
        store.close().await;
    });
}

#[test]
fn two_agents_cannot_share_a_folder() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let first = Opened::at(folder.path()).await.unwrap();
        let error = Opened::at(folder.path()).await.expect_err("the folder is taken");
        assert_eq!(error.code(), "store_in_use");
        assert!(error.to_string().contains("roster.lock"), "{error}");
        first.close().await;
        Opened::at(folder.path()).await.unwrap().close().await;
    });
}

/// The names in the folder that tell of a damaged store.
fn moved_aside(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("roster.redb.corrupt-")).collect()
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    leak_checked_live(|| async {
        for garbage in [&b"not a database"[..], &[0; 100_000], &[0xff; 5000]] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("roster.redb"), garbage).unwrap();
            let store = Opened::at(folder.path()).await.unwrap();
            assert_eq!(store.providers().await.unwrap(), Vec::<String>::new());
            store.apply(transaction(vec![put("p", vec![block(1, "x")])])).await.unwrap();
            let aside = moved_aside(folder.path());
            assert_eq!(fs::read(&aside[0]).unwrap(), garbage);
            store.close().await;
            let store = Opened::at(folder.path()).await.unwrap();
            assert_eq!(store.providers().await.unwrap(), ["p"]);
            assert_eq!(moved_aside(folder.path()), aside, "the new store is fine");
            store.close().await;
        }
    });
}

#[test]
fn a_cut_off_file_is_moved_aside() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let store = Opened::at(folder.path()).await.unwrap();
        let blocks = (0..500).map(|id| block(id, &"x".repeat(1000))).collect();
        store.apply(transaction(vec![put("p", blocks)])).await.unwrap();
        store.close().await;
        let file = File::options().write(true).open(folder.path().join("roster.redb")).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        drop(file);
        let store = Opened::at(folder.path()).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), Vec::<String>::new());
        assert_eq!(moved_aside(folder.path()).len(), 1);
        store.close().await;
    });
}

const OLD: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

#[test]
fn the_store_of_a_newer_rosterd_is_refused_and_left_alone() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roster.redb");
        let database = Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(OLD).unwrap().insert("format", 1000).unwrap();
        write.commit().unwrap();
        drop(database);
        let error = Opened::at(folder.path()).await.expect_err("it is newer");
        assert_eq!(error.code(), "store_format_newer");
        assert!(error.to_string().contains("has format 1000"), "{error}");
        assert!(moved_aside(folder.path()).is_empty() && path.exists());
    });
}

#[test]
fn an_older_store_migrates_by_each_missing_step_once() {
    fn add_ten(write: &redb::WriteTransaction) -> Result<(), Fault> {
        write.open_table(TableDefinition::<&str, u64>::new("numbers"))?.insert("a", 10)?;
        Ok(())
    }
    fn double(write: &redb::WriteTransaction) -> Result<(), Fault> {
        let mut numbers = write.open_table(TableDefinition::<&str, u64>::new("numbers"))?;
        let number = redb::ReadableTable::get(&numbers, "a")?.map_or(0, |number| number.value());
        numbers.insert("a", number * 2)?;
        Ok(())
    }
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("x.redb")).unwrap();
    let steps: [Step; 2] = [add_ten, double];
    tables::prepare(&database, &steps[..0]).unwrap();
    tables::prepare(&database, &steps[..1]).unwrap();
    tables::prepare(&database, &steps).unwrap();
    tables::prepare(&database, &steps).unwrap();
    let numbers = database.begin_read().unwrap().open_table(TableDefinition::<&str, u64>::new("numbers")).unwrap();
    assert_eq!(numbers.get("a").unwrap().unwrap().value(), 20);
    let newer = tables::prepare(&database, &steps[..1]).expect_err("it was migrated further");
    assert!(matches!(newer, Fault::Newer { found: 3, supported: 2 }));
}

/// A file on a disk that is full as long as a file named `full` stands beside it.
#[derive(Debug)]
struct Disk(FileBackend, PathBuf);

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.1.exists() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn open(path: &Path, check: bool) -> Result<Database, redb::DatabaseError> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let disk = Self(FileBackend::new(file)?, path.with_file_name("full"));
        Database::builder().set_check_integrity_on_open(check).create_with_backend(disk)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_lost() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let store = Opened::with(folder.path(), Disk::open).await.unwrap();
        let long = "x".repeat(4000);
        store.apply(transaction(vec![Operation::PutWorker(worker("w", Some(1)))])).await.unwrap();
        store.apply(transaction(vec![put("p", vec![block(1, "not durable"), block(2, &long)])])).await.unwrap();

        fs::write(folder.path().join("full"), "").unwrap();
        for _ in 0..3 {
            let operations = vec![Operation::PutWorker(worker("w", Some(2))), put("p", vec![block(3, &long)])];
            let error = store.apply(transaction(operations)).await.expect_err("the disk is full");
            assert_eq!(error.code(), "store_disk_full", "{error:?}");
            assert!(error.to_string().contains("roster.redb"), "{error}");
        }
        fs::remove_file(folder.path().join("full")).unwrap();

        assert_eq!(store.workers().await.unwrap(), [worker("w", Some(1))]);
        assert_eq!(store.blocks("p", 0, 9).await.unwrap(), [block(1, "not durable"), block(2, &long)]);
        store.apply(transaction(vec![delete("p", &[1])])).await.unwrap();
        store.close().await;
        let store = Opened::at(folder.path()).await.unwrap();
        assert_eq!(store.blocks("p", 0, 9).await.unwrap(), [block(2, &long)]);
        assert!(moved_aside(folder.path()).is_empty());
        store.close().await;
    });
}

#[test]
fn blocks_become_durable_without_being_asked() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let store = Opened::at(folder.path()).await.unwrap();
        store.apply(transaction(vec![put("p", vec![block(1, "x")])])).await.unwrap();
        assert_eq!(store.0.unsynced().transactions.len(), 1);
        let synced = async {
            while !store.0.unsynced().transactions.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, synced).await.expect("it is synced after a second");
        store.close().await;
    });
}

#[test]
fn what_waits_to_be_durable_is_bounded() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let store = Opened::at(folder.path()).await.unwrap();
        let large = Bytes::from(vec![7; UNSYNCED_LIMIT]);
        store.apply(transaction(vec![put("p", vec![Block { id: 1, bytes: large.clone() }])])).await.unwrap();
        assert_eq!(store.0.unsynced().transactions, []);
        assert_eq!(store.block("p", 1).await.unwrap(), Some(large));
        store.close().await;
    });
}

/// What happens to both stores in the property below.
#[derive(Debug, Clone)]
enum Event {
    Apply(Transaction),
    Flush,
    Reopen,
}

fn operations() -> impl Strategy<Value = Operation> {
    let provider = prop_oneof![Just("a"), Just("ab"), Just("b"), Just("")];
    let blocks = prop::collection::vec((0..6u64, ".{0,8}"), 0..5);
    let ids = prop::collection::vec(0..6u64, 0..5);
    prop_oneof![
        (provider.clone(), blocks)
            .prop_map(|(provider, blocks)| put(provider, blocks.iter().map(|(id, text)| block(*id, text)).collect())),
        (provider.clone(), ids).prop_map(|(provider, ids)| delete(provider, &ids)),
        provider.prop_map(|provider| Operation::DeleteProvider(provider.into())),
        (0..4u64, "[uvw]").prop_map(|(id, name)| Operation::PutPending(pending(id, &name))),
        (0..4u64).prop_map(|id| Operation::DeletePending(OperationId(id))),
        ("[uvw]", prop::option::of(0..3u128)).prop_map(|(id, actual)| Operation::PutWorker(worker(&id, actual))),
        "[uvw]".prop_map(Operation::DeleteWorker),
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
    let transaction = (prop::collection::vec(preconditions(), 0..2), prop::collection::vec(operations(), 0..6))
        .prop_map(|(preconditions, operations)| Transaction { preconditions, operations });
    prop_oneof![8 => transaction.prop_map(Event::Apply), 1 => Just(Event::Flush), 1 => Just(Event::Reopen)]
}

/// All that a store holds.
pub(super) async fn content(
    store: &impl Store,
) -> (Vec<(String, Vec<Block>)>, Vec<PendingOperation>, Vec<WorkerState>) {
    let mut groups = Vec::new();
    for provider in store.providers().await.unwrap() {
        let blocks = store.blocks(&provider, 0, usize::MAX).await.unwrap();
        groups.push((provider, blocks));
    }
    (groups, store.pending().await.unwrap(), store.workers().await.unwrap())
}

async fn both_agree(events: Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let mut embedded = Opened::at(folder.path()).await.unwrap();
    for event in events {
        match event {
            Event::Apply(transaction) => {
                let expected = memory.apply(transaction.clone()).await.map_err(|error| error.to_string());
                let found = embedded.apply(transaction).await.map_err(|error| error.to_string());
                assert_eq!(found, expected);
            }
            Event::Flush => embedded.flush().await.unwrap(),
            Event::Reopen => {
                embedded.close().await;
                embedded = Opened::at(folder.path()).await.unwrap();
            }
        }
        assert_eq!(content(&embedded.store).await, content(&memory).await);
    }
    embedded.close().await;
}

/// The store either has everything or is empty, with the damaged file moved aside.
async fn survives_damage(damage: Vec<(prop::sample::Index, u8)>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.redb");
    let store = Opened::at(folder.path()).await.unwrap();
    let operations = vec![
        put("p", (0..20).map(|id| block(id, &"text".repeat(100))).collect()),
        Operation::PutWorker(worker("w", Some(1))),
    ];
    store.apply(transaction(operations)).await.unwrap();
    let whole = content(&store.store).await;
    store.close().await;
    let mut bytes = fs::read(&path).unwrap();
    for (index, mask) in damage {
        let index = index.index(bytes.len());
        bytes[index] ^= mask;
    }
    fs::write(&path, bytes).unwrap();
    let store = Opened::at(folder.path()).await.unwrap();
    let found = content(&store.store).await;
    let replaced = !moved_aside(folder.path()).is_empty();
    assert!(found == whole && !replaced || found == Default::default(), "{found:?}, replaced: {replaced}");
    store.close().await;
}

fn block_on(future: impl Future<Output = ()>) {
    // not leak checked: each case of a property would need a process of its own
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_transactions_agree_with_the_memory_store(events in prop::collection::vec(events(), 1..24)) {
        block_on(both_agree(events));
    }

    #[test]
    fn random_damage_costs_the_content_but_never_the_start(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..20)
    ) {
        block_on(survives_damage(damage));
    }
}
