//! What Scaleway is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use http::{HeaderMap, HeaderValue};
use rosterd_discovery::{CheckContext, MechanismConfig as _};
use rosterd_rest::Before;
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{FakeCloud, Folder, Paging, Received, Step, assert_golden, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::baremetal::{self, Catalog};
use super::instance::{self, PrivateAddresses};
use super::{Role, ScalewayConfig};

const INSTANCES: &str = "/instance/v1/zones/fr-par-1/servers";
const ADDRESSES: &str = "/ipam/v1/regions/fr-par/ips";
const METAL: &str = "/baremetal/v1/zones/fr-par-1/servers";
const OFFERS: &str = "/baremetal/v1/zones/fr-par-1/offers";
const SYSTEMS: &str = "/baremetal/v1/zones/fr-par-1/os";
const FIRST: Before = Before { pages: 0, items: 0 };
const KEYS: &str = "project_id: 11111111-1111-1111-1111-111111111111, access_key: SCWXXXXXXXXXXXXXXXXX";

fn config(text: &str) -> ScalewayConfig {
    serde_yaml::from_str(text).expect(text)
}

async fn cloud() -> FakeCloud {
    let cloud = FakeCloud::start(&[]).await;
    // How many instances there are stands in a header alone.
    cloud.list(INSTANCES, Paging::Number, 2, |page| json!({"servers": page.items}));
    cloud.list(ADDRESSES, Paging::Number, 1, |page| json!({"ips": page.items, "total_count": page.total}));
    cloud.list(METAL, Paging::Number, 2, |page| json!({"servers": page.items, "total_count": page.total}));
    cloud.list(OFFERS, Paging::Number, 1, |page| json!({"offers": page.items, "total_count": page.total}));
    cloud.list(SYSTEMS, Paging::Number, 1, |page| json!({"os": page.items, "total_count": page.total}));
    cloud.lets_in(|call: &Received| call.header("x-auth-token") == Some("11111111-1111-1111-1111-111111111111"));
    cloud
}

fn of(cloud: &FakeCloud, more: &str) -> ScalewayConfig {
    let url = cloud.url("");
    config(&format!("{{{KEYS}, api_url: '{url}', port: 9100, refresh_interval: 1s, {more}}}"))
}

const SECRET: &str = "secret_key: 11111111-1111-1111-1111-111111111111";

fn instance(id: u32) -> Value {
    json!({"id": format!("i-{id}"), "private_ip": format!("10.0.0.{id}"), "zone": "fr-par-1"})
}

#[test]
fn servers_become_labels() {
    let found = |file: &str| fixture(&format!("discovery/scaleway/{file}.json")).into_bytes();
    let (none, catalog) = (HeaderMap::new(), found("catalog"));
    let servers = instance::page(&none, &found("instances"), FIRST).expect("servers").items;
    let asked: Vec<_> = servers.iter().flat_map(instance::Server::cards_alone).collect();
    assert_eq!(asked, ["nic-without", "nic-1", "nic-2"]);
    let mut private = PrivateAddresses::default();
    private.extend(instance::addresses(&none, &found("ips"), FIRST).expect("addresses").items);
    let groups = instance::groups(servers, &private, 80);
    assert_golden("discovery/scaleway/instances.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
    let offers = baremetal::offers(&none, &catalog, FIRST).expect("offers").items;
    let systems = baremetal::systems(&none, &catalog, FIRST).expect("systems").items;
    let servers = baremetal::page(&none, &found("servers"), FIRST).expect("servers").items;
    let groups = baremetal::groups(servers, &Catalog::of(offers, systems), 80);
    assert_golden("discovery/scaleway/servers.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

#[test]
fn pages_are_counted_and_a_page_without_its_list_is_none() {
    let total = |count: &'static str| {
        HeaderMap::from_iter([("x-total-count".parse().expect("a name"), HeaderValue::from_static(count))])
    };
    let next = |headers: HeaderMap, items: &str, before| {
        let body = format!(r#"{{"servers": {items}}}"#);
        instance::page(&headers, body.as_bytes(), before).map(|page| page.next).map_err(|fault| fault.to_string())
    };
    let later = Before { pages: 3, items: 6 };
    assert_eq!(next(total("5"), "[{}, {}]", FIRST), Ok(Some("2".to_owned())));
    assert_eq!(next(total("9"), "[{}, {}]", later), Ok(Some("5".to_owned())));
    assert_eq!(next(total("8"), "[{}, {}]", later), Ok(None));
    assert_eq!(next(total("9"), "[]", later), Ok(None));
    assert_eq!(next(HeaderMap::new(), "[{}, {}]", FIRST), Ok(None));
    assert_eq!(next(total("0"), "null", FIRST), Err("servers is missing".to_owned()));
}

#[test]
fn instances_are_found_on_all_pages_followed_and_kept_through_faults() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let folder = Folder::new();
        folder.write("key", "11111111-1111-1111-1111-111111111111\n");
        cloud.set(INSTANCES, (1..=3).map(instance));
        let filters = "role: instance, secret_key_file: key, name_filter: web, tags_filter: [a, b c]";
        let mut config = of(&cloud, filters);
        config.resolve_paths(&folder.path(""));
        let mut run = Run::start(&config).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        let query = "per_page=100&name=web&order=creation_date_desc&tags=a%2Cb+c";
        let page = |number| format!("{INSTANCES}?{query}&page={number}");
        let asked: Vec<_> = cloud.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(asked[..2], [page(1), page(2)]);
        assert_eq!(cloud.count(ADDRESSES), 0, "all have addresses");
        let card = |id: &str| json!({"id": format!("i-{id}"), "private_nics": [{"id": id}], "zone": "fr-par-1"});
        cloud.set(
            ADDRESSES,
            [("n1", "172.16.0.1/22"), ("n2", "172.16.0.2/22")]
                .map(|(id, address)| json!({"address": address, "is_ipv6": false, "resource": {"id": id}})),
        );
        cloud.set(INSTANCES, [instance(4), card("n1"), card("n2"), card("n3")]);
        run.finds(&["10.0.0.4:9100", "172.16.0.1:9100", "172.16.0.2:9100"]).await;
        let asked = cloud.calls().into_iter().find(|call| call.path.starts_with(ADDRESSES)).expect("a call").path;
        let query = "page_size=100&order_by=created_at_desc&resource_types=instance_private_nic";
        assert_eq!(asked, format!("{ADDRESSES}?{query}&resource_ids=n1&resource_ids=n2&resource_ids=n3&page=1"));
        check_faults(&cloud, &mut run, || Step::get(&page(2))).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn elastic_metal_servers_are_followed_and_offers_read_when_one_is_unknown() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let server = |id: u32, offer: &str| json!({"id": id.to_string(), "offer_id": offer, "ips": [{"address": format!("10.0.0.{id}"), "version": "IPv4"}]});
        cloud.set(OFFERS, [json!({"id": "o1", "name": "one"}), json!({"id": "o2", "name": "two"})]);
        cloud.set(METAL, [server(1, "o1"), server(2, "o2"), server(3, "gone")]);
        let config = of(&cloud, &format!("role: baremetal, {SECRET}, tags_filter: [a, b]"));
        let mut run = Run::start(&config).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        // More often if the machine is too slow for an interval.
        let catalog = || (cloud.count(OFFERS), cloud.count(SYSTEMS));
        let once = catalog();
        assert!(once >= (2, 1), "both pages");
        let asked = cloud.calls()[0].path.clone();
        assert_eq!(asked, format!("{METAL}?page_size=100&order_by=created_at_asc&tags=a&tags=b&page=1"));
        cloud.set(METAL, [server(2, "o2"), server(3, "gone")]);
        run.finds(&["10.0.0.2:9100", "10.0.0.3:9100"]).await;
        assert_eq!(catalog(), once, "what is known is not asked for again");
        cloud.set(OFFERS, [json!({"id": "o3", "name": "three"})]);
        cloud.set(METAL, [server(4, "o3")]);
        run.finds(&["10.0.0.4:9100"]).await;
        let target = &run.picture().next().expect("the server").targets[0];
        assert_eq!(target.get("__meta_scaleway_baremetal_type"), Some("three"));
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    let text = "{project_id: '', access_key: '', zone: fr-par-1, api_url: 'https://api.scaleway.com', port: 80, refresh_interval: 60s}";
    assert_eq!(config(text), ScalewayConfig::default());
    assert_eq!(ScalewayConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    assert_eq!(config("{role: baremetal}").role, Some(Role::Baremetal));
    let problems = |more: &str| {
        let problems = config(&format!("{{{more}}}")).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect::<Vec<_>>()
    };
    assert_eq!(problems(&format!("role: instance, {KEYS}, {SECRET}")), [""; 0]);
    for (more, want) in [
        (format!("{KEYS}, {SECRET}"), "cfg_missing_key role"),
        (format!("role: instance, {KEYS}"), "cfg_missing_key secret_key"),
        (format!("role: instance, {KEYS}, {SECRET}, secret_key_file: f"), "cfg_conflicting_keys secret_key_file"),
        (format!("role: instance, {KEYS}, secret_key: s"), "cfg_invalid_value secret_key"),
        (format!("role: instance, {KEYS}, {SECRET}, zone: paris"), "cfg_invalid_value zone"),
        (format!("role: instance, {KEYS}, {SECRET}, api_url: 'http://a/'"), "cfg_invalid_value api_url"),
        (format!("role: instance, {KEYS}, {SECRET}, api_url: 'ftp://a'"), "cfg_invalid_value api_url"),
    ] {
        assert_eq!(problems(&more), [want], "{more}");
    }
    let missing = [
        "cfg_missing_key role",
        "cfg_missing_key project_id",
        "cfg_missing_key secret_key",
        "cfg_missing_key access_key",
    ];
    assert_eq!(problems(""), missing);
    assert_eq!(problems(&format!("role: instance, project_id: p, access_key: a, {SECRET}")).len(), 2);
    assert!(serde_yaml::from_str::<ScalewayConfig>("{role: invalid}").is_err());
}
