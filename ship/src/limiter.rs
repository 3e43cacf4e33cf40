//! Keeps messages that could come with each request from filling the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(10);

/// Lets one message through in ten seconds, which speaks for those that were kept back before it.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    kept_back: Sum,
}

/// How often something happened, and to how many samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    pub(crate) times: u64,
    pub(crate) samples: u64,
}

impl Limiter {
    /// Something happened to so many samples. Returns what to log now, if something is to be logged: this and what was
    /// kept back.
    pub(crate) fn admit(&self, samples: u64) -> Option<Sum> {
        let mut state = self.state();
        state.kept_back.times += 1;
        state.kept_back.samples += samples;
        state.pass()
    }

    /// What was kept back, if it could be logged by now or `everything` is asked for. To be asked now and then and at the
    /// end: otherwise the end of a series of messages would never be told.
    pub(crate) fn rest(&self, everything: bool) -> Option<Sum> {
        let mut state = self.state();
        if state.kept_back.times == 0 {
            return None;
        }
        state.last = state.last.filter(|_| !everything);
        state.pass()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pass(&mut self) -> Option<Sum> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    #[test]
    fn a_message_speaks_for_those_before_it() {
        leak_checked(|| async {
            let limiter = Limiter::default();
            assert_eq!(limiter.rest(false), None);
            assert_eq!(limiter.admit(5), Some(Sum { times: 1, samples: 5 }));
            assert_eq!([limiter.admit(7), limiter.admit(8), limiter.rest(false)], [None; 3]);
            tokio::time::advance(PAUSE).await;
            assert_eq!(limiter.admit(1), Some(Sum { times: 3, samples: 16 }));
            // The last ones are told too.
            assert_eq!(limiter.admit(2), None);
            tokio::time::advance(PAUSE).await;
            assert_eq!(limiter.rest(false), Some(Sum { times: 1, samples: 2 }));
            assert_eq!([limiter.rest(false), limiter.admit(3)], [None; 2]);
            assert_eq!(limiter.rest(true), Some(Sum { times: 1, samples: 3 }));
        });
    }
}
