//! How a worker's run ended, and what follows from it.

use std::time::Duration;

use rosterd_model::{Coded, Report, Retry};
use serde_json::Value;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The state is reached, and nothing is left to do for it.
    Done,
    /// Nothing had to be done to begin: whether the state is reached is found out by keeping it.
    Begun,
    /// This step is done, and the next one gets what it left behind. Both are in the ledger before that one begins.
    Next(Value),
    /// This step is done, and another one than the next follows, which gets what it left behind: what undoes the others.
    To(u32, Value),
    /// Of what keeps what was reached: it is not there any more, or should be another one by now, and an operation
    /// brings it there, from its first step on.
    Begin,
    /// It failed and may succeed later; the error decides when.
    Retry(Report),
    /// It can never work: nothing is tried until another state is desired.
    Cancel(Report),
    /// Nothing is wrong, but it is too early: come back after this time.
    Snooze(Duration),
}

impl Outcome {
    /// The outcome of a run that failed: the error knows whether trying again makes sense.
    pub fn failed(error: &impl Coded) -> Self {
        match error.retry() {
            Retry::Never => Self::Cancel(Report::of(error)),
            Retry::Backoff | Retry::After(_) | Retry::Interval => Self::Retry(Report::of(error)),
        }
    }

    /// Why it failed for good, if it did.
    pub const fn error(&self) -> Option<&Report> {
        match self {
            Self::Cancel(error) => Some(error),
            _ => None,
        }
    }

    /// The name, as in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done | Self::Begun => "done",
            Self::Next(_) | Self::To(..) => "next",
            Self::Begin => "begin",
            Self::Retry(_) => "retry",
            Self::Cancel(_) => "cancel",
            Self::Snooze(_) => "snooze",
        }
    }
}
