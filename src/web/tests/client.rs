//! rosterd's own client, with the little that tests of the server ask of it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use rosterd_client::{ClientError, HttpClientConfig, Options, Request, Response};

/// Asks a server. Redirects are not followed, and what is packed stays packed.
pub(crate) struct Client {
    inner: rosterd_client::Client,
    /// Whether connections serve several requests.
    pub(crate) keeps: bool,
}

pub(crate) struct Ask {
    client: rosterd_client::Client,
    request: Request,
}

pub(crate) struct Answer(Response);

impl Client {
    /// With settings as in a configuration.
    pub(crate) fn new(settings: &str) -> Self {
        let config: HttpClientConfig = serde_yaml::from_str(settings).unwrap();
        let config = HttpClientConfig { follow_redirects: false, ..config };
        let options = Options { gzip: false, ..Options::default() };
        Self { inner: rosterd_client::Client::new(&config, options).unwrap(), keeps: false }
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> Ask {
        let mut request = Request { method, ..Request::get(url.parse().unwrap()) };
        if !self.keeps {
            request.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ask { client: self.inner.clone(), request }
    }

    pub(crate) fn get(&self, url: &str) -> Ask {
        self.request(Method::GET, url)
    }
}

impl Ask {
    pub(crate) fn header<V: TryInto<HeaderValue, Error: std::fmt::Debug>>(mut self, name: &str, value: V) -> Self {
        self.request.headers.insert(HeaderName::try_from(name).unwrap(), value.try_into().unwrap());
        self
    }

    pub(crate) fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.request.url.set_user(user, Some(password));
        self
    }

    pub(crate) fn body(mut self, body: String) -> Self {
        self.request.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Result<Answer, ClientError> {
        self.client.send(self.request).await.map(Answer)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.0.chunk().await
    }

    pub(crate) async fn bytes(self) -> Result<Vec<u8>, ClientError> {
        self.0.body(None).await
    }

    pub(crate) async fn text(self) -> Result<String, ClientError> {
        self.bytes().await.map(|bytes| String::from_utf8(bytes).unwrap())
    }
}
