//! Logs that are closed, killed, cut and damaged.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::segment::Segment;
use super::store::Found;
use super::*;
use crate::Counts;
use crate::wire::{Compression, Head, Message};

const SETTINGS: Settings = Settings { segment_bytes: 1000 };

pub(super) fn record(seq: u64, size: usize) -> Record {
    Record {
        seq,
        epoch: (seq / 7) as u32,
        lane: (seq % 5) as u16,
        message: if seq.is_multiple_of(2) { Message::V1 } else { Message::V2 },
        compression: if seq.is_multiple_of(3) { Compression::Zstd } else { Compression::Snappy },
        head: Head {
            counts: Counts { series: 1, samples: 1, histograms: 2, exemplars: 3 },
            oldest_ms: -(seq as i64),
            newest_ms: seq as i64,
        },
        raw_len: size as u32 * 2,
        body: vec![seq as u8; size].into(),
    }
}

fn open(folder: &Path) -> (Log, Found) {
    Log::open(folder, SETTINGS).unwrap()
}

/// The numbers of all records from one on, which are checked to be whole.
fn seqs(log: &mut Log, from: u64) -> (Vec<u64>, Vec<Fault>) {
    let (mut out, mut faults, mut next) = (Vec::new(), Vec::new(), from);
    while next != u64::MAX {
        next = log.read(next, 300, &mut out, &mut faults).unwrap();
    }
    for found in &out {
        assert_eq!(*found, record(found.seq, found.body.len()));
    }
    (out.iter().map(|record| record.seq).collect(), faults)
}

fn filled(folder: &Path, records: u64) -> Log {
    let (mut log, _) = open(folder);
    (1..=records).for_each(|seq| log.append(&record(seq, 200)).unwrap());
    log
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| Segment::is_name(path));
    paths.sort();
    paths
}

fn cut(path: &Path, length: u64) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[test]
fn what_is_acknowledged_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 10);
    assert_eq!(seqs(&mut log, 0).0, (1..=10).collect::<Vec<_>>());
    log.acknowledge(5, [7, 8].into_iter()).unwrap();
    drop(log);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.next_seq, found.epoch, found.records, found.left.samples), (11, 1, 4, 4));
    assert!(found.faults.is_empty());
    assert_eq!(seqs(&mut log, 0).0, [5, 6, 9, 10]);
    log.acknowledge(6, std::iter::empty()).unwrap();
    assert_eq!(seqs(&mut log, 0).0, [6, 9, 10]);
    log.append(&record(11, 10)).unwrap();
    log.acknowledge(11, std::iter::empty()).unwrap();
    assert_eq!(seqs(&mut log, 3).0, [11]);
    assert_eq!(segments(folder.path()).len(), 1);
    log.acknowledge(12, std::iter::empty()).unwrap();
    log.close().unwrap();
    assert!(segments(folder.path()).is_empty());
    assert_eq!(open(folder.path()).1.next_seq, 12);
}

#[test]
fn the_oldest_segment_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 10);
    let bytes = log.bytes();
    log.acknowledge(2, std::iter::empty()).unwrap();
    // Three records a segment, of which one is acknowledged and one was read.
    let (last, lost) = log.drop_oldest(3).unwrap().unwrap();
    assert_eq!((last, lost.samples), (3, 1));
    assert!(log.bytes() < bytes);
    assert_eq!(seqs(&mut log, 0).0, (4..=10).collect::<Vec<_>>());
    assert_eq!(log.oldest(), Some((-6, 6)));
}

#[test]
fn a_damaged_end_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 8));
    let last = segments(folder.path()).pop().unwrap();
    cut(&last, last.metadata().unwrap().len() - 1);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.next_seq, found.faults.len()), (8, 1));
    assert_eq!(seqs(&mut log, 0).0, (1..=7).collect::<Vec<_>>());
    drop(log);
    assert!(open(folder.path()).1.faults.is_empty());
}

#[test]
fn a_damaged_record_does_not_hide_those_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 12));
    let paths = segments(folder.path());
    let flip = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    // The body of record 1; the header of record 5.
    flip(&paths[0], 16 + 64 + 50);
    flip(&paths[1], 16 + 264 + 10);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.faults.len(), found.records), (0, 12));
    let (found, faults) = seqs(&mut log, 0);
    assert_eq!(found, [2, 3, 4, 7, 8, 9, 10, 11, 12]);
    let lost: Vec<_> = faults.iter().map(|fault| fault.lost.samples).collect();
    assert_eq!(lost, [1, 2]);
}

#[test]
fn what_is_not_understood_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    log.acknowledge(2, std::iter::empty()).unwrap();
    drop(log);
    let paths = segments(folder.path());
    let mut newer = std::fs::read(&paths[0]).unwrap();
    newer[6] = 2;
    std::fs::write(&paths[0], &newer).unwrap();
    std::fs::write(&paths[1], "no segment, but long enough").unwrap();
    std::fs::write(&paths[2], "").unwrap();
    let mut position = std::fs::read(folder.path().join("position")).unwrap();
    let half = position.len() / 2;
    position[half + 4] = 9;
    std::fs::write(folder.path().join("position"), position).unwrap();

    let (mut log, found) = open(folder.path());
    let whats: Vec<_> = found.faults.iter().map(|fault| fault.what).collect();
    let newer_version = "written by a newer version, moved aside";
    assert_eq!(whats, [newer_version, newer_version, "nothing in it can be read, moved aside"]);
    assert!(seqs(&mut log, 0).0.is_empty() && segments(folder.path()).is_empty());
    let aside = |suffix: &str| std::fs::read(format!("{}.{suffix}", paths[0].display()));
    assert_eq!(aside("newer").unwrap(), newer);
}

#[test]
fn a_damaged_position_sends_again_rather_than_losing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 3);
    log.acknowledge(3, std::iter::empty()).unwrap();
    drop(log);
    std::fs::write(folder.path().join("position"), "x").unwrap();
    let (mut log, found) = open(folder.path());
    assert_eq!(found.faults.len(), 1);
    assert_eq!(seqs(&mut log, 0).0, [1, 2, 3]);
}

#[test]
fn segments_without_totals_are_read() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 9));
    let whole = open(folder.path()).1;
    for path in &segments(folder.path())[..2] {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let found = open(folder.path()).1;
    assert_eq!((found.records, found.left, found.epoch), (whole.records, whole.left, whole.epoch));
    assert_eq!(found.faults.len(), 2);
}

#[test]
fn one_process_has_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path(), 1);
    assert!(matches!(Log::open(folder.path(), SETTINGS), Err(LogError::InUse { .. })));
    assert!(!is_free(folder.path()));
    drop(log);
    assert!(is_free(folder.path()));
}

#[test]
fn a_full_disk_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 3);
    symlink("/dev/full", Segment::path_in(folder.path(), 4)).unwrap();
    let error = log.append(&record(4, 900)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(seqs(&mut log, 0).0, [1, 2, 3]);
    log.append(&record(4, 900)).unwrap();
    assert_eq!(seqs(&mut log, 0).0, [1, 2, 3, 4]);
}

/// What happens to a log.
#[derive(Debug, Clone)]
enum Event {
    Append(usize),
    /// All but so many, and one of the others.
    Acknowledge(usize, usize),
    Reopen,
    /// The process is killed while it writes: so many bytes of the last segment are missing.
    Cut(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..600usize).prop_map(Event::Append),
        2 => (0..8usize, 0..8usize).prop_map(|(left, other)| Event::Acknowledge(left, other)),
        1 => Just(Event::Reopen),
        1 => (1..700u64).prop_map(Event::Cut),
    ];
    prop::collection::vec(event, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_happens_whole_records_are_found_in_order(events in events()) {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = open(folder.path());
        let (mut expected, mut next) = (Vec::<u64>::new(), 1);
        for event in events {
            match event {
                Event::Append(size) => {
                    log.append(&record(next, size)).unwrap();
                    expected.push(next);
                    next += 1;
                }
                Event::Acknowledge(left, other) => {
                    expected.drain(..expected.len().saturating_sub(left));
                    let base = expected.first().copied().unwrap_or(next);
                    let other = (other > 0 && other < expected.len()).then(|| expected.remove(other));
                    log.acknowledge(base, other.into_iter()).unwrap();
                }
                Event::Reopen => {
                    drop(log);
                    log = open(folder.path()).0;
                }
                Event::Cut(bytes) => {
                    drop(log);
                    if let Some(last) = segments(folder.path()).last() {
                        cut(last, last.metadata().unwrap().len().saturating_sub(bytes));
                    }
                    let found;
                    (log, found) = open(folder.path());
                    let lost = expected.len() - found.records as usize;
                    expected.truncate(expected.len() - lost);
                    next = found.next_seq;
                }
            }
            let (found, faults) = seqs(&mut log, 0);
            prop_assert_eq!(&found, &expected);
            prop_assert!(faults.is_empty());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 3));
        let path = segments(folder.path()).remove(0);
        let mut damaged = std::fs::read(&path).unwrap();
        let at = flip.index(damaged.len());
        let end = (at + bytes.len()).min(damaged.len());
        damaged[at..end].copy_from_slice(&bytes[..end - at]);
        std::fs::write(&path, damaged).unwrap();
        std::fs::write(folder.path().join("position"), &bytes).unwrap();
        let (mut log, _) = open(folder.path());
        seqs(&mut log, 0);
    }
}
