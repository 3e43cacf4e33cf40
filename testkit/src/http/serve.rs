//! Serves a script on a listener.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::TlsAcceptor;

use super::script::{Answer, Fault, Received, Script, Verdict};

/// What answers calls.
pub(crate) trait Answering: Send + Sync + 'static {
    /// The answer to a call, as soon as there is one.
    fn answer(&self, call: Received) -> impl Future<Output = Answer> + Send;
}

/// How the server is reached.
#[derive(Clone)]
pub(crate) enum Access {
    /// As it is.
    Plain,
    /// Over TLS.
    Tls(TlsAcceptor),
    /// As it is, and as a proxy that leads to itself over TLS, whatever host it is asked to connect to.
    Proxy(TlsAcceptor),
}

/// A script, and whoever waits for its next change.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) script: Mutex<Script>,
    pub(super) changed: Notify,
}

impl Answering for Shared {
    /// Takes a call, and waits until there is an answer to it.
    async fn answer(&self, call: Received) -> Answer {
        let begun = Instant::now();
        self.script.lock().unwrap_or_else(PoisonError::into_inner).received.push(call.clone());
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let verdict = self.script.lock().unwrap_or_else(PoisonError::into_inner).answer(&call, begun.elapsed());
            match verdict {
                Verdict::Answer(answer) => return answer,
                // Either way it is looked at again.
                Verdict::Hold(wait) => drop(tokio::time::timeout(wait, changed).await),
            }
        }
    }
}

/// Serves the connections that are accepted until it is dropped, which closes them all.
pub(crate) async fn serve<S>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    access: Access,
    shared: Arc<impl Answering>,
) -> Infallible
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        // A connection that was given up before it was accepted is nobody's problem.
        if let Ok(stream) = poll_fn(&mut accept).await {
            let (access, shared) = (access.clone(), Arc::clone(&shared));
            connections.spawn(async move {
                match access {
                    Access::Plain => connection(stream, &*shared).await,
                    Access::Tls(tls) => secure(stream, &tls, &*shared).await,
                    Access::Proxy(tls) => proxy(stream, &tls, &*shared).await,
                }
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &impl Answering) {
    let service = service_fn(|request| answer(request, shared));
    // Scripts close connections in the middle of answers, and clients do what they like: neither is an error here.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn secure(stream: impl AsyncRead + AsyncWrite + Unpin, tls: &TlsAcceptor, shared: &impl Answering) {
    // Whoever is not trusted, or does not trust, goes away.
    if let Ok(stream) = tls.accept(stream).await {
        connection(stream, shared).await;
    }
}

async fn proxy<S>(stream: S, tls: &TlsAcceptor, shared: &impl Answering)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tunnel = Mutex::new(None);
    let service = service_fn(|mut request: Request<Incoming>| {
        let is_tunnel = request.method() == Method::CONNECT;
        if is_tunnel {
            *tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(hyper::upgrade::on(&mut request));
        }
        async move {
            if is_tunnel { Ok(Response::new(Reply::whole(Bytes::new(), None))) } else { answer(request, shared).await }
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await.ok();
    let tunnel = tunnel.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(tunnel) = tunnel
        && let Ok(stream) = tunnel.await
    {
        secure(TokioIo::new(stream), tls, shared).await;
    }
}

async fn answer(request: Request<Incoming>, shared: &impl Answering) -> io::Result<Response<Reply>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or("*", |path| path.as_str()).to_owned();
    let received = Received { method: head.method, path, headers: head.headers, body };
    let answer = shared.answer(received).await;
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let reply = match answer.fault {
        Some(Fault::Close) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Truncate(bytes)) => Reply::truncated(answer.body, bytes),
        None => Reply { pause: answer.pause, ..Reply::whole(answer.body, answer.part) },
    };
    let mut response = Response::new(reply);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// The body of an answer: announced whole, sent as far as the script says.
struct Reply {
    announced: u64,
    data: Option<Bytes>,
    /// How much of it is sent in one piece, and whether such a piece has still to reach the other side.
    part: usize,
    is_sending: bool,
    /// How long each part is kept back, and the one that is.
    pause: Duration,
    waits: Option<Pin<Box<Sleep>>>,
    then: Then,
}

/// What follows the data. An error that follows at once would keep the data from being written.
#[derive(Clone, Copy)]
enum Then {
    End,
    Flush,
    Abort,
}

impl Reply {
    fn whole(body: Bytes, part: Option<usize>) -> Self {
        let part = part.unwrap_or(body.len()).max(1);
        Self {
            announced: body.len() as u64,
            data: Some(body),
            part,
            is_sending: false,
            pause: Duration::ZERO,
            waits: None,
            then: Then::End,
        }
    }

    fn truncated(body: Bytes, bytes: usize) -> Self {
        let data = body.slice(..bytes.min(body.len()));
        Self {
            announced: body.len() as u64,
            part: bytes.max(1),
            data: Some(data),
            is_sending: false,
            pause: Duration::ZERO,
            waits: None,
            then: Then::Flush,
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.pause.is_zero() && self.data.as_ref().is_some_and(|data| !data.is_empty()) {
            let pause = self.pause;
            let wait = self.waits.get_or_insert_with(|| Box::pin(sleep(pause)));
            if wait.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        if let Some(mut data) = self.data.take().filter(|data| !data.is_empty()) {
            // What comes at once would be written together.
            self.is_sending = !self.is_sending;
            if !self.is_sending {
                self.data = Some(data);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let part = data.split_to(self.part.min(data.len()));
            self.data = Some(data);
            self.waits = None;
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match self.then {
            Then::End => Poll::Ready(None),
            Then::Flush => {
                self.then = Then::Abort;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Then::Abort => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
