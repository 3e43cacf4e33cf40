//! How a worker's run ended, and what follows from it.

use std::time::Duration;

use rosterd_model::{Coded, Report, Retry};
use serde_json::Value;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The state is reached, and nothing is left to do for it.
    Done,
    /// This step is done, and the next one gets what it left behind. Both are in the ledger before that one begins.
    Next(Value),
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

    /// The name, as in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Next(_) => "next",
            Self::Retry(_) => "retry",
            Self::Cancel(_) => "cancel",
            Self::Snooze(_) => "snooze",
        }
    }
}
