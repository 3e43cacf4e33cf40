//! Proxies that pass on whatever comes: by `CONNECT` and by SOCKS 5.

use std::error::Error;
use std::sync::Arc;

use rosterd_model::{Coded, Report};
use rosterd_testkit::{ScriptedServer, Step, free_address, leak_checked_live};
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::tls_server::{Authority, TlsServer, settings};
use super::*;

/// A listener, and settings that name it as proxy.
async fn proxy(scheme: &str, more: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, format!("{{proxy_url: '{scheme}{address}'{more}}}"))
}

/// The head of a request. It goes on as it is told.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request comes"));
    }
    String::from_utf8(head).expect("it is text").to_lowercase()
}

#[test]
fn a_tunnel_leads_to_the_server_with_what_only_the_proxy_is_told() {
    leak_checked_live(async || {
        let server = TlsServer::start(&Authority::new().sign("inner.example"), None, &[&TLS13]).await;
        let tls = ", tls_config: {insecure_skip_verify: true, server_name: inner.example}";
        let more = format!("{tls}, proxy_connect_header: {{X-Connect: [c]}}");
        let (listener, settings) = proxy("http://u%40:p@", &more).await;
        let (client, url) = (client(&settings), server.url("localhost"));
        let serving = async {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            let head = head(&mut stream).await;
            let target = url.trim_start_matches("https://").trim_end_matches('/');
            for line in [
                format!("connect {target} http/1.1"),
                format!("host: {target}"),
                "x-connect: c".to_owned(),
                "proxy-authorization: basic dua6ca==".to_owned(),
            ] {
                assert_eq!(head.lines().filter(|found| *found == line).count(), 1, "{line} in {head}");
            }
            let mut there = TcpStream::connect(target).await.expect("the server is there");
            stream.write_all(b"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\n").await.expect("it reads");
            copy_bidirectional(&mut stream, &mut there).await.ok();
        };
        let (reply, ()) = tokio::join!(async { body(&client, &url).await }, serving);
        assert_eq!(reply.expect("a reply"), "0");
        server.stop().await;
    });
}

#[test]
fn a_proxy_may_be_reached_by_tls_and_a_tunnel_through_it_leads_to_another() {
    leak_checked_live(async || {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let ca = folder.path().join("ca.pem");
        authority.write(&ca);
        let server = TlsServer::start(&authority.sign("localhost"), None, &[&TLS13]).await;
        let acceptor = TlsAcceptor::from(Arc::new(settings(&authority.sign("localhost"), None, &[&TLS13])));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let tls = format!("tls_config: {{ca_file: {}}}", ca.display());
        let client = client(&format!("{{proxy_url: 'https://u:p@localhost:{port}', {tls}}}"));
        let url = server.url("localhost");
        let target = url.trim_start_matches("https://").trim_end_matches('/');
        let serving = async {
            let (stream, _) = listener.accept().await.expect("it listens");
            let mut stream = acceptor.accept(stream).await.expect("the proxy's certificate is good");
            let asked = head(&mut stream).await;
            assert!(asked.starts_with(&format!("connect {target} http/1.1\r\n")), "{asked}");
            assert!(asked.contains("proxy-authorization: basic dtpw\r\n"), "{asked}");
            let mut there = TcpStream::connect(target).await.expect("the server is there");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("it reads");
            copy_bidirectional(&mut stream, &mut there).await.ok();
        };
        let (reply, ()) = tokio::join!(async { body(&client, &url).await }, serving);
        assert_eq!(reply.expect("a reply"), "0");
        // Without a tunnel the proxy is told the whole URL.
        let serving = async {
            let (stream, _) = listener.accept().await.expect("it listens");
            let mut stream = acceptor.accept(stream).await.expect("the proxy's certificate is good");
            let asked = head(&mut stream).await;
            assert!(asked.starts_with("get http://target.invalid/x http/1.1\r\n"), "{asked}");
            assert!(asked.contains("proxy-authorization: basic dtpw\r\n"), "{asked}");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("it reads");
            stream.shutdown().await.ok();
        };
        let (reply, ()) = tokio::join!(async { body(&client, "http://target.invalid/x").await }, serving);
        assert_eq!(reply.expect("a reply"), "ok");
        server.stop().await;
    });
}

/// What is told when a proxy answers like this.
async fn told(answer: &str) -> Report {
    let (listener, settings) = proxy("http://u:hunter2@", "").await;
    let client = client(&settings);
    let serving = async {
        let (mut stream, _) = listener.accept().await.expect("it listens");
        head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.expect("it reads");
    };
    let (reply, ()) = tokio::join!(async { get(&client, "https://target.invalid/").await }, serving);
    let error = reply.expect_err("there is no server");
    assert_eq!(error.code(), "http_connect");
    Report::of(&error)
}

#[test]
fn a_proxy_that_does_not_lead_there_says_why() {
    leak_checked_live(async || {
        for (answer, cause) in [
            (
                "HTTP/1.1 407 Who\r\n\r\n",
                "the proxy wants a user and a password, or does not accept those of proxy_url (HTTP status 407)",
            ),
            (
                "HTTP/1.1 403 No\r\n\r\n",
                "the proxy does not connect to target.invalid:443: it answers with HTTP status 403 Forbidden",
            ),
            ("", "the proxy ended the connection before it was connected to target.invalid:443"),
            (
                "SSH-2.0-x\r\n\r\n",
                "the proxy is no HTTP proxy, or broken: the first line of the reply is not that of HTTP/1.0 or HTTP/1.1",
            ),
        ] {
            let report = told(answer).await;
            assert_eq!(report.causes, [cause], "{report}");
            assert_eq!(report.message, "cannot connect to https://target.invalid/");
        }
    });
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    leak_checked_live(async || {
        let address = free_address();
        for scheme in ["http", "socks5"] {
            let settings = format!("proxy_url: {scheme}://u:hunter2@{address}");
            let error = get(&client(&settings), "http://target.invalid/").await.expect_err("no proxy");
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(
                cause.starts_with(&format!("cannot connect to the proxy {address}: Connection refused")),
                "{cause}"
            );
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    });
}

/// Answers one client as a SOCKS 5 proxy that wants a user, and connects it to `to` whatever it asks for, which is returned.
async fn socks(listener: &TcpListener, to: std::net::SocketAddr, accept: bool) -> (String, u16) {
    let (mut stream, _) = listener.accept().await.expect("it listens");
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.expect("a greeting");
    assert_eq!(greeting, [5, 1, 2], "one method, which is by user and password");
    stream.write_all(&[5, 2]).await.expect("it reads");
    let mut user = [0; 5];
    stream.read_exact(&mut user).await.expect("a user");
    assert_eq!(user, [1, 1, b'u', 1, b'p']);
    stream.write_all(&[1, u8::from(!accept)]).await.expect("it reads");
    if !accept {
        return Default::default();
    }
    let mut request = [0; 5];
    stream.read_exact(&mut request).await.expect("a request");
    assert_eq!(request[..4], [5, 1, 0, 3], "connect to a name");
    let mut name = vec![0; request[4].into()];
    stream.read_exact(&mut name).await.expect("a name");
    let port = stream.read_u16().await.expect("a port");
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.expect("it reads");
    let mut there = TcpStream::connect(to).await.expect("the server is there");
    copy_bidirectional(&mut stream, &mut there).await.ok();
    (String::from_utf8(name).expect("it is text"), port)
}

#[test]
fn a_socks_proxy_looks_names_up_itself() {
    leak_checked_live(async || {
        for scheme in ["socks5", "socks5h"] {
            let step = Step::get("/x").with_header("host", "target.invalid").without_header("proxy-authorization");
            let server = ScriptedServer::start([step.body("by socks")]).await;
            let (listener, settings) = proxy(&format!("{scheme}://u:p@"), "").await;
            let client = client(&settings);
            let asking = async {
                let body = body(&client, "http://target.invalid/x").await;
                drop(client);
                body
            };
            let (reply, asked) = tokio::join!(asking, socks(&listener, server.address(), true));
            assert_eq!((reply.expect("a reply"), asked), ("by socks".to_owned(), ("target.invalid".to_owned(), 80)));
            server.finish().await;
        }
    });
}

#[test]
fn a_socks_proxy_that_refuses_says_why() {
    leak_checked_live(async || {
        let (listener, settings) = proxy("socks5://u:p@", "").await;
        let client = client(&settings);
        let nobody = listener.local_addr().expect("bound");
        let (reply, _) =
            tokio::join!(async { get(&client, "https://target.invalid/").await }, socks(&listener, nobody, false));
        let report = Report::of(&reply.map(drop).expect_err("it is refused"));
        let cause = "the SOCKS proxy does not connect to target.invalid:443: credentials not accepted";
        assert_eq!((report.code.as_str(), report.causes.as_slice()), ("http_connect", &[cause.to_owned()][..]));
    });
}
