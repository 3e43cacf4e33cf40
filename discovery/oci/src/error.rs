//! What can go wrong besides questions and answers.

use std::path::PathBuf;

use rosterd_credentials::sign::KeyError;
use rosterd_model::{Coded, Priority, Retry};

/// There is nothing to sign with, or nothing that may be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OciError {
    #[error("cannot read {}: {reason}", path.display())]
    KeyUnreadable { path: PathBuf, reason: String },
    #[error("{what} cannot be used to sign with")]
    Key { what: String, source: KeyError },
    #[error("the certificate of this machine cannot be used: {reason}")]
    Certificate { reason: String },
    #[error("{}: {}", left_out(compartments.len()), shortened(compartments))]
    NotAllowed { compartments: Vec<String> },
}

fn left_out(count: usize) -> String {
    match count {
        1 => "1 compartment is left out, because it may not be read".to_owned(),
        count => format!("{count} compartments are left out, because they may not be read"),
    }
}

/// So many are named.
const NAMED: usize = 5;

fn shortened(all: &[String]) -> String {
    let named = all[..all.len().min(NAMED)].join(", ");
    if all.len() > NAMED { format!("{named} and others") } else { named }
}

impl Coded for OciError {
    fn code(&self) -> &'static str {
        match self {
            Self::KeyUnreadable { .. } => "sd_oci_key_unreadable",
            Self::Key { .. } => "sd_oci_key",
            Self::Certificate { .. } => "sd_oci_certificate",
            Self::NotAllowed { .. } => "sd_oci_not_allowed",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        // A file may be put right.
        Retry::Interval
    }
}
