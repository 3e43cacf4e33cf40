//! When a catalog is asked again about one thing. Pure.

use std::time::Duration;

use crate::Known;

/// How soon is asked again after a question that did not wait.
const SOON: Duration = Duration::from_secs(1);
/// So many answers in a row that were not held back say that the server does not hold any back.
const UNHELD: u32 = 2;

/// How often a catalog is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Within this time each thing is asked about, were they so many that they have to take turns; and again when the server does
    /// not know of indexes, or does not wait.
    pub interval: Duration,
    /// The longest that an answer is waited for.
    pub wait: Duration,
    /// The least time from one question about a thing to the next. It doubles, up to the interval, as long as the answers come
    /// because something else has changed.
    pub least: Duration,
}

/// An answer, as far as it tells when to ask again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// What was known when it was asked for.
    pub(crate) known: Known,
    pub(crate) index: u64,
    /// How long it took.
    pub(crate) taken: Duration,
    /// Whether it says something else than the one before.
    pub(crate) is_news: bool,
}

/// How the questions about one thing were answered lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rhythm {
    /// How many answers in a row had another index, and nothing else that is new.
    idle: u32,
    /// How many in a row came at once with the index that was known.
    unheld: u32,
    /// Whether the last one was held back until its time was over.
    was_held: bool,
}

impl Rhythm {
    /// How long to pause before the next question, after this answer.
    pub(crate) fn pause(&mut self, pace: &Pace, answered: Answered) -> Duration {
        let Answered { known, index, taken, is_news } = answered;
        self.was_held = false;
        if is_behind(known.index, index) {
            return pace.least;
        }
        let least = match known.index {
            _ if index == 0 => pace.interval,
            // What was read for the first time is waited for at once: nothing of it was news yet.
            0 => pace.least.min(SOON),
            same if same == index && taken >= known.wait / 2 => {
                *self = Self { was_held: true, ..Self::default() };
                pace.least
            }
            same if same == index => {
                self.unheld += 1;
                pace.interval
            }
            _ if is_news => {
                self.idle = 0;
                pace.least
            }
            _ => {
                self.idle += 1;
                pace.least.saturating_mul(1 << self.idle.min(16)).min(pace.interval)
            }
        };
        least.saturating_sub(taken)
    }

    /// Whether the server holds an answer back until there is news, if the last ones tell.
    pub(crate) fn holds(&self) -> Option<bool> {
        match self.unheld {
            UNHELD.. => Some(false),
            _ => self.was_held.then_some(true),
        }
    }
}

/// Whether an answer is of a state before the one that was known.
pub(crate) fn is_behind(known: u64, answered: u64) -> bool {
    (1..known).contains(&answered)
}

/// The index to ask with after an answer.
pub(crate) fn next_index(known: u64, answered: u64) -> u64 {
    if answered < known { 0 } else { answered }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { interval: Duration::from_secs(60), wait: Duration::from_secs(120), least: Duration::from_secs(4) };

    fn answered(known: u64, index: u64, taken: u64, is_news: bool) -> Answered {
        let known = Known { index: known, wait: PACE.wait };
        Answered { known, index, taken: Duration::from_secs(taken), is_news }
    }

    /// The pauses after answers to one thing, in seconds.
    fn pauses(answers: impl IntoIterator<Item = Answered>) -> Vec<u64> {
        let mut rhythm = Rhythm::default();
        answers.into_iter().map(|answered| rhythm.pause(&PACE, answered).as_secs()).collect()
    }

    #[test]
    fn an_index_that_goes_back_is_forgotten() {
        assert_eq!([(0, 7), (7, 9), (7, 7), (9, 7), (7, 0)].map(|(known, it)| next_index(known, it)), [7, 9, 7, 0, 0]);
    }

    #[test]
    fn who_knows_no_index_is_asked_by_the_interval() {
        for (known, index, taken, pause) in
            [(7, 8, 0, 4), (7, 8, 3, 1), (7, 7, 90, 0), (0, 7, 0, 1), (0, 0, 1, 59), (7, 0, 1, 59), (7, 6, 90, 4)]
        {
            assert_eq!(pauses([answered(known, index, taken, true)]), [pause], "{known} {index} {taken}");
        }
    }

    #[test]
    fn who_answers_because_of_others_is_asked_less_and_less_often() {
        let idle = (1..8).map(|index| answered(index, index + 1, 0, false));
        let then = [answered(8, 9, 3, false), answered(9, 10, 0, true), answered(10, 11, 0, false)];
        assert_eq!(pauses(idle.chain(then)), [8, 16, 32, 60, 60, 60, 60, 57, 4, 8]);
        // So long was nothing new at all.
        let quiet = [answered(1, 2, 0, false), answered(2, 2, 120, false), answered(2, 3, 0, false)];
        assert_eq!(pauses(quiet), [8, 0, 8]);
    }

    #[test]
    fn who_does_not_hold_an_answer_back_is_asked_by_the_interval() {
        let mut rhythm = Rhythm::default();
        let mut next = |taken| {
            let pause = rhythm.pause(&PACE, answered(7, 7, taken, false)).as_secs();
            (pause, rhythm.holds())
        };
        assert_eq!([0, 1, 59, 60].map(&mut next), [(60, None), (59, Some(false)), (1, Some(false)), (0, Some(true))]);
    }
}
