//! A target behind TLS that wants a password; both can be exchanged while it runs.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the target is at the moment.
struct State {
    config: Arc<ServerConfig>,
    credentials: String,
}

/// The target; gone when dropped.
pub(crate) struct TlsTarget {
    port: u16,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<Infallible>,
}

impl TlsTarget {
    /// Starts it; also returns its certificate, as PEM.
    pub(crate) async fn start(user: &str, password: &str) -> (Self, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (state, certificate) = state(user, password);
        let state = Arc::new(Mutex::new(state));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state)));
        (Self { port, state, _tasks: tasks }, certificate)
    }

    /// Where it listens, by the name in its certificate.
    pub(crate) fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Has a new certificate, which is returned, and wants another password.
    pub(crate) fn rotate(&self, user: &str, password: &str) -> String {
        let (state, certificate) = state(user, password);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        certificate
    }
}

fn state(user: &str, password: &str) -> (State, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a name is all it takes");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("the key was just made");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("certificate and key fit");
    let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    (State { config: Arc::new(config), credentials }, made.cert.pem())
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A client that went away is no concern of the server.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// One request and its answer.
async fn answer(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let (config, credentials) = {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&state.config), state.credentials.clone())
    };
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let answer = match request.lines().any(|line| line.split_once(": ").is_some_and(|header| header.1 == credentials)) {
        true => {
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 9\r\n\r\nsecured 1"
        }
        false => "HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
