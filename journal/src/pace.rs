//! How far the clock of the machine is believed, where it decides what is old enough to go. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::Time;

/// What the time is for all that is known. A clock that leaps is believed once it has gone on like that for a while: a wrong one
/// makes nothing old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    believed: Time,
    /// When somebody looked last.
    looked: Instant,
    /// Since when the clock goes on somewhere else.
    leapt: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(believed: Time, now: Instant) -> Self {
        Self { believed, looked: now, leapt: None }
    }

    /// The clock says so now. What is further away than `step` is a leap, and believed after so long.
    pub(crate) fn follow(&mut self, clock: Time, now: Instant, step: Duration) -> Time {
        // Without a leap the clock would be about there.
        let expected = self.believed.after(now.saturating_duration_since(self.looked));
        let leapt = *self.leapt.get_or_insert(now);
        let is_near = clock >= expected.before(step) && clock <= expected.after(step);
        if is_near || now.saturating_duration_since(leapt) >= step {
            (self.believed, self.leapt) = (clock, None);
        } else {
            self.believed = expected;
        }
        self.looked = now;
        self.believed.min(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_is_believed_when_it_has_gone_on_like_that_for_a_while() {
        let (start, step) = (Instant::now(), Duration::from_secs(100));
        let seconds = Duration::from_secs;
        let mut pace = Pace::new(Time(0), start);
        for (after, clock, believed) in [
            (10, 10, 10),
            // Small steps are followed.
            (20, 110, 110),
            // Ahead for some time, and back.
            (30, 9000, 120),
            (129, 9099, 219),
            (130, 230, 230),
            // Ahead for good.
            (140, 5000, 240),
            (239, 5099, 339),
            (240, 5100, 5100),
            // Back: nothing is old by that, and is not when the clock is ahead again.
            (250, 40, 40),
            (260, 5130, 5130),
            (270, 50, 50),
            (369, 149, 149),
            (370, 150, 150),
            (380, 5000, 160),
        ] {
            let found = pace.follow(Time(clock * 1000), start + seconds(after), step);
            assert_eq!(found, Time(believed * 1000), "after {after} s at {clock}");
        }
    }
}
