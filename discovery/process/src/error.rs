//! What can go wrong when processes are looked at.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority};

/// A refresh failed, or the reading of one process. What may not be read is no failure: it is left out, counted, and warned of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot list the processes in {}", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("no process is shown in {}: is it mounted?", path.display())]
    Nobody { path: PathBuf },
    #[error("cannot read the process {pid}")]
    Read { pid: u32, source: io::Error },
    #[error("reading the process {pid} panicked: {message}")]
    Panicked { pid: u32, message: String },
    #[error("{refused} of {all} processes may not be read and are left out: {}", advice(*as_root))]
    Refused { refused: u64, all: usize, as_root: bool },
}

/// What helps whom the system does not let read processes of others.
fn advice(as_root: bool) -> &'static str {
    match as_root {
        true => "root may read them with CAP_SYS_PTRACE, unless they belong to another user namespace or are protected",
        false => "run rosterd as root, or with CAP_SYS_PTRACE",
    }
}

impl Coded for ProcessError {
    fn code(&self) -> &'static str {
        match self {
            Self::List { .. } | Self::Nobody { .. } | Self::Read { .. } => "sd_process_unreadable",
            Self::Panicked { .. } => "sd_process_panicked",
            Self::Refused { .. } => "sd_process_refused",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Read { .. } => Priority::Retry,
            Self::List { .. } | Self::Nobody { .. } | Self::Panicked { .. } | Self::Refused { .. } => {
                Priority::Operator
            }
        }
    }
}
