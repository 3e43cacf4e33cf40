//! What nodes hold, as targets.

use std::fmt::Write as _;

use rosterd_model::Names;
use rosterd_testkit::{assert_golden, fixture};
use serde::Deserialize;

use crate::member::{Kind, target};

#[derive(Deserialize)]
struct Held {
    node: String,
    data: String,
}

#[test]
fn data_become_targets_as_prometheus_reads_them() {
    let nodes: Vec<Held> = serde_yaml::from_str(&fixture("discovery/zookeeper/nodes.yml")).unwrap();
    for (kind, name) in [(Kind::Nerve, "nerve"), (Kind::Serverset, "serverset")] {
        let (mut text, mut names) = (String::new(), Names::new());
        for Held { node, data } in &nodes {
            match target(kind, node, data.as_bytes(), &mut names) {
                Some(labels) => writeln!(text, "{node} {labels}").unwrap(),
                None => writeln!(text, "{node} is no member").unwrap(),
            }
        }
        assert_golden(&format!("discovery/zookeeper/{name}.golden"), &text);
    }
}

#[test]
fn bytes_that_are_no_text_cost_themselves() {
    let data = b"{\"host\": \"a\xff\", \"port\": 1}";
    let labels = target(Kind::Nerve, "/a", data, &mut Names::new()).unwrap();
    assert_eq!(labels.get("__meta_nerve_endpoint_host"), Some("a\u{fffd}"));
}
