//! What the handlers need to know, handed to them as plain values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::proto::MetricFamily;
use rosterd_discovery::ProviderStatus;
use rosterd_model::{Report, counted};
use rosterd_scrape::Statuses;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ExternalUrl;
use super::{HttpMetrics, Trends};
use crate::journal::JournalHandle;
use crate::publish::{Publications, ServedLists};
use crate::roster::RosterHandle;
use crate::scrape::{RemoteWrites, ScrapedJobs};

/// What the handlers need.
#[derive(Debug)]
pub struct State {
    /// What was built.
    pub build: Build,
    /// The flags of the command line with their values, without dashes.
    pub flags: BTreeMap<String, String>,
    /// The URL under which this rosterd is reached.
    pub external_url: ExternalUrl,
    /// The prefix of all routes, empty or `/like/this`.
    pub route_prefix: String,
    /// All metrics of this agent.
    pub registry: prometheus::Registry,
    /// The same under Prometheus' names.
    pub prometheus_names: PrometheusNames,
    /// The metrics of the HTTP server itself.
    pub metrics: HttpMetrics,
    /// When the agent started.
    pub started: SystemTime,
    /// The working directory at the start.
    pub directory: PathBuf,
    /// The configuration in use.
    pub config: watch::Receiver<Arc<ConfigView>>,
    /// Reload and quit.
    pub lifecycle: Lifecycle,
    /// The targets. Its jobs have to be set before the server answers: without jobs there is nothing to wait for.
    pub roster: RosterHandle,
    /// Discovery.
    pub providers: Providers,
    /// How the targets are.
    pub scrapes: Statuses,
    /// The jobs that are scraped, and which of their targets.
    pub scraped: ScrapedJobs,
    /// How that was over the last day.
    pub trends: Trends,
    /// What is published besides the lists.
    pub publications: Publications,
    /// When lists were handed out.
    pub served: ServedLists,
    /// Where samples go.
    pub remote_writes: RemoteWrites,
    /// What happened.
    pub journal: JournalHandle,
    /// What of the store does not work.
    pub storage: Storage,
    /// How many clients may still wait for news of lists: each has a connection to itself meanwhile.
    pub waiting: Arc<Semaphore>,
    /// How many large answers there may still be at once, until their clients have taken them.
    pub heavy: Arc<Semaphore>,
    /// How many may still try rules on what they send, which takes memory while it comes and a thread afterwards.
    pub trying: Arc<Semaphore>,
    /// How many lists may still be compressed at the same time: each takes a thread, and memory that this thread keeps.
    pub compressing: Arc<Semaphore>,
    /// The port that is listened on first.
    pub listen_port: u16,
    /// When the agent counts as ready although some providers have not reported.
    pub ready_at: Instant,
}

/// Lists the providers as they are at the moment.
#[derive(Clone)]
pub struct Providers(Arc<dyn Fn() -> Vec<ProviderStatus> + Send + Sync>);

impl Providers {
    /// Wraps what knows the providers; it must not block.
    pub fn new(list: impl Fn() -> Vec<ProviderStatus> + Send + Sync + 'static) -> Self {
        Self(Arc::new(list))
    }

    /// All providers, by key.
    pub fn list(&self) -> Vec<ProviderStatus> {
        (self.0)()
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}

/// Lists the files of the store that cannot be used at the moment.
#[derive(Clone)]
pub struct Storage(Arc<dyn Fn() -> Vec<StorageFailure> + Send + Sync>);

/// A file of the store that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageFailure {
    /// Its name.
    pub file: &'static str,
    /// What went wrong, the last time.
    pub report: Report,
    /// Since when it goes wrong each time.
    pub since: SystemTime,
}

impl Storage {
    /// Wraps what knows the store; it must not block.
    pub fn new(list: impl Fn() -> Vec<StorageFailure> + Send + Sync + 'static) -> Self {
        Self(Arc::new(list))
    }

    /// All that cannot be used.
    pub fn failing(&self) -> Vec<StorageFailure> {
        (self.0)()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Storage")
    }
}

/// Makes metrics under Prometheus' names of those that were gathered.
#[derive(Clone)]
pub struct PrometheusNames(Arc<Translate>);

type Translate = dyn Fn(&[MetricFamily]) -> Vec<MetricFamily> + Send + Sync;

impl PrometheusNames {
    /// Wraps what knows how; it must not block.
    pub fn new(translate: impl Fn(&[MetricFamily]) -> Vec<MetricFamily> + Send + Sync + 'static) -> Self {
        Self(Arc::new(translate))
    }

    /// What there is under these names.
    pub(super) fn of(&self, own: &[MetricFamily]) -> Vec<MetricFamily> {
        (self.0)(own)
    }
}

impl fmt::Debug for PrometheusNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrometheusNames")
    }
}

/// The version of this program, in the members of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The released version.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When it was built.
    pub build_date: String,
    /// Prometheus puts its compiler's version here; so do we.
    pub go_version: String,
}

impl Build {
    /// What was built from a commit, on a branch, by a compiler, as [`revision!`](crate::revision) tells. Who did it and when is
    /// what the environment of the compiler says (`ROSTERD_BUILD_USER`, `_BUILD_DATE`): the same sources make the same binary.
    pub fn of([revision, branch, rustc]: [&str; 3]) -> Self {
        let told = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: revision.to_owned(),
            branch: branch.to_owned(),
            build_user: told(option_env!("ROSTERD_BUILD_USER")),
            build_date: told(option_env!("ROSTERD_BUILD_DATE")),
            go_version: rustc.to_owned(),
        }
    }
}

/// The configuration in use and how the last attempt to replace it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigView {
    /// The configuration as YAML, without secrets.
    pub yaml: String,
    /// When it came into use.
    pub loaded: SystemTime,
    /// Whether metrics are told under Prometheus' names too.
    pub prometheus_names: bool,
    /// Why nothing is scraped, if nothing is.
    pub idle: Option<&'static str>,
    /// Why the last reload failed, if it did.
    pub refused: Option<Refused>,
}

/// Why a configuration was not taken into use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The error as a whole.
    pub report: Report,
    /// What is wrong with the files, each with its place; empty when it is not the files.
    pub problems: Vec<rosterd_config::Problem>,
}

impl Refused {
    /// In a line, what a person reads first: the first problem of the files with its place, and how many more there are.
    pub fn line(&self) -> String {
        match &*self.problems {
            [] => format!("{} ({})", self.report, self.report.code),
            [one] => one.to_string(),
            [first, more @ ..] => format!("{first}; and {}", counted(more.len(), "more problem")),
        }
    }
}

/// A wish to read the configuration again; answered when that is done.
pub type ReloadRequest = oneshot::Sender<Result<(), Refused>>;

/// Reload and quit over HTTP.
#[derive(Debug)]
pub struct Lifecycle {
    /// Whether that is possible: `--web.enable-lifecycle`.
    pub enabled: bool,
    /// Takes wishes to reload.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Cancelled when somebody asks the agent to end.
    pub quit: CancellationToken,
    /// Cancelled when the agent begins to stop: whoever waits for news is answered at once.
    pub stopping: CancellationToken,
}
