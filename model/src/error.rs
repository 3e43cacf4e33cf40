//! What every error of rosterd can tell: a code, a priority, and whether trying again makes sense.
//! [`Report`] carries all of it, with the whole chain of causes, across the HTTP API and back.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::in_words;

/// Which of several errors is shown first, and who has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Passes by itself: a later try is likely to succeed.
    Retry,
    /// Something outside rosterd is wrong.
    Remote,
    /// A person has to change the configuration or the environment of rosterd.
    Operator,
}

/// Whether and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// After the usual backoff.
    Backoff,
    /// Not before this time has passed, because the other side said so.
    After(Duration),
    /// Only at the usual interval: sooner is pointless.
    Interval,
    /// Never: the same thing fails the same way until somebody changes something.
    Never,
}

/// An error that programs, operators and readers can each make use of.
pub trait Coded: StdError + Send + Sync + 'static {
    /// A stable name, published in logs, metrics, the API and the docs. Never renamed, never reused.
    fn code(&self) -> &'static str;

    /// Ranks the error among others that are shown together.
    fn priority(&self) -> Priority;

    /// Whether and when trying again makes sense.
    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// An error as data: what the API sends, and what a client gets back whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The stable code.
    pub code: String,
    /// What went wrong, without its causes.
    pub message: String,
    /// Ranks the error among others.
    pub priority: Priority,
    /// Whether and when trying again makes sense.
    pub retry: Retry,
    /// The causes, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl Report {
    /// Everything that an error can tell.
    pub fn of(error: &(impl Coded + ?Sized)) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(in_words(error));
            cause = error.source();
        }
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            priority: error.priority(),
            retry: error.retry(),
            causes,
        }
    }
}

/// The message and its causes in one line, without a cause that the message before it already ends with.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut last = &self.message;
        for cause in &self.causes {
            if !last.ends_with(cause.as_str()) {
                write!(f, ": {cause}")?;
            }
            last = cause;
        }
        Ok(())
    }
}

impl StdError for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {name}")]
    struct Outer {
        name: &'static str,
        source: std::io::Error,
    }

    impl Coded for Outer {
        fn code(&self) -> &'static str {
            "test_outer"
        }

        fn priority(&self) -> Priority {
            Priority::Operator
        }

        fn retry(&self) -> Retry {
            Retry::After(Duration::from_secs(7))
        }
    }

    #[test]
    fn a_report_crosses_json_whole() {
        let error = Outer { name: "x.json", source: std::io::Error::other("disk on fire") };
        let report = Report::of(&error);
        assert_eq!(report.to_string(), "cannot read x.json: disk on fire");
        let json = serde_json::to_string(&report).expect("reports serialise");
        assert_eq!(serde_json::from_str::<Report>(&json).expect("reports come back"), report);
    }

    #[test]
    fn the_operator_comes_first() {
        assert!(Priority::Operator > Priority::Remote && Priority::Remote > Priority::Retry);
    }
}
