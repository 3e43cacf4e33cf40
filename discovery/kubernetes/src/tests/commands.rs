//! Credentials by a command that a kubeconfig names.

use std::os::unix::fs::PermissionsExt;

use rosterd_client::Environment;
use rosterd_discovery::{System, Word};
use rosterd_testkit::{FakeApiServer, Fault, Folder, On, eventually, leak_checked_live, patience};
use serde_json::{Value, json};

use super::front::Front;
use super::{Agent, Running, config_of, objects, pod};
use crate::KubernetesConfig;

/// A kubeconfig whose user is told by a script beside it.
struct Told {
    folder: Folder,
}

impl Told {
    fn by(front: &Front, script: &str) -> Self {
        let folder = Folder::new();
        folder.write("ca.crt", front.authority());
        let path = folder.write("plugin", format!("#!/bin/sh\ncd '{}'\n{script}\n", folder.root().display()));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let server = front.url();
        folder.write(
            "config",
            json!({
                "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": server, "certificate-authority": "ca.crt"}}],
                "users": [{"name": "u", "user": {"exec": {
                    "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never",
                    "args": ["get-token"], "env": [{"name": "WHO", "value": "discreet"}], "provideClusterInfo": true,
                    "installHint": "get it where it is",
                }}}],
            })
            .to_string(),
        );
        Self { folder }
    }

    /// The script that prints the file `credential`, and notes that it ran.
    fn by_file(front: &Front) -> Self {
        Self::by(front, r#"echo "$1 $WHO $FROM" >> runs; echo "$KUBERNETES_EXEC_INFO" > info; cat credential"#)
    }

    fn prints(&self, status: &Value) {
        let version = "client.authentication.k8s.io/v1";
        self.folder.replace(
            "credential",
            json!({"apiVersion": version, "kind": "ExecCredential", "status": status}).to_string(),
        );
    }

    fn runs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path("runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn config(&self, more: &str) -> KubernetesConfig {
        config_of(&format!("kubeconfig_file: '{}', {more}", self.folder.path("config").display()))
    }
}

fn allowing() -> Agent {
    let environment: Environment = [("FROM", "rosterd")].into_iter().collect();
    Agent::on(System::new("here", environment).allowing_commands(true))
}

async fn picture(running: &mut Running) -> usize {
    let word = running.next().await;
    assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.is_empty()), "{word:?}");
    objects(&word).len()
}

#[test]
fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        server.wants_token("one");
        let front = Front::start(&server, false).await;
        let told = Told::by_file(&front);
        told.prints(&json!({"token": "one", "expirationTimestamp": "2999-01-01T00:00:00Z"}));
        let agent = allowing();
        let mut pods = agent.run(&told.config("role: pod"));
        let mut slices = agent.run(&told.config("role: endpointslice"));
        assert_eq!((picture(&mut pods).await, picture(&mut slices).await), (1, 0));
        assert_eq!(told.runs(), ["get-token discreet rosterd"], "one run for all watches");
        let info: Value = serde_json::from_str(&told.folder.read("info")).expect("JSON");
        assert_eq!(info["spec"]["interactive"], false);
        assert_eq!(info["spec"]["cluster"]["server"], front.url());
        assert!(info["spec"]["cluster"]["certificate-authority-data"].is_string(), "{info}");
        // What is good until the end of time is refused all the same.
        server.wants_token("two");
        told.prints(&json!({"token": "two"}));
        server.cut_watches();
        eventually(patience(), "the command is run again", || told.runs().len() == 2).await;
        server.wait_watches(3).await;
        server.put(pod("a", "y", "10.0.0.2"));
        assert!(matches!(pods.next().await, Word::Changed(groups) if groups.len() == 1));
        assert_eq!(told.runs().len(), 2, "one run for all that were refused");
        agent.end(vec![pods, slices]).await;
        front.stop().await;
        server.finish().await;
    });
}

#[test]
fn a_certificate_is_renewed_when_it_expires() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        let front = Front::start(&server, true).await;
        let told = Told::by_file(&front);
        let prints = |expire: &str| {
            let (certificate, key) = front.client();
            told.prints(&json!({
                "clientCertificateData": certificate, "clientKeyData": key, "expirationTimestamp": expire,
            }));
        };
        prints("2001-01-01T00:00:00Z");
        let agent = allowing();
        let mut pods = agent.run(&told.config("role: pod"));
        assert_eq!(picture(&mut pods).await, 1);
        let before = told.runs().len();
        prints("2999-01-01T00:00:00Z");
        server.wait_watches(1).await;
        for _ in 0..2 {
            let asked = server.asked().len();
            server.cut_watches();
            eventually(patience(), "it is asked again", || server.asked().len() > asked).await;
            server.wait_watches(1).await;
        }
        assert_eq!(told.runs().len(), before + 1, "expired ones are renewed, others are not");
        agent.end(vec![pods]).await;
        front.stop().await;
        server.finish().await;
    });
}

#[test]
fn why_there_are_no_credentials_is_said() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.fail(On::all(), Fault::Status(500));
        let front = Front::start(&server, false).await;
        let failing = Told::by(&front, "echo $WHO has no such profile >&2; exit 3");
        let empty = Told::by(&front, "echo '{}'");
        let absent = Told::by(&front, "");
        absent.folder.remove("plugin");
        let agent = allowing();
        for (told, wanted) in [
            (&failing, "plugin failed with exit status: 3; it said: <secret> has no such profile"),
            (&empty, "what "),
            (&absent, "plugin (get it where it is)"),
        ] {
            let mut running = agent.run(&told.config("role: pod"));
            let word = running.next().await;
            let Word::EverythingBut(groups, unread) = &word else { panic!("{word:?}") };
            assert!(groups.is_empty() && unread[0].error.code() == "sd_kubernetes_credentials", "{unread:?}");
            let report = unread[0].error.report().to_string();
            assert!(
                report.contains("cannot watch pods: there are no credentials: ") && report.contains(wanted),
                "{report}"
            );
            running.cx.stop.cancel();
        }
        assert!(server.asked().is_empty(), "nobody asks without credentials");
        agent.end(Vec::new()).await;
        front.stop().await;
        server.finish().await;
    });
}

#[test]
fn commands_are_run_only_where_that_is_allowed() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let front = Front::start(&server, false).await;
        let told = Told::by_file(&front);
        let agent = Agent::new();
        let error = agent
            .equipment
            .of("kubernetes")
            .build(&told.config("role: pod"), "kubernetes/1")
            .err()
            .expect("it is refused");
        assert_eq!(error.code(), "sd_kubernetes_exec_disabled");
        assert!(error.to_string().contains("--enable-exec-sd") && error.to_string().contains("/plugin"), "{error}");
        assert!(told.runs().is_empty());
        agent.end(Vec::new()).await;
        front.stop().await;
        server.finish().await;
    });
}
