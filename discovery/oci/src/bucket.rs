//! How fast is asked: the APIs allow a user some twenty requests a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pause from one request to the next, once the burst is over: ten a second.
const PAUSE: Duration = Duration::from_millis(100);
/// So many may come at once.
const BURST: u32 = 50;

/// Lets through fifty requests at once, and then ten a second. Those who wait have their turns in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Option<Instant>>);

impl Bucket {
    /// Waits for the turn of a request.
    pub(super) async fn turn(&self) {
        let turn = {
            let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let full = Instant::now().checked_sub(PAUSE * (BURST - 1)).unwrap_or_else(Instant::now);
            let turn = next.unwrap_or(full).max(full);
            *next = Some(turn + PAUSE);
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_ten_a_second() {
        leak_checked(async || {
            tokio::time::advance(Duration::from_secs(3600)).await;
            let (bucket, begun) = (Bucket::default(), Instant::now());
            let mut times = Vec::new();
            for _ in 0..BURST + 3 {
                bucket.turn().await;
                times.push(begun.elapsed().as_millis());
            }
            let burst = BURST as usize;
            assert!(times[burst - 1] < 2 && times[burst] >= 99, "{times:?}");
            assert!((299..303).contains(&times[burst + 2]), "{times:?}");
            tokio::time::advance(Duration::from_secs(60)).await;
            let begun = Instant::now();
            for _ in 0..BURST {
                bucket.turn().await;
            }
            assert!(begun.elapsed() < Duration::from_millis(50), "it is full again");
        });
    }
}
