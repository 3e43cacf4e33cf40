//! How long to wait before a discoverer that ended is built again. Pure.

use std::time::Duration;

use rosterd_model::Retry;
use rosterd_tasks::{Machine, Schedule};

/// A discoverer that keeps ending is built again at least once in this time, unless its error asks for more.
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses between the runs of one provider.
#[derive(Debug)]
pub(super) struct Restarts {
    schedule: Schedule,
    last: Duration,
}

impl Restarts {
    pub(super) fn new(provider: &str, machine: Machine) -> Self {
        Self { schedule: Schedule::new(LONGEST, provider).on(machine), last: Duration::ZERO }
    }

    /// The pause after a run that went well for so long. Pauses grow from one to the next; only a run that went well for
    /// longer than the last pause begins anew with a short one, so that one that fails soon after its first word grows too.
    pub(super) fn pause(&mut self, went_well: Duration, retry: Retry) -> Duration {
        if went_well > self.last {
            self.schedule.succeeded();
        }
        self.last = self.schedule.failed(retry);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_shrink_only_after_a_run_that_went_well_for_longer_than_the_last() {
        let mut restarts = Restarts::new("k/1", Machine::default());
        let short = Duration::from_millis(1);
        let pauses: Vec<_> = (0..10).map(|_| restarts.pause(short, Retry::Backoff)).collect();
        assert!(pauses[0] <= Duration::from_secs(1) && pauses[9] >= Duration::from_secs(45), "{pauses:?}");
        assert!(restarts.pause(pauses[9] / 2, Retry::Backoff) >= Duration::from_secs(45), "it went well for too short");
        assert!(restarts.pause(2 * LONGEST, Retry::Backoff) <= Duration::from_secs(1));
    }
}
