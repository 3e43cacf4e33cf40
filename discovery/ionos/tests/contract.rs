//! `ionos` keeps the contract of discoverers.

use rosterd_discovery_ionos::IonosConfig;
use rosterd_testkit::{FakeCloud, Paging, contract, leak_checked_live};
use serde_json::json;

const SERVERS: &str = "/cloudapi/v6/datacenters/d/servers";

#[test]
fn ionos_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["api.ionos.com"]).await;
        cloud.list(SERVERS, Paging::Offset, 1, |page| json!({"items": page.items, "limit": 1}));
        let text = format!("{{datacenter_id: d, port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<IonosConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts = served.groups().flat_map(|group| group.hosts());
            let cards = |host| json!({"nics": {"items": [{"properties": {"ips": [host]}}]}});
            cloud.set(SERVERS, hosts.map(|host| json!({"id": host, "entities": cards(host)})));
            cloud.serves(SERVERS, !served.is_broken());
        })
        .await;
        cloud.finish().await;
    });
}
