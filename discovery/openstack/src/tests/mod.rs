//! What Keystone and the services are asked, and what becomes of their answers.

mod answers;
mod proof;
mod settings;

use std::time::Duration as StdDuration;

use rosterd_model::{Coded, Report, Retry};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{ScriptedServer, Step, addresses, eventually, fixture, leak_checked_live, patience};
use serde_json::json;

use crate::OpenstackConfig;
use crate::error::OpenstackError;

const KEYSTONE: &str = "/v3/auth/tokens";
const HYPERVISORS: &str = "/compute/v2.1/os-hypervisors/detail";
const HYPERVISOR: &str = r#"{"hypervisors": [{"id": 1, "host_ip": "10.0.0.1", "hypervisor_hostname": "a"}]}"#;

fn config(text: &str) -> OpenstackConfig {
    serde_yaml::from_str(text).expect(text)
}

fn of(server: &ScriptedServer, more: &str) -> OpenstackConfig {
    config(&format!(
        "{{identity_endpoint: '{}', username: me, password: hunter2, domain_name: Default, region: One, refresh_interval: 1h, {more}}}",
        server.url("")
    ))
}

/// What Keystone gives, for so many seconds.
fn granted(server: &ScriptedServer, seconds: i64) -> String {
    let issued: jiff::Timestamp = "2026-01-02T03:04:05.000000Z".parse().expect("a time");
    let expires = issued + jiff::SignedDuration::from_secs(seconds);
    let service = |kind: &str| {
        json!({"type": kind, "endpoints": [
            {"interface": "admin", "region": "One", "region_id": "One", "url": server.url("/other")},
            {"interface": "public", "region": "Two", "region_id": "Two", "url": server.url("/other")},
            {"interface": "public", "region": "One", "region_id": "One", "url": server.url(&format!("/{kind}{}", if kind == "compute" { "/v2.1" } else { "" }))},
        ]})
    };
    json!({"token": {"issued_at": issued.to_string(), "expires_at": expires.to_string(), "catalog": [
        service("identity"), service("compute"), service("network"), service("load-balancer"),
    ]}})
    .to_string()
}

/// Keystone gives this token.
fn login(server: &ScriptedServer, token: &str) -> Step {
    let step = Step::post(KEYSTONE).with_header("content-type", "application/json").without_header("x-auth-token");
    step.status(201).reply_header("x-subject-token", token).json(granted(server, 3600))
}

fn asked(path: &str, token: &str) -> Step {
    Step::get(path).with_header("x-auth-token", token).with_header("accept", "application/json")
}

fn read(name: &str) -> Vec<u8> {
    fixture(&format!("discovery/openstack/{name}.json")).into_bytes()
}

async fn stop(run: Run) {
    run.stop().await.expect("it ends").expect("in order");
}

async fn failure(config: &OpenstackConfig) -> Report {
    let run = Run::start(config).await.expect("it can be built");
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("there is one").report;
    stop(run).await;
    report
}

#[test]
fn servers_are_asked_for_with_one_token_and_page_by_page() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
            {"domain": {"name": "Default"}, "name": "me", "password": "hunter2"}}}}});
        server.then(login(&server, "secret-token").with_body(body.to_string()));
        for step in [
            asked("/network/v2.0/ports?fields=id&fields=device_id", "secret-token").json(
                r#"{"ports": [{"id": "p", "device_id": "s1"}], "ports_links": [{"rel": "next", "href": "http://inner/v2.0/ports?marker=p"}]}"#,
            ),
            asked("/network/v2.0/ports?marker=p", "secret-token").json(r#"{"ports": []}"#).in_parts(3),
            asked("/network/v2.0/floatingips", "secret-token").json(
                r#"{"floatingips": [{"floating_ip_address": "192.0.2.1", "fixed_ip_address": "10.0.0.1", "port_id": "p"}]}"#,
            ),
            asked("/compute/v2.1/servers/detail?all_tenants=true", "secret-token").json(
                r#"{"servers": [{"id": "s1", "flavor": {"id": "f"}, "addresses": {"n": [{"addr": "10.0.0.1"}, {"addr": "192.0.2.1"}]}}],
                    "servers_links": [{"rel": "next", "href": "/elsewhere?all_tenants=true&marker=s1"}]}"#,
            ),
            asked("/compute/v2.1/servers/detail?all_tenants=true&marker=s1", "secret-token").json(
                r#"{"servers": [{"id": "s1", "flavor": {"id": "f"}, "addresses": {"n": [{"addr": "10.0.0.9"}]}},
                                {"id": "s2", "flavor": {"id": "f"}, "addresses": {"n": [{"addr": "fd00::1"}]}}]}"#,
            ),
        ] {
            server.then(step.any_order());
        }
        let mut run =
            Run::start(&of(&server, "role: instance, all_tenants: true, port: 9100")).await.expect("it is built");
        let word = run.next().await.expect("a word");
        let sources: Vec<_> = word.groups().iter().map(|group| &*group.source).collect();
        assert_eq!(sources, ["s1", "s2"], "what stands on two pages is one");
        assert_eq!(Vec::from_iter(addresses(word.groups())), ["10.0.0.1:9100", "[fd00::1]:9100"]);
        assert_eq!(run.requests_that_came(), ["floating_ips ok 1", "ports ok 2", "servers ok 2", "token ok 1"]);
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn load_balancers_are_asked_for_where_they_are() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        server.then(login(&server, "t"));
        for (path, file) in [
            ("/load-balancer/v2.0/lbaas/loadbalancers", "loadbalancers"),
            ("/load-balancer/v2.0/lbaas/listeners", "listeners"),
            ("/network/v2.0/floatingips", "floatingips"),
        ] {
            server.then(asked(path, "t").any_order().json(read(file)));
        }
        let mut run = Run::start(&of(&server, "role: loadbalancer")).await.expect("it is built");
        let word = run.next().await.expect("a word");
        assert_eq!(Vec::from_iter(addresses(word.groups())), ["10.0.0.32:8080", "[fd00::32]:9101"]);
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn a_token_is_kept_and_asked_for_again_when_it_is_refused() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        for step in [
            login(&server, "one"),
            asked(HYPERVISORS, "one").json(HYPERVISOR),
            asked(HYPERVISORS, "one").json(HYPERVISOR),
            asked(HYPERVISORS, "one").status(401),
            login(&server, "two"),
            asked(HYPERVISORS, "two").json(r#"{"hypervisors": []}"#),
        ] {
            server.then(step);
        }
        server.then(asked(HYPERVISORS, "two").any_times().json(r#"{"hypervisors": []}"#));
        let mut config = of(&server, "role: hypervisor");
        config.refresh_interval = "3s".parse().expect("a duration");
        let mut run = Run::start(&config).await.expect("it is built");
        for count in [1, 1, 0] {
            assert_eq!(run.next().await.expect("a word").groups().len(), count);
        }
        assert!(run.status().last_error.is_none());
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn refusals_tell_who_refused() {
    leak_checked_live(async || {
        let keystone = |server: &ScriptedServer| login(server, "t").any_times();
        let hypervisors = || Step::get(HYPERVISORS).any_times();
        let refuse = |status: u16| Step::post(KEYSTONE).any_times().status(status);
        for (given, step, code, who) in [
            (false, refuse(401).json(r#"{"error": {"message": "no hunter2 here"}}"#), "sd_rest_no_token", KEYSTONE),
            (
                false,
                refuse(403).json(r#"{"error": {"message": "hunter2 has to be changed"}}"#),
                "sd_rest_no_token",
                KEYSTONE,
            ),
            (false, refuse(429).reply_header("retry-after", "17"), "sd_rest_no_token", KEYSTONE),
            (false, refuse(201).json("{}"), "sd_rest_no_token", KEYSTONE),
            (true, hypervisors().status(401), "sd_rest_token_refused", HYPERVISORS),
            (true, hypervisors().status(403), "http_unauthorized", HYPERVISORS),
            (true, hypervisors().status(429).reply_header("retry-after", "17"), "http_throttled", HYPERVISORS),
            (true, hypervisors().status(500), "http_status", HYPERVISORS),
            (true, hypervisors().json(HYPERVISOR).truncate(20), "http_broken", HYPERVISORS),
            (true, hypervisors().json(r#"{"hypervisors": {}}"#), "sd_rest_malformed", HYPERVISORS),
            (true, hypervisors().json(r#"{"message": "busy"}"#), "sd_rest_malformed", HYPERVISORS),
        ] {
            let server = ScriptedServer::start([step]).await;
            if given {
                server.then(keystone(&server));
            }
            let report = failure(&of(&server, "role: hypervisor")).await;
            assert_eq!(report.code, code);
            assert!(report.to_string().contains(who), "{report}");
            assert!(!report.to_string().contains("hunter2"), "{report}");
            server.finish().await;
        }
    });
}

#[test]
fn whatever_proves_who_asks_is_not_told() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let refusal = r#"{"error": {"message": "no hunter2 here"}}"#;
        server.then(Step::post(KEYSTONE).any_times().status(401).json(refusal));
        for proof in [
            "username: me, domain_name: Default, password: hunter2",
            "token: hunter2",
            "application_credential_id: c, application_credential_secret: hunter2",
        ] {
            let endpoint = server.url("");
            let text = format!("{{identity_endpoint: '{endpoint}', region: One, role: hypervisor, {proof}}}");
            let report = failure(&config(&text)).await;
            assert!(report.to_string().contains("no <secret> here"), "{proof}: {report}");
        }
        server.finish().await;
    });
}

#[test]
fn who_has_failed_comes_back_when_that_may_help() {
    let never = [OpenstackError::NoKeystone, OpenstackError::Environment { reason: String::new() }];
    assert_eq!(never.map(|error| error.retry()), [Retry::Never; 2]);
    let lacking = OpenstackError::NoEndpoint { wanted: String::new(), reason: String::new() };
    assert_eq!(lacking.retry(), Retry::Interval);
    let unreadable =
        OpenstackError::TokenUnreadable { path: "token".into(), source: std::io::ErrorKind::NotFound.into() };
    assert_eq!(unreadable.retry(), Retry::Backoff);
}

#[test]
fn whoever_is_silent_is_given_up() {
    leak_checked_live(async || {
        for (silent, code) in [(KEYSTONE, "sd_rest_no_token"), (HYPERVISORS, "http_timeout")] {
            let server = ScriptedServer::start([]).await;
            server.then(login(&server, "t").any_times().delay(StdDuration::from_millis(20)));
            let method = if silent == KEYSTONE { http::Method::POST } else { http::Method::GET };
            server.then(Step::of(method, silent).any_times().stall());
            let mut config = of(&server, "role: hypervisor");
            // Long enough for a login on a busy machine.
            config.refresh_interval = "2s".parse().expect("a duration");
            let report = failure(&config).await;
            assert_eq!(report.code, code);
            assert!(report.to_string().contains(&format!("{silent} within 2s")), "{report}");
            server.finish().await;
        }
    });
}

#[test]
fn a_region_without_the_service_is_told_with_those_that_have_it() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        server.then(login(&server, "t"));
        let mut config = of(&server, "role: hypervisor, availability: internal");
        let report = failure(&config).await;
        assert_eq!(report.code, "sd_openstack_no_endpoint");
        assert!(
            report.message.ends_with("internal in One: there is admin in One, public in One, public in Two"),
            "{report}"
        );
        config.identity_endpoint = rosterd_client::SafeUrl::new(server.url("/v3/"));
        server.then(login(&server, "t"));
        failure(&config).await;
        server.finish().await;
    });
}

#[test]
fn an_endpoint_that_a_catalog_lacked_is_found_by_the_next_reading() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let lacking = granted(&server, 3600).replace("\"public\"", "\"hidden\"");
        server.then(login(&server, "t").json(lacking));
        server.then(login(&server, "u"));
        server.then(asked(HYPERVISORS, "u").any_times().json(r#"{"hypervisors": []}"#));
        let mut config = of(&server, "role: hypervisor");
        config.refresh_interval = "3s".parse().expect("a duration");
        let mut run = Run::start(&config).await.expect("it is built");
        run.next().await.expect("a word");
        server.wait_steps().await;
        stop(run).await;
        server.finish().await;
    });
}
