//! A cluster as far as discovery sees it: etcd, an API server, and nobody who acts on what is stored there.

use std::path::PathBuf;
use std::process::Command;

use http::{HeaderMap, HeaderValue, Method, header};
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request};
use rosterd_testkit::{Folder, Process, Server, eventually_ok, free_address, need, patience};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::authorities::make_for_cluster;
use crate::built::Built;

/// Of somebody who may do anything.
pub(super) const ADMIN: &str = "token-of-the-admin";
/// Of somebody who may do what a test allows.
pub(super) const READER: &str = "token-of-the-reader";
const TOKENS: &str = "tokens.csv";
const OTHER_TOKENS: &str = "other-tokens.csv";
const MERGE: &str = "application/merge-patch+json";
/// How often an API server is started anew because somebody took its port in the meantime.
const ATTEMPTS: usize = 5;

/// A running cluster.
pub(super) struct Cluster {
    built: Built,
    folder: Folder,
    etcd: Server,
    server: Process,
    port: u16,
    /// An API server that runs beside it, to take its place.
    other: Option<(Process, u16)>,
    client: Client,
}

impl Cluster {
    /// Starts one.
    pub(super) async fn start(built: Built) -> Self {
        Self::start_on(built.etcd(), built).await
    }

    /// Starts one on Debian's etcd, which is too old for an API server to stream lists.
    pub(super) async fn start_on_old_etcd(built: Built) -> Self {
        Self::start_on(need("etcd", "etcd-server"), built).await
    }

    async fn start_on(etcd: PathBuf, built: Built) -> Self {
        let folder = Folder::new();
        make_for_cluster(&folder);
        folder.write(TOKENS, tokens(READER));
        let etcd = self::etcd(etcd).await;
        let client = client(&folder);
        let (server, port) = api_server(&client, |port| command(&built, &folder, TOKENS, &etcd, port)).await;
        Self { built, folder, etcd, server, port, other: None, client }
    }

    /// Starts another API server beside the one that is asked, with more flags, for which the reader is who has this token.
    pub(super) async fn prepares_another(&mut self, reader: &str, flags: &[&str]) {
        self.folder.write(OTHER_TOKENS, tokens(reader));
        let command = |port| {
            let mut command = command(&self.built, &self.folder, OTHER_TOKENS, &self.etcd, port);
            command.args(flags);
            command
        };
        self.other = Some(api_server(&self.client, command).await);
    }

    /// Kills the API server; the one that was prepared takes its place.
    pub(super) async fn goes_over(&mut self) {
        // Asked to end, it would wait for those who watch.
        self.server.signal(Signal::KILL);
        self.server.wait().await;
        (self.server, self.port) = self.other.take().expect("another one is prepared");
    }

    /// Forgets all history but the newest.
    pub(super) async fn compact(&self) {
        let (_, newest) = self.ask(Method::GET, "/api/v1/namespaces", None).await;
        let revision = newest["metadata"]["resourceVersion"].as_str().expect("a list has a version");
        let body = json!({"revision": revision, "physical": true}).to_string().into();
        let url = self.etcd.url("/v3/kv/compaction").parse().expect("a URL");
        let request = Request { method: Method::POST, body, timeout: Some(patience()), ..Request::get(url) };
        let (status, said) = exchange(&self.client, request).await.expect("etcd answers");
        assert_eq!(status, 200, "{said}");
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port of its API server.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A file of the cluster: `ca.pem`, `admin.pem` and `admin.key`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Creates an object, with its status.
    pub(super) async fn create(&self, object: &Value) {
        let (status, said) =
            self.ask(Method::POST, &collection(object), Some(("application/json", object.clone()))).await;
        assert_eq!(status, 201, "{object}\n{said}");
        self.set_status(object).await;
    }

    /// Merges into an object, and its status into that.
    pub(super) async fn change(&self, object: &Value) {
        let mut body = object.clone();
        body.as_object_mut().expect("an object is a map").remove("status");
        let more_than = |value: &Value, known: &[&str]| {
            value.as_object().is_some_and(|map| map.keys().any(|key| !known.contains(&key.as_str())))
        };
        if more_than(&body, &["apiVersion", "kind", "metadata"]) || more_than(&body["metadata"], &["name", "namespace"])
        {
            self.merge(&path(object), body).await;
        }
        self.set_status(object).await;
    }

    async fn set_status(&self, object: &Value) {
        if let Some(status) = object.get("status") {
            self.merge(&format!("{}/status", path(object)), json!({"status": status})).await;
        }
    }

    async fn merge(&self, path: &str, body: Value) {
        let (status, said) = self.ask(Method::PATCH, path, Some((MERGE, body.clone()))).await;
        assert_eq!(status, 200, "{path} {body}\n{said}");
    }

    /// Puts an object in the place of the one with its name.
    pub(super) async fn replace(&self, object: &Value) {
        let (status, said) = self.ask(Method::PUT, &path(object), Some(("application/json", object.clone()))).await;
        assert_eq!(status, 200, "{object}\n{said}");
    }

    /// Asks whether an object could be created, with no more than what it may have.
    pub(super) async fn would_create(&self, object: &Value) {
        let path = format!("{}?dryRun=All&fieldValidation=Strict", collection(object));
        let (status, said) = self.ask(Method::POST, &path, Some(("application/json", object.clone()))).await;
        assert_eq!(status, 201, "{object}\n{said}");
    }

    /// A token of a service account, as its pods get one.
    pub(super) async fn token_of(&self, namespace: &str, account: &str) -> String {
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let (status, said) = self.ask(Method::POST, &path, Some(("application/json", request))).await;
        assert_eq!(status, 201, "{said}");
        said["status"]["token"].as_str().expect("a token").to_owned()
    }

    /// Waits until who has this token is answered with this status.
    pub(super) async fn answers(&self, token: &str, path: &str, status: u16) {
        let url = format!("{}{path}?limit=1", self.url());
        let look = async || {
            let answer = exchange(&self.client, as_whom(token, Method::GET, &url, None)).await;
            match answer {
                Ok((found, _)) if found == status => Ok(()),
                other => Err(format!("{other:?}")),
            }
        };
        eventually_ok(patience(), &format!("{path} is answered with {status}"), look).await;
    }

    /// Deletes an object, without waiting for a node to let it go.
    pub(super) async fn delete(&self, object: &Value) {
        let options = json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        let (status, said) = self.ask(Method::DELETE, &path(object), Some(("application/json", options))).await;
        assert!(matches!(status, 200 | 202), "{object}\n{said}");
    }

    /// Asks as the admin.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<(&str, Value)>) -> (u16, Value) {
        let request = as_admin(method, &format!("{}{path}", self.url()), body);
        let answer = exchange(&self.client, request).await;
        let (status, text) = answer.unwrap_or_else(|error| panic!("{path}: {error:?}\n{}", self.server.log()));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// Starts an API server by the command for a port; returns the port, too.
async fn api_server(client: &Client, command: impl Fn(u16) -> Command) -> (Process, u16) {
    for attempt in 1.. {
        let port = free_address().port();
        let mut server = Process::start("kube-apiserver", &mut command(port));
        if is_ready(client, &mut server, port).await {
            return (server, port);
        }
        let log = server.log();
        let taken = log.contains("address already in use");
        assert!(taken && attempt < ATTEMPTS, "the API server does not start:\n{log}");
    }
    unreachable!("the last attempt returns or panics")
}

/// Waits until an API server answers; false when it ends before.
async fn is_ready(client: &Client, server: &mut Process, port: u16) -> bool {
    let url = format!("https://127.0.0.1:{port}/readyz");
    let look = async || {
        if server.exited().is_some() {
            return Ok(false);
        }
        let answer = exchange(client, as_admin(Method::GET, &url, None)).await;
        if answer.is_ok_and(|(status, _)| status == 200) { Ok(true) } else { Err(server.log()) }
    };
    // It makes its own roles and priorities first, on a busy machine.
    eventually_ok(4 * patience(), "the API server is ready", look).await
}

/// Who is known by which token.
fn tokens(reader: &str) -> String {
    format!("{ADMIN},admin,1,system:masters\n{reader},reader,2\n")
}

async fn etcd(program: PathBuf) -> Server {
    let data = Folder::new();
    let storage = data.path(Server::DATA);
    // It has no peers, and says so by an address that nobody dials.
    let peers = "http://127.0.0.1:0";
    Server::start("etcd", "/health", data, move |port| {
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(&program);
        command.arg("--data-dir").arg(&storage).args(["--unsafe-no-fsync", "--logger", "zap"]).args([
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
            "--listen-peer-urls",
            peers,
            "--initial-advertise-peer-urls",
            peers,
            "--initial-cluster",
            &format!("default={peers}"),
        ]);
        command
    })
    .await
}

fn command(built: &Built, folder: &Folder, tokens: &str, etcd: &Server, port: u16) -> Command {
    let path = |name: &str| folder.path(name).display().to_string();
    let mut command = Command::new(built.api_server());
    command
        .arg(format!("--etcd-servers={}", etcd.url("")))
        .arg(format!("--secure-port={port}"))
        .arg(format!("--tls-cert-file={}", path("server.pem")))
        .arg(format!("--tls-private-key-file={}", path("server.key")))
        .arg(format!("--client-ca-file={}", path("ca.pem")))
        .arg(format!("--token-auth-file={}", path(tokens)))
        .arg(format!("--service-account-signing-key-file={}", path("accounts.key")))
        .arg(format!("--service-account-key-file={}", path("accounts.pem")))
        .args(["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"])
        // It has to be told an address that is not of the loopback, and to publish none.
        .args(["--bind-address=127.0.0.1", "--advertise-address=192.0.2.254", "--endpoint-reconciler-type=none"])
        .args(["--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112"])
        // Accounts, which pods would have to have, are made by a controller.
        .args(["--disable-admission-plugins=ServiceAccount"]);
    command
}

/// A client that trusts the cluster's authority.
fn client(folder: &Folder) -> Client {
    let mut config = HttpClientConfig::default();
    config.tls_config.ca_file = folder.path("ca.pem");
    Client::new(&config, Options { gzip: false, ..Options::default() }).expect("a client")
}

/// A request for one answer, after which the connection ends.
fn as_admin(method: Method, url: &str, body: Option<(&str, Value)>) -> Request {
    as_whom(ADMIN, method, url, body)
}

fn as_whom(token: &str, method: Method, url: &str, body: Option<(&str, Value)>) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).expect("a header"));
    let mut request = Request::get(url.parse().expect("a URL"));
    if let Some((kind, body)) = body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(kind).expect("a header"));
        request.body = body.to_string().into();
    }
    Request { method, headers, timeout: Some(patience()), ..request }
}

/// Status and text of the answer.
async fn exchange(client: &Client, request: Request) -> Result<(u16, String), ClientError> {
    let answer = client.send(request).await?;
    let status = answer.status().as_u16();
    Ok((status, String::from_utf8(answer.body(None).await?).expect("it answers in UTF-8")))
}

/// Where objects of this one's kind and namespace are.
fn collection(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let root = if version.contains('/') { "apis" } else { "api" };
    let kind = match kind.to_lowercase() {
        kind if kind == "endpoints" => kind,
        kind if kind == "ingress" => kind + "es",
        kind => kind + "s",
    };
    match object["metadata"]["namespace"].as_str() {
        None => format!("/{root}/{version}/{kind}"),
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{kind}"),
    }
}

fn path(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().expect("an object has a name");
    format!("{}/{name}", collection(object))
}
