//! One connection: handshake, requests, and an end when it rests for too long or the server stops.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rosterd_tasks::Stopper;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::activity::{Activity, Running};
use super::file::Loaded;
use super::seats::Seat;
use super::{Client, Settings};

/// Headers of a request, at most.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// How long a handshake may take, unless headers have even less time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long who has asked for nothing yet, and takes what there was, is waited for when the server stops.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often a peer of an HTTP/2 connection is asked whether it is still there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(30);

/// Serves a connection until its end, or until the stopper asks for it.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    config: Option<Arc<Loaded>>,
    service: Service,
    settings: Arc<Settings>,
    tasks: Stopper,
) {
    let stop = tasks.token().clone();
    // Small answers leave at once. A kernel that cannot do either is served all the same.
    stream.set_nodelay(true).ok();
    // A client that does not take its answer, or is gone without a word, does not hold its connection for ever.
    let patience = u32::try_from(settings.read_timeout.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, patience).ok();
    let http2 = config.as_ref().is_none_or(|config| config.http2);
    let Some(tls) = config.and_then(|config| config.tls.clone()) else {
        return requests(stream, peer, http2, service, &settings, tasks).await;
    };
    let limit = HANDSHAKE_TIMEOUT.min(settings.header_timeout);
    let handshake = tokio::select! {
        () = stop.cancelled() => return,
        () = service.seat.leave.cancelled() => return debug!(%peer, "left for others before the handshake was over"),
        handshake = tokio::time::timeout(limit, TlsAcceptor::from(tls).accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => requests(stream, peer, http2, service, &settings, tasks).await,
        Ok(Err(error)) => debug!(%error, %peer, "handshake failed"),
        Err(_) => debug!(%peer, "handshake took too long"),
    }
}

async fn requests<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: I,
    peer: SocketAddr,
    http2: bool,
    service: Service,
    settings: &Settings,
    tasks: Stopper,
) {
    let (stop, end) = (tasks.token().clone(), CancellationToken::new());
    // Whatever this ends by.
    let _end = end.clone().drop_guard();
    let streams = Streams { tasks, peer, end };
    let builder = builder(http2, settings, streams);
    let (seat, activity) = (Arc::clone(&service.seat), Arc::clone(&service.seat.activity));
    let service = Counted { inner: TowerToHyperService::new(service.router), peer, seat, answering: service.answering };
    let leave = service.seat.leave.clone();
    let stream = Noted { stream, activity: Arc::clone(&activity) };
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                // A request that does not come to its end is not one.
                () = activity.quiet_for(FAREWELL) => Ok(()),
            }
        }
        () = leave.cancelled() => {
            debug!(%peer, "rested longest, and others need the room");
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection => ended,
                // A request that came in this moment is answered.
                () = activity.rested_for(Duration::ZERO) => Ok(()),
            }
        }
        () = activity.unasked_for(settings.first_request_timeout) => Ok(()),
        () = activity.rested_for(settings.read_timeout) => {
            connection.as_mut().graceful_shutdown();
            // A peer that does not even answer the farewell is not waited for.
            tokio::time::timeout(settings.header_timeout, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, %peer, "connection ended early");
    }
}

fn builder(http2: bool, settings: &Settings, streams: Streams) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    // hyper counts the rest between two requests as time to read the second one's headers.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout.min(settings.read_timeout))
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(100);
    if http2 { builder } else { builder.http1_only() }
}

/// Runs the requests of one HTTP/2 connection side by side, and not longer than the connection.
#[derive(Debug, Clone)]
struct Streams {
    tasks: Stopper,
    peer: SocketAddr,
    /// The connection has ended.
    end: CancellationToken,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let end = self.end.clone();
        self.tasks.spawn_expendable(("http stream", self.peer), async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = stream => {}
            }
        });
    }
}

/// How many requests wait for their answer to begin, on all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Answering(Arc<AtomicUsize>);

impl Answering {
    /// Whether there are any.
    pub(super) fn is_busy(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    fn start(&self) -> impl Drop + Send + 'static + use<> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Answer(self.clone())
    }
}

struct Answer(Answering);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream that notes whether its peer takes what is written.
struct Noted<I> {
    stream: I,
    activity: Arc<Activity>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Noted<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> Noted<I> {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.activity.note_blocked(polled.is_pending());
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Noted<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// What a connection is for.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) router: Router,
    pub(super) seat: Arc<Seat>,
    pub(super) answering: Answering,
}

/// Counts the requests that go through a service, and notes whose they are.
struct Counted {
    inner: TowerToHyperService<Router>,
    peer: SocketAddr,
    seat: Arc<Seat>,
    answering: Answering,
}

impl hyper::service::Service<Request<Incoming>> for Counted {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let running = self.seat.activity.start();
        request.extensions_mut().insert(Client { address: self.peer, user: None });
        request.extensions_mut().insert(Arc::clone(&self.seat));
        let (answer, answering) = (hyper::service::Service::call(&self.inner, request), self.answering.start());
        Box::pin(async move {
            let response = answer.await?;
            drop(answering);
            Ok(response.map(|body| Body::new(Guarded { body, running: Some(running) })))
        })
    }
}

/// A body that keeps its request running until it was sent or given up.
struct Guarded {
    body: Body,
    running: Option<Running>,
}

impl hyper::body::Body for Guarded {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            self.running = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
