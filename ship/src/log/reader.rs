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
    /// How many records there were so far, and what they come to.
    records: u32,
    passed: Counts,
    /// Bytes since the last record that are none.
    skipped: u64,
    /// Such bytes where something is missing that was not acknowledged.
    damaged: u64,
    /// Numbers of records that are missing there. Some may never have been in use.
    gone: u64,
    /// How often the disk failed to read here.
    failed: u32,
    /// What is missing was told.
    ended: bool,
}

/// What was found.
#[derive(Debug)]
pub(super) enum NextRecord {
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
        let (last, records, skipped, damaged, gone, failed, ended) = (0, 0, 0, 0, 0, 0, false);
        Ok(Self { segment, file, walk, last, records, passed, skipped, damaged, gone, failed, ended })
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
    pub(super) fn step(&mut self, segment: &Segment, from: u64, position: &Position) -> io::Result<NextRecord> {
        let before = self.walk;
        self.walk.end = segment.length;
        // Of numbers that never were in use none was acknowledged either, unless all were.
        let missing = |first: u64, end: u64| position.left(first.max(from), end);
        let (header, body) = match self.walk.step(&self.file) {
            Ok(Step::Record(header, body)) => (header, body),
            Ok(Step::Damage(bytes, _)) => {
                self.skipped += bytes;
                return Ok(NextRecord::Nothing);
            }
            Ok(Step::End) => {
                self.skipped_over(missing(self.next(), segment.last.max(self.next()) + 1));
                let lost = segment.counts.minus(self.passed);
                // Without totals more may be gone than is known of.
                let batches = match u64::from(segment.records.saturating_sub(self.records)) {
                    0 => self.gone,
                    known => self.gone.min(known),
                };
                let fault = |bytes| segment.fault("a part of it is damaged, skipped", batches, lost, bytes);
                let damaged = std::mem::take(&mut self.damaged);
                (self.records, self.passed, self.gone, self.ended) = (segment.records, segment.counts, 0, true);
                return Ok(NextRecord::End((damaged > 0).then(|| fault(damaged))));
            }
            Err(error) if is_unreadable(&error) && self.gives_up() => {
                self.walk.skip_unreadable();
                return Ok(NextRecord::Nothing);
            }
            Err(error) => return Err(error),
        };
        let found = self.body(segment, &header, body, from, position).inspect_err(|_| self.walk = before)?;
        self.skipped_over(missing(self.next(), header.seq));
        (self.last, self.ended) = (header.seq, false);
        self.records += 1;
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
    ) -> io::Result<NextRecord> {
        if header.seq < from || position.is_acknowledged(header.seq) {
            return Ok(NextRecord::Nothing);
        }
        let damaged = |what| Ok(NextRecord::Fault(segment.fault(what, 1, header.head.counts, header.size())));
        match body_at(&self.file, body, header) {
            Ok(Some(body)) => {
                // Where it was given up once, the next place is not waited for.
                self.failed = if self.failed < TRIES { 0 } else { self.failed };
                Ok(NextRecord::Record(header.with(body)))
            }
            Ok(None) => damaged("a record is damaged, skipped"),
            Err(error) if is_unreadable(&error) && self.gives_up() => damaged("a record cannot be read, skipped"),
            Err(error) => Err(error),
        }
    }

    /// What was skipped matters where these many records are missing.
    fn skipped_over(&mut self, missing: u64) {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 && missing > 0 {
            self.damaged += skipped;
            self.gone += missing;
        }
    }

    fn gives_up(&mut self) -> bool {
        self.failed += 1;
        self.failed >= TRIES
    }
}
