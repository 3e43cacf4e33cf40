//! What IONOS is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _};
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{FakeCloud, Paging, Received, Step, assert_golden, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::config::HOST;
use super::{IonosConfig, decode};

const SERVERS: &str = "/cloudapi/v6/datacenters/8feda53f%2Fx/servers";

fn config(text: &str) -> IonosConfig {
    serde_yaml::from_str(text).expect(text)
}

fn server(id: u32) -> Value {
    let cards = json!({"items": [{"properties": {"name": "a", "ips": [format!("10.0.0.{id}")]}}]});
    json!({"id": format!("s-{id}"), "entities": {"nics": cards}})
}

#[test]
fn servers_become_labels() {
    let page = decode::page(fixture("discovery/ionos/servers.json").as_bytes(), 0, 1000).expect("servers");
    assert_eq!(page.next, None);
    let groups = decode::groups(page.items, 80);
    assert_golden("discovery/ionos/servers.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

#[test]
fn a_full_page_has_another_one() {
    let next = |body: &str| decode::page(body.as_bytes(), 6, 2).map(|page| page.next).map_err(|it| it.to_string());
    assert_eq!(next(r#"{"items": [{}, {}], "limit": 2}"#), Ok(Some("8".to_owned())));
    assert_eq!(next(r#"{"items": [{}, {}], "limit": 3}"#), Ok(None));
    assert_eq!(next(r#"{"items": [{}, {}]}"#), Ok(Some("8".to_owned())));
    assert_eq!(next(r#"{"items": []}"#), Ok(None));
    assert_eq!(next("{}"), Err("items is missing".to_owned()));
}

#[test]
fn servers_are_found_on_all_pages_followed_and_kept_through_faults() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&[HOST]).await;
        cloud.list(SERVERS, Paging::Offset, 2, |page| json!({"id": "d/servers", "items": page.items, "limit": 2}));
        // Of me:secret.
        cloud.lets_in(|call: &Received| call.header("authorization") == Some("Basic bWU6c2VjcmV0"));
        cloud.set(SERVERS, (1..=3).map(server));
        let config = config(&format!(
            "{{datacenter_id: 8feda53f/x, port: 9100, refresh_interval: 1s, basic_auth: {{username: me, password: secret}}, {}}}",
            cloud.keys()
        ));
        let mut run = Run::start(&config).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        let page = |offset| format!("{SERVERS}?depth=3&limit=1000&offset={offset}");
        let asked: Vec<_> = cloud.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(asked[..2], [page(0), page(2)]);
        cloud.set(SERVERS, [2, 4, 5, 6].map(server));
        run.finds(&["10.0.0.2:9100", "10.0.0.4:9100", "10.0.0.5:9100", "10.0.0.6:9100"]).await;
        check_faults(&cloud, &mut run, || Step::get(&page(2))).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    let problems = |text: &str| {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect::<Vec<_>>()
    };
    assert_eq!(config("{datacenter_id: '', port: 80, refresh_interval: 60s}"), IonosConfig::default());
    assert_eq!(IonosConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    assert_eq!(problems("{}"), ["cfg_missing_key datacenter_id"]);
    assert_eq!(problems("{datacenter_id: d}"), [""; 0]);
    assert!(serde_yaml::from_str::<IonosConfig>("{server: 'http://s'}").is_err());
    assert!(matches!(*config("{datacenter_id: d}").examine(&CheckContext::default()), [Finding::Idle(_)]));
}
