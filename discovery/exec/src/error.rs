//! What can go wrong when a command is run.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rosterd_model::{Coded, Priority};

use rosterd_discovery::decode::DecodeError;

/// A run gave no target groups.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecError {
    #[error("cannot start {command}")]
    Start { command: Box<str>, source: io::Error },
    #[error("cannot read what {command} prints")]
    Read { command: Box<str>, source: io::Error },
    #[error("{command} did not end within {after:?} and was killed{}", said(stderr))]
    Timeout { command: Box<str>, after: Duration, stderr: String },
    #[error("{command} failed with {status}{}", said(stderr))]
    Failed { command: Box<str>, status: ExitStatus, stderr: String },
    #[error("{command} printed more than {limit} bytes: raise max_output_size, or print less{}", said(stderr))]
    TooMuch { command: Box<str>, limit: u64, stderr: String },
    #[error("{command} printed null: for no targets, print []")]
    Null { command: Box<str> },
    #[error("{command} did not print a list of target groups")]
    Malformed { command: Box<str>, source: DecodeError },
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}

impl Coded for ExecError {
    fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => "sd_exec_start",
            Self::Read { .. } => "sd_exec_read",
            Self::Timeout { .. } => "sd_exec_timeout",
            Self::Failed { .. } => "sd_exec_failed",
            Self::TooMuch { .. } => "sd_exec_too_much_output",
            Self::Null { .. } | Self::Malformed { .. } => "sd_exec_malformed",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Start { .. } | Self::TooMuch { .. } => Priority::Operator,
            Self::Read { .. }
            | Self::Timeout { .. }
            | Self::Failed { .. }
            | Self::Null { .. }
            | Self::Malformed { .. } => Priority::Remote,
        }
    }
}
