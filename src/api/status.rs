//! `/api/v1/status/...`: configuration, flags, build and runtime, in the shapes of Prometheus.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_model::Report;
use serde::Serialize;

use super::envelope::success;
use super::{State, StorageFailure};

/// Something that does not work, and since when.
#[derive(Serialize)]
pub(super) struct Failure {
    pub(super) since: String,
    #[serde(flatten)]
    pub(super) report: Report,
}

impl FailingFile {
    fn of(StorageFailure { file, report, since }: StorageFailure) -> Self {
        Self { file, failure: Failure { since: rfc3339(since), report } }
    }
}

#[derive(Serialize)]
struct Config<'a> {
    yaml: &'a str,
    /// rosterd's own: what is wrong with the files that the last reload refused.
    #[serde(rename = "reloadConfigProblems", skip_serializing_if = "<[_]>::is_empty")]
    reload_config_problems: &'a [rosterd_config::Problem],
}

/// A file of the store that cannot be used.
#[derive(Serialize)]
struct FailingFile {
    file: &'static str,
    #[serde(flatten)]
    failure: Failure,
}

/// The configuration in use, without secrets.
pub(super) async fn config(Extract(state): Extract<Arc<State>>) -> Response {
    let view = Arc::clone(&state.config.borrow());
    let problems = view.refused.as_ref().map_or(&[][..], |refused| &refused.problems);
    success(Config { yaml: &view.yaml, reload_config_problems: problems })
}

/// The flags of the command line.
pub(super) async fn flags(Extract(state): Extract<Arc<State>>) -> Response {
    success(&state.flags)
}

/// The version.
pub(super) async fn build(Extract(state): Extract<Arc<State>>) -> Response {
    success(&state.build)
}

/// What Prometheus tells of its process. Tasks stand for goroutines and runtime threads for processors; the rest of what
/// only Go has is empty.
#[derive(Serialize)]
struct Runtime {
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "CWD")]
    directory: String,
    hostname: String,
    #[serde(rename = "serverTime")]
    server_time: String,
    #[serde(rename = "reloadConfigSuccess")]
    reload_config_success: bool,
    /// rosterd's own: what is wrong with the files that the last reload refused.
    #[serde(rename = "reloadConfigProblems", skip_serializing_if = "Vec::is_empty")]
    reload_config_problems: Vec<rosterd_config::Problem>,
    /// rosterd's own: the files of the store that cannot be used.
    #[serde(rename = "storageFailures", skip_serializing_if = "Vec::is_empty")]
    storage_failures: Vec<FailingFile>,
    #[serde(rename = "lastConfigTime")]
    last_config_time: String,
    #[serde(rename = "corruptionCount")]
    corruption_count: u64,
    #[serde(rename = "goroutineCount")]
    tasks: usize,
    #[serde(rename = "GOMAXPROCS")]
    threads: usize,
    #[serde(rename = "GOMEMLIMIT")]
    memory_limit: i64,
    #[serde(rename = "GOGC")]
    gogc: &'static str,
    #[serde(rename = "GODEBUG")]
    godebug: &'static str,
    #[serde(rename = "storageRetention")]
    storage_retention: &'static str,
}

/// The process.
pub(super) async fn runtime(Extract(state): Extract<Arc<State>>) -> Response {
    let view = Arc::clone(&state.config.borrow());
    let tokio = tokio::runtime::Handle::current().metrics();
    success(Runtime {
        start_time: rfc3339(state.started),
        directory: state.directory.display().to_string(),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        server_time: rfc3339(SystemTime::now()),
        reload_config_success: view.refused.is_none(),
        reload_config_problems: view.refused.iter().flat_map(|refused| refused.problems.clone()).collect(),
        storage_failures: state.storage.failing().into_iter().map(FailingFile::of).collect(),
        last_config_time: rfc3339(view.loaded),
        corruption_count: 0,
        tasks: tokio.num_alive_tasks(),
        threads: tokio.num_workers(),
        // What Go says when there is no limit.
        memory_limit: i64::MAX,
        gogc: "",
        godebug: "",
        storage_retention: "",
    })
}

/// A time as Go writes it into JSON, in UTC.
pub(super) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().to_string()
}
