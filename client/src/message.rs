//! Requests and replies.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use rosterd_tasks::blocking;
use tokio::time::Instant;

use crate::budget::Share;
use crate::secrets::{Secrets, shown};
use crate::unpack::Unpacker;
use crate::{ClientError, Url};

/// A request. Headers of the configuration are added to these, credentials unless `Authorization` is among them.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL. A user and a password in it become an `Authorization` header.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether the body holds what proves who asks. It goes to no other host then, wherever a redirect points.
    pub has_secrets: bool,
    /// The time for the whole exchange, if not that of the client.
    pub timeout: Option<Duration>,
}

impl Request {
    /// A `GET` without headers.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            has_secrets: false,
            timeout: None,
        }
    }

    /// A `POST`.
    pub fn post(url: Url, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(url) }
    }
}

/// A reply, whatever its status. Its body has not been read yet, and has to be read within the time of the request.
#[derive(Debug)]
pub struct Response {
    pub(crate) inner: http::Response<Incoming>,
    /// What unpacks the body, if it is packed.
    pub(crate) unpacker: Option<Unpacker>,
    pub(crate) url: Url,
    pub(crate) time: Time,
    pub(crate) secrets: Secrets,
    /// The URL is what another reply said.
    pub(crate) redirected: bool,
}

/// The time that an exchange has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) deadline: Instant,
    pub(crate) total: Duration,
}

impl Time {
    pub(crate) fn from_now(total: Duration) -> Self {
        let now = Instant::now();
        // Too far to be a point in time is as good as a day.
        let deadline = now.checked_add(total).unwrap_or(now + Duration::from_secs(86_400));
        Self { deadline, total }
    }

    /// Waits for the future, but not for longer than there is time.
    pub(crate) async fn limit<T>(
        self,
        url: &Url,
        future: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout_at(self.deadline, future).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout { url: shown(url), after: self.total }),
        }
    }
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// What was asked for, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What was sent as a secret, to be hidden in what is told of the reply.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What was asked for, to be shown.
    pub(crate) fn shown_url(&self) -> String {
        let spelt = shown(&self.url);
        if self.redirected { self.secrets.hide(&spelt) } else { spelt }
    }

    /// The error that a caller returns who has no use for the status.
    pub fn status_error(&self) -> ClientError {
        ClientError::of_status_at(self.shown_url(), self.status(), self.headers())
    }

    /// This reply if it is a success (2xx), or else its [`status_error`](Self::status_error).
    pub fn success(self) -> Result<Self, ClientError> {
        if self.status().is_success() { Ok(self) } else { Err(self.status_error()) }
    }

    /// This reply if it is declared as JSON in UTF-8.
    pub fn json(self) -> Result<Self, ClientError> {
        let declared = self.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let declared = String::from_utf8_lossy(declared);
        if is_json(&declared) {
            return Ok(self);
        }
        Err(ClientError::NotJson { url: self.shown_url(), declared: self.secrets.hide(&declared) })
    }

    /// The next part of the body, unpacked; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let url = self.url.clone();
        let time = self.time;
        time.limit(&url, self.next_part(&url)).await
    }

    async fn next_part(&mut self, url: &Url) -> Result<Option<Bytes>, ClientError> {
        let damaged = |error: std::io::Error| ClientError::Broken { url: shown(url), source: error.into() };
        loop {
            if let Some(part) = self.unpacker.as_mut().map_or(Ok(None), Unpacker::next).map_err(damaged)? {
                return Ok(Some(part));
            }
            let part = self.part().await.map_err(|error| ClientError::of_exchange(url, false, error))?;
            match (part, &mut self.unpacker) {
                (Some(packed), Some(unpacker)) => unpacker.push(packed),
                (None, Some(unpacker)) => return unpacker.end().map_err(damaged),
                (part, None) => return Ok(part),
            }
        }
    }

    /// The next part of the body as it is sent.
    async fn part(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        while let Some(frame) = self.inner.frame().await {
            // What stands behind a body is of no use here.
            if let Ok(part) = frame?.into_data() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// How long the body says that it is. What is packed says nothing of that.
    fn announced(&self) -> u64 {
        self.inner.size_hint().exact().filter(|_| self.unpacker.is_none()).unwrap_or_default()
    }

    /// The next part of a body of which `read` bytes were read, unless it turns out to be larger than `limit`, if there is one.
    pub async fn chunk_within(&mut self, read: &mut u64, limit: Option<u64>) -> Result<Option<Bytes>, ClientError> {
        let limit = limit.unwrap_or(u64::MAX);
        if self.announced() > limit {
            return Err(ClientError::TooLarge { url: self.shown_url(), limit });
        }
        let chunk = self.chunk().await?;
        *read += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if *read > limit {
            return Err(ClientError::TooLarge { url: self.shown_url(), limit });
        }
        Ok(chunk)
    }

    /// Appends the body, unpacked, to `buffer`. Stops as soon as it turns out to be larger than `limit`, if there is one.
    pub async fn read_into(&mut self, buffer: &mut Vec<u8>, limit: Option<u64>) -> Result<(), ClientError> {
        self.read(buffer, limit).await
    }

    /// In a box: as a bare future it is compiled once more in each crate that reads anything.
    fn read<'a>(
        &'a mut self,
        buffer: &'a mut Vec<u8>,
        limit: Option<u64>,
    ) -> Pin<Box<dyn Future<Output = Result<(), ClientError>> + Send + 'a>> {
        Box::pin(async move { self.read_within(buffer, &mut Share::default(), limit).await })
    }

    /// The same, and stops as soon as there is no memory left for it. Nothing is taken before something came.
    pub(crate) async fn read_within(
        &mut self,
        buffer: &mut Vec<u8>,
        share: &mut Share,
        limit: Option<u64>,
    ) -> Result<(), ClientError> {
        let mut read = 0;
        while let Some(chunk) = self.chunk_within(&mut read, limit).await? {
            if buffer.capacity() - buffer.len() < chunk.len() {
                if !share.cover(buffer.len() + chunk.len().max(buffer.len())) {
                    let limit = share.limit();
                    return Err(ClientError::TooLarge { url: self.shown_url(), limit });
                }
                grow(buffer, chunk.len()).await;
            }
            buffer.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// The whole body, unpacked, unless it is larger than `limit`.
    pub async fn body(mut self, limit: Option<u64>) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        self.read_into(&mut body, limit).await?;
        Ok(body)
    }
}

/// Copying more than this to a larger place takes milliseconds, or tens of them when the system has to find the memory.
const LONG_COPY: usize = 4 << 20;

/// Makes room for so many more bytes, and for as many again as there are.
async fn grow(buffer: &mut Vec<u8>, more: usize) {
    if buffer.len() <= LONG_COPY {
        return buffer.reserve(more);
    }
    let mut grown = std::mem::take(buffer);
    *buffer = blocking(move || {
        grown.reserve(more);
        grown
    })
    .await;
}

/// Whether this is the content type of JSON, which is in UTF-8.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.trim().to_ascii_lowercase();
    let Some(parameter) = kind.strip_prefix("application/json") else {
        return false;
    };
    let charset = parameter.strip_prefix(';').map(|parameter| parameter.trim_ascii_start());
    parameter.is_empty() || matches!(charset, Some("charset=utf-8" | "charset=\"utf-8\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_json() {
        for kind in [
            "application/json",
            " Application/JSON ",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json;  charset=\"utf-8\"",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["", "text/json", "application/jsonp", "application/json; charset=latin1", "application/json;"] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
