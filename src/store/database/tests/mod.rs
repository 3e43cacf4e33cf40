//! Opening, refusing, permissions, migrations and damage.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use redb::{ReadableTable, TableDefinition};
use rosterd_model::Coded;
use rosterd_testkit::leak_checked_live;

use super::format::Step;
use super::*;
use crate::store::blocks::tests::{self as blocks, block, put};
use crate::store::folder::open_with;
use crate::store::ledger::tests::{self as ledger, transaction, worker};
use crate::store::ledger::{Ledger, Picture, Write};
use crate::store::tests::block_on;
use crate::store::tests::disk::open_on_disk;
use crate::store::{Blocks, Loss, open_folder};

#[test]
fn two_agents_cannot_share_a_folder() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (blocks, ledger) = open_folder(folder.path()).await.unwrap();
        for _ in 0..2 {
            let error = open_folder(folder.path()).await.expect_err("the folder is taken");
            assert_eq!(error.code(), "store_in_use");
            assert!(error.to_string().contains("roster.lock"), "{error}");
        }
        drop(blocks);
        open_folder(folder.path()).await.expect_err("the ledger is still in use");
        drop(ledger);
        open_folder(folder.path()).await.unwrap();
    });
}

#[test]
fn nobody_else_may_read_the_files() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        // Those of the first release could be read by all.
        drop(open_folder(folder.path()).await.unwrap());
        for entry in fs::read_dir(folder.path()).unwrap() {
            fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let _stores = open_folder(folder.path()).await.unwrap();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["ledger.redb", "roster.lock", "roster.redb"]);
    });
}

#[test]
fn a_folder_that_cannot_be_had_at_the_start_is_taken_into_use_once_it_can() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let full = folder.path().join("full");
        fs::write(&full, "").unwrap();
        // As the mount point of a disk that is not there yet.
        let absent = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("absent"), &absent).unwrap();
        for (path, open, obstacle, code) in [
            (folder.path(), open_on_disk as Opener, &full, "store_disk_full"),
            (&absent.join("data"), open_file, &absent, "store_io"),
        ] {
            let (store, decided) = open_with(path, open).await.unwrap();
            let write = || store.apply(vec![put("p", vec![block(1, "x")])]);
            assert_eq!(store.providers().await.expect_err("it is not there").code(), code);
            assert_eq!(write().await.expect_err("it is not there").code(), code);
            let failing = || -> Vec<(&str, String)> {
                store.failures().list().into_iter().map(|(file, failure)| (file, failure.report.code)).collect()
            };
            let told = ["ledger.redb", "roster.redb"].map(|file| (file, code.to_owned()));
            assert_eq!(failing(), told, "whoever looks sees it");
            let since = store.failures().list().remove(1).1.since;
            write().await.expect_err("it is not there");
            assert_eq!(store.failures().list().remove(1).1.since, since, "as long as it is so");
            fs::remove_file(obstacle).unwrap();
            write().await.unwrap();
            assert_eq!(failing(), [("ledger.redb", code.to_owned())], "nobody has used it since");
            decided.apply(transaction(vec![Write::PutWorker(worker("w", Some(1)))])).await.unwrap();
            assert_eq!(store.failures().list(), []);
            assert_eq!(open_with(path, open).await.expect_err("it is taken").code(), "store_in_use");
            drop((store, decided));
            let (store, decided) = open_with(path, open).await.unwrap();
            assert_eq!(store.providers().await.unwrap(), ["p"]);
            assert_eq!(ledger::content(&decided).await.workers.len(), 1);
        }
    });
}

/// Opens a database, unless a file named `read-only` is beside it.
fn open_unless_read_only(path: &Path, check: bool) -> Result<redb::Database, redb::DatabaseError> {
    if path.with_file_name("read-only").exists() {
        let error = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
        return Err(redb::DatabaseError::Storage(redb::StorageError::Io(error)));
    }
    open_file(path, check)
}

#[test]
fn what_is_stored_is_read_at_the_start_where_it_cannot_be_written() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (store, decided) = open_folder(folder.path()).await.unwrap();
        store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        decided.apply(transaction(vec![Write::PutWorker(worker("w", Some(1)))])).await.unwrap();
        // As a kill leaves it: nothing was closed.
        for file in ["roster.redb", "ledger.redb"] {
            fs::copy(folder.path().join(file), folder.path().join("left")).unwrap();
            fs::rename(folder.path().join("left"), folder.path().join(file)).unwrap();
        }
        drop((store, decided));
        let read_only = folder.path().join("read-only");
        fs::write(&read_only, "").unwrap();

        let (store, decided) = open_with(folder.path(), open_unless_read_only).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), ["p"]);
        assert_eq!(store.blocks("p", 0, 9).await.unwrap(), [block(1, "x")]);
        assert_eq!(ledger::content(&decided).await.workers.len(), 1);
        let write = || store.apply(vec![put("q", vec![block(2, "y")])]);
        assert_eq!(write().await.expect_err("nothing can be written").code(), "store_io");
        let failing = || -> Vec<_> { store.failures().list().into_iter().map(|(file, _)| file).collect() };
        assert_eq!(failing(), ["ledger.redb", "roster.redb"], "whatever is read");
        fs::remove_file(&read_only).unwrap();
        write().await.unwrap();
        assert_eq!(store.providers().await.unwrap(), ["p", "q"]);
        assert_eq!(ledger::content(&decided).await.workers.len(), 1);
        assert_eq!(failing(), [""; 0]);
        drop((store, decided));
        let (store, _decided) = open_folder(folder.path()).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), ["p", "q"]);
    });
}

#[test]
fn what_cannot_be_written_is_shown_until_it_can_whatever_is_read() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (store, _decided) = open_with(folder.path(), open_on_disk).await.unwrap();
        store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        let brim = folder.path().join("brim");
        fs::write(&brim, "").unwrap();
        let large = || store.apply(vec![put("p", vec![block(2, &"x".repeat(16 << 20))])]);
        assert_eq!(large().await.expect_err("there is no room").code(), "store_disk_full");
        let failing = || store.failures().list();
        let first = failing();
        assert_eq!(first.len(), 1);
        assert_eq!(store.providers().await.unwrap(), ["p"], "what is there can be read");
        assert_eq!(failing(), first);
        large().await.expect_err("there is no room");
        assert_eq!(failing(), first, "since the first time");
        fs::remove_file(&brim).unwrap();
        large().await.unwrap();
        assert_eq!(failing(), []);
    });
}

#[test]
fn a_file_that_somebody_removes_is_shown_until_it_is_there_again() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (store, _decided) = open_folder(folder.path()).await.unwrap();
        let write = || store.apply(vec![put("p", vec![block(1, "x")])]);
        let failing = || -> Vec<(&str, String)> {
            store.failures().list().into_iter().map(|(file, failure)| (file, failure.report.code)).collect()
        };
        write().await.unwrap();
        assert_eq!(failing(), []);
        let (path, moved) = (folder.path().join("roster.redb"), folder.path().join("moved"));
        fs::rename(&path, &moved).unwrap();
        for _ in 0..2 {
            write().await.unwrap();
            assert_eq!(failing(), [("roster.redb", "store_gone".to_owned())]);
        }
        assert_eq!(store.providers().await.unwrap(), ["p"]);
        assert_eq!(failing().len(), 1, "what is read comes from the file that is gone");
        fs::rename(&moved, &path).unwrap();
        write().await.unwrap();
        assert_eq!(failing(), []);
    });
}

#[test]
fn a_folder_that_cannot_become_one_by_itself_is_refused() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "a").unwrap();
        for path in [file.clone(), file.join("x"), file.join("x/y")] {
            let error = open_folder(&path).await.expect_err("a file is no folder");
            assert_eq!(error.code(), "store_not_a_folder");
            assert!(error.to_string().contains(&format!("below {},", file.display())), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"a", "it is left alone");
    });
}

#[test]
fn what_could_not_be_made_whole_is_no_damaged_store() {
    /// A disk that has room for half a database, until somebody makes more.
    fn half(path: &Path, check: bool) -> Result<redb::Database, redb::DatabaseError> {
        if path.with_file_name("room").exists() {
            return open_file(path, check);
        }
        fs::write(path, [0; 70_000]).unwrap();
        Err(redb::DatabaseError::Storage(redb::StorageError::Io(std::io::ErrorKind::StorageFull.into())))
    }
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (store, _decided) = open_with(folder.path(), half).await.unwrap();
        for _ in 0..3 {
            assert_eq!(store.providers().await.expect_err("there is no room").code(), "store_disk_full");
        }
        assert_eq!(fs::metadata(folder.path().join("roster.redb")).unwrap().len(), 0, "it takes no room");
        fs::write(folder.path().join("room"), "").unwrap();
        store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), ["p"]);
        assert_eq!(moved_aside(folder.path()), [] as [PathBuf; 0]);
    });
}

/// The names in the folder that tell of a damaged store.
fn moved_aside(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains(".redb.corrupt-")).collect()
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    leak_checked_live(|| async {
        for garbage in [&b"not a database"[..], &[0; 100_000], &[0xff; 5000]] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("roster.redb"), garbage).unwrap();
            fs::write(folder.path().join("ledger.redb"), garbage).unwrap();
            let (store, decided) = open_folder(folder.path()).await.unwrap();
            assert_eq!(store.lost().cloned(), moved_aside(folder.path()).into_iter().max().map(Loss::MovedTo));
            assert_eq!(blocks::content(&store).await, []);
            assert_eq!(ledger::content(&decided).await, Picture::default());
            store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
            let aside = moved_aside(folder.path());
            assert_eq!(aside.len(), 2);
            assert_eq!(fs::read(&aside[0]).unwrap(), garbage);
            drop((store, decided));
            let (store, _) = open_folder(folder.path()).await.unwrap();
            assert_eq!(store.providers().await.unwrap(), ["p"]);
            assert_eq!((moved_aside(folder.path()), store.lost()), (aside, None), "the new store is fine");
            drop(store);
            // Twice within a second.
            for _ in 0..2 {
                fs::write(folder.path().join("roster.redb"), garbage).unwrap();
                drop(open_folder(folder.path()).await.unwrap());
            }
            assert_eq!(moved_aside(folder.path()).len(), 4, "none takes the place of another");
        }
    });
}

#[test]
fn a_cut_off_file_is_moved_aside_and_the_other_store_stays() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (store, decided) = open_folder(folder.path()).await.unwrap();
        let many = (0..500).map(|id| block(id, &"x".repeat(1000))).collect();
        store.apply(vec![put("p", many)]).await.unwrap();
        decided.apply(transaction(vec![Write::PutWorker(worker("w", Some(1)))])).await.unwrap();
        drop((store, decided));
        let file = File::options().write(true).open(folder.path().join("roster.redb")).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        drop(file);
        let (store, decided) = open_folder(folder.path()).await.unwrap();
        assert_eq!(blocks::content(&store).await, []);
        assert_eq!(ledger::content(&decided).await.workers, [worker("w", Some(1))]);
        assert_eq!(moved_aside(folder.path()).len(), 1);
    });
}

#[test]
fn a_folder_in_the_place_of_a_file_is_moved_aside() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("roster.redb")).unwrap();
        fs::write(folder.path().join("roster.redb/a"), "").unwrap();
        let (store, _decided) = open_folder(folder.path()).await.unwrap();
        store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        let aside = moved_aside(folder.path());
        assert!(aside.len() == 1 && aside[0].join("a").exists(), "{aside:?}");
    });
}

#[test]
fn any_damage_to_the_head_of_a_file_costs_the_content_but_never_the_start() {
    /// What is behind belongs to no head.
    const HEAD: usize = 320;
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roster.redb");
        let (store, decided) = open_folder(folder.path()).await.unwrap();
        store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        let whole = blocks::content(&store).await;
        drop((store, decided));
        let bytes = fs::read(&path).unwrap();
        for (at, flip) in (0..HEAD).flat_map(|at| [1, 2, 0x80].map(|flip| (at, flip))) {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            fs::write(&path, damaged).unwrap();
            let (store, _) = open_folder(folder.path()).await.unwrap_or_else(|error| panic!("byte {at}: {error}"));
            let (found, aside) = (blocks::content(&store).await, moved_aside(folder.path()));
            assert!(found == whole && aside.is_empty() || found.is_empty() && aside.len() == 1, "byte {at}: {found:?}");
            aside.iter().for_each(|aside| fs::remove_file(aside).unwrap());
        }
    });
}

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

#[test]
fn the_store_of_a_newer_rosterd_is_refused_and_left_alone() {
    leak_checked_live(|| async {
        for name in ["roster.redb", "ledger.redb"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            let database = redb::Database::create(&path).unwrap();
            let write = database.begin_write().unwrap();
            write.open_table(META).unwrap().insert("format", 1000).unwrap();
            write.commit().unwrap();
            drop(database);
            let error = open_folder(folder.path()).await.expect_err("it is newer");
            assert_eq!(error.code(), "store_format_newer");
            assert!(error.to_string().contains(&format!("{name} has format 1000")), "{error}");
            assert!(moved_aside(folder.path()).is_empty() && path.exists());
        }
    });
}

/// Writes a file as the first release did.
fn first_release(path: &Path) {
    let database = redb::Database::create(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut groups = write.open_table(TableDefinition::<(&str, u64), &[u8]>::new("groups")).unwrap();
        groups.insert(("dns/0123456789abcdef", 0), &b"x"[..]).unwrap();
        let mut operations = write.open_table(TableDefinition::<u64, &[u8]>::new("operations")).unwrap();
        let pending = br#"{"id":1,"worker":"w","kind":"file_sd","action":"start","revision":null}"#;
        operations.insert(1, &pending[..]).unwrap();
        let mut workers = write.open_table(TableDefinition::<&str, &[u8]>::new("workers")).unwrap();
        workers.insert("w", &br#"{"id":"w","kind":"file_sd","desired":null,"actual":null}"#[..]).unwrap();
        let mut meta = write.open_table(META).unwrap();
        meta.insert("format", 1).unwrap();
        meta.insert("sequence", 17).unwrap();
    }
    write.commit().unwrap();
}

#[test]
fn the_store_of_the_first_release_is_taken_over() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        first_release(&folder.path().join("roster.redb"));
        for _ in 0..2 {
            let (store, decided) = open_folder(folder.path()).await.unwrap();
            assert!(moved_aside(folder.path()).is_empty(), "it is old, not damaged");
            assert_eq!(store.blocks("dns/0123456789abcdef", 0, 9).await.unwrap(), []);
            let known = store.providers().await.unwrap();
            assert!(known.iter().all(|provider| provider == "p"), "of before nothing is left: {known:?}");
            assert_eq!(ledger::content(&decided).await, Picture::default());
            store.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        }
        let (store, _) = open_folder(folder.path()).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), ["p"], "what came afterwards stays");
    });
}

const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

#[test]
fn an_older_store_migrates_by_each_missing_step_once() {
    fn make(write: &WriteTransaction) -> Result<(), Fault> {
        write.open_table(NUMBERS)?;
        Ok(())
    }
    fn add_ten(write: &WriteTransaction) -> Result<(), Fault> {
        write.open_table(NUMBERS)?.insert("a", 10)?;
        Ok(())
    }
    fn double(write: &WriteTransaction) -> Result<(), Fault> {
        let mut numbers = write.open_table(NUMBERS)?;
        let number = numbers.get("a")?.map_or(0, |number| number.value());
        numbers.insert("a", number * 2)?;
        Ok(())
    }
    const STEPS: [Step; 2] = [add_ten, double];
    let with = |steps| Format { file: "x.redb", make, steps, when_lost: "" };
    let folder = tempfile::tempdir().unwrap();
    let database = redb::Database::create(folder.path().join("x.redb")).unwrap();
    with(&STEPS[..0]).prepare(&database).unwrap();
    with(&STEPS[..1]).prepare(&database).unwrap();
    with(&STEPS).prepare(&database).unwrap();
    with(&STEPS).prepare(&database).unwrap();
    let numbers = database.begin_read().unwrap().open_table(NUMBERS).unwrap();
    assert_eq!(numbers.get("a").unwrap().unwrap().value(), 20);
    let newer = with(&STEPS[..1]).prepare(&database).expect_err("it was migrated further");
    assert!(matches!(newer, Fault::Newer { found: 3, supported: 2 }));
}

/// The store either has everything or is empty, with the damaged file moved aside.
async fn survives_damage(damage: Vec<(prop::sample::Index, u8)>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.redb");
    let (store, _) = open_folder(folder.path()).await.unwrap();
    store.apply(vec![put("p", (0..20).map(|id| block(id, &"text".repeat(100))).collect())]).await.unwrap();
    let whole = blocks::content(&store).await;
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    for (index, mask) in damage {
        let index = index.index(bytes.len());
        bytes[index] ^= mask;
    }
    fs::write(&path, bytes).unwrap();
    let (store, _) = open_folder(folder.path()).await.unwrap();
    let found = blocks::content(&store).await;
    let replaced = !moved_aside(folder.path()).is_empty();
    assert!(found == whole && !replaced || found.is_empty(), "{found:?}, replaced: {replaced}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_damage_costs_the_content_but_never_the_start(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..20)
    ) {
        block_on(survives_damage(damage));
    }
}
