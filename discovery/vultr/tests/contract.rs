//! `vultr` keeps the contract of discoverers.

use rosterd_discovery_vultr::VultrConfig;
use rosterd_testkit::{FakeCloud, Paging, contract, leak_checked_live};
use serde_json::json;

#[test]
fn vultr_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["api.vultr.com"]).await;
        cloud.list("/v2/instances", Paging::Cursor("cursor"), 1, |page| {
            let next = page.next.as_deref().unwrap_or_default();
            json!({"instances": page.items, "meta": {"links": {"next": next}}})
        });
        let text = format!("{{port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<VultrConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts = served.groups().flat_map(|group| group.hosts());
            cloud.set("/v2/instances", hosts.map(|host| json!({"id": host, "main_ip": host})));
            cloud.serves("/v2/instances", !served.is_broken());
        })
        .await;
        cloud.finish().await;
    });
}
