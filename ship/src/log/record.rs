//! A record: a finished body and what is known of it.

use bytes::Bytes;

use crate::Counts;
use crate::wire::{Compression, Head, Message};

/// A finished body, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its number. Numbers grow; some may be missing.
    pub(crate) seq: u64,
    /// The generation of lanes that it was made by.
    pub(crate) epoch: u32,
    /// The lane that its series belong to.
    pub(crate) lane: u16,
    pub(crate) message: Message,
    pub(crate) compression: Compression,
    pub(crate) head: Head,
    /// The length of the body before it was compressed.
    pub(crate) raw_len: u32,
    pub(crate) body: Bytes,
}

/// What precedes each body.
pub(super) const HEADER: usize = 64;
/// No body is longer.
const LONGEST: u32 = 1 << 30;

impl Record {
    /// How many bytes it takes in a file.
    pub(crate) fn size(&self) -> u64 {
        (HEADER + self.body.len()) as u64
    }

    /// The header: little-endian numbers, the checksum of the body, and one of the header itself.
    pub(super) fn header(&self) -> [u8; HEADER] {
        let counts = self.head.counts;
        let mut out = Vec::with_capacity(HEADER);
        out.extend((self.body.len() as u32).to_le_bytes());
        out.extend(crc32fast::hash(&self.body).to_le_bytes());
        out.extend(self.seq.to_le_bytes());
        out.extend(self.epoch.to_le_bytes());
        out.extend(self.lane.to_le_bytes());
        out.push(match self.message {
            Message::V1 => 1,
            Message::V2 => 2,
        });
        out.push(match self.compression {
            Compression::Snappy => 1,
            Compression::Zstd => 2,
        });
        out.extend(self.raw_len.to_le_bytes());
        for count in [counts.series, counts.samples, counts.histograms, counts.exemplars] {
            out.extend(count.to_le_bytes());
        }
        out.extend(self.head.oldest_ms.to_le_bytes());
        out.extend(self.head.newest_ms.to_le_bytes());
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out.try_into().expect("the fields add up to the header")
    }
}

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) length: u32,
    checksum: u32,
    pub(super) seq: u64,
    pub(super) epoch: u32,
    lane: u16,
    message: Message,
    compression: Compression,
    raw_len: u32,
    pub(super) head: Head,
}

impl RecordHeader {
    /// The header, unless the bytes are none.
    pub(super) fn read(bytes: &[u8; HEADER]) -> Option<Self> {
        let mut at = 0;
        let mut take = |length: usize| {
            at += length;
            &bytes[at - length..at]
        };
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let (length, checksum) = (number(take(4)) as u32, number(take(4)) as u32);
        let (seq, epoch, lane) = (number(take(8)), number(take(4)) as u32, number(take(2)) as u16);
        let (message, compression) = (number(take(1)), number(take(1)));
        let raw_len = number(take(4)) as u32;
        let [series, samples, histograms, exemplars] = std::array::from_fn(|_| number(take(4)) as u32);
        let (oldest_ms, newest_ms) = (number(take(8)) as i64, number(take(8)) as i64);
        let message = match message {
            1 => Message::V1,
            2 => Message::V2,
            _ => return None,
        };
        let compression = match compression {
            1 => Compression::Snappy,
            2 => Compression::Zstd,
            _ => return None,
        };
        // The last, because whoever looks for a header asks about each byte.
        if length > LONGEST || number(take(4)) as u32 != crc32fast::hash(&bytes[..HEADER - 4]) {
            return None;
        }
        let head = Head { counts: Counts { series, samples, histograms, exemplars }, oldest_ms, newest_ms };
        Some(Self { length, checksum, seq, epoch, lane, message, compression, raw_len, head })
    }

    /// How many bytes the record takes in a file.
    pub(super) fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }

    pub(super) fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.length as usize && crc32fast::hash(body) == self.checksum
    }

    pub(super) fn with(&self, body: Vec<u8>) -> Record {
        Record {
            seq: self.seq,
            epoch: self.epoch,
            lane: self.lane,
            message: self.message,
            compression: self.compression,
            head: self.head,
            raw_len: self.raw_len,
            body: body.into(),
        }
    }
}
