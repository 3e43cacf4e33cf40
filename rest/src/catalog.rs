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

use crate::pace::is_behind;

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

    /// The [hints](Self::hint) that there are. Of those with equal text at the same server one is asked for, whoever wants it.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// A question, cheap for the server, whose answer has another index when something has changed in any of many groups. They are asked
    /// as long as there are so many groups at the server that they have to take turns: then a change shows long before its turn comes.
    async fn hint(&self, _number: usize, known: Known) -> Result<Answer<()>, Error> {
        Ok(Answer { index: known.index, news: None })
    }

    /// The group of one. Its source is set to the name afterwards.
    async fn group(&self, name: &Self::Name, known: Known) -> Result<Answer<TargetGroup>, Error>;
}

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
