//! How many requests may be under way, and when the next may begin. Pure: it is told what happened.

use std::time::Duration;

use tokio::time::Instant;

/// The pace of an endpoint. After a failure of the whole endpoint one request at a time finds out whether it works again;
/// then the number doubles with each success.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    min: Duration,
    max: Duration,
    backoff: Duration,
    until: Option<Instant>,
    allowed: usize,
}

impl Pace {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        // Without any wait a failure would be tried again in a loop.
        let min = min.max(Duration::from_millis(1));
        Self { min, max: max.max(min), backoff: min, until: None, allowed: usize::MAX }
    }

    /// How many requests may be under way.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Until when nothing may be sent.
    pub(super) fn blocked(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff = self.min;
        self.until = None;
        self.allowed = self.allowed.saturating_mul(2);
    }

    /// The endpoint as a whole does not work, and may have said for how long. That it may be asked again at once, which a date
    /// that is over says too, does not count, as in Prometheus: it would be flooded.
    pub(super) fn failed(&mut self, now: Instant, after: Option<Duration>) {
        self.allowed = 1;
        let after = after.filter(|wait| !wait.is_zero());
        // Of requests that were under way together, the first decides.
        if self.blocked(now).is_none() || after.is_some() {
            let wait = after.unwrap_or(self.backoff);
            self.until = self.until.max(now.checked_add(wait));
            self.backoff = self.backoff.saturating_mul(2).min(self.max);
        }
    }

    /// One request failed, which says little about others. Returns when to try it again.
    pub(super) fn failed_alone(&mut self, now: Instant, attempts: u32, after: Option<Duration>) -> Instant {
        self.allowed = (self.allowed.min(1 << 16) / 2).max(1);
        let doubled = self.min.saturating_mul(1 << attempts.min(20)).min(self.max);
        let wait = after.filter(|wait| !wait.is_zero()).unwrap_or(doubled);
        now.checked_add(wait).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(30);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut pace = Pace::new(MIN, MAX);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..10 {
            pace.failed(now, None);
            let until = pace.blocked(now).unwrap();
            waits.push(until.duration_since(now).as_millis());
            now = until;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3840, 5000, 5000]);
        pace.succeeded();
        assert_eq!(pace.blocked(now), None);
    }

    #[test]
    fn an_endpoint_that_works_again_is_not_flooded() {
        let mut pace = Pace::new(MIN, MAX);
        pace.failed(Instant::now(), None);
        let allowed = (0..4).map(|_| {
            let allowed = pace.allowed();
            pace.succeeded();
            allowed
        });
        assert_eq!(allowed.collect::<Vec<_>>(), [1, 2, 4, 8]);
    }

    #[test]
    fn the_receiver_says_when() {
        let mut pace = Pace::new(MIN, MAX);
        let now = Instant::now();
        pace.failed(now, None);
        pace.failed(now, Some(Duration::from_secs(60)));
        assert_eq!(pace.blocked(now), Some(now + Duration::from_secs(60)));
        assert_eq!(pace.failed_alone(now, 2, None), now + 4 * MIN);
    }

    #[test]
    fn who_wants_to_be_asked_again_at_once_is_not_flooded() {
        let (mut pace, now, at_once) = (Pace::new(MIN, MAX), Instant::now(), Some(Duration::ZERO));
        pace.failed(now, at_once);
        assert_eq!(pace.blocked(now), Some(now + MIN));
        let later = now + MIN;
        pace.failed(later, at_once);
        assert_eq!(pace.blocked(later), Some(later + 2 * MIN));
        assert_eq!(pace.failed_alone(now, 2, at_once), now + 4 * MIN);
    }
}
