//! One service in one region: how it is asked, again where that may help, and not faster than it wants.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rosterd_client::{Request, Response, SafeUrl, Url, shown};
use rosterd_credentials::sigv4::{Keys, Scope, sign};
use rosterd_discovery::{Context, Error};
use rosterd_model::Priority;
use rosterd_rest::{Counter, Fault, Page, RestError, Turn, read_pages};
use rosterd_tasks::by_size;
use serde_json::Value;
use tokio::time::sleep;
use url::form_urlencoded::Serializer;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::error::ServiceError;
use super::hub::Hub;
use super::rate::Rate;
use super::refusal::{Kind, Refusal};

/// How often one thing is asked for, as the SDKs of AWS do.
const MOST: u32 = 3;
/// The first pause before it is asked for again is not longer than this; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const LARGEST: u64 = 512 << 20;
const LARGEST_REFUSAL: u64 = 256 << 10;
/// A clock that differs by more makes signatures of no use.
const SKEWED: i64 = 240;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// What stays as it is in a part of a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// Names and values, for EC2 and what answers in XML: the version of the API is among them.
    Form(Vec<(String, String)>),
    /// JSON, with what stands before the operation in a header.
    Json(&'static str, Value),
    /// Segments of a path, and parameters.
    Get(Vec<String>, Vec<(&'static str, String)>),
}

impl Call {
    /// A form of these.
    pub(super) fn form(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        Self::Form(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// With where the next page begins, under this name.
    fn after(&self, name: &'static str, token: &str) -> Self {
        let mut next = self.clone();
        match &mut next {
            Self::Form(pairs) => pairs.push((name.to_owned(), token.to_owned())),
            Self::Json(_, body) => body[name] = token.into(),
            Self::Get(_, parameters) => parameters.push((name, token.to_owned())),
        }
        next
    }
}

/// A list that is asked for, and the call for one of its pages.
#[derive(Debug, Clone)]
struct Listing {
    list: Call,
    page: Call,
    /// Under which name it is said where a page begins.
    token: &'static str,
    shown: String,
}

impl Turn for Listing {
    fn turn(&mut self, next: &str) -> Result<(), Fault> {
        self.page = self.list.after(self.token, next);
        Ok(())
    }

    fn mark(&self) -> u128 {
        xxh3_128(format!("{:?}", self.page).as_bytes())
    }

    fn shown(&self) -> String {
        self.shown.clone()
    }
}

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    hub: Arc<Hub>,
    rate: Arc<Rate>,
    /// Where it is, if somebody says so.
    endpoint: SafeUrl,
    calls: Counter,
    /// Where it is told that this takes long.
    teller: OnceLock<Context>,
    /// How far the clock of AWS is ahead, in seconds, if that is far.
    skew: AtomicI64,
    /// Where chance stands.
    chance: AtomicU64,
}

impl Service {
    pub(super) fn new(name: &'static str, endpoint: SafeUrl, hub: Arc<Hub>, calls: Counter) -> Self {
        let (skew, chance) = (AtomicI64::new(0), AtomicU64::new(xxh3_64(name.as_bytes())));
        let (rate, teller) = (hub.rate(name, &endpoint), OnceLock::new());
        Self { name, hub, rate, endpoint, calls, teller, skew, chance }
    }

    /// Something that a person should know although nothing fails.
    pub(super) fn warning(&self) -> Option<ServiceError> {
        let rate = self.rate.limit()?;
        Some(ServiceError::SlowedDown { service: self.name, rate })
    }

    /// Tells there, from now on, that it wants to be asked less, while something is asked for.
    pub(super) fn tell_by(&self, cx: &Context) {
        self.teller.set(cx.clone()).ok();
    }

    fn tell(&self) {
        if let (Some(teller), Some(warning)) = (self.teller.get(), self.warning()) {
            teller.warning(Some(&warning.into()));
        }
    }

    /// Asks for one thing. `decode` computes, and does nothing else.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: &Call,
        decode: impl FnOnce(&str) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let (url, body) = self.body(operation, call).await?;
        let read = by_size(body.len(), move || decode(&String::from_utf8_lossy(&body))).await;
        read.map_err(|source| RestError::Malformed { url: format!("{url} ({operation})"), source }.into())
    }

    /// Reads all pages of a list. Where the next one begins is said under this name.
    pub(super) async fn list<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: Call,
        token: &'static str,
        decode: impl Fn(&str) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let shown = format!("{} ({operation})", shown(&self.url().await?));
        let read = move |listing: Listing, _| {
            let decode = decode.clone();
            async move { self.ask(operation, &listing.page, move |text| Ok((decode(text)?, text.len()))).await }
        };
        read_pages(Listing { list: call.clone(), page: call, token, shown }, read).await
    }

    /// The body of an answer, and who gave it.
    async fn body(&self, operation: &'static str, call: &Call) -> Result<(String, Vec<u8>), Error> {
        let (mut tries, mut keys_are_new) = (1, false);
        loop {
            self.tell();
            self.rate.turn().await;
            let keys = self.hub.account.keys().await?;
            let request = self.request(operation, call, &keys).await?;
            let url = shown(&request.url);
            let failed = match self.hub.client.send(request).await {
                Ok(response) if response.status().is_success() => match response.body(Some(LARGEST)).await {
                    Ok(body) => {
                        self.calls.add(operation, "ok");
                        self.rate.answered();
                        return Ok((url, body));
                    }
                    Err(error) => Error::from(error),
                },
                Ok(response) => {
                    let (error, skewed) = self.refusal(operation, response).await;
                    let kind = error.refusal().map(|refusal| refusal.kind);
                    self.calls.add(operation, result_of(kind));
                    match kind {
                        Some(Kind::Throttled) => {
                            self.rate.refused();
                            self.tell();
                        }
                        Some(Kind::Passing) => {}
                        Some(Kind::Keys) if !keys_are_new => {
                            keys_are_new = true;
                            if !skewed {
                                self.hub.account.forget(&keys).await;
                            }
                            continue;
                        }
                        _ => return Err(error.into()),
                    }
                    if tries >= MOST {
                        return Err(error.into());
                    }
                    sleep(self.pause(tries)).await;
                    tries += 1;
                    continue;
                }
                Err(error) => Error::from(error),
            };
            self.calls.add(operation, "failed");
            // What only a person can mend fails again.
            if tries >= MOST || failed.priority() != Priority::Retry {
                return Err(failed);
            }
            sleep(self.pause(tries)).await;
            tries += 1;
        }
    }

    /// What an answer says that is none, and whether it is of a clock that is wrong: then it is known now by how much.
    async fn refusal(&self, operation: &'static str, response: Response) -> (ServiceError, bool) {
        let (status, headers, secrets) = (response.status(), response.headers().clone(), response.secrets().clone());
        let after = rosterd_client::retry_after(&headers, std::time::SystemTime::now());
        let text = response.body(Some(LARGEST_REFUSAL)).await.unwrap_or_default();
        let refusal = Refusal::read(status, &headers, &secrets.hide(&String::from_utf8_lossy(&text)));
        let date = headers.get(header::DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let ahead = date.and_then(|date| Timestamp::try_from(date).ok());
        let ahead = ahead.map_or(0, |date| date.duration_since(Timestamp::now()).as_secs());
        let known = self.skew.load(Ordering::Relaxed);
        let skewed = refusal.kind == Kind::Keys && (ahead - known).abs() > SKEWED;
        if skewed {
            self.skew.store(ahead, Ordering::Relaxed);
        }
        (ServiceError::Refused { service: self.name, operation, refusal, after }, skewed)
    }

    async fn request(&self, operation: &'static str, call: &Call, keys: &Keys) -> Result<Request, Error> {
        let mut request = request(self.url().await?, operation, call);
        request.timeout = Some(self.hub.patience);
        let region = self.hub.account.region().await?;
        let scope = Scope { region: &region, service: self.name };
        let skew = SignedDuration::from_secs(self.skew.load(Ordering::Relaxed));
        let now = Timestamp::now();
        sign(&mut request, keys, scope, now.checked_add(skew).unwrap_or(now))?;
        Ok(request)
    }

    /// Where it is. The shared files may say something else by now.
    async fn url(&self) -> Result<Url, Error> {
        match self.endpoint.parse() {
            Some(Ok(url)) => Ok(url),
            Some(Err(error)) => Err(ServiceError::Endpoint { service: self.name, reason: error.to_string() }.into()),
            None => Ok(self.hub.account.endpoint(self.name).await?),
        }
    }

    /// A pause of a random length.
    fn pause(&self, tries: u32) -> Duration {
        let longest = PAUSE.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST_PAUSE);
        let chance = self.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        longest.mul_f64((xxh3_64(&chance.to_le_bytes()) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

const fn result_of(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Throttled) => "throttled",
        Some(Kind::Passing) | None => "failed",
        Some(Kind::Keys) => "unauthorized",
        Some(Kind::Denied) => "forbidden",
        Some(Kind::Refused) => "refused",
    }
}

/// The request of a call, to be signed.
fn request(mut url: Url, operation: &'static str, call: &Call) -> Request {
    let kind = |request: &mut Request, kind| {
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    };
    match call {
        Call::Form(pairs) => {
            let mut form = Serializer::new(String::new());
            form.append_pair("Action", operation).extend_pairs(pairs);
            let mut request = Request::post(url, form.finish());
            kind(&mut request, "application/x-www-form-urlencoded; charset=utf-8");
            request
        }
        Call::Json(target, body) => {
            let mut request = Request::post(url, body.to_string());
            kind(&mut request, "application/x-amz-json-1.1");
            let target = HeaderValue::from_str(&format!("{target}.{operation}"));
            request.headers.insert(TARGET, target.expect("names of operations are ASCII"));
            request
        }
        Call::Get(segments, parameters) => {
            let mut path = url.path().trim_end_matches('/').to_owned();
            for segment in segments {
                path.push('/');
                path.extend(utf8_percent_encode(segment, IN_PATH));
            }
            url.set_path(&path);
            if !parameters.is_empty() {
                url.query_pairs_mut().extend_pairs(parameters);
            }
            Request::get(url)
        }
    }
}
