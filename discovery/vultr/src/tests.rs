//! What Vultr is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _};
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{FakeCloud, Paging, Received, Step, assert_golden, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::config::HOST;
use super::{VultrConfig, decode};

const INSTANCES: &str = "/v2/instances";

fn config(text: &str) -> VultrConfig {
    serde_yaml::from_str(text).expect(text)
}

fn instance(id: u32) -> Value {
    json!({"id": format!("i-{id}"), "main_ip": format!("10.0.0.{id}")})
}

#[test]
fn instances_become_labels() {
    let page = decode::page(fixture("discovery/vultr/instances.json").as_bytes()).expect("instances");
    assert_eq!(page.next.as_deref(), Some("bmV4dF9fOTc="));
    let groups = decode::groups(page.items, 80);
    assert_golden("discovery/vultr/instances.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

#[test]
fn an_answer_without_the_list_is_no_empty_list() {
    let told = decode::page(br#"{"error": "no", "status": 200}"#).expect_err("no list").to_string();
    assert_eq!(told, "instances is missing");
    assert!(decode::page(br#"{"instances": []}"#).is_ok_and(|page| page.items.is_empty() && page.next.is_none()));
    assert!(decode::page(br#"{"instances": [{"os_id": "1"}]}"#).is_err());
}

#[test]
fn instances_are_found_on_all_pages_followed_and_kept_through_faults() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&[HOST]).await;
        cloud.list(INSTANCES, Paging::Cursor("cursor"), 2, |page| {
            let next = page.next.as_deref().unwrap_or_default();
            json!({"instances": page.items, "meta": {"total": page.total, "links": {"next": next, "prev": ""}}})
        });
        cloud.lets_in(|call: &Received| call.header("authorization") == Some("Bearer t"));
        cloud.set(INSTANCES, (1..=3).map(instance));
        let config = config(&format!(
            "{{port: 9100, refresh_interval: 1s, authorization: {{credentials: t}}, {}}}",
            cloud.keys()
        ));
        let mut run = Run::start(&config).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        let second = format!("{INSTANCES}?per_page=500&cursor=c%2B2%3D%3D");
        let asked: Vec<_> = cloud.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(asked[..2], [format!("{INSTANCES}?per_page=500"), second.clone()]);
        cloud.set(INSTANCES, [2, 4, 5].map(instance));
        run.finds(&["10.0.0.2:9100", "10.0.0.4:9100", "10.0.0.5:9100"]).await;
        check_faults(&cloud, &mut run, || Step::get(&second)).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    assert_eq!(config("{port: 80, refresh_interval: 60s}"), VultrConfig::default());
    assert_eq!(VultrConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    assert!(serde_yaml::from_str::<VultrConfig>("{region: fra}").is_err());
    let both = config("{bearer_token: t, basic_auth: {username: u}}").check(&CheckContext::default());
    assert_eq!(both.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["cfg_conflicting_keys"]);
    assert!(matches!(*config("{}").examine(&CheckContext::default()), [Finding::Idle(_)]));
}
