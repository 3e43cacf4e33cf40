//! The server over real sockets.

pub(crate) mod client;
mod connections;
mod tls;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use rosterd_tasks::Supervision;
use rosterd_testkit::{eventually, leak_checked_live, patience};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Error, Live, Server, Settings};

/// A certificate authority and what it signed.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

struct Signed {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), certificate }
    }

    fn sign(&self, name: &str) -> Signed {
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        Signed { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// No connection is kept: each request makes a handshake of its own.
    fn client(&self, identity: Option<&Signed>) -> client::Client {
        let mut tls = json!({"ca": self.certificate.pem()});
        if let Some(signed) = identity {
            tls["cert"] = signed.certificate.pem().into();
            tls["key"] = signed.key.serialize_pem().into();
        }
        client::Client::new(&json!({"tls_config": tls}).to_string())
    }
}

fn write(folder: &Path, name: &str, signed: &Signed) {
    std::fs::write(folder.join(format!("{name}.pem")), signed.certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), signed.key.serialize_pem()).unwrap();
}

fn configured(folder: &TempDir, text: &str) -> Arc<Live> {
    let path = folder.path().join("web.yml");
    std::fs::write(&path, text).unwrap();
    Arc::new(Live::open(&path).unwrap())
}

fn settings() -> Settings {
    Settings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..Settings::default() }
}

async fn serve(settings: Settings, live: Option<Arc<Live>>, router: Router) -> (Server, SocketAddr) {
    let mut server = Server::bind(settings, live, &Supervision::default()).await.unwrap();
    server.serve(router);
    let address = server.addresses()[0];
    (server, address)
}

fn hello() -> Router {
    let version = get(|request: axum::extract::Request| async move { format!("{:?}", request.version()) });
    Router::new().route("/", get(|| async { "hello" })).route("/version", version)
}

async fn stop(server: Server) {
    assert_eq!(server.shutdown(Instant::now() + patience()).await, Vec::<Arc<str>>::new());
}

#[test]
fn all_addresses_are_listened_on() {
    leak_checked_live(async || {
        let listen_addresses = ["127.0.0.1:0", ":0", "localhost:0", "[::1%lo]:0"].map(str::to_owned).to_vec();
        let (server, _) = serve(Settings { listen_addresses, ..settings() }, None, hello()).await;
        for address in server.addresses() {
            let host = if address.ip() == Ipv6Addr::LOCALHOST { "[::1]" } else { "127.0.0.1" };
            let (status, body) = rosterd_testkit::get(&format!("http://{host}:{}/", address.port())).await.unwrap();
            assert_eq!((status, body.as_str()), (200, "hello"));
        }
        stop(server).await;
    });
}

#[test]
fn an_address_that_cannot_be_listened_on_is_named() {
    leak_checked_live(async || {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let failed = Server::bind(
            Settings { listen_addresses: vec![address.clone()], ..settings() },
            None,
            &Supervision::default(),
        )
        .await;
        assert!(matches!(failed, Err(Error::Listen { address: named, .. }) if named == address));
        for wrong in ["9090", "host:", "host:http", "[h%lo]:0", ""] {
            let failed = Server::bind(
                Settings { listen_addresses: vec![wrong.to_owned()], ..settings() },
                None,
                &Supervision::default(),
            )
            .await;
            assert!(matches!(failed, Err(Error::Address { .. })), "{wrong}");
        }
        let nowhere = Settings { listen_addresses: vec!["[fe80::1%no-such]:0".to_owned()], ..settings() };
        let failed = Server::bind(nowhere, None, &Supervision::default()).await;
        let Err(Error::Listen { source, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!(source.to_string(), "there is no network interface \"no-such\" here");
    });
}

fn plain() -> client::Client {
    client::Client::new("{}")
}

#[test]
fn users_need_their_passwords_and_changes_count_at_once() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let text = format!(
            "basic_auth_users: {{alice: '{hash}'}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}"
        );
        let who = get(|axum::Extension(client): axum::Extension<super::Client>| async move { client.to_string() });
        let router = hello().route("/who", who);
        let (server, address) = serve(settings(), Some(configured(&folder, &text)), router).await;
        let (client, url) = (plain(), format!("http://{address}/"));
        let status = async |user: &str, password: &str| {
            client.get(&url).basic_auth(user, password).send().await.unwrap().status()
        };

        let refused = client.get(&url).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        assert_eq!(refused.headers()["x-frame-options"], "deny");
        assert_eq!(refused.headers()["x-content-type-options"], "nosniff");
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        let body: serde_json::Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&"web_unauthorized".into(), &401.into()));
        assert_eq!(status("alice", "s3cret").await, StatusCode::OK);
        let who = client.get(&format!("{url}who")).basic_auth("alice", "s3cret").send().await.unwrap();
        let who = who.text().await.unwrap();
        assert!(who.starts_with("alice@127.0.0.1:"), "{who}");
        assert_eq!(status("alice", "wrong").await, StatusCode::UNAUTHORIZED);
        assert_eq!(status("bob", "s3cret").await, StatusCode::UNAUTHORIZED);

        std::fs::write(folder.path().join("web.yml"), text.replace("alice", "bob")).unwrap();
        assert_eq!(status("bob", "s3cret").await, StatusCode::OK);
        assert_eq!(status("alice", "s3cret").await, StatusCode::UNAUTHORIZED);
        stop(server).await;
    });
}

#[test]
fn requests_above_the_rate_are_told_when_to_come_back() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let live = configured(&folder, "rate_limit: {interval: 1h, burst: 2}");
        let (server, address) = serve(settings(), Some(live), hello()).await;
        let (client, url) = (plain(), format!("http://{address}/"));
        for _ in 0..2 {
            assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::OK);
        }
        let refused = client.get(&url).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3600).contains(&wait));
        stop(server).await;
    });
}

#[test]
fn a_panic_in_a_handler_is_a_problem_of_that_request_alone() {
    leak_checked_live(async || {
        let registry = prometheus::Registry::new();
        let supervision = Supervision::register(&registry).unwrap();
        let router = hello().route(
            "/bad",
            get(|| async {
                if true {
                    panic!("oops")
                }
            }),
        );
        let mut server = Server::bind(settings(), None, &supervision).await.unwrap();
        let address = server.addresses()[0];
        server.serve(router);
        // One connection for both requests: it goes on.
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /bad HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
        assert!(answers.contains("\"code\":\"web_panicked\"") && answers.ends_with("hello"), "{answers}");
        assert!(!answers.contains("oops"), "the words are for the log");
        assert_eq!(answers.matches("x-content-type-options: nosniff").count(), 2, "{answers}");
        let counted = registry.gather()[0]
            .get_metric()
            .iter()
            .any(|metric| metric.get_label()[0].value() == "http request" && metric.get_counter().get_value() == 1.0);
        assert!(counted);
        stop(server).await;
    });
}
