//! A real PuppetDB, which rosterd and a real Prometheus ask: the same targets through changes of catalogs, an outage, and recovery.

use rosterd_testkit::{PuppetdbServer, leak_checked_live};
use serde_json::{Value, json};

use super::registries::{FAILURES, Pair};

/// The class of nodes that have an exporter.
fn class() -> Value {
    json!({"type": "Class", "title": "Prometheus::Node_exporter", "tags": ["class", "prometheus::node_exporter"]})
}

/// What a node exports, with a parameter of each kind.
fn job(name: &str, limit: u64) -> Value {
    json!({
        "type": "Prometheus::Scrape_job", "title": name, "exported": true, "tags": ["b", "a", "prometheus::scrape_job"],
        "file": "/etc/puppetlabs/code/scrape_job.pp", "line": 7,
        "parameters": {
            "targets": ["127.0.7.1:9113"], "labels": {"team-a": "x", "rack": {"no.": 7}}, "limit": limit, "ratio": 0.000_01,
            "mixed": ["x", 1, true, [2], 2.5], "alias": "", "require": [], "spare": false, "\u{fc}": "y",
        },
    })
}

#[test]
fn resources_in_a_real_puppetdb_are_the_same_targets() {
    leak_checked_live(async || {
        let server = PuppetdbServer::start().await;
        server.catalog("web1.example.com", &[class(), job("nginx", 999_999), job("php", 1_234_567)]).await;
        server.catalog("db1.example.com", &[class()]).await;
        server.catalog("mail1.example.com", &[json!({"type": "Class", "title": "Postfix"})]).await;
        let url = server.url();
        let mut pair = Pair::start(&format!(
            "puppetdb_sd_configs:
  - {{url: '{url}', query: 'resources {{ type = \"Class\" and title = \"Prometheus::Node_exporter\" }}', port: 9100, refresh_interval: 2s}}
  - {{url: '{url}', query: 'resources {{ type = \"Prometheus::Scrape_job\" and exported = true }}', include_parameters: true, refresh_interval: 2s}}
  - {{url: '{url}', query: '[\"from\", \"resources\", [\"=\", \"title\", \"Postfix\"]]', port: 25, refresh_interval: 2s}}
  relabel_configs:
  - {{regex: __meta_puppetdb_(.*), replacement: pdb_$1, action: labelmap}}"
        ))
        .await;
        pair.agree(5, &["999999"]).await;

        server.catalog("web1.example.com", &[class(), job("nginx", 1_000_000)]).await;
        server.catalog("web2.example.com", &[class(), job("nginx", 5)]).await;
        server.deactivate("db1.example.com").await;
        pair.agree(5, &["1e+06", "web2.example.com"]).await;

        server.freeze(true);
        pair.fail(FAILURES, 3).await;
        server.freeze(false);
        server.catalog("web2.example.com", &[job("nginx", 6)]).await;
        server.catalog("db1.example.com", &[class()]).await;
        server.deactivate("mail1.example.com").await;
        pair.agree(4, &["db1.example.com", "6"]).await;
        server.stop().await;
    });
}
