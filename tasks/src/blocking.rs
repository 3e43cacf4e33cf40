//! Calls that block, away from the threads that run tasks, and long work that stays on them, with pauses.

use std::any::Any;
use std::pin::Pin;

/// Runs a call that blocks, or computes for long, on a thread for such calls, and returns what it returned. A panic in it
/// is raised here: it is the caller's as if the call had been made in place.
///
/// The call cannot be interrupted: dropping the future leaves it running to its end.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let returned = on_a_thread(Box::new(|| Box::new(call()))).await;
    *returned.downcast().expect("what a call returns has its type")
}

/// A call, and what it returns, of any type: with each type tokio's tasks would be compiled once more.
type Call = Box<dyn FnOnce() -> Returned + Send>;
type Returned = Box<dyn Any + Send>;

#[expect(clippy::disallowed_methods, reason = "it is what is called in place of it")]
fn on_a_thread(call: Call) -> Pin<Box<dyn Future<Output = Returned> + Send>> {
    let task = tokio::task::spawn_blocking(call);
    Box::pin(async move {
        match task.await {
            Ok(returned) => returned,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels blocking calls, and it never polls this task again.
                Err(_) => std::future::pending().await,
            },
        }
    })
}

/// Below it a call is over before a thread is found for it.
const FEW_BYTES: usize = 32 << 10;

/// Runs a call that computes for as long as its input of so many bytes takes: in place if these are few, otherwise like
/// [`blocking`].
pub async fn by_size<T: Send + 'static>(bytes: usize, call: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= FEW_BYTES { call() } else { blocking(call).await }
}

/// After so many short pieces of work others may use the thread: some hundred microseconds.
const AT_ONCE: u32 = 256;

/// The turns that a task takes on its thread, when it has many short things to do.
#[derive(Debug, Default)]
pub struct Turns(u32);

impl Turns {
    /// Begins with the next piece of work, after others had the thread, if it is their turn.
    pub async fn next(&mut self) {
        self.0 += 1;
        if self.0 == AT_ONCE {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{leak_checked, leak_checked_live};

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
    fn who_takes_turns_lets_others_use_the_thread() {
        leak_checked(|| async {
            let (mut turns, mut others) = (Turns::default(), 0);
            let work = async {
                for _ in 0..10 * AT_ONCE {
                    turns.next().await;
                }
            };
            let mut work = std::pin::pin!(work);
            while futures_util::poll!(&mut work).is_pending() {
                others += 1;
            }
            assert_eq!(others, 10);
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
