//! Calls that block, away from the threads that run tasks.

/// Runs a call that blocks, or computes for long, on a thread for such calls, and returns what it returned. A panic in it
/// is raised here: it is the caller's as if the call had been made in place.
///
/// The call cannot be interrupted: dropping the future leaves it running to its end.
#[expect(clippy::disallowed_methods, reason = "it is what is called in place of it")]
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(returned) => returned,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking calls, and it never polls this task again.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Below it a call is over before a thread is found for it.
const FEW_BYTES: usize = 32 << 10;

/// Runs a call that computes for as long as its input of so many bytes takes: in place if these are few, otherwise like
/// [`blocking`].
pub async fn by_size<T: Send + 'static>(bytes: usize, call: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= FEW_BYTES { call() } else { blocking(call).await }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked_live;

    use super::*;
    use crate::Stopper;

    #[test]
    fn only_what_is_large_leaves_the_thread() {
        leak_checked_live(|| async {
            let here = std::thread::current().id();
            let is_here = move || std::thread::current().id() == here;
            assert!(by_size(FEW_BYTES, is_here).await);
            assert!(!by_size(FEW_BYTES + 1, is_here).await);
        });
    }

    #[test]
    fn the_callers_task_gets_what_the_call_returned_or_its_panic() {
        leak_checked_live(|| async {
            assert_eq!(blocking(|| 7).await, 7);
            let stopper = Stopper::new();
            let task = stopper.spawn("caller", blocking(|| -> () { panic!("oops") }));
            assert_eq!(task.await.and_then(Result::err).map(|panicked| panicked.0), Some("oops".to_owned()));
            stopper.stop(std::time::Duration::from_secs(10)).await;
        });
    }
}
