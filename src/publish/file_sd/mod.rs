//! Publishing jobs as files for file_sd: one file for each output, written whole, atomically, and only when its content
//! changed or somebody else touched it.
//!
//! A file is left alone while the targets of one of its jobs are unknown: a consumer must not lose targets because
//! rosterd restarted. For the same reason it stays when its output is removed from the configuration.
//!
//! The ledger has which outputs there are. Their content follows the roster in memory alone, as each write brings the
//! whole file to where it should be: what a crash cut off is found by the next look at the file.

mod content; // output and roster to what should be in the file; pure
mod desired; // outputs to desired workers; pure
mod error;
mod pace; // how often a file may be written; pure
pub(in crate::publish) mod publisher; // makes the workers, and wakes those whose jobs changed
mod status; // what is known of each file
#[cfg(test)]
mod tests;
pub(in crate::publish) mod worker; // the worker of one output
pub(in crate::publish) mod write; // atomic replacement of a file; the I/O

pub use desired::desired;
pub use error::FileSdError;
pub use publisher::Publisher;
pub use status::{FileStatus, FileStatuses};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Output {
    /// Where. Absolute; no two outputs have the same.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// How.
    pub format: Format,
    /// The jobs whose targets it lists, in this order. A job that the roster does not know counts as unknown, never as
    /// empty.
    pub jobs: Vec<Arc<str>>,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// A path below a folder whose name is no text is shown as well as it can be.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
