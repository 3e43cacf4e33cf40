//! One file of the log: a header with a version, and records.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{HEADER, Record, RecordHeader};
use super::store::Fault;
use super::walk::{Step, Walk, is_unreadable, record_at, whole};
use crate::wire::Head;
use crate::{Counts, private};

const MAGIC: [u8; 6] = *b"rqueue";
/// A later version whose records mean anything else has other checksums too: where a record of this version stands, it is one.
const VERSION: u16 = 1;
/// Magic, version and the number of the first record.
pub(super) const START: u64 = 16;
const SUFFIX: &str = "segment";
/// What a segment ends with: its totals, so that opening a long queue does not read all of it, and what is lost by damage is
/// known. The next record is written over it.
const TRAILER: usize = 72;
const TRAILER_MAGIC: [u8; 4] = *b"rend";
/// The numbers of records that cannot be read just now are less than so many above the last that can be.
const UNREAD: u64 = 1 << 32;

/// A file, and what its records come to, those that turn out to be damaged included as far as they are known.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The numbers of the first and of the last record.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) epoch: u32,
    /// Where records end.
    pub(super) length: u64,
    pub(super) oldest_ms: i64,
    pub(super) newest_ms: i64,
    pub(super) records: u32,
    pub(super) counts: Counts,
}

/// How much of a segment is looked at when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// Its totals, if it has them, or else the headers.
    Totals,
    /// The headers of its records.
    Headers,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum Opened {
    /// A segment. Its end may be damaged, so that what is missing there is not known. `torn` are the bytes behind it of what a process
    /// began to write and had no time for.
    Segment { segment: Segment, damaged_end: u64, damaged_start: bool, torn: u64 },
    /// Nothing in it, not even damage.
    Empty,
    /// Nothing but what a process began to write and had no time for.
    Torn,
    /// Nothing of use in it.
    Damaged,
    /// Written by a later version of rosterd.
    Newer,
}

impl Segment {
    /// The name of the file that begins with this record.
    pub(super) fn path_in(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("{first:020}.{SUFFIX}"))
    }

    /// The number of the first record, from the name.
    pub(super) fn first_of(path: &Path) -> Option<u64> {
        path.file_stem()?.to_str()?.parse().ok()
    }

    pub(super) fn is_name(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == SUFFIX)
    }

    /// A new file for records from this one on.
    pub(super) fn create(folder: &Path, record: &Record) -> io::Result<(Self, File)> {
        let path = Self::path_in(folder, record.seq);
        let file = private::options().read(true).truncate(true).open(&path)?;
        let mut start = Vec::from(MAGIC);
        start.extend(VERSION.to_le_bytes());
        start.extend(record.seq.to_le_bytes());
        if let Err(error) = file.write_all_at(&start, 0) {
            // It would be found empty.
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok((Self::empty(path, record.seq), file))
    }

    fn empty(path: PathBuf, first: u64) -> Self {
        let (oldest_ms, newest_ms, counts) = (i64::MAX, i64::MIN, Counts::default());
        Self { path, first, last: first, epoch: 0, length: START, oldest_ms, newest_ms, records: 0, counts }
    }

    /// Something of it is not as it was written.
    pub(super) fn fault(&self, what: &'static str, batches: u64, lost: Counts, bytes: u64) -> Fault {
        Fault { path: self.path.clone(), what, batches, lost, bytes }
    }

    fn add(&mut self, seq: u64, epoch: u32, head: Head, size: u64) {
        self.length += size;
        self.last = seq;
        self.epoch = self.epoch.max(epoch);
        self.oldest_ms = self.oldest_ms.min(head.oldest_ms);
        self.newest_ms = self.newest_ms.max(head.newest_ms);
        self.records += 1;
        self.counts = self.counts.plus(head.counts);
    }

    /// Appends a record to its file, or changes nothing.
    pub(super) fn append(&mut self, file: &File, record: &Record) -> io::Result<()> {
        let body = self.length + HEADER as u64;
        let written =
            file.write_all_at(&record.header(), self.length).and_then(|()| file.write_all_at(&record.body, body));
        if written.is_ok() {
            self.add(record.seq, record.epoch, record.head, record.size());
        }
        // Gives back the space of what failed. If that fails too, the next record is written over it.
        if written.is_err() || file.write_all_at(&self.trailer(), self.length).is_err() {
            file.set_len(self.length).ok();
        }
        written
    }

    /// Takes away what stands behind its records.
    pub(super) fn cut_off(&self) -> io::Result<()> {
        self.complete(&File::options().write(true).open(&self.path)?)
    }

    /// Nothing is appended any more.
    pub(super) fn complete(&self, file: &File) -> io::Result<()> {
        // What a failed append may have left.
        file.set_len(self.length)?;
        file.write_all_at(&self.trailer(), self.length)?;
        file.sync_data()
    }

    fn trailer(&self) -> [u8; TRAILER] {
        let mut out = Vec::with_capacity(TRAILER);
        out.extend(TRAILER_MAGIC);
        for number in [self.length, self.first, self.last, self.oldest_ms as u64, self.newest_ms as u64] {
            out.extend(number.to_le_bytes());
        }
        let Counts { series, samples, histograms, exemplars } = self.counts;
        for number in [self.epoch, self.records, series, samples, histograms, exemplars] {
            out.extend(number.to_le_bytes());
        }
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out.try_into().expect("the fields add up to the trailer")
    }

    /// The totals at the end of a file of this size. They hold also where they do not stand where they were written, because
    /// something between was put in or taken out.
    fn of_trailer(path: &Path, file: &File, size: u64) -> io::Result<Option<Self>> {
        let Some(length) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
        let mut bytes = [0; TRAILER];
        if whole(file.read_exact_at(&mut bytes, length))?.is_none() {
            return Ok(None);
        }
        let long = |index: usize| {
            let bytes = bytes[4 + 8 * index..].first_chunk().expect("there are five of them");
            u64::from_le_bytes(*bytes)
        };
        let short = |index: usize| {
            let bytes = bytes[44 + 4 * index..].first_chunk().expect("there are six of them");
            u32::from_le_bytes(*bytes)
        };
        let segment = Self {
            path: path.to_owned(),
            first: long(1),
            last: long(2),
            epoch: short(0),
            length: long(0),
            oldest_ms: long(3) as i64,
            newest_ms: long(4) as i64,
            records: short(1),
            counts: Counts { series: short(2), samples: short(3), histograms: short(4), exemplars: short(5) },
        };
        Ok(Some(segment).filter(|segment| segment.trailer() == bytes).map(|segment| Self { length, ..segment }))
    }

    /// Reads what a process before this one left, and hands out the headers unless the totals are enough. Bodies are not
    /// looked at: what is damaged is found when it is read. Of the last segment of all a record that is cut off is no damage, and not
    /// lost: nobody was told that it was written.
    pub(super) fn open(path: &Path, scan: Scan, is_last: bool, see: impl FnMut(&RecordHeader)) -> io::Result<Opened> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Self::of_file(path, (&file, size), scan, is_last, see)
    }

    fn of_file(
        path: &Path,
        (file, size): (&File, u64),
        scan: Scan,
        is_last: bool,
        mut see: impl FnMut(&RecordHeader),
    ) -> io::Result<Opened> {
        if size < START {
            return Ok(Opened::Empty);
        }
        let start = Start::read(file, size)?;
        if start == Start::Newer {
            return Ok(Opened::Newer);
        }
        let damaged_start = start == Start::Damaged;
        let complete = readable(Self::of_trailer(path, file, size))?.flatten();
        if let Some(segment) = complete.clone().filter(|_| scan == Scan::Totals) {
            return Ok(Opened::Segment { segment, damaged_end: 0, damaged_start, torn: 0 });
        }
        let end = complete.as_ref().map_or(size, |segment| segment.length);
        let mut segment = Self::empty(path.to_owned(), 0);
        let (mut walk, mut damaged_end, mut unread, mut is_cut) = (Walk::new(START, end), 0, false, false);
        let may_be_torn = is_last && complete.is_none();
        loop {
            let header = match readable(walk.step(file))? {
                Some(Step::End) => break,
                Some(Step::Record(header, _)) => header,
                Some(Step::Damage(bytes, Some(_))) if may_be_torn => {
                    (damaged_end, is_cut) = (bytes, true);
                    continue;
                }
                Some(Step::Damage(bytes, cut)) => {
                    damaged_end = bytes;
                    let Some(header) = cut else { continue };
                    header
                }
                None => {
                    unread = true;
                    walk.skip_unreadable();
                    continue;
                }
            };
            damaged_end = 0;
            if segment.records == 0 {
                segment.first = header.seq;
            }
            segment.add(header.seq, header.epoch, header.head, header.size());
            see(&header);
        }
        if let Some(complete) = complete {
            return Ok(Opened::Segment { segment: complete, damaged_end: 0, damaged_start, torn: 0 });
        }
        let is_torn = may_be_torn && !unread && (is_cut || damaged_end <= TRAILER as u64);
        let torn = if is_torn { std::mem::take(&mut damaged_end) } else { 0 };
        segment.length = end - torn;
        if unread {
            // They may be read later, and are not damaged before that was tried for long.
            let named = Self::first_of(path).unwrap_or_default();
            segment.first = if segment.records == 0 { named } else { segment.first.min(named) };
            segment.last = segment.last.max(named) + UNREAD;
            segment.records = segment.records.max(1);
            damaged_end = 0;
        }
        Ok(match (segment.records, segment.length > START) {
            (0, false) if torn > 0 => Opened::Torn,
            (0, false) => Opened::Empty,
            (0, true) => Opened::Damaged,
            _ => Opened::Segment { segment, damaged_end, damaged_start, torn },
        })
    }
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Good,
    /// By what is behind it, it is a segment all the same, or it is nothing.
    Damaged,
    Newer,
}

impl Start {
    fn read(file: &File, size: u64) -> io::Result<Self> {
        let mut start = [0; START as usize];
        if readable(file.read_exact_at(&mut start, 0))?.is_none() {
            return Ok(Self::Good);
        }
        let (known, version) = (start[..6] == MAGIC, u16::from_le_bytes([start[6], start[7]]));
        if known && version <= VERSION {
            return Ok(Self::Good);
        }
        let record = readable(record_at(file, START, size))?.flatten();
        Ok(if known && record.is_none() { Self::Newer } else { Self::Damaged })
    }
}

/// `None` is what could not be read just now.
fn readable<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_unreadable(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_cannot_read_when_it_is_opened_is_no_damage_yet() {
        // Reading the memory of a process where it has none fails as a broken disk does.
        let file = File::open("/proc/self/mem").unwrap();
        let path = Path::new("00000000000000000007.segment");
        for scan in [Scan::Totals, Scan::Headers] {
            let see = |_: &RecordHeader| panic!("nothing can be read");
            let opened = Segment::of_file(path, (&file, 1 << 20), scan, true, see).unwrap();
            let Opened::Segment { segment, damaged_end: 0, damaged_start: false, torn: 0 } = opened else {
                panic!("{opened:?}")
            };
            assert_eq!((segment.first, segment.length), (7, 1 << 20));
            assert!(segment.last > 1 << 31, "no record gets a number that may be in it");
        }
    }
}
