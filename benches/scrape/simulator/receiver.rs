//! The receiver of remote write: 1.0 and 2.0, snappy and zstd.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rosterd_testkit::free_loopback_listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::account::Account;
use super::http::{accept, answer, lock};
use super::walk::{self, Message};

/// No request unpacks to more.
const LARGEST: usize = 256 << 20;

/// Takes requests while it is turned on, and resets connections while it is not.
pub(super) struct Receiver {
    listener: std::net::TcpListener,
    account: Arc<Mutex<Account>>,
    on: watch::Sender<bool>,
}

impl Receiver {
    pub(super) fn new(account: Arc<Mutex<Account>>) -> Self {
        let listener = free_loopback_listener();
        listener.set_nonblocking(true).expect("a socket can be told not to block");
        Self { listener, account, on: watch::Sender::new(true) }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().expect("a bound listener has an address").port()
    }

    /// Turns it on or off. What is under way is answered before its connection is closed: the account stays exact.
    pub(super) fn turn(&self, on: bool) {
        self.on.send_replace(on);
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self: Arc<Self>) {
        let listener =
            self.listener.try_clone().and_then(TcpListener::from_std).expect("a bound listener can be watched");
        accept(listener, |stream| self.clone().connection(stream)).await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let mut on = self.on.subscribe();
        if !*on.borrow_and_update() {
            // The other side sees a reset instead of an end.
            stream.set_zero_linger().ok();
            return;
        }
        let service =
            service_fn(|request: Request<Incoming>| async { Ok::<_, Infallible>(self.answer(request).await) });
        let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // The agent may close at any time.
            _ = connection.as_mut() => return,
            _ = on.changed() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.ok();
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return answer(StatusCode::BAD_REQUEST, "the body is cut") };
        let body = body.to_bytes();
        let result = unpack(&head.headers, &body).and_then(|unpacked| self.take(&head, body.len(), &unpacked));
        match result {
            Ok(samples) => {
                let mut response = answer(StatusCode::NO_CONTENT, "");
                let counts = [("samples", samples), ("histograms", 0), ("exemplars", 0)];
                for (what, count) in counts {
                    let name = format!("x-prometheus-remote-write-{what}-written");
                    let name = http::HeaderName::try_from(name).expect("the name has lower-case letters and hyphens");
                    response.headers_mut().insert(name, HeaderValue::from(count));
                }
                response
            }
            Err(error) => {
                lock(&self.account).figures.refused += 1;
                answer(StatusCode::BAD_REQUEST, error.to_string())
            }
        }
    }

    /// Reads a message and returns how many samples it had.
    fn take(&self, head: &Parts, packed: usize, unpacked: &[u8]) -> io::Result<u64> {
        let mut account = lock(&self.account);
        let mut samples = 0;
        let walked = walk::samples(message(&head.headers), unpacked, |labels, value, time| {
            samples += 1;
            account.arrived(labels, value, time);
        });
        walked.map_err(|walk::Damaged| io::Error::other("the message is damaged"))?;
        account.figures.requests += 1;
        account.figures.bytes += (wire_size(head) + packed) as u64;
        account.figures.unpacked += unpacked.len() as u64;
        Ok(samples)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn message(headers: &HeaderMap) -> Message {
    let is_v2 = header(headers, &CONTENT_TYPE).contains("io.prometheus.write.v2.Request");
    if is_v2 { Message::V2 } else { Message::V1 }
}

fn unpack(headers: &HeaderMap, body: &[u8]) -> io::Result<Vec<u8>> {
    match header(headers, &CONTENT_ENCODING) {
        "snappy" => snap::raw::Decoder::new().decompress_vec(body).map_err(io::Error::other),
        "zstd" => zstd::bulk::decompress(body, LARGEST),
        other => Err(io::Error::other(format!("{other:?} is neither snappy nor zstd"))),
    }
}

/// The bytes of the head of a request: its first line, its headers, and an empty line.
fn wire_size(head: &Parts) -> usize {
    let first = head.method.as_str().len() + head.uri.to_string().len() + " HTTP/1.1\r\n".len() + 1;
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    first + headers + 2
}
