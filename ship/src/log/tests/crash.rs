//! A process that writes and acknowledges is killed again and again: no record that it told of is missing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::{Log, Settings};
use super::record;

/// Tells the child where to write. It is set for the child alone.
const FOLDER: &str = "ROSTERD_TEST_QUEUE_FOLDER";
const SETTINGS: Settings = Settings { segment_bytes: 20_000 };
/// So many records are left when others are acknowledged.
const LEFT: u64 = 20;

/// In one write, which cannot be torn.
fn tell(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
#[ignore = "the process that the test below kills"]
#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (mut log, found) = Log::open(Path::new(&folder), SETTINGS).unwrap();
    for seq in found.next_seq.. {
        log.append(&record(seq, (seq * 37 % 3000) as usize)).unwrap();
        tell(&format!("wrote {seq}\n"));
        if seq.is_multiple_of(7) && seq > LEFT {
            log.acknowledge(seq - LEFT, [seq - 2].into_iter()).unwrap();
            tell(&format!("sent {}\n", seq - LEFT));
        }
    }
}

/// Lets a child write until it has told so many lines, and kills it. Returns the last that was written, and up to where it
/// said that all was sent.
fn write_and_kill(folder: &Path, lines: usize) -> (u64, u64) {
    let name = concat!(module_path!(), "::child_that_writes_until_it_is_killed");
    let name = name.split_once("::").expect("a test has a path in its crate").1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut wrote, mut sent, mut told) = (0, 0, 0);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("wrote", seq)) => wrote = seq.parse().unwrap(),
            Some(("sent", seq)) => sent = seq.parse().unwrap(),
            _ => panic!("{line}"),
        }
        told += 1;
        if told == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    (wrote, sent)
}

#[test]
fn a_killed_writer_loses_nothing_that_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    // The number of the first record.
    let mut sent_before = 1;
    for lines in [1, 90, 3, 200, 40, 7, 333] {
        let (wrote, sent) = write_and_kill(folder.path(), lines);
        let sent = sent.max(sent_before);
        let (mut log, found) = Log::open(folder.path(), SETTINGS).unwrap();
        assert!(found.next_seq > wrote, "record {wrote} was written, the log ends before {}", found.next_seq);
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        log.read(0, usize::MAX, &mut records, &mut faults).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        // What was acknowledged in the moment of the end may be there or not. That may have been more than one step further: a
        // process that is killed between writing and acknowledging leaves the acknowledging to the next one.
        let first = records.first().unwrap().seq;
        let is_a_step = (first + LEFT).is_multiple_of(7) && first + LEFT < found.next_seq;
        assert!(first == sent || first > sent && is_a_step, "all below {sent} is sent, the first is {first}");
        sent_before = first;
        let seqs = records.iter().map(|record| record.seq);
        let missing: Vec<_> = (first..found.next_seq).filter(|seq| !seqs.clone().any(|other| other == *seq)).collect();
        assert!(missing.iter().all(|seq| (seq + 2) % 7 == 0), "{missing:?}");
        assert!(records.iter().all(|found| *found == record(found.seq, found.body.len())));
    }
}
