//! From record to record of a segment, past whatever is damaged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::mend::mend;
use super::record::{HEADER, RecordHeader};

/// How much is looked through at once for the next record.
const CHUNK: usize = 64 << 10;
/// What a disk fails to read is at least this long, and begins at a multiple of it.
const SECTOR: u64 = 4096;
/// A number that is further from the last one was not written after it.
const LEAP: u64 = 1 << 40;

/// A place in a segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walk {
    offset: u64,
    /// Where records end.
    pub(super) end: u64,
    /// The number of the record before.
    pub(super) last: u64,
    /// Bytes since that record that are of no use.
    damaged: u64,
    /// What stands here need not be the beginning of anything.
    lost: bool,
}

/// What stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, and where its body is, which was not looked at.
    Record(RecordHeader, u64),
    /// So many bytes are no record. Of one that is cut off the header may be there.
    Damage(u64, Option<RecordHeader>),
    /// There is no more.
    End,
}

impl Walk {
    pub(super) fn new(start: u64, end: u64) -> Self {
        Self { offset: start, end, ..Self::default() }
    }

    /// Goes on. An error means that the file could not be read just now; the next step tries that again.
    pub(super) fn step(&mut self, file: &File) -> io::Result<Step> {
        if !self.lost && self.offset < self.end {
            match record_at(file, self.offset, self.end)?.filter(|header| self.follows(header)) {
                Some(header) if self.offset + header.size() <= self.end => {
                    let body = self.offset + HEADER as u64;
                    (self.offset, self.last) = (self.offset + header.size(), header.seq);
                    return Ok(Step::Record(header, body));
                }
                Some(header) => {
                    let bytes = self.end - self.offset;
                    (self.offset, self.last) = (self.end, header.seq);
                    return Ok(Step::Damage(bytes, Some(header)));
                }
                None => self.skip(1),
            }
        }
        while self.lost && self.offset < self.end {
            self.search(file)?;
        }
        self.lost = false;
        let damaged = std::mem::take(&mut self.damaged);
        Ok(if damaged > 0 { Step::Damage(damaged, None) } else { Step::End })
    }

    /// Gives up what cannot be read here.
    pub(super) fn skip_unreadable(&mut self) {
        self.skip(SECTOR - self.offset % SECTOR);
    }

    fn skip(&mut self, bytes: u64) {
        let bytes = bytes.min(self.end - self.offset);
        self.damaged += bytes;
        self.offset += bytes;
        self.lost = true;
    }

    fn follows(&self, header: &RecordHeader) -> bool {
        header.seq > self.last && (self.last == 0 || header.seq - self.last < LEAP)
    }

    /// Looks for the next header, a chunk further.
    fn search(&mut self, file: &File) -> io::Result<()> {
        let length = usize::try_from(self.end - self.offset).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; length];
        if whole(file.read_exact_at(&mut chunk, self.offset))?.is_none() || length < HEADER {
            self.skip(length as u64);
            return Ok(());
        }
        let found = chunk.windows(HEADER).position(|bytes| {
            let bytes = bytes.first_chunk().expect("windows have their length");
            RecordHeader::read(bytes).is_some_and(|header| self.follows(&header))
        });
        // One that begins in this chunk may end in the next.
        self.skip(found.unwrap_or(length - HEADER + 1) as u64);
        self.lost = found.is_none();
        Ok(())
    }
}

/// The header of the record at an offset, unless there is none. One that can be put right is borne out by its body.
pub(super) fn record_at(file: &File, offset: u64, end: u64) -> io::Result<Option<RecordHeader>> {
    let mut bytes = [0; HEADER];
    if end - offset < HEADER as u64 || whole(file.read_exact_at(&mut bytes, offset))?.is_none() {
        return Ok(None);
    }
    if let Some(header) = RecordHeader::read(&bytes) {
        return Ok(Some(header));
    }
    let mended = if mend(&mut bytes) { RecordHeader::read(&bytes) } else { None };
    let Some(header) = mended.filter(|header| offset + header.size() <= end) else { return Ok(None) };
    Ok(body_at(file, offset + HEADER as u64, &header)?.map(|_| header))
}

/// The body of a record, unless it is damaged.
pub(super) fn body_at(file: &File, offset: u64, header: &RecordHeader) -> io::Result<Option<Vec<u8>>> {
    let mut body = vec![0; header.length as usize];
    let read = whole(file.read_exact_at(&mut body, offset))?;
    Ok(read.filter(|()| header.fits(&body)).map(|()| body))
}

/// What is not there is damage. What could not be read may be there.
pub(super) fn whole(read: io::Result<()>) -> io::Result<Option<()>> {
    match read {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the disk could not read, which may pass.
pub(super) fn is_unreadable(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO)
}
