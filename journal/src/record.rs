//! What precedes each body in a segment: what it holds, and checksums of both. Pure.

use crate::Time;

/// Where a record may begin.
pub(crate) const MAGIC: [u8; 4] = *b"jrec";
/// How long a header is.
pub(crate) const HEADER: usize = 68;
/// No body is longer, packed or not: a batch and a piece of a checkpoint are closed far below.
const LONGEST: u32 = 64 << 20;
const LEVEL: i32 = 3;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Events,
    /// A piece of a checkpoint.
    Checkpoint,
}

/// What is known of a record without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) content: Content,
    /// Whether it is the last piece of a checkpoint.
    pub(crate) is_last: bool,
    /// Whether it is a checkpoint before which events are missing on disk.
    pub(crate) is_after_loss: bool,
    /// The numbers of the first event and the last; of a checkpoint, that of the next event.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u32,
    /// The times of the oldest event and the newest; of a checkpoint, since when the events behind it are, and its own.
    pub(crate) oldest: Time,
    pub(crate) newest: Time,
    /// A bit for each kind that is among the events.
    pub(crate) kinds: u64,
}

/// What bodies are unpacked with.
#[derive(Default)]
pub(crate) struct Unpacker(Option<zstd::bulk::Decompressor<'static>>);

/// A header that was read, and what it says of the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) header: Header,
    length: u32,
    checksum: u32,
    raw_length: u32,
}

/// The bytes of a record.
pub(crate) fn encode(header: &Header, raw: &[u8]) -> Vec<u8> {
    let body = zstd::bulk::compress(raw, LEVEL).expect("zstd compresses any bytes into a large enough buffer");
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.extend(MAGIC);
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(crc32fast::hash(&body).to_le_bytes());
    out.extend((raw.len() as u32).to_le_bytes());
    let content = match header.content {
        Content::Events => 1,
        Content::Checkpoint => 2,
    };
    out.extend([content, u8::from(header.is_last) | u8::from(header.is_after_loss) << 1, 0, 0]);
    for number in [header.first, header.last] {
        out.extend(number.to_le_bytes());
    }
    out.extend(header.count.to_le_bytes());
    for number in [header.oldest.0 as u64, header.newest.0 as u64, header.kinds] {
        out.extend(number.to_le_bytes());
    }
    out.extend(crc32fast::hash(&out).to_le_bytes());
    debug_assert_eq!(out.len(), HEADER);
    out.extend(body);
    out
}

impl Stored {
    /// The header, unless the bytes are none.
    pub(crate) fn read(bytes: &[u8; HEADER]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        if content[..4] != MAGIC || crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let short = |at: usize| content.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let long = |at: usize| content.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let header = Header {
            content: match content[16] {
                1 => Content::Events,
                2 => Content::Checkpoint,
                _ => return None,
            },
            is_last: content[17] & 1 != 0,
            is_after_loss: content[17] & 2 != 0,
            first: long(20)?,
            last: long(28)?,
            count: short(36)?,
            oldest: Time(long(40)? as i64),
            newest: Time(long(48)? as i64),
            kinds: long(56)?,
        };
        let (length, raw_length) = (short(4)?, short(12)?);
        let possible = length <= LONGEST && raw_length <= LONGEST && header.first <= header.last;
        possible.then_some(Self { header, length, checksum: short(8)?, raw_length })
    }

    /// How many bytes the body has.
    pub(crate) fn length(&self) -> usize {
        self.length as usize
    }

    /// How many bytes the record has.
    pub(crate) fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }

    /// How many bytes the body has once it is unpacked.
    pub(crate) fn raw_length(&self) -> u64 {
        u64::from(self.raw_length)
    }

    /// The body unpacked, unless it is damaged.
    pub(crate) fn unpack(&self, body: &[u8], unpacker: &mut Unpacker) -> Option<Vec<u8>> {
        if crc32fast::hash(body) != self.checksum {
            return None;
        }
        let zstd = match &mut unpacker.0 {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        let raw = zstd.decompress(body, self.raw_length as usize).ok()?;
        (raw.len() == self.raw_length as usize).then_some(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            content: Content::Checkpoint,
            is_last: true,
            is_after_loss: true,
            first: 1 << 40,
            last: 1 << 41,
            count: 7,
            oldest: Time(-5),
            newest: Time(1 << 42),
            kinds: 1 << 63 | 1,
        }
    }

    #[test]
    fn a_record_comes_back_and_each_flipped_byte_is_seen() {
        let bytes = encode(&header(), b"some text");
        let stored = Stored::read(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!((stored.header, stored.size()), (header(), bytes.len() as u64));
        assert_eq!(stored.unpack(&bytes[HEADER..], &mut Unpacker::default()).as_deref(), Some(&b"some text"[..]));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let read = Stored::read(damaged.first_chunk().unwrap());
            assert_eq!(
                read.and_then(|stored| stored.unpack(&damaged[HEADER..], &mut Unpacker::default())),
                None,
                "byte {at}"
            );
        }
    }
}
