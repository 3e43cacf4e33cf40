//! A token bucket: how many requests may come in at once, and how fast more may follow.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// `burst` requests at once, then one each `interval`.
#[derive(Debug)]
pub(super) struct Bucket {
    interval: Duration,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { interval, burst, state: Mutex::new((burst, Instant::now())) }
    }

    /// Whether both let the same through.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.interval == other.interval && self.burst == other.burst
    }

    /// Takes a token, or says how long it takes until there is one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refilled = now.duration_since(state.1).as_secs_f64() / self.interval.as_secs_f64();
        let tokens = (state.0 + refilled).min(self.burst);
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, now);
        if taken { Ok(()) } else { Err(self.interval.mul_f64(1.0 - tokens)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_each_interval() {
        rosterd_testkit::leak_checked(async || {
            let bucket = Bucket::new(Duration::from_secs(2), 2);
            assert_eq!((bucket.take(), bucket.take()), (Ok(()), Ok(())));
            assert_eq!(bucket.take(), Err(Duration::from_secs(2)));
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(bucket.take(), Ok(()));
            assert!(bucket.take().is_err());
            tokio::time::advance(Duration::from_secs(60)).await;
            assert_eq!((bucket.take(), bucket.take()), (Ok(()), Ok(())));
            assert!(bucket.take().is_err());
        });
    }
}
