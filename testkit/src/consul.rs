//! A Consul as far as its catalog goes: services, their instances, and questions that are held back until there is news.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded::parse;

/// Before the name of a service whose instances are asked for.
const HEALTH: &str = "/v1/health/service/";
/// How long a question is held that does not say how long.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A Consul that knows what it is told, in the datacenter `dc1`.
///
/// ```
/// use rosterd_testkit::{FakeConsul, get, leak_checked_live};
/// use serde_json::json;
///
/// leak_checked_live(|| async {
///     let consul = FakeConsul::start().await;
///     consul.set("web", vec![json!({"Node": {"Address": "10.0.0.1"}, "Service": {"Tags": ["v1"], "Port": 80}})]);
///     let url = format!("http://{}/v1/catalog/services", consul.address());
///     assert_eq!(get(&url).await.unwrap(), (200, r#"{"web":["v1"]}"#.to_owned()));
///     assert_eq!(consul.requests(), 1);
///     consul.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct FakeConsul {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<Infallible>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Changes with every change, and wakes who waits.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// That of the catalog; each change of a service is one of the catalog, too.
    index: u64,
    services: BTreeMap<String, Service>,
    refusal: Option<u16>,
    requests: usize,
    connections: usize,
}

#[derive(Debug)]
struct Service {
    index: u64,
    instances: Vec<Value>,
}

impl FakeConsul {
    /// Listens on a free port. Nothing is registered.
    pub async fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback interface has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Mutex::new(State { index: 1, ..State::default() });
        let shared = Arc::new(Shared { state, changes: watch::Sender::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A service has these instances from now on, each as an entry of `/v1/health/service`.
    pub fn set(&self, service: &str, instances: Vec<Value>) {
        self.change(|state| {
            state.index += 1;
            state.services.insert(service.to_owned(), Service { index: state.index, instances });
        });
    }

    /// A service is gone.
    pub fn remove(&self, service: &str) {
        self.change(|state| {
            state.index += 1;
            state.services.remove(service);
        });
    }

    /// Answers everything with this status, what waits included; with none, what is asked for.
    pub fn refuse(&self, status: Option<u16>) {
        self.change(|state| state.refusal = status);
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.shared.state().requests
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Ends it.
    pub async fn finish(mut self) {
        self.tasks.shutdown().await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state());
        self.shared.changes.send_modify(|changes| *changes += 1);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A client that went away is no concern of the server.
        if let Ok((stream, _)) = listener.accept().await {
            shared.state().connections += 1;
            connections.spawn(connection(stream, Arc::clone(&shared)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let answer = async |request: Request<Incoming>| -> Result<_, Infallible> { Ok(shared.answer(&request).await) };
    // Clients close connections as they like.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
}

/// What is asked.
struct Question {
    path: String,
    tags: Vec<String>,
    index: u64,
    wait: Duration,
}

impl Question {
    fn of(request: &Request<Incoming>) -> Self {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
        let mut question = Self { path, tags: Vec::new(), index: 0, wait: LONGEST_WAIT };
        for (name, value) in parse(request.uri().query().unwrap_or_default().as_bytes()) {
            match &*name {
                "tag" => question.tags.push(value.into_owned()),
                "index" => question.index = value.parse().unwrap_or_default(),
                "wait" => question.wait = duration(&value).unwrap_or(LONGEST_WAIT),
                _ => {}
            }
        }
        question
    }
}

/// As Go writes them: `90s`, `120000ms`, `2m`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|sign: char| !sign.is_ascii_digit())?;
    let (number, unit) = (text[..unit].parse().ok()?, &text[unit..]);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" | "m0s" => Some(Duration::from_secs(60 * number)),
        _ => None,
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let question = Question::of(request);
        let end = Instant::now() + question.wait;
        let mut changes = self.changes.subscribe();
        self.state().requests += 1;
        loop {
            changes.mark_unchanged();
            if self.state().has_news(&question) || timeout_at(end, changes.changed()).await.is_err() {
                return self.state().answer(&question);
            }
        }
    }
}

impl State {
    fn has_news(&self, question: &Question) -> bool {
        self.refusal.is_some() || question.index == 0 || self.index_of(question) != question.index
    }

    fn index_of(&self, question: &Question) -> u64 {
        let service = question.path.strip_prefix(HEALTH).and_then(|name| self.services.get(name));
        service.map_or(self.index, |service| service.index)
    }

    fn answer(&self, question: &Question) -> Response<Full<Bytes>> {
        let body = match (self.refusal, &*question.path) {
            (Some(status), _) => Err(status),
            (None, "/v1/agent/self") => Ok(json!({"Config": {"Datacenter": "dc1", "NodeName": "consul"}})),
            (None, "/v1/catalog/services") => Ok(self.catalog()),
            // Whatever is asked for of them, none is found; a change of a service is one of its checks, too.
            (None, "/v1/health/state/any") => Ok(json!([])),
            (None, path) => path.strip_prefix(HEALTH).map(|name| self.health(name, &question.tags)).ok_or(404),
        };
        let mut response = Response::new(Full::from(body.as_ref().map_or_else(|_| String::new(), Value::to_string)));
        let status = body.map_or_else(StatusCode::from_u16, |_| Ok(StatusCode::OK));
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert("x-consul-index", HeaderValue::from(self.index_of(question)));
        response
    }

    fn health(&self, service: &str, tags: &[String]) -> Value {
        let instances = self.services.get(service).into_iter().flat_map(|service| &service.instances);
        instances.filter(|instance| has(instance, tags)).cloned().collect()
    }

    /// The services with the tags of all their instances.
    fn catalog(&self) -> Value {
        let service = |(name, service): (&String, &Service)| {
            let tags: BTreeSet<_> = service.instances.iter().flat_map(tags_of).collect();
            (name.clone(), json!(tags))
        };
        self.services.iter().map(service).collect()
    }
}

fn has(instance: &Value, tags: &[String]) -> bool {
    tags.iter().all(|tag| tags_of(instance).any(|it| it == tag))
}

fn tags_of(instance: &Value) -> impl Iterator<Item = &str> {
    instance["Service"]["Tags"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
