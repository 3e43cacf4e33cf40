//! The rights that rosterd says it needs: with what `rosterd check config --rbac` prints everything can be read, and each rule of
//! it is needed. What is shipped asks for these, and is taken by a real API server.

use std::path::Path;
use std::process::Command;

use rosterd_testkit::{Folder, Server, eventually_ok, leak_checked_live, patience};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::jobs::{configured, has};
use super::story::story;
use crate::built::Built;
use crate::programs::{Wrapper, rosterd};

const NAMESPACE: &str = "monitoring";

/// All roles, with all that can be attached, here in a namespace and there in all.
const JOBS: &str = "
scrape_configs:
- {job_name: nodes, kubernetes_sd_configs: [{role: node}]}
- job_name: pods
  kubernetes_sd_configs:
  - role: pod
    namespaces: {names: [shop]}
    attach_metadata: {node: true, namespace: true, deployment: true, job: true, cronjob: true}
- {job_name: services, kubernetes_sd_configs: [{role: service}]}
- {job_name: endpoints, kubernetes_sd_configs: [{role: endpoints, namespaces: {names: [shop]}}]}
- job_name: some-endpoints
  kubernetes_sd_configs:
  - {role: endpoints, namespaces: {names: [shop]}, selectors: [{role: endpoints, label: app=web}]}
- {job_name: slices, kubernetes_sd_configs: [{role: endpointslice, namespaces: {names: [shop]}}]}
- {job_name: ingresses, kubernetes_sd_configs: [{role: ingress, namespaces: {names: [shop]}}]}
";

fn documents(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    documents.map(|document| Value::deserialize(document).expect("each document is YAML")).collect()
}

/// What `rosterd check config --rbac` prints for an account.
fn printed(config: &Path, account: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    let output = command
        .args(["check", "config", "--rbac", "--rbac-service-account", account])
        .arg(config)
        .output()
        .expect("rosterd runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).expect("UTF-8"))
}

/// A cluster with the account that rosterd runs as.
async fn cluster(built: Built) -> Cluster {
    let cluster = Cluster::start(built).await;
    cluster.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})).await;
    let account = json!({"name": "rosterd", "namespace": NAMESPACE});
    cluster.create(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})).await;
    cluster
}

/// Waits until all providers satisfy this, or says what they are.
async fn providers(program: &Server, what: &str, are: impl Fn(&[Value]) -> bool) {
    let look = async || {
        let answer = program.data("/api/v1/providers").await;
        let all = answer["providers"].as_array().cloned().unwrap_or_default();
        if are(&all) { Ok(()) } else { Err(format!("{answer:#}")) }
    };
    eventually_ok(patience(), what, look).await;
}

fn all_can_be_read(all: &[Value]) -> bool {
    !all.is_empty() && all.iter().all(|provider| provider["presence"] == "synced")
}

/// Each rule and resource of a role: the role without it, the path of what is missing then, and how rosterd says so.
fn without_one(role: &Value) -> Vec<(Value, String, Vec<String>)> {
    let namespace = role["metadata"]["namespace"].as_str();
    let place = namespace.map_or_else(|| "a ClusterRole".to_owned(), |namespace| format!("a Role in {namespace}"));
    let below = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let mut found = Vec::new();
    for (at, rule) in role["rules"].as_array().expect("a role has rules").iter().enumerate() {
        let group = rule["apiGroups"][0].as_str().expect("a rule has a group");
        let root = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
        for resource in rule["resources"].as_array().expect("a rule has resources") {
            let resource = resource.as_str().expect("a name");
            let mut less = role.clone();
            let rest = rule["resources"].as_array().into_iter().flatten().filter(|it| *it != resource);
            let rest: Vec<_> = rest.cloned().collect();
            if rest.is_empty() {
                less["rules"].as_array_mut().expect("a role has rules").remove(at);
            } else {
                less["rules"][at]["resources"] = json!(rest);
            }
            let rule = format!("{{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [list, watch]}}");
            let said = vec!["sd_kubernetes_forbidden".to_owned(), format!("bind {place} with {rule}")];
            found.push((less, format!("{root}{below}/{resource}"), said));
        }
    }
    found
}

#[test]
fn the_rights_that_are_printed_are_enough_and_each_is_needed() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = cluster(built).await;
        story()[0].happens(&cluster).await;
        let (bare, folder) = (Folder::new(), Folder::new());
        let roles = printed(&bare.write("prometheus.yml", JOBS), "monitoring/rosterd");
        assert_eq!(roles.len(), 4, "a ClusterRole and a Role, each with its binding: {roles:#?}");
        for object in &roles {
            cluster.create(object).await;
        }
        let token = cluster.token_of(NAMESPACE, "rosterd").await;
        let config = configured(&folder, &cluster, &token, JOBS);
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        providers(&ours, "everything can be read", all_can_be_read).await;
        // Two watches of them were begun.
        assert_eq!(ours.log().matches("Endpoints is deprecated").count(), 1, "{}", ours.log());
        drop(ours);
        let mut tried = 0;
        for role in roles.iter().filter(|object| object.get("rules").is_some()) {
            for (less, path, said) in without_one(role) {
                cluster.replace(&less).await;
                cluster.answers(&token, &path, 403).await;
                let ours = rosterd(&config, Wrapper::default(), &[]).await;
                let complains = |all: &[Value]| {
                    let text = Value::from(all.to_vec()).to_string().replace("\\\"", "\"");
                    said.iter().all(|said| text.contains(said))
                };
                providers(&ours, &format!("without {path} {said:?} is said"), complains).await;
                cluster.replace(role).await;
                cluster.answers(&token, &path, 200).await;
                providers(&ours, "what is allowed again is read", all_can_be_read).await;
                tried += 1;
            }
        }
        assert_eq!(tried, 9, "all resources, services in all namespaces");
    });
}

#[test]
fn what_is_shipped_is_taken_by_an_api_server_as_it_stands() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = cluster(built).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
        let mut taken = 0;
        for entry in std::fs::read_dir(folder).expect("there are manifests") {
            let path = entry.expect("an entry").path();
            for manifest in documents(&std::fs::read_to_string(&path).expect("a manifest")) {
                // The account is there.
                if manifest["kind"] != "ServiceAccount" {
                    cluster.would_create(&manifest).await;
                    taken += 1;
                }
            }
        }
        assert!(taken > 10, "{taken}");
    });
}

#[test]
fn in_a_pod_the_account_of_the_pod_is_used_and_its_token_read_again() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = cluster(built.clone()).await;
        story()[0].happens(&cluster).await;
        let folder = Folder::new();
        let jobs = "scrape_configs:\n- job_name: pods\n  kubernetes_sd_configs: [{role: pod, namespaces: {own_namespace: true}}]\n";
        let config = folder.write("prometheus.yml", jobs);
        let account = folder.path("account");
        std::fs::create_dir(&account).expect("a new folder");
        std::fs::copy(cluster.file("ca.pem"), account.join("ca.crt")).expect("it was written");
        std::fs::write(account.join("namespace"), "shop").expect("a file");
        std::fs::write(account.join("token"), "of-nobody").expect("a file");
        let account_in_shop = json!({"name": "rosterd", "namespace": "shop"});
        cluster.create(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account_in_shop})).await;
        for object in printed(&config, "shop/rosterd") {
            cluster.create(&object).await;
        }
        let wrapper = Wrapper::in_pod(&account, cluster.port());
        let ours = rosterd(&config, wrapper.clone(), &[]).await;
        let unknown = |all: &[Value]| Value::from(all.to_vec()).to_string().contains("sd_kubernetes_unauthorized");
        providers(&ours, "a token that nobody has is refused", unknown).await;
        let token = cluster.token_of("shop", "rosterd").await;
        std::fs::write(account.join("new"), token).expect("a file");
        std::fs::rename(account.join("new"), account.join("token")).expect("it was written");
        let pods =
            ["192.0.2.11", "192.0.2.11:53", "192.0.2.11:8080", "192.0.2.11:8443", "192.0.2.11:9901", "2001:db8::12"];
        has(&ours, "pods", &pods).await;
        let theirs = built.prometheus(&config, wrapper).await;
        has(&theirs, "pods", &pods).await;
    });
}
