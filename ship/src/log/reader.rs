//! Reads the records of one segment, and finds out what is missing.

use std::fs::File;
use std::io;

use super::Record;
use super::position::Position;
use super::record::RecordHeader;
use super::segment::{START, Segment};
use super::store::Fault;
use super::walk::{Step, Walk, body_at, is_unreadable};
use crate::Counts;

/// How often it is tried to read what the disk fails to read, before it counts as damaged.
pub(super) const TRIES: u32 = 10;

/// Where reading is in the segment that begins with a record.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) segment: u64,
    file: File,
    walk: Walk,
    /// The last record.
    last: u64,
    /// What the records so far come to.
    passed: Counts,
    /// Bytes since the last record that are none.
    skipped: u64,
    /// Such bytes where something is missing that was not acknowledged.
    damaged: u64,
    /// How often the disk failed to read here.
    failed: u32,
    /// What is missing was told.
    ended: bool,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    Record(Record),
    /// A record that is not to be read, or something that is no record.
    Nothing,
    Fault(Fault),
    /// There is no more, and perhaps something was missing.
    End(Option<Fault>),
}

impl Reader {
    pub(super) fn open(segment: &Segment) -> io::Result<Self> {
        let file = File::open(&segment.path)?;
        let (segment, walk, passed) = (segment.first, Walk::new(START, segment.length), Counts::default());
        Ok(Self { segment, file, walk, last: 0, passed, skipped: 0, damaged: 0, failed: 0, ended: false })
    }

    /// Whether all records of this segment were passed, and not its end.
    pub(super) fn is_due(&self, segment: &Segment) -> bool {
        segment.first == self.segment && self.next() > segment.last && !self.ended
    }

    /// All below this number was passed.
    pub(super) fn next(&self) -> u64 {
        self.last + 1
    }

    /// Goes on to the next record of the segment, which is to be read if it is not below `from` and not acknowledged. After
    /// an error the same is tried again.
    pub(super) fn step(&mut self, segment: &Segment, from: u64, position: &Position) -> io::Result<Found> {
        let before = self.walk;
        self.walk.end = segment.length;
        // Of numbers that never were in use none was acknowledged either, unless all were.
        let missing = |first: u64, end: u64| (first.max(from)..end).any(|seq| !position.is_acknowledged(seq));
        let (header, body) = match self.walk.step(&self.file) {
            Ok(Step::Record(header, body)) => (header, body),
            Ok(Step::Damage(bytes, _)) => {
                self.skipped += bytes;
                return Ok(Found::Nothing);
            }
            Ok(Step::End) => {
                if self.skipped > 0 && missing(self.next(), segment.last.max(self.next()) + 1) {
                    self.damaged += self.skipped;
                }
                let lost = segment.counts.minus(self.passed);
                let fault = |bytes| segment.fault("a part of it is damaged, skipped", lost, bytes);
                let damaged = std::mem::take(&mut self.damaged);
                (self.skipped, self.passed, self.ended) = (0, segment.counts, true);
                return Ok(Found::End((damaged > 0).then(|| fault(damaged))));
            }
            Err(error) if is_unreadable(&error) && self.gives_up() => {
                self.walk.skip_unreadable();
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        let found = self.body(segment, &header, body, from, position).inspect_err(|_| self.walk = before)?;
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 && missing(self.next(), header.seq) {
            self.damaged += skipped;
        }
        (self.last, self.ended) = (header.seq, false);
        self.passed = self.passed.plus(header.head.counts);
        Ok(found)
    }

    fn body(
        &mut self,
        segment: &Segment,
        header: &RecordHeader,
        body: u64,
        from: u64,
        position: &Position,
    ) -> io::Result<Found> {
        if header.seq < from || position.is_acknowledged(header.seq) {
            return Ok(Found::Nothing);
        }
        let damaged = |what| Ok(Found::Fault(segment.fault(what, header.head.counts, header.size())));
        match body_at(&self.file, body, header) {
            Ok(Some(body)) => {
                // Where it was given up once, the next place is not waited for.
                self.failed = if self.failed < TRIES { 0 } else { self.failed };
                Ok(Found::Record(header.with(body)))
            }
            Ok(None) => damaged("a record is damaged, skipped"),
            Err(error) if is_unreadable(&error) && self.gives_up() => damaged("a record cannot be read, skipped"),
            Err(error) => Err(error),
        }
    }

    fn gives_up(&mut self) -> bool {
        self.failed += 1;
        self.failed >= TRIES
    }
}
