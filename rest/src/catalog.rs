//! What a catalog of services owes whoever watches it: one that is told which state is known, and answers when there is a newer one.
//!
//! An answer has an index. Whoever asks with that index gets no answer until there is something newer, or the time is over that he
//! gives it; then the index is the same. Without an index the answer comes at once. An index that is smaller than the one before
//! says that the server lost its memory, or is one that has just begun and does not know everything yet: one asks without an index
//! then, and believes the answer to that.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::Error;
use rosterd_model::TargetGroup;

/// A catalog of named things, mostly services, each of which is a source. [`Watching`](crate::Watching) makes a discoverer of it.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// What tells them apart; as text the name of the source.
    type Name: Ord + Clone + Display + Send + Sync + 'static;

    /// What has to be known before anything else is asked. Tried until it succeeds; nothing is said before.
    async fn prepare(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The names, where they are known without asking.
    fn fixed(&self) -> Option<BTreeSet<Self::Name>> {
        None
    }

    /// The names of those that are wanted.
    async fn names(&self, known: Known) -> Result<Answer<BTreeSet<Self::Name>>, Error>;

    /// The group of one. Its source is set to the name afterwards.
    async fn group(&self, name: &Self::Name, known: Known) -> Result<Answer<TargetGroup>, Error>;
}

/// How soon is asked again after a question that did not wait.
const SOON: Duration = Duration::from_secs(1);

/// What whoever asks knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The index of the last answer; 0 for an answer at once.
    pub index: u64,
    /// How long the server may wait for something newer.
    pub wait: Duration,
}

/// What a catalog answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The index to ask with next; 0 from a server that has none.
    pub index: u64,
    /// What is there, unless it is what is known.
    pub news: Option<T>,
}

impl<T> Answer<T> {
    /// The same with something else in it.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { index: self.index, news: self.news.map(make) }
    }

    /// What is there, for who knew the state of this index; nothing from a server that is behind it.
    pub(crate) fn news_since(self, known: u64) -> Option<T> {
        self.news.filter(|_| !is_behind(known, self.index))
    }
}

/// How often a catalog is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Within this time each thing is asked about, were they so many that they have to take turns; and again when the server does
    /// not know of indexes.
    pub interval: Duration,
    /// The longest that an answer is waited for.
    pub wait: Duration,
    /// The least time from one question about a thing to the next.
    pub least: Duration,
}

impl Pace {
    /// How long to pause before the next question about a thing: after one with the index that was known, and an answer with this
    /// index, `taken` later. What was read for the first time is waited for at once: nothing of it was news yet.
    pub(crate) fn pause(&self, known: u64, index: u64, taken: Duration) -> Duration {
        if is_behind(known, index) {
            return self.least;
        }
        let least = match (known, index) {
            (_, 0) => self.interval,
            (0, _) => self.least.min(SOON),
            _ => self.least,
        };
        least.saturating_sub(taken)
    }
}

/// Whether an answer is of a state before the one that was known.
fn is_behind(known: u64, answered: u64) -> bool {
    (1..known).contains(&answered)
}

/// The index to ask with after an answer.
pub(crate) fn next_index(known: u64, answered: u64) -> u64 {
    if answered < known { 0 } else { answered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_goes_back_is_forgotten() {
        assert_eq!([(0, 7), (7, 9), (7, 7), (9, 7), (7, 0)].map(|(known, it)| next_index(known, it)), [7, 9, 7, 0, 0]);
    }

    #[test]
    fn who_knows_no_index_is_asked_by_the_interval() {
        let second = Duration::from_secs;
        let pace = Pace { interval: second(60), wait: second(120), least: second(30) };
        for (known, index, taken, pause) in
            [(7, 8, 0, 30), (7, 8, 20, 10), (7, 7, 90, 0), (0, 7, 0, 1), (0, 0, 1, 59), (7, 0, 1, 59), (7, 6, 90, 30)]
        {
            assert_eq!(pace.pause(known, index, second(taken)), second(pause), "{known} {index} {taken}");
        }
    }
}
