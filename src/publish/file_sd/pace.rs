//! How often a file may be written: what it costs decides. Pure, it is told the time.

use std::time::Duration;

use tokio::time::Instant;

/// Two writes of one file are at least this far apart.
const APART: Duration = Duration::from_millis(200);

/// One part of this many of the time may be spent on one file.
const SHARE: u32 = 10;

/// When a file was written, and what that cost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace(Option<Instant>);

impl Pace {
    /// The file was written, or a try to write it ended, between these times.
    pub(super) fn wrote(&mut self, begun: Instant, ended: Instant) {
        let took = ended.saturating_duration_since(begun);
        self.0 = Some(ended + APART.max(took * (SHARE - 1)));
    }

    /// How long the next write has to wait; the first one does not.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(took: Duration) -> Duration {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait(begun), Duration::ZERO);
        pace.wrote(begun, begun + took);
        pace.wait(begun + took)
    }

    #[test]
    fn a_write_waits_for_what_the_last_one_cost() {
        assert_eq!(after(Duration::from_millis(1)), APART);
        assert_eq!(after(Duration::from_secs(3)), Duration::from_secs(27));
    }
}
