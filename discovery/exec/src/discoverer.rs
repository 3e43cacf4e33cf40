//! Runs the command of a configuration and reads what it prints.

use async_trait::async_trait;
use bytes::Bytes;
use rosterd_client::Secrets;
use rosterd_tasks::process::{Output, Read, Run};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::config::ExecConfig;
use super::error::ExecError;
use rosterd_discovery::decode::{JsonList, ListHash};
use rosterd_discovery::{Error, Reading, Refresh};

const COMMAND: &str = "__meta_exec_command";

#[derive(Debug)]
pub(super) struct Exec {
    config: ExecConfig,
    /// The run of now. It stays here when a refresh is dropped, so that [`Refresh::end`] can end it.
    run: Option<Run>,
    /// A hash of the last output that was read.
    last: Option<ListHash>,
}

/// What is printed becomes a list.
struct Printed<'l>(&'l mut JsonList);

impl Output for Printed<'_> {
    async fn push(&mut self, piece: Bytes) {
        self.0.push(piece).await;
    }
}

impl Exec {
    pub(super) fn new(config: ExecConfig) -> Self {
        Self { config, run: None, last: None }
    }

    /// What the command prints now.
    async fn read(&mut self, secrets: &Secrets) -> Result<Reading, ExecError> {
        let mut list = JsonList::new(self.last, self.config.program(), COMMAND);
        let stderr = self.run(&mut list).await?;
        let command = self.config.program();
        if !stderr.is_empty() {
            debug!(command, stderr = secrets.hide(&stderr), "a command succeeded and had something to say");
        }
        // What a script prints whose own source gave nothing: no answer, not the answer that there is nothing.
        if list.is_null() {
            return Err(ExecError::Null { command: command.into() });
        }
        let malformed = |source| ExecError::Malformed { command: command.into(), source };
        let (hash, groups) = list.end().await.map_err(malformed)?;
        self.last = Some(hash);
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }

    /// One run, from its start until nothing is left of it. What it prints goes into the list; what it says besides is
    /// returned.
    async fn run(&mut self, list: &mut JsonList) -> Result<String, ExecError> {
        let command: Box<str> = self.config.program().into();
        let limit = self.config.max_output_size.bytes();
        let after = self.config.run_timeout();
        let started = match Run::start(self.config.to_run()) {
            Ok(run) => run,
            Err(source) => return Err(ExecError::Start { command, source }),
        };
        let run = self.run.insert(started);
        let read = timeout(after, run.read(limit, &mut Printed(list))).await;
        let ended = if matches!(read, Ok(Ok(Read::Whole))) { run.finish().await } else { run.stop().await };
        let stderr = run.stderr_tail();
        self.run = None;
        match (read, ended) {
            (Err(_), _) => Err(ExecError::Timeout { command, after, stderr }),
            (Ok(Ok(Read::TooMuch)), _) => Err(ExecError::TooMuch { command, limit, stderr }),
            (Ok(Err(source)), _) | (_, Err(source)) => Err(ExecError::Read { command, source }),
            (_, Ok(status)) if !status.success() => Err(ExecError::Failed { command, status, stderr }),
            _ => Ok(stderr),
        }
    }
}

#[async_trait]
impl Refresh for Exec {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        // Scripts like to tell what they were given: `set -x`, `curl -v`.
        let secrets = Secrets::default().and(self.config.env.values().cloned());
        self.read(&secrets).await.map_err(|error| secrets.hide_in_error(&error).into())
    }

    async fn end(&mut self) {
        if let Some(mut run) = self.run.take()
            && let Err(error) = run.stop().await
        {
            warn!(%error, command = self.config.program(), "cannot end a command");
        }
    }
}
