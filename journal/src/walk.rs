//! From record to record of a segment, past whatever is damaged.

use std::io;

use crate::body::Body;
use crate::medium::Medium;
use crate::record::{HEADER, MAGIC, Stored, Unpacker};

/// How much is looked through at once for the next record.
const CHUNK: u64 = 64 << 10;
/// What a disk fails to read is at least this long, and begins at a multiple of it.
const SECTOR: u64 = 4096;

/// So much is read with a header: most records are far shorter, and one read has many of them.
const AHEAD: u64 = 16 << 10;

/// A place in a segment.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    pub(crate) offset: u64,
    end: u64,
    /// What was read last, and where it begins.
    read: Vec<u8>,
    from: u64,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record, and where its body is, which was not looked at.
    Record(Stored, u64),
    /// So many bytes from this offset are no record.
    Damage { offset: u64, bytes: u64 },
    /// There is no more.
    End,
}

impl Walk {
    pub(crate) fn new(offset: u64, end: u64) -> Self {
        Self { offset, end, read: Vec::new(), from: 0 }
    }

    /// Goes on.
    pub(crate) fn step(&mut self, medium: &Medium) -> io::Result<Step> {
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        if let Some(stored) = self.record_at(medium, self.offset)? {
            let body = self.offset + HEADER as u64;
            self.offset += stored.size();
            return Ok(Step::Record(stored, body));
        }
        let offset = self.offset;
        self.offset = self.search(medium, offset + 1)?;
        Ok(Step::Damage { offset, bytes: self.offset - offset })
    }

    /// The header of a whole record at an offset.
    fn record_at(&mut self, medium: &Medium, offset: u64) -> io::Result<Option<Stored>> {
        let stored = self.header_at(medium, offset)?.and_then(|bytes| Stored::read(&bytes));
        Ok(stored.filter(|stored| offset + stored.size() <= self.end))
    }

    /// As many bytes as a header has, if they can be read.
    fn header_at(&mut self, medium: &Medium, offset: u64) -> io::Result<Option<[u8; HEADER]>> {
        if offset + HEADER as u64 > self.end {
            return Ok(None);
        }
        if let Some(bytes) = self.known_at(offset) {
            return Ok(Some(bytes));
        }
        self.from = offset;
        self.read.resize(usize::try_from((self.end - offset).min(AHEAD)).unwrap_or(HEADER), 0);
        if readable(medium.read_at(&mut self.read, offset))? {
            return Ok(self.known_at(offset));
        }
        // What cannot be read may stand behind the header.
        self.read.clear();
        let mut bytes = [0; HEADER];
        Ok(readable(medium.read_at(&mut bytes, offset))?.then_some(bytes))
    }

    fn known_at(&self, offset: u64) -> Option<[u8; HEADER]> {
        let start = usize::try_from(offset.checked_sub(self.from)?).ok()?;
        self.read.get(start..)?.first_chunk().copied()
    }

    /// Where the next record begins, or the end.
    fn search(&mut self, medium: &Medium, mut offset: u64) -> io::Result<u64> {
        let mut chunk = Vec::new();
        while offset < self.end {
            let length = (self.end - offset).min(CHUNK);
            chunk.resize(length as usize, 0);
            if !readable(medium.read_at(&mut chunk, offset))? {
                offset += SECTOR - offset % SECTOR;
                continue;
            }
            for (at, _) in chunk.windows(MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == MAGIC) {
                let at = offset + at as u64;
                if self.record_at(medium, at)?.is_some() {
                    return Ok(at);
                }
            }
            // One that begins at the end of this chunk goes on in the next.
            offset += length.saturating_sub(MAGIC.len() as u64 - 1).max(1);
        }
        Ok(self.end)
    }
}

/// Reads bodies, one after the other: what that takes is made once.
#[derive(Default)]
pub(crate) struct Bodies {
    packed: Vec<u8>,
    unpacker: Unpacker,
}

impl Bodies {
    /// The body of a record that was found, unless it is damaged.
    pub(crate) fn raw_at(&mut self, medium: &Medium, stored: &Stored, offset: u64) -> io::Result<Option<Vec<u8>>> {
        self.packed.resize(stored.length(), 0);
        let is_whole = readable(medium.read_at(&mut self.packed, offset))?;
        Ok(if is_whole { stored.unpack(&self.packed, &mut self.unpacker) } else { None })
    }

    /// The same, as one of events.
    pub(crate) fn body_at(&mut self, medium: &Medium, stored: &Stored, offset: u64) -> io::Result<Option<Body>> {
        Ok(self.raw_at(medium, stored, offset)?.and_then(|raw| Body::read(&raw)))
    }
}

/// Whether what stands from an offset to the end is the beginning of a record, as a process leaves it that is killed.
pub(crate) fn is_begun_at(medium: &Medium, offset: u64, end: u64) -> io::Result<bool> {
    let mut bytes = [0; HEADER];
    let length = usize::try_from(end.saturating_sub(offset)).map_or(HEADER, |length| length.min(HEADER));
    if !readable(medium.read_at(&mut bytes[..length], offset))? {
        return Ok(false);
    }
    let magic = &bytes[..length.min(MAGIC.len())];
    Ok(match length {
        HEADER => Stored::read(&bytes).is_some_and(|stored| offset + stored.size() > end),
        _ => MAGIC.starts_with(magic),
    })
}

/// What the disk cannot read is damage.
fn readable(read: io::Result<bool>) -> io::Result<bool> {
    const EIO: i32 = 5;
    match read {
        Err(error) if error.raw_os_error() == Some(EIO) => Ok(false),
        read => read,
    }
}
