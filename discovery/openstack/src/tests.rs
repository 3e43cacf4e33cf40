//! What Keystone and the services are asked, and what becomes of their answers.

use std::collections::BTreeSet;
use std::time::Duration as StdDuration;

use rosterd_client::{Environment, Secret};
use rosterd_discovery::{CheckContext, Finding, Identity, MechanismConfig, System};
use rosterd_model::{Coded, Report, Retry, TargetGroup};
use rosterd_testkit::contract::{self, Run};
use rosterd_testkit::{
    Folder, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::catalog::{self, Service};
use super::decode::{self, FloatingIps};
use super::error::OpenstackError;
use super::{OpenstackConfig, credentials};

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

fn golden(name: &str, groups: &[TargetGroup]) {
    let text = serde_yaml::to_string(groups).expect("writes");
    assert_golden(&format!("discovery/openstack/{name}.golden.yml"), &text);
}

fn read(name: &str) -> Vec<u8> {
    fixture(&format!("discovery/openstack/{name}.json")).into_bytes()
}

#[test]
fn servers_become_labels() {
    let (ports, floating) = (decode::ports(&read("ports")), decode::floating_ips(&read("floatingips")));
    let floating = FloatingIps::of(&ports.expect("ports").items, floating.expect("addresses").items);
    golden("servers", &decode::servers(&read("servers"), &floating, 9100).expect("servers").items);
}

#[test]
fn hypervisors_become_labels() {
    golden("hypervisors", &decode::hypervisors(&read("hypervisors"), 80).expect("hypervisors").items);
}

#[test]
fn load_balancers_become_labels() {
    let balancers = decode::load_balancers(&read("loadbalancers")).expect("load balancers").items;
    let listeners = decode::listeners(&read("listeners")).expect("listeners").items;
    let floating = decode::floating_ips(&read("floatingips")).expect("addresses").items;
    golden("loadbalancers", &decode::groups_of_load_balancers(&balancers, &listeners, &floating));
}

#[test]
fn a_page_without_anything_is_the_last_one() {
    let next = |body: &str| decode::ports(body.as_bytes()).expect("ports").next;
    let links = r#""ports_links": [{"rel": "previous", "href": "a"}, {"rel": "next", "href": "b"}]"#;
    assert_eq!(next(&format!(r#"{{"ports": [{{}}], {links}}}"#)).as_deref(), Some("b"));
    assert_eq!(next(&format!(r#"{{"ports": [], {links}}}"#)), None);
    assert_eq!(next(r#"{"ports": [{}], "ports_links": [{"rel": "previous", "href": "a"}]}"#), None);
}

#[test]
fn each_way_to_prove_who_one_is_is_told_as_keystone_wants_it() {
    let user = json!({"name": "me", "domain": {"name": "Default"}, "password": "p"});
    let by_password = |user: Value| json!({"methods": ["password"], "password": {"user": user}});
    for (keys, identity, scope) in [
        ("username: me, password: p, domain_name: Default", by_password(user.clone()), None),
        (
            "username: me, password: p, domain_id: d, project_name: n",
            by_password(json!({"name": "me", "domain": {"id": "d"}, "password": "p"})),
            Some(json!({"project": {"name": "n", "domain": {"id": "d"}}})),
        ),
        (
            "userid: u, password: p, project_id: i, project_name: n",
            by_password(json!({"id": "u", "password": "p"})),
            Some(json!({"project": {"id": "i"}})),
        ),
        ("username: me, password: p, domain_name: Default, application_credential_id: c", by_password(user), None),
        (
            "token: t, project_name: n, domain_name: Staff",
            json!({"methods": ["token"], "token": {"id": "t"}}),
            Some(json!({"project": {"name": "n", "domain": {"name": "Staff"}}})),
        ),
        (
            "application_credential_id: c, application_credential_secret: s, project_id: i",
            json!({"methods": ["application_credential"], "application_credential": {"id": "c", "secret": "s"}}),
            None,
        ),
        (
            "application_credential_name: c, application_credential_secret: s, username: me, domain_id: d",
            json!({"methods": ["application_credential"], "application_credential":
                {"name": "c", "secret": "s", "user": {"name": "me", "domain": {"id": "d"}}}}),
            None,
        ),
        (
            "application_credential_name: c, application_credential_secret: s, userid: u",
            json!({"methods": ["application_credential"], "application_credential":
                {"name": "c", "secret": "s", "user": {"id": "u"}}}),
            None,
        ),
    ] {
        let config = config(&format!("{{{keys}}}"));
        let mut want = json!({"auth": {"identity": identity}});
        if let Some(scope) = scope {
            want["auth"]["scope"] = scope;
        }
        assert_eq!(credentials::request(&config, &Secret::new("t")), want, "{keys}");
    }
}

#[test]
fn the_first_endpoint_of_the_interface_and_the_region_counts() {
    let endpoint = |region: &str, url: &str| json!({"interface": "public", "region": region, "region_id": format!("{region}-id"), "url": url});
    let body = json!({"token": {"catalog": [
        {"type": "compute", "endpoints": [endpoint("One", "http://old/v3"), endpoint("One", "http://a/v2.1/project/"), endpoint("One", "http://b/v2.1")]},
        {"type": "network", "endpoints": [endpoint("One", "http://n:9696"), endpoint("Two", "http://n/v2.0/")]},
        {"type": "load-balancer", "endpoints": [endpoint("One", "http://l/load-balancer/"), endpoint("Two", "ftp://l")]},
    ]}});
    let headers = [("x-subject-token".parse().expect("a name"), "t".parse().expect("a value"))].into_iter().collect();
    let issued = catalog::issued(&headers, body.to_string().as_bytes()).expect("a grant");
    assert_eq!(issued.lasts, None);
    let url = |service, region: &str| issued.token.endpoint(service, "public", region).map(String::from);
    for (service, region, want) in [
        (Service::Compute, "One", "http://a/v2.1/project/"),
        (Service::Network, "One", "http://n:9696/v2.0"),
        (Service::Network, "Two", "http://n/v2.0/"),
        (Service::Network, "Two-id", "http://n/v2.0/"),
        (Service::LoadBalancer, "One", "http://l/load-balancer/v2.0"),
    ] {
        assert_eq!(url(service, region).expect("there is one"), want);
    }
    let none = |service, region: &str| url(service, region).expect_err("there is none").to_string();
    assert_eq!(
        none(Service::Compute, "Two"),
        "the catalog of Keystone has no endpoint of version 2 of the service compute, public in Two: there is public in One"
    );
    assert!(none(Service::LoadBalancer, "Two").ends_with("there is public in One, public in Two"));
    assert!(issued.token.endpoint(Service::Compute, "admin", "One").is_err());
    assert!(!format!("{:?}", issued.token).contains("\"t\""), "tokens are not shown");
}

#[test]
fn a_version_is_a_number_or_two_and_nothing_else() {
    let is_version = |segments: &[&str]| segments.iter().map(|it| catalog::is_version(it)).collect::<Vec<_>>();
    assert_eq!(is_version(&["v2", "v2.1", "v3", "v10.25"]), [true; 4]);
    assert_eq!(is_version(&["", "v", "2.1", "v.1", "v2.", "v2.x", "v2.1.1", "vx", "volume"]), [false; 9]);
}

#[test]
fn what_keystone_gives_is_read_or_refused_with_what_is_wrong() {
    let headers = |token: &str| -> http::HeaderMap {
        [("x-subject-token".parse().expect("a name"), token.parse().expect("a value"))].into_iter().collect()
    };
    let told = |token: &str, body: &str| catalog::issued(&headers(token), body.as_bytes()).expect_err(body).to_string();
    assert_eq!(told("", r#"{"token": {}}"#), "the header X-Subject-Token, which has the token, is missing");
    assert_eq!(told("t", r#"{"token": 1}"#), "line 1, column 11: expected a map of keys and values, found a number");
    assert_eq!(
        told("t", r#"{"token": {"issued_at": "2026-01-02T03:04:05Z", "expires_at": "tomorrow"}}"#),
        "token.expires_at is \"tomorrow\", which is no point in time"
    );
    let lasts = |issued: &str, expires: &str| {
        let body = format!(r#"{{"token": {{"issued_at": "{issued}", "expires_at": "{expires}"}}}}"#);
        catalog::issued(&headers("t"), body.as_bytes()).expect("a grant").lasts
    };
    let hour = Some(StdDuration::from_secs(3600));
    assert_eq!(lasts("2026-01-02T03:04:05.000000Z", "2026-01-02T04:04:05.000000Z"), hour);
    assert_eq!(lasts("2026-01-02T03:04:05Z", "2026-01-02T03:04:00Z"), Some(StdDuration::ZERO));
    assert_eq!(lasts("2026-01-02T03:04:05Z", ""), None);
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
fn who_asks_as_the_same_logs_in_once_for_all_jobs_and_over_a_reload() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let hypervisors = |token: &str| server.then(asked(HYPERVISORS, token).any_times().json(HYPERVISOR));
        server.then(login(&server, "one"));
        hypervisors("one");
        let equipment = contract::equipment(&System::default(), &OpenstackConfig::default());
        let start = |more: &str| {
            let config = of(&server, &format!("role: hypervisor, {more}"));
            Run::of(equipment.of(OpenstackConfig::MECHANISM).build(&config, "openstack/1").expect("it is built"))
        };
        let shown = async |more: [&str; 2], ports: [&str; 2]| {
            let mut runs = more.map(start);
            for (run, port) in runs.iter_mut().zip(ports) {
                let word = run.next().await.expect("a word");
                assert_eq!(Vec::from_iter(addresses(word.groups())), [format!("10.0.0.1:{port}")]);
            }
            for run in runs {
                stop(run).await;
            }
        };
        shown(["port: 1", "port: 2"], ["1", "2"]).await;
        // A reload builds them anew.
        shown(["port: 3", "all_tenants: true"], ["3", "80"]).await;
        // Whoever asks as somebody else, or in another way, has a token of its own.
        server.then(login(&server, "two"));
        hypervisors("two");
        shown(["project_name: p, port: 4", "project_name: p, port: 5"], ["4", "5"]).await;
        server.then(login(&server, "three"));
        hypervisors("three");
        let other = "tls_config: {insecure_skip_verify: true}";
        shown([other, other], ["80", "80"]).await;
        equipment.end(Instant::now() + patience()).await;
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

#[test]
fn a_token_of_a_file_is_read_whenever_keystone_is_asked() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let server = ScriptedServer::start([]).await;
        let proof =
            |token: &str| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}).to_string();
        let text = format!(
            "{{identity_endpoint: '{}', token_file: token, region: One, role: hypervisor, refresh_interval: 1s}}",
            server.url("")
        );
        let mut config = config(&text);
        config.resolve_paths(&folder.path(""));
        assert_eq!(failure(&config).await.causes[0], format!("cannot read {}", folder.path("token").display()));
        folder.write("token", "first\n");
        server.then(login(&server, "one").with_body(proof("first")));
        server.then(asked(HYPERVISORS, "one").json(HYPERVISOR));
        for step in [
            asked(HYPERVISORS, "one").status(401),
            login(&server, "two").with_body(proof("second")),
            asked(HYPERVISORS, "two").json(HYPERVISOR),
        ] {
            server.then(step);
        }
        server.then(asked(HYPERVISORS, "two").any_times().json(HYPERVISOR));
        let mut run = Run::start(&config).await.expect("it is built");
        run.next().await.expect("a word");
        folder.write("token", "second");
        run.next().await.expect("a word");
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn without_keystone_in_the_configuration_the_environment_says_who_asks() {
    let of = |variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().map(|(name, value)| (*name, *value)).collect();
        credentials::of_environment(&config("{region: One, password: mine}"), &environment)
    };
    let url = ("OS_AUTH_URL", "http://keystone/v3");
    let found = of(&[
        url,
        ("OS_USERNAME", "me"),
        ("OS_PASSWORD", "p"),
        ("OS_DOMAIN_NAME", "d"),
        ("OS_TENANT_NAME", "old"),
        ("OS_PROJECT_NAME", "new"),
    ])
    .expect("complete");
    let request = credentials::request(&found, &Secret::default());
    assert_eq!(request["auth"]["identity"]["password"]["user"]["password"], "p");
    assert_eq!(request["auth"]["scope"]["project"]["name"], "new");
    assert_eq!(found.region, "One");
    // As files of Horizon have it.
    for (domain, expected) in [
        (&[("OS_USER_DOMAIN_NAME", "u"), ("OS_PROJECT_DOMAIN_ID", "i")][..], ("u", "")),
        (&[("OS_PROJECT_DOMAIN_ID", "i")], ("", "i")),
        (&[("OS_DOMAIN_ID", "d"), ("OS_USER_DOMAIN_NAME", "u")], ("", "d")),
    ] {
        let user = [url, ("OS_USERNAME", "me"), ("OS_PASSWORD", "p")];
        let found = of(&[&user, domain].concat()).expect("complete");
        assert_eq!((&*found.domain_name, &*found.domain_id), expected);
    }
    let system =
        of(&[url, ("OS_USERID", "u"), ("OS_PASSWORD", "p"), ("OS_SYSTEM_SCOPE", "all"), ("OS_PROJECT_ID", "i")]);
    let request = credentials::request(&system.expect("complete"), &Secret::default());
    assert_eq!(request["auth"]["scope"], json!({"system": {"all": true}}));
    let told = |variables: &[(&str, &str)]| {
        let error = of(variables).expect_err("it is not complete");
        (error.code(), error.to_string())
    };
    assert_eq!(told(&[("OS_USERNAME", "me")]).0, "sd_openstack_no_keystone");
    let (code, message) = told(&[url, ("OS_USERNAME", "me"), ("OS_PASSWORD", "hunter2")]);
    assert_eq!(code, "sd_openstack_environment");
    assert!(message.ends_with("count within a domain: give OS_DOMAIN_NAME or OS_DOMAIN_ID"), "{message}");
    let (_, message) = told(&[url, ("OS_APPLICATION_CREDENTIAL_ID", "i")]);
    assert!(message.ends_with(": OS_APPLICATION_CREDENTIAL_SECRET is missing"), "{message}");
    let (_, message) = told(&[url, ("OS_USERNAME", "me"), ("OS_USERID", "i"), ("OS_PASSWORD", "p")]);
    assert!(message.ends_with(": give either OS_USERNAME or OS_USERID"), "{message}");
}

#[test]
fn all_that_the_environment_says_of_who_asks_counts_and_nothing_of_the_configuration() {
    let identity = |variables: &[(&str, &str)]| {
        let written = "{region: One, username: mine, password: mine, token: mine, token_file: mine, application_credential_id: mine}";
        let environment = [("OS_AUTH_URL", "http://k")].iter().chain(variables).copied().collect();
        let found = credentials::of_environment(&config(written), &environment).expect("complete");
        credentials::request(&found, &found.token)["auth"].clone()
    };
    let by_credential =
        |it: Value| json!({"identity": {"methods": ["application_credential"], "application_credential": it}});
    let secret = ("OS_APPLICATION_CREDENTIAL_SECRET", "s");
    assert_eq!(
        identity(&[("OS_APPLICATION_CREDENTIAL_ID", "c"), secret]),
        by_credential(json!({"id": "c", "secret": "s"}))
    );
    assert_eq!(
        identity(&[("OS_APPLICATION_CREDENTIAL_NAME", "n"), ("OS_USERID", "u"), secret]),
        by_credential(json!({"name": "n", "secret": "s", "user": {"id": "u"}}))
    );
    let user = [("OS_USERID", "u"), ("OS_PASSWORD", "p")];
    let by_password = json!({"methods": ["password"], "password": {"user": {"id": "u", "password": "p"}}});
    for (project, id) in [
        (&[("OS_TENANT_ID", "old")][..], "old"),
        (&[("OS_TENANT_ID", "old"), ("OS_PROJECT_ID", "new"), ("OS_PROJECT_NAME", "n")], "new"),
    ] {
        let want = json!({"identity": by_password, "scope": {"project": {"id": id}}});
        assert_eq!(identity(&[&user, project].concat()), want);
    }
    let by_name = [("OS_TENANT_NAME", "old"), ("OS_DOMAIN_ID", "d")];
    let user = [("OS_USERNAME", "me"), ("OS_PASSWORD", "p")];
    let scope = json!({"project": {"name": "old", "domain": {"id": "d"}}});
    assert_eq!(identity(&[&user, &by_name[..]].concat())["scope"], scope);
}

#[test]
fn a_user_who_is_given_by_an_id_needs_no_domain_of_the_environment() {
    let variables =
        [("OS_AUTH_URL", "http://k"), ("OS_PASSWORD", "p"), ("OS_USERID", "u"), ("OS_USER_DOMAIN_NAME", "Default")];
    let found = credentials::of_environment(&config("{region: One}"), &variables.into_iter().collect());
    let found = found.expect("complete");
    assert_eq!((&*found.userid, &*found.domain_name), ("u", ""));
}

#[test]
fn whom_the_environment_names_counts_as_whom_the_configuration_does() {
    let data = |text: &str, variables: &[(&str, &str)]| {
        let environment = variables.iter().map(|(name, value)| (*name, *value)).collect();
        let mut identity = Identity::new();
        config(text).identity_on(&mut identity, &System::new("machine", environment));
        identity.hash()
    };
    let me = [("OS_AUTH_URL", "http://k"), ("OS_USERNAME", "me"), ("OS_PASSWORD", "p"), ("OS_DOMAIN_NAME", "d")];
    let of = |more: &[(&str, &str)]| data("{region: One}", &[&me[..], more].concat());
    let said = "{region: One, identity_endpoint: 'http://k', username: me, password: p, domain_name: d}";
    assert_eq!(of(&[]), data(said, &[("OS_AUTH_URL", "http://other")]));
    let all = [
        of(&[]),
        of(&[("OS_AUTH_URL", "http://other")]),
        of(&[("OS_PASSWORD", "q")]),
        of(&[("OS_PROJECT_ID", "i")]),
        of(&[("OS_SYSTEM_SCOPE", "all")]),
        data("{region: One}", &[]),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
}

#[test]
fn whatever_says_what_is_read_and_as_whom_counts() {
    let hash = |more: &str| {
        let mut identity = Identity::new();
        config(&format!("{{identity_endpoint: 'http://k', {more}}}")).identity(&mut identity);
        identity.hash()
    };
    let all = [
        "",
        "username: u",
        "userid: u",
        "password: u",
        "project_name: u",
        "project_id: u",
        "domain_name: u",
        "domain_id: u",
        "application_credential_name: u",
        "application_credential_id: u",
        "application_credential_secret: u",
        "token: u",
        "token_file: u",
        "role: hypervisor",
        "region: u",
        "port: 81",
        "all_tenants: true",
        "availability: internal",
        "tls_config: {cert_file: c, key_file: k}",
    ];
    assert_eq!(all.map(hash).iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(hash(""), hash("refresh_interval: 5s"));
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn who_asks_has_to_be_said_whole_and_once() {
    let keystone =
        |keys: &str| problems(&format!("{{identity_endpoint: 'http://k:5000', role: instance, region: One, {keys}}}"));
    for (keys, want) in [
        ("username: me", "cfg_missing_key password"),
        ("password: p", "cfg_missing_key username"),
        ("password: p, username: me", "cfg_missing_key domain_name"),
        ("password: p, username: me, userid: u", "cfg_conflicting_keys userid"),
        ("password: p, username: me, domain_id: d, domain_name: d", "cfg_conflicting_keys domain_name"),
        ("password: p, userid: u, domain_id: d", "cfg_conflicting_keys userid"),
        ("password: p, userid: u, project_name: n", "cfg_missing_key domain_name"),
        ("application_credential_id: c", "cfg_missing_key application_credential_secret"),
        ("application_credential_name: c, application_credential_secret: s", "cfg_missing_key username"),
        (
            "application_credential_name: c, application_credential_secret: s, username: me",
            "cfg_missing_key domain_name",
        ),
        ("token: t, token_file: f", "cfg_conflicting_keys token_file"),
        ("token: t, username: me", "cfg_conflicting_keys token"),
        ("token: t, project_name: n", "cfg_missing_key domain_name"),
    ] {
        assert_eq!(keystone(keys), [want], "{keys}");
    }
    for keys in [
        "password: p, username: me, domain_id: d, project_name: n",
        "password: p, userid: u, project_id: i",
        "application_credential_id: c, application_credential_secret: s, project_name: n",
        "application_credential_name: c, application_credential_secret: s, userid: u",
        "token_file: f",
    ] {
        assert_eq!(keystone(keys), [""; 0], "{keys}");
    }
}

#[test]
fn role_region_and_keystone_are_checked() {
    assert_eq!(problems("{}"), ["cfg_missing_key role", "cfg_missing_key region"]);
    assert_eq!(problems("{role: instance, region: One}"), [""; 0], "the environment may say the rest");
    for (url, want) in [
        ("keystone:5000", "cfg_invalid_value identity_endpoint"),
        ("ftp://keystone", "cfg_invalid_value identity_endpoint"),
        ("http://keystone:5000/v2.0/", "cfg_invalid_value identity_endpoint"),
    ] {
        let text = format!("{{role: instance, region: One, identity_endpoint: '{url}', token: t}}");
        assert_eq!(problems(&text), [want], "{url}");
    }
    for text in
        ["{role: invalid}", "{role: ''}", "{availability: invalid}", "{bearer_token: t}", "{proxy_url: 'http://p'}"]
    {
        assert!(serde_yaml::from_str::<OpenstackConfig>(text).is_err(), "{text}");
    }
    let idle = |text: &str| {
        let found = config(text).examine(&CheckContext::default());
        found.iter().any(|found| matches!(found, Finding::Idle(problem) if problem.code == "cfg_no_effect"))
    };
    assert!(idle("{username: me}") && idle("{token: t}"));
    assert!(!idle("{project_name: n}") && !idle("{username: me, identity_endpoint: 'http://k'}"));
    let unreadable = |text: &str| {
        let found = config(text).examine(&CheckContext::default());
        found.iter().any(|found| matches!(found, Finding::Missing(problem) if problem.path == "token_file"))
    };
    assert!(unreadable("{identity_endpoint: 'http://k', token_file: /nonexistent/token}"));
    assert!(!unreadable("{token_file: /nonexistent/token}"), "the environment says who asks");
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text = "{region: '', refresh_interval: 60s, port: 80, all_tenants: false, availability: public}";
    assert_eq!(config(text), OpenstackConfig::default());
    let shown = serde_yaml::to_string(&config("{role: loadbalancer, password: hunter2}")).expect("writes");
    assert!(shown.contains("role: loadbalancer") && !shown.contains("hunter2"), "{shown}");
}
