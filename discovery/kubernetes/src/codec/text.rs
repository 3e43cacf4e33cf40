//! Texts of objects, and what they are packed into.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, de};

/// A text of an object: a piece of the JSON or the record that it was read from, where that is possible.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// `null` is an empty text, as it is for Go.
impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(text.into())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(text.to_owned().into())
            }

            fn visit_unit<E: de::Error>(self) -> Result<Str<'de>, E> {
                Ok(Str::default())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A text that takes less than its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed<'t> {
    /// 36 characters that stand for 16 bytes.
    Uuid,
    Ipv4(Ipv4Addr),
    /// What stands before a hash, as in `containerd://…`, and how many bytes the hash has.
    Hex(&'t str, usize),
}

/// The shortest hash that is packed, in characters.
const SHORTEST: usize = 16;
/// What a hash may follow.
const BEFORE: [&str; 2] = ["://", ":"];
/// Where a UUID has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl<'t> Packed<'t> {
    /// How a text can be packed, if it can.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() == 36 && HYPHENS.iter().all(|at| bytes[*at] == b'-') {
            let digits = bytes.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at));
            return digits.map(|(_, byte)| *byte).all(is_digit).then_some(Self::Uuid);
        }
        if (7..=15).contains(&bytes.len()) && bytes[0].is_ascii_digit() {
            // Spelt in another way it would not come back as it was.
            let address = text.parse::<Ipv4Addr>().ok().filter(|address| address.to_string() == text);
            return address.map(Self::Ipv4);
        }
        if bytes.len() < SHORTEST {
            return None;
        }
        let start = BEFORE.iter().find_map(|before| text.rfind(before).map(|at| at + before.len())).unwrap_or(0);
        let (before, hex) = text.split_at(start);
        let is_hex = hex.len() >= SHORTEST && hex.len().is_multiple_of(2) && hex.bytes().all(is_digit);
        is_hex.then_some(Self::Hex(before, hex.len() / 2))
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// Appends the bytes that hexadecimal digits stand for; all else is left out.
pub(super) fn pack_hex(text: &str, into: &mut Vec<u8>) {
    let value = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 };
    let mut digits = text.bytes().filter(|byte| is_digit(*byte)).map(value);
    while let (Some(high), Some(low)) = (digits.next(), digits.next()) {
        into.push(high << 4 | low);
    }
}

/// The digits that stand for bytes.
pub(super) fn unpack_hex(bytes: &[u8], into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        into.push(char::from(DIGITS[usize::from(byte >> 4)]));
        into.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The text of 16 bytes.
pub(super) fn uuid(bytes: &[u8; 16]) -> String {
    let mut digits = String::with_capacity(36);
    unpack_hex(bytes, &mut digits);
    HYPHENS.iter().for_each(|at| digits.insert(*at, '-'));
    digits
}
