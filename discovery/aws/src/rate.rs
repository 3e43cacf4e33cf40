//! How fast a service is asked: as fast as one likes until it says that this is too much, and from then on at a rate that goes down
//! with each such answer and comes back with the others, slowly at first. What the SDKs of AWS call the adaptive mode.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What a refusal leaves of the rate.
const LEFT: f64 = 0.7;
/// How steep the rate comes back.
const STEEPNESS: f64 = 0.4;
/// The rate is never less than this many requests a second.
const LEAST: f64 = 0.5;
/// A rate above this is none: nobody here asks so much.
const MOST: f64 = 200.0;
/// How long requests are counted to know the rate.
const WINDOW: Duration = Duration::from_millis(500);
/// What the latest of them count for.
const NEWS: f64 = 0.8;

/// The rate of requests to one service.
#[derive(Debug, Default)]
pub(super) struct Rate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests a second, once there was a refusal.
    limit: Option<Limit>,
    /// What was measured of the requests that were sent.
    measured: f64,
    counted: u32,
    window: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    rate: f64,
    /// When the next request may be sent.
    next: Instant,
    refused: Instant,
    /// The rate that was refused.
    too_much: f64,
}

impl Rate {
    /// Waits until a request may be sent.
    pub(super) async fn turn(&self) {
        let at = self.state().turn(Instant::now());
        if let Some(at) = at {
            sleep_until(at).await;
        }
    }

    /// The service says that it is asked too much.
    pub(super) fn refused(&self) {
        self.state().refused(Instant::now());
    }

    /// The service has answered.
    pub(super) fn answered(&self) {
        self.state().answered(Instant::now());
    }

    /// How many requests a second there may be, if that is limited.
    pub(super) fn limit(&self) -> Option<f64> {
        self.state().limit.map(|limit| limit.rate)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn(&mut self, now: Instant) -> Option<Instant> {
        self.count(now);
        let limit = self.limit.as_mut()?;
        let at = limit.next.max(now);
        limit.next = at + Duration::from_secs_f64(1.0 / limit.rate);
        Some(at)
    }

    fn count(&mut self, now: Instant) {
        let window = *self.window.get_or_insert(now);
        self.counted += 1;
        let passed = now.saturating_duration_since(window);
        if passed >= WINDOW {
            let latest = f64::from(self.counted) / passed.as_secs_f64();
            self.measured = NEWS * latest + (1.0 - NEWS) * self.measured;
            (self.counted, self.window) = (0, Some(now));
        }
    }

    fn refused(&mut self, now: Instant) {
        let measured = if self.measured > 0.0 { self.measured } else { f64::from(self.counted.max(1)) };
        let too_much = self.limit.map_or(measured, |limit| measured.min(limit.rate));
        let rate = (too_much * LEFT).max(LEAST);
        let next = now + Duration::from_secs_f64(1.0 / rate);
        self.limit = Some(Limit { rate, next, refused: now, too_much: too_much.max(LEAST) });
    }

    fn answered(&mut self, now: Instant) {
        let Some(limit) = &mut self.limit else { return };
        let passed = now.saturating_duration_since(limit.refused).as_secs_f64();
        let back = (limit.too_much * (1.0 - LEFT) / STEEPNESS).cbrt();
        let rate = STEEPNESS * (passed - back).powi(3) + limit.too_much;
        limit.rate = rate.max(limit.too_much * LEFT).max(LEAST);
        if limit.rate > MOST {
            self.limit = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_before_a_refusal() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!((0..1000).all(|_| state.turn(now).is_none()));
    }

    #[test]
    fn refusals_slow_down_and_answers_bring_the_rate_back() {
        let (mut state, start) = (State::default(), Instant::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        // Ten a second.
        for number in 0..20 {
            state.turn(at(number * 100));
        }
        state.refused(at(2000));
        let rate = |state: &State| state.limit.map(|limit| limit.rate);
        let first = rate(&state).expect("a limit");
        assert!((6.0..9.0).contains(&first), "{first}");
        let waits: Vec<_> = (0..3).map(|_| state.turn(at(2000)).expect("a wait") - at(2000)).collect();
        assert!(waits[0] > Duration::from_millis(100) && waits[1] > waits[0] && waits[2] > waits[1], "{waits:?}");
        state.refused(at(2100));
        assert!(rate(&state).expect("a limit") < first);
        let rates: Vec<_> = [2200, 3000, 4000, 6000].map(|time| (state.answered(at(time)), rate(&state)).1).into();
        assert!(rates.windows(2).all(|pair| pair[0] <= pair[1]), "{rates:?}");
        state.answered(at(60_000));
        assert_eq!(rate(&state), None, "after a while there is no limit");
    }

    #[test]
    fn the_rate_never_goes_to_nothing() {
        let (mut state, start) = (State::default(), Instant::now());
        for second in 0..100 {
            state.turn(start + Duration::from_secs(second));
            state.refused(start + Duration::from_secs(second));
        }
        assert_eq!(state.limit.map(|limit| limit.rate), Some(LEAST));
    }
}
