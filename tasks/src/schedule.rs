//! When something is done again: intervals with jitter, and pauses that grow after failures. Pure.

use std::time::Duration;

use rosterd_model::Retry;
use xxhash_rust::xxh3::xxh3_64;

/// The longest wait after a failure, unless the other side asked for more or the interval is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// Which machine this is, so that equal configurations on many machines do not ask one source all at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Machine(u64);

impl Machine {
    /// The machine with this name.
    pub fn named(name: &str) -> Self {
        Self(xxh3_64(name.as_bytes()))
    }

    /// Where chance begins for something of this name: the same each time, and different on every machine.
    pub fn seed(self, name: &str) -> u64 {
        xxh3_64(name.as_bytes()) ^ self.0
    }
}

/// When a polling discoverer reads its source. Pure: it is told what happened and answers how long to wait.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval: Duration,
    seed: u64,
    failures: u32,
}

impl Schedule {
    /// A schedule; `name` spreads what has equal intervals on one machine.
    pub fn new(interval: Duration, name: &str) -> Self {
        Self { interval, seed: xxh3_64(name.as_bytes()), failures: 0 }
    }

    /// The same, spread over machines too.
    #[must_use]
    pub fn on(mut self, machine: Machine) -> Self {
        self.seed ^= machine.0;
        self
    }

    /// The wait after a read that succeeded: the interval, give or take up to 5 %.
    pub fn succeeded(&mut self) -> Duration {
        self.failures = 0;
        self.seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        self.interval.mul_f64(0.95 + 0.1 * self.fraction())
    }

    /// The wait after a failure: doubling from a second up to the interval (a minute at most), or what the error asks.
    pub fn failed(&mut self, retry: Retry) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        let ceiling = self.interval.clamp(FIRST_BACKOFF, LONGEST_BACKOFF);
        let doubled = FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(16)).min(ceiling);
        match retry {
            Retry::Backoff => doubled.mul_f64(0.75 + 0.25 * self.fraction()),
            Retry::After(wait) => wait.max(doubled),
            Retry::Interval | Retry::Never => self.interval.max(doubled),
        }
    }

    /// Between 0 and 1.
    fn fraction(&self) -> f64 {
        (self.seed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_interval_is_jittered_by_at_most_a_twentieth() {
        let mut schedule = Schedule::new(MINUTE, "dns/1");
        let waits: Vec<_> = (0..100).map(|_| schedule.succeeded()).collect();
        assert!(waits.iter().all(|wait| (57.0..=63.0).contains(&wait.as_secs_f64())), "{waits:?}");
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "no jitter at all");
    }

    #[test]
    fn machines_wait_differently_and_each_always_the_same() {
        let waits = |machine: &str, name: &str| {
            let mut schedule = Schedule::new(MINUTE, name).on(Machine::named(machine));
            [schedule.succeeded(), schedule.failed(Retry::Backoff), schedule.succeeded()]
        };
        assert_eq!(waits("a", "dns/1"), waits("a", "dns/1"));
        for (machine, name) in [("b", "dns/1"), ("a", "dns/2")] {
            let pairs = waits("a", "dns/1").into_iter().zip(waits(machine, name));
            assert!(pairs.into_iter().all(|(one, other)| one != other), "{machine} {name}");
        }
    }

    #[test]
    fn the_first_failure_does_not_cost_an_interval() {
        let mut schedule = Schedule::new(MINUTE, "dns/1");
        assert!(schedule.failed(Retry::Backoff) <= Duration::from_secs(1));
        let last = (0..20).map(|_| schedule.failed(Retry::Backoff)).last().expect("twenty waits");
        assert!((45.0..=60.0).contains(&last.as_secs_f64()), "{last:?}");
        schedule.succeeded();
        assert!(schedule.failed(Retry::Backoff) <= Duration::from_secs(1));
    }

    #[test]
    fn the_error_decides_when_it_knows_better() {
        let mut schedule = Schedule::new(MINUTE, "http/1");
        assert_eq!(schedule.failed(Retry::After(Duration::from_secs(300))), Duration::from_secs(300));
        assert_eq!(schedule.failed(Retry::Interval), MINUTE);
        for _ in 0..10 {
            schedule.failed(Retry::Backoff);
        }
        assert_eq!(schedule.failed(Retry::After(Duration::from_secs(1))), MINUTE, "it goes on failing");
    }
}
