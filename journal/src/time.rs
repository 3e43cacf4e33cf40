//! Times of events: milliseconds since 1970, and how they are written.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time of the calendar, in milliseconds since 1970. Written as `2026-11-30T03:12:00.5Z`; read in that form with any offset,
/// as seconds since 1970, or as a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// A text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a time such as 2026-11-30T03:12:00Z, or seconds since 1970")]
pub struct TimeError;

impl Time {
    /// So long before, or the earliest there is.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// So long after, or the latest there is.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            // Further away than any calendar goes.
            Err(_) => write!(f, "{}", self.0 / 1000),
        }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if let Ok(seconds) = text.parse::<f64>() {
            return if seconds.is_finite() { Ok(Self((seconds * 1000.0) as i64)) } else { Err(TimeError) };
        }
        let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Self(time.as_millisecond())),
            Err(_) => day().map(|day| Self(day.timestamp().as_millisecond())).ok_or(TimeError),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_programs_write_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("1.5", Some(1500)),
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-01T00:00:01Z", Some(1000)),
            ("1970-01-01T01:00:00.25+01:00", Some(250)),
            ("NaN", None),
            ("yesterday", None),
        ] {
            assert_eq!(text.parse::<Time>().ok(), millis.map(Time), "{text}");
        }
    }

    #[test]
    fn a_time_is_written_so_that_it_is_read_again() {
        for millis in [0, 1, -1, 1_796_000_000_123] {
            assert_eq!(Time(millis).to_string().parse(), Ok(Time(millis)));
        }
        assert_eq!(Time(i64::MAX).to_string(), (i64::MAX / 1000).to_string());
    }
}
