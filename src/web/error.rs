//! Errors of the HTTP server and of its configuration file.

use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};
use rosterd_yaml::Problems;

/// What keeps the server from being started, or a changed configuration file from being used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of `--web.config.file`, or one that it names, cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("{} is not valid YAML", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Problems,
    },
    /// The file says things that cannot be.
    #[error("{} is not a valid web configuration", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        source: Problems,
    },
    /// The file of a running server does not say any more who may come in.
    #[error("{} has no {key} any more, and may be half written: if everybody may come in, {how}", path.display())]
    Opens {
        /// The file.
        path: PathBuf,
        /// What it said before.
        key: &'static str,
        /// What to do if that is meant.
        how: &'static str,
    },
    /// TLS was added to or removed from the file of a running server.
    #[error("{} turns TLS {}, which takes a restart", path.display(), if *on { "on" } else { "off" })]
    Switched {
        /// The file.
        path: PathBuf,
        /// Whether the file now asks for TLS.
        on: bool,
    },
    /// An address of `--web.listen-address` is none.
    #[error("{address:?} is not an address to listen on: write host:port, or :port for all interfaces")]
    Address {
        /// What was given, without what may be secret in a URL.
        address: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "web_config_unreadable",
            Self::Malformed { .. } => "web_config_malformed",
            Self::Invalid { .. } => "web_config_invalid",
            Self::Opens { .. } => "web_config_opens",
            Self::Switched { .. } => "web_config_needs_restart",
            Self::Address { .. } => "web_address_invalid",
            Self::Listen { .. } => "web_address_taken",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}
