//! How pages and subcommands put times and counts into words. Pure.

use std::time::{Duration, SystemTime};

use rosterd_scrape::Statuses;

use crate::roster::view::JobView;
use crate::scrape::ToScrape;

/// How many targets of a job are how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) up: usize,
    pub(super) down: usize,
    pub(super) unknown: usize,
    /// Other members scrape them, and know how they are.
    pub(super) elsewhere: usize,
}

impl Tally {
    /// Who has no status counts as unknown, unless there are other members.
    pub(super) fn of(job: &JobView, statuses: &Statuses, scraped: &ToScrape) -> Self {
        let [up, down, unknown] = statuses.counts(&job.spec().name);
        let rest = job.counts().targets.saturating_sub(up + down);
        let unknown = if scraped.is_shared(&job.spec().name) { unknown.min(rest) } else { rest };
        Self { up, down, unknown, elsewhere: rest - unknown }
    }
}

/// A time for people, and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) words: String,
    pub(crate) rfc3339: String,
}

impl Moment {
    /// `5m ago`, `in 30s`, `now`.
    pub(crate) fn of(time: SystemTime, now: SystemTime) -> Self {
        let words = match now.duration_since(time) {
            Ok(past) => format!("{} ago", coarse(past)),
            Err(ahead) if ahead.duration() < Duration::from_secs(1) => "now".to_owned(),
            Err(ahead) => format!("in {}", coarse(ahead.duration())),
        };
        Self { words, rfc3339: super::status::rfc3339(time) }
    }

    /// Of what is still to come: what should have been by now is due, `now`.
    pub(crate) fn due(time: SystemTime, now: SystemTime) -> Self {
        let Self { words, .. } = Self::of(time.max(now + Duration::from_nanos(1)), now);
        Self { words, rfc3339: super::status::rfc3339(time) }
    }
}

/// The largest unit and the next one: `59s`, `4m10s`, `2d3h`.
pub(super) fn coarse(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    let largest = UNITS.iter().position(|(size, _)| seconds >= *size).unwrap_or(UNITS.len() - 1);
    let (size, unit) = UNITS[largest];
    let mut words = format!("{}{unit}", seconds / size);
    if let Some((next, unit)) = UNITS.get(largest + 1)
        && seconds % size >= *next
    {
        words.push_str(&format!("{}{unit}", seconds % size / next));
    }
    words
}

/// `870µs`, `12.3ms`, `1.52s`.
pub(crate) fn fine(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        0.0..0.001 => format!("{}µs", duration.as_micros()),
        0.001..1.0 => format!("{:.1}ms", seconds * 1e3),
        _ => format!("{seconds:.2}s"),
    }
}

/// `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Digits by threes, with narrow spaces that do not break: `12 345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            words.push('\u{202f}');
        }
        words.push(digit);
    }
    words
}

/// `1 job`, `3 jobs`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    let many = if number == 1 { "" } else { "s" };
    format!("{} {what}{many}", grouped(number as u64))
}

/// A source of a provider as people know it: that of `static_configs` is the number of an entry.
pub(crate) fn source_of(provider: &str, source: &str) -> String {
    match source.parse::<usize>() {
        Ok(index) if provider.starts_with("static/") => format!("entry {} of static_configs", index.saturating_add(1)),
        _ => source.to_owned(),
    }
}

/// How many names are named at most, and how long they may be together before others are only counted.
const NAMED: usize = 10;
const NAMED_BYTES: usize = 300;

/// The first of some names, and how many there are besides: `a, b and 2 more`.
pub(crate) fn few<N: AsRef<str>>(names: &[N]) -> String {
    let mut words = String::new();
    for (index, name) in names.iter().enumerate() {
        if index == NAMED || words.len() > NAMED_BYTES {
            words.push_str(&format!(" and {} more", grouped((names.len() - index) as u64)));
            break;
        }
        if index > 0 {
            words.push_str(", ");
        }
        words.push_str(name.as_ref());
    }
    words
}

/// A name that a person chose, told from the words around it: `“web”`.
pub(super) fn quoted(name: &str) -> String {
    format!("“{name}”")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_static_configs_the_entry_is_told_and_of_others_the_source() {
        let told = |provider, source| source_of(provider, source);
        assert_eq!(told("static/1", "0"), "entry 1 of static_configs");
        assert_eq!((told("file/1", "0"), told("static/1", "s")), ("0".to_owned(), "s".to_owned()));
    }

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (seconds, words) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (250, "4m10s"), (3_605, "1h"), (90_000, "1d1h"), (864_000, "10d")]
        {
            assert_eq!(coarse(Duration::from_secs(seconds)), words);
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(Moment::of(SystemTime::UNIX_EPOCH, now).words, "1m40s ago");
        assert_eq!(Moment::of(now + Duration::from_secs(30), now).words, "in 30s");
        let ahead = |millis| Moment::due(SystemTime::UNIX_EPOCH + Duration::from_millis(millis), now).words;
        assert_eq!([99_000, 100_000, 100_999, 101_000].map(ahead), ["now", "now", "now", "in 1s"]);
        assert_eq!(Moment::of(now + Duration::from_millis(10), now).words, "now");
    }

    #[test]
    fn short_durations_keep_their_digits() {
        for (micros, words) in [(0, "0µs"), (870, "870µs"), (12_345, "12.3ms"), (1_524_000, "1.52s")] {
            assert_eq!(fine(Duration::from_micros(micros)), words);
        }
    }

    #[test]
    fn digits_stand_by_threes() {
        for (number, words) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(number).replace('\u{202f}', " "), words);
        }
    }

    #[test]
    fn one_is_not_many() {
        let words = [0, 1, 2, 1000].map(|number| counted(number, "job").replace('\u{202f}', " "));
        assert_eq!(words, ["0 jobs", "1 job", "2 jobs", "1 000 jobs"]);
        assert_eq!(quoted("a b"), "“a b”");
    }

    #[test]
    fn of_many_names_the_first_are_named_and_the_others_counted() {
        assert_eq!(few::<&str>(&[]), "");
        assert_eq!(few(&["a"]), "a");
        let many: Vec<_> = (0..1500).map(|number| format!("j{number}")).collect();
        assert_eq!(few(&many[..10]), "j0, j1, j2, j3, j4, j5, j6, j7, j8, j9");
        let words = few(&many).replace('\u{202f}', " ");
        assert_eq!(words, "j0, j1, j2, j3, j4, j5, j6, j7, j8, j9 and 1 490 more");
        let long = vec!["x".repeat(400); 3];
        assert_eq!(few(&long), format!("{} and 2 more", "x".repeat(400)));
    }

    #[test]
    fn bytes_have_the_unit_that_suits_them() {
        for (size, words) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(size), words);
        }
    }
}
