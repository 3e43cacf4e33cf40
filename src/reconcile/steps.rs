//! Work of several steps: what each of them does, whether doing it twice is harmless, and what undoes it. A worker lists
//! its steps in a table, and [`carry_out`] does the one whose turn it is.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_model::{Coded, Priority, Report, Retry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Outcome, Work};

/// How often a step is tried that fails. The error decides: when it is tried again is told by [`Coded::retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// Until it works.
    Unlimited,
    /// So many times; then what was done is undone.
    AtMost(u32),
}

impl Tries {
    /// Whether no try is left after this one failed, and `before` others.
    pub fn is_over(self, before: u32) -> bool {
        match self {
            Self::Unlimited => false,
            Self::AtMost(tries) => before.saturating_add(1) >= tries,
        }
    }
}

/// An error of a step.
pub trait Tried: Coded {
    /// How often the step is tried that fails like this.
    fn tries(&self) -> Tries;
}

/// Why a step failed, and how often it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Why.
    pub report: Report,
    /// How often.
    pub tries: Tries,
}

impl<E: Tried> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { report: Report::of(&error), tries: error.tries() }
    }
}

/// What a step came to, which leaves `L` behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then<L> {
    /// The next one follows; after the last one the operation is done.
    Next(L),
    /// Nothing is left to do.
    Done,
    /// It was cut off, or is too early: it is tried again after this time, and nothing is wrong.
    Later(Duration),
    /// What was done is undone, and this is why.
    Undone(Report),
}

/// A step that may be done any number of times: after a crash, it is done again from its beginning, however far it was.
#[async_trait]
pub trait Repeatable<W, L>: Send + Sync {
    /// Does it.
    async fn run(&self, worker: &mut W, left: L, stop: &CancellationToken) -> Result<Then<L>, Failed>;
}

/// A step that must not be done twice. It can be told from outside whether it was done, and that is asked whenever it may have
/// been begun before.
#[async_trait]
pub trait Once<W, L>: Send + Sync {
    /// Whether it was done.
    async fn is_done(&self, worker: &mut W, left: &L) -> Result<bool, Failed>;

    /// Does it, which it was not yet.
    async fn run(&self, worker: &mut W, left: L, stop: &CancellationToken) -> Result<Then<L>, Failed>;
}

/// Does a step, and says by its type whether that may be done twice.
enum Does<W: 'static, L: 'static> {
    Repeatable(&'static dyn Repeatable<W, L>),
    Once(&'static dyn Once<W, L>),
}

/// A step in the table of a worker.
pub struct Step<W: 'static, L: 'static> {
    /// The name, as in the API.
    name: &'static str,
    does: Does<W, L>,
    /// The number of the step that follows when no try is left; none when the operation fails then.
    undo: Option<u32>,
}

impl<W, L> std::fmt::Debug for Step<W, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<W, L> Step<W, L> {
    /// A step that may be done any number of times.
    pub const fn repeatable(name: &'static str, step: &'static dyn Repeatable<W, L>) -> Self {
        Self { name, does: Does::Repeatable(step), undo: None }
    }

    /// A step that must not be done twice.
    pub const fn once(name: &'static str, step: &'static dyn Once<W, L>) -> Self {
        Self { name, does: Does::Once(step), undo: None }
    }

    /// With the number of the step that follows when no try is left.
    #[must_use]
    pub const fn undone_from(mut self, step: u32) -> Self {
        self.undo = Some(step);
        self
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// What steps leave behind for the next ones. Nothing of it is known before the first.
pub trait Left: Serialize + DeserializeOwned + Default + Clone + Send + Sync {
    /// A step failed for good: what undoes it can tell why.
    fn failed(&mut self, why: Report);
}

/// What the ledger has of an operation leads nowhere: another rosterd wrote it.
#[derive(Debug, thiserror::Error)]
#[error("step {step} of an operation is not understood, which another version of rosterd began")]
struct NotUnderstood {
    step: u32,
    #[source]
    source: Option<serde_json::Error>,
}

impl Coded for NotUnderstood {
    fn code(&self) -> &'static str {
        "reconcile_step_unknown"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// Does the step of the table whose turn it is. One that must not be done twice and may have been begun is asked first
/// whether it was done.
pub async fn carry_out<W: Send, S: Sync, L: Left>(
    steps: &'static [Step<W, L>],
    worker: &mut W,
    work: &Work<S>,
    stop: &CancellationToken,
) -> Outcome {
    let left = match &work.left {
        Value::Null => Ok(L::default()),
        left => serde_json::from_value(left.clone()),
    };
    let (step, left) = match (steps.get(work.step as usize), left) {
        (Some(step), Ok(left)) => (step, left),
        (_, left) => return Outcome::failed(&NotUnderstood { step: work.step, source: left.err() }),
    };
    let came = match step.does {
        Does::Repeatable(step) => step.run(worker, left.clone(), stop).await,
        Does::Once(step) if work.repeated => match step.is_done(worker, &left).await {
            Ok(true) => Ok(Then::Next(left.clone())),
            Ok(false) => step.run(worker, left.clone(), stop).await,
            Err(failed) => Err(failed),
        },
        Does::Once(step) => step.run(worker, left.clone(), stop).await,
    };
    let is_last = work.step as usize + 1 == steps.len();
    match came {
        Ok(Then::Next(_)) if is_last => Outcome::Done,
        Ok(Then::Next(left)) => Outcome::Next(value(&left)),
        Ok(Then::Done) => Outcome::Done,
        Ok(Then::Later(wait)) => Outcome::Snooze(wait),
        Ok(Then::Undone(why)) => Outcome::Cancel(why),
        Err(Failed { report, tries }) if tries.is_over(work.attempt) => match step.undo {
            Some(undo) => {
                let mut left = left;
                left.failed(report);
                Outcome::To(undo, value(&left))
            }
            None => Outcome::Cancel(report),
        },
        Err(Failed { report, .. }) => Outcome::Retry(report),
    }
}

fn value(left: &impl Serialize) -> Value {
    serde_json::to_value(left).expect("what a step leaves behind is plain data with text as keys")
}

#[cfg(test)]
mod tests;
