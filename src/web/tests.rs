//! The server over real sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reqwest::{ClientBuilder, StatusCode};
use rosterd_tasks::Supervision;
use rosterd_testkit::{eventually, leak_checked_live, patience};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Client, Error, Live, Server, Settings};

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
    fn client(&self, identity: Option<&Signed>) -> reqwest::Client {
        self.builder(identity).pool_max_idle_per_host(0).build().unwrap()
    }

    fn builder(&self, identity: Option<&Signed>) -> ClientBuilder {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rosterd_client::certificates::provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(signed) => {
                let key = PrivateKeyDer::try_from(signed.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![signed.certificate.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy()
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
    Router::new().route("/", get(|| async { "hello" }))
}

async fn stop(server: Server) {
    assert_eq!(server.shutdown(Instant::now() + patience()).await, Vec::<Arc<str>>::new());
}

#[test]
fn all_addresses_are_listened_on() {
    leak_checked_live(async || {
        let listen_addresses = vec!["127.0.0.1:0".to_owned(), ":0".to_owned(), "localhost:0".to_owned()];
        let (server, _) = serve(Settings { listen_addresses, ..settings() }, None, hello()).await;
        for address in server.addresses() {
            let (status, body) = rosterd_testkit::get(&format!("http://127.0.0.1:{}/", address.port())).await.unwrap();
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
        for wrong in ["9090", "host:", "host:http", ""] {
            let failed = Server::bind(
                Settings { listen_addresses: vec![wrong.to_owned()], ..settings() },
                None,
                &Supervision::default(),
            )
            .await;
            assert!(matches!(failed, Err(Error::Address { .. })), "{wrong}");
        }
    });
}

#[test]
fn tls_serves_both_versions_of_http_and_new_certificates_at_once() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let (first, second) = (Authority::new(), Authority::new());
        write(folder.path(), "server", &first.sign("localhost"));
        let text = "tls_server_config: {cert_file: server.pem, key_file: server.key}";
        let live = configured(&folder, text);
        let (server, address) = serve(settings(), Some(live), hello()).await;
        let url = format!("https://localhost:{}/", address.port());

        let response = first.client(None).get(&url).send().await.unwrap();
        assert_eq!((response.version(), response.status()), (http::Version::HTTP_2, StatusCode::OK));
        write(folder.path(), "server", &second.sign("localhost"));
        assert!(first.client(None).get(&url).send().await.is_err());
        assert_eq!(second.client(None).get(&url).send().await.unwrap().text().await.unwrap(), "hello");

        std::fs::write(folder.path().join("server.pem"), "broken").unwrap();
        assert_eq!(second.client(None).get(&url).send().await.unwrap().status(), StatusCode::OK);
        write(folder.path(), "server", &second.sign("localhost"));
        std::fs::write(folder.path().join("web.yml"), format!("{text}\nhttp_server_config: {{http2: false}}")).unwrap();
        let response = second.client(None).get(&url).send().await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_11);
        stop(server).await;
    });
}

/// Whether a client without a certificate, with a stranger's, with a good one of another name, and with a good one gets in.
async fn admitted(policy: &str, sans: &str) -> [bool; 4] {
    let folder = TempDir::new().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    write(folder.path(), "server", &authority.sign("localhost"));
    std::fs::write(folder.path().join("ca.pem"), authority.certificate.pem()).unwrap();
    let ca = if policy.contains("Verify") { "client_ca_file: ca.pem, " } else { "" };
    let text = format!(
        "tls_server_config: {{cert_file: server.pem, key_file: server.key, {ca}{sans}client_auth_type: {policy}}}"
    );
    let (server, address) = serve(settings(), Some(configured(&folder, &text)), hello()).await;
    let url = format!("https://localhost:{}/", address.port());
    let identities = [None, Some(stranger.sign("good")), Some(authority.sign("other")), Some(authority.sign("good"))];
    let mut admitted = [false; 4];
    for (admitted, identity) in admitted.iter_mut().zip(&identities) {
        *admitted = authority.client(identity.as_ref()).get(&url).send().await.is_ok();
    }
    stop(server).await;
    admitted
}

#[test]
fn clients_need_what_the_policy_asks_for() {
    leak_checked_live(async || {
        assert_eq!(admitted("NoClientCert", "").await, [true, true, true, true]);
        assert_eq!(admitted("RequestClientCert", "").await, [true, true, true, true]);
        assert_eq!(admitted("RequireAnyClientCert", "").await, [false, true, true, true]);
        assert_eq!(admitted("VerifyClientCertIfGiven", "").await, [true, false, true, true]);
        assert_eq!(admitted("RequireAndVerifyClientCert", "").await, [false, false, true, true]);
    });
}

#[test]
fn clients_need_one_of_the_allowed_names() {
    leak_checked_live(async || {
        let sans = "client_allowed_sans: [good, 10.0.0.1], ";
        assert_eq!(admitted("RequireAndVerifyClientCert", sans).await, [false, false, false, true]);
        assert_eq!(admitted("RequireAnyClientCert", sans).await, [false, true, false, true]);
    });
}

/// A certificate that nobody but its own key has signed.
fn alone(name: &str) -> Signed {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    Signed { certificate: params.self_signed(&key).unwrap(), key }
}

#[test]
fn a_client_may_be_trusted_itself() {
    leak_checked_live(async || {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        let (known, stranger) = (alone("client"), alone("client"));
        write(folder.path(), "server", &authority.sign("localhost"));
        write(folder.path(), "client", &known);
        let text = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: client.pem, \
                    client_auth_type: RequireAndVerifyClientCert}";
        let (server, address) = serve(settings(), Some(configured(&folder, text)), hello()).await;
        let url = format!("https://localhost:{}/", address.port());
        assert!(authority.client(Some(&known)).get(&url).send().await.is_ok());
        for identity in [None, Some(&stranger)] {
            assert!(authority.client(identity).get(&url).send().await.is_err());
        }
        stop(server).await;
    });
}

fn plain() -> reqwest::Client {
    Authority::new().client(None)
}

#[test]
fn users_need_their_passwords_and_changes_count_at_once() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let text = format!(
            "basic_auth_users: {{alice: '{hash}'}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}"
        );
        let who = get(|axum::Extension(client): axum::Extension<Client>| async move { client.to_string() });
        let router = hello().route("/who", who);
        let (server, address) = serve(settings(), Some(configured(&folder, &text)), router).await;
        let (client, url) = (plain(), format!("http://{address}/"));
        let status = async |user: &str, password: &str| {
            client.get(&url).basic_auth(user, Some(password)).send().await.unwrap().status()
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
        let who = client.get(format!("{url}who")).basic_auth("alice", Some("s3cret")).send().await.unwrap();
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
fn a_request_that_runs_is_answered_before_the_server_is_gone() {
    leak_checked_live(async || {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            get(move || async move {
                begun.notify_one();
                go.notified().await;
                "late"
            })
        };
        let (server, address) = serve(settings(), None, Router::new().route("/", handler)).await;
        let url = format!("http://{address}/");
        let client = plain();
        let (answer, ()) =
            tokio::join!(async { client.get(&url).send().await.unwrap().text().await.unwrap() }, async {
                begun.notified().await;
                let stopping = stop(server);
                tokio::pin!(stopping);
                // The listener is gone before the request is answered.
                let refused = async {
                    eventually(patience(), "connections are refused", || {
                        std::net::TcpStream::connect(address).is_err()
                    })
                    .await;
                };
                tokio::select! {
                    () = stopping.as_mut() => panic!("the server did not wait"),
                    () = refused => {}
                }
                go.notify_one();
                stopping.await;
            });
        assert_eq!(answer, "late");
    });
}

#[test]
fn a_client_that_hangs_is_cut_at_the_deadline() {
    leak_checked_live(async || {
        let begun = Arc::new(Notify::new());
        let seen = Arc::clone(&begun);
        let hang = get(move || async move {
            seen.notify_one();
            std::future::pending::<()>().await;
        });
        let (server, address) = serve(settings(), None, Router::new().route("/", hang)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        let cut = server.shutdown(Instant::now() + Duration::from_millis(50)).await;
        let name = format!("http connection {}", client.local_addr().unwrap());
        assert_eq!(cut, [Arc::from(name)]);
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_at_the_deadline_and_is_no_fault() {
    leak_checked_live(async || {
        let endless = get(|| async {
            let piece = || Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 64 * 1024]));
            axum::body::Body::from_stream(futures_util::stream::repeat_with(piece))
        });
        let (server, address) = serve(settings(), None, Router::new().route("/", endless)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        let late = server.shutdown(Instant::now() + Duration::from_secs(1)).await;
        assert_eq!((late, server.connections()), (Vec::new(), Vec::new()));
    });
}

#[test]
fn a_request_that_is_half_there_does_not_hold_up_a_stop() {
    leak_checked_live(async || {
        let (server, address) = serve(settings(), None, hello()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost:").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(tokio::time::timeout(patience(), server.shutdown(far)).await, Ok(Vec::new()));
    });
}

#[test]
fn headers_that_trickle_are_not_waited_for() {
    leak_checked_live(async || {
        let impatient = Settings { header_timeout: Duration::from_millis(100), ..settings() };
        let (server, address) = serve(impatient, None, hello()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(patience(), client.read_to_end(&mut rest)).await.expect("the server hangs up").ok();
        stop(server).await;
    });
}

#[test]
fn a_connection_that_rests_is_closed() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new();
        write(folder.path(), "server", &authority.sign("localhost"));
        let live = configured(&folder, "tls_server_config: {cert_file: server.pem, key_file: server.key}");
        let impatient = Settings { read_timeout: Duration::from_millis(100), ..settings() };
        let (server, address) = serve(impatient, Some(live), hello()).await;
        let url = format!("https://localhost:{}/", address.port());
        let keeping = authority.builder(None).build().unwrap();
        assert_eq!(keeping.get(&url).send().await.unwrap().version(), http::Version::HTTP_2);
        let what = "the resting connection is gone";
        eventually(patience(), what, || server.connections().is_empty()).await;
        stop(server).await;
    });
}

#[test]
fn a_client_that_does_not_take_its_answer_is_cut() {
    leak_checked_live(async || {
        let endless = get(|| async {
            let piece = || Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 64 * 1024]));
            axum::body::Body::from_stream(futures_util::stream::repeat_with(piece))
        });
        let impatient = Settings { read_timeout: Duration::from_millis(200), ..settings() };
        let (server, address) = serve(impatient, None, Router::new().route("/", endless)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        eventually(patience(), "the client is cut", || server.connections().is_empty()).await;
        stop(server).await;
    });
}

/// What a new connection is answered to one request.
async fn asked(address: SocketAddr, path: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(patience(), client.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[test]
fn a_connection_that_rests_makes_room_for_another() {
    leak_checked_live(async || {
        let (server, address) = serve(Settings { max_connections: 1, ..settings() }, None, hello()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        first.read_exact(&mut [0; 12]).await.unwrap();
        assert!(asked(address, "/").await.ends_with("hello"));
        let mut rest = Vec::new();
        tokio::time::timeout(patience(), first.read_to_end(&mut rest)).await.expect("it is closed").ok();
        stop(server).await;
    });
}

#[test]
fn silent_connections_keep_nobody_out() {
    leak_checked_live(async || {
        let (server, address) = serve(Settings { max_connections: 4, ..settings() }, None, hello()).await;
        let mut silent = Vec::new();
        for _ in 0..64 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(asked(address, "/").await.ends_with("hello"));
        eventually(patience(), "the others are gone", || server.connections().len() <= 4).await;
        stop(server).await;
    });
}

#[test]
fn probes_are_answered_while_all_connections_are_busy() {
    leak_checked_live(async || {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            get(move || async move {
                begun.notify_one();
                go.notified().await;
                "late"
            })
        };
        let router = hello().route("/late", handler).route("/under/-/healthy", get(|| async { "healthy" }));
        let (server, address) = serve(Settings { max_connections: 1, ..settings() }, None, router).await;
        let (answer, ()) = tokio::join!(asked(address, "/late"), async {
            begun.notified().await;
            let refused = asked(address, "/").await;
            assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"web_busy\""), "{refused}");
            assert!(refused.contains("retry-after: "), "{refused}");
            assert!(asked(address, "/under/-/healthy").await.ends_with("healthy"));
            go.notify_one();
        });
        assert!(answer.ends_with("late"));
        assert!(asked(address, "/").await.ends_with("hello"));
        stop(server).await;
    });
}

#[test]
fn who_asks_for_nothing_is_not_waited_for() {
    leak_checked_live(async || {
        let impatient = Settings { first_request_timeout: Duration::from_millis(100), ..settings() };
        let (server, address) = serve(impatient, None, hello()).await;
        let mut keeping = TcpStream::connect(address).await.unwrap();
        keeping.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        keeping.read_exact(&mut [0; 12]).await.unwrap();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut nothing = Vec::new();
        tokio::time::timeout(patience(), silent.read_to_end(&mut nothing)).await.expect("the server hangs up").ok();
        assert_eq!(nothing, b"");
        assert_eq!(server.connections().len(), 1, "who has asked is still there");
        stop(server).await;
    });
}

#[test]
fn endless_headers_are_refused() {
    leak_checked_live(async || {
        let (server, address) = serve(settings(), None, hello()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
        client.write_all(request.as_bytes()).await.ok();
        let mut answer = Vec::new();
        tokio::time::timeout(patience(), client.read_to_end(&mut answer)).await.unwrap().ok();
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
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
