//! A configuration as the usual operators and charts write it: rosterd and a real Prometheus 3 keep the same targets.

use rosterd_testkit::{Folder, fixture, leak_checked_live};

use super::cluster::{ADMIN, Cluster};
use super::jobs::{agrees, configured, has};
use super::story::story;
use crate::built::Built;
use crate::programs::{Wrapper, rosterd};

#[test]
fn the_configuration_of_a_cluster_gives_the_same_targets() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = Cluster::start(built.clone()).await;
        story()[0].happens(&cluster).await;
        let folder = Folder::new();
        let jobs = fixture("side_by_side/kubernetes/prometheus.yml");
        let config = configured(&folder, &cluster, ADMIN, &jobs);
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let theirs = built.prometheus(&config, Wrapper::default()).await;
        has(&ours, "kubernetes-nodes-cadvisor", &["192.0.2.1:10250", "[2001:db8::2]:0"]).await;
        has(&ours, "podMonitor/shop/web/0", &["192.0.2.11:8080"]).await;
        has(&ours, "serviceMonitor/shop/web/0", &["192.0.2.11:8080", "192.0.2.1:8080", "192.0.2.99:8080"]).await;
        agrees(&ours, &theirs, |targets| targets).await;
    });
}
