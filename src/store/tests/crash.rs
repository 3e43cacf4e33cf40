//! A process that writes is killed again and again: what is left is the result of a whole number of transactions, and
//! nothing is missing that it was told to be there.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rosterd_testkit::leak_checked_live;

use crate::store::blocks::tests::{self as blocks, block, delete, put};
use crate::store::ledger::tests::{self as ledger, operation, transaction, worker};
use crate::store::ledger::{Member, OperationId, Revision, Transaction, Write};
use crate::store::{Blocks, BlocksChange, Ledger, MemoryBlocks, MemoryLedger, open_folder};

/// Tells the child where to write. It is set for the child alone.
const FOLDER: &str = "ROSTERD_TEST_STORE_FOLDER";

/// The changes of blocks with a number: the same in every process.
fn changes(number: u64) -> Vec<BlocksChange> {
    let text = number.to_string().repeat((number % 300) as usize);
    let provider = format!("dns/{}", number % 7);
    let blocks = (0..number % 40).map(|id| block(id, &text)).collect();
    let mut changes = vec![put(&provider, blocks), delete(&provider, &[number % 11, number % 13])];
    if number.is_multiple_of(29) {
        changes.push(BlocksChange::DeleteProvider(provider.into()));
    }
    changes.push(put("number", vec![block(0, &number.to_string())]));
    changes
}

/// The transaction of the ledger with a number.
fn decisions(number: u64) -> Transaction {
    transaction(vec![
        Write::PutOperation(operation(number, "w")),
        Write::DeleteOperation(OperationId(number.saturating_sub(6))),
        Write::PutWorker(worker("number", Some(number.into()))),
    ])
}

/// The number of the last changes that are in the blocks.
async fn last_changes(blocks: &impl Blocks) -> u64 {
    let found = blocks.blocks("number", 0, 1).await.unwrap();
    found.first().map_or(0, |block| String::from_utf8(block.bytes.to_vec()).unwrap().parse().unwrap())
}

/// The number of the last transaction that is in the ledger.
async fn last_decisions(ledger: &impl Ledger) -> u64 {
    let found = ledger.read(&Member::local()).await.unwrap().workers;
    let revision = found.first().and_then(|number| number.revision);
    revision.map_or(0, |Revision(number)| number.try_into().unwrap())
}

#[test]
#[ignore = "the process that the test below kills"]
#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn child_that_writes_until_it_is_killed() {
    leak_checked_live(|| async {
        let Some(folder) = std::env::var_os(FOLDER) else { return };
        let (blocks, ledger) = open_folder(Path::new(&folder)).await.unwrap();
        let (mut changed, mut decided) = (last_changes(&blocks).await, last_decisions(&ledger).await);
        loop {
            changed += 1;
            blocks.apply(changes(changed)).await.unwrap();
            writeln!(std::io::stderr(), "done {changed} {decided}").unwrap();
            decided += 1;
            ledger.apply(decisions(decided)).await.unwrap();
            writeln!(std::io::stderr(), "done {changed} {decided}").unwrap();
        }
    });
}

/// Lets a child write `lines` times and kills it. Returns the numbers of the last writes that it told of.
fn write_and_kill(folder: PathBuf, lines: usize) -> (u64, u64) {
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
        let (changed, decided) = line.strip_prefix("done ").and_then(|it| it.split_once(' ')).expect(&line);
        told.push((changed.parse().unwrap(), decided.parse().unwrap()));
        if told.len() == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    *told.last().expect("it wrote something")
}

#[test]
fn a_killed_writer_leaves_consistent_stores() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (memory_blocks, memory_ledger) = (MemoryBlocks::new(), MemoryLedger::new());
        let (mut changed, mut decided) = (0, 0);
        for lines in [1, 40, 2, 97, 13, 5, 64] {
            let at = folder.path().to_path_buf();
            let told = rosterd_tasks::blocking(move || write_and_kill(at, lines)).await;
            let (found_blocks, found_ledger) = open_folder(folder.path()).await.unwrap();
            let found = (last_changes(&found_blocks).await, last_decisions(&found_ledger).await);
            assert!(found.0 >= told.0 && found.1 >= told.1, "{told:?} were durable, the stores end with {found:?}");
            for number in changed + 1..=found.0 {
                memory_blocks.apply(changes(number)).await.unwrap();
            }
            for number in decided + 1..=found.1 {
                memory_ledger.apply(decisions(number)).await.unwrap();
            }
            (changed, decided) = found;
            assert_eq!(blocks::content(&found_blocks).await, blocks::content(&memory_blocks).await, "{found:?}");
            assert_eq!(ledger::content(&found_ledger).await, ledger::content(&memory_ledger).await, "{found:?}");
        }
    });
}
