//! Sizes in bytes as Prometheus writes them: `10MB`, `512KiB`, `0`. Units are powers of 1024, with and without the `i`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Coded, Priority, Retry};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

const PREFIXES: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

impl Size {
    /// No bytes; for a limit it means that there is none.
    pub const ZERO: Self = Self(0);

    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not numbers with units.
    #[error("{0:?} is not a size: write a number with a unit, as in 10MB")]
    Malformed(String),
    /// A unit that does not exist; units are `B`, `KB` or `KiB`, `MB` or `MiB` and so on.
    #[error("unknown unit {unit:?} in the size {text:?}: write B, KB, MB, GB and so on behind the number, as in 10MB")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Negative, or 8 EiB and more.
    #[error("the size {0:?} is negative or too large: it has to be below 8EiB")]
    OutOfRange(String),
}

impl Coded for SizeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "size_malformed",
            Self::UnknownUnit { .. } => "size_unknown_unit",
            Self::OutOfRange(_) => "size_out_of_range",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let malformed = || SizeError::Malformed(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(malformed());
        }
        // One text writes all its units with the `i` or all without.
        let mut spelling = None;
        let mut sum = 0f64;
        while !rest.is_empty() {
            let (number, after) = split(rest, |byte| byte == b'.' || byte.is_ascii_digit());
            let (unit, after) = split(after, |byte| byte != b'.' && !byte.is_ascii_digit());
            let number = decimal(number).ok_or_else(malformed)?;
            let unknown = || SizeError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() };
            let (exponent, binary) = exponent(unit).ok_or_else(unknown)?;
            if binary.is_some() && *spelling.get_or_insert(binary) != binary {
                return Err(unknown());
            }
            sum += number * 1024f64.powi(exponent);
            rest = after;
        }
        // 2^63 as a float is the first value that does not fit; -0.4 bytes are no bytes.
        if sum >= 9_223_372_036_854_775_808f64 || (negative && sum >= 1.0) {
            return Err(SizeError::OutOfRange(text.to_owned()));
        }
        Ok(Self(sum as u64))
    }
}

/// The power of 1024 and, for all but plain bytes, whether it is spelt with an `i`.
fn exponent(unit: &str) -> Option<(i32, Option<bool>)> {
    if unit == "B" {
        return Some((0, None));
    }
    let (prefix, suffix) = (unit.chars().next()?, unit.get(1..)?);
    let index = PREFIXES.iter().position(|known| *known == prefix)?;
    match suffix {
        "B" => Some((index as i32 + 1, Some(false))),
        "iB" => Some((index as i32 + 1, Some(true))),
        _ => None,
    }
}

/// Digits with at most one point, of which either side may be missing; at most 18 digits on a side.
fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |side: &str| side.len() <= 18 && side.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
        return None;
    }
    text.trim_end_matches('.').parse().ok()
}

fn split(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len()))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        for (index, prefix) in PREFIXES.iter().enumerate().rev() {
            let count = (self.0 >> (10 * (index + 1))) & if *prefix == 'E' { u64::MAX } else { 1023 };
            if count > 0 {
                write!(f, "{count}{prefix}iB")?;
            }
        }
        match self.0 & 1023 {
            0 => Ok(()),
            bytes => write!(f, "{bytes}B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer, "a size such as 10MB or 512KiB")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_spellings_are_powers_of_1024() {
        for (text, bytes, shown) in [
            ("0", 0, "0B"),
            ("0B", 0, "0B"),
            ("1B", 1, "1B"),
            ("1KB", 1024, "1KiB"),
            ("1KiB", 1024, "1KiB"),
            ("10MB", 10 << 20, "10MiB"),
            ("1.5GiB", 3 << 29, "1GiB512MiB"),
            (".5KB", 512, "512B"),
            ("5.KB", 5120, "5KiB"),
            ("1GB1B", (1 << 30) + 1, "1GiB1B"),
            ("+2TB", 2 << 40, "2TiB"),
            ("7EiB", 7 << 60, "7EiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        for (text, code) in [
            ("", "size_malformed"),
            ("-", "size_malformed"),
            ("B", "size_malformed"),
            (".KB", "size_malformed"),
            ("1.2.3KB", "size_malformed"),
            (" 1KB", "size_malformed"),
            ("10", "size_unknown_unit"),
            ("1kB", "size_unknown_unit"),
            ("1K", "size_unknown_unit"),
            ("1é", "size_unknown_unit"),
            ("1MiB1KB", "size_unknown_unit"),
            ("8EB", "size_out_of_range"),
            ("-1KB", "size_out_of_range"),
        ] {
            assert_eq!(text.parse::<Size>().unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn serde_uses_the_text() {
        assert_eq!(serde_json::to_string(&Size::from_bytes(2048)).unwrap(), r#""2KiB""#);
        assert_eq!(serde_yaml::from_str::<Size>("10MB").unwrap(), Size::from_bytes(10 << 20));
        assert_eq!(serde_yaml::from_str::<Size>("0").unwrap(), Size::ZERO);
        assert!(serde_yaml::from_str::<Size>("10").is_err());
    }

    proptest! {
        #[test]
        fn each_size_reads_back(bytes in 0..1u64 << 53) {
            let size = Size::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
    }
}
