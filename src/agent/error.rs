//! Why an agent cannot start, or ended.

use std::path::PathBuf;

use rosterd_config::{ConfigErrors, Problem};
use rosterd_discovery::{ManagerError, RegistryError};
use rosterd_model::{Coded, Priority, Retry};

use crate::api;
use crate::cluster::NotAMember;
use crate::store::StoreError;
use crate::web;

/// Why an agent cannot start, or ended although nobody asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration is not good.
    #[error("cannot load the configuration {}", path.display())]
    Config {
        /// The main file.
        path: PathBuf,
        /// Everything that is wrong with it.
        source: ConfigErrors,
    },
    /// Reading or checking the configuration panicked.
    #[error("cannot load the configuration {}: it panicked: {message}", path.display())]
    ConfigPanicked {
        /// The main file.
        path: PathBuf,
        /// What the panic said.
        message: String,
    },
    /// A configuration that was read again would remove every job, and nobody has confirmed that.
    #[error(
        "{} has no jobs any more, and {jobs} would go: if that is meant, reload it once more as it is, or start with --config.allow-empty",
        path.display()
    )]
    NoJobs {
        /// The main file.
        path: PathBuf,
        /// How many there are.
        jobs: usize,
    },
    /// Two mechanisms have one name.
    #[error("cannot list the mechanisms")]
    Mechanisms(#[from] RegistryError),
    /// Discovery cannot start.
    #[error("cannot start discovery")]
    Discovery(#[from] ManagerError),
    /// A metric is registered twice.
    #[error("cannot register the metrics of {part}")]
    Metrics {
        /// Whose metrics.
        part: &'static str,
        /// Why.
        source: prometheus::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    /// The HTTP server cannot start.
    #[error("cannot serve HTTP")]
    Web(#[from] web::Error),
    /// `--web.external-url` cannot be used.
    #[error(transparent)]
    ExternalUrl(#[from] api::ExternalUrlError),
    /// What the configuration says of scraping or remote write cannot be used.
    #[error(transparent)]
    Scrape(#[from] crate::scrape::Error),
    /// The configuration has members, and this one is none of them.
    #[error(transparent)]
    Cluster(#[from] NotAMember),
    /// A task ended without which there is no going on.
    #[error("the task {task} ended unexpectedly: {message}")]
    TaskEnded {
        /// Its kind.
        task: &'static str,
        /// What it said last.
        message: String,
    },
    /// Some tasks had to be aborted.
    #[error("these tasks did not end in time and were aborted: {}", names.join(", "))]
    Stragglers {
        /// Their names.
        names: Vec<String>,
    },
}

impl AgentError {
    /// What is wrong with the files of the configuration, if it is that.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Config { source, .. } => &source.problems,
            _ => &[],
        }
    }
}

impl Coded for AgentError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config { source, .. } => source.code(),
            Self::ConfigPanicked { .. } => "agent_config_panicked",
            Self::NoJobs { .. } => "agent_no_jobs",
            Self::Mechanisms(_) => "agent_mechanisms",
            Self::Discovery(source) => source.code(),
            Self::Metrics { .. } => "agent_metrics",
            Self::Store(source) => source.code(),
            Self::Web(source) => source.code(),
            Self::ExternalUrl(source) => source.code(),
            Self::Scrape(source) => source.code(),
            Self::Cluster(source) => source.code(),
            Self::TaskEnded { task: "roster", .. } => "agent_roster_ended",
            Self::TaskEnded { .. } => "agent_task_ended",
            Self::Stragglers { .. } => "agent_stragglers",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}
