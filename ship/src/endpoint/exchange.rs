//! One request and its reply.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use rosterd_client::{Client, ClientError, Request, Url};
use rosterd_model::{Coded, Retry};

/// How much of a reply is read, so that its connection can be used again.
const DRAINED: usize = 64 << 10;
/// How much of a reply is logged.
const WORDS: usize = 1024;

/// A reply, read as far as it matters.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The beginning of the body.
    pub(super) words: String,
    /// When to come back, if it says so.
    pub(super) after: Option<Duration>,
}

/// Sends a request and reads the reply.
pub(super) async fn exchange(client: &Client, request: Request) -> Result<Reply, ClientError> {
    let mut response = client.send(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let url = response.url().clone();
    let mut body = Vec::new();
    // The status is known: a body that breaks off changes nothing.
    while body.len() < DRAINED
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    // It may repeat the request. What is cut off in the middle would not be found.
    let mut words = response.secrets().hide(&String::from_utf8_lossy(&body));
    words.truncate(words.floor_char_boundary(WORDS));
    let words = words.trim().to_owned();
    let after = comes_back(&url, &headers);
    Ok(Reply { status, headers, words, after })
}

/// When a receiver asks to be asked again. `Retry-After` means the same for each status that is tried again.
pub(super) fn comes_back(url: &Url, headers: &HeaderMap) -> Option<Duration> {
    match ClientError::of_status(url, StatusCode::SERVICE_UNAVAILABLE, headers).retry() {
        Retry::After(wait) => Some(wait),
        _ => None,
    }
}
