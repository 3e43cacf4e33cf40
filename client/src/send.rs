//! The client: adds what the configuration says to each request, and follows redirects.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::auth::{Credentials, of_url};
use crate::headers::ExtraHeaders;
use crate::message::Time;
use crate::oauth2::Token;
use crate::proxy::Proxies;
use crate::redirect;
use crate::secrets::{Secrets, shown};
use crate::tls::Tls;
use crate::transport::{self, Transport};
use crate::unpack::Unpacker;
use crate::{ClientError, HttpClientConfig, Request, Response, System};

/// How a body may be packed.
const GZIP: &str = "gzip";

/// What is not for the user to configure here.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time for a request and the whole of its reply, unless the request says otherwise.
    pub timeout: Duration,
    /// The `User-Agent`, unless the request has one.
    pub user_agent: String,
    /// Who sends, for logs.
    pub name: String,
    /// Whether replies may come packed by gzip. They are unpacked while they are read.
    pub gzip: bool,
    /// Whether new connections go to the addresses of a host by turns, instead of to the first one that answers.
    pub by_turns: bool,
    /// The unix socket that all connections go to, whatever the host of a URL and without a proxy. Redirects lead nowhere then.
    pub unix_socket: Option<PathBuf>,
    /// The machine: the certificates to trust when the configuration names none, and the environment for
    /// `proxy_from_environment`.
    pub system: System,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            user_agent: concat!("rosterd/", env!("CARGO_PKG_VERSION")).to_owned(),
            name: String::new(),
            gzip: true,
            by_turns: false,
            unix_socket: None,
            system: System::default(),
        }
    }
}

/// Whoever counts what a client sends.
pub trait Tally: fmt::Debug + Send + Sync {
    /// This came of a request, which is counted as this operation.
    fn sent(&self, operation: &'static str, sent: &Result<Response, ClientError>);
}

/// Sends requests as an [`HttpClientConfig`] says. Clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    tally: Option<(&'static str, Arc<dyn Tally>)>,
}

pub(crate) struct Shared {
    pub(crate) transport: Transport,
    pub(crate) credentials: Credentials,
    headers: ExtraHeaders,
    user_agent: HeaderValue,
    pub(crate) follow_redirects: bool,
    timeout: Duration,
    gzip: bool,
    name: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client. Fails when certificates cannot be read or used; other files are read with each request.
    pub fn new(config: &HttpClientConfig, options: Options) -> Result<Self, ClientError> {
        let client = Self::unchecked(config, options)?;
        client.check()?;
        Ok(client)
    }

    /// Whether certificates can be read and used at the moment.
    pub fn check(&self) -> Result<(), ClientError> {
        self.shared.transport.check()
    }

    /// Makes a client whose requests fail as long as certificates cannot be read or used. Fails when the settings
    /// themselves are of no use.
    pub fn unchecked(config: &HttpClientConfig, options: Options) -> Result<Self, ClientError> {
        let tls = Tls::new(&config.tls_config, config.enable_http2, options.system.clone())?;
        let proxies = Proxies::new(config.proxy(), options.system.environment())?;
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|error| ClientError::settings_because("the user agent", error))?;
        let shared = Shared {
            transport: Transport::new(tls, proxies, config.enable_http2, &options),
            credentials: Credentials::new(config, &options)?,
            headers: ExtraHeaders::new(&config.http_headers, &options.system)?,
            user_agent,
            follow_redirects: config.follow_redirects,
            timeout: options.timeout,
            gzip: options.gzip,
            name: options.name,
        };
        Ok(Self { shared: Arc::new(shared), tally: None })
    }

    /// The same, with all that it sends counted as this operation.
    #[must_use]
    pub fn counted(self, operation: &'static str, tally: Arc<dyn Tally>) -> Self {
        Self { tally: Some((operation, tally)), ..self }
    }

    /// Sends a request. Whatever the status of the reply, it is a reply; see [`Response::success`].
    pub async fn send(&self, request: Request) -> Result<Response, ClientError> {
        self.sent(request).await
    }

    /// In a box, as [`Shared::follow`] is.
    fn sent(&self, request: Request) -> Sent<'_> {
        Box::pin(async move {
            let time = Time::from_now(request.timeout.unwrap_or(self.shared.timeout));
            let url = request.url.clone();
            let sent = time.limit(&url, self.shared.follow(request, true, redirect::MOST, time)).await;
            if let Some((operation, tally)) = &self.tally {
                tally.sent(operation, &sent);
            }
            sent
        })
    }
}

/// A request under way.
pub(crate) type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response, ClientError>> + Send + 'a>>;

impl Shared {
    /// Sends the request, and again where redirects say so, up to `most` times. Once the host was left (`same_host` is
    /// false), credentials stay away for good.
    ///
    /// In a box, so that all that lies below is compiled in this crate: as a bare future it is compiled once more, with
    /// hyper, HTTP/2 and TLS, in each crate that sends anything.
    pub(crate) fn follow(&self, request: Request, same_host: bool, most: usize, time: Time) -> Sent<'_> {
        Box::pin(self.follow_unboxed(request, same_host, most, time))
    }

    async fn follow_unboxed(
        &self,
        mut request: Request,
        mut same_host: bool,
        most: usize,
        time: Time,
    ) -> Result<Response, ClientError> {
        let first = request.url.clone();
        let mut secrets = Secrets::default();
        for number in 0..=most {
            let mut response = self.exchange(&request, same_host, time).await?;
            response.secrets.merge(&secrets);
            response.redirected = number > 0;
            if !self.follow_redirects {
                return Ok(response);
            }
            match redirect::target(&request.method, &request.url, response.status(), response.headers()) {
                None => return Ok(response),
                Some(Err(reason)) => {
                    let (url, reason) = (response.shown_url(), response.secrets.hide(&reason));
                    return Err(ClientError::Redirect { url, reason });
                }
                Some(Ok(_)) if self.transport.is_unix() => {
                    let reason = redirect::OF_UNIX_SOCKET.to_owned();
                    return Err(ClientError::Redirect { url: response.shown_url(), reason });
                }
                Some(Ok(to)) if request.has_secrets && !redirect::keeps_credentials(&request.url, &to) => {
                    let reason = redirect::OF_SECRETS.to_owned();
                    return Err(ClientError::Redirect { url: response.shown_url(), reason });
                }
                Some(Ok(to)) => {
                    same_host &= redirect::keeps_credentials(&request.url, &to);
                    redirect::follow(&mut request, to, same_host);
                    secrets = response.secrets;
                }
            }
        }
        let reason = format!("stopped after {} of them", redirect::MOST);
        Err(ClientError::Redirect { url: shown(&first), reason })
    }

    async fn exchange(&self, request: &Request, same_host: bool, time: Time) -> Result<Response, ClientError> {
        let (prepared, token) = self.prepare(request, same_host, time).await?;
        let secrets = Secrets::of(prepared.headers(), request.url.without_zone().as_str());
        let inner = self.transport.send(&request.url, prepared).await?;
        if let Some(token) = token.filter(|_| inner.status() == StatusCode::UNAUTHORIZED) {
            self.credentials.refused(&token).await;
        }
        let packed = inner.headers().get(header::CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
        let unpacker = (self.gzip && packed.eq_ignore_ascii_case(GZIP.as_bytes())).then(Unpacker::default);
        Ok(Response { inner, unpacker, url: request.url.clone(), time, secrets, redirected: false })
    }

    /// Adds what the configuration says to the headers of a request. Returns the token that is among them.
    pub(crate) async fn complete(
        &self,
        headers: &mut HeaderMap,
        same_host: bool,
        time: Time,
    ) -> Result<Option<Token>, ClientError> {
        self.headers.add_to(headers, same_host).await?;
        headers.entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if !same_host || headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let Some(proof) = self.credentials.prove(time).await? else { return Ok(None) };
        headers.insert(header::AUTHORIZATION, proof.header);
        Ok(proof.token)
    }

    async fn prepare(
        &self,
        request: &Request,
        same_host: bool,
        time: Time,
    ) -> Result<(transport::Request, Option<Token>), ClientError> {
        let mut headers = request.headers.clone();
        if let Some(value) = of_url(&request.url) {
            headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        if self.gzip {
            headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static(GZIP));
        }
        let token = self.complete(&mut headers, same_host, time).await?;
        let uri = self.transport.address(&request.url, &mut headers)?;
        let mut prepared = transport::Request::new(request.body.clone().into());
        (*prepared.method_mut(), *prepared.uri_mut(), *prepared.headers_mut()) = (request.method.clone(), uri, headers);
        Ok((prepared, token))
    }
}
