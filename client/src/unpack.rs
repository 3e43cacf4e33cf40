//! Unpacks gzip while it comes, as Go's `net/http` does: it may be of several members, one behind the other. Pure.

use std::io::{self, Write};

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;

/// A body that is unpacked piece by piece, each of them at most some ten kB.
#[derive(Debug)]
pub(crate) struct Unpacker {
    decoder: MultiGzDecoder<Vec<u8>>,
    packed: Bytes,
    began: bool,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), packed: Bytes::new(), began: false }
    }
}

impl Unpacker {
    /// Takes a piece of the packed body; the one before has to be unpacked.
    pub(crate) fn push(&mut self, packed: Bytes) {
        self.began |= !packed.is_empty();
        self.packed = packed;
    }

    /// The next piece of the body, as far as it came.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.packed.is_empty() {
            // Takes only as much as fits into a buffer of the decoder.
            let taken = self.decoder.write(&self.packed)?;
            self.packed.advance(taken);
            if !self.decoder.get_ref().is_empty() {
                return Ok(Some(std::mem::take(self.decoder.get_mut()).into()));
            }
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(None)
    }

    /// The last piece, when no more comes. Fails when there should. Nothing at all is an empty body.
    pub(crate) fn end(&mut self) -> io::Result<Option<Bytes>> {
        if !std::mem::take(&mut self.began) {
            return Ok(None);
        }
        self.decoder.try_finish()?;
        let last = std::mem::take(self.decoder.get_mut());
        Ok((!last.is_empty()).then(|| last.into()))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    /// The body, of which so many bytes come at a time, and its largest piece.
    fn unpack(packed: &[u8], at_once: usize) -> io::Result<(Vec<u8>, usize)> {
        let (mut unpacker, mut body, mut largest) = (Unpacker::default(), Vec::new(), 0);
        let mut take = |piece: Bytes| {
            largest = largest.max(piece.len());
            body.extend_from_slice(&piece);
        };
        for piece in packed.chunks(at_once) {
            unpacker.push(Bytes::copy_from_slice(piece));
            while let Some(piece) = unpacker.next()? {
                take(piece);
            }
        }
        while let Some(piece) = unpacker.end()? {
            take(piece);
        }
        Ok((body, largest))
    }

    #[test]
    fn what_is_packed_well_does_not_come_out_at_once() {
        let (body, largest) = unpack(&gzip(&vec![0; 2 << 20]), usize::MAX).expect("it is good");
        assert_eq!(body.len(), 2 << 20);
        assert!(largest <= 64 << 10, "{largest}");
    }

    #[test]
    fn what_is_cut_off_damaged_or_something_else_is_told() {
        let good = [gzip(b"one"), gzip(b"two")].concat();
        let first = gzip(b"one").len();
        for length in (1..good.len()).filter(|length| *length != first) {
            assert!(unpack(&good[..length], 7).is_err(), "{length}");
        }
        for at in [first - 1, good.len() - 5] {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            assert!(unpack(&damaged, 7).is_err(), "{at}");
        }
        assert!(unpack(b"[{\"targets\": []}]", 7).is_err());
        assert!(unpack(&[gzip(b"one"), b"\0\0".to_vec()].concat(), 100).is_err(), "as Go does");
        assert_eq!(unpack(b"", 1).expect("as Go does").0, b"");
    }

    proptest! {
        #[test]
        fn members_are_one_body_however_they_come(
            members in proptest::collection::vec("[a-c]{0,200}", 1..5), at_once in 1_usize..300,
        ) {
            let packed: Vec<u8> = members.iter().flat_map(|text| gzip(text.as_bytes())).collect();
            prop_assert_eq!(unpack(&packed, at_once).expect("it is good").0, members.concat().into_bytes());
        }
    }
}
