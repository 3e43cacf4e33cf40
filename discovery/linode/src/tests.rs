//! What Linode is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _};
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{
    FakeCloud, Paging, Received, Step, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::discoverer::HOST;
use super::{LinodeConfig, decode};

const INSTANCES: &str = "/v4/linode/instances";
const ADDRESSES: &str = "/v4/networking/ips";
const RANGES: &str = "/v4/networking/ipv6/ranges";
const EVENTS: &str = "/v4/account/events";

fn config(text: &str) -> LinodeConfig {
    serde_yaml::from_str(text).expect(text)
}

async fn cloud() -> FakeCloud {
    let cloud = FakeCloud::start(&[HOST]).await;
    for path in [INSTANCES, ADDRESSES, RANGES, EVENTS] {
        cloud.list(
            path,
            Paging::Number,
            2,
            |page| json!({"data": page.items, "page": page.number, "pages": page.pages, "results": page.total}),
        );
    }
    cloud.lets_in(|call: &Received| call.header("authorization") == Some("Bearer t"));
    cloud
}

fn set(cloud: &FakeCloud, instances: &[u32]) {
    let address = |id: &u32| format!("203.0.113.{id}");
    cloud.set(ADDRESSES, instances.iter().map(|id| json!({"address": address(id), "public": true})));
    cloud.set(INSTANCES, instances.iter().map(|id| json!({"id": id, "ipv4": [address(id)], "status": "running"})));
}

fn of(cloud: &FakeCloud, interval: &str, more: &str) -> LinodeConfig {
    let keys = cloud.keys();
    config(&format!("{{port: 9100, refresh_interval: {interval}, authorization: {{credentials: t}}, {keys}{more}}}"))
}

fn event(status: &str) -> Value {
    json!({"id": 1, "action": "linode_boot", "status": status, "created": "2026-11-29T12:00:00"})
}

#[test]
fn instances_become_labels() {
    let found = |file: &str| fixture(&format!("discovery/linode/{file}.json")).into_bytes();
    let groups = |text: &str| {
        let instances = decode::instances(&found("instances")).expect("instances").items;
        let addresses = decode::addresses(&found("ips")).expect("addresses").items;
        let ranges = decode::ranges(&found("ranges")).expect("ranges").items;
        decode::groups(instances, addresses, ranges, &config(text))
    };
    let golden = serde_yaml::to_string(&groups("{}")).expect("writes");
    assert_golden("discovery/linode/instances.golden.yml", &golden);
    for (separator, want) in [("|", "|monitoring|web|"), ("", "monitoringweb")] {
        let groups = groups(&format!("{{tag_separator: '{separator}'}}"));
        assert_eq!(groups[0].targets[0].get("__meta_linode_tags"), Some(want));
    }
}

#[test]
fn an_answer_without_the_list_is_no_empty_list() {
    let told = decode::instances(br#"{"errors": []}"#).expect_err("no list").to_string();
    assert_eq!(told, "data is missing");
    assert!(decode::ranges(br#"{"data": []}"#).is_ok_and(|page| page.items.is_empty() && page.next.is_none()));
}

#[test]
fn a_quiet_feed_spares_the_reading_of_all_and_an_event_does_not() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        set(&cloud, &[1, 2, 3]);
        let mut run = Run::start(&of(&cloud, "1s", ", region: us-east")).await.expect("it can be built");
        run.finds(&["203.0.113.1:9100", "203.0.113.2:9100", "203.0.113.3:9100"]).await;
        let calls = cloud.calls();
        let of = |path: &str| calls.iter().find(|call| call.path.starts_with(path)).expect("a call").clone();
        assert_eq!(of(EVENTS).header("x-filter"), None, "the first look is for the time");
        assert_eq!(of(INSTANCES).path, format!("{INSTANCES}?page=1&page_size=500"));
        for path in [INSTANCES, ADDRESSES, RANGES] {
            assert_eq!(of(path).header("x-filter"), Some(r#"{"region":"us-east"}"#), "{path}");
        }
        // Of ten looks one reads all in any case.
        let (looks, readings) = (cloud.count(EVENTS), cloud.count(RANGES));
        let drain = |run: &mut Run| while run.try_next().is_some() {};
        eventually(patience(), "it looks a while", || {
            drain(&mut run);
            cloud.count(EVENTS) >= looks + 15
        })
        .await;
        let (looks, readings) = (cloud.count(EVENTS) - looks, cloud.count(RANGES) - readings);
        assert!((1..=looks / 4).contains(&readings), "{readings} readings at {looks} looks");
        let last = cloud.calls().into_iter().rfind(|call| call.path.starts_with(EVENTS)).expect("a look");
        let filter: Value = serde_json::from_str(last.header("x-filter").expect("a filter")).expect("JSON");
        let since = filter["created"]["+gte"].as_str().expect("a time");
        assert!(since.len() == 19 && since.contains('T'), "{since}");
        set(&cloud, &[4]);
        cloud.set(EVENTS, [event("finished")]);
        run.finds(&["203.0.113.4:9100"]).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn what_is_under_way_is_followed_until_it_is_over() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let instance = |status: &str| json!({"id": 1, "ipv4": ["203.0.113.1"], "status": status});
        cloud.set(INSTANCES, [instance("booting")]);
        let mut run = Run::start(&of(&cloud, "1s", "")).await.expect("it can be built");
        let is = |run: &mut Run, status: &str| {
            while run.try_next().is_some() {}
            run.picture().any(|group| group.targets[0].get("__meta_linode_status") == Some(status))
        };
        eventually(patience(), "it boots", || is(&mut run, "booting")).await;
        // There is no event for its end.
        let looks = cloud.count(EVENTS);
        cloud.set(INSTANCES, [instance("running")]);
        eventually(patience(), "it runs", || is(&mut run, "running")).await;
        assert!(cloud.count(EVENTS) < looks + 5, "sooner than after ten looks");
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn who_may_not_see_events_reads_all_each_time() {
    leak_checked_live(async || {
        for status in [401, 403] {
            let cloud = cloud().await;
            cloud.instead(Step::get(EVENTS).status(status).json(r#"{"errors": [{"reason": "no"}]}"#));
            set(&cloud, &[1]);
            let mut run = Run::start(&of(&cloud, "2s", "")).await.expect("it can be built");
            run.finds(&["203.0.113.1:9100"]).await;
            let looks = cloud.count(EVENTS);
            set(&cloud, &[1, 2]);
            run.finds(&["203.0.113.1:9100", "203.0.113.2:9100"]).await;
            assert_eq!(cloud.count(EVENTS), looks, "{status}");
            run.stop().await.expect("it ends").expect("in order");
            cloud.finish().await;
        }
    });
}

#[test]
fn a_token_that_is_just_being_replaced_does_not_close_the_feed() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        for path in [EVENTS, INSTANCES, ADDRESSES, RANGES] {
            cloud.instead(Step::get(path).status(401).json(r#"{"errors": [{"reason": "Invalid Token"}]}"#));
        }
        set(&cloud, &[1]);
        let mut run = Run::start(&of(&cloud, "2s", "")).await.expect("it can be built");
        eventually(patience(), "it is refused", || run.failures() > 0).await;
        cloud.heal();
        run.finds(&["203.0.113.1:9100"]).await;
        let looks = cloud.count(EVENTS);
        eventually(patience(), "it looks for events", || {
            while run.try_next().is_some() {}
            cloud.count(EVENTS) > looks
        })
        .await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn faults_are_told_and_take_nothing_away() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        set(&cloud, &[1, 2, 3]);
        cloud.set(EVENTS, [event("finished")]);
        let mut run = Run::start(&of(&cloud, "1s", "")).await.expect("it can be built");
        run.finds(&["203.0.113.1:9100", "203.0.113.2:9100", "203.0.113.3:9100"]).await;
        check_faults(&cloud, &mut run, || Step::get(&format!("{INSTANCES}?page_size=500&page=2"))).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    let text = "{region: '', tag_separator: ',', port: 80, refresh_interval: 60s}";
    assert_eq!(config(text), LinodeConfig::default());
    assert_eq!(LinodeConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    assert!(config("{tag_separator: ''}").check(&CheckContext::default()).is_empty());
    assert!(serde_yaml::from_str::<LinodeConfig>("{server: 'http://s'}").is_err());
    assert!(matches!(*config("{}").examine(&CheckContext::default()), [Finding::Idle(_)]));
}
