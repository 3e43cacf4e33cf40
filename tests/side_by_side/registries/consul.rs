//! Consul beside a Prometheus 3: Debian's is built without it.

use rosterd_testkit::{FakeConsul, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::Pair;
use crate::built::Built;

/// An instance of a service, with as much to tell of it as there is.
fn instance(number: usize, tags: &[&str]) -> Value {
    json!({
        "Node": {
            "ID": format!("40e4a748-2192-161a-0510-9bf59fe950{number:02}"), "Node": format!("node-{number}"), "Datacenter": "dc1",
            "Address": format!("127.0.7.{number}"), "TaggedAddresses": {"lan": format!("127.0.7.{number}"), "wan-v6": "::1"},
            "Meta": {"rack.name": format!("r{number}"), "kernel": "6.1"},
        },
        "Service": {
            "ID": format!("api-{number}"), "Service": "api", "Tags": tags, "Address": "", "Port": 9, "Meta": {"version": "1.2"},
            "TaggedAddresses": {"lan": {"Address": format!("127.0.7.{number}"), "Port": 9}}, "Namespace": "default", "Partition": "default",
        },
        "Checks": [{"Node": format!("node-{number}"), "CheckID": "serfHealth", "Status": if number.is_multiple_of(2) { "critical" } else { "passing" }}],
    })
}

fn first(consul: &FakeConsul) {
    let mut web: Vec<Value> = serde_json::from_str(&fixture("discovery/consul/service.json")).expect("a list");
    // Of two keys that make one label, others take whichever comes.
    for meta in web.iter_mut().filter_map(|it| it.pointer_mut("/Node/Meta")?.as_object_mut()) {
        meta.retain(|key, _| key != "rack.name");
    }
    consul.set("web", web);
    consul.set("api", vec![instance(1, &["v1", "edge"]), instance(2, &["v1"])]);
    consul.set("a/b c", vec![instance(3, &["edge", "v1"])]);
    consul.set("none", Vec::new());
}

fn changed(consul: &FakeConsul) {
    consul.set("web", vec![instance(4, &["v1"])]);
    consul.set("api", vec![instance(1, &["v2", "edge"]), instance(2, &["v1"]), instance(5, &["v1", "new"])]);
    consul.remove("a/b c");
    consul.set("none", vec![instance(6, &[])]);
}

#[test]
fn services_of_consul() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        for (wanted, counts) in [("", [6, 5, 3]), (", services: [web, api], tags: [v1]", [3, 3, 1])] {
            let consul = FakeConsul::start().await;
            first(&consul);
            let section = format!("{{server: '{}', refresh_interval: 1s{wanted}}}", consul.address());
            let pair = Pair::beside_3(&built, &format!("consul_sd_configs: [{section}]")).await;
            pair.agree(counts[0]).await;
            changed(&consul);
            pair.agree(counts[1]).await;
            consul.refuse(Some(500));
            pair.fail("rosterd_discovery_consul_failures_total", "prometheus_sd_consul_rpc_failures_total").await;
            pair.agree(counts[1]).await;
            consul.remove("api");
            consul.set("web", vec![instance(7, &["v1"]), instance(8, &["v2"])]);
            consul.refuse(None);
            pair.agree(counts[2]).await;
            drop(pair);
            consul.finish().await;
        }
    });
}
