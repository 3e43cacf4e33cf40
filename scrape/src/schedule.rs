//! When targets are scraped: each on a grid of its own, which is fixed in time and differs from target to target, so that
//! scrapes are spread and stay where they were over restarts. Grids stand on ticks of an agent, so that what is due at about
//! the same time wakes it once: waking up with cold caches costs as much as a small scrape. Pure.

use std::time::Duration;

use rosterd_model::Labels;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Ticks are this far apart, for intervals that have a hundred of them; for others they are closer.
const TICK_NS: u64 = 50_000_000;
const TICKS: u64 = 100;

/// A scrape that begins this late still counts as one of the grid's time, at most, as in Prometheus.
const TOLERANCE_NS: u64 = 2_000_000;

/// Moves the grids of one agent against those of others: of its replicas, which have other external labels, and of other
/// hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seed(u64);

impl Seed {
    /// The seed of this host and these external labels.
    pub fn new<'a>(host: &str, external_labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hasher = Xxh3Default::new();
        hasher.update(host.as_bytes());
        for text in external_labels.flat_map(|(name, value)| [name, value]) {
            hasher.update(&[0]);
            hasher.update(text.as_bytes());
        }
        Self(hasher.digest())
    }
}

/// The points in time at which a target is scraped, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    interval: u64,
    offset: u64,
}

impl Grid {
    /// The grid of a target with these final labels.
    pub(crate) fn new(labels: &Labels, interval: Duration, seed: Seed) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let tick = (interval / TICKS).clamp(1, TICK_NS);
        // Hashed once more: the bits of two hashes that are put together alike would be equal in too many places.
        let mixed = xxh3_64(&(labels.fingerprint() ^ seed.0).to_le_bytes());
        let offset = mixed % interval;
        // The ticks of agents differ: what they scrape in common, and whom they send to, has to do with one at a time.
        Self { interval, offset: (offset - offset % tick + seed.0 % tick) % interval }
    }

    /// How far its points are apart.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// How long it is from this moment to the next point: more than 0, at most an interval.
    pub(crate) fn until_next(self, now: u64) -> Duration {
        Duration::from_nanos(self.interval - self.since_last(now))
    }

    /// How long it is from the start of a scrape to the next one: the next point that is not about the same.
    pub(crate) fn until_next_after(self, start: u64) -> Duration {
        let half = self.interval / 2;
        Duration::from_nanos(half) + self.until_next(start.saturating_add(half))
    }

    /// The timestamp, in milliseconds, of a scrape that begins at this moment: the grid's where that is only just past, so
    /// that timestamps are evenly spaced and compress well.
    pub(crate) fn timestamp(self, start: u64) -> i64 {
        let late = self.since_last(start);
        let start = if late <= TOLERANCE_NS.min(self.interval / 100) { start - late } else { start };
        (start / 1_000_000) as i64
    }

    fn since_last(self, now: u64) -> u64 {
        // Both are below the interval, but their sum may be above it.
        let phase = now % self.interval;
        if phase >= self.offset { phase - self.offset } else { phase + (self.interval - self.offset) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn labels(name: &str) -> Labels {
        [("__address__", name)].into_iter().collect()
    }

    #[test]
    fn targets_are_spread_over_the_interval_and_stay_where_they_are() {
        let seed = Seed::new("host", [("replica", "a")].into_iter());
        let interval = Duration::from_secs(10);
        let mut tenths = [0; 10];
        for number in 0..1000 {
            let grid = Grid::new(&labels(&format!("h{number}:1")), interval, seed);
            assert_eq!(grid, Grid::new(&labels(&format!("h{number}:1")), interval, seed));
            tenths[(grid.until_next(0).as_nanos() as u64 / SECOND % 10) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn what_is_due_at_about_the_same_time_is_due_at_the_same_time() {
        let seed = Seed::new("host", std::iter::empty());
        for (interval, apart, most) in [(60_000, 50, 1200), (10_000, 50, 200), (1000, 10, 100), (50, 0, 100)] {
            let mut times = std::collections::BTreeMap::<u64, usize>::new();
            for number in 0..20_000 {
                let grid = Grid::new(&labels(&format!("h{number}:1")), Duration::from_millis(interval), seed);
                *times.entry(grid.until_next(0).as_nanos() as u64).or_default() += 1;
            }
            assert!((most - 1..=most).contains(&times.len()), "{interval}: {} points in time", times.len());
            let gaps = times.keys().zip(times.keys().skip(1)).map(|(one, next)| (next - one) / 1_000_000);
            assert_eq!(gaps.min(), Some(apart), "{interval}");
            // As even as chance is: no tick gets much more than its share.
            let (mean, largest) = (20_000 / most, *times.values().max().unwrap());
            assert!(largest < mean + 7 * mean.isqrt(), "{interval}: {largest} at once, {mean} on the average");
        }
        let at = |host| {
            let seed = Seed::new(host, std::iter::empty());
            Grid::new(&labels("h:1"), Duration::from_secs(60), seed).offset % TICK_NS
        };
        assert_ne!(at("a"), at("b"), "agents do not wake up together");
    }

    #[test]
    fn replicas_scrape_at_other_times() {
        let grid = |replica| {
            let seed = Seed::new("host", [("replica", replica)].into_iter());
            Grid::new(&labels("h:1"), Duration::from_secs(60), seed)
        };
        assert_ne!(grid("a"), grid("b"));
        assert_ne!(Seed::new("a", std::iter::empty()), Seed::new("b", std::iter::empty()));
    }

    #[test]
    fn a_scrape_that_is_just_late_has_the_time_of_the_grid() {
        let grid = Grid { interval: 10 * SECOND, offset: 3 * SECOND };
        assert_eq!(grid.timestamp(13 * SECOND), 13_000);
        assert_eq!(grid.timestamp(13 * SECOND + 2_000_000), 13_000);
        assert_eq!(grid.timestamp(13 * SECOND + 2_000_001), 13_002);
        assert_eq!(grid.timestamp(13 * SECOND - 1), 12_999);
        let short = Grid { interval: SECOND / 10, offset: 0 };
        assert_eq!((short.timestamp(SECOND + 1_000_000), short.timestamp(SECOND + 1_500_000)), (1000, 1001));
    }

    proptest! {
        #[test]
        fn scrapes_are_an_interval_apart(now in SECOND..u64::MAX / 4, interval in 1u64..100_000, offset: u64, early in 0u64..100, late in 0u64..400) {
            let interval = interval * 1_000_000;
            let grid = Grid { interval, offset: offset % interval };
            let first = now + grid.until_next(now).as_nanos() as u64;
            prop_assert!(first > now && first - now <= interval);
            prop_assert_eq!(grid.since_last(first), 0);
            // However early or late it begins, the next one is the next point.
            for start in [first - interval * early / 1000, first + interval * late / 1000] {
                prop_assert_eq!(start + grid.until_next_after(start).as_nanos() as u64, first + interval);
            }
        }
    }
}
