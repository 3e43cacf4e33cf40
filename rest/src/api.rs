//! A server that is asked over HTTP: where it is, as whom it is asked, and how long one waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rosterd_client::{
    Client, ClientError, HttpClientConfig, Options, Request, Response, SafeUrl, Secrets, Url, UrlError, shown,
};
use rosterd_credentials::Authorize;
use rosterd_discovery::{Build, Error, MechanismConfig};
use rosterd_model::Secret;
use rosterd_tasks::by_size;

use crate::caller::Caller;
use crate::refused::refusal;
use crate::{Answer, Calls, Fault, Known, Last, Reset, RestError, Throttle};

/// The largest body that is read, once unpacked. What is larger is more likely a mistake than a list.
const LARGEST: u64 = 512 << 20;
const JSON: &str = "application/json";
/// How much longer than asked for an answer that was held back may take.
const SLACK: Duration = Duration::from_secs(15);

/// A server. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Api {
    caller: Caller,
    server: Url,
}

impl Api {
    /// The server at this URL, asked as the settings say, with so much time for each answer.
    pub fn new<C: MechanismConfig>(
        server: &SafeUrl,
        settings: &HttpClientConfig,
        timeout: Duration,
        cx: &Build<'_, C>,
    ) -> Result<Self, ClientError> {
        Self::behind(None, server, settings, timeout, cx)
    }

    /// The same behind a unix socket, if there is one, at which the URL says what is asked for.
    pub fn behind<C: MechanismConfig>(
        socket: Option<PathBuf>,
        server: &SafeUrl,
        settings: &HttpClientConfig,
        timeout: Duration,
        cx: &Build<'_, C>,
    ) -> Result<Self, ClientError> {
        let unusable = |error| ClientError::Settings { what: "the URL".to_owned(), source: Some(Box::new(error)) };
        let server = server.parse().unwrap_or(Err(UrlError::NoHost)).map_err(unusable)?;
        let options = Options {
            timeout,
            name: cx.provider.to_owned(),
            system: cx.system.clone(),
            unix_socket: socket,
            ..Options::default()
        };
        Ok(Self { caller: Caller::new(Client::new(settings, options)?), server })
    }

    /// The same, with what proves who asks added to each question.
    #[must_use]
    pub fn authorized(mut self, authorize: Arc<dyn Authorize>) -> Self {
        self.caller.authorize = Some(authorize);
        self
    }

    /// The same, asked less when the server wants that.
    #[must_use]
    pub fn throttled(mut self, throttle: Arc<Throttle>) -> Self {
        self.caller.throttle = Some(throttle);
        self
    }

    /// The same, with what the server means by the time of its reset.
    #[must_use]
    pub fn reset(mut self, means: Reset) -> Self {
        self.caller.reset = means;
        self
    }

    /// The same, with each question counted by what it [is called](Question::named): one of these.
    #[must_use]
    pub fn counted<C: MechanismConfig>(mut self, calls: &Calls<C>, operations: &'static [&'static str]) -> Self {
        self.caller.calls = Some(calls.counter(operations));
        self
    }

    /// The client that asks, for whoever has something else to ask with the same settings.
    pub fn client(&self) -> &Client {
        &self.caller.client
    }

    /// Another server, or another place on this one, for the same client: with the same connections and settings.
    #[must_use]
    pub fn at(&self, server: Url) -> Self {
        Self { caller: self.caller.clone(), server }
    }

    /// Forgets the path of the server's URL.
    #[must_use]
    pub fn without_path(mut self) -> Self {
        self.server.set_path("");
        self
    }

    /// Tidies the path of the server's URL, as Go joins paths: empty segments, and with them a slash at its end, do not count.
    #[must_use]
    pub fn with_clean_path(mut self) -> Self {
        let path: Vec<_> = self.server.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let path = path.join("/");
        self.server.set_path(&path);
        self
    }

    /// Asks for what is there below the path of the server. Whatever characters a segment has, it stays one.
    pub fn get<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Question {
        let mut url = self.server.clone();
        if let Some(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Question {
            caller: self.caller.clone(),
            operation: "get",
            request: Request::get(url),
            secrets: Vec::new(),
            only_json: false,
            heed: |_, _| None,
        }
    }

    /// Posts this JSON to what is there, and asks for JSON.
    pub fn post<'a>(&self, path: impl IntoIterator<Item = &'a str>, json: Vec<u8>) -> Question {
        self.post_as(path, JSON, json).asking_json()
    }

    /// Posts a body of this content type.
    pub fn post_as<'a>(&self, path: impl IntoIterator<Item = &'a str>, kind: &'static str, body: Vec<u8>) -> Question {
        let mut question = self.get(path);
        question.request = Request::post(question.request.url, body);
        question.header(header::CONTENT_TYPE, HeaderValue::from_static(kind))
    }
}

#[cfg(test)]
impl Api {
    /// A server that is asked without any settings.
    pub(crate) fn plain(url: &str) -> Self {
        let client = Client::new(&HttpClientConfig::default(), Options::default()).expect("no settings are wrong");
        Self { caller: Caller::new(client), server: Url::parse(url).expect(url) }
    }

    pub(crate) fn count_by(&mut self, counter: crate::calls::Counter) {
        self.caller.calls = Some(counter);
    }
}

/// What is asked of a server.
#[derive(Debug, Clone)]
#[must_use]
pub struct Question {
    caller: Caller,
    /// What it is called where it is counted.
    operation: &'static str,
    request: Request,
    /// Those of the body, which may be repeated in the answer.
    secrets: Vec<Secret>,
    only_json: bool,
    /// How long nothing is asked after a refusal that says so in its body.
    heed: fn(StatusCode, &[u8]) -> Option<Duration>,
}

impl Question {
    /// With this parameter.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.request.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// With this parameter, unless it is empty.
    pub fn parameter_if_set(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.parameter(name, value) }
    }

    /// Counted as this operation.
    pub fn named(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }

    /// With this header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers.insert(name, value);
        self
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.request.url
    }

    /// Hides this secret, which is sent in the body, in what is told of the answer. No redirect takes it to another host.
    pub fn hiding(mut self, secret: Secret) -> Self {
        self.request.has_secrets = true;
        self.secrets.push(secret);
        self
    }

    /// Asks for JSON, of a server that has it in other forms, too.
    pub fn asking_json(self) -> Self {
        self.header(header::ACCEPT, HeaderValue::from_static(JSON))
    }

    /// Takes no answer that is not declared as JSON.
    pub fn only_json(self) -> Self {
        Self { only_json: true, ..self }
    }

    /// Asks nothing for so long after a refusal with this status and this body, which says so in no other way.
    pub fn heeding(self, heed: fn(StatusCode, &[u8]) -> Option<Duration>) -> Self {
        Self { heed, ..self }
    }

    /// Reads the answer. `decode` computes, and does nothing else.
    pub async fn read<T: Send + 'static>(
        self,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        self.reply().await?.read(decode).await
    }

    /// Reads the answer with its headers.
    pub async fn read_whole<T: Send + 'static>(
        self,
        decode: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let reply = self.reply().await?;
        let headers = reply.headers.clone();
        reply.read(move |body| decode(&headers, body)).await
    }

    /// Reads the answer, unless its body is the last one that was read.
    pub async fn read_changed<T: Send + 'static>(
        self,
        last: &mut Last,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Option<T>, Error> {
        let known = *last;
        let (read, value) = self.read(move |body| known.changed(body, decode)).await?;
        *last = read;
        Ok(value)
    }

    /// Reads the answer, unless it says that there is nothing newer than what the question says is known (304).
    pub async fn read_modified<T: Send + 'static>(
        self,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Option<T>, Error> {
        match self.reply_but(Some(StatusCode::NOT_MODIFIED)).await? {
            Some(reply) => reply.read(decode).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the answer if there is something newer than what is known, for which the server waits. This header has the index of
    /// what it answers.
    pub async fn news<T: Send + 'static>(
        mut self,
        known: Known,
        index: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Answer<T>, Error> {
        if known.index > 0 {
            let wait = format!("{}ms", known.wait.as_millis());
            self = self.parameter("index", &known.index.to_string()).parameter("wait", &wait);
            // It answers up to a sixteenth later, so that not all ask again at the same time.
            self.request.timeout = Some(known.wait + known.wait / 16 + SLACK);
        }
        let reply = self.reply().await?;
        let number = reply.headers.get(index).and_then(|value| value.to_str().ok()?.parse().ok());
        let index = number.unwrap_or_default();
        let is_known = index > 0 && index == known.index;
        Ok(Answer { index, news: if is_known { None } else { Some(reply.read(decode).await?) } })
    }

    pub(crate) fn url_mut(&mut self) -> &mut Url {
        &mut self.request.url
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.request.body
    }

    pub(crate) fn set_body(&mut self, body: String) {
        self.request.body = body.into();
    }

    /// In a box: as a bare future it is compiled once more in each crate that asks anything.
    fn reply(self) -> BoxFuture<'static, Result<Reply, Error>> {
        self.reply_but(None).map_ok(|reply| reply.expect("no status is passed over")).boxed()
    }

    /// The same, or nothing where the answer has this status.
    fn reply_but(self, but: Option<StatusCode>) -> BoxFuture<'static, Result<Option<Reply>, Error>> {
        Box::pin(async move {
            let response = self.caller.send(self.operation, self.request.clone()).await?;
            match but == Some(response.status()) {
                true => Ok(None),
                false => Reply::of(response, self).await.map(Some),
            }
        })
    }
}

/// A reply of success.
struct Reply {
    url: String,
    headers: HeaderMap,
    secrets: Secrets,
    body: Vec<u8>,
}

impl Reply {
    async fn of(response: Response, question: Question) -> Result<Self, Error> {
        let Question { caller, secrets, only_json, heed, .. } = question;
        let secrets = response.secrets().clone().and(secrets);
        if !response.status().is_success() {
            let slow_down = |status, body: &[u8]| {
                if let (Some(throttle), Some(pause)) = (&caller.throttle, heed(status, body)) {
                    throttle.slow_down(pause);
                }
            };
            return Err(refusal(response, &secrets, &slow_down).await);
        }
        let response = if only_json { response.json()? } else { response };
        let (url, headers) = (shown(response.url()), response.headers().clone());
        Ok(Self { url, headers, secrets, body: response.body(Some(LARGEST)).await? })
    }

    async fn read<T: Send + 'static>(
        self,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let Self { url, secrets, body, .. } = self;
        let read = by_size(body.len(), move || decode(&body)).await;
        read.map_err(|source| secrets.hide_in_error(&RestError::Malformed { url, source }).into())
    }
}
