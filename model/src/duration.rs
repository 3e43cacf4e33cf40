//! Durations as Prometheus writes them: `1d12h`, `30s`, `500ms`, `0`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as Std;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Coded, Priority, Retry};

/// A span of time in whole milliseconds, written with units from years to milliseconds.
///
/// A year has 365 days, a week seven, a day 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

/// Name, milliseconds, and whether it is only written when nothing is left over: `90d` reads better than `12w6d`.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1000, false),
    ("ms", 1, false),
];

/// The longest duration that a Prometheus can hold: 2^63 - 1 nanoseconds.
const MAX_MILLIS: u64 = i64::MAX as u64 / 1_000_000;

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A duration of so many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// A duration of so many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The duration in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The duration in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.as_std().as_secs_f64()
    }

    /// The duration for the clock.
    pub const fn as_std(self) -> Std {
        Std::from_millis(self.0)
    }

    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// What lies below a millisecond is cut off.
impl From<Std> for Duration {
    fn from(duration: Std) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for Std {
    fn from(duration: Duration) -> Self {
        duration.as_std()
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was written.
    #[error("the duration is empty: write one such as 15s")]
    Empty,
    /// Not numbers with units, or units not from the largest to the smallest.
    #[error("{0:?} is not a duration: write whole numbers with units, the largest first, as in 15s or 1d12h")]
    Malformed(String),
    /// A unit that does not exist.
    #[error(
        "unknown unit {unit:?} in the duration {text:?}: write whole numbers with ms, s, m, h, d, w or y, as in 1m30s"
    )]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// More than some 292 years.
    #[error("the duration {0:?} is too long: the longest is some 292 years")]
    OutOfRange(String),
}

impl Coded for DurationError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "duration_empty",
            Self::Malformed(_) => "duration_malformed",
            Self::UnknownUnit { .. } => "duration_unknown_unit",
            Self::OutOfRange(_) => "duration_out_of_range",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let malformed = || DurationError::Malformed(text.to_owned());
        let out_of_range = || DurationError::OutOfRange(text.to_owned());
        match text {
            "" => return Err(DurationError::Empty),
            "0" => return Ok(Self::ZERO),
            _ => {}
        }
        let mut rest = text;
        let mut sum = 0u64;
        let mut allowed = 0;
        while !rest.is_empty() {
            let (digits, after) = split(rest, |byte| byte.is_ascii_digit());
            let number: u64 = digits.parse().map_err(|_| malformed())?;
            let (unit, after) = split(after, |byte| !byte.is_ascii_digit());
            if unit.is_empty() {
                return Err(malformed());
            }
            let Some(index) = UNITS.iter().position(|(name, ..)| *name == unit) else {
                return Err(DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
            };
            if index < allowed {
                return Err(malformed());
            }
            allowed = index + 1;
            sum = number
                .checked_mul(UNITS[index].1)
                .and_then(|millis| sum.checked_add(millis))
                .filter(|millis| *millis <= MAX_MILLIS)
                .ok_or_else(out_of_range)?;
            rest = after;
        }
        Ok(Self(sum))
    }
}

/// Splits after the bytes that satisfy the predicate, which must not tell bytes of one character apart.
fn split(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len()))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, millis, only_exact) in UNITS {
            let count = rest / millis;
            if count > 0 && (!only_exact || rest.is_multiple_of(millis)) {
                write!(f, "{count}{name}")?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer, "a duration such as 30s or 1d12h")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_from_the_largest_to_the_smallest() {
        for (text, millis, shown) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("0w0ms", 0, "0s"),
            ("7ms", 7, "7ms"),
            ("090s", 90_000, "1m30s"),
            ("1d12h", 129_600_000, "1d12h"),
            ("2w", 1_209_600_000, "2w"),
            ("15d", 1_296_000_000, "15d"),
            ("1y2w", 32_745_600_000, "379d"),
            ("730d", 63_072_000_000, "2y"),
            ("1y1w1d1h1m1s1ms", 32_230_861_001, "373d1h1m1s1ms"),
            ("292y", 9_208_512_000_000, "292y"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration.as_millis(), duration.to_string().as_str()), (millis, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, code) in [
            ("", "duration_empty"),
            ("1", "duration_malformed"),
            ("-1s", "duration_malformed"),
            ("s", "duration_malformed"),
            (" 1s", "duration_malformed"),
            ("1m1d", "duration_malformed"),
            ("1s1s", "duration_malformed"),
            ("1.5h", "duration_unknown_unit"),
            ("1min", "duration_unknown_unit"),
            ("1é", "duration_unknown_unit"),
            ("1s ", "duration_unknown_unit"),
            ("293y", "duration_out_of_range"),
            ("292y9000h", "duration_out_of_range"),
            ("18446744073709551615y", "duration_out_of_range"),
            ("18446744073709551616s", "duration_malformed"),
        ] {
            assert_eq!(text.parse::<Duration>().unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn serde_uses_the_text() {
        let duration = Duration::from_secs(90);
        assert_eq!(serde_json::to_string(&duration).unwrap(), r#""1m30s""#);
        assert_eq!(serde_json::from_str::<Duration>(r#""1m30s""#).unwrap(), duration);
        assert_eq!(serde_yaml::from_str::<Duration>("0").unwrap(), Duration::ZERO);
        assert!(serde_yaml::from_str::<Duration>("15").is_err());
    }

    proptest! {
        #[test]
        fn each_duration_reads_back(millis in 0..=MAX_MILLIS) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
        }
    }
}
