//! Whatever happens to a log: what is read was written, and what nobody damaged is read.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::segment::Segment;
use super::{Log, Record, Settings};
use crate::Counts;
use crate::wire::{Compression, Head, Message};

const SETTINGS: Settings = Settings { segment_bytes: 600 };
/// A log of more records takes long and shows no more.
const MOST: usize = 200;

/// A log, and what was written to it.
struct Story<'a> {
    folder: &'a Path,
    log: Option<Log>,
    /// The bodies that records of each number had: one that is lost leaves its number to another.
    written: BTreeMap<u64, Vec<Vec<u8>>>,
    /// What has to be read, as long as nothing was damaged.
    expected: BTreeMap<u64, Vec<u8>>,
    next: u64,
    damaged: bool,
}

/// Plays what the bytes say in an empty folder. Each event is a byte that says which, and up to three that say how.
pub fn queue(folder: &Path, mut script: &[u8]) {
    let mut story =
        Story { folder, log: None, written: BTreeMap::new(), expected: BTreeMap::new(), next: 1, damaged: false };
    for _ in 0..MOST {
        let Some((event, rest)) = script.split_first() else { break };
        let (how, rest) = rest.split_at(rest.len().min(3));
        let [a, b, c] = std::array::from_fn(|at| how.get(at).copied().unwrap_or_default());
        script = rest;
        match event % 8 {
            0..=3 => story.append(usize::from(a), b),
            4 => story.acknowledge(usize::from(a % 16), usize::from(b % 16)),
            5 => story.log = None,
            _ => story.damage(a, usize::from(b), c).expect("files of a folder can be written"),
        }
        if event % 16 >= 8 {
            story.check();
        }
    }
    story.check();
    // Whatever was there, it goes on.
    story.append(1, 1);
    story.check();
}

impl Story<'_> {
    fn open(&mut self) -> &mut Log {
        let Self { folder, log, next, .. } = self;
        log.get_or_insert_with(|| {
            let (log, found) = Log::open(folder, SETTINGS).expect("damage is no error");
            *next = found.next_seq.max(1);
            log
        })
    }

    fn append(&mut self, size: usize, fill: u8) {
        self.open();
        let (seq, body) = (self.next, vec![fill; size]);
        let record = Record {
            seq,
            epoch: 1,
            lane: 0,
            message: Message::V1,
            compression: Compression::Snappy,
            head: Head { counts: Counts { series: 1, samples: 1, ..Counts::default() }, oldest_ms: 0, newest_ms: 1 },
            raw_len: size as u32,
            body: body.clone().into(),
        };
        self.open().append(&record).expect("there is room");
        self.written.entry(seq).or_default().push(body.clone());
        self.expected.insert(seq, body);
        self.next += 1;
    }

    /// All but so many, and one of those. What damage took away has no number any more: another record will have it.
    fn acknowledge(&mut self, left: usize, other: usize) {
        self.open();
        let known: Vec<_> = self.expected.range(..self.next).map(|(seq, _)| *seq).collect();
        let base = known.iter().rev().nth(left).map_or(0, |seq| seq + 1);
        let other = known.iter().copied().filter(|seq| *seq >= base).nth(other);
        self.expected.retain(|seq, _| *seq >= base && Some(*seq) != other);
        self.open().acknowledge(base, other.into_iter()).expect("the position can be written");
    }

    /// Changes one of the files, at a place that is a part of its length.
    fn damage(&mut self, how: u8, place: usize, byte: u8) -> io::Result<()> {
        self.log = None;
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(self.folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        paths.retain(|path| Segment::is_name(path) || path.ends_with("position"));
        paths.sort();
        let Some(path) = paths.get(usize::from(how / 8) % paths.len().max(1)) else { return Ok(()) };
        let mut bytes = std::fs::read(path)?;
        let at = bytes.len() * place / 256;
        match how % 8 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 => drop(bytes.drain(at..bytes.len().min(at + usize::from(byte)))),
            3 => bytes.extend(std::iter::repeat_n(byte, place)),
            4 => bytes.extend_from_within(at..),
            5 => return std::fs::remove_file(path).map(|()| self.damaged = true),
            _ => bytes.iter_mut().skip(at).take(1 + usize::from(how % 2) * 40).for_each(|it| *it ^= byte),
        }
        self.damaged = true;
        std::fs::write(path, bytes)
    }

    fn check(&mut self) {
        let (mut found, mut faults, mut next) = (Vec::new(), Vec::new(), 0);
        let log = self.open();
        while next != u64::MAX {
            let before = next;
            next = log.read(next, 500, &mut found, &mut faults).expect("the disk can be read");
            assert!(next > before, "it does not come to an end");
        }
        assert!(found.is_sorted_by(|one, other| one.seq < other.seq));
        for record in &found {
            let bodies = self.written.get(&record.seq);
            assert!(bodies.is_some_and(|bodies| bodies.contains(&record.body.to_vec())), "{record:?} was not written");
        }
        if self.damaged {
            // From here on these have to be there.
            (self.damaged, self.expected) = (false, BTreeMap::new());
            self.expected.extend(found.iter().map(|record| (record.seq, record.body.to_vec())));
            return;
        }
        let found: BTreeMap<_, _> = found.iter().map(|record| (record.seq, record.body.to_vec())).collect();
        assert_eq!(found, self.expected, "{faults:?}");
    }
}
