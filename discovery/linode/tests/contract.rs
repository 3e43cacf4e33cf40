//! `linode` keeps the contract of discoverers.

use rosterd_discovery_linode::LinodeConfig;
use rosterd_testkit::{FakeCloud, Paging, Step, contract, leak_checked_live};
use serde_json::json;

const INSTANCES: &str = "/v4/linode/instances";
const ADDRESSES: &str = "/v4/networking/ips";
const RANGES: &str = "/v4/networking/ipv6/ranges";
const EVENTS: &str = "/v4/account/events";

#[test]
fn linode_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["api.linode.com"]).await;
        for path in [INSTANCES, ADDRESSES, RANGES, EVENTS] {
            cloud.list(
                path,
                Paging::Number,
                1,
                |page| json!({"data": page.items, "page": page.number, "pages": page.pages, "results": page.total}),
            );
        }
        let text = format!("{{port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<LinodeConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts: Vec<_> = served.groups().flat_map(|group| group.hosts()).collect();
            let instances = hosts.iter().enumerate().map(|(id, host)| json!({"id": id, "ipv4": [host]}));
            cloud.set(INSTANCES, instances);
            cloud.set(ADDRESSES, hosts.iter().map(|host| json!({"address": host, "public": true})));
            // Something happens all the time.
            cloud.set(EVENTS, [json!({"status": "finished"})]);
            cloud.heal();
            if served.is_broken() {
                for path in [INSTANCES, ADDRESSES, RANGES, EVENTS] {
                    cloud.instead(Step::get(path).status(500));
                }
            }
        })
        .await;
        cloud.finish().await;
    });
}
