//! A real Keystone: it gives real tokens for every proof of who asks, which are renewed before they end
//! and when they are refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use http::{HeaderMap, Method};
use rosterd_client::{Client, HttpClientConfig, Options, Request};
use rosterd_testkit::{Folder, ScriptedServer, Server, Step, eventually_ok, leak_checked_live, need, patience};
use serde_json::{Value, json};

use super::programs::{Wrapper, rosterd};
use super::targets::Targets;

const CONFIG: &str = "keystone.conf";
const HYPERVISORS: &str = "/compute/v2.1/os-hypervisors/detail";
/// How long tokens are good, in seconds.
const LIFE: u64 = 20;

/// Keystone with a database in a file.
struct Keystone {
    server: Server,
    client: Client,
    /// Of the administrator.
    token: String,
    user: String,
    project: String,
}

/// A command of Keystone's that uses this folder.
fn keystone(program: &Path, folder: &str) -> Command {
    let mut command = Command::new(program);
    command.env("OS_KEYSTONE_CONFIG_FILES", format!("{folder}/{CONFIG}"));
    command
}

impl Keystone {
    async fn start() -> Self {
        let [manage, serve] =
            ["keystone-manage", "keystone-wsgi-public"].map(|program| need(program, "python3-keystone"));
        let folder = Folder::new();
        let root = folder.root().display().to_string();
        let config = format!(
            "[database]\nconnection = sqlite:///{root}/keystone.db\n[token]\nexpiration = {LIFE}\nallow_expired_window = 0\n\
             [fernet_tokens]\nkey_repository = {root}/tokens\n[credential]\nkey_repository = {root}/credentials\n"
        );
        folder.write(CONFIG, config);
        let me = rustix::process::geteuid().as_raw().to_string();
        let keys = ["--keystone-user", &*me, "--keystone-group", &*me];
        for arguments in [
            vec!["db_sync"],
            [&["fernet_setup"], &keys[..]].concat(),
            [&["credential_setup"], &keys[..]].concat(),
            vec!["bootstrap", "--bootstrap-password", "hunter2", "--bootstrap-region-id", "RegionOne"],
        ] {
            let mut command = keystone(&manage, &root);
            let ended = command.arg(format!("--config-file={root}/{CONFIG}")).args(&arguments).output();
            let ended = ended.expect("it is a program");
            assert!(
                ended.status.success(),
                "keystone-manage {arguments:?}: {}",
                String::from_utf8_lossy(&ended.stderr)
            );
        }
        let server = Server::start("Keystone", "/v3", folder, move |port| {
            let mut command = keystone(&serve, &root);
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command
        })
        .await;
        let client = Client::new(&HttpClientConfig::default(), Options::default()).expect("a client");
        let (token, user, project) = Default::default();
        let mut keystone = Self { server, client, token, user, project };
        keystone.log_in().await;
        keystone
    }

    async fn log_in(&mut self) {
        self.token.clear();
        let user = json!({"name": "admin", "password": "hunter2", "domain": {"id": "default"}});
        let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
        let auth = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}});
        let (headers, answer) = self.ask(Method::POST, "/auth/tokens", &[], auth).await;
        self.token = headers["x-subject-token"].to_str().expect("text").to_owned();
        let id = |of: &str| answer["token"][of]["id"].as_str().expect("an id").to_owned();
        (self.user, self.project) = (id("user"), id("project"));
    }

    /// Asks, as the administrator if there is a token.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Value,
    ) -> (HeaderMap, Value) {
        let url = self.server.url(&format!("/v3{path}")).parse().expect("a URL");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request { method, ..Request::post(url, body) };
        let has_body = !request.body.is_empty();
        let mut set = |name: &'static str, value: &str| request.headers.insert(name, value.parse().expect("a value"));
        if has_body {
            set("content-type", "application/json");
        }
        if !self.token.is_empty() {
            set("x-auth-token", &self.token);
        }
        headers.iter().for_each(|(name, value)| drop(set(name, value)));
        let response = self.client.send(request).await.and_then(|response| response.success()).expect(path);
        let headers = response.headers().clone();
        let body = response.body(None).await.expect("a body");
        (headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Says that Nova is there.
    async fn has_nova(&self, at: &str) {
        let (_, made) =
            self.ask(Method::POST, "/services", &[], json!({"service": {"type": "compute", "name": "nova"}})).await;
        let endpoint =
            json!({"service_id": made["service"]["id"], "interface": "public", "region_id": "RegionOne", "url": at});
        self.ask(Method::POST, "/endpoints", &[], json!({"endpoint": endpoint})).await;
    }

    /// Makes an application credential, and says what it is called.
    async fn credential(&self) -> Value {
        let path = format!("/users/{}/application_credentials", self.user);
        let body = json!({"application_credential": {"name": "rosterd", "secret": "hunter3"}});
        self.ask(Method::POST, &path, &[], body).await.1["application_credential"]["id"].clone()
    }

    /// The methods by which this token was got; none if it has ended.
    async fn methods_of(&self, token: &str) -> BTreeSet<String> {
        let url = self.server.url("/v3/auth/tokens").parse().expect("a URL");
        let mut request = Request::get(url);
        for (name, value) in [("x-subject-token", token), ("x-auth-token", &self.token)] {
            request.headers.insert(name, value.parse().expect("a value"));
        }
        let response = self.client.send(request).await.expect("Keystone answers");
        let body = response.body(None).await.expect("a body");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        let methods = answer["token"]["methods"].as_array().into_iter().flatten();
        methods.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// The tokens that Nova was asked with, in the order in which they came.
fn used(nova: &ScriptedServer) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let tokens = nova.requests().into_iter().filter_map(|call| call.header("x-auth-token").map(str::to_owned));
    tokens.filter(|token| seen.insert(token.clone())).collect()
}

#[test]
fn every_proof_gets_real_tokens_that_are_renewed() {
    leak_checked_live(async || {
        let mut keystone = Keystone::start().await;
        let nova = ScriptedServer::start([]).await;
        let body = r#"{"hypervisors": [{"id": 1, "host_ip": "127.0.8.1", "hypervisor_hostname": "a"}]}"#;
        nova.then(Step::get(HYPERVISORS).any_times().json(body));
        keystone.has_nova(&nova.url("/compute/v2.1")).await;
        let (id, user) = (keystone.credential().await, keystone.user.clone());
        let folder = Folder::new();
        folder.write("token", &*keystone.token);
        for (proof, method) in [
            ("username: admin, password: hunter2, domain_name: Default, project_name: admin".to_owned(), "password"),
            (format!("userid: {user}, password: hunter2, project_id: {}", keystone.project), "password"),
            (
                format!("application_credential_id: {id}, application_credential_secret: hunter3"),
                "application_credential",
            ),
            (
                format!("application_credential_name: rosterd, application_credential_secret: hunter3, userid: {user}"),
                "application_credential",
            ),
            ("token_file: token, project_name: admin, domain_id: default".to_owned(), "password+token"),
        ] {
            let before = used(&nova).len();
            let config = format!(
                "scrape_configs:\n- job_name: a\n  openstack_sd_configs: [{{identity_endpoint: '{}', role: hypervisor, region: RegionOne, \
                 refresh_interval: 8s, {proof}}}]\n",
                keystone.server.url("")
            );
            let config = folder.write("prometheus.yml", config);
            let ours = rosterd(&config, Wrapper::default(), &[]).await;
            let found = async || {
                // On a slow machine it may end before it is used.
                keystone.log_in().await;
                folder.replace("token", &*keystone.token);
                match Targets::of(&ours).await.active.len() {
                    1 => Ok(()),
                    count => Err(format!("{count} targets for {proof}\n{}", ours.log())),
                }
            };
            eventually_ok(patience(), "the hypervisor is there", found).await;
            let methods: BTreeSet<_> = method.split('+').map(str::to_owned).collect();
            let got = async || {
                keystone.log_in().await;
                let tokens = used(&nova).split_off(before);
                let Some(newest) = tokens.last() else { return Err("none".to_owned()) };
                match keystone.methods_of(newest).await {
                    found if found == methods => Ok(()),
                    found => Err(format!("{found:?}")),
                }
            };
            eventually_ok(patience(), &format!("its token was got by {method}: {proof}"), got).await;
            if method == "password" && before == 0 {
                // It ends, and nobody notices.
                let renewed = async || match used(&nova).len() {
                    count if count > before + 2 => Ok(()),
                    count => Err(format!("{count} tokens")),
                };
                eventually_ok(patience(), "tokens are renewed", renewed).await;
                let failures = ours.metric("rosterd_discovery_refresh_failures_total", "").await;
                assert_eq!(failures, 0.0, "{}", ours.log());
                // It is taken back: Nova does not know it any more.
                let last = used(&nova).pop().expect("one");
                nova.then(Step::get(HYPERVISORS).with_header("x-auth-token", &last).any_times().status(401));
                let another = async || match used(&nova).pop() {
                    Some(token) if token != last => Ok(()),
                    token => Err(format!("{token:?}")),
                };
                eventually_ok(patience(), "another token is got", another).await;
            }
        }
        nova.finish().await;
    });
}
