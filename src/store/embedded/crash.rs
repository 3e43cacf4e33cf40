//! A process that writes is killed again and again: the store that is left is the result of a whole number of
//! transactions, and nothing durable is missing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rosterd_testkit::leak_checked_live;

use super::tables;
use super::tests::{Opened, content};
use crate::store::suite::{block, delete, pending, put, worker};
use crate::store::{MemoryStore, Operation, OperationId, Store, Transaction};

/// Tells the child where to write. It is set for the child alone.
const FOLDER: &str = "ROSTERD_TEST_STORE_FOLDER";

/// The transaction with a number: the same in every process. Each third one is durable.
fn numbered(number: u64) -> Transaction {
    let text = number.to_string().repeat((number % 300) as usize);
    let provider = format!("dns/{}", number % 7);
    let blocks = (0..number % 40).map(|id| block(id, &text)).collect();
    let mut operations = vec![put(&provider, blocks), delete(&provider, &[number % 11, number % 13])];
    if number.is_multiple_of(29) {
        operations.push(Operation::DeleteProvider(provider.into()));
    }
    if number.is_multiple_of(3) {
        operations.push(Operation::PutPending(pending(number, "w")));
        operations.push(Operation::DeletePending(OperationId(number.saturating_sub(6))));
        operations.push(Operation::PutWorker(worker("w", Some(number.into()))));
    }
    Transaction { preconditions: Vec::new(), operations }
}

fn sequence(store: &Opened) -> u64 {
    let database = store.0.database.read().unwrap();
    tables::sequence(database.as_ref().unwrap()).unwrap()
}

#[test]
#[ignore = "the process that the test below kills"]
fn child_that_writes_until_it_is_killed() {
    leak_checked_live(|| async {
        let Some(folder) = std::env::var_os(FOLDER) else { return };
        let store = Opened::at(Path::new(&folder)).await.unwrap();
        for number in sequence(&store) + 1.. {
            store.apply(numbered(number)).await.unwrap();
            writeln!(std::io::stderr(), "done {number}").unwrap();
        }
    });
}

/// Lets a child write `lines` transactions and kills it. Returns the number of the last that it told of.
fn write_and_kill(folder: &Path, lines: usize) -> u64 {
    let name = concat!(module_path!(), "::child_that_writes_until_it_is_killed");
    let name = name.split_once("::").expect("a test has a path in its crate").1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stderr.take().unwrap());
    let mut told = Vec::new();
    for line in output.lines() {
        let line = line.unwrap();
        told.push(line.strip_prefix("done ").unwrap_or_else(|| panic!("{line}")).parse().unwrap());
        if told.len() == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    *told.last().expect("it wrote something")
}

#[test]
fn a_killed_writer_leaves_a_consistent_store() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        let mut applied = 0;
        for lines in [1, 40, 2, 97, 13, 5, 64] {
            let at = folder.path().to_path_buf();
            let told = tokio::task::spawn_blocking(move || write_and_kill(&at, lines)).await.unwrap();
            let store = Opened::at(folder.path()).await.unwrap();
            let found = sequence(&store);
            let durable = told - told % 3;
            assert!(found >= durable, "transaction {durable} was durable, the store ends with {found}");
            for number in applied + 1..=found {
                memory.apply(numbered(number)).await.unwrap();
            }
            applied = found;
            assert_eq!(content(&*store).await, content(&memory).await, "after {found} transactions");
            store.close().await;
        }
    });
}
