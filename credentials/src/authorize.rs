//! The contract of what proves who asks.

use std::fmt;

use async_trait::async_trait;
use rosterd_client::Request;
use rosterd_model::Error;

/// Adds to requests what proves who asks: a token, or a signature of this one request at this time.
///
/// Whoever sends calls [`authorize`](Self::authorize) last, when nothing of the request changes any more, for each request and each
/// try of one. After the status 401, and after 403 where that is what a service says of a signature, it calls
/// [`refused`](Self::refused), and tries once more if that says so.
#[async_trait]
pub trait Authorize: fmt::Debug + Send + Sync + 'static {
    /// Adds the headers. Their values are marked as secret.
    async fn authorize(&self, request: &mut Request) -> Result<(), Error>;

    /// Whether another proof is worth a try after this one was refused. By default it is not.
    async fn refused(&self, _request: &Request) -> bool {
        false
    }
}
