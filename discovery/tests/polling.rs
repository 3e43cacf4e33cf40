//! Polling: what is said, when the next read is, and what is shown meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd_discovery::{Context, Error, Polling, Reading, Refresh, Unreadable, Updates, Word};
use rosterd_model::{Coded, Retry};
use rosterd_tasks::{Stopper, Task};
use rosterd_testkit::fake::FakeError;
use rosterd_testkit::{group, leak_checked};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(2);

/// Reads what it was told to, and then nothing new.
struct Scripted(VecDeque<Result<Reading, Error>>);

#[async_trait]
impl Refresh for Scripted {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        self.0.pop_front().unwrap_or(Ok(Reading::Unchanged))
    }
}

struct Running {
    cx: Context,
    words: mpsc::Receiver<Word>,
    stopper: Stopper,
    task: Task<Result<(), Error>>,
}

impl Running {
    fn start(readings: impl IntoIterator<Item = Result<Reading, Error>>) -> Self {
        Self::of(Scripted(readings.into_iter().collect()))
    }

    fn of(refresh: impl Refresh + 'static) -> Self {
        let cx = Context::detached("test/1");
        let (up, words) = Updates::channel(&cx);
        let stopper = Stopper::new();
        let polling = Polling::boxed(refresh, INTERVAL);
        let task = stopper.spawn("polling", polling.run(cx.clone(), up));
        Self { cx, words, stopper, task }
    }

    /// The next word, and how long it took.
    async fn hear(&mut self) -> (Word, Duration) {
        let began = Instant::now();
        let word = self.words.recv().await.expect("it goes on");
        (word, began.elapsed())
    }

    async fn end(self) {
        self.cx.stop.cancel();
        assert!(matches!(self.task.await, Some(Ok(Ok(())))));
        assert!(self.stopper.stop(SOON).await.is_empty());
    }
}

fn down(retry: Retry) -> FakeError {
    FakeError { retry }
}

fn everything() -> Result<Reading, Error> {
    Ok(Reading::Everything(vec![group("a", &["a:1"])]))
}

fn everything_but(retries: &[Retry]) -> Result<Reading, Error> {
    let unread = retries.iter().enumerate().map(|(at, retry)| Unreadable::new(at.to_string(), down(*retry)));
    Ok(Reading::EverythingBut(vec![group("a", &["a:1"])], unread.collect()))
}

fn is_about_an_interval(waited: Duration) -> bool {
    (INTERVAL.mul_f64(0.9)..INTERVAL.mul_f64(1.1)).contains(&waited)
}

#[test]
fn what_is_read_is_said_at_once_and_then_at_each_interval() {
    leak_checked(|| async {
        let mut running = Running::start([everything(), everything()]);
        let (first, waited) = running.hear().await;
        assert!(matches!(first, Word::Everything(groups) if groups.len() == 1) && waited < SOON);
        let (second, waited) = running.hear().await;
        assert!(matches!(second, Word::Everything(_)) && is_about_an_interval(waited), "{waited:?}");
        let (third, waited) = running.hear().await;
        assert!(matches!(third, Word::Unchanged) && is_about_an_interval(waited), "{waited:?}");
        assert_eq!((running.cx.status().worst(), running.cx.failures()), (None, 0));
        running.end().await;
    });
}

#[test]
fn a_read_that_fails_as_a_whole_says_nothing_and_is_tried_again_soon() {
    leak_checked(|| async {
        let fails = || Err(down(Retry::Backoff).into());
        let mut running = Running::start([fails(), fails(), everything()]);
        let (word, waited) = running.hear().await;
        assert!(matches!(word, Word::Everything(_)) && waited < 2 * SOON, "{waited:?}");
        assert_eq!(running.cx.failures(), 2);
        assert_eq!(running.cx.status().worst(), None, "a word tells that reading works again");
        running.end().await;
    });
}

#[test]
fn a_failure_is_shown_until_a_word() {
    leak_checked(|| async {
        let running = Running::start([Err(down(Retry::Interval).into())]);
        tokio::time::sleep(SOON).await;
        let status = running.cx.status();
        assert_eq!(status.worst().map(|failure| failure.report.code).as_deref(), Some("sd_fake"));
        assert!(status.next_try.is_some());
        running.end().await;
    });
}

#[test]
fn sources_that_fail_are_tried_again_as_soon_as_the_most_hopeful_of_them() {
    leak_checked(|| async {
        for (retries, soon) in
            [(&[Retry::Never, Retry::Backoff, Retry::Interval][..], true), (&[Retry::Never, Retry::Interval], false)]
        {
            let mut running = Running::start([everything_but(retries)]);
            let (word, _) = running.hear().await;
            assert_eq!((word.groups().len(), word.unread().len()), (1, retries.len()));
            let (_, waited) = running.hear().await;
            assert_eq!(waited < SOON, soon, "{retries:?} are tried again after {waited:?}");
            assert_eq!(running.cx.failures(), 1, "one read failed, in part");
            running.end().await;
        }
    });
}

#[test]
fn pauses_grow_while_a_source_fails_and_the_interval_returns_with_it() {
    leak_checked(|| async {
        let fails = || everything_but(&[Retry::Backoff]);
        let mut running = Running::start([fails(), fails(), fails(), fails(), everything(), fails(), everything()]);
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(running.hear().await.1);
        }
        assert!(waits[1..5].windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert!(is_about_an_interval(waits[5]), "{waits:?}");
        assert!(waits[6] < waits[4] / 2, "pauses begin anew: {waits:?}");
        running.end().await;
    });
}

/// Reads nothing, and warns of what it is told to.
struct Warns(VecDeque<Option<FakeError>>);

#[async_trait]
impl Refresh for Warns {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        self.0.pop_front();
        Ok(Reading::Everything(Vec::new()))
    }

    fn warning(&self) -> Option<Error> {
        (*self.0.front()?).map(Error::from)
    }
}

#[test]
fn what_a_refresh_warns_of_is_shown_until_one_that_does_not() {
    leak_checked(|| async {
        let warning = || Some(down(Retry::Interval));
        let mut running = Running::of(Warns([None, None, warning(), warning(), None].into()));
        for is_warned in [false, true, true, false] {
            running.hear().await;
            tokio::time::sleep(SOON).await;
            let status = running.cx.status();
            let code = status.warning.as_ref().map(|warning| warning.report.code.clone());
            assert_eq!(code.as_deref(), is_warned.then(|| down(Retry::Interval).code()));
            assert_eq!(status.worst(), None, "it is no failure");
        }
        running.end().await;
    });
}

/// Reads one thing each time, or never ends to, and is told when it is worth reading again.
#[derive(Clone, Default)]
struct Hinted {
    hint: Arc<Notify>,
    hangs: bool,
    refreshes: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
}

#[async_trait]
impl Refresh for Hinted {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        everything()
    }

    async fn hint(&mut self) {
        self.hint.notified().await;
    }

    async fn end(&mut self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_hint_is_followed_by_a_read_at_once_and_the_interval_begins_anew() {
    leak_checked(|| async {
        let hinted = Hinted::default();
        let mut running = Running::of(hinted.clone());
        running.hear().await;
        tokio::time::sleep(INTERVAL / 2).await;
        hinted.hint.notify_one();
        assert!(running.hear().await.1 < SOON);
        let (_, waited) = running.hear().await;
        assert!(is_about_an_interval(waited), "{waited:?}");
        running.end().await;
    });
}

#[test]
fn when_it_is_tried_next_is_shown_whether_it_failed_or_not() {
    leak_checked(|| async {
        for (reading, least) in [(everything(), INTERVAL / 2), (Err(down(Retry::After(INTERVAL)).into()), INTERVAL / 2)]
        {
            let fails = reading.is_err();
            let before = SystemTime::now();
            let mut running = Running::start([reading]);
            if !fails {
                running.hear().await;
            }
            tokio::time::sleep(SOON).await;
            let next = running.cx.status().next_try.expect("it is tried again");
            assert!(next >= before + least, "{next:?} after {before:?}, fails: {fails}");
            running.end().await;
        }
    });
}

#[test]
fn what_a_refresh_left_behind_is_ended_once_also_when_it_is_stopped_in_the_middle() {
    leak_checked(|| async {
        for hangs in [false, true] {
            let hinted = Hinted { hangs, ..Hinted::default() };
            let running = Running::of(hinted.clone());
            tokio::time::sleep(SOON).await;
            let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
            assert_eq!((count(&hinted.refreshes), count(&hinted.ends)), (1, 0), "hangs: {hangs}");
            running.end().await;
            assert_eq!((count(&hinted.refreshes), count(&hinted.ends)), (1, 1), "hangs: {hangs}");
        }
    });
}
