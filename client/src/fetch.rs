//! Bodies as they are sent, over a connection that the caller keeps from one time to the next: for many servers that are
//! asked again and again, where a shared pool would cost more than the exchange.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rosterd_model::bare_url;
use tokio::net::{TcpStream, UnixStream};

use crate::budget::Share;
use crate::exchange::{Answer, Failed, Get, Socket, exchange};
use crate::message::Time;
use crate::names::Names;
use crate::secrets::{Secrets, shown};
use crate::send::Shared;
use crate::{Client, ClientError, Request, Url, UrlError, redirect, url, zone};

/// A `GET` whose body is wanted as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// The URL. It is sent as it is spelt.
    pub url: &'a str,
    /// The unix socket to connect to in place of the URL's host; empty for none.
    pub unix_socket: &'a str,
    /// The headers, besides those of the configuration.
    pub headers: &'a HeaderMap,
    /// The time for the whole exchange.
    pub timeout: Duration,
    /// The largest body, in bytes as sent.
    pub limit: u64,
}

/// What came back besides the body.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// What was asked for at last, if there were redirects.
    pub redirected: Option<Url>,
    /// What was sent as a secret, to be hidden in what is told of the reply.
    pub secrets: Secrets,
}

impl Fetched {
    /// The error that a caller returns who has no use for the status.
    pub fn status_error(&self, url: &str) -> ClientError {
        // A redirect may have put anything into the URL.
        let redirected = self.redirected.as_ref().map(|url| self.secrets.hide(&shown(url)));
        let url = redirected.unwrap_or_else(|| bare_url(url).into_owned());
        ClientError::of_status_at(url, self.status, &self.headers)
    }
}

/// A connection to one server, kept between requests. Without one, as at the beginning, the next request makes it.
#[derive(Debug, Default)]
pub struct Connection {
    socket: Option<Box<Socket>>,
    /// How large the last reply was.
    expected: u32,
}

impl Connection {
    /// Whether it is connected at the moment.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }
}

impl Client {
    /// Fetches a body and appends it to `body`, as it is sent: what `Accept-Encoding` allows is left packed. The memory for it
    /// is taken of the share as it comes.
    ///
    /// Plain HTTP without a proxy, and unix sockets, go over `connection`, which is made where it is missing; everything
    /// else goes over the connections that all requests of this client share. A kept connection that turns out to be
    /// closed is made anew once. Redirects are followed as in [`send`](Self::send).
    ///
    /// Whatever the status of the reply, it is a reply. Fails when there is none within the timeout, or when the body is
    /// larger than the limit, or than what is left of the budget; in the last case the share says so.
    pub async fn fetch(
        &self,
        fetch: &Fetch<'_>,
        connection: &mut Connection,
        body: &mut Vec<u8>,
        share: &mut Share,
    ) -> Result<Fetched, ClientError> {
        let time = Time::from_now(fetch.timeout);
        let work = self.shared.fetch(fetch, connection, body, share, time);
        match tokio::time::timeout_at(time.deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout { url: bare_url(fetch.url).into_owned(), after: fetch.timeout }),
        }
    }
}

impl Shared {
    async fn fetch(
        &self,
        fetch: &Fetch<'_>,
        connection: &mut Connection,
        body: &mut Vec<u8>,
        share: &mut Share,
        time: Time,
    ) -> Result<Fetched, ClientError> {
        let direct = PlainUrl::of(fetch.url).filter(|_| !fetch.unix_socket.is_empty() || self.transport.is_direct());
        let Some(place) = direct else {
            if !fetch.unix_socket.is_empty() {
                return Err(ClientError::settings("a unix socket with a URL that is not plain HTTP"));
            }
            let request = Request { headers: fetch.headers.clone(), ..Request::get(parse(fetch.url)?) };
            // In a box: few targets need it, and it is large.
            return Box::pin(self.read(request, true, redirect::MOST, fetch.limit, body, share, time)).await;
        };
        let start = body.len();
        let (answer, secrets) = self.direct(fetch, place, connection, body, share, time).await?;
        let Answer { status, headers, .. } = answer;
        if self.follow_redirects && status.is_redirection() {
            let from = parse(fetch.url)?;
            match redirect::target(&Method::GET, &from, status, &headers) {
                None => {}
                Some(Err(reason)) => return Err(ClientError::Redirect { url: shown(&from), reason }),
                Some(Ok(_)) if !fetch.unix_socket.is_empty() => {
                    let reason = redirect::OF_UNIX_SOCKET.to_owned();
                    return Err(ClientError::Redirect { url: shown(&from), reason });
                }
                Some(Ok(to)) => {
                    body.truncate(start);
                    let same_host = redirect::keeps_credentials(&from, &to);
                    let mut request = Request { headers: fetch.headers.clone(), ..Request::get(from) };
                    redirect::follow(&mut request, to, same_host);
                    let read = self.read(request, same_host, redirect::MOST - 1, fetch.limit, body, share, time);
                    return Box::pin(read).await;
                }
            }
        }
        Ok(Fetched { status, headers, redirected: None, secrets })
    }

    /// Over the connections that are shared.
    #[expect(clippy::too_many_arguments, reason = "it is all there is to say of a request")]
    async fn read(
        &self,
        request: Request,
        same_host: bool,
        most: usize,
        limit: u64,
        body: &mut Vec<u8>,
        share: &mut Share,
        time: Time,
    ) -> Result<Fetched, ClientError> {
        let mut response = self.follow(request, same_host, most, time).await?;
        response.read_within(body, share, Some(limit)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Fetched { status, headers, redirected: Some(response.url().clone()), secrets: response.secrets })
    }

    async fn direct(
        &self,
        fetch: &Fetch<'_>,
        place: PlainUrl<'_>,
        connection: &mut Connection,
        body: &mut Vec<u8>,
        share: &mut Share,
        time: Time,
    ) -> Result<(Answer, Secrets), ClientError> {
        let start = body.len();
        loop {
            let (socket, kept) = match connection.socket.take() {
                Some(socket) => (*socket, true),
                None => (place.connect(fetch, self.transport.names()).await?, false),
            };
            let mut headers = fetch.headers.clone();
            let token = self.complete(&mut headers, true, time).await?;
            let secrets = Secrets::of(&headers, fetch.url);
            let (path, host) = place.request(fetch.url)?;
            let request = Get { path: &path, host: &host, headers: &headers };
            match exchange(socket, &request, body, share, fetch.limit, connection.expected.into()).await {
                Ok(mut answer) => {
                    connection.socket = answer.socket.take().map(Box::new);
                    // A little more than the last time, for the head and for what grows.
                    connection.expected = u32::try_from(body.len() - start + 1024).unwrap_or(u32::MAX);
                    if let Some(token) = token.filter(|_| answer.status == StatusCode::UNAUTHORIZED) {
                        self.credentials.refused(&token).await;
                    }
                    return Ok((answer, secrets));
                }
                // The server closed it, which it may at any time.
                Err(Failed::Unanswered(_)) if kept => body.truncate(start),
                Err(Failed::Unanswered(source) | Failed::Broken(source)) => {
                    return Err(ClientError::Broken { url: bare_url(fetch.url).into_owned(), source: source.into() });
                }
                Err(Failed::Malformed(source)) => {
                    return Err(ClientError::Malformed {
                        url: bare_url(fetch.url).into_owned(),
                        source: source.into(),
                    });
                }
                Err(Failed::TooLarge) => {
                    return Err(ClientError::TooLarge { url: bare_url(fetch.url).into_owned(), limit: fetch.limit });
                }
            }
        }
    }
}

/// The parts of a URL of plain HTTP, as it is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlainUrl<'a> {
    /// Host and port, perhaps with the zone of an IPv6 address.
    authority: &'a str,
    /// What is asked for, if it is not `/`.
    path: &'a str,
}

impl<'a> PlainUrl<'a> {
    /// `None` for what has to be understood more thoroughly than here.
    fn of(url: &'a str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let has_zone = authority.starts_with('[');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte) || has_zone && byte == b'%';
        let usual = !authority.is_empty() && authority.bytes().all(plain) && !path.contains('#');
        usual.then_some(Self { authority, path })
    }

    /// What is asked for, and the host.
    fn request(self, url: &str) -> Result<(Cow<'a, str>, HeaderValue), ClientError> {
        let unusable =
            |error: http::Error| ClientError::settings_because(format!("the URL {:?}", bare_url(url)), error);
        let path: Cow<'a, str> = match self.path.chars().next() {
            None => "/".into(),
            Some('?') => format!("/{}", self.path).into(),
            Some(_) => self.path.into(),
        };
        PathAndQuery::try_from(&*path).map_err(|error| unusable(error.into()))?;
        let host: Cow<'_, str> = zone::without(self.authority).map_or(self.authority.into(), Cow::from);
        let host = HeaderValue::from_str(&host).map_err(|error| unusable(error.into()))?;
        Ok((path, host))
    }

    async fn connect(self, fetch: &Fetch<'_>, names: &Names) -> Result<Socket, ClientError> {
        let failed = |error: std::io::Error| ClientError::Connect {
            url: bare_url(fetch.url).into_owned(),
            source: error.into(),
        };
        if !fetch.unix_socket.is_empty() {
            return UnixStream::connect(Path::new(fetch.unix_socket)).await.map(Socket::Unix).map_err(failed);
        }
        let (host, port) = self.host_and_port().map_err(|error| unusable(fetch.url, error))?;
        let addresses = names.look_up(host, port).await.map_err(failed)?;
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Socket::Tcp(stream))
    }

    fn host_and_port(self) -> Result<(&'a str, u16), UrlError> {
        const DEFAULT: u16 = 80;
        let number = |port: &str| match port {
            "" => Ok(DEFAULT),
            port => port.parse().map_err(|_| UrlError::Port),
        };
        if let Some(inside) = self.authority.strip_prefix('[') {
            let (host, rest) = inside.split_once(']').ok_or(UrlError::Ipv6)?;
            let address = zone::split(host).map_or(host, |(address, _)| address);
            address.parse::<Ipv6Addr>().map_err(|_| UrlError::Ipv6)?;
            let port = match rest.strip_prefix(':') {
                None if !rest.is_empty() => return Err(UrlError::Ipv6),
                port => number(port.unwrap_or_default())?,
            };
            return Ok((host, port));
        }
        match self.authority.split_once(':') {
            None => Ok((self.authority, DEFAULT)),
            Some((_, port)) if port.contains(':') => Err(UrlError::Ipv6),
            Some(("", "")) => Err(UrlError::NoHost),
            Some(("", port)) => Ok((url::LOCAL, number(port)?)),
            Some((host, port)) => Ok((host, number(port)?)),
        }
    }
}

/// Why a [`Fetch`] of this URL never finds a server, whatever names there are and who listens.
pub fn never_fetched(url: &str) -> Option<UrlError> {
    match PlainUrl::of(url) {
        Some(plain) => plain.host_and_port().err(),
        None => Url::parse(url).err(),
    }
}

fn parse(url: &str) -> Result<Url, ClientError> {
    Url::parse(url).map_err(|error| unusable(url, error))
}

fn unusable(url: &str, error: UrlError) -> ClientError {
    ClientError::settings_because(format!("the URL {:?}", bare_url(url)), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_urls_are_split_as_they_are_spelt() {
        let place = |url| PlainUrl::of(url).map(|place| (place.authority, place.path));
        assert_eq!(place("http://h:1/a%20b?c=d+e"), Some(("h:1", "/a%20b?c=d+e")));
        assert_eq!(place("http://[::1]:9"), Some(("[::1]:9", "")));
        assert_eq!(place("http://h?x=1"), Some(("h", "?x=1")));
        for url in ["https://h/", "http://u:p@h/", "http:///x", "http://ü/", "http://h/#x"] {
            assert_eq!(place(url), None, "{url}");
        }
    }

    #[test]
    fn a_zone_is_not_sent() {
        for url in ["http://[fe80::1%25lo]:9100/metrics", "http://[fe80::1]:9100/metrics"] {
            let place = PlainUrl::of(url).expect("it is plain");
            assert_eq!(place.request(url).expect("it can be asked for").1, "[fe80::1]:9100");
        }
    }

    #[test]
    fn of_what_cannot_be_asked_for_no_secret_is_told() {
        let url = "http://h/a b?sid=hunter2";
        let error = PlainUrl::of(url).expect("it is plain").request(url).expect_err("there is a blank in it");
        assert_eq!(error.to_string(), "cannot use the URL \"http://h/a b\"");
    }

    #[test]
    fn a_missing_port_is_that_of_http() {
        let place = |authority| PlainUrl { authority, path: "" }.host_and_port();
        assert_eq!(place("h"), Ok(("h", 80)));
        assert_eq!(place("h:"), Ok(("h", 80)));
        assert_eq!(place("h:9100"), Ok(("h", 9100)));
        assert_eq!(place("[::1]"), Ok(("::1", 80)));
        assert_eq!(place("[::1]:7"), Ok(("::1", 7)));
        assert_eq!(place("[fe80::1%25eth0]:7"), Ok(("fe80::1%25eth0", 7)));
        assert_eq!(place(":9100"), Ok(("127.0.0.1", 9100)), "without a host it is this machine, as in Go");
        for (bad, error) in [
            ("h:x", UrlError::Port),
            ("h:70000", UrlError::Port),
            (":x", UrlError::Port),
            (":", UrlError::NoHost),
            ("[h]:1", UrlError::Ipv6),
            ("[::1]7", UrlError::Ipv6),
            ("a:b:1", UrlError::Ipv6),
        ] {
            assert_eq!(place(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn what_never_finds_a_server_is_known_without_asking() {
        for (url, error) in [
            ("http://h:99999/metrics", Some(UrlError::Port)),
            ("http://h:http/metrics", Some(UrlError::Port)),
            ("https://h:99999/metrics", Some(UrlError::Port)),
            ("http://a%20b:1/metrics", Some(UrlError::Host)),
            ("http://%E2%80%9C127.0.0.1:1%E2%80%9D/metrics", Some(UrlError::Host)),
            ("http://:/metrics", Some(UrlError::NoHost)),
            ("http://:9100/metrics", None),
            ("https://:9100/metrics", None),
            ("http://no.such.host/metrics", None),
        ] {
            assert_eq!(never_fetched(url), error, "{url}");
        }
    }
}
