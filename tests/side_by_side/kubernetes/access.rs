//! As whom a cluster is asked: Roles that lack something, and kubeconfig files.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rosterd_testkit::{Folder, eventually_ok, leak_checked_live, patience};
use serde_json::{Value, json};

use super::cluster::{Cluster, READER};
use super::jobs::{agrees, configured, has, tells};
use super::story::story;
use crate::built::Built;
use crate::programs::{Wrapper, rosterd};
use crate::targets::Targets;

/// A Role in `shop` that allows to read these, and its binding to the reader.
pub(super) fn role(name: &str, group: &str, resources: &[&str]) -> [Value; 2] {
    let metadata = json!({"name": name, "namespace": "shop"});
    let version = "rbac.authorization.k8s.io/v1";
    let rule = json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
    let reader = json!({"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"});
    let bound = json!({"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"});
    [
        json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": [rule]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "subjects": [reader], "roleRef": bound}),
    ]
}

const NARROW: &str = "
scrape_configs:
- {job_name: pods, kubernetes_sd_configs: [{role: pod, namespaces: {names: [shop]}}]}
- {job_name: slices, kubernetes_sd_configs: [{role: endpointslice, namespaces: {names: [shop]}}]}
- {job_name: two, kubernetes_sd_configs: [{role: pod, namespaces: {names: [shop, other]}}]}
- {job_name: nodes, kubernetes_sd_configs: [{role: node}]}
";

const PODS: [&str; 6] =
    ["192.0.2.11", "192.0.2.11:53", "192.0.2.11:8080", "192.0.2.11:8443", "192.0.2.11:9901", "2001:db8::12"];

#[test]
fn what_a_role_lacks_is_named_and_hides_nothing_else() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = Cluster::start(built).await;
        story()[0].happens(&cluster).await;
        for object in role("pods", "", &["pods"]) {
            cluster.create(&object).await;
        }
        let folder = Folder::new();
        let ours = rosterd(&configured(&folder, &cluster, READER, NARROW), Wrapper::default(), &[]).await;
        has(&ours, "pods", &PODS).await;
        has(&ours, "two", &PODS).await;
        let lacks = ["sd_kubernetes_forbidden", "pods in other", "bind a Role in other with", "resources: [pods]"];
        tells(&ours, "two", &lacks).await;
        tells(&ours, "nodes", &["sd_kubernetes_forbidden", "bind a ClusterRole with", "resources: [nodes]"]).await;
        has(&ours, "slices", &[]).await;
        tells(&ours, "slices", &["sd_kubernetes_forbidden", "in shop: forbidden", "verbs: [list, watch]"]).await;

        let slices = role("slices", "discovery.k8s.io", &["endpointslices"]);
        for object in role("services", "", &["services"]).iter().chain(&slices) {
            cluster.create(object).await;
        }
        tells(&ours, "slices", &["\"presence\":\"synced\""]).await;
        let look = async || {
            let targets = Targets::of(&ours).await.active;
            let is_there = |address: &&str| {
                targets.iter().any(|it| it.pool == "slices" && it.discovered["__address__"] == **address)
            };
            let all = ["192.0.2.1:53", "192.0.2.1:8080", "192.0.2.11:53"].iter().all(is_there);
            if all { Ok(()) } else { Err(format!("{targets:#?}")) }
        };
        eventually_ok(patience(), "the slices are there", look).await;
    });
}

pub(super) fn pod(name: &str, address: &str) -> Value {
    let containers = json!([{"name": "main", "image": "registry.example/a:1"}]);
    let status = json!({"podIP": address, "podIPs": [{"ip": address}]});
    let metadata = json!({"name": name, "namespace": "shop"});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}, "status": status})
}

/// A cluster with a namespace that the reader may read, and a pod in it.
pub(super) async fn small(built: Built) -> Cluster {
    let cluster = Cluster::start(built).await;
    cluster.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})).await;
    for object in role("pods", "", &["pods"]) {
        cluster.create(&object).await;
    }
    cluster.create(&pod("one", "192.0.2.31")).await;
    cluster
}

#[test]
fn a_kubeconfig_file_is_read_as_prometheus_reads_it() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = small(built.clone()).await;
        let folder = Folder::new();
        let data = |name: &str| BASE64_STANDARD.encode(std::fs::read(cluster.file(name)).expect("it was written"));
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "c", "user": "admin"}}],
            "clusters": [{"name": "c", "cluster": {"server": cluster.url(), "certificate-authority-data": data("ca.pem")}}],
            "users": [{"name": "admin", "user": {
                "client-certificate-data": data("admin.pem"),
                "client-key-data": data("admin.key"),
            }}],
        });
        folder.write("kubeconfig", kubeconfig.to_string());
        let jobs =
            "scrape_configs: [{job_name: pods, kubernetes_sd_configs: [{role: pod, kubeconfig_file: kubeconfig}]}]";
        let config = configured(&folder, &cluster, READER, jobs);
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        has(&ours, "pods", &["192.0.2.31"]).await;
        let theirs = built.prometheus(&config, Wrapper::default()).await;
        agrees(&ours, &theirs, |targets| targets).await;
    });
}
