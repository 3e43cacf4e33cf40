//! The HTTP of targets: HTTP/1.1, kept alive, gzip for those who ask for it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::account::Account;
use super::address_number;
use super::exposition::Bodies;
use super::http::{accept, answer, lock};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Serves all targets until it is dropped.
pub(super) async fn serve(listener: TcpListener, bodies: Bodies, account: Arc<Mutex<Account>>) {
    let bodies = Arc::new(bodies);
    accept(listener, |stream| connection(stream, bodies.clone(), account.clone())).await;
}

async fn connection(stream: TcpStream, bodies: Arc<Bodies>, account: Arc<Mutex<Account>>) {
    let Ok(SocketAddr::V4(address)) = stream.local_addr() else { return };
    let Some(target) = address_number(*address.ip()) else { return };
    let service = service_fn(|request| {
        let response = scrape(&request, target, &bodies, &account);
        async { Ok::<_, Infallible>(response) }
    });
    // Requests and answers are small or whole: a large buffer for each connection would only cost memory.
    let mut http = http1::Builder::new();
    http.max_buf_size(16 * 1024);
    // The agent may close at any time.
    http.serve_connection(TokioIo::new(stream), service).await.ok();
}

fn scrape(
    request: &Request<Incoming>,
    target: usize,
    bodies: &Bodies,
    account: &Mutex<Account>,
) -> Response<Full<Bytes>> {
    let mut account = lock(account);
    let Some(scrape) = account.scraped(target) else {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "closed");
    };
    let body = bodies.of(target, scrape as usize);
    account.served(target, body.tally);
    let encodings = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip = encodings.contains("gzip");
    let mut response = answer(StatusCode::OK, if gzip { body.gzip.clone() } else { body.plain.clone() });
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, GZIP);
    }
    response
}
