//! `outscale` keeps the contract of discoverers.

use rosterd_discovery_outscale::OutscaleConfig;
use rosterd_testkit::{FakeCloud, Paging, contract, leak_checked_live};
use serde_json::json;

const MACHINES: &str = "/api/v1/ReadVms";

#[test]
fn outscale_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["api.eu-west-2.outscale.com"]).await;
        cloud.list(
            MACHINES,
            Paging::Token("NextPageToken"),
            1,
            |page| json!({"Vms": page.items, "NextPageToken": page.next}),
        );
        let text = format!("{{access_key: a, secret_key: s, port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<OutscaleConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts = served.groups().flat_map(|group| group.hosts());
            cloud.set(MACHINES, hosts.map(|host| json!({"VmId": host, "PrivateIp": host})));
            cloud.serves(MACHINES, !served.is_broken());
        })
        .await;
        cloud.finish().await;
    });
}
