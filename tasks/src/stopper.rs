//! The owner of tasks. Whoever spawns joins: every task of rosterd has a name, a token that asks it to end, and a
//! [`Stopper`] that waits for it.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

/// Owns a set of named tasks and the token that asks them to end. Cloning shares the set.
#[derive(Debug, Clone)]
pub struct Stopper {
    tasks: Arc<Mutex<Tasks>>,
    token: CancellationToken,
}

#[derive(Debug, Default)]
struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, Arc<str>>,
}

/// A task that panicked, with what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Panicked(pub String);

/// The end of a task: a future of its result, `None` when it was aborted. Dropping it changes nothing for the task.
#[derive(Debug)]
pub struct Task<T>(oneshot::Receiver<Result<T, Panicked>>);

impl<T> Future for Task<T> {
    type Output = Option<Result<T, Panicked>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl Default for Stopper {
    fn default() -> Self {
        Self::new()
    }
}

impl Stopper {
    /// An owner without tasks.
    pub fn new() -> Self {
        Self::with_token(CancellationToken::new())
    }

    /// An owner whose tasks are asked to end when this one's are. It has to be stopped by itself all the same.
    pub fn child(&self) -> Self {
        Self::with_token(self.token.child_token())
    }

    fn with_token(token: CancellationToken) -> Self {
        Self { tasks: Arc::default(), token }
    }

    /// The token that fires when [`stop`](Self::stop) begins.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs a future as a named task. A panic is logged at once and ends only this task.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: impl Into<Arc<str>>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let name = name.into();
        let (sender, receiver) = oneshot::channel();
        let span = info_span!("task", name = &*name);
        let task_name = Arc::clone(&name);
        let body = async move {
            let result = AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| {
                let panicked = Panicked(panic_text(&*panic));
                error!(task = &*task_name, error = %panicked, "task panicked");
                panicked
            });
            // Nobody has to wait for the result.
            sender.send(result).ok();
        };
        let mut tasks = self.tasks();
        tasks.reap();
        let id = tasks.set.spawn(body.instrument(span)).id();
        tasks.names.insert(id, name);
        Task(receiver)
    }

    /// Asks all tasks to end and waits for them. Returns the names of those that had to be aborted at the deadline.
    pub async fn stop(&self, deadline: Duration) -> Vec<Arc<str>> {
        self.token.cancel();
        let mut owned = std::mem::take(&mut *self.tasks());
        let end = tokio::time::Instant::now() + deadline;
        loop {
            match tokio::time::timeout_at(end, owned.set.join_next_with_id()).await {
                Ok(Some(Ok((id, ())))) => drop(owned.names.remove(&id)),
                Ok(Some(Err(failed))) => drop(owned.names.remove(&failed.id())),
                Ok(None) => return Vec::new(),
                Err(_) => break,
            }
        }
        owned.set.shutdown().await;
        let mut stragglers: Vec<_> = std::mem::take(&mut owned.names).into_values().collect();
        stragglers.sort();
        stragglers
    }

    /// The names of the tasks that have not ended.
    pub fn running(&self) -> Vec<Arc<str>> {
        let mut tasks = self.tasks();
        tasks.reap();
        let mut names: Vec<_> = tasks.names.values().cloned().collect();
        names.sort();
        names
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks {
    /// Forgets tasks that have ended.
    fn reap(&mut self) {
        while let Some(ended) = self.set.try_join_next_with_id() {
            let id = ended.map_or_else(|failed| failed.id(), |(id, ())| id);
            self.names.remove(&id);
        }
    }
}

/// Whoever drops the last handle instead of stopping aborts the tasks in the middle of whatever they do.
impl Drop for Tasks {
    fn drop(&mut self) {
        self.reap();
        for name in self.names.values() {
            warn!(aborted = &**name, "stopper dropped before it was stopped");
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    #[test]
    fn stop_waits_for_tasks_that_listen() {
        leak_checked(|| async {
            let stopper = Stopper::new();
            let token = stopper.token().clone();
            let task = stopper.spawn("listener", async move {
                token.cancelled().await;
                7
            });
            assert_eq!(stopper.running(), [Arc::from("listener")]);
            assert!(stopper.stop(Duration::from_secs(1)).await.is_empty());
            assert_eq!(task.await, Some(Ok(7)));
            assert!(stopper.running().is_empty());
        });
    }

    #[test]
    fn stop_names_and_aborts_who_does_not_listen() {
        leak_checked(|| async {
            let stopper = Stopper::new();
            let task = stopper.spawn("deaf", std::future::pending::<()>());
            assert_eq!(stopper.stop(Duration::from_secs(1)).await, [Arc::from("deaf")]);
            assert_eq!(task.await, None);
        });
    }

    #[test]
    fn a_panic_ends_only_its_task() {
        leak_checked(|| async {
            let stopper = Stopper::new();
            let task = stopper.spawn("clumsy", async { panic!("oops") });
            assert_eq!(task.await, Some(Err::<(), _>(Panicked("oops".to_owned()))));
            assert!(stopper.stop(Duration::from_secs(1)).await.is_empty());
        });
    }

    #[test]
    fn a_child_is_asked_to_end_with_its_parent() {
        leak_checked(|| async {
            let parent = Stopper::new();
            let child = parent.child();
            assert!(parent.stop(Duration::from_secs(1)).await.is_empty());
            assert!(child.token().is_cancelled());
        });
    }
}
