//! Listeners, and the face over which the benchmark asks and steers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::account::Account;
use super::receiver::Receiver;

/// Locks what is shared; a panic elsewhere ends the run anyway.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes connections from this machine until it is dropped.
pub(super) async fn accept<F>(listener: TcpListener, mut serve: impl FnMut(TcpStream) -> F) -> Infallible
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, peer)) = listener.accept().await
            && peer.ip().is_loopback()
        {
            // It only costs time when it cannot be set.
            stream.set_nodelay(true).ok();
            connections.spawn(serve(stream));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// An answer.
pub(super) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

/// Serves the face.
pub(super) async fn serve_face(listener: TcpListener, receiver: Arc<Receiver>, account: Arc<Mutex<Account>>) {
    let serve = |stream| {
        let (receiver, account) = (receiver.clone(), account.clone());
        async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = face(request.uri().path(), &receiver, &account);
                async { Ok::<_, Infallible>(response) }
            });
            // Who asks may go away at any time.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        }
    };
    accept(listener, serve).await;
}

fn face(path: &str, receiver: &Receiver, account: &Mutex<Account>) -> Response<Full<Bytes>> {
    let mut account = lock(account);
    match path {
        "/figures" => return json(&account.figures()),
        "/firsts" => return json(&account.firsts()),
        "/reset" => account.reset(),
        "/targets/off" => account.open = false,
        "/targets/on" => account.open = true,
        "/receiver/off" => receiver.turn(false),
        "/receiver/on" => receiver.turn(true),
        _ => return answer(StatusCode::NOT_FOUND, ""),
    }
    answer(StatusCode::OK, "")
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, serde_json::to_vec(value).expect("figures have no map whose keys are no text"))
}
