//! Calls that block, made by one for all who want the same. Pure but for the thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::Threads;

/// For so long an answer is good that rests: much shorter than anybody takes for a rotation, and long enough that of many who
/// ask at once or in a row only a few look.
const MOMENT: Duration = Duration::from_millis(100);

/// What a call found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked<T> {
    /// What it found.
    pub value: T,
    /// Whether it has been so for a while: then it is good for a moment more.
    pub rests: bool,
}

/// A call that finds something out, away from the threads of the runtime: one at a time. Whoever asked before it began gets what
/// it finds, and who asks a moment later too, if that rests. One that hangs goes on hanging, on its one thread, when nobody
/// waits for it any more.
#[derive(Debug)]
pub struct Together<T> {
    threads: Threads,
    /// Held by who makes the call.
    line: Arc<tokio::sync::Mutex<()>>,
    /// The last answer, unless it was an error.
    last: Arc<Mutex<Option<Answer<T>>>>,
    /// Since when a call is under way.
    under_way: Arc<Mutex<Option<Instant>>>,
}

#[derive(Debug)]
struct Answer<T> {
    begun: Instant,
    found: Looked<T>,
}

impl<T: Clone> Answer<T> {
    fn for_who_asked(&self, asked: Instant) -> Option<T> {
        let good = self.begun > asked || (self.found.rests && asked < self.begun + MOMENT);
        good.then(|| self.found.value.clone())
    }
}

impl<T: Clone + Send + 'static> Together<T> {
    /// One that uses these threads.
    pub fn on(threads: &Threads) -> Self {
        Self { threads: threads.clone(), line: Arc::default(), last: Arc::default(), under_way: Arc::default() }
    }

    /// What was found a moment ago, if it rests. Costs next to nothing.
    pub fn recent(&self) -> Option<T> {
        self.answer(Instant::now())
    }

    /// What is found by a call that begins after this, made by this one or by another one who asks; or what was found a moment
    /// ago, if it rests.
    pub async fn ask<E: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<Looked<T>, E> + Send + 'static,
    ) -> Result<T, E> {
        let asked = Instant::now();
        if let Some(found) = self.answer(asked) {
            return Ok(found);
        }
        let line = Arc::clone(&self.line).lock_owned().await;
        if let Some(found) = self.answer(asked) {
            return Ok(found);
        }
        let (last, under_way) = (Arc::clone(&self.last), Arc::clone(&self.under_way));
        let look = move || {
            let _line = line;
            let begun = Instant::now();
            let _under_way = UnderWay::begin(&under_way, begun);
            let found = call();
            *lock(&last) = found.as_ref().ok().map(|found| Answer { begun, found: found.clone() });
            found.map(|found| found.value)
        };
        self.threads.run(look).await
    }

    /// The same, unless a call has been under way for longer than this: then `None`.
    pub async fn ask_within<E: Send + 'static>(
        &self,
        patience: Duration,
        call: impl FnOnce() -> Result<Looked<T>, E> + Send + 'static,
    ) -> Option<Result<T, E>> {
        let since = self.under_way().unwrap_or_else(Instant::now);
        timeout_at(since + patience, self.ask(call)).await.ok()
    }

    fn answer(&self, asked: Instant) -> Option<T> {
        lock(&self.last).as_ref()?.for_who_asked(asked)
    }

    fn under_way(&self) -> Option<Instant> {
        *lock(&self.under_way)
    }
}

/// Tells that a call is under way, until it is over.
struct UnderWay<'a>(&'a Mutex<Option<Instant>>);

impl<'a> UnderWay<'a> {
    fn begin(since: &'a Mutex<Option<Instant>>, begun: Instant) -> Self {
        *lock(since) = Some(begun);
        Self(since)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;
    use rosterd_testkit::{eventually, leak_checked, leak_checked_live, patience};

    use super::*;

    fn moved<T>(value: T) -> Looked<T> {
        Looked { value, rests: false }
    }

    /// A disk that hangs until it is let go.
    #[derive(Clone, Default)]
    struct Disk {
        asked: Arc<AtomicUsize>,
        hung: Arc<Mutex<Vec<mpsc::Sender<()>>>>,
    }

    impl Disk {
        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn hang(&self) -> impl FnOnce() -> Result<Looked<usize>, Infallible> + Send + use<> {
            let disk = self.clone();
            move || {
                let (sender, receiver) = mpsc::channel();
                disk.hung.lock().unwrap().push(sender);
                let number = disk.asked.fetch_add(1, Ordering::SeqCst);
                receiver.recv().ok();
                Ok(moved(number))
            }
        }

        fn let_go(&self) {
            self.hung.lock().unwrap().clear();
        }
    }

    #[test]
    fn those_who_ask_meanwhile_share_the_next_answer() {
        leak_checked_live(|| async {
            let (disk, together) = (Disk::default(), Together::on(&Threads::new(4)));
            let first = together.ask(disk.hang());
            let others = async {
                eventually(patience(), "the first one asks", || disk.asked() == 1).await;
                let mut asking = Box::pin(join_all((0..50).map(|_| together.ask(disk.hang()))));
                assert!(futures_util::poll!(&mut asking).is_pending());
                disk.let_go();
                let released = async {
                    eventually(patience(), "one of the others asks", || disk.asked() == 2).await;
                    disk.let_go();
                };
                tokio::join!(asking, released).0
            };
            let (first, others) = tokio::join!(first, others);
            assert_eq!(first, Ok(0));
            assert!(others.iter().all(|found| *found == Ok(1)), "none of them gets what was found before it asked");
            assert_eq!(disk.asked(), 2);
        });
    }

    #[test]
    fn what_hangs_holds_a_thread_of_a_few_and_nobody_for_long() {
        leak_checked_live(|| async {
            let (disk, threads) = (Disk::default(), Threads::new(2));
            let all: Vec<_> = (0..10).map(|_| Together::on(&threads)).collect();
            let patient = Duration::from_millis(50);
            let asked = join_all(all.iter().map(|together| together.ask_within(patient, disk.hang()))).await;
            assert!(asked.iter().all(Option::is_none));
            assert_eq!(disk.asked(), 2);
            // Nor for a moment, once it is known.
            let late = all.iter().find(|together| together.under_way().is_some()).unwrap();
            assert!(futures_util::poll!(Box::pin(late.ask_within(Duration::ZERO, disk.hang()))).is_ready());
            disk.let_go();
            let quick = || Ok::<_, Infallible>(moved(7));
            assert_eq!(all[9].ask(quick).await, Ok(7));
            eventually(patience(), "all have ended", || all.iter().all(|it| it.under_way().is_none())).await;
            assert_eq!(late.ask_within(patience(), quick).await, Some(Ok(7)));
        });
    }

    #[test]
    fn a_failure_is_that_of_the_one_who_asked() {
        leak_checked_live(|| async {
            let together = Together::<u8>::on(&Threads::new(1));
            assert_eq!(together.ask(|| Err("no")).await, Err("no"));
            assert_eq!(together.ask(|| Ok::<_, &str>(moved(1))).await, Ok(1));
        });
    }

    #[test]
    fn what_rests_is_good_for_a_moment_and_what_moved_for_nobody_who_asks_later() {
        leak_checked(|| async {
            let (calls, together) = (AtomicUsize::new(0), Together::on(&Threads::new(1)));
            let ask = |rests| {
                let value = calls.fetch_add(1, Ordering::SeqCst);
                together.ask(move || Ok::<_, Infallible>(Looked { value, rests }))
            };
            assert_eq!((ask(false).await, together.recent()), (Ok(0), None));
            assert_eq!((ask(true).await, together.recent()), (Ok(1), Some(1)));
            tokio::time::advance(MOMENT - Duration::from_millis(1)).await;
            assert_eq!((ask(true).await, together.recent()), (Ok(1), Some(1)));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!((together.recent(), ask(true).await), (None, Ok(3)));
            let failed = together.ask(|| Err("no"));
            assert_eq!(failed.await, Ok(3), "nobody looks");
            tokio::time::advance(MOMENT).await;
            assert_eq!((together.ask(|| Err("no")).await, together.recent()), (Err("no"), None));
        });
    }
}
