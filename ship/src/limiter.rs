//! Keeps messages that could come with each request from filling the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rosterd_tasks::Telling;
use tokio::time::Instant;

/// After so long without another one it is over, and what was kept back is told.
const OVER: Duration = Duration::from_secs(60);

/// Lets a message through when its kind is new, and then as rarely as [`Telling`] says. Each speaks for those that were kept
/// back before it, in the words of the last one.
#[derive(Debug)]
pub(crate) struct Limiter<W = ()>(Mutex<State<W>>);

#[derive(Debug)]
struct State<W> {
    telling: Telling,
    last: Option<Instant>,
    kept_back: Option<Sum<W>>,
}

/// How often something happened, to how many samples, and what was said of it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum<W = ()> {
    pub(crate) times: u64,
    pub(crate) samples: u64,
    pub(crate) words: W,
}

impl<W> Default for Limiter<W> {
    fn default() -> Self {
        Self(Mutex::new(State { telling: Telling::default(), last: None, kept_back: None }))
    }
}

impl<W> Limiter<W> {
    /// Something of this kind happened to so many samples. Returns what to log now, if something is to be logged: this and
    /// what was kept back.
    pub(crate) fn admit(&self, kind: &'static str, samples: u64, words: W) -> Option<Sum<W>> {
        let (now, mut state) = (Instant::now(), self.state());
        let before = state.kept_back.take();
        let (times, all) = before.map_or((0, 0), |before| (before.times, before.samples));
        state.kept_back = Some(Sum { times: times + 1, samples: all + samples, words });
        state.last = Some(now);
        let is_told = state.telling.failed(kind, now).is_some();
        // Nobody says when it is over: when it comes again after a long time it begins anew.
        state.telling.worked();
        if is_told { state.kept_back.take() } else { None }
    }

    /// What was kept back, if it is over or `everything` is asked for. To be asked now and then and at the end: otherwise the
    /// end of a series of messages would never be told.
    pub(crate) fn rest(&self, everything: bool) -> Option<Sum<W>> {
        let mut state = self.state();
        let is_over = state.last.is_none_or(|last| last.elapsed() >= OVER);
        if everything || is_over { state.kept_back.take() } else { None }
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    fn sum(times: u64, samples: u64, words: u64) -> Option<Sum<u64>> {
        Some(Sum { times, samples, words })
    }

    #[test]
    fn a_message_speaks_for_those_before_it_in_the_words_of_the_last() {
        leak_checked(|| async {
            let (limiter, mut told) = (Limiter::default(), Vec::new());
            assert_eq!(limiter.rest(true), None);
            for second in 0..300 {
                let admitted = limiter.admit("a", 10, second).map(|sum| (second, sum.times, sum.samples, sum.words));
                told.extend(admitted);
                assert_eq!(limiter.rest(false), None, "it goes on");
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            assert_eq!(told, [(0, 1, 10, 0), (60, 60, 600, 60), (180, 120, 1200, 180)]);
            assert_eq!(
                limiter.admit("b", 1, 7),
                sum(120, 1191, 7),
                "another kind is told at once, with what was before"
            );
        });
    }

    #[test]
    fn the_last_ones_are_told_too_once_they_are_over() {
        leak_checked(|| async {
            let limiter = Limiter::default();
            assert_eq!(limiter.admit("a", 5, 1), sum(1, 5, 1));
            assert_eq!([limiter.admit("a", 7, 2), limiter.admit("a", 8, 3)], [None; 2]);
            tokio::time::advance(OVER - Duration::from_secs(1)).await;
            assert_eq!(limiter.rest(false), None);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!([limiter.rest(false), limiter.rest(true)], [sum(2, 15, 3), None]);
            // A row that ended long ago is no reason to keep back.
            assert_eq!([limiter.admit("a", 1, 4), limiter.admit("a", 2, 5)], [sum(1, 1, 4), None]);
            assert_eq!([limiter.rest(true), limiter.rest(true)], [sum(1, 2, 5), None]);
        });
    }
}
