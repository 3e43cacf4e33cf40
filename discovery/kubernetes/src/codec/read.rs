//! Reads records.

use std::net::Ipv4Addr;

use super::text::{unpack_hex, uuid};
use super::write::tag;
use super::{Interner, Str};

/// A record that is read from its front.
#[derive(Debug)]
pub(crate) struct In<'a> {
    bytes: &'a [u8],
    interner: &'a Interner,
    used: Option<Vec<u32>>,
}

impl<'a> In<'a> {
    /// Reads these bytes, whose shared texts are in this interner.
    pub(crate) fn new(bytes: &'a [u8], interner: &'a Interner) -> Self {
        Self { bytes, interner, used: None }
    }

    /// The same, and remembers which shared texts there are.
    pub(crate) fn noting(bytes: &'a [u8], interner: &'a Interner) -> Self {
        Self { used: Some(Vec::new()), ..Self::new(bytes, interner) }
    }

    /// The numbers of the shared texts, each as often as it was met.
    pub(crate) fn used(self) -> Vec<u32> {
        self.used.unwrap_or_default()
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// The next text.
    pub(crate) fn text(&mut self) -> Option<Str<'a>> {
        let first = self.number()?;
        let (tag, rest) = (first & 3, first >> 2);
        match tag {
            tag::INLINE => Some(std::str::from_utf8(self.bytes(rest)?).ok()?.into()),
            tag::SHARED => {
                let number = u32::try_from(rest).ok()?;
                if let Some(used) = &mut self.used {
                    used.push(number);
                }
                Some(self.interner.text(number)?.into())
            }
            tag::HEX => self.hex(String::new(), rest),
            _ => match rest {
                tag::UUID => Some(uuid(self.bytes(16)?.try_into().ok()?).into()),
                tag::IPV4 => {
                    let octets: [u8; 4] = self.bytes(4)?.try_into().ok()?;
                    Some(Ipv4Addr::from(octets).to_string().into())
                }
                tag::AFTER => {
                    let before = self.text()?.0.into_owned();
                    let length = self.number()?;
                    self.hex(before, length)
                }
                _ => None,
            },
        }
    }

    fn hex(&mut self, mut text: String, length: u64) -> Option<Str<'a>> {
        unpack_hex(self.bytes(length)?, &mut text);
        Some(text.into())
    }

    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.bytes.split_at_checked(usize::try_from(count).ok()?)?;
        self.bytes = rest;
        Some(bytes)
    }
}
