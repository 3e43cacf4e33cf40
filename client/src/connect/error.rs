//! Why a proxy or a unix socket does not lead to a server.

use http::StatusCode;
use std::path::PathBuf;

use crate::error::Cause;
use crate::head::Malformed;

/// What a proxy did not do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    /// It is not there.
    #[error("cannot connect to the proxy {proxy}: {reason}")]
    Unreachable { proxy: String, reason: Cause },
    /// It wants to know who asks.
    #[error("the proxy wants a user and a password, or does not accept those of proxy_url (HTTP status 407)")]
    WhoAsks,
    /// It answers `CONNECT` with something else than 200.
    #[error("the proxy does not connect to {to}: it answers with HTTP status {status}")]
    Refused { to: String, status: StatusCode },
    #[error("the proxy ended the connection before it was connected to {to}")]
    Ended { to: String },
    #[error("the proxy is no HTTP proxy, or broken: {0}")]
    Malformed(Malformed),
    /// The words of the library are all that is known.
    #[error("the SOCKS proxy does not connect to {to}: {reason}")]
    Socks { to: String, reason: String },
}

/// Nothing can be reached by a unix socket.
#[derive(Debug, thiserror::Error)]
#[error("the unix socket {}: {reason}", path.display())]
pub(super) struct SocketError {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}
