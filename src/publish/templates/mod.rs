//! Publishing the roster through templates: a file for another program, rendered from the targets of jobs, checked, put in its
//! place, and made known to the program.
//!
//! Each change is an operation of several steps that survives a crash between any two of them. A file that is refused never
//! takes the place of the one before; one that the program does not take, or does not work with, gives way to it again. Nothing
//! is rendered while the targets of one of the jobs are unknown.

mod clock; // the time of a rendering
mod command; // commands and signals; the I/O
mod data; // the roster as values of a template; pure
mod desired; // templates to desired workers, and what the reconciler asks of them; pure
mod engine; // a template and the roster to text
mod error;
mod filters; // what templates may do with values besides what the library has; pure
mod look; // whether the file is as it should be
mod place; // the files of a destination: staged, in place, former; the I/O
mod publisher; // makes the workers
mod refusals; // what is tried again later
mod steps; // the steps of an operation
#[cfg(test)]
mod tests;
mod worker; // the worker of one template

pub use desired::{desired, revision};
pub use engine::{Bounds, ReadFiles, Rendered, examine, render};
pub use error::TemplateError;
pub use publisher::Templates;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One file to render.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The template. Absolute, as all paths here.
    pub source: PathBuf,
    /// The file that it is rendered to; no two outputs have the same.
    pub destination: PathBuf,
    /// The jobs whose targets it is given. A job that the roster does not know counts as unknown, never as empty.
    pub jobs: Vec<Arc<str>>,
    /// The command that says whether what was rendered is good; empty for none. `{file}` in it is the file that is not in its
    /// place yet.
    pub check: Vec<String>,
    /// How the program learns of the file.
    pub reload: Reload,
    /// The command that says whether the program works with the file; empty for none.
    pub verify: Vec<String>,
    /// How far two changes of the file are apart at least.
    pub min_interval: Duration,
    /// How long each command may take.
    pub timeout: Duration,
}

/// How a program learns of a new file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// Not from rosterd.
    None,
    /// By a command.
    Command(Vec<String>),
    /// By a signal to the process whose number is in a file. One that does not run has nothing to learn: it reads the file when
    /// it starts.
    Signal {
        /// The signal.
        signal: SignalName,
        /// The file.
        pid_file: PathBuf,
    },
}

/// A signal that makes programs read their configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalName {
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}
