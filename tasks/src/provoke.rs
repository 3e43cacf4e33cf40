//! Panics that a test asks for, wherever the work of a kind is: what comes of them is what supervision promises.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Supervision;

/// The kinds of work that a panic is asked of and that have not panicked yet. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Provoked(Arc<watch::Sender<BTreeSet<&'static str>>>);

impl Default for Provoked {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }
}

impl Supervision {
    /// Lets one piece of work of this kind panic: one that is under way, or else the next. Returns when it does.
    pub async fn provoke(&self, task: &'static str) {
        let mut asked = self.provoked.0.subscribe();
        self.provoked.0.send_modify(|asked| {
            asked.insert(task);
        });
        // Its sender lives in `self`.
        asked.wait_for(|asked| !asked.contains(task)).await.ok();
    }
}

impl Provoked {
    /// Panics if that is asked of this kind.
    pub(crate) fn strike(&self, task: &'static str) {
        assert!(!self.0.send_if_modified(|asked| asked.remove(task)), "provoked");
    }

    /// Runs a future that panics as soon as that is asked of its kind. Work of the same kind inside of it comes first.
    pub(crate) async fn over<T>(&self, task: &'static str, future: impl Future<Output = T>) -> T {
        let mut asked = self.0.subscribe();
        let struck = async {
            loop {
                self.strike(task);
                // Its sender lives in `self`.
                asked.changed().await.ok();
            }
        };
        let output = tokio::select! {
            biased;
            output = future => output,
            never = struck => never,
        };
        // Also of what is over before it ever waits.
        self.strike(task);
        output
    }
}
