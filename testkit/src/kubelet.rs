//! A kubelet as far as its list of pods goes: over TLS, with a certificate that nobody knows, and for those who have a token.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::Folder;

/// A kubelet that lists what it is told to list.
///
/// ```
/// use rosterd_testkit::{FakeKubelet, leak_checked_live};
///
/// leak_checked_live(|| async {
///     let kubelet = FakeKubelet::start().await;
///     kubelet.set(vec![]);
///     assert!(kubelet.config("").contains("ca_file"));
///     kubelet.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct FakeKubelet {
    address: SocketAddr,
    folder: Folder,
    answer: Arc<Mutex<(u16, Bytes)>>,
    tasks: JoinSet<Infallible>,
}

/// The name of the file with the certificate.
const AUTHORITY: &str = "kubelet.crt";

impl FakeKubelet {
    /// Whoever has it may ask.
    pub const TOKEN: &str = "token-of-a-kubelet";

    /// Listens on a free port, and lists no pods.
    pub async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let folder = Folder::new();
        folder.write(AUTHORITY, made.cert.pem());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider knows all of them").with_no_client_auth();
        let tls = builder.with_single_cert(vec![made.cert.der().clone()], key).expect("they belong together");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there are free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (mut tasks, answer) = (JoinSet::new(), Arc::default());
        tasks.spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&answer)));
        let kubelet = Self { address, folder, answer, tasks };
        kubelet.set(Vec::new());
        kubelet
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// A configuration that may ask it twenty times a second, with more keys.
    pub fn config(&self, more: &str) -> String {
        let authority = self.folder.path(AUTHORITY);
        format!(
            "{{url: '{}', refresh_interval: 50ms, bearer_token: {}, tls_config: {{ca_file: '{}'}}{more}}}",
            self.url(),
            Self::TOKEN,
            authority.display()
        )
    }

    /// Lists these pods.
    pub fn set(&self, pods: Vec<Value>) {
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods});
        self.answer(200, &list.to_string());
    }

    /// Answers with this.
    pub fn answer(&self, status: u16, body: &str) {
        *locked(&self.answer) = (status, Bytes::from(body.to_owned()));
    }

    /// Ends it.
    pub async fn finish(mut self) {
        self.tasks.shutdown().await;
    }
}

fn locked(answer: &Mutex<(u16, Bytes)>) -> MutexGuard<'_, (u16, Bytes)> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, answer: Arc<Mutex<(u16, Bytes)>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, tls.clone(), Arc::clone(&answer)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, answer: Arc<Mutex<(u16, Bytes)>>) {
    // Whoever does not trust the certificate goes away.
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(async |request| Ok::<_, Infallible>(respond(&request, &locked(&answer))));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

fn respond(request: &Request<Incoming>, (status, body): &(u16, Bytes)) -> Response<Full<Bytes>> {
    let token = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let (status, body) = if token != format!("Bearer {}", FakeKubelet::TOKEN).as_bytes() {
        (401, Bytes::from_static(b"Unauthorized"))
    } else if request.method() != http::Method::GET || request.uri() != "/pods" {
        (404, Bytes::from_static(b"404 page not found"))
    } else {
        (*status, body.clone())
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
