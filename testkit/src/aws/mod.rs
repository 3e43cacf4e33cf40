//! AWS as far as a test says what it answers: one server for all services, which tells them apart by the signatures of requests.

mod signature;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use self::signature::{Arrived, Proof};

/// What proves nothing but its own token.
const UNSIGNED: &str = "AssumeRoleWithWebIdentity";

/// A question that was signed by a key that the server knows.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsCall {
    /// `ec2`, `rds`, `kafka`.
    pub service: String,
    /// The region that it was signed for.
    pub region: String,
    /// The id of the key that signed it; empty if none had to.
    pub key: String,
    /// `DescribeInstances`. For MSK, which has paths instead, the path without its first part.
    pub operation: String,
    /// The fields of a form, or the parameters of a URL.
    pub fields: BTreeMap<String, String>,
    /// The body, if it is JSON.
    pub json: Value,
}

impl AwsCall {
    /// A field, a parameter or a text of the body.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).or_else(|| self.json.get(name)?.as_str())
    }
}

/// An answer: a status and a body.
pub type AwsAnswer = (u16, String);

type Answering = Box<dyn Fn(&AwsCall) -> AwsAnswer + Send>;

/// AWS: answers whoever signs with a key that it knows, as it is told.
///
/// ```
/// use rosterd_testkit::{FakeAws, leak_checked_live};
///
/// leak_checked_live(|| async {
///     let aws = FakeAws::start().await;
///     aws.know("AKID", "secret", "");
///     aws.answer("DescribeInstances", |_| (200, "<DescribeInstancesResponse/>".to_owned()));
///     assert!(aws.url().starts_with("http://127.0.0.1:"));
///     assert!(aws.calls().is_empty());
///     aws.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    tasks: JoinSet<Infallible>,
}

#[derive(Default)]
struct State {
    /// Secrets and tokens, by the id of a key.
    keys: BTreeMap<String, (String, String)>,
    answers: BTreeMap<String, Answering>,
    /// Answers that come first, each once.
    faults: BTreeMap<String, VecDeque<(u16, String)>>,
    calls: Vec<AwsCall>,
    refused: Vec<&'static str>,
    /// The status of all answers, while there is one.
    down: Option<u16>,
    /// How far its clock is ahead, in seconds.
    ahead: i64,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("calls", &self.calls).field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl FakeAws {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, tasks }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Knows a key from now on, with this token, or none if that is empty.
    pub fn know(&self, id: &str, secret: &str, token: &str) {
        self.state().keys.insert(id.to_owned(), (secret.to_owned(), token.to_owned()));
    }

    /// Does not know a key any more.
    pub fn forget(&self, id: &str) {
        self.state().keys.remove(id);
    }

    /// Answers an operation so from now on.
    pub fn answer(&self, operation: &str, answer: impl Fn(&AwsCall) -> AwsAnswer + Send + 'static) {
        self.state().answers.insert(operation.to_owned(), Box::new(answer));
    }

    /// Answers the next question of this operation so, whatever it is told otherwise. Several come one after the other.
    pub fn answer_once(&self, operation: &str, status: u16, body: impl Into<String>) {
        self.state().faults.entry(operation.to_owned()).or_default().push_back((status, body.into()));
    }

    /// Answers everything with this status; with none, as it is told otherwise.
    pub fn refuse(&self, status: Option<u16>) {
        self.state().down = status;
    }

    /// Has a clock that is ahead by so many seconds.
    pub fn set_clock(&self, ahead: i64) {
        self.state().ahead = ahead;
    }

    /// All questions that were signed, so far.
    pub fn calls(&self) -> Vec<AwsCall> {
        self.state().calls.clone()
    }

    /// The operations of these.
    pub fn operations(&self) -> Vec<String> {
        self.state().calls.iter().map(|call| call.operation.clone()).collect()
    }

    /// Why others were refused.
    pub fn refused(&self) -> Vec<&'static str> {
        self.state().refused.clone()
    }

    /// Ends it.
    pub async fn finish(mut self) {
        self.tasks.shutdown().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as EC2 writes it.
pub fn ec2_error(code: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>as a test wants it</Message></Error></Errors><RequestID>r</RequestID></Response>"
    )
}

/// An error of RDS, ElastiCache and STS.
pub fn query_error(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>as a test wants it</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

/// An error of ECS, Lightsail and MSK.
pub fn json_error(code: &str) -> String {
    json!({"__type": format!("com.amazonaws#{code}"), "message": "as a test wants it"}).to_string()
}

fn error(service: &str, code: &str) -> String {
    match service {
        "ec2" => ec2_error(code),
        "rds" | "elasticache" | "sts" => query_error(code),
        _ => json_error(code),
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>) {
    let answer = async |request: Request<Incoming>| -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(state.lock().unwrap_or_else(PoisonError::into_inner).reply(&head, &body))
    };
    // Clients close connections as they like.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
}

impl State {
    fn reply(&mut self, head: &http::request::Parts, body: &[u8]) -> Response<Full<Bytes>> {
        let (status, body) = self.decide(head, body);
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status has three digits");
        let ahead = Duration::from_secs(self.ahead.unsigned_abs());
        let now = if self.ahead < 0 { SystemTime::now() - ahead } else { SystemTime::now() + ahead };
        let date = httpdate::fmt_http_date(now);
        response.headers_mut().insert(header::DATE, HeaderValue::from_str(&date).expect("a date is printable"));
        response
    }

    fn decide(&mut self, head: &http::request::Parts, body: &[u8]) -> AwsAnswer {
        if let Some(status) = self.down {
            return (status, String::new());
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut call = read(head, path, body);
        match Proof::read(&head.headers) {
            None if call.operation == UNSIGNED => "sts".clone_into(&mut call.service),
            None => return self.refuse("", "MissingAuthenticationToken"),
            Some(proof) => {
                let Some((secret, token)) = self.keys.get(&proof.key) else {
                    return self.refuse(&proof.service, "UnrecognizedClientException");
                };
                let arrived = Arrived { method: head.method.as_str(), path, headers: &head.headers, body };
                let now = Timestamp::now() + SignedDuration::from_secs(self.ahead);
                let verified = proof.verify(arrived, secret, token, now);
                if let Err(code) = verified {
                    return self.refuse(&proof.service, code);
                }
                let Proof { key, region, service, .. } = proof;
                (call.key, call.region, call.service) = (key, region, service);
            }
        }
        self.calls.push(call.clone());
        if let Some(fault) = self.faults.get_mut(&call.operation).and_then(VecDeque::pop_front) {
            return fault;
        }
        match self.answers.get(&call.operation) {
            Some(answer) => answer(&call),
            None => (400, error(&call.service, "InvalidAction")),
        }
    }

    fn refuse(&mut self, service: &str, code: &'static str) -> AwsAnswer {
        self.refused.push(code);
        (400, error(service, code))
    }
}

fn read(head: &http::request::Parts, path: &str, body: &[u8]) -> AwsCall {
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect::<BTreeMap<_, _>>();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (mut fields, mut json) = (pairs(query.as_bytes()), Value::Null);
    let operation = if let Some(target) = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        json = serde_json::from_slice(body).unwrap_or_default();
        target.rsplit('.').next().unwrap_or_default().to_owned()
    } else if head.method == http::Method::POST {
        fields = pairs(body);
        fields.remove("Action").unwrap_or_default()
    } else if let Some(action) = fields.remove("Action") {
        action
    } else {
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
        decoded.trim_start_matches('/').split_once('/').map_or("", |(_, rest)| rest).to_owned()
    };
    let (service, region, key) = <_>::default();
    AwsCall { service, region, key, operation, fields, json }
}
