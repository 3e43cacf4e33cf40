//! What can go wrong on the command line, and nowhere else.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

/// Errors of the subcommands.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output, or a file to write, does not take what it gets.
    #[error("cannot write the output")]
    Output {
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard input cannot be read.
    #[error("cannot read line {line} of the input")]
    Input {
        /// The line, counted from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line of the input is no label set.
    #[error("line {line} of the input, column {column}: {reason}")]
    MalformedLine {
        /// The line, counted from 1.
        line: u64,
        /// The column in bytes, counted from 1.
        column: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Standard input cannot be read to its end.
    #[error("cannot read the input")]
    Body {
        /// Why.
        source: io::Error,
    },
    /// The input is no exposition in the format that it is said to have.
    #[error("{place} of the input: {reason}")]
    MalformedExposition {
        /// Where the fault is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of HTTP client settings cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    ClientSettings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A URL of the command line is none.
    #[error("{url:?} is not a URL that can be asked: {reason}")]
    InvalidUrl {
        /// What was given, without what may be secret in it.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked gives another answer than rosterd does.
    #[error("{url} does not answer as rosterd does: is it one, and of this version?")]
    UnexpectedAnswer {
        /// What was asked.
        url: String,
        /// What is wrong with its answer.
        source: serde_json::Error,
    },
    /// A job of the command line is none of the configuration.
    #[error("there is no job {job:?} in the configuration{}", hint(.nearest))]
    UnknownJob {
        /// What was given.
        job: String,
        /// The job that may have been meant.
        nearest: Option<String>,
    },
    /// A code of the command line that no error has.
    #[error("no error has the code {code:?}{}; `rosterd errors` lists all", suggested(.near))]
    UnknownCode {
        /// What was given.
        code: String,
        /// The codes that may have been meant.
        near: Vec<&'static str>,
    },
    /// The part of the system that runs everything else cannot be started.
    #[error("cannot start the runtime")]
    Runtime {
        /// Why.
        source: io::Error,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

fn suggested(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(", ")),
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Output { .. } | Self::Write { .. } => "cli_output_failed",
            Self::Input { .. } | Self::Body { .. } => "cli_input_unreadable",
            Self::MalformedLine { .. } => "cli_malformed_line",
            Self::MalformedExposition { .. } => "cli_malformed_exposition",
            Self::ClientSettings { .. } => "cli_client_settings_invalid",
            Self::UnknownJob { .. } => "cli_unknown_job",
            Self::UnknownCode { .. } => "cli_unknown_code",
            Self::InvalidUrl { .. } => "cli_invalid_url",
            Self::Runtime { .. } => "cli_runtime_failed",
            Self::UnexpectedAnswer { .. } => "cli_unexpected_answer",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}
