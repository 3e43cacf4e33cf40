//! Logs that are closed, killed, cut and damaged.

mod crash;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::segment::{START, Segment};
use super::store::OpenedLog;
use super::*;
use crate::Counts;
use crate::wire::{Compression, Head, Message};

const SETTINGS: Settings = Settings { segment_bytes: 1000 };

fn record(seq: u64, size: usize) -> Record {
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

fn open(folder: &Path) -> (Log, OpenedLog) {
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
fn a_position_that_somebody_removes_is_written_anew_and_nothing_is_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (position, lock) = (folder.path().join("position"), folder.path().join("lock"));
    let mut log = filled(folder.path(), 10);
    assert_eq!(log.look_after().unwrap(), Kept::Whole);
    log.acknowledge(5, [7, 8].into_iter()).unwrap();
    for removed in [&[&position][..], &[&position, &lock]] {
        removed.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        let Kept::Restored(fault) = log.look_after().unwrap() else { panic!("it is not there") };
        assert_eq!((&fault.path, fault.lost, fault.batches), (&position, Counts::default(), 0));
        assert_eq!((log.look_after().unwrap(), is_free(folder.path())), (Kept::Whole, false));
    }
    // Another one has taken its place.
    std::fs::remove_file(&position).unwrap();
    std::fs::write(&position, "").unwrap();
    log.acknowledge(6, std::iter::empty()).unwrap();
    assert!(matches!(log.look_after().unwrap(), Kept::Restored(_)));
    drop(log);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.records, found.faults.as_slice(), seqs(&mut log, 0).0), (3, &[][..], vec![6, 9, 10]));
    for path in segments(folder.path()) {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(log.look_after().unwrap(), Kept::Whole, "what is missing is told when it is read");
    std::fs::remove_file(&position).unwrap();
    assert_eq!(log.look_after().unwrap(), Kept::Gone);
}

#[test]
fn what_follows_a_segment_that_somebody_removes_goes_to_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 2);
    std::fs::remove_file(segments(folder.path()).pop().unwrap()).unwrap();
    assert_eq!(log.look_after().unwrap(), Kept::Whole);
    log.append(&record(3, 200)).unwrap();
    let (found, faults) = seqs(&mut log, 0);
    assert_eq!((found, lost(&faults), faults.len()), (vec![3], 2, 1));
    drop(log);
    assert_eq!(open(folder.path()).1.records, 1);
}

#[test]
fn a_position_that_is_missing_is_told_once_and_all_that_is_there_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).1.faults, [], "nothing was there");
    std::fs::remove_file(folder.path().join("position")).unwrap();
    let mut log = filled(folder.path(), 3);
    log.acknowledge(3, std::iter::empty()).unwrap();
    drop(log);
    std::fs::remove_file(folder.path().join("position")).unwrap();
    assert!(!is_spent(folder.path()) && is_usable(folder.path()));
    let (mut log, found) = open(folder.path());
    assert_eq!(found.faults.iter().map(|fault| &fault.path).collect::<Vec<_>>(), [&folder.path().join("position")]);
    assert_eq!((found.records, lost(&found.faults), seqs(&mut log, 0).0), (3, 0, vec![1, 2, 3]));
    drop(log);
    assert_eq!(open(folder.path()).1.faults, []);
}

#[test]
fn a_position_that_somebody_emptied_is_told_as_one_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing was acknowledged yet.
    drop(filled(folder.path(), 3));
    assert_eq!(open(folder.path()).1.faults, []);
    std::fs::write(folder.path().join("position"), "").unwrap();
    let (log, found) = open(folder.path());
    assert_eq!((found.records, found.faults.len()), (3, 1));
    drop(log);
    assert_eq!(open(folder.path()).1.faults, []);
}

#[test]
fn a_position_of_which_a_part_is_damaged_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    (2..5).for_each(|base| log.acknowledge(base, std::iter::empty()).unwrap());
    drop(log);
    let path = folder.path().join("position");
    let whole = std::fs::read(&path).unwrap();
    let half = whole.len() / 2;
    for (from, to, kept) in [(0, half, whole.len()), (half, whole.len(), whole.len()), (0, 0, half + 9)] {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0x5a);
        bytes.truncate(kept);
        std::fs::write(&path, bytes).unwrap();
        let (mut log, found) = open(folder.path());
        let [fault] = &found.faults[..] else { panic!("{:?}", found.faults) };
        assert_eq!((&fault.path, fault.lost), (&path, Counts::default()));
        let first = seqs(&mut log, 0).0[0];
        assert!(first == 3 || first == 4, "at most the last is sent again: {first}");
    }
}

#[test]
fn what_is_no_file_is_moved_aside_and_the_rest_is_used() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 9));
    let paths = segments(folder.path());
    for path in [&paths[1], &folder.path().join("position")] {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    }
    assert!(is_usable(folder.path()));
    let (mut log, found) = open(folder.path());
    let told: Vec<_> = found.faults.iter().map(|fault| (fault.what, fault.batches)).collect();
    let (no_file, missing) =
        ("it is no file, moved aside", "it is missing or empty: all that is there is sent, also what was sent before");
    assert_eq!(told, [(no_file, 0), (no_file, 3), (missing, 0)]);
    assert_eq!(seqs(&mut log, 0).0, [1, 2, 3, 7, 8, 9]);
    drop(log);
    assert_eq!(open(folder.path()).1.faults, []);
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

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
}

fn lost(faults: &[Fault]) -> u32 {
    faults.iter().map(|fault| fault.lost.samples).sum()
}

#[test]
fn a_record_that_was_being_written_when_the_process_was_killed_is_no_damage() {
    // Without its totals, and a byte, or all but the header.
    for missing in [1, 200] {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 8));
        let last = segments(folder.path()).pop().unwrap();
        cut(&last, last.metadata().unwrap().len() - 72 - missing);
        let (mut log, found) = open(folder.path());
        assert_eq!((found.next_seq, found.left.samples, found.faults), (8, 7, Vec::new()));
        assert_eq!(seqs(&mut log, 0), ((1..=7).collect(), Vec::new()));
        log.append(&record(8, 10)).unwrap();
        drop(log);
        let (mut log, found) = open(folder.path());
        assert_eq!(found.faults, Vec::new(), "nor is it once another segment follows");
        assert_eq!(seqs(&mut log, 0), ((1..=8).collect(), Vec::new()));
    }
    // The first of a segment.
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 7));
    let last = segments(folder.path()).pop().unwrap();
    cut(&last, START + 100);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.next_seq, found.faults, last.exists()), (7, Vec::new(), false));
    assert_eq!(seqs(&mut log, 0), ((1..=6).collect(), Vec::new()));
}

#[test]
fn a_segment_before_others_whose_end_is_cut_off_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 8));
    let first = &segments(folder.path())[0];
    // Without its totals, and a byte.
    cut(first, first.metadata().unwrap().len() - 73);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.next_seq, found.left.samples), (9, 8));
    let (found, faults) = seqs(&mut log, 0);
    assert_eq!((found, lost(&faults), faults.len()), (vec![1, 2, 4, 5, 6, 7, 8], 1, 1));
    assert_eq!(faults[0].bytes, 263);
    log.acknowledge(9, std::iter::empty()).unwrap();
    drop(log);
    assert_eq!(open(folder.path()).1.faults, Vec::new(), "it is told once");
}

#[test]
fn any_damaged_byte_costs_one_record_at_most_which_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 9));
    let paths = segments(folder.path());
    // A complete segment in the middle, and the last one, which a killed process has left.
    for path in &paths[1..] {
        let whole = std::fs::read(path).unwrap();
        for at in 0..whole.len() {
            flip(path, at);
            let (mut log, _) = open(folder.path());
            let (found, faults) = seqs(&mut log, 0);
            let in_body = at >= 16 && (at - 16) / 264 < 3 && (at - 16) % 264 >= 64;
            assert_eq!((found.len(), lost(&faults)), if in_body { (8, 1) } else { (9, 0) }, "byte {at} of {path:?}");
            drop(log);
            std::fs::write(path, &whole).unwrap();
        }
    }
}

#[test]
fn what_is_behind_damage_is_read_and_what_is_missing_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    log.acknowledge(2, std::iter::empty()).unwrap();
    // As after a kill.
    drop(log);
    let blot = |path: &Path, from: usize, to: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[from..to].fill(0);
        std::fs::write(path, bytes).unwrap();
    };
    let paths = segments(folder.path());
    // Record 1, which is acknowledged; 4 and 5; 9, which is the last of all.
    blot(&paths[0], 0, 100);
    blot(&paths[1], 50, 16 + 264 + 30);
    blot(&paths[2], 16 + 2 * 264, 16 + 2 * 264 + 100);
    let (mut log, found) = open(folder.path());
    assert_eq!((found.next_seq, found.left.samples), (10, 8));
    let (found, faults) = seqs(&mut log, 0);
    assert_eq!(found, [2, 3, 6, 7, 8]);
    assert_eq!(faults.iter().map(|fault| (fault.batches, fault.lost.samples)).collect::<Vec<_>>(), [(2, 2), (1, 1)]);
    assert_eq!(log.drop_oldest(1).unwrap().map(|(last, _)| last), Some(3));
    assert_eq!(log.drop_oldest(4).unwrap().map(|(last, lost)| (last, lost.samples)), Some((6, 3)));
}

#[test]
fn a_hole_in_a_segment_counts_what_was_in_it() {
    // Bytes that are taken out of the middle of records, or put in, so that the totals stand elsewhere; and without totals.
    for (index, from, to, put, totals, lost_seqs, samples) in [
        (1, 100, 300, 0, true, vec![4, 5], 2),
        (1, 300, 300, 1, true, vec![5], 1),
        (2, 290, 310, 0, true, vec![8], 1),
        // The head of 4 is still there.
        (1, 100, 300, 0, false, vec![4, 5], 1),
        (1, 300, 300, 7, false, vec![5], 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = filled(folder.path(), 9);
        log.acknowledge(2, [6].into_iter()).unwrap();
        drop(log);
        let path = &segments(folder.path())[index];
        let mut bytes = std::fs::read(path).unwrap();
        if !totals {
            bytes.truncate(bytes.len() - 72);
        }
        bytes.splice(from..to, vec![0x5a; put]);
        std::fs::write(path, bytes).unwrap();
        let (mut log, _) = open(folder.path());
        let (found, faults) = seqs(&mut log, 0);
        let left = (2..=9).filter(|seq| *seq != 6 && !lost_seqs.contains(seq));
        assert_eq!(found, left.collect::<Vec<_>>(), "{from}..{to}+{put}");
        let batches: u64 = faults.iter().map(|fault| fault.batches).sum();
        assert_eq!((batches, lost(&faults)), (lost_seqs.len() as u64, samples), "{from}..{to}+{put} {totals}");
    }
}

#[test]
fn what_the_disk_fails_to_read_is_tried_again_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 9));
    let path = &segments(folder.path())[1];
    let good = path.with_extension("good");
    let (mut log, _) = open(folder.path());
    // Reading the memory of a process where it has none fails as a broken disk does.
    let broken = || {
        std::fs::rename(path, &good).unwrap();
        symlink("/proc/self/mem", path).unwrap();
    };
    let mended = || std::fs::rename(&good, path).unwrap();
    broken();
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    let mut read = |log: &mut Log, from| log.read(from, usize::MAX, &mut out, &mut faults);
    assert_eq!(read(&mut log, 0).unwrap(), 4, "what is before it");
    for _ in 0..5 {
        assert_eq!(read(&mut log, 4).unwrap_err().raw_os_error(), Some(5));
    }
    mended();
    log.reader = None;
    assert_eq!(read(&mut log, 4).unwrap(), u64::MAX);
    assert_eq!((out.len(), faults.len()), (9, 0));
    broken();
    let read = |log: &mut Log| log.read(4, usize::MAX, &mut Vec::new(), &mut Vec::new());
    (1..super::reader::TRIES).for_each(|_| assert!(read(&mut log).is_err()));
    let (found, faults) = seqs(&mut log, 4);
    assert_eq!((found, lost(&faults)), (vec![7, 8, 9], 3));
    mended();
    assert_eq!(seqs(&mut log, 0).0, (1..=9).collect::<Vec<_>>(), "nothing was moved or deleted");
}

#[test]
fn a_segment_that_somebody_deletes_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    std::fs::remove_file(&segments(folder.path())[1]).unwrap();
    let (found, faults) = seqs(&mut log, 0);
    assert_eq!((found, lost(&faults)), (vec![1, 2, 3, 7, 8, 9], 3));
}

#[test]
fn a_segment_of_which_nothing_is_left_is_told() {
    for length in [0, 10, START] {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 9));
        cut(&segments(folder.path())[0], length);
        let (mut log, found) = open(folder.path());
        let [fault] = &found.faults[..] else { panic!("{length}: {:?}", found.faults) };
        let told = (fault.what, fault.batches, fault.bytes);
        assert_eq!(told, ("nothing is left of it, its records are gone", 3, length));
        assert_eq!(seqs(&mut log, 0).0, [4, 5, 6, 7, 8, 9]);
    }
    // Where all of it was sent, nothing is missing.
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    let kept = std::fs::read(&segments(folder.path())[0]).unwrap();
    let path = segments(folder.path())[0].clone();
    log.acknowledge(4, std::iter::empty()).unwrap();
    drop(log);
    std::fs::write(&path, &kept[..10]).unwrap();
    assert!(open(folder.path()).1.faults.is_empty());
    // The last one may be at its beginning.
    for (length, faults) in [(0, 0), (10, 1), (START, 0)] {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 3));
        cut(&segments(folder.path())[0], length);
        assert_eq!(open(folder.path()).1.faults.len(), faults, "{length}");
    }
}

#[test]
fn what_is_not_understood_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    log.acknowledge(2, std::iter::empty()).unwrap();
    drop(log);
    let paths = segments(folder.path());
    // Its records are others.
    let newer = b"rqueue\x02\x00 and whatever a later version writes".repeat(9);
    std::fs::write(&paths[0], &newer).unwrap();
    std::fs::write(&paths[1], "no segment, but long enough").unwrap();
    std::fs::write(&paths[2], "").unwrap();
    std::fs::write(folder.path().join("position"), b"rpos\x02\x00 and so on".repeat(99)).unwrap();

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
fn what_is_left_of_a_damaged_position_says_nothing_of_records_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 9);
    [2, 10, 10].into_iter().for_each(|base| log.acknowledge(base, std::iter::empty()).unwrap());
    log.close().unwrap();
    let path = folder.path().join("position");
    // One byte of the older, two of the newer: neither can be put right as long as nothing else is there.
    [100, 600, 700].into_iter().for_each(|at| flip(&path, at));
    let (mut log, found) = open(folder.path());
    assert_eq!((found.next_seq, found.faults.len()), (1, 1));
    (1..=2).for_each(|seq| log.append(&record(seq, 10)).unwrap());
    log.acknowledge(2, std::iter::empty()).unwrap();
    drop(log);
    let (mut log, found) = open(folder.path());
    assert_eq!((seqs(&mut log, 0), found.faults), ((vec![2], Vec::new()), Vec::new()));
}

#[test]
fn any_damaged_byte_of_the_position_changes_nothing() {
    for times in 1..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut log = filled(folder.path(), 9);
        (0..times).for_each(|time| log.acknowledge(time + 2, [6].into_iter()).unwrap());
        let expected = seqs(&mut log, 0).0;
        drop(log);
        let path = folder.path().join("position");
        let whole = std::fs::read(&path).unwrap();
        // Not each one of the many bits.
        for at in (0..whole.len()).filter(|at| at % 548 < 32 || at % 37 == 0 || at % 548 > 540) {
            flip(&path, at);
            let (mut log, found) = open(folder.path());
            assert_eq!((seqs(&mut log, 0).0, found.faults), (expected.clone(), Vec::new()), "byte {at} of {times}");
            std::fs::write(&path, &whole).unwrap();
        }
    }
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
    assert!(found.faults.is_empty());
}

#[test]
fn others_may_read_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path(), 10);
    log.acknowledge(2, std::iter::empty()).unwrap();
    let entries: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert!(entries.len() > 3, "segments, the lock and the position");
    for entry in entries {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
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
                    let (whole, faults) = seqs(&mut log, 0);
                    // What was being written at the end is not missed, although a part of it is there.
                    prop_assert!(expected.starts_with(&whole) && faults.is_empty());
                    prop_assert_eq!(found.records, whole.len() as u64);
                    (expected, next) = (whole, found.next_seq);
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
