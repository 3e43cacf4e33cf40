//! Publishing jobs as files for file_sd: one file for each output, written whole, atomically, and only when its content
//! changed.
//!
//! A file is left alone while the targets of one of its jobs are unknown: a consumer must not lose targets because
//! rosterd restarted. For the same reason it stays when its output is removed from the configuration.

mod desired; // outputs and roster to what should be written
mod error;
mod worker; // the worker of one output
mod write; // atomic replacement of a file; the I/O

pub use desired::{Outputs, desired};
pub use error::FileSdError;
pub use worker::{Content, FileSd, FileSdWorker};

use std::path::PathBuf;
use std::sync::Arc;

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output {
    /// Where. Absolute; no two outputs have the same.
    pub path: PathBuf,
    /// How.
    pub format: Format,
    /// The jobs whose targets it lists, in this order. A job that the roster does not know counts as unknown, never as
    /// empty.
    pub jobs: Vec<Arc<str>>,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}
