//! Why a template was not rendered, or its file not put to use.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rosterd_model::{Coded, Priority, Retry};

use crate::publish::file_sd::FileSdError;
use crate::reconcile::steps::{Tried, Tries};

/// A failure on the way from a template to a program that works with what was rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template, or one that it includes, cannot be read.
    #[error("cannot read the template {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The template is wrong, or asks for what is not there.
    #[error("cannot render {}: {why}", place(path, *line))]
    Render {
        /// The file: the template, or one that it includes.
        path: PathBuf,
        /// The line, from 1 on; 0 when the file as a whole is meant.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The template does not come to an end, or not in its time.
    #[error("cannot render {}: {why}", place(path, *line))]
    Endless {
        /// The file: the template, or one that it includes.
        path: PathBuf,
        /// The line that it had come to, from 1 on; 0 when that is not known.
        line: usize,
        /// Which bound it met.
        why: String,
    },
    /// Nothing but space came out of it.
    #[error(
        "{} renders to nothing, which is put nowhere: if that is meant, let it render at least a comment",
        path.display()
    )]
    Empty {
        /// The template.
        path: PathBuf,
    },
    /// What was rendered cannot be written.
    #[error(transparent)]
    Write(#[from] FileSdError),
    /// What was rendered is neither beside its place nor in it.
    #[error("what was rendered for {} is not there any more: somebody else removed it", path.display())]
    Lost {
        /// The destination.
        path: PathBuf,
    },
    /// The check has changed what it was to judge.
    #[error("the check of {} changed or removed the file that it was to judge: let it work on a copy", path.display())]
    Changed {
        /// The destination.
        path: PathBuf,
    },
    /// Commands and signals are not allowed.
    #[error(
        "the {what} of {} has to run a command or to send a signal, which is not allowed: start rosterd with --templates.allow-commands",
        path.display()
    )]
    Disabled {
        /// `check`, `reload` or `verify`.
        what: &'static str,
        /// The destination.
        path: PathBuf,
    },
    /// A command cannot be started.
    #[error("cannot start {command}, the {what} of {}", path.display())]
    Start {
        /// `check`, `reload` or `verify`.
        what: &'static str,
        /// The program.
        command: Box<str>,
        /// The destination.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A command takes too long.
    #[error("{command}, the {what} of {}, did not end within {after:?}{}", path.display(), after_colon(said))]
    Timeout {
        /// `check`, `reload` or `verify`.
        what: &'static str,
        /// The program.
        command: Box<str>,
        /// The destination.
        path: PathBuf,
        /// Its time.
        after: Duration,
        /// The end of what it said.
        said: String,
    },
    /// A command says no.
    #[error("{command}, the {what} of {}, failed with {status}{}", path.display(), after_colon(said))]
    Failed {
        /// `check`, `reload` or `verify`.
        what: &'static str,
        /// The program.
        command: Box<str>,
        /// The destination.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// The process cannot be found by its file, or cannot be sent a signal.
    #[error("cannot send a signal to the process of {}", path.display())]
    Signal {
        /// The file with its number.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn place(path: &Path, line: usize) -> String {
    let path = path.display();
    if line == 0 { path.to_string() } else { format!("{path}:{line}") }
}

/// What a command said, behind what became of it and in the same line, as it goes into the log and the journal.
fn after_colon(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" | ")) }
}

impl Coded for TemplateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "publish_template_unreadable",
            Self::Render { .. } => "publish_template_failed",
            Self::Endless { .. } => "publish_template_endless",
            Self::Empty { .. } => "publish_template_empty",
            Self::Write(error) => error.code(),
            Self::Lost { .. } => "publish_staged_lost",
            Self::Changed { .. } => "publish_staged_changed",
            Self::Disabled { .. } => "publish_commands_disabled",
            Self::Start { .. } => "publish_command_start",
            Self::Timeout { .. } => "publish_command_timeout",
            Self::Failed { .. } => "publish_command_failed",
            Self::Signal { .. } => "publish_signal_failed",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Write(error) => error.retry(),
            Self::Disabled { .. } => Retry::Never,
            _ => Retry::Backoff,
        }
    }
}

impl Tried for TemplateError {
    /// What is said about the file is said again; what the system lacks may be there a second later.
    fn tries(&self) -> Tries {
        match self {
            // The program is about to write its number there.
            Self::Signal { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => Tries::AtMost(6),
            Self::Write(error) => error.tries(),
            Self::Start { .. } | Self::Signal { .. } => Tries::AtMost(3),
            _ => Tries::AtMost(1),
        }
    }
}
