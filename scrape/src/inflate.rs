//! Unpacks gzip whole. Pure.

use std::io::Read;

use libdeflater::{DecompressionError, Decompressor};
use rosterd_client::Share;

/// Why a body cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It is not gzip, or damaged.
    Damaged,
    /// It holds at least the limit.
    TooLarge,
    /// There is not enough memory left for it.
    NoMemory,
}

/// Memory for unpacking, used again and again.
pub(crate) struct Inflater {
    decompressor: Decompressor,
    /// As long as the largest body so far.
    buffer: Vec<u8>,
}

/// More than this is not kept.
const KEPT: usize = 4 << 20;
/// So much is unpacked at least of what has several members, before more memory is asked for.
const STEP: usize = 64 << 10;
/// How a member of a gzip stream begins (RFC 1952).
const MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
/// Gzip packs by a factor of 1032 at most.
const FACTOR: u64 = 1032;
/// What expositions are packed by, about.
const USUAL: u64 = 8;

/// How large a body says that it is, modulo 4 GiB: the last four bytes of its last member. It may be a lie.
fn told(packed: &[u8]) -> Option<u64> {
    packed.last_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes)))
}

/// Whether another member may begin behind the first one.
fn may_have_several(packed: &[u8]) -> bool {
    packed.get(1..).is_some_and(|rest| memchr::memmem::find(rest, &MEMBER).is_some())
}

/// About how large a body is once unpacked, as far as that can be told: it may be less, and none is a lot larger.
pub(crate) fn expected(packed: &[u8]) -> u64 {
    let length = packed.len() as u64;
    let least = told(packed).unwrap_or_default().max(length * USUAL);
    // Of several members only the last one tells its size.
    if may_have_several(packed) { least.max(length * FACTOR) } else { least }
}

impl Default for Inflater {
    fn default() -> Self {
        Self { decompressor: Decompressor::new(), buffer: Vec::new() }
    }
}

impl Inflater {
    /// Unpacks a body, which has to be smaller than `limit` when it is unpacked. The memory for that is taken of the share,
    /// which has that for the packed body already.
    pub(crate) fn gzip(&mut self, packed: &[u8], limit: u64, share: &mut Share) -> Result<&[u8], InflateError> {
        let told = told(packed).ok_or(InflateError::Damaged)?;
        // Where another member may begin, it is left to those who can tell: the fast library stops after the first one.
        if may_have_several(packed) {
            return self.members(packed, limit, share);
        }
        let possible = FACTOR * packed.len() as u64;
        let size = told.min(possible).min(limit) as usize;
        // What is damaged may tell any size: whether there is memory shows while it is unpacked.
        if !share.cover(share.bytes().saturating_add(size)) {
            return self.members(packed, limit, share);
        }
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        match self.decompressor.gzip_decompress(packed, &mut self.buffer) {
            Ok(length) if length as u64 >= limit => Err(InflateError::TooLarge),
            Ok(length) => Ok(&self.buffer[..length]),
            Err(DecompressionError::BadData) => Err(InflateError::Damaged),
            Err(DecompressionError::InsufficientSpace) if self.buffer.len() as u64 >= limit => {
                Err(InflateError::TooLarge)
            }
            // It is larger than it says, by 4 GiB or by a lie.
            Err(DecompressionError::InsufficientSpace) if possible > u64::from(u32::MAX) => {
                self.members(packed, limit, share)
            }
            Err(DecompressionError::InsufficientSpace) => Err(InflateError::Damaged),
        }
    }

    fn members(&mut self, packed: &[u8], limit: u64, share: &mut Share) -> Result<&[u8], InflateError> {
        self.buffer.clear();
        let before = share.bytes();
        let mut reader = flate2::read::MultiGzDecoder::new(packed).take(limit);
        loop {
            // As vectors grow, in steps that are asked for.
            let step = self.buffer.len().max(STEP);
            if !share.cover(before.saturating_add(self.buffer.len() + step)) {
                return Err(InflateError::NoMemory);
            }
            self.buffer.reserve(step);
            let read = reader.by_ref().take(step as u64).read_to_end(&mut self.buffer);
            if read.map_err(|_| InflateError::Damaged)? == 0 {
                break;
            }
        }
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

    use rosterd_client::Budget;

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
            assert_eq!(inflater.gzip(&gzip(text), 1 << 20, &mut Share::default()), Ok(text));
        }
        inflater.shrink();
        assert_eq!(inflater.gzip(&gzip(b"b 2\n"), 1 << 20, &mut Share::default()), Ok(&b"b 2\n"[..]));
    }

    #[test]
    fn several_members_are_one_body() {
        let packed = [gzip(b"a 1\n"), gzip(b"b 2\n")].concat();
        assert_eq!(Inflater::default().gzip(&packed, 100, &mut Share::default()), Ok(&b"a 1\nb 2\n"[..]));
    }

    #[test]
    fn a_body_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        let (mut inflater, mut share) = (Inflater::default(), Share::default());
        assert_eq!(inflater.gzip(&bomb, 1 << 20, &mut share), Err(InflateError::TooLarge));
        assert!(inflater.buffer.len() <= 1 << 20);
        assert_eq!(inflater.gzip(&gzip(b"1234"), 4, &mut share), Err(InflateError::TooLarge));
        assert_eq!(inflater.gzip(&gzip(b"123"), 4, &mut share), Ok(&b"123"[..]));
    }

    #[test]
    fn damaged_bodies_are_told() {
        let good = gzip(b"something 1\n");
        for length in 0..good.len() {
            let damaged = Inflater::default().gzip(&good[..length], 100, &mut Share::default()).err();
            assert_eq!(damaged, Some(InflateError::Damaged), "{length}");
        }
        let plain = Inflater::default().gzip(b"plain text", 100, &mut Share::default()).err();
        assert_eq!(plain, Some(InflateError::Damaged));
    }

    #[test]
    fn one_that_lies_about_its_size_is_damaged_however_much_memory_there_is() {
        for (told, memory) in [(5, u64::MAX), (100_001, u64::MAX), (u32::MAX, u64::MAX), (u32::MAX, 1 << 20)] {
            let mut liar = gzip(&vec![0; 100_000]);
            let end = liar.len();
            liar.splice(end - 4.., u32::to_le_bytes(told));
            // Enough that it could be true.
            liar.splice(10..10, [0, 0, 0, 0xff, 0xff].repeat(400));
            let (mut inflater, mut share) = (Inflater::default(), Budget::new(memory).share());
            assert_eq!(inflater.gzip(&liar, u64::MAX, &mut share), Err(InflateError::Damaged), "{told} {memory}");
            assert!(inflater.buffer.capacity() <= 4 << 20);
        }
    }

    #[test]
    fn how_large_a_body_is_can_be_told_before_it_is_unpacked() {
        let (large, small) = (gzip(&vec![0; 1 << 20]), gzip(b"a 1\n"));
        assert_eq!(expected(&large), 1 << 20);
        assert!(expected(&small) < 1000);
        assert!(expected(&[large, small].concat()) >= 1 << 20, "the last member says nothing of those before");
        assert_eq!(expected(b""), 0);
    }

    #[test]
    fn what_is_unpacked_takes_of_the_memory_for_all() {
        let budget = Budget::new(1 << 20);
        for packed in [gzip(&vec![0; 2 << 20]), [gzip(b"a 1\n"), gzip(&vec![0; 2 << 20])].concat()] {
            let (mut inflater, mut share) = (Inflater::default(), budget.share());
            assert!(share.cover(packed.len()));
            assert_eq!(inflater.gzip(&packed, u64::MAX, &mut share), Err(InflateError::NoMemory));
            assert!(inflater.buffer.capacity() <= 1 << 20);
        }
        let mut share = budget.share();
        assert_eq!(Inflater::default().gzip(&gzip(&[b'x'; 1000]), u64::MAX, &mut share), Ok(&[b'x'; 1000][..]));
        assert!((1000..2000).contains(&share.bytes()));
    }
}
