//! A Docker Engine as far as lists and events go, behind a unix socket.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{Folder, eventually, patience};

/// A Docker Engine that lists what it is told to list. It speaks a version of the API, and refuses newer ones as real ones do.
///
/// ```
/// use rosterd_testkit::{FakeEngine, leak_checked_live};
/// use serde_json::json;
///
/// leak_checked_live(|| async {
///     let engine = FakeEngine::start().await;
///     engine.set("containers/json", json!([]));
///     assert!(engine.host().starts_with("unix:///"));
///     engine.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct FakeEngine {
    folder: Folder,
    state: Arc<Mutex<State>>,
    tasks: JoinSet<Infallible>,
}

#[derive(Debug)]
struct State {
    version: Option<String>,
    lists: BTreeMap<String, Value>,
    refusals: BTreeMap<String, (u16, String)>,
    asked: Vec<String>,
    connections: usize,
    streams: Vec<mpsc::Sender<Bytes>>,
}

/// The name of the socket.
const SOCKET: &str = "engine.sock";

impl FakeEngine {
    /// Listens on a socket in a folder of its own.
    pub async fn start() -> Self {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path(SOCKET)).expect("a new folder takes a socket");
        let state = State {
            version: Some("1.41".to_owned()),
            lists: BTreeMap::new(),
            refusals: BTreeMap::new(),
            asked: Vec::new(),
            connections: 0,
            streams: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state)));
        Self { folder, state, tasks }
    }

    /// Where it is, as `host` says it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path(SOCKET).display())
    }

    /// Answers this at a path, `containers/json`, from now on.
    pub fn set(&self, path: &str, list: Value) {
        let mut state = self.state();
        state.refusals.remove(path);
        state.lists.insert(path.to_owned(), list);
    }

    /// Refuses what is asked for at a path with this status and message, until that is [set](Self::set).
    pub fn fail(&self, path: &str, status: u16, message: &str) {
        self.state().refusals.insert(path.to_owned(), (status, message.to_owned()));
    }

    /// Speaks this version of the API, and older ones; without one, does not say what it speaks.
    pub fn speak(&self, version: Option<&str>) {
        self.state().version = version.map(str::to_owned);
    }

    /// Tells of an event, once somebody listens.
    pub async fn event(&self, event: Value) {
        self.wait_stream().await;
        self.tell(event).await;
    }

    /// Tells of an event whoever listens.
    pub async fn tell(&self, event: Value) {
        self.say(&format!("{event}\n")).await;
    }

    /// Says this to whoever listens to events.
    pub async fn say(&self, text: &str) {
        let piece = Bytes::from(text.to_owned());
        let streams = self.state().streams.clone();
        for stream in streams {
            // It has gone meanwhile.
            stream.send(piece.clone()).await.ok();
        }
    }

    /// Ends all streams of events.
    pub fn cut_events(&self) {
        self.state().streams.clear();
    }

    /// What was asked, as in `GET /v1.41/networks`.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Waits until somebody listens to events.
    pub async fn wait_stream(&self) {
        let listens = || {
            let mut state = self.state();
            state.streams.retain(|stream| !stream.is_closed());
            !state.streams.is_empty()
        };
        eventually(patience(), "somebody listens to events", listens).await;
    }

    /// Ends it.
    pub async fn finish(mut self) {
        self.tasks.shutdown().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: UnixListener, state: Arc<Mutex<State>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            state.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
            connections.spawn(connection(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: UnixStream, state: Arc<Mutex<State>>) {
    let answer = async |request: Request<Incoming>| -> Result<Response<Sent>, Infallible> {
        Ok(state.lock().unwrap_or_else(PoisonError::into_inner).answer(&request))
    };
    // Clients close connections as they like.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
}

impl State {
    fn answer(&mut self, request: &Request<Incoming>) -> Response<Sent> {
        self.asked.push(format!("{} {}", request.method(), request.uri()));
        let path = request.uri().path().trim_start_matches('/');
        let (version, path) = match path.strip_prefix('v').and_then(|rest| rest.split_once('/')) {
            Some((version, path)) => (Some(version), path),
            None => (None, path),
        };
        let refusal = match &self.version {
            Some(newest) if version.is_some_and(|version| number(version) > number(newest)) => {
                Some((400, format!("client version is too new. Maximum supported API version is {newest}")))
            }
            _ => self.refusals.get(path).cloned(),
        };
        let (status, body) = match (refusal, path) {
            (Some((status, message)), _) => (status, Sent::Whole(Some(json!({"message": message}).to_string().into()))),
            (None, "_ping") => (200, Sent::Whole(Some(Bytes::from_static(b"OK")))),
            (None, "events") => {
                let (stream, pieces) = mpsc::channel(64);
                self.streams.push(stream);
                (200, Sent::Stream(pieces))
            }
            (None, path) => match self.lists.get(path) {
                Some(list) => (200, Sent::Whole(Some(list.to_string().into()))),
                None => (404, Sent::Whole(Some(json!({"message": "page not found"}).to_string().into()))),
            },
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(version) = self.version.as_deref().and_then(|version| HeaderValue::from_str(version).ok()) {
            response.headers_mut().insert("api-version", version);
        }
        response
    }
}

/// The parts of a version, to be compared.
fn number(version: &str) -> Vec<u16> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// The body of an answer.
enum Sent {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Stream(pieces) => pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }
}
