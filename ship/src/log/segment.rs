//! One file of the log: a header with a version, and records.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{HEADER, Record, RecordHeader};

const MAGIC: [u8; 6] = *b"rqueue";
const VERSION: u16 = 1;
/// Magic, version and the number of the first record.
pub(super) const START: u64 = 16;
const SUFFIX: &str = "segment";

/// A file, and what its records come to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The numbers of the first and of the last record.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) epoch: u32,
    /// How much of the file is good.
    pub(super) length: u64,
    pub(super) oldest_ms: i64,
    pub(super) newest_ms: i64,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum Opened {
    /// A segment; how many bytes at its end are of no use.
    Segment(Segment, u64),
    /// Nothing in it, not even damage.
    Empty,
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

    pub(super) fn is_name(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == SUFFIX)
    }

    /// A new file for records from this one on.
    pub(super) fn create(folder: &Path, record: &Record) -> io::Result<(Self, File)> {
        let path = Self::path_in(folder, record.seq);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut start = Vec::from(MAGIC);
        start.extend(VERSION.to_le_bytes());
        start.extend(record.seq.to_le_bytes());
        if let Err(error) = file.write_all_at(&start, 0) {
            // It would be found empty.
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        let (first, head) = (record.seq, record.head);
        let (oldest_ms, newest_ms) = (head.oldest_ms, head.newest_ms);
        Ok((Self { path, first, last: first, epoch: record.epoch, length: START, oldest_ms, newest_ms }, file))
    }

    /// Appends a record to its file, or changes nothing.
    pub(super) fn append(&mut self, file: &File, record: &Record) -> io::Result<()> {
        let body = self.length + HEADER as u64;
        let written =
            file.write_all_at(&record.header(), self.length).and_then(|()| file.write_all_at(&record.body, body));
        if written.is_err() {
            // Gives the space back. If that fails, the next record is written over it.
            file.set_len(self.length).ok();
            return written;
        }
        self.length += record.size();
        self.last = record.seq;
        self.epoch = self.epoch.max(record.epoch);
        self.oldest_ms = self.oldest_ms.min(record.head.oldest_ms);
        self.newest_ms = self.newest_ms.max(record.head.newest_ms);
        Ok(())
    }

    /// Reads what a process before this one left. With `thorough` every body is checked, not only the headers.
    pub(super) fn open(path: &Path, thorough: bool, mut see: impl FnMut(&RecordHeader)) -> io::Result<Opened> {
        let file = File::options().read(true).write(true).open(path)?;
        let size = file.metadata()?.len();
        if size < START {
            return Ok(Opened::Empty);
        }
        let mut start = [0; START as usize];
        file.read_exact_at(&mut start, 0)?;
        if start[..6] != MAGIC {
            return Ok(Opened::Damaged);
        }
        if u16::from_le_bytes([start[6], start[7]]) > VERSION {
            return Ok(Opened::Newer);
        }
        let mut segment = Self {
            path: path.to_owned(),
            first: 0,
            last: 0,
            epoch: 0,
            length: START,
            oldest_ms: i64::MAX,
            newest_ms: i64::MIN,
        };
        while let Some(header) = header_at(&file, segment.length)? {
            let whole = segment.length + header.size() <= size && header.seq > segment.last;
            if !whole || (thorough && body_at(&file, segment.length, &header)?.is_none()) {
                break;
            }
            if segment.first == 0 {
                segment.first = header.seq;
            }
            segment.last = header.seq;
            segment.length += header.size();
            segment.epoch = segment.epoch.max(header.epoch);
            segment.oldest_ms = segment.oldest_ms.min(header.head.oldest_ms);
            segment.newest_ms = segment.newest_ms.max(header.head.newest_ms);
            see(&header);
        }
        let useless = size - segment.length;
        Ok(match (segment.first, useless) {
            (0, 0) => Opened::Empty,
            (0, _) => Opened::Damaged,
            _ => Opened::Segment(segment, useless),
        })
    }

    /// Cuts off what is behind the last record.
    pub(super) fn truncate(&self) -> io::Result<()> {
        File::options().write(true).open(&self.path)?.set_len(self.length)
    }
}

/// The header of the record at an offset; `None` at the end and where there is no header.
pub(super) fn header_at(file: &File, offset: u64) -> io::Result<Option<RecordHeader>> {
    let mut bytes = [0; HEADER];
    let read = whole(file.read_exact_at(&mut bytes, offset))?;
    Ok(read.and_then(|()| RecordHeader::read(&bytes)))
}

/// The body of the record at an offset, unless it is damaged.
pub(super) fn body_at(file: &File, offset: u64, header: &RecordHeader) -> io::Result<Option<Vec<u8>>> {
    let mut body = vec![0; header.length as usize];
    let read = whole(file.read_exact_at(&mut body, offset + HEADER as u64))?;
    Ok(read.filter(|()| header.fits(&body)).map(|()| body))
}

/// What is not there, or on a part of the disk that cannot be read, is damage.
fn whole(read: io::Result<()>) -> io::Result<Option<()>> {
    const EIO: i32 = 5;
    match read {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(EIO) => Ok(None),
        Err(error) => Err(error),
    }
}
