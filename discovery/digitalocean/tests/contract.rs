//! `digitalocean` keeps the contract of discoverers.

use rosterd_discovery_digitalocean::DigitaloceanConfig;
use rosterd_testkit::{FakeCloud, Paging, contract, leak_checked_live};
use serde_json::json;

#[test]
fn digitalocean_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["api.digitalocean.com"]).await;
        cloud.list("/v2/droplets", Paging::Number, 1, |page| {
            let next = page.next.as_ref().map(|next| format!("https://api.digitalocean.com/v2/droplets?page={next}"));
            json!({"droplets": page.items, "links": {"pages": {"next": next}}})
        });
        let text = format!("{{port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<DigitaloceanConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts = served.groups().flat_map(|group| group.hosts()).enumerate();
            let addresses = |host| json!({"v4": [{"type": "public", "ip_address": host}]});
            cloud.set("/v2/droplets", hosts.map(|(id, host)| json!({"id": id, "networks": addresses(host)})));
            cloud.serves("/v2/droplets", !served.is_broken());
        })
        .await;
        cloud.finish().await;
    });
}
