//! What can be wrong with a request.

use std::time::Duration;

use rosterd_model::{Coded, Priority, Retry};

use super::sd::RosterError;
use crate::explain::SearchError;

/// What can be wrong with a request itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A parameter of the query cannot be used.
    #[error("the parameter {name} cannot be {value:?}: {expected}")]
    BadParameter {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A parameter of the query is none of the words that it may be.
    #[error("the parameter {name} cannot be {value:?}: it is one of {known}")]
    UnknownWord {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: String,
        /// Which words it may be, and which of them may have been meant.
        known: String,
    },
    /// A parameter of the query has to be a number and is none.
    #[error("{name} must be a number")]
    NotANumber {
        /// Its name.
        name: &'static str,
    },
    /// A parameter of the query is no selector, or too long.
    #[error("invalid parameter {name:?}")]
    InvalidParameter {
        /// Its name.
        name: &'static str,
        /// Why.
        source: SearchError,
    },
    /// A parameter of the query names a job that there is not. As in Prometheus this is a mistake of the request, while a
    /// list of such a job is not found.
    #[error("invalid parameter {name:?}")]
    NoSuchJob {
        /// Its name.
        name: &'static str,
        /// Which job, and which may have been meant.
        source: RosterError,
    },
    /// A parameter of the query names a worker that there is not.
    #[error("there is no worker {worker:?}: {known}")]
    NoSuchWorker {
        /// What was asked for.
        worker: String,
        /// Which may have been meant, or which there are.
        known: String,
    },
    /// A parameter of the query is missing.
    #[error("the parameter {name} is missing: {expected}")]
    MissingParameter {
        /// Its name.
        name: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// Reload and quit over HTTP are off.
    #[error("Lifecycle API is not enabled: start rosterd with --web.enable-lifecycle to reload or stop it over HTTP")]
    LifecycleDisabled,
    /// A browser asks for a reload, the end, a release or a scrape on behalf of another site.
    #[error(
        "a page of {origin} may not reload or stop rosterd, release targets or have them scraped: ask from a page of rosterd's \
         own, or by a program"
    )]
    CrossSite {
        /// The other site, as far as the browser says.
        origin: String,
    },
    /// Too many clients wait for news of lists.
    #[error(
        "too many clients wait for news: ask without `wait`, or raise --web.max-connections, of which they may be half"
    )]
    TooManyWaiting,
    /// Too many large answers are under way.
    #[error(
        "too many lists, pages and metrics are under way: ask again soon, or raise --web.max-connections, of which they may \
         be three quarters"
    )]
    TooManyLarge,
    /// Too many large rosters of the past wait for their clients.
    #[error(
        "{most} large rosters of the past are being taken by their clients: ask again when they have them, or for less with \
         `limit`, `job` or `selector`"
    )]
    TooManyRosters {
        /// How many there may be.
        most: usize,
    },
    /// There is nothing at this path.
    #[error("there is nothing at {path}{}", nearest.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    NotFound {
        /// The path that was asked for.
        path: String,
        /// The route that was most likely meant.
        nearest: Option<&'static str>,
    },
    /// The path exists, but not with this method.
    #[error("{path} does not answer to {method}")]
    MethodNotAllowed {
        /// The path.
        path: String,
        /// The method.
        method: String,
    },
    /// The agent is on its way out.
    #[error("rosterd is stopping")]
    Stopping,
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::BadParameter { .. }
            | Self::UnknownWord { .. }
            | Self::NotANumber { .. }
            | Self::InvalidParameter { .. }
            | Self::NoSuchJob { .. } => "web_bad_parameter",
            Self::NoSuchWorker { .. } => "web_unknown_worker",
            Self::MissingParameter { .. } => "web_missing_parameter",
            Self::LifecycleDisabled => "web_lifecycle_disabled",
            Self::CrossSite { .. } => "web_cross_site",
            Self::TooManyWaiting => "web_too_many_waiting",
            Self::TooManyLarge | Self::TooManyRosters { .. } => "web_too_many_large",
            Self::NotFound { .. } => "web_not_found",
            Self::MethodNotAllowed { .. } => "web_method_not_allowed",
            Self::Stopping => "web_stopping",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::LifecycleDisabled => Priority::Operator,
            Self::Stopping | Self::TooManyWaiting | Self::TooManyLarge | Self::TooManyRosters { .. } => Priority::Retry,
            _ => Priority::Remote,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Stopping => Retry::Backoff,
            Self::TooManyWaiting => Retry::After(Duration::from_secs(10)),
            Self::TooManyLarge => Retry::After(Duration::from_secs(1)),
            Self::TooManyRosters { .. } => Retry::After(Duration::from_secs(10)),
            _ => Retry::Never,
        }
    }
}
