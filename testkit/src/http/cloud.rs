//! The API of a cloud: lists in pages, behind the names that it has in the world.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::script::{Answer, Received, Step};
use super::serve::{Access, Answering, serve};
use super::tls::Certificates;
use crate::{eventually, patience};

/// A server of lists that tests change. It is a proxy, too, that leads to itself over TLS with a certificate for the names of the API:
/// so a discoverer without a key for its server is led here by [`keys`](Self::keys), as are Prometheus and others.
///
/// ```
/// use rosterd_testkit::{FakeCloud, Paging, Step, get, leak_checked_live};
/// use serde_json::json;
///
/// leak_checked_live(|| async {
///     let cloud = FakeCloud::start(&["api.example.com"]).await;
///     cloud.list("/v1/servers", Paging::Number, 2, |page| json!({"servers": page.items, "next": page.next}));
///     cloud.set("/v1/servers", [json!(1), json!(2), json!(3)]);
///     let servers = cloud.url("/v1/servers");
///     assert_eq!(get(&servers).await.unwrap().1, r#"{"next":"2","servers":[1,2]}"#);
///     assert_eq!(get(&format!("{servers}?page=2")).await.unwrap().1, r#"{"next":null,"servers":[3]}"#);
///     cloud.instead(Step::get("/v1/servers").status(429));
///     assert_eq!(get(&servers).await.unwrap().0, 429);
///     cloud.heal();
///     assert_eq!((get(&servers).await.unwrap().0, cloud.count("/v1/servers")), (200, 4));
///     cloud.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct FakeCloud {
    address: SocketAddr,
    certificates: Certificates,
    shared: Arc<Shared>,
    tasks: JoinSet<Infallible>,
}

/// How a page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// There is one page.
    Whole,
    /// By its number, from 1, in the parameter `page`.
    Number,
    /// By how many items are before it, in the parameter `offset`.
    Offset,
    /// By a token in this parameter.
    Cursor(&'static str),
    /// By a token in this key of the body.
    Token(&'static str),
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct CloudPage {
    /// What is on it.
    pub items: Vec<Value>,
    /// Its number, from 1.
    pub number: usize,
    /// How many pages there are.
    pub pages: usize,
    /// How many items are before it.
    pub offset: usize,
    /// How many items all pages have.
    pub total: usize,
    /// What asks for the next one, if there is one.
    pub next: Option<String>,
}

struct List {
    paging: Paging,
    size: usize,
    items: Vec<Value>,
    shape: Box<dyn Fn(&CloudPage) -> Value + Send + Sync>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

type Check = Box<dyn Fn(&Received) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    lists: BTreeMap<String, List>,
    instead: Vec<Step>,
    refusal: Option<StatusCode>,
    lets_in: Option<Check>,
    received: Vec<Received>,
    faults: Vec<String>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("lists", &self.state().lists.keys()).finish_non_exhaustive()
    }
}

impl FakeCloud {
    /// Listens on a free port, with a certificate for these names. There are no lists.
    pub async fn start(names: &[&str]) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback interface has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (certificates, shared) = (Certificates::of_names(names), Arc::<Shared>::default());
        let accept = move |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(accept, Access::Proxy(certificates.acceptor()), Arc::clone(&shared)));
        Self { address, certificates, shared, tasks }
    }

    /// The keys of an HTTP client that lead here by the names of the API.
    pub fn keys(&self) -> String {
        format!("proxy_url: 'http://{}', tls_config: {{ca_file: '{}'}}", self.address, self.certificates.authority())
    }

    /// The variables of the environment that lead here by the names of the API, whoever goes by these.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [("HTTPS_PROXY", format!("http://{}", self.address)), ("SSL_CERT_FILE", self.certificates.authority())]
    }

    /// The URL of a path, for those who can be told where the API is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves a list at a path, empty so far, so many items a page, each in this shape.
    pub fn list(
        &self,
        path: &str,
        paging: Paging,
        size: usize,
        shape: impl Fn(&CloudPage) -> Value + Send + Sync + 'static,
    ) {
        let list = List { paging, size, items: Vec::new(), shape: Box::new(shape) };
        self.shared.state().lists.insert(path.to_owned(), list);
    }

    /// The list at a path has these items from now on.
    ///
    /// # Panics
    ///
    /// When there is no such list.
    pub fn set(&self, path: &str, items: impl IntoIterator<Item = Value>) {
        let mut state = self.shared.state();
        let list = state.lists.get_mut(path).expect("there is such a list");
        list.items = items.into_iter().collect();
    }

    /// Answers by this step in place of what it expects, until [`heal`](Self::heal). The latest one counts.
    pub fn instead(&self, step: Step) {
        self.shared.state().instead.push(step);
    }

    /// Whether the list at a path is served, instead of status 500.
    pub fn serves(&self, path: &str, served: bool) {
        self.heal();
        if !served {
            self.instead(Step::get(path).status(500));
            self.instead(Step::post(path).status(500));
        }
    }

    /// Answers by lists again.
    pub fn heal(&self) {
        self.shared.state().instead.clear();
    }

    /// Answers everything with this status; with none, as it is told otherwise.
    ///
    /// # Panics
    ///
    /// When that is no status.
    pub fn refuse(&self, status: Option<u16>) {
        let status = status.map(|status| StatusCode::from_u16(status).expect("a status has three digits"));
        self.shared.state().refusal = status;
    }

    /// Lets in only calls that are as they should be: others get 401.
    pub fn lets_in(&self, check: impl Fn(&Received) -> bool + Send + Sync + 'static) {
        self.shared.state().lets_in = Some(Box::new(check));
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// How many calls of a path there were so far.
    pub fn count(&self, path: &str) -> usize {
        self.shared.state().received.iter().filter(|call| without_query(call) == path).count()
    }

    /// Waits until there were so many calls of a path.
    pub async fn wait_count(&self, path: &str, count: usize) {
        let what = format!("{count} calls of {path}");
        eventually(patience(), &what, || self.count(path) >= count).await;
    }

    /// Stops it.
    ///
    /// # Panics
    ///
    /// When something was asked for that is not there.
    pub async fn finish(mut self) {
        self.tasks.shutdown().await;
        let faults = std::mem::take(&mut self.shared.state().faults);
        assert!(faults.is_empty(), "the cloud complains:\n  {}", faults.join("\n  "));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering for Shared {
    async fn answer(&self, call: Received) -> Answer {
        let mut state = self.state();
        state.received.push(call.clone());
        if let Some(status) = state.refusal {
            return of(status, &json!({"message": "not now"}));
        }
        if let Some(answer) = state.instead.iter().rev().find_map(|step| step.answer_to(&call)) {
            return answer;
        }
        if state.lets_in.as_ref().is_some_and(|check| !check(&call)) {
            return of(StatusCode::UNAUTHORIZED, &json!({"message": "who are you?"}));
        }
        match state.lists.get(without_query(&call)) {
            Some(list) => list.answer(&call),
            None => {
                state.faults.push(format!("unexpected call {} {}", call.method, call.path));
                of(StatusCode::NOT_FOUND, &json!({"message": "there is no such path"}))
            }
        }
    }
}

impl List {
    fn answer(&self, call: &Received) -> Answer {
        let page = self.page(call);
        let mut answer = of(StatusCode::OK, &(self.shape)(&page));
        answer.headers.insert(HeaderName::from_static("x-total-count"), page.total.into());
        answer
    }

    fn page(&self, call: &Received) -> CloudPage {
        let number = |name: &str| call.parameter(name).and_then(|value| value.parse::<usize>().ok());
        let token = |text: String| text.strip_prefix("c+")?.strip_suffix("==")?.parse::<usize>().ok();
        let (size, total) = (self.size.max(1), self.items.len());
        let offset = match self.paging {
            Paging::Whole => None,
            Paging::Number => number("page").map(|page| page.saturating_sub(1) * size),
            Paging::Offset => number("offset"),
            Paging::Cursor(name) => call.parameter(name).and_then(token),
            Paging::Token(key) => {
                let body = serde_json::from_slice::<Value>(&call.body).unwrap_or_default();
                body[key].as_str().map(str::to_owned).and_then(token)
            }
        };
        let offset = offset.unwrap_or_default().min(total);
        let end = if self.paging == Paging::Whole { total } else { total.min(offset + size) };
        let number = offset / size + 1;
        let next = match self.paging {
            Paging::Number => (number + 1).to_string(),
            Paging::Offset => end.to_string(),
            // Has to be encoded.
            _ => format!("c+{end}=="),
        };
        CloudPage {
            items: self.items[offset..end].to_vec(),
            number,
            pages: total.div_ceil(size).max(1),
            offset,
            total,
            next: Some(next).filter(|_| end < total),
        }
    }
}

fn of(status: StatusCode, body: &Value) -> Answer {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    Answer { status, headers, body: body.to_string().into(), ..Answer::default() }
}

fn without_query(call: &Received) -> &str {
    call.path.split('?').next().unwrap_or_default()
}
