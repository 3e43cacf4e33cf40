//! Addresses with a zone: on the interface that every machine has, and on those that have an address for their link.

use std::sync::Arc;

use rosterd_model::{Coded, Report};
use rosterd_testkit::leak_checked_live;
use rustls::version::TLS13;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fetch::fetch;
use super::proxies::head;
use super::tls_server::{Authority, settings};
use super::*;
use crate::Connection;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// Listens on an address, and says at which port.
async fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).await.expect("IPv6, and a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// Answers one request, whose head is returned.
async fn serve(listener: &TcpListener, answer: &[u8]) -> String {
    let (mut stream, _) = listener.accept().await.expect("it listens");
    let asked = head(&mut stream).await;
    stream.write_all(answer).await.expect("the client reads");
    asked
}

/// What comes of both ways to ask: over connections that are shared, and over those that the caller keeps.
async fn both_ways(url: &str) -> [Result<String, ClientError>; 2] {
    let client = client("{}");
    let (shared, mut connection) = (body(&client, url).await, Connection::default());
    [shared, fetch(&client, url, &mut connection, 100).await.map(|(_, body)| body)]
}

/// Why there is no connection.
async fn reasons(url: &str) -> Vec<String> {
    let told = |reply: Result<String, ClientError>| {
        let report = Report::of(&reply.expect_err(url));
        assert_eq!((report.code.as_str(), &*report.message), ("http_connect", &*format!("cannot connect to {url}")));
        report.causes.concat()
    };
    both_ways(url).await.into_iter().map(told).collect()
}

#[test]
fn a_server_is_not_told_the_zone_by_which_it_is_reached() {
    leak_checked_live(async || {
        let (listener, port) = listen("[::1]:0").await;
        for zone in ["lo", "1"] {
            let url = format!("http://[::1%25{zone}]:{port}/x");
            let serving = async { [serve(&listener, OK).await, serve(&listener, OK).await] };
            let (replies, heads) = tokio::join!(both_ways(&url), serving);
            for (reply, head) in replies.into_iter().zip(heads) {
                assert_eq!(reply.expect("a reply"), "ok");
                assert!(head.starts_with("get /x http/1.1\r\n") && !head.contains('%'), "{head}");
                assert!(head.contains(&format!("host: [::1]:{port}\r\n")), "{head}");
            }
        }
    });
}

#[test]
fn an_address_of_a_link_is_asked_for_on_its_interface() {
    leak_checked_live(async || {
        // Without an interface the system refuses such an address, whatever there is; with one it looks for a way.
        let refused = reasons("http://[fe80::1]:9/").await;
        assert_eq!(refused, ["Invalid argument"; 2]);
        for zone in ["lo", "1"] {
            let looked_for = reasons(&format!("http://[fe80::1%25{zone}]:9/")).await;
            assert!(looked_for.iter().all(|reason| *reason != refused[0]), "{looked_for:?}");
        }
        let (listener, port) = listen("[::]:0").await;
        let interfaces = std::fs::read_to_string("/proc/net/if_inet6").expect("IPv6");
        for line in interfaces.lines().filter(|line| line.starts_with("fe80")) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let address = std::net::Ipv6Addr::from(u128::from_str_radix(words[0], 16).expect("an address"));
            let url = format!("http://[{address}%25{}]:{port}/", words[5]);
            let serving = async { [serve(&listener, OK).await, serve(&listener, OK).await] };
            let (replies, _) = tokio::join!(both_ways(&url), serving);
            assert!(replies.iter().all(Result::is_ok), "{url}: {replies:?}");
        }
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    leak_checked_live(async || {
        let reasons = reasons("http://[fe80::1%25no-such]:9/metrics").await;
        assert_eq!(reasons, ["there is no network interface \"no-such\" here"; 2]);
        let settings = "proxy_url: 'http://[fe80::1%25no-such]:9'";
        let error = get(&client(settings), "http://target.invalid/").await.expect_err("no proxy");
        let cause = "cannot connect to the proxy [fe80::1%25no-such]:9: there is no network interface \"no-such\" here";
        assert_eq!((error.code(), Report::of(&error).causes.concat().as_str()), ("http_connect", cause));
    });
}

#[test]
fn a_redirect_to_the_same_address_keeps_the_zone() {
    leak_checked_live(async || {
        let (listener, port) = listen("[::1]:0").await;
        let redirect = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://[::1]:{port}/b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let (client, url) = (client("{}"), format!("http://[::1%25lo]:{port}/a"));
        let serving = async { [serve(&listener, redirect.as_bytes()).await, serve(&listener, OK).await] };
        let (reply, heads) = tokio::join!(get(&client, &url), serving);
        assert_eq!(reply.expect("a reply").url().to_string(), format!("http://[::1%25lo]:{port}/b"));
        assert!(heads[1].starts_with("get /b "), "{heads:?}");
        // The same of a scrape.
        let serving = async { [serve(&listener, redirect.as_bytes()).await, serve(&listener, OK).await] };
        let mut connection = Connection::default();
        let (reply, _) = tokio::join!(fetch(&client, &url, &mut connection, 100), serving);
        let to = reply.expect("a reply").0.redirected.expect("it is redirected");
        assert_eq!(to.to_string(), format!("http://[::1%25lo]:{port}/b"));
    });
}

#[test]
fn a_certificate_is_made_out_for_an_address_without_its_zone() {
    leak_checked_live(async || {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let ca = folder.path().join("ca.pem");
        authority.write(&ca);
        let (listener, port) = listen("[::1]:0").await;
        let client = client(&format!("tls_config: {{ca_file: {}}}", ca.display()));
        let url = format!("https://[::1%25lo]:{port}/x");
        for (name, good) in [("::1", true), ("::2", false)] {
            let acceptor = TlsAcceptor::from(Arc::new(settings(&authority.sign(name), None, &[&TLS13])));
            let serving = async {
                let (stream, _) = listener.accept().await.expect("it listens");
                let mut stream = acceptor.accept(stream).await.ok()?;
                let head = head(&mut stream).await;
                stream.write_all(OK).await.expect("the client reads");
                stream.shutdown().await.ok();
                Some(head)
            };
            let (reply, head) = tokio::join!(async { body(&client, &url).await }, serving);
            let code = reply.as_ref().err().map(Coded::code);
            assert_eq!((code, head.is_some()), (if good { None } else { Some("http_tls") }, good), "{name}");
            assert!(head.is_none_or(|head| head.contains(&format!("host: [::1]:{port}\r\n"))), "{name}");
        }
        let mut settings = settings(&authority.sign("::1"), None, &[&TLS13]);
        settings.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let serving = async {
            let (stream, _) = listener.accept().await.expect("it listens");
            let stream = acceptor.accept(stream).await.expect("a handshake");
            let mut connection = h2::server::handshake(stream).await.expect("a client of HTTP/2");
            let (request, mut respond) = connection.accept().await.expect("a request").expect("a request");
            respond.send_response(http::Response::new(()), true).expect("the client reads");
            connection.graceful_shutdown();
            while let Some(Ok(_)) = connection.accept().await {}
            request.uri().to_string()
        };
        let asking = async {
            let reply = body(&client, &url).await;
            drop(client);
            reply
        };
        let (reply, asked) = tokio::join!(asking, serving);
        assert_eq!((reply.expect("a reply").as_str(), asked), ("", format!("https://[::1]:{port}/x")));
    });
}

#[test]
fn a_proxy_in_a_zone_is_not_told_the_zone_of_a_server() {
    leak_checked_live(async || {
        let (listener, port) = listen("[::1]:0").await;
        let client = client(&format!("proxy_url: 'http://[::1%25lo]:{port}'"));
        for (url, first, answer) in [
            ("http://[fe80::7%25lo]:9/x", "get http://[fe80::7]:9/x http/1.1\r\nhost: [fe80::7]:9\r\n", OK),
            (
                "https://[fe80::7%25lo]:9/x",
                "connect [fe80::7]:9 http/1.1\r\nhost: [fe80::7]:9\r\n",
                b"HTTP/1.1 502 No\r\n\r\n",
            ),
        ] {
            let (_, head) = tokio::join!(get(&client, url), serve(&listener, answer));
            let mut lines: Vec<_> = head.split_inclusive("\r\n").collect();
            lines.sort_by_key(|line| !line.contains(" http/1.1") && !line.starts_with("host: "));
            assert_eq!(lines[..2].concat(), first, "{head}");
        }
    });
}
