//! What the server expects and what it answers. Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Received {
    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a parameter of the query, if it is there.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// How long it may be held.
    fn longest_wait(&self) -> Duration {
        let wait = self.parameter("wait").and_then(|wait| wait.strip_suffix("ms")?.parse().ok());
        wait.map_or(LONGEST_HOLD, Duration::from_millis)
    }
}

/// An expected call and its answer: 200 without a body, unless it says more.
#[derive(Debug, Clone)]
pub struct Step {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, Option<String>)>,
    sent: Option<Bytes>,
    due: Due,
    index: Option<u64>,
    answer: Answer,
}

/// When a call is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Once, after the step before.
    InOrder,
    /// Once, at any time.
    AnyTime,
    /// At any time, any number of times, or never.
    AnyTimes,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(super) delay: Duration,
    pub(super) part: Option<usize>,
    pub(super) pause: Duration,
    pub(super) fault: Option<Fault>,
}

/// How an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Close,
    Truncate(usize),
    Stall,
}

/// What is done with a call.
#[derive(Debug)]
pub(super) enum Verdict {
    Answer(Answer),
    /// There is nothing newer than what it knows; it waits for that, so long.
    Hold(Duration),
}

/// How long a call is held that does not say how long.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

impl Step {
    /// Expects `GET path`. A path without a query matches any query.
    pub fn get(path: &str) -> Self {
        Self::of(Method::GET, path)
    }

    /// Expects `POST path`.
    pub fn post(path: &str) -> Self {
        Self::of(Method::POST, path)
    }

    /// Expects any method.
    pub fn of(method: Method, path: &str) -> Self {
        let (headers, answer) = (Vec::new(), Answer::default());
        let (sent, due, index) = (None, Due::InOrder, None);
        Self { method, path: path.to_owned(), headers, sent, due, index, answer }
    }

    /// The call must have this header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((header_name(name), Some(value.to_owned())));
        self
    }

    /// The call must not have this header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.push((header_name(name), None));
        self
    }

    /// The call must have this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.sent = Some(body.into());
        self
    }

    /// A route instead of a step: it may be called at any time, any number of times, or never.
    #[must_use]
    pub fn any_times(mut self) -> Self {
        self.due = Due::AnyTimes;
        self
    }

    /// A step that does not wait for those before it: it is expected once, at any time, as of calls that are made together.
    #[must_use]
    pub fn any_order(mut self) -> Self {
        self.due = Due::AnyTime;
        self
    }

    /// A route that answers with an index in this header, and holds back calls whose parameter `index` says that they know it: until
    /// there is another route for them, or the time of their parameter `wait` is over.
    #[must_use]
    pub fn index(self, header: &str, index: u64) -> Self {
        Self { index: Some(index), ..self.any_times().reply_header(header, &index.to_string()) }
    }

    /// Answers with this status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.answer.status = StatusCode::from_u16(status).expect("a status has three digits");
        self
    }

    /// Answers with this header too.
    #[must_use]
    pub fn reply_header(mut self, name: &str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header is printable");
        self.answer.headers.append(header_name(name), value);
        self
    }

    /// Answers with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.answer.body = body.into();
        self
    }

    /// Answers with JSON.
    #[must_use]
    pub fn json(self, body: impl Into<Bytes>) -> Self {
        self.reply_header("content-type", "application/json").body(body)
    }

    /// Lets some time pass before the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.answer.delay = delay;
        self
    }

    /// Sends the body in parts of so many bytes.
    #[must_use]
    pub fn in_parts(mut self, bytes: usize) -> Self {
        self.answer.part = Some(bytes);
        self
    }

    /// Lets so much time pass before each part.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.answer.pause = pause;
        self
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.answer.fault = Some(Fault::Close);
        self
    }

    /// Announces the whole body, sends that many bytes of it and closes the connection.
    #[must_use]
    pub fn truncate(mut self, bytes: usize) -> Self {
        self.answer.fault = Some(Fault::Truncate(bytes));
        self
    }

    /// Never answers, and keeps the connection open.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.answer.fault = Some(Fault::Stall);
        self
    }

    /// The answer to a call, if it is the expected one.
    pub(crate) fn answer_to(&self, call: &Received) -> Option<Answer> {
        self.mismatch(call).is_none().then(|| self.answer.clone())
    }

    /// Why a call is not the expected one.
    fn mismatch(&self, call: &Received) -> Option<String> {
        let path = if self.path.contains('?') { &*call.path } else { call.path.split('?').next().unwrap_or_default() };
        if self.method != call.method || self.path != path {
            return Some("it is another call".to_owned());
        }
        for (name, expected) in &self.headers {
            let actual = call.header(name.as_str());
            if actual != expected.as_deref() {
                return Some(format!("its header {name} is {actual:?}, expected {expected:?}"));
            }
        }
        let sent = self.sent.as_ref().filter(|sent| **sent != call.body)?;
        Some(format!("its body is {:?}, expected {sent:?}", call.body))
    }
}

fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).expect("a header name is a token")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// The calls that are still expected, and those that came.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    unordered: Vec<Step>,
    routes: Vec<Step>,
    pub(super) received: Vec<Received>,
    faults: Vec<String>,
}

impl Script {
    pub(super) fn add(&mut self, step: Step) {
        match step.due {
            Due::InOrder => self.steps.push_back(step),
            Due::AnyTime => self.unordered.push(step),
            Due::AnyTimes => self.routes.push(step),
        }
    }

    /// How many steps are left.
    pub(super) fn left(&self) -> usize {
        self.steps.len() + self.unordered.len()
    }

    /// Finds the answer to a call: of the next step, else of one that may come at any time, else of the newest route that fits.
    /// `waited` is for how long the call was held already.
    pub(super) fn answer(&mut self, call: &Received, waited: Duration) -> Verdict {
        let mismatch = self.steps.front().map(|step| step.mismatch(call));
        if let Some(None) = mismatch
            && let Some(step) = self.steps.pop_front()
        {
            return Verdict::Answer(step.answer);
        }
        if let Some(at) = self.unordered.iter().position(|step| step.mismatch(call).is_none()) {
            return Verdict::Answer(self.unordered.remove(at).answer);
        }
        if let Some(route) = self.routes.iter().rev().find(|route| route.mismatch(call).is_none()) {
            let knows =
                call.parameter("index").is_some_and(|known| route.index.is_some_and(|it| it.to_string() == known));
            return match call.longest_wait().checked_sub(waited).filter(|left| knows && !left.is_zero()) {
                Some(left) => Verdict::Hold(left),
                None => Verdict::Answer(route.answer.clone()),
            };
        }
        let expected = match (self.steps.front(), mismatch.flatten()) {
            (Some(step), Some(why)) => format!("expected next is {step}: {why}"),
            _ => "no further step is expected".to_owned(),
        };
        let fault = format!("unexpected call {} {}; {expected}", call.method, call.path);
        let body = Bytes::from(fault.clone());
        self.faults.push(fault);
        Verdict::Answer(Answer { status: StatusCode::NOT_IMPLEMENTED, body, ..Answer::default() })
    }

    /// Unexpected and missing calls.
    pub(super) fn complaints(&self) -> Vec<String> {
        let missing = self.steps.iter().chain(&self.unordered).map(|step| format!("missing call {step}"));
        self.faults.iter().cloned().chain(missing).collect()
    }
}
