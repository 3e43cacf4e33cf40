//! One exchange of HTTP/1.1 over a connection that nobody else uses. What the protocol needs in memory is there only as
//! long as the exchange: an idle connection is a socket and nothing else.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::Empty;
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

/// Room for what is read at once: at least a head with many headers, at most a piece that the caches hold.
const READS: std::ops::RangeInclusive<usize> = 16 * 1024..=256 * 1024;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Before anything of the reply came: another connection may do better.
    Unanswered(hyper::Error),
    /// In the middle of the reply.
    Broken(hyper::Error),
    /// The body is larger than allowed.
    TooLarge,
}

/// What came back besides the body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The socket, if it can carry another exchange.
    pub(crate) socket: Option<Socket>,
}

/// Sends a request and appends the body of the reply to `body`, which may grow by `limit` bytes. `expected` is how large
/// the reply may be, as a hint.
pub(crate) async fn exchange(
    socket: Socket,
    request: http::Request<Empty<Bytes>>,
    body: &mut Vec<u8>,
    limit: u64,
    expected: usize,
) -> Result<Answer, Failed> {
    match socket {
        Socket::Tcp(stream) => {
            let (status, headers, stream) = over(stream, request, body, limit, expected).await?;
            Ok(Answer { status, headers, socket: stream.map(Socket::Tcp) })
        }
        Socket::Unix(stream) => {
            let (status, headers, stream) = over(stream, request, body, limit, expected).await?;
            Ok(Answer { status, headers, socket: stream.map(Socket::Unix) })
        }
    }
}

async fn over<S>(
    stream: S,
    request: http::Request<Empty<Bytes>>,
    body: &mut Vec<u8>,
    limit: u64,
    expected: usize,
) -> Result<(StatusCode, HeaderMap, Option<S>), Failed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let size = expected.clamp(*READS.start(), *READS.end());
    let mut builder = http1::Builder::new();
    let handshake = builder.read_buf_exact_size(Some(size)).handshake(TokioIo::new(stream)).await;
    let (mut sender, mut connection) = handshake.map_err(Failed::Unanswered)?;
    let mut ended = false;
    let reply = {
        let mut reply = pin!(sender.send_request(request));
        poll_fn(|cx| {
            // Its errors reach the reply and the body, too.
            ended = ended || connection.poll_without_shutdown(cx).is_ready();
            reply.as_mut().poll(cx)
        })
        .await
        .map_err(Failed::Unanswered)?
    };
    let (head, mut incoming) = reply.into_parts();
    let most = body.len() as u64 + limit;
    loop {
        let frame = poll_fn(|cx| {
            match Pin::new(&mut incoming).poll_frame(cx) {
                Poll::Pending => {}
                ready => return ready,
            }
            ended = ended || connection.poll_without_shutdown(cx).is_ready();
            Pin::new(&mut incoming).poll_frame(cx)
        });
        let Some(frame) = frame.await.transpose().map_err(Failed::Broken)? else { break };
        // Trailers are of no use here.
        let Ok(data) = frame.into_data() else { continue };
        if body.len() as u64 + data.len() as u64 > most {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&data);
    }
    let open = poll_fn(|cx| Poll::Ready(!ended && connection.poll_without_shutdown(cx).is_pending())).await;
    let parts = connection.into_parts();
    // What came after the reply was not asked for.
    let stream = (open && parts.read_buf.is_empty()).then(|| parts.io.into_inner());
    Ok((head.status, head.headers, stream))
}
