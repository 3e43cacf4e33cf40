//! What a user of several watches is told of them: which objects changed, each once however often it did.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::Key;

/// Collects news until they are taken. Holds no more than a key for each object, and so needs no bound.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    news: Mutex<News>,
    bell: Notify,
}

/// What changed since news were taken the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Objects, by the number that the user gave the watch.
    pub(crate) keys: HashSet<(usize, Key)>,
    /// Whether the health of a watch did.
    pub(crate) health: bool,
}

impl Inbox {
    /// Objects of a watch changed.
    pub(crate) fn changed(&self, watch: usize, keys: impl IntoIterator<Item = Key>) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).keys.extend(keys.into_iter().map(|key| (watch, key)));
        self.bell.notify_one();
    }

    /// The health of a watch changed.
    pub(crate) fn ring(&self) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).health = true;
        self.bell.notify_one();
    }

    /// Whether there are no news.
    pub(crate) fn is_empty(&self) -> bool {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.keys.is_empty() && !news.health
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for news. Safe to drop.
    pub(crate) async fn wait(&self) {
        self.bell.notified().await;
    }
}
