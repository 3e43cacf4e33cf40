//! How an API server is asked: a request, and a body that is read while it arrives. What stands behind it is of no concern to
//! watches.

mod access; // which API server, and as whom
mod http;
mod kubeconfig;
mod plugin; // credentials by a command

use std::fmt::Debug;
use std::time::Duration;

use ::http::{HeaderMap, StatusCode};
use async_trait::async_trait;
use bytes::Bytes;
use rosterd_client::ClientError;

use crate::error::AskError;

pub(crate) use access::{Access, own_namespace};
pub(crate) use kubeconfig::read as kubeconfig;

/// A way to one API server, as one user.
#[async_trait]
pub(crate) trait Transport: Debug + Send + Sync {
    /// Gets what is at a path with parameters. All of the answer has to be there within the time.
    async fn get(&self, path: &str, time: Duration) -> Result<Answer, AskError>;
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Box<dyn Body>,
}

/// A body.
#[async_trait]
pub(crate) trait Body: Send {
    /// The next piece; `None` at the end. Safe to drop: no piece is lost.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError>;

    /// A text that the server may have made of what it was sent, without secrets.
    fn hide(&self, text: &str) -> String;
}
