//! Runs the command of a configuration and reads what it prints.

use async_trait::async_trait;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::config::ExecConfig;
use super::error::ExecError;
use super::process::{Output, Read, Run};
use rosterd_discovery::decode::{ListHash, json_groups_if_changed};
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

impl Exec {
    pub(super) fn new(config: ExecConfig) -> Self {
        Self { config, run: None, last: None }
    }

    /// One run, from its start until nothing is left of it.
    async fn output(&mut self) -> Result<Output, ExecError> {
        let command: Box<str> = self.config.program().into();
        let limit = self.config.max_output_size.bytes();
        let after = self.config.run_timeout();
        let started = match Run::start(&self.config) {
            Ok(run) => run,
            Err(source) => return Err(ExecError::Start { command, source }),
        };
        let run = self.run.insert(started);
        let read = timeout(after, run.read(limit)).await;
        let ended = if matches!(read, Ok(Ok(Read::Whole))) { run.finish().await } else { run.stop().await };
        let output = run.take_output();
        self.run = None;
        let stderr = output.stderr_tail();
        match (read, ended) {
            (Err(_), _) => Err(ExecError::Timeout { command, after, stderr }),
            (Ok(Ok(Read::TooMuch)), _) => Err(ExecError::TooMuch { command, limit, stderr }),
            (Ok(Err(source)), _) | (_, Err(source)) => Err(ExecError::Read { command, source }),
            (_, Ok(status)) if !status.success() => Err(ExecError::Failed { command, status, stderr }),
            _ => Ok(output),
        }
    }
}

#[async_trait]
impl Refresh for Exec {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let output = self.output().await?;
        let command = self.config.program();
        let stderr = output.stderr_tail();
        if !stderr.is_empty() {
            debug!(command, stderr, "a command succeeded and had something to say");
        }
        let (hash, groups) = json_groups_if_changed(output.stdout, self.last, command, COMMAND)
            .await
            .map_err(|source| ExecError::Malformed { command: command.into(), source })?;
        self.last = Some(hash);
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }

    async fn end(&mut self) {
        if let Some(mut run) = self.run.take()
            && let Err(error) = run.stop().await
        {
            warn!(%error, command = self.config.program(), "cannot end a command");
        }
    }
}
