//! What can go wrong when names are looked up.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rosterd_model::{Coded, Priority, bare_url, counted};
use rosterd_tasks::Panicked;

/// A refresh failed, or part of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum DnsError {
    #[error("cannot read {}", path.display())]
    ResolvConf { path: PathBuf, source: io::Error },
    #[error("{} names no nameserver: add one, or set nameservers", path.display())]
    NoNameserver { path: PathBuf },
    #[error("cannot look up {:?}", bare_url(name))]
    Lookup { name: Box<str>, source: LookupError },
    /// A warning.
    #[error("there is no name {:?} in DNS{}", bare_url(name), and_more(*more))]
    NoSuchName { name: Box<str>, more: usize },
    /// A warning.
    #[error(
        "{:?} has no {kind} records in DNS{}: `type` says which records are asked for", bare_url(name), and_more(*more)
    )]
    NoRecords { name: Box<str>, kind: RecordType, more: usize },
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(", and so it is with {more} more of the names"),
    }
}

impl Coded for DnsError {
    fn code(&self) -> &'static str {
        match self {
            Self::ResolvConf { .. } => "sd_dns_resolv_conf",
            Self::NoNameserver { .. } => "sd_dns_no_nameserver",
            Self::Lookup { source: LookupError::BadName { .. }, .. } => "sd_dns_bad_name",
            Self::Lookup { source: LookupError::Panicked { .. }, .. } => "sd_dns_panicked",
            Self::Lookup { .. } => "sd_dns_lookup_failed",
            Self::NoSuchName { .. } => "sd_dns_no_such_name",
            Self::NoRecords { .. } => "sd_dns_no_records",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::ResolvConf { .. } | Self::NoNameserver { .. } => Priority::Operator,
            Self::Lookup { source: LookupError::BadName { .. } | LookupError::Panicked { .. }, .. } => {
                Priority::Operator
            }
            Self::Lookup { .. } | Self::NoSuchName { .. } | Self::NoRecords { .. } => Priority::Remote,
        }
    }
}

/// Who did not answer, of so many nameservers, and what.
fn no_answer(servers: usize) -> String {
    match servers {
        1 => "the nameserver gave no usable answer".to_owned(),
        _ => format!("none of {} gave a usable answer", counted(servers, "nameserver")),
    }
}

/// One name could not be looked up, so that it is unknown whether it has records.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error("{} is not a name in DNS{}", full_name.trim_end_matches('.'), fault(full_name))]
    BadName { full_name: String },
    #[error("{} for {full_name}", no_answer(*servers))]
    NoAnswer { full_name: String, servers: usize, source: ServerError },
    #[error("it panicked: {message}")]
    Panicked { message: String },
}

impl From<Panicked> for LookupError {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked { message: panicked.0 }
    }
}

/// One server gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error("cannot ask {server}")]
    Io { server: SocketAddr, source: io::Error },
    #[error("{server} did not answer within {after:?}")]
    Timeout { server: SocketAddr, after: Duration },
    #[error("the answer of {server} cannot be read")]
    Malformed { server: SocketAddr, source: hickory_proto::serialize::binary::DecodeError },
    #[error("{server} answered something else than was asked")]
    Unrelated { server: SocketAddr },
    #[error("{server} truncated its answer although it was asked over TCP")]
    Truncated { server: SocketAddr },
    #[error("{server} answered with {code:?}")]
    Code { server: SocketAddr, code: ResponseCode },
}

/// What is wrong with a name, where that can be said.
pub(super) fn fault(name: &str) -> &'static str {
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    if labels.any(|label| label.is_empty()) {
        ": there is nothing between two of its dots, or before the first"
    } else if name.split('.').any(|label| label.len() > 63) {
        ": a part of it has more than 63 bytes"
    } else if name.len() > 254 {
        ": it has more than 253 bytes"
    } else {
        ""
    }
}
