//! `CONNECT`: an HTTP proxy is asked to pass on whatever comes.

use http::{HeaderMap, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::ProxyError;
use super::stream::Io;
use crate::error::Cause;
use crate::head::{self, Malformed};

/// The connection behind the proxy to a server, whose host and port are `to`. Only 200 is an answer that leads there, as in Go.
pub(super) async fn tunnel(mut stream: Box<dyn Io>, to: &str, headers: &HeaderMap) -> Result<Box<dyn Io>, Cause> {
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n").into_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::HOST) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            request.extend_from_slice(part);
        }
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;
    match status(&mut stream, to).await? {
        StatusCode::OK => Ok(stream),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(ProxyError::WhoAsks.into()),
        status => Err(ProxyError::Refused { to: to.to_owned(), status }.into()),
    }
}

/// The status of the proxy's final answer.
async fn status(stream: &mut Box<dyn Io>, to: &str) -> Result<StatusCode, Cause> {
    let (mut bytes, mut seen) = (Vec::new(), 0);
    loop {
        if let Some(length) = head::length(&bytes, seen) {
            let status = head::read(&bytes[..length]).map_err(ProxyError::Malformed)?.status;
            if !status.is_informational() {
                return Ok(status);
            }
            bytes.drain(..length);
            seen = 0;
            continue;
        }
        seen = bytes.len();
        if seen > head::LARGEST {
            return Err(ProxyError::Malformed(Malformed::TooLarge).into());
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(ProxyError::Ended { to: to.to_owned() }.into());
        }
    }
}
