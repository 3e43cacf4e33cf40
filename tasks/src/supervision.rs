//! What becomes of panics: each is logged and counted where it is caught, and that of a task without which there is no
//! going on reaches the one who ends the agent.

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::watch;
use tracing::error;

/// Something panicked; this is what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Panicked(pub String);

/// An essential task ended although nobody asked it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// Its kind.
    pub task: &'static str,
    /// What it said last.
    pub message: String,
}

/// What all stoppers of one agent have in common: they count panics together, and tell one place of those that end the
/// agent. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Supervision {
    panics: IntCounterVec,
    fatal: Arc<watch::Sender<Option<Fatal>>>,
    #[cfg(feature = "provoke")]
    pub(crate) provoked: crate::provoke::Provoked,
}

impl Default for Supervision {
    /// For whoever shows no metrics.
    fn default() -> Self {
        let opts =
            Opts::new("rosterd_task_panics_total", "Panics, by the kind of the task or of the part that panicked.");
        let panics = IntCounterVec::new(opts, &["task"]).expect("the name and the label are good");
        Self {
            panics,
            fatal: Arc::new(watch::Sender::new(None)),
            #[cfg(feature = "provoke")]
            provoked: crate::provoke::Provoked::default(),
        }
    }
}

impl Supervision {
    /// One whose counts are shown. Fails when the name of its metric is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let supervision = Self::default();
        registry.register(Box::new(supervision.panics.clone()))?;
        Ok(supervision)
    }

    /// Catches panics of one kind of work. `task` is a label of a metric: one of few words, never made of data.
    pub fn guard(&self, task: &'static str) -> Guard {
        Guard {
            task,
            panics: self.panics.with_label_values(&[task]),
            #[cfg(feature = "provoke")]
            provoked: self.provoked.clone(),
        }
    }

    /// Waits until an essential task has ended unasked: then the agent has to end in order.
    pub async fn fatal(&self) -> Fatal {
        let mut fatal = self.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(fatal)) => fatal.clone(),
            // Its sender lives in `self`, and what it waits for is there.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    pub(crate) fn tell(&self, task: &'static str, message: String) {
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            fatal.get_or_insert(Fatal { task, message });
            first
        });
    }
}

/// Lets a panic cost only the work in which it happens: it is logged, counted, and told to the caller.
///
/// What the work changed before it panicked is half done: whoever goes on with it makes it anew.
#[derive(Debug, Clone)]
pub struct Guard {
    task: &'static str,
    panics: IntCounter,
    #[cfg(feature = "provoke")]
    provoked: crate::provoke::Provoked,
}

impl Guard {
    /// Makes a call; `name` tells in the log which one it was.
    pub fn call<T>(&self, name: &(dyn Display + Sync), call: impl FnOnce() -> T) -> Result<T, Panicked> {
        #[cfg(feature = "provoke")]
        let call = || {
            self.provoked.strike(self.task);
            call()
        };
        catch_unwind(AssertUnwindSafe(call)).map_err(|panic| self.caught(name, &*panic))
    }

    /// Runs a future to its end; `name` tells in the log which one it was.
    pub async fn run<T>(&self, name: &(dyn Display + Sync), future: impl Future<Output = T>) -> Result<T, Panicked> {
        #[cfg(feature = "provoke")]
        let future = self.provoked.over(self.task, future);
        AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| self.caught(name, &*panic))
    }

    fn caught(&self, name: &dyn Display, panic: &(dyn Any + Send)) -> Panicked {
        self.panics.inc();
        let panicked = Panicked(panic_text(panic));
        error!(task = self.task, name = %name, error = %panicked, "task panicked");
        panicked
    }
}

/// The words of a panic.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
