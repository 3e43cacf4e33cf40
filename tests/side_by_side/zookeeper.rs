//! nerve and serverset at a real ZooKeeper beside a real Prometheus: the same targets through changes, an outage, and the end
//! of a path.

use std::collections::BTreeSet;

use rosterd_testkit::{Folder, Server, ZookeeperServer, eventually_ok, leak_checked_live, patience};

use super::programs::{Wrapper, prometheus, rosterd};
use super::targets::{Target, Targets, only_one};

/// What both have once they agree on so many targets, of which these are addresses: those that are new. Prometheus does not name a job of
/// which it never heard.
async fn agree(ours: &Server, theirs: &Server, what: &str, targets: usize, new: &[&str]) -> BTreeSet<Target> {
    let look = async || {
        let (one, other) = (Targets::of(ours).await.active, Targets::of_2_42(theirs, theirs).await.active);
        let difference = only_one(&one, &other, ["rosterd", "Prometheus"]);
        let has = |address: &&str| one.iter().any(|target| target.discovered["__address__"] == **address);
        match difference.is_empty() && one.len() == targets && new.iter().all(has) {
            true => Ok(one),
            false => Err(format!("{} targets, with {new:?}?\n{difference}", one.len())),
        }
    };
    eventually_ok(patience(), what, look).await
}

fn nerve(host: &str, port: u16) -> String {
    format!(r#"{{"host": "{host}", "port": {port}, "name": "web", "weight": 1}}"#)
}

fn serverset(host: &str, port: u16) -> String {
    let endpoint = format!(r#"{{"host": "{host}", "port": {port}}}"#);
    format!(
        r#"{{"serviceEndpoint": {endpoint}, "additionalEndpoints": {{"http-admin": {endpoint}}}, "status": "ALIVE", "shard": 3}}"#
    )
}

#[test]
fn members_in_zookeeper_are_the_same_targets_through_changes_and_outages() {
    leak_checked_live(async || {
        let mut server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/nerve/web/one", &nerve("127.0.0.1", 9)).await;
        zk.set("/nerve/web/two", &nerve("::1", 9)).await;
        zk.set("/nerve/web/not-json", "yes").await;
        zk.set("/nerve/web/empty-object", "{}").await;
        zk.set("/more/deep/er/one", &nerve("127.0.0.2", 9)).await;
        zk.set("/aurora/job/member_1", &serverset("127.0.0.3", 9)).await;
        zk.set("/aurora/job/member_2", r#"{"serviceEndpoint": {"host": "127.0.0.4", "port": 9}}"#).await;
        let folder = Folder::new();
        let address = server.address();
        let config = folder.write(
            "prometheus.yml",
            format!(
                "scrape_configs:\n- job_name: nerve\n  nerve_sd_configs: [{{servers: ['{address}'], paths: [/nerve, /more], timeout: 30s}}]\n\
                 - job_name: serverset\n  serverset_sd_configs: [{{servers: ['{address}'], paths: [/aurora], timeout: 30s}}]\n\
                 - job_name: late\n  nerve_sd_configs: [{{servers: ['{address}'], paths: [/late], timeout: 30s}}]\n"
            ),
        );
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let theirs = prometheus("prometheus", &config, Wrapper::default()).await;
        agree(&ours, &theirs, "the beginning", 6, &["127.0.0.1:9"]).await;

        zk.set("/nerve/web/one", &nerve("127.0.0.5", 9)).await;
        zk.set("/nerve/web/three", &nerve("127.0.0.6", 9)).await;
        zk.delete("/nerve/web/two").await;
        zk.set("/nerve/web/empty-object", "").await;
        zk.hold("/aurora/job/member_3", &serverset("127.0.0.7", 9)).await;
        let new = ["127.0.0.5:9", "127.0.0.6:9", "127.0.0.7:9"];
        agree(&ours, &theirs, "changes", 6, &new).await;
        zk.close().await;
        let before = agree(&ours, &theirs, "the end of a session", 5, &new[..2]).await;

        server.kill().await;
        let lost = async || match ours.metric("rosterd_discovery_refresh_failures_total", "nerve").await {
            failures if failures >= 2.0 => Ok(()),
            failures => Err(format!("{failures} failures")),
        };
        eventually_ok(patience(), "rosterd tells the loss", lost).await;
        assert_eq!(agree(&ours, &theirs, "an outage", 5, &[]).await, before);
        server.again().await;
        let mut zk = server.session().await;
        zk.set("/nerve/web/four", &nerve("127.0.0.8", 9)).await;
        zk.delete("/more/deep/er/one").await;
        zk.set("/late/one", &nerve("127.0.0.9", 9)).await;
        agree(&ours, &theirs, "what changed after the outage", 6, &["127.0.0.8:9", "127.0.0.9:9"]).await;
        zk.delete("/late/one").await;
        zk.delete("/late").await;
        agree(&ours, &theirs, "the end of a path", 5, &["127.0.0.8:9"]).await;
        zk.close().await;
    });
}
