//! Serves a script on a listener.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::script::{Fault, Received, Script};

/// Accepts connections until it is dropped, which closes them all.
pub(super) async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A connection that was given up before it was accepted is nobody's problem.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, Arc::clone(&script)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let service = service_fn(|request| answer(request, &script));
    // Scripts close connections in the middle of answers, and clients do what they like: neither is an error here.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(request: Request<Incoming>, script: &Mutex<Script>) -> io::Result<Response<Reply>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or("*", |path| path.as_str()).to_owned();
    let received = Received { method: head.method, path, headers: head.headers, body };
    let answer = script.lock().unwrap_or_else(PoisonError::into_inner).answer(received);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let reply = match answer.fault {
        Some(Fault::Close) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Truncate(bytes)) => Reply::truncated(answer.body, bytes),
        None => Reply::whole(answer.body),
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
    fn whole(body: Bytes) -> Self {
        Self { announced: body.len() as u64, data: Some(body), then: Then::End }
    }

    fn truncated(body: Bytes, bytes: usize) -> Self {
        let data = body.slice(..bytes.min(body.len()));
        Self { announced: body.len() as u64, data: Some(data), then: Then::Flush }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
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
