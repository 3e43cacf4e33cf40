//! A receiver of remote write for tests: it decodes what it is sent, and answers as it is told.

mod proto; // the messages

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{eventually, patience};

/// A sample as it came in. Native histograms come without a value.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSample {
    /// Names and values, in the order of the request.
    pub labels: Vec<(String, String)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value.
    pub value: Option<f64>,
}

impl ReceivedSample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }
}

/// An exemplar as it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedExemplar {
    /// Names and values of its series.
    pub series: Vec<(String, String)>,
    /// Names and values of its own.
    pub labels: Vec<(String, String)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value.
    pub value: f64,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The headers.
    pub headers: HeaderMap,
    /// Samples and histograms, in order.
    pub samples: Vec<ReceivedSample>,
    /// Exemplars, in order.
    pub exemplars: Vec<ReceivedExemplar>,
    /// Names of the families that metadata came for in version 1.0.
    pub metadata: Vec<String>,
    /// How it was answered; 0 as long as it is not, and [`UNANSWERED`](Self::UNANSWERED) if it never will be.
    pub status: u16,
}

impl WriteRequest {
    /// Stands for the status of a request whose connection was closed before the answer.
    pub const UNANSWERED: u16 = 499;

    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is a message of version 2.0.
    pub fn is_v2(&self) -> bool {
        self.header("content-type").is_some_and(|value| value.contains("io.prometheus.write.v2.Request"))
    }
}

/// An answer. By default 204, with the written counts that version 2.0 asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteAnswer {
    /// The status.
    pub status: u16,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: &'static str,
    /// Whether requests of version 2.0 are answered with what was written.
    pub written: bool,
    /// The time before the answer.
    pub delay: Duration,
    /// Whether the connection is closed in place of an answer.
    pub closes: bool,
}

impl Default for WriteAnswer {
    fn default() -> Self {
        Self { status: 204, headers: Vec::new(), body: "", written: true, delay: Duration::ZERO, closes: false }
    }
}

impl WriteAnswer {
    /// An answer with this status and nothing written.
    pub fn status(status: u16) -> Self {
        Self { status, written: false, ..Self::default() }
    }

    /// No answer: the connection is closed.
    pub fn none() -> Self {
        Self { closes: true, ..Self::status(WriteRequest::UNANSWERED) }
    }
}

type Rule = Box<dyn Fn(&WriteRequest) -> WriteAnswer + Send>;

#[derive(Default)]
struct State {
    received: Vec<WriteRequest>,
    /// How many were taken before.
    taken: usize,
    next: VecDeque<WriteAnswer>,
    rule: Option<Rule>,
}

/// A receiver on the loopback interface. Dropping it closes all its connections.
///
/// ```
/// use rosterd_testkit::{RemoteWriteReceiver, WriteAnswer, leak_checked_live};
///
/// leak_checked_live(|| async {
///     let receiver = RemoteWriteReceiver::start().await;
///     receiver.then(WriteAnswer::status(500));
///     assert!(receiver.requests().is_empty() && receiver.url().ends_with("/api/v1/write"));
/// });
/// ```
pub struct RemoteWriteReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    tasks: JoinSet<Infallible>,
}

impl std::fmt::Debug for RemoteWriteReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteWriteReceiver").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RemoteWriteReceiver {
    /// Listens on a free port.
    pub async fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Listens on an address, where another one may have been before.
    ///
    /// # Panics
    ///
    /// When the address is taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::<Mutex<State>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, tasks }
    }

    /// Closes all connections and refuses others until [`on`](Self::on). What came stays.
    pub async fn off(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Listens again, where it did before.
    ///
    /// # Panics
    ///
    /// When the address is taken.
    pub async fn on(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the address is free");
        self.tasks.spawn(serve(listener, Arc::clone(&self.state)));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to write to.
    pub fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// Answers one request like this; several are used in order, before the [rule](Self::rule).
    pub fn then(&self, answer: WriteAnswer) {
        self.state().next.push_back(answer);
    }

    /// Answers all other requests like this. The status of the request is 0 by then.
    pub fn rule(&self, rule: impl Fn(&WriteRequest) -> WriteAnswer + Send + 'static) {
        self.state().rule = Some(Box::new(rule));
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<WriteRequest> {
        self.state().received.clone()
    }

    /// All requests so far, which are forgotten: for tests that would otherwise look at the same ones over and over. Those
    /// that wait for their answer stay.
    pub fn take_requests(&self) -> Vec<WriteRequest> {
        let mut state = self.state();
        let end = state.received.iter().position(|request| request.status == 0).unwrap_or(state.received.len());
        state.taken += end;
        state.received.drain(..end).collect()
    }

    /// The samples of all requests that were answered by 2xx, in order.
    pub fn samples(&self) -> Vec<ReceivedSample> {
        let state = self.state();
        let taken = state.received.iter().filter(|request| (200..300).contains(&request.status));
        taken.flat_map(|request| request.samples.iter().cloned()).collect()
    }

    /// Waits until so many requests have come.
    pub async fn wait_requests(&self, count: usize) {
        let what = format!("{count} requests came to the receiver");
        eventually(patience(), &what, || self.state().received.len() >= count).await;
    }

    /// Waits until so many samples have been taken.
    pub async fn wait_samples(&self, count: usize) {
        let what = format!("{count} samples came to the receiver");
        eventually(patience(), &what, || self.samples().len() >= count).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A connection that was given up before it was accepted is nobody's problem.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(|request| answer(request, &state));
    // Senders break off as they like.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// A request whose answer is due, until it is given, or its connection is closed.
struct Due<'a> {
    state: &'a Mutex<State>,
    index: usize,
    status: u16,
}

impl Drop for Due<'_> {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index - state.taken;
        state.received[index].status = self.status;
    }
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut received = decode(head.headers, &body)?;
    let (reply, index) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.next.pop_front();
        let reply = next.or_else(|| state.rule.as_ref().map(|rule| rule(&received))).unwrap_or_default();
        received.status = if reply.delay.is_zero() { reply.status } else { 0 };
        state.received.push(received.clone());
        (reply, state.taken + state.received.len() - 1)
    };
    if !reply.delay.is_zero() {
        let mut due = Due { state, index, status: WriteRequest::UNANSWERED };
        tokio::time::sleep(reply.delay).await;
        due.status = reply.status;
    }
    if reply.closes {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).map_err(io::Error::other)?;
    let headers = response.headers_mut();
    if reply.written && received.is_v2() {
        let floats = received.samples.iter().filter(|sample| sample.value.is_some()).count();
        headers.insert("x-prometheus-remote-write-samples-written", floats.into());
        headers.insert("x-prometheus-remote-write-histograms-written", (received.samples.len() - floats).into());
    }
    for (name, value) in reply.headers {
        headers.insert(name, value.parse().map_err(io::Error::other)?);
    }
    Ok(response)
}

fn decode(headers: HeaderMap, body: &[u8]) -> io::Result<WriteRequest> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let raw = match &*text("content-encoding") {
        "snappy" => snap::raw::Decoder::new().decompress_vec(body).map_err(io::Error::other)?,
        "zstd" => zstd::decode_all(body)?,
        other => return Err(io::Error::other(format!("unexpected encoding {other:?}"))),
    };
    let (samples, exemplars) = (Vec::new(), Vec::new());
    let mut request = WriteRequest { headers, samples, exemplars, metadata: Vec::new(), status: 0 };
    if request.is_v2() {
        let message = proto::RequestV2::decode(&*raw).map_err(io::Error::other)?;
        let symbol = |number: u32| message.symbols.get(number as usize).cloned().unwrap_or_default();
        let pairs = |labels: &[u32]| -> Labels {
            labels.chunks_exact(2).map(|pair| (symbol(pair[0]), symbol(pair[1]))).collect()
        };
        for series in &message.timeseries {
            let labels = pairs(&series.labels);
            request.add(&labels, &series.samples, &series.histograms);
            let exemplars = series.exemplars.iter();
            let exemplars = exemplars.map(|exemplar| (pairs(&exemplar.labels), exemplar.value, exemplar.timestamp));
            request.add_exemplars(&labels, exemplars);
        }
    } else {
        let message = proto::WriteRequest::decode(&*raw).map_err(io::Error::other)?;
        let pairs = |labels: Vec<proto::Label>| -> Labels {
            labels.into_iter().map(|label| (label.name, label.value)).collect()
        };
        for series in message.timeseries {
            let labels = pairs(series.labels);
            request.add(&labels, &series.samples, &series.histograms);
            let exemplars = series.exemplars.into_iter();
            let exemplars = exemplars.map(|exemplar| (pairs(exemplar.labels), exemplar.value, exemplar.timestamp));
            request.add_exemplars(&labels, exemplars);
        }
        request.metadata = message.metadata.into_iter().map(|metadata| metadata.family).collect();
    }
    Ok(request)
}

type Labels = Vec<(String, String)>;

impl WriteRequest {
    fn add(&mut self, labels: &[(String, String)], samples: &[proto::Sample], histograms: &[proto::Histogram]) {
        let floats = samples.iter().map(|sample| (sample.timestamp, Some(sample.value)));
        for (timestamp_ms, value) in floats.chain(histograms.iter().map(|histogram| (histogram.timestamp, None))) {
            self.samples.push(ReceivedSample { labels: labels.to_vec(), timestamp_ms, value });
        }
    }

    fn add_exemplars(&mut self, series: &[(String, String)], exemplars: impl Iterator<Item = (Labels, f64, i64)>) {
        let received = exemplars.map(|(labels, value, timestamp_ms)| ReceivedExemplar {
            series: series.to_vec(),
            labels,
            timestamp_ms,
            value,
        });
        self.exemplars.extend(received);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::leak_checked_live;

    /// A request without samples on a connection of its own.
    async fn send(receiver: &RemoteWriteReceiver) -> TcpStream {
        let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
        let body = snap::raw::Encoder::new().compress_vec(b"").unwrap();
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: a\r\nContent-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        stream
    }

    fn statuses(receiver: &RemoteWriteReceiver) -> Vec<u16> {
        receiver.requests().iter().map(|request| request.status).collect()
    }

    #[test]
    fn what_is_never_answered_is_known_as_such_and_keeps_nobody_waiting() {
        leak_checked_live(|| async {
            let mut receiver = RemoteWriteReceiver::start().await;
            receiver.then(WriteAnswer::none());
            receiver.then(WriteAnswer { delay: Duration::from_secs(3600), ..WriteAnswer::default() });
            let mut answer = Vec::new();
            send(&receiver).await.read_to_end(&mut answer).await.ok();
            assert!(answer.is_empty() && statuses(&receiver) == [WriteRequest::UNANSWERED]);
            let _waits = send(&receiver).await;
            receiver.wait_requests(2).await;
            assert_eq!(statuses(&receiver), [WriteRequest::UNANSWERED, 0]);
            assert_eq!(receiver.take_requests().len(), 1, "the other one may be answered yet");
            receiver.off().await;
            assert_eq!(statuses(&receiver), [WriteRequest::UNANSWERED]);
            assert!(receiver.take_requests().len() == 1 && receiver.samples().is_empty());
        });
    }
}
