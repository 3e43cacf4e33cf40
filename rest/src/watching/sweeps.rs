//! When all things that take turns are asked about out of turn, because something is said to have changed. Pure.
//!
//! Who tells that something has changed does not tell what, and often it is nothing that counts. So sweeps take up no more than a part of
//! the time, and come later and later as long as they find nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::Pace;

/// The least time from the end of a sweep to the beginning of the next one, and that in lengths of a sweep.
const LEAST: Duration = Duration::from_secs(1);
const TIMES: u32 = 9;

#[derive(Debug)]
pub(super) struct Sweeps {
    state: State,
    /// Before this none begins.
    rests: Instant,
    /// How many found nothing, in a row.
    idle: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Rests,
    /// One begins when its time comes.
    Waits,
    Sweeps {
        begun: Instant,
        found: bool,
        /// Something has changed since it began.
        again: bool,
    },
}

impl Sweeps {
    pub(super) fn new(now: Instant) -> Self {
        Self { state: State::Rests, rests: now, idle: 0 }
    }

    /// Something has changed. How long to wait before a sweep, unless one waits already, or goes on.
    pub(super) fn hint(&mut self, now: Instant) -> Option<Duration> {
        match &mut self.state {
            State::Rests => {
                self.state = State::Waits;
                Some(self.rests.saturating_duration_since(now))
            }
            State::Waits => None,
            State::Sweeps { again, .. } => {
                *again = true;
                None
            }
        }
    }

    /// One begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.state = State::Sweeps { begun: now, found: false, again: false };
    }

    /// It found something.
    pub(super) fn finds(&mut self) {
        if let State::Sweeps { found, .. } = &mut self.state {
            *found = true;
        }
    }

    /// It has ended. How long to wait before the next one, if something has changed meanwhile.
    pub(super) fn end(&mut self, now: Instant, pace: &Pace) -> Option<Duration> {
        let State::Sweeps { begun, found, again } = self.state else { return None };
        self.idle = if found { 0 } else { self.idle.saturating_add(1) };
        let later = LEAST.saturating_mul(1 << self.idle.min(16)).min(pace.interval);
        let rest = later.max(now.saturating_duration_since(begun) * TIMES).max(LEAST);
        self.rests = now + rest;
        self.state = if again { State::Waits } else { State::Rests };
        again.then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { interval: Duration::from_secs(30), wait: Duration::from_secs(120), least: Duration::from_secs(30) };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_first_hint_is_followed_at_once_and_others_when_the_sweep_has_rested() {
        let start = Instant::now();
        let mut sweeps = Sweeps::new(start);
        assert_eq!(sweeps.hint(start), Some(Duration::ZERO));
        assert_eq!(sweeps.hint(start), None, "it waits already");
        sweeps.begin(start);
        assert_eq!(sweeps.hint(start), None, "it goes on");
        sweeps.finds();
        assert_eq!(sweeps.end(start + seconds(2), &PACE), Some(seconds(18)), "a tenth of the time");
        sweeps.begin(start + seconds(20));
        sweeps.finds();
        assert_eq!(sweeps.end(start + seconds(20), &PACE), None);
        assert_eq!(sweeps.hint(start + seconds(20)), Some(seconds(1)), "a short one rests for a moment");
    }

    #[test]
    fn those_that_find_nothing_come_later_and_later() {
        let now = Instant::now();
        let mut sweeps = Sweeps::new(now);
        let mut rest = |found: bool| {
            sweeps.begin(now);
            if found {
                sweeps.finds();
            }
            sweeps.hint(now);
            sweeps.end(now, &PACE).map(|rest| rest.as_secs())
        };
        assert_eq!(
            [false, false, false, false, false, false, true, false].map(&mut rest),
            [2, 4, 8, 16, 30, 30, 1, 2].map(Some)
        );
    }
}
