//! The owner of tasks. Whoever spawns joins, and says what a panic means: every task of rosterd has a name, a token that
//! asks it to end, a [`Stopper`] that waits for it, and one of four rules.
//!
//! | spawned by | a panic |
//! | --- | --- |
//! | [`spawn`](Stopper::spawn) | is told to whoever holds the [`Task`] and waits for its result |
//! | [`spawn_restarting`](Stopper::spawn_restarting) | begins the task again, after a pause that grows |
//! | [`spawn_essential`](Stopper::spawn_essential) | ends the agent in order, so that the system starts it again |
//! | [`spawn_expendable`](Stopper::spawn_expendable) | costs this task, which is one of many |
//!
//! Every panic is logged and counted, whatever the rule.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rosterd_model::Retry;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span, warn};

use crate::Schedule;
use crate::supervision::{Guard, Panicked, Supervision};

/// A task that keeps panicking is begun again at most once in this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a task may take to notice that it was aborted. One that holds its thread never does.
const ABORTED: Duration = Duration::from_millis(100);

/// Owns a set of named tasks and the token that asks them to end. Cloning shares the set.
#[derive(Debug, Clone)]
pub struct Stopper {
    tasks: Arc<Mutex<Tasks>>,
    /// Of several who stop, one at a time waits for the tasks.
    turn: Arc<tokio::sync::Mutex<()>>,
    token: CancellationToken,
    supervision: Supervision,
}

#[derive(Debug, Default)]
struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, Arc<str>>,
}

/// What a task is called: its kind, by which its panics are counted, and which of its kind it is, if there are several.
#[derive(Debug, Clone)]
pub struct TaskName {
    kind: &'static str,
    name: Arc<str>,
}

impl From<&'static str> for TaskName {
    fn from(kind: &'static str) -> Self {
        Self { kind, name: kind.into() }
    }
}

impl<T: Display> From<(&'static str, T)> for TaskName {
    fn from((kind, which): (&'static str, T)) -> Self {
        Self { kind, name: format!("{kind} {which}").into() }
    }
}

impl Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The end of a task: a future of its result, `None` when it was aborted. Who holds it hears of a panic.
#[derive(Debug)]
#[must_use = "nobody else hears of its panic: await it, or spawn by another rule"]
pub struct Task<T>(oneshot::Receiver<Result<T, Panicked>>);

impl<T> Future for Task<T> {
    type Output = Option<Result<T, Panicked>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl Default for Stopper {
    fn default() -> Self {
        Self::new()
    }
}

impl Stopper {
    /// An owner without tasks, under a supervision of its own.
    pub fn new() -> Self {
        Self::under(&Supervision::default())
    }

    /// An owner without tasks that is stopped by itself, and whose panics are counted and told with those of others.
    pub fn under(supervision: &Supervision) -> Self {
        Self::with_token(CancellationToken::new(), supervision)
    }

    /// An owner whose tasks are asked to end when this one's are. It has to be stopped by itself all the same.
    pub fn child(&self) -> Self {
        Self::with_token(self.token.child_token(), &self.supervision)
    }

    fn with_token(token: CancellationToken, supervision: &Supervision) -> Self {
        Self { tasks: Arc::default(), turn: Arc::default(), token, supervision: supervision.clone() }
    }

    /// The token that fires when [`stop`](Self::stop) begins.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Where its panics go.
    pub fn supervision(&self) -> &Supervision {
        &self.supervision
    }

    /// Runs a future as a named task, whose result or panic goes to the one who holds what is returned.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: impl Into<TaskName>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let (sender, receiver) = oneshot::channel();
        self.own(name.into(), move |name, guard| async move {
            // Whoever held it may be gone by now.
            sender.send(guard.run(&name, future).await).ok();
        });
        Task(receiver)
    }

    /// Runs a task that can begin anew at any time: `make` is called again after a panic, with pauses that grow while it
    /// keeps panicking. When the future returns, the task has ended.
    pub fn spawn_restarting<F: Future<Output = ()> + Send>(
        &self,
        name: impl Into<TaskName>,
        mut make: impl FnMut() -> F + Send + 'static,
    ) {
        let stop = self.token.clone();
        self.own(name.into(), move |name, guard| async move {
            let (mut pauses, mut pause) = (Schedule::new(LONGEST_PAUSE, &name.name), Duration::ZERO);
            loop {
                let begun = Instant::now();
                if guard.run(&name, async { make().await }).await.is_ok() {
                    return;
                }
                if begun.elapsed() > pause {
                    pauses.succeeded();
                }
                pause = pauses.failed(Retry::Backoff);
                warn!(task = %name, ?pause, "task begins again");
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Runs a task without which there is no going on: when it panics, or ends before it is asked to, that is
    /// [`fatal`](Supervision::fatal).
    pub fn spawn_essential(&self, name: impl Into<TaskName>, future: impl Future<Output = ()> + Send + 'static) {
        let (stop, supervision) = (self.token.clone(), self.supervision.clone());
        self.own(name.into(), move |name, guard| async move {
            match guard.run(&name, future).await {
                Err(panicked) => supervision.tell(name.kind, panicked.0),
                Ok(()) if !stop.is_cancelled() => supervision.tell(name.kind, "it returned".to_owned()),
                Ok(()) => {}
            }
        });
    }

    /// Runs a task that is one of many, and that nobody waits for: a panic costs no more than what it does.
    pub fn spawn_expendable(&self, name: impl Into<TaskName>, future: impl Future<Output = ()> + Send + 'static) {
        self.own(name.into(), move |name, guard| async move {
            // Logged and counted is all that is to be done about it.
            guard.run(&name, future).await.ok();
        });
    }

    fn own<F: Future<Output = ()> + Send + 'static>(&self, name: TaskName, body: impl FnOnce(TaskName, Guard) -> F) {
        let guard = self.supervision.guard(name.kind);
        let (text, span) = (Arc::clone(&name.name), info_span!("task", name = &*name.name));
        let body = body(name, guard).instrument(span);
        let mut tasks = self.tasks();
        tasks.reap();
        let id = tasks.set.spawn(body).id();
        tasks.names.insert(id, text);
    }

    /// Asks all tasks to end and waits for them for so long. See [`stop_by`](Self::stop_by).
    pub async fn stop(&self, patience: Duration) -> Vec<Arc<str>> {
        self.stop_by(Instant::now() + patience).await
    }

    /// Asks all tasks to end and waits for them, those included that they spawn meanwhile. Returns the names of those that
    /// had to be aborted at the deadline. Safe to drop: the tasks stay asked to end, and are waited for by the next call.
    pub async fn stop_by(&self, deadline: Instant) -> Vec<Arc<str>> {
        self.token.cancel();
        if timeout_at(deadline, self.joined()).await.is_ok() {
            return Vec::new();
        }
        let stragglers = self.running();
        self.tasks().set.abort_all();
        timeout(ABORTED, self.joined()).await.ok();
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

    async fn joined(&self) {
        let _turn = self.turn.lock().await;
        poll_fn(|cx| self.tasks().poll_joined(cx)).await;
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

    /// Whether all tasks have ended.
    fn poll_joined(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(ended) = ready!(self.set.poll_join_next_with_id(cx)) {
            let id = ended.map_or_else(|failed| failed.id(), |(id, ())| id);
            self.names.remove(&id);
        }
        Poll::Ready(())
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

/// The moment at which this part of the time until a deadline is over: for whoever has one deadline and several things to
/// stop one after the other.
pub fn portion(deadline: Instant, part: f64) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now).mul_f64(part)
}

#[cfg(test)]
mod tests;
