//! The end of a test that comes to none: it fails instead of hanging for ever, whatever its clock.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Waits for a test, for so much of real time.
///
/// # Panics
///
/// When it takes longer, be it that nothing happens or that it looks again and again.
pub(super) async fn in_time<T>(longest: Duration, test: impl Future<Output = T>) -> T {
    let (alarm, mut test) = (Alarm::set(longest), pin!(test));
    poll_fn(|cx| {
        assert!(!alarm.rings(cx.waker()), "the test has not ended within {longest:?}");
        test.as_mut().poll(cx)
    })
    .await
}

/// Wakes a test up when its time is over: the clock of the runtime may stand still.
struct Alarm {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    rings: bool,
    is_off: bool,
    waker: Option<Waker>,
}

impl Alarm {
    fn set(longest: Duration) -> Self {
        let shared = Arc::<(Mutex<State>, Condvar)>::default();
        let theirs = Arc::clone(&shared);
        let wait = move || {
            let (state, changed) = &*theirs;
            let waited = changed.wait_timeout_while(lock(state), longest, |state| !state.is_off);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.rings = !state.is_off;
            if let Some(waker) = state.waker.take().filter(|_| state.rings) {
                waker.wake();
            }
        };
        Self { shared, thread: Some(thread::spawn(wait)) }
    }

    /// Whether the time is over; if not, this is woken when it is.
    fn rings(&self, waker: &Waker) -> bool {
        let mut state = lock(&self.shared.0);
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            None => state.waker = Some(waker.clone()),
        }
        state.rings
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        lock(&self.shared.0).is_off = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::leak_checked;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn report(test: impl AsyncFnOnce()) -> String {
        let run = || leak_checked(async || in_time(SHORT, test()).await);
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it does not end");
        panic.downcast_ref::<String>().cloned().expect("reports are text")
    }

    #[test]
    fn a_test_that_waits_for_what_never_comes_fails() {
        assert_eq!(report(std::future::pending), "the test has not ended within 20ms");
    }

    #[test]
    fn a_test_that_looks_for_ever_fails_though_its_clock_stands_still() {
        let report = report(async || {
            loop {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(report, "the test has not ended within 20ms");
    }

    #[test]
    fn a_test_that_takes_long_on_a_paused_clock_ends() {
        leak_checked(async || {
            let far = Duration::from_secs(1_000_000);
            in_time(Duration::from_secs(600), tokio::time::sleep(far)).await;
        });
    }
}
