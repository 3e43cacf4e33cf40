//! Unpacks gzip whole. Pure.

use std::io::Read;

use libdeflater::{DecompressionError, Decompressor};

/// Why a body cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It is not gzip, or damaged.
    Damaged,
    /// It holds at least the limit.
    TooLarge,
}

/// Memory for unpacking, used again and again.
pub(crate) struct Inflater {
    decompressor: Decompressor,
    /// As long as the largest body so far.
    buffer: Vec<u8>,
}

/// More than this is not kept.
const KEPT: usize = 4 << 20;
/// How a member of a gzip stream begins (RFC 1952).
const MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
/// Gzip packs by a factor of 1032 at most.
const FACTOR: u64 = 1032;

impl Default for Inflater {
    fn default() -> Self {
        Self { decompressor: Decompressor::new(), buffer: Vec::new() }
    }
}

impl Inflater {
    /// Unpacks a body, which has to be smaller than `limit` when it is unpacked.
    pub(crate) fn gzip(&mut self, packed: &[u8], limit: u64) -> Result<&[u8], InflateError> {
        // The last four bytes say how large it is, modulo 4 GiB. It may be a lie.
        let told =
            packed.last_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes))).ok_or(InflateError::Damaged)?;
        // Where another member may begin, it is left to those who can tell: the fast library stops after the first one.
        if packed.get(1..).is_some_and(|rest| memchr::memmem::find(rest, &MEMBER).is_some()) {
            return self.members(packed, limit);
        }
        let possible = FACTOR * packed.len() as u64;
        let mut size = told.min(possible).min(limit) as usize;
        loop {
            if self.buffer.len() < size {
                self.buffer.resize(size, 0);
            }
            match self.decompressor.gzip_decompress(packed, &mut self.buffer) {
                Ok(length) if length as u64 >= limit => return Err(InflateError::TooLarge),
                Ok(length) => return Ok(&self.buffer[..length]),
                Err(DecompressionError::BadData) => return Err(InflateError::Damaged),
                Err(DecompressionError::InsufficientSpace) if self.buffer.len() as u64 >= limit => {
                    return Err(InflateError::TooLarge);
                }
                Err(DecompressionError::InsufficientSpace) => {
                    size = (self.buffer.len() as u64 * 2).max(64 * 1024).min(limit) as usize;
                }
            }
        }
    }

    fn members(&mut self, packed: &[u8], limit: u64) -> Result<&[u8], InflateError> {
        self.buffer.clear();
        let reader = flate2::read::MultiGzDecoder::new(packed);
        reader.take(limit).read_to_end(&mut self.buffer).map_err(|_| InflateError::Damaged)?;
        if self.buffer.len() as u64 >= limit { Err(InflateError::TooLarge) } else { Ok(&self.buffer) }
    }

    /// Gives back what an unusually large body needed.
    pub(crate) fn shrink(&mut self) {
        if self.buffer.len() > KEPT {
            self.buffer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    #[test]
    fn bodies_are_unpacked() {
        let mut inflater = Inflater::default();
        for text in [&b"a 1\n"[..], b"", &[b'x'; 100_000]] {
            assert_eq!(inflater.gzip(&gzip(text), 1 << 20), Ok(text));
        }
        inflater.shrink();
        assert_eq!(inflater.gzip(&gzip(b"b 2\n"), 1 << 20), Ok(&b"b 2\n"[..]));
    }

    #[test]
    fn several_members_are_one_body() {
        let packed = [gzip(b"a 1\n"), gzip(b"b 2\n")].concat();
        assert_eq!(Inflater::default().gzip(&packed, 100), Ok(&b"a 1\nb 2\n"[..]));
    }

    #[test]
    fn a_body_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        let mut inflater = Inflater::default();
        assert_eq!(inflater.gzip(&bomb, 1 << 20), Err(InflateError::TooLarge));
        assert!(inflater.buffer.len() <= 1 << 20);
        // One that lies about its size.
        let mut liar = bomb.clone();
        let end = liar.len();
        liar[end - 4..].copy_from_slice(&5u32.to_le_bytes());
        assert!(inflater.gzip(&liar, 1 << 20).is_err());
        assert_eq!(inflater.gzip(&gzip(b"1234"), 4), Err(InflateError::TooLarge));
        assert_eq!(inflater.gzip(&gzip(b"123"), 4), Ok(&b"123"[..]));
    }

    #[test]
    fn damaged_bodies_are_told() {
        let good = gzip(b"something 1\n");
        for length in 0..good.len() {
            assert_eq!(Inflater::default().gzip(&good[..length], 100), Err(InflateError::Damaged), "{length}");
        }
        assert_eq!(Inflater::default().gzip(b"plain text", 100), Err(InflateError::Damaged));
    }
}
