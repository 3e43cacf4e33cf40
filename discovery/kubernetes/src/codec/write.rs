//! Writes records.

use super::Interner;
use super::text::{Packed, pack_hex};

/// What a text begins with: two bits say how it is written, the rest how long it is or which one.
pub(super) mod tag {
    pub(in crate::codec) const INLINE: u64 = 0;
    pub(in crate::codec) const SHARED: u64 = 1;
    pub(in crate::codec) const HEX: u64 = 2;
    pub(in crate::codec) const SPECIAL: u64 = 3;
    pub(in crate::codec) const UUID: u64 = 0;
    pub(in crate::codec) const IPV4: u64 = 1;
    /// Another text and then a hash of 32 bytes.
    pub(in crate::codec) const AFTER: u64 = 2;
}

/// Where a record is written to.
///
/// Without an interner all texts are written as they are: equal objects become equal bytes, whatever else there is.
#[derive(Debug)]
pub(crate) struct Out<'w> {
    bytes: &'w mut Vec<u8>,
    interner: Option<&'w mut Interner>,
}

impl<'w> Out<'w> {
    /// The same bytes for equal objects.
    pub(crate) fn plain(bytes: &'w mut Vec<u8>) -> Self {
        Self { bytes, interner: None }
    }

    /// As few bytes as possible.
    pub(crate) fn compact(bytes: &'w mut Vec<u8>, interner: &'w mut Interner) -> Self {
        Self { bytes, interner: Some(interner) }
    }

    /// Appends a number: seven bits a byte.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Appends a text that others may have too.
    pub(crate) fn text(&mut self, text: &str) {
        if self.interner.is_none() || text.len() < 3 {
            return self.own(text);
        }
        if let Some(packed) = Packed::of(text) {
            return self.packed(text, packed);
        }
        match self.interner.as_mut().and_then(|interner| interner.offer(text)) {
            Some(number) => self.number(u64::from(number) << 2 | tag::SHARED),
            None => self.own(text),
        }
    }

    /// Appends a text that no other has.
    pub(crate) fn own(&mut self, text: &str) {
        self.number((text.len() as u64) << 2 | tag::INLINE);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn packed(&mut self, text: &str, packed: Packed<'_>) {
        match packed {
            Packed::Uuid => {
                self.number(tag::UUID << 2 | tag::SPECIAL);
                pack_hex(text, self.bytes);
            }
            Packed::Ipv4(address) => {
                self.number(tag::IPV4 << 2 | tag::SPECIAL);
                self.bytes.extend_from_slice(&address.octets());
            }
            Packed::Hex("", length) => {
                self.number((length as u64) << 2 | tag::HEX);
                pack_hex(text, self.bytes);
            }
            Packed::Hex(before, length) => {
                self.number(tag::AFTER << 2 | tag::SPECIAL);
                self.text(before);
                self.number(length as u64);
                pack_hex(&text[before.len()..], self.bytes);
            }
        }
    }
}
