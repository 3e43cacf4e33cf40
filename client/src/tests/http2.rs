//! HTTP/2, frame by frame: what a server has not begun with is sent again, and nothing else.

use std::sync::Arc;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue};
use rosterd_model::Coded;
use rosterd_testkit::leak_checked_live;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls_server::{Authority, settings};
use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

/// `:status: 200`, which HPACK has in its table.
const STATUS_200: u8 = 0x88;

/// A server that does what the test says.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    /// The server, a client that trusts it, and its URL.
    async fn start() -> (Self, Client, String) {
        let mut settings = settings(&Authority::new().sign("localhost"), None, &[&TLS13]);
        settings.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://localhost:{}/", listener.local_addr().expect("bound").port());
        let server = Self { listener, acceptor: TlsAcceptor::from(Arc::new(settings)) };
        (server, client("tls_config: {insecure_skip_verify: true}"), url)
    }

    async fn accept(&self) -> Connection {
        let (stream, _) = self.listener.accept().await.expect("it listens");
        let mut stream = self.acceptor.accept(stream).await.expect("a handshake");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.expect("a client of HTTP/2");
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut connection = Connection(stream);
        connection.send(SETTINGS, 0, 0, &[]).await;
        connection
    }

    /// Whether nobody came who has not been let in.
    fn is_left_alone(&self) -> bool {
        self.listener.accept().now_or_never().is_none()
    }
}

struct Connection(TlsStream<TcpStream>);

impl Connection {
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A client that has given up is told by what it says.
        self.0.write_all(&frame).await.ok();
        self.0.flush().await.ok();
    }

    /// The stream of the next request whose head and body came, or nothing when the client is gone.
    async fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let (kind, flags) = (head[3], head[4]);
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                HEADERS | DATA if flags & END_STREAM != 0 => {
                    return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
                }
                _ => {}
            }
        }
    }

    async fn head(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &[STATUS_200]).await;
    }

    async fn reply(&mut self, stream: u32, body: &str) {
        self.head(stream).await;
        self.send(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    async fn reset(&mut self, stream: u32, reason: u32) {
        self.send(RESET, 0, stream, &reason.to_be_bytes()).await;
    }

    /// Says that no stream above `last` was begun with, and why it takes no more.
    async fn go_away(&mut self, last: u32, reason: u32) {
        self.send(GO_AWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat()).await;
    }

    /// Reads until the client is gone. Returns how many requests came meanwhile.
    async fn rest(mut self) -> usize {
        let mut requests = 0;
        while self.request().await.is_some() {
            requests += 1;
        }
        requests
    }
}

async fn post(client: Client, url: &str) -> Result<String, ClientError> {
    let request = Request::post(url.parse().expect(url), b"samples".to_vec());
    let body = client.send(request).await?.success()?.body(None).await?;
    Ok(String::from_utf8(body).expect("tests reply with text"))
}

#[test]
fn a_request_that_the_server_refused_is_sent_again_on_the_same_connection() {
    leak_checked_live(async || {
        let (server, client, url) = Server::start().await;
        let serving = async {
            let mut connection = server.accept().await;
            for _ in 0..2 {
                let stream = connection.request().await.expect("a request");
                connection.reset(stream, REFUSED_STREAM).await;
            }
            let stream = connection.request().await.expect("a request");
            connection.reply(stream, "taken").await;
            connection.rest().await
        };
        let (reply, rest) = tokio::join!(post(client, &url), serving);
        assert_eq!((reply.expect("a reply"), rest), ("taken".to_owned(), 0));
        assert!(server.is_left_alone());
    });
}

#[test]
fn a_server_that_refuses_all_is_not_asked_for_ever() {
    leak_checked_live(async || {
        let (server, client, url) = Server::start().await;
        let serving = async {
            let mut connection = server.accept().await;
            let mut requests = 0;
            while let Some(stream) = connection.request().await {
                requests += 1;
                connection.reset(stream, REFUSED_STREAM).await;
            }
            requests
        };
        let (reply, requests) = tokio::join!(post(client, &url), serving);
        assert_eq!((reply.expect_err("it is refused").code(), requests), ("http_broken", 3));
    });
}

#[test]
fn a_request_that_the_server_may_have_worked_on_is_not_sent_again() {
    leak_checked_live(async || {
        for gone in [false, true] {
            let (server, client, url) = Server::start().await;
            let serving = async {
                let mut connection = server.accept().await;
                let stream = connection.request().await.expect("a request");
                if gone {
                    // It has begun with the request.
                    connection.go_away(stream, INTERNAL_ERROR).await;
                    return 0;
                }
                connection.reset(stream, INTERNAL_ERROR).await;
                connection.rest().await
            };
            let (reply, rest) = tokio::join!(post(client, &url), serving);
            assert_eq!((reply.expect_err("it failed").code(), rest), ("http_broken", 0), "{gone}");
            assert!(server.is_left_alone(), "{gone}");
        }
    });
}

#[test]
fn a_server_that_goes_away_ends_what_it_has_begun_and_the_rest_goes_elsewhere() {
    leak_checked_live(async || {
        let (server, client, url) = Server::start().await;
        // Two at once need a connection that is there.
        let first = async {
            let mut connection = server.accept().await;
            let stream = connection.request().await.expect("a request");
            connection.reply(stream, "first").await;
            connection
        };
        let (reply, mut connection) = tokio::join!(post(client.clone(), &url), first);
        assert_eq!(reply.expect("a reply"), "first");
        let serving = async {
            let (begun, other) = (connection.request().await.expect("one"), connection.request().await.expect("two"));
            assert!(begun < other);
            connection.head(begun).await;
            connection.send(DATA, 0, begun, b"a ").await;
            connection.go_away(begun, NO_ERROR).await;
            let mut second = server.accept().await;
            let again = second.request().await.expect("the other request");
            second.reply(again, "elsewhere").await;
            connection.send(DATA, END_STREAM, begun, b"whole body").await;
            tokio::join!(connection.rest(), second.rest())
        };
        let asking = async {
            let both = tokio::join!(post(client.clone(), &url), post(client.clone(), &url));
            drop(client);
            both
        };
        let (replies, rest) = tokio::join!(asking, serving);
        let mut replies = [replies.0.expect("a reply"), replies.1.expect("a reply")];
        replies.sort();
        assert_eq!((replies, rest), (["a whole body".to_owned(), "elsewhere".to_owned()], (0, 0)));
    });
}

/// The head of a reply as HPACK has it: so many headers of a name of 4 letters and so many bytes.
fn large_head(headers: u32, bytes: usize) -> Vec<u8> {
    let mut head = vec![STATUS_200];
    for number in 0..headers {
        // Spelled out, and not remembered; the length is a prefix of 7 bits and the rest behind it.
        head.extend([0, 4]);
        head.extend(format!("{number:04}").bytes().map(|digit| digit - b'0' + b'a'));
        let mut rest = bytes - 0x7f;
        head.push(0x7f);
        while rest >= 0x80 {
            head.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        head.push(rest as u8);
        head.extend(std::iter::repeat_n(b'x', bytes));
    }
    head
}

/// What comes of a reply with a head like that.
async fn headed(head: &[u8]) -> Result<HeaderMap, ClientError> {
    let (server, client, url) = Server::start().await;
    let serving = async {
        let mut connection = server.accept().await;
        let stream = connection.request().await.expect("a request");
        let mut pieces = head.chunks(16 << 10).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            connection.send(kind, if pieces.peek().is_some() { 0 } else { END_HEADERS }, stream, piece).await;
            kind = CONTINUATION;
        }
        connection.send(DATA, END_STREAM, stream, b"").await;
        connection.rest().await;
    };
    // The connection lasts as long as the client or a reply.
    let asking = async move {
        let mut reply = get(&client, &url).await?;
        reply.read_into(&mut Vec::new(), None).await?;
        Ok(reply.headers().clone())
    };
    tokio::join!(asking, serving).0
}

#[test]
fn heads_may_be_as_large_as_go_takes_them() {
    leak_checked_live(async || {
        for (headers, bytes) in [(200, 200), (10, 100_000), (200, 4_000)] {
            let found = headed(&large_head(headers, bytes)).await.unwrap_or_else(|error| panic!("{headers}: {error}"));
            let of_test =
                |value: &&HeaderValue| value.len() == bytes && value.as_bytes().iter().all(|byte| *byte == b'x');
            assert_eq!(found.values().filter(of_test).count(), headers as usize, "{bytes}");
        }
        let error = headed(&large_head(120, 100_000)).await.expect_err("12 MB are too much");
        assert_eq!(error.code(), "http_malformed");
    });
}
