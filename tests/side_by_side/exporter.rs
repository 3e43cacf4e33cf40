//! A target whose pages a test changes, all at once, and which knows who has seen them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rosterd_testkit::{eventually, patience};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The format of most pages.
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The other format.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a path answers. It is packed by gzip for those who take that.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    status: u16,
    content_type: &'static str,
    body: Bytes,
    header: Option<(&'static str, String)>,
}

impl Page {
    /// Metrics in Prometheus' text format.
    pub(crate) fn text(body: impl Into<Bytes>) -> Self {
        Self { status: 200, content_type: TEXT, body: body.into(), header: None }
    }

    /// Metrics as OpenMetrics.
    pub(crate) fn open_metrics(body: impl Into<Bytes>) -> Self {
        Self::typed(OPEN_METRICS, body)
    }

    /// Something of another type.
    pub(crate) fn typed(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { content_type, ..Self::text(body) }
    }

    /// An answer without metrics.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::text("no") }
    }

    /// One more header. With `Content-Encoding` the body goes out as it is.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }
}

/// Pages by path.
pub(crate) type Pages = BTreeMap<String, Page>;

#[derive(Default)]
struct State {
    pages: Pages,
    /// How often a program, by the begin of its name, asked for a path since the pages were changed.
    seen: BTreeMap<(String, String), usize>,
}

/// The server; off when dropped.
pub(crate) struct Exporter {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<Infallible>,
}

impl Exporter {
    pub(crate) async fn start(pages: Pages) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(Mutex::new(State { pages, seen: BTreeMap::new() }));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has these pages from now on, and those of before that are not among them.
    pub(crate) fn change(&self, pages: Pages) {
        let mut state = self.state();
        state.pages.extend(pages);
        state.seen.clear();
    }

    /// Waits until each of the programs has asked for each page so many times since they were changed.
    pub(crate) async fn wait_seen(&self, programs: &[&str], count: usize) {
        let all_seen = || {
            let state = self.state();
            let seen = |program: &str, path: &str| state.seen.get(&(program.to_owned(), path.to_owned())).copied();
            let enough =
                |path: &str| programs.iter().all(|program| seen(program, path).is_some_and(|seen| seen >= count));
            state.pages.keys().all(|path| enough(path))
        };
        eventually(patience(), &format!("{programs:?} saw each page {count} times"), all_seen).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A client that went away is no concern of the server.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(async |request| Ok::<_, http::Error>(answer(&request, &state)?));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

fn answer(request: &Request<Incoming>, state: &Mutex<State>) -> Result<Response<Full<Bytes>>, http::Error> {
    let path = request.uri().path();
    let program = text(request.headers(), header::USER_AGENT).split('/').next().unwrap_or_default().to_owned();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let page = state.pages.get(path).cloned().unwrap_or_else(|| Page::status(404));
    *state.seen.entry((program, path.to_owned())).or_default() += 1;
    let mut response = Response::builder().status(page.status).header(header::CONTENT_TYPE, page.content_type);
    let is_encoded = page.header.as_ref().is_some_and(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    if let Some((name, value)) = page.header {
        response = response.header(name, value);
    }
    if is_encoded || !text(request.headers(), header::ACCEPT_ENCODING).contains("gzip") {
        return response.body(Full::from(page.body));
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&page.body).expect("memory takes all");
    let packed = packer.finish().expect("memory takes all");
    response.header(header::CONTENT_ENCODING, "gzip").body(Full::from(packed))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
