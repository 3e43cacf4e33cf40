//! API servers that go, come back elsewhere, have forgotten what was, and know nobody by the old token: nothing is lost, nothing is
//! there twice, and in the end it is what a Prometheus 3 has that went through the same.

use rosterd_testkit::{Folder, leak_checked_live};
use serde_json::json;

use super::access::{pod, role, small};
use super::cluster::READER;
use super::front::Front;
use super::jobs::{TOKEN, agrees, configured_at, has, tells};
use crate::built::Built;
use crate::programs::{Wrapper, rosterd};

const JOBS: &str = "
scrape_configs:
- {job_name: pods, kubernetes_sd_configs: [{role: pod, namespaces: {names: [shop]}}]}
- {job_name: services, kubernetes_sd_configs: [{role: service, namespaces: {names: [shop]}}]}
";
const LISTS: &str = "rosterd_discovery_kubernetes_lists_total";
const ANOTHER: &str = "another-token-of-the-reader";

fn service(name: &str) -> serde_json::Value {
    let metadata = json!({"name": name, "namespace": "shop"});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}})
}

#[test]
fn api_servers_that_go_move_and_forget_cost_nothing() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let mut cluster = small(built.clone()).await;
        for object in role("services", "", &["services"]).iter().chain(&[service("one")]) {
            cluster.create(object).await;
        }
        let (front, folder) = (Front::start(cluster.port()).await, Folder::new());
        let config = configured_at(&front.url(), &folder, &cluster, READER, JOBS);
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let theirs = built.prometheus(&config, Wrapper::default()).await;
        has(&ours, "pods", &["192.0.2.31"]).await;
        has(&ours, "services", &["one.shop.svc:80"]).await;
        agrees(&ours, &theirs, |targets| targets).await;
        let listed = ours.metric(LISTS, "").await;

        // It cannot be reached, and comes back.
        front.closes();
        tells(&ours, "pods", &["sd_kubernetes_unreachable"]).await;
        tells(&ours, "services", &["sd_kubernetes_unreachable"]).await;
        cluster.create(&pod("two", "192.0.2.32")).await;
        cluster.delete(&pod("one", "192.0.2.31")).await;
        cluster.delete(&service("one")).await;
        cluster.create(&service("two")).await;
        has(&ours, "pods", &["192.0.2.31"]).await;
        has(&ours, "services", &["one.shop.svc:80"]).await;
        front.leads_to(cluster.port());
        has(&ours, "pods", &["192.0.2.32"]).await;
        has(&ours, "services", &["two.shop.svc:80"]).await;
        agrees(&ours, &theirs, |targets| targets).await;
        assert_eq!(ours.metric(LISTS, "").await, listed, "it goes on from where it was");

        // Another one takes its place, without the history of what changed meanwhile, and with other tokens.
        cluster.prepares_another(ANOTHER, &["--watch-cache=false"]).await;
        front.closes();
        cluster.create(&pod("three", "192.0.2.33")).await;
        cluster.delete(&pod("two", "192.0.2.32")).await;
        cluster.create(&service("three")).await;
        cluster.compact().await;
        cluster.goes_over().await;
        front.leads_to(cluster.port());
        tells(&ours, "pods", &["sd_kubernetes_unauthorized"]).await;
        tells(&ours, "services", &["sd_kubernetes_unauthorized"]).await;
        has(&ours, "pods", &["192.0.2.32"]).await;
        has(&ours, "services", &["two.shop.svc:80"]).await;
        folder.replace(TOKEN, ANOTHER);
        has(&ours, "pods", &["192.0.2.33"]).await;
        has(&ours, "services", &["three.shop.svc:80", "two.shop.svc:80"]).await;
        agrees(&ours, &theirs, |targets| targets).await;
        assert_eq!(ours.metric(LISTS, "").await, listed + 2.0, "each is listed again, once\n{}", ours.log());

        // And what comes then is followed.
        cluster.create(&pod("four", "192.0.2.34")).await;
        cluster.delete(&service("two")).await;
        has(&ours, "pods", &["192.0.2.33", "192.0.2.34"]).await;
        has(&ours, "services", &["three.shop.svc:80"]).await;
        agrees(&ours, &theirs, |targets| targets).await;
        for job in ["pods", "services"] {
            tells(&ours, job, &["\"presence\":\"synced\""]).await;
        }
        assert!(!ours.log().contains(READER) && !ours.log().contains(ANOTHER), "{}", ours.log());
    });
}
