//! What DigitalOcean is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _};
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{
    FakeCloud, Paging, Received, Step, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::{DigitaloceanConfig, databases, discoverer::HOST, droplets};

const DROPLETS: &str = "/v2/droplets";
const DATABASES: &str = "/v2/databases";

fn config(text: &str) -> DigitaloceanConfig {
    serde_yaml::from_str(text).expect(text)
}

/// One that has no pages of databases, as its API says, or some all the same.
async fn cloud(databases: Paging) -> FakeCloud {
    let cloud = FakeCloud::start(&[HOST]).await;
    cloud.list(DROPLETS, Paging::Number, 2, |page| {
        let next = page.next.as_ref().map(|next| format!("https://api.digitalocean.com/v2/droplets?page={next}"));
        json!({"droplets": page.items, "links": {"pages": {"next": next}}})
    });
    cloud.list(DATABASES, databases, 2, |page| json!({"databases": page.items}));
    cloud.lets_in(|call: &Received| call.header("authorization") == Some("Bearer t"));
    cloud
}

fn of(cloud: &FakeCloud, more: &str) -> DigitaloceanConfig {
    config(&format!("{{refresh_interval: 1s, authorization: {{credentials: t}}, {}{more}}}", cloud.keys()))
}

fn droplet(id: u32) -> Value {
    json!({"id": id, "networks": {"v4": [{"type": "public", "ip_address": format!("10.0.0.{id}")}]}})
}

fn cluster(id: u32) -> Value {
    json!({"id": format!("db-{id}"), "private_connection": {"host": format!("db-{id}.internal")}})
}

#[test]
fn droplets_and_databases_become_labels() {
    let found = |file: &str| fixture(&format!("discovery/digitalocean/{file}.json")).into_bytes();
    let droplets = droplets::groups(droplets::page(&found("droplets")).expect("droplets").items, 80);
    let databases = databases::groups(databases::page(&found("databases"), 0).expect("databases").items, 9273);
    for (name, groups) in [("droplets", droplets), ("databases", databases)] {
        let golden = format!("discovery/digitalocean/{name}.golden.yml");
        assert_golden(&golden, &serde_yaml::to_string(&groups).expect("writes"));
    }
}

#[test]
fn an_answer_without_the_list_is_no_empty_list() {
    let told = |fault: rosterd_rest::Fault| fault.to_string();
    assert_eq!(droplets::page(b"{}").map_err(told).expect_err("no list"), "droplets is missing");
    assert_eq!(databases::page(b"{\"droplets\": []}", 0).map_err(told).expect_err("no list"), "databases is missing");
    let wrong = droplets::page(br#"{"droplets": [{"id": "a"}]}"#).map_err(told).expect_err("no number");
    assert!(wrong.starts_with("line 1, column 24: "), "{wrong}");
    assert!(droplets::page(br#"{"droplets": []}"#).is_ok_and(|page| page.items.is_empty() && page.next.is_none()));
}

#[test]
fn droplets_are_found_on_all_pages_and_followed() {
    leak_checked_live(async || {
        let cloud = cloud(Paging::Whole).await;
        cloud.set(DROPLETS, (1..=3).map(droplet));
        let mut run = Run::start(&of(&cloud, ", port: 9100")).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        let asked: Vec<_> = cloud.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(asked[..2], ["/v2/droplets?per_page=200", "/v2/droplets?page=2"]);
        cloud.set(DROPLETS, [2, 4, 5, 6, 7].map(droplet));
        let want = [2, 4, 5, 6, 7].map(|id| format!("10.0.0.{id}:9100"));
        run.finds(&want.each_ref().map(String::as_str)).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn databases_are_found_whether_they_come_in_pages_or_not() {
    leak_checked_live(async || {
        for paging in [Paging::Whole, Paging::Number] {
            let cloud = cloud(paging).await;
            cloud.set(DATABASES, (1..=3).map(cluster));
            let mut run = Run::start(&of(&cloud, ", role: databases")).await.expect("it can be built");
            run.finds(&["db-1.internal:80", "db-2.internal:80", "db-3.internal:80"]).await;
            run.stop().await.expect("it ends").expect("in order");
            cloud.finish().await;
        }
    });
}

#[test]
fn refusals_and_malformed_answers_are_told_and_take_nothing_away() {
    leak_checked_live(async || {
        let cloud = cloud(Paging::Whole).await;
        cloud.set(DROPLETS, (1..=3).map(droplet));
        let mut run = Run::start(&of(&cloud, "")).await.expect("it can be built");
        run.finds(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]).await;
        check_faults(&cloud, &mut run, || Step::get("/v2/droplets?page=2")).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.lets_in(|call: &Received| call.header("authorization") == Some("Bearer other"));
        let run = Run::start(&of(&cloud, "")).await.expect("it can be built");
        let is_refused = || run.status().last_error.is_some_and(|last| last.report.code == "http_unauthorized");
        eventually(patience(), "the token is refused", is_refused).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    assert_eq!(config("{role: droplets, port: 80, refresh_interval: 60s}"), DigitaloceanConfig::default());
    assert_eq!(DigitaloceanConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    for text in ["{role: apps}", "{role: ''}", "{port: 65536}", "{server: 'http://s'}"] {
        assert!(serde_yaml::from_str::<DigitaloceanConfig>(text).is_err(), "{text}");
    }
    let both = config("{bearer_token: t, authorization: {credentials: t}}").check(&CheckContext::default());
    assert_eq!(both.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["cfg_conflicting_keys"]);
}

#[test]
fn who_proves_nothing_is_warned() {
    let is_warned = |text: &str| matches!(*config(text).examine(&CheckContext::default()), [Finding::Idle(_)]);
    assert!(is_warned("{}") && !is_warned("{authorization: {credentials: t}}"));
}
