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
}

/// An expected call and its answer: 200 without a body, unless it says more.
#[derive(Debug, Clone)]
pub struct Step {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, Option<String>)>,
    sent: Option<Bytes>,
    pub(super) any_times: bool,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
}

/// How an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Close,
    Truncate(usize),
    Stall,
}

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
        Self { method, path: path.to_owned(), headers, sent: None, any_times: false, answer }
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
        self.any_times = true;
        self
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
    routes: Vec<Step>,
    pub(super) received: Vec<Received>,
    faults: Vec<String>,
}

impl Script {
    pub(super) fn add(&mut self, step: Step) {
        if step.any_times { self.routes.push(step) } else { self.steps.push_back(step) }
    }

    /// How many steps are left.
    pub(super) fn left(&self) -> usize {
        self.steps.len()
    }

    /// Takes a call and finds its answer: of the next step, else of the newest route that fits.
    pub(super) fn answer(&mut self, call: Received) -> Answer {
        let mismatch = self.steps.front().map(|step| step.mismatch(&call));
        let found = match mismatch {
            Some(None) => self.steps.pop_front().map(|step| step.answer),
            _ => {
                self.routes.iter().rev().find(|route| route.mismatch(&call).is_none()).map(|route| route.answer.clone())
            }
        };
        let answer = found.unwrap_or_else(|| {
            let expected = match (self.steps.front(), mismatch.flatten()) {
                (Some(step), Some(why)) => format!("expected next is {step}: {why}"),
                _ => "no further step is expected".to_owned(),
            };
            let fault = format!("unexpected call {} {}; {expected}", call.method, call.path);
            let body = Bytes::from(fault.clone());
            self.faults.push(fault);
            Answer { status: StatusCode::NOT_IMPLEMENTED, body, ..Answer::default() }
        });
        self.received.push(call);
        answer
    }

    /// Unexpected and missing calls.
    pub(super) fn complaints(&self) -> Vec<String> {
        let missing = self.steps.iter().map(|step| format!("missing call {step}"));
        self.faults.iter().cloned().chain(missing).collect()
    }
}
