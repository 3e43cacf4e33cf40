//! How many lanes the load needs. Pure: it is told what was seen.

use std::time::Duration;

/// How often the number of lanes is reconsidered. Often, because what came through too few lanes is sent through too few.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// So many times in a row fewer lanes must do before there are fewer.
const PATIENCE: u32 = 5;

/// The weight of the newest observation.
const WEIGHT: f64 = 0.3;
/// The part of a backlog that is to be worked off in a second.
const CATCH_UP: f64 = 0.05;
/// Changes that are smaller than this part are not worth it.
const TOLERANCE: f64 = 0.3;
/// So long an endpoint must be down before what comes is spread over more lanes.
const DOWN: Duration = Duration::from_secs(10);
/// The lanes of a backlog, so that it can be drained by several requests at once.
const BACKLOG_LANES: u16 = 8;

/// What was seen since the last time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Samples that came.
    pub(super) samples_in: u64,
    /// Samples that were taken by the receiver.
    pub(super) samples_out: u64,
    /// The time that requests for those took, together.
    pub(super) busy: Duration,
    /// Samples that wait.
    pub(super) pending: u64,
    /// How long the endpoint has been down.
    pub(super) down: Option<Duration>,
}

/// The load of an endpoint.
#[derive(Debug, Clone)]
pub(super) struct Load {
    least: u16,
    most: u16,
    rates: Option<[f64; 3]>,
    /// How many times in a row fewer lanes would have done.
    fewer: u32,
}

impl Load {
    pub(super) fn new(least: u16, most: u16) -> Self {
        let least = least.max(1);
        Self { least, most: most.max(least), rates: None, fewer: 0 }
    }

    /// The lanes that would be needed, before limits, and the lanes to have from now on.
    pub(super) fn decide(&mut self, seen: Seen, elapsed: Duration, lanes: u16) -> (f64, u16) {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let now = [seen.samples_in as f64, seen.samples_out as f64, seen.busy.as_secs_f64()].map(|sum| sum / seconds);
        let before = self.rates.unwrap_or(now);
        let rates: [f64; 3] = std::array::from_fn(|index| before[index] * (1.0 - WEIGHT) + now[index] * WEIGHT);
        self.rates = Some(rates);
        let [rate_in, rate_out, busy] = rates;
        if seen.down.is_some_and(|down| down >= DOWN) {
            let desired = lanes.max(BACKLOG_LANES.min(self.most));
            return (f64::from(desired), desired);
        }
        if rate_out <= 0.0 {
            return (f64::from(lanes), lanes);
        }
        let desired = busy / rate_out * (rate_in + CATCH_UP * seen.pending as f64);
        (desired, self.within(desired, seen.pending as f64 > 10.0 * rate_in, lanes))
    }

    fn within(&mut self, desired: f64, behind: bool, lanes: u16) -> u16 {
        let wanted = desired.ceil();
        let near = (wanted - f64::from(lanes)).abs() <= f64::from(lanes) * TOLERANCE;
        let fewer = wanted < f64::from(lanes);
        self.fewer = if fewer && !near && !behind { self.fewer + 1 } else { 0 };
        if near || (fewer && self.fewer < PATIENCE) {
            return lanes;
        }
        self.fewer = 0;
        (wanted as u16).clamp(self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(samples_in: u64, samples_out: u64, busy_s: u64, pending: u64) -> Seen {
        Seen { samples_in, samples_out, busy: Duration::from_secs(busy_s), pending, down: None }
    }

    #[test]
    fn lanes_follow_the_time_that_requests_take() {
        let mut load = Load::new(1, 50);
        assert_eq!(load.decide(seen(100_000, 100_000, 1, 0), INTERVAL, 1).1, 1);
        let mut load = Load::new(1, 50);
        // Twenty seconds of requests in two: ten at once.
        assert_eq!(load.decide(seen(100_000, 100_000, 20, 0), INTERVAL, 1).1, 10);
        let mut load = Load::new(1, 4);
        assert_eq!(load.decide(seen(100_000, 100_000, 20, 0), INTERVAL, 1), (10.0, 4));
    }

    #[test]
    fn a_backlog_asks_for_more_and_keeps_what_is_there() {
        let mut load = Load::new(1, 50);
        // Always one request; three seconds' worth of samples wait for each that comes in one.
        let (desired, lanes) = load.decide(seen(20_000, 20_000, 2, 600_000), INTERVAL, 1);
        assert_eq!((desired.round(), lanes), (4.0, 4));
        for _ in 0..20 {
            assert_eq!(load.decide(seen(20_000, 20_000, 0, 200_000), INTERVAL, 8).1, 8);
        }
    }

    #[test]
    fn fewer_lanes_are_not_taken_at_once() {
        let mut load = Load::new(1, 50);
        let lanes: Vec<_> = (0..6).map(|_| load.decide(seen(1000, 1000, 1, 0), INTERVAL, 8).1).collect();
        assert_eq!(lanes, [8, 8, 8, 8, 1, 8]);
    }

    #[test]
    fn small_changes_are_not_worth_it() {
        let mut load = Load::new(1, 50);
        assert_eq!(load.decide(seen(1000, 1000, 22, 0), INTERVAL, 10).1, 10);
    }

    #[test]
    fn what_comes_while_the_endpoint_is_down_is_spread() {
        let mut load = Load::new(1, 50);
        let down = |seconds| Seen { down: Some(Duration::from_secs(seconds)), ..seen(1000, 0, 0, 1000) };
        assert_eq!(load.decide(down(5), INTERVAL, 1).1, 1);
        assert_eq!(load.decide(down(15), INTERVAL, 1).1, 8);
        assert_eq!(Load::new(1, 3).decide(down(15), INTERVAL, 1).1, 3);
    }
}
