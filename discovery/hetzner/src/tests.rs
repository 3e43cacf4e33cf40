//! What Hetzner is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use http::StatusCode;
use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _};
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{
    FakeCloud, Paging, Received, Step, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::{HetznerConfig, Role, cloud, robot};

const SERVERS: &str = "/v1/servers";
const NETWORKS: &str = "/v1/networks";
const DEDICATED: &str = "/server";

fn config(text: &str) -> HetznerConfig {
    serde_yaml::from_str(text).expect(text)
}

async fn cloud_of_two_a_page() -> FakeCloud {
    let cloud = FakeCloud::start(&[Role::Hcloud.host(), Role::Robot.host()]).await;
    for (path, key) in [(SERVERS, "servers"), (NETWORKS, "networks")] {
        cloud.list(path, Paging::Number, 2, move |page| {
            let next = page.next.as_ref().map(|_| page.number + 1);
            json!({key: page.items, "meta": {"pagination": {"next_page": next}}})
        });
    }
    cloud.list(DEDICATED, Paging::Whole, 1, |page| json!(page.items));
    cloud.lets_in(|call: &Received| call.header("authorization") == Some("Bearer t"));
    cloud
}

fn of(cloud: &FakeCloud, more: &str) -> HetznerConfig {
    config(&format!("{{refresh_interval: 1s, authorization: {{credentials: t}}, {}, {more}}}", cloud.keys()))
}

fn server(id: u32) -> Value {
    json!({"id": id, "public_net": {"ipv4": {"ip": format!("10.0.0.{id}")}}})
}

#[test]
fn servers_become_labels() {
    let found = |file: &str| fixture(&format!("discovery/hetzner/{file}.json")).into_bytes();
    let servers = cloud::servers(&found("servers")).expect("servers");
    let networks = cloud::networks(&found("networks")).expect("networks");
    assert_eq!((servers.next.as_deref(), networks.next), (Some("2"), None));
    let groups = cloud::groups(servers.items, networks.items, 80);
    assert_golden("discovery/hetzner/hcloud.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
    let groups = robot::groups(&found("robot"), 9100).expect("servers");
    assert_golden("discovery/hetzner/robot.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

#[test]
fn an_answer_without_the_list_is_no_empty_list() {
    let told = |fault: rosterd_rest::Fault| fault.to_string();
    assert_eq!(cloud::servers(b"{}").map_err(told).expect_err("no list"), "servers is missing");
    assert_eq!(cloud::networks(b"{}").map_err(told).expect_err("no list"), "networks is missing");
    assert!(cloud::servers(br#"{"servers": []}"#).is_ok_and(|page| page.items.is_empty()));
    assert!(robot::groups(br#"{"server": []}"#, 80).is_err());
}

#[test]
fn servers_are_found_on_all_pages_and_followed() {
    leak_checked_live(async || {
        let cloud = cloud_of_two_a_page().await;
        cloud.set(SERVERS, (1..=3).map(server));
        let selected = of(&cloud, "role: hcloud, port: 9100, label_selector: 'env in (a, b)'");
        let mut run = Run::start(&selected).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        let asked: Vec<_> = cloud.calls().into_iter().map(|call| call.path).collect();
        let query = "per_page=50&label_selector=env+in+%28a%2C+b%29";
        assert_eq!(asked[..2], [format!("{SERVERS}?page=1&{query}"), format!("{SERVERS}?{query}&page=2")]);
        assert_eq!(cloud.count(NETWORKS), 0, "nobody needs their names");
        let mut joined = server(4);
        joined["private_net"] = json!([{"network": 9, "ip": "10.9.0.4"}]);
        cloud.set(NETWORKS, (7..=9).map(|id| json!({"id": id, "name": format!("net-{id}")})));
        cloud.set(SERVERS, [joined, server(2)]);
        run.finds(&["10.0.0.2:9100", "10.0.0.4:9100"]).await;
        let target = &run.picture().find(|group| &*group.source == "4").expect("the server").targets[0];
        assert_eq!(target.get("__meta_hetzner_hcloud_private_ipv4_net_9"), Some("10.9.0.4"));
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn faults_are_told_and_take_nothing_away() {
    leak_checked_live(async || {
        let cloud = cloud_of_two_a_page().await;
        cloud.set(SERVERS, (1..=3).map(server));
        let mut run = Run::start(&of(&cloud, "role: hcloud")).await.expect("it can be built");
        run.finds(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]).await;
        check_faults(&cloud, &mut run, || Step::get(&format!("{SERVERS}?per_page=50&page=2"))).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn questions_that_come_back_one_by_one_are_waited_for_and_no_longer() {
    leak_checked_live(async || {
        let cloud = cloud_of_two_a_page().await;
        cloud.set(SERVERS, [server(1)]);
        let used_up = Step::get(SERVERS).status(429).json(r#"{"error": {"code": "rate_limit_exceeded"}}"#);
        let used_up = used_up.reply_header("ratelimit-limit", "3600").reply_header("ratelimit-remaining", "0");
        // When all of them are back.
        let full = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs() + 3600;
        cloud.instead(used_up.reply_header("ratelimit-reset", &full.to_string()));
        let mut run = Run::start(&of(&cloud, "role: hcloud")).await.expect("it can be built");
        cloud.wait_count(SERVERS, 1).await;
        cloud.heal();
        run.finds(&["10.0.0.1:80"]).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn who_logs_in_wrongly_does_not_do_so_again_at_the_next_interval() {
    leak_checked_live(async || {
        let cloud = cloud_of_two_a_page().await;
        cloud.lets_in(|call: &Received| call.header("authorization").is_some_and(|it| it.starts_with("Basic ")));
        let mut run = Run::start(&of(&cloud, "role: robot")).await.expect("it can be built");
        eventually(patience(), "it is slowed down", || {
            while run.try_next().is_some() {}
            run.status().last_error.is_some_and(|last| last.report.code == "sd_rest_slowed_down")
        })
        .await;
        assert_eq!(cloud.count(DEDICATED), 1);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn a_refusal_of_robot_says_in_its_body_that_it_was_asked_too_often() {
    let limit = |code: &str, requests| {
        json!({"error": {"status": 403, "code": code, "max_request": requests, "interval": 36_000}}).to_string()
    };
    let pause = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        robot::pause(status, body.as_bytes()).map(|pause| pause.as_secs())
    };
    assert_eq!(pause(403, &limit("RATE_LIMIT_EXCEEDED", 200)), Some(180));
    assert_eq!(pause(403, &limit("RATE_LIMIT_EXCEEDED", 36_000)), Some(60));
    assert_eq!(pause(403, &limit("RATE_LIMIT_EXCEEDED", 0)), Some(36_000));
    for (status, body) in
        [(403, limit("FORBIDDEN", 200)), (403, "no".to_owned()), (500, limit("RATE_LIMIT_EXCEEDED", 200))]
    {
        assert_eq!(pause(status, &body), None, "{status} {body}");
    }
    assert_eq!(pause(401, ""), Some(600));
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    assert_eq!(config("{port: 80, refresh_interval: 60s, label_selector: ''}"), HetznerConfig::default());
    assert_eq!(HetznerConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    assert_eq!(problems("{}"), ["cfg_missing_key role"]);
    assert_eq!(problems("{role: robot, basic_auth: {username: u}}"), [""; 0]);
    for text in ["{role: invalid}", "{role: ''}", "{port: -1}", "{server: 'http://s'}"] {
        assert!(serde_yaml::from_str::<HetznerConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let idle = |text: &str| {
        let found = config(text).examine(&CheckContext::default());
        found.iter().filter(|finding| matches!(finding, Finding::Idle(_))).count()
    };
    assert_eq!(idle("{role: robot, label_selector: a}"), 2);
    assert_eq!(idle("{role: hcloud, label_selector: a, authorization: {credentials: t}}"), 0);
}
