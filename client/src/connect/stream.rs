//! A connection as hyper takes it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio_rustls::client::TlsStream;

/// As much is read at once at most. hyper makes the buffer of a connection larger as long as it is filled, up to the size of the
/// largest head, and keeps it.
const AT_ONCE: u64 = 128 << 10;

/// A socket, or something around one.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What requests and replies go over.
pub(crate) struct Stream {
    io: Take<Box<dyn Io>>,
    /// Whether a proxy reads each request.
    proxied: bool,
    /// Whether the server has chosen HTTP/2.
    http2: bool,
}

impl Stream {
    pub(super) fn plain(io: Box<dyn Io>) -> Self {
        Self { io: io.take(AT_ONCE), proxied: false, http2: false }
    }

    pub(super) fn of_proxy(io: Box<dyn Io>) -> Self {
        Self { proxied: true, ..Self::plain(io) }
    }

    pub(super) fn secure(io: TlsStream<Box<dyn Io>>) -> Self {
        let http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
        Self { http2, ..Self::plain(Box::new(io)) }
    }

    fn writer(&mut self) -> Pin<&mut dyn Io> {
        Pin::new(&mut **self.io.get_mut())
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io.set_limit(AT_ONCE);
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(cx, bufs)
    }
}
