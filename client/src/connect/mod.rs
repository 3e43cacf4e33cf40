//! How a connection comes to be: to the server itself, by a proxy or by a unix socket, with or without TLS.

mod error; // what a proxy or a socket did not do
mod http_proxy; // `CONNECT`
mod socks; // SOCKS 5
mod stream; // what requests and replies go over

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rosterd_model::in_words;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

use crate::error::{Cause, innermost};
use crate::names::Lookups;
use crate::proxy::{Kind, Proxies, Proxy};
use crate::zone;
use error::{ProxyError, SocketError};
use stream::{Io, Stream};

/// After so long without news the other side of a connection is asked whether it is still there, and so often.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Makes connections. Clones make the same ones.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    tcp: HttpConnector<Lookups>,
    proxies: Arc<Proxies>,
    unix_socket: Option<Arc<Path>>,
    tls: Option<Secure>,
    /// By which interface all servers are reached, whose addresses are of IPv6 then.
    zone: Option<Arc<str>>,
}

/// What TLS needs.
#[derive(Clone)]
pub(crate) struct Secure {
    /// For servers.
    pub(crate) servers: Arc<ClientConfig>,
    /// For proxies, which are spoken to by HTTP/1.1.
    pub(crate) proxies: Arc<ClientConfig>,
    /// The name to ask for and to verify in place of that of the URL. As in Go, also for a proxy.
    pub(crate) name: Option<ServerName<'static>>,
}

impl Connector {
    /// Connects only to URLs and proxies that do without TLS.
    pub(crate) fn new(lookups: Lookups, proxies: Arc<Proxies>, unix_socket: Option<Arc<Path>>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(lookups);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Self(Arc::new(Shared { tcp, proxies, unix_socket, tls: None, zone: None }))
    }

    /// The same with TLS where it is wanted.
    pub(crate) fn with_tls(&self, tls: Secure) -> Self {
        Self(Arc::new(Shared { tls: Some(tls), ..Shared::clone(&self.0) }))
    }

    /// The same for URLs in a zone, which they do not name.
    pub(crate) fn in_zone(&self, zone: &Arc<str>) -> Self {
        Self(Arc::new(Shared { zone: Some(Arc::clone(zone)), ..Shared::clone(&self.0) }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Cause;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, Cause>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.connect(to).await.map(TokioIo::new) })
    }
}

impl Shared {
    async fn connect(&self, to: Uri) -> Result<Stream, Cause> {
        let secure = to.scheme() == Some(&Scheme::HTTPS);
        let host = to.host().unwrap_or_default();
        let Some(proxy) = self.proxies.of(&to) else {
            let stream = match &self.unix_socket {
                Some(path) => unix(path).await?,
                None => self.tcp(self.place(&to)?).await?,
            };
            return if secure { self.secured(stream, host).await } else { Ok(Stream::plain(stream)) };
        };
        let stream = self.proxy(proxy).await?;
        let port = to.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream: Box<dyn Io> = match (proxy.kind, secure) {
            // It is told with each request where that is to go.
            (Kind::Http | Kind::Https, false) => return Ok(Stream::of_proxy(stream)),
            (Kind::Http | Kind::Https, true) => {
                let headers = proxy.connect_headers(&self.proxies.connect_header);
                http_proxy::tunnel(stream, &format!("{host}:{port}"), &headers).await?
            }
            (Kind::Socks, _) => socks::tunnel(stream, host, port, proxy.user.as_ref()).await?,
        };
        if secure { self.secured(stream, host).await } else { Ok(Stream::plain(stream)) }
    }

    /// Where to connect to for a URL: there, in the zone if there is one.
    fn place(&self, to: &Uri) -> Result<Uri, Cause> {
        let (Some(zone), Some(authority)) = (&self.zone, to.authority()) else { return Ok(to.clone()) };
        let host = zone::put(authority.host(), zone);
        let authority = authority.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let scheme = to.scheme().cloned().unwrap_or(Scheme::HTTP);
        Ok(Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build()?)
    }

    async fn tcp(&self, to: Uri) -> Result<Box<dyn Io>, Cause> {
        let stream = self.tcp.clone().call(to).await?;
        Ok(Box::new(stream.into_inner()))
    }

    /// A connection to a proxy itself.
    async fn proxy(&self, proxy: &Proxy) -> Result<Box<dyn Io>, Cause> {
        let unreachable = |error| ProxyError::Unreachable { proxy: proxy.name(), reason: innermost(&error) };
        let stream = self.tcp(proxy.uri.clone()).await.map_err(unreachable)?;
        match (proxy.kind, &self.tls) {
            (Kind::Https, Some(tls)) => {
                Ok(Box::new(handshake(&tls.proxies, tls.name.as_ref(), stream, proxy.uri.host()).await?))
            }
            (Kind::Https, None) => Err(no_tls()),
            _ => Ok(stream),
        }
    }

    async fn secured(&self, stream: Box<dyn Io>, host: &str) -> Result<Stream, Cause> {
        let Some(tls) = &self.tls else { return Err(no_tls()) };
        Ok(Stream::secure(handshake(&tls.servers, tls.name.as_ref(), stream, Some(host)).await?))
    }
}

async fn unix(path: &Path) -> Result<Box<dyn Io>, Cause> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(SocketError { path: path.to_owned(), reason: in_words(error) }.into()),
    }
}

/// The name is what the server is asked for (SNI), so that it can choose its certificate, and what that has to be made out for.
async fn handshake(
    config: &Arc<ClientConfig>,
    name: Option<&ServerName<'static>>,
    stream: Box<dyn Io>,
    host: Option<&str>,
) -> Result<TlsStream<Box<dyn Io>>, Cause> {
    let name = match name {
        Some(name) => name.clone(),
        None => {
            let host = host.unwrap_or_default();
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            // No certificate is made out for a zone: it means nothing to others.
            let host = zone::split(host).map_or(host, |(address, _)| address);
            ServerName::try_from(host.to_owned())?
        }
    };
    Ok(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?)
}

/// Pools without TLS are not asked for it.
fn no_tls() -> Cause {
    io::Error::from(io::ErrorKind::Unsupported).into()
}
