//! Consul beside a Prometheus 3 and Debian's vmagent: Debian's Prometheus is built without it.

use rosterd_testkit::{FakeConsul, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::{ASKED_BY_VMAGENT, Pair};
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

const FAILURES: &str = "rosterd_discovery_consul_failures_total";

#[test]
fn services_of_consul() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let (added, more) = (["127.0.7.4:9", ",v1,new,"], ["127.0.7.4:9", ",v1,new,", ",v2,edge,", "127.0.7.6:9"]);
        for (wanted, counts, new) in
            [("", [6, 5, 3], &more[..]), (", services: [web, api], tags: [v1]", [3, 3, 1], &added)]
        {
            let consul = FakeConsul::start().await;
            first(&consul);
            let section = format!("{{server: '{}', refresh_interval: 1s{wanted}}}", consul.address());
            let mut pair = Pair::beside_3(&built, &format!("consul_sd_configs: [{section}]")).await;
            pair.agree(counts[0], &["127.0.7.1:9"]).await;
            changed(&consul);
            pair.agree(counts[1], new).await;
            consul.refuse(Some(500));
            pair.fail([FAILURES, "prometheus_sd_consul_rpc_failures_total"], 1).await;
            consul.remove("api");
            consul.set("web", vec![instance(7, &["v1"]), instance(8, &["v2"])]);
            consul.refuse(None);
            pair.agree(counts[2], &["127.0.7.7:9"]).await;
            drop(pair);
            consul.finish().await;
        }
    });
}

#[test]
fn vmagent_finds_the_same_in_consul_but_for_partitions() {
    leak_checked_live(|| async {
        let consul = FakeConsul::start().await;
        first(&consul);
        let section = |more: &str| format!("{{server: '{}', refresh_interval: 1s{more}}}", consul.address());
        let some = section(", services: [web, api], tags: [v1], tag_separator: ;");
        let discovery = format!("consul_sd_configs: [{}, {some}]", section(""));
        let mut pair = Pair::beside_vmagent(&[("__meta_consul_partition", "it does not know them")], &discovery).await;
        pair.agree(9, &["127.0.7.1:9", ";v1;edge;"]).await;
        changed(&consul);
        pair.agree(8, &["127.0.7.4:9", ",v1,new,", ";v1;new;", ",v2,edge,", "127.0.7.6:9"]).await;
        consul.refuse(Some(500));
        pair.fail([FAILURES, ASKED_BY_VMAGENT], 2).await;
        consul.remove("api");
        consul.set("web", vec![instance(7, &["v1"]), instance(8, &["v2"])]);
        consul.refuse(None);
        pair.agree(4, &["127.0.7.7:9", ";v1;"]).await;
        drop(pair);
        consul.finish().await;
    });
}
