//! Consul beside a Prometheus 3 and Debian's vmagent: Debian's Prometheus is built without it.

use rosterd_testkit::{FakeConsul, Folder, eventually, eventually_ok, fixture, leak_checked_live, patience};
use serde_json::{Value, json};

use super::Pair;
use crate::built::Built;
use crate::programs::{Wrapper, rosterd, vmagent};
use crate::targets::Found;

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

/// What vmagent does not tell, and why.
const UNKNOWN: [(&str, &str); 1] = [("__meta_consul_partition", "it does not know partitions")];

#[test]
fn vmagent_finds_the_same_in_consul_but_for_known_differences() {
    leak_checked_live(|| async {
        let consul = FakeConsul::start().await;
        first(&consul);
        let folder = Folder::new();
        let job = |name: &str, more: &str| {
            format!(
                "- job_name: {name}\n  consul_sd_configs: [{{server: '{}', refresh_interval: 1s{more}}}]\n",
                consul.address()
            )
        };
        let jobs = [job("all", ""), job("some", ", services: [web, api], tags: [v1], tag_separator: ;")].concat();
        let config =
            folder.write("prometheus.yml", format!("global: {{scrape_interval: 10m}}\nscrape_configs:\n{jobs}"));
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let theirs = vmagent("vmagent", &config).await;
        let agree = async |what: &str, count: usize| {
            let look = async || {
                let known = |name: &str| UNKNOWN.iter().all(|(unknown, _)| !name.starts_with(unknown));
                let (one, other) = (Found::by(&ours, known).await, Found::by(&theirs, known).await);
                one.is(&other, count, ["rosterd", "vmagent"])
            };
            eventually_ok(patience(), what, look).await;
        };
        agree("they agree at first", 9).await;
        changed(&consul);
        agree("they agree after changes", 8).await;
        consul.refuse(Some(500));
        let before = consul.requests();
        eventually(patience(), "both were refused", || consul.requests() > before + 10).await;
        agree("what fails takes nothing away", 8).await;
        consul.remove("api");
        consul.set("web", vec![instance(7, &["v1"]), instance(8, &["v2"])]);
        consul.refuse(None);
        agree("they agree after the failure", 4).await;
        drop((ours, theirs));
        consul.finish().await;
    });
}
