//! What an agent is asked, and what becomes of its answers.

use rosterd_discovery::{CheckContext, MechanismConfig};
use rosterd_model::TargetGroup;
use rosterd_testkit::contract::Run;
use rosterd_testkit::{Folder, ScriptedServer, Step, addresses, assert_golden, fixture, leak_checked_live};

use super::{ConsulAgentConfig, decode};

const SELF: &str = r#"{"Config": {"Datacenter": "dc1", "NodeName": "n"}, "Member": {"Addr": "10.0.0.1"}}"#;
const SERVICES: &str = r#"{"a": {"ID": "a", "Service": "web", "Port": 1, "Datacenter": "dc1"}}"#;

fn config(text: &str) -> ConsulAgentConfig {
    serde_yaml::from_str(text).expect(text)
}

fn of_fixture(text: &str) -> Vec<TargetGroup> {
    let read = |name: &str| fixture(&format!("discovery/consulagent/{name}.json")).into_bytes();
    let agent = decode::agent(&read("self")).expect("an agent");
    let services = decode::services(&read("services")).expect("services");
    decode::groups(&agent, services, &decode::checks(&read("checks")).expect("checks"), &config(text))
}

fn named(text: &str) -> Vec<String> {
    of_fixture(text).iter().map(|group| group.source.to_string()).collect()
}

#[test]
fn services_of_the_agent_become_labels() {
    let groups = serde_yaml::to_string(&of_fixture("{}")).expect("writes");
    assert_golden("discovery/consulagent/services.golden.yml", &groups);
}

#[test]
fn services_are_wanted_by_name_and_datacenter() {
    assert_eq!(named("{}"), ["Cache", "web"]);
    // Their case does not count, as in vmagent; their ids do not either.
    assert_eq!(named("services: [WEB, cache]"), ["Cache", "web"]);
    assert_eq!(named("services: [web-1, db]"), [""; 0]);
    assert_eq!(named("datacenter: dc2"), ["db"]);
    assert_eq!(named("{datacenter: dc1, services: [web]}"), ["web"]);
}

#[test]
fn an_agent_that_says_nothing_has_nothing() {
    assert!(decode::services(b"null").expect("none").is_empty());
    assert!(decode::checks(b"null").expect("none").is_empty());
    assert!(decode::agent(b"{}").is_err(), "without a datacenter it is no agent");
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn keys_that_exclude_each_other_are_refused() {
    for (text, want) in [
        ("server: ' '", "cfg_missing_key server"),
        ("server: 'ftp://consul'", "cfg_invalid_value server"),
        ("server: 'unix://'", "cfg_invalid_value server"),
        ("{username: u, basic_auth: {username: u}}", "cfg_conflicting_keys basic_auth"),
        ("{token: t, bearer_token: b}", "cfg_conflicting_keys token"),
        ("{token: t, bearer_token_file: b}", "cfg_conflicting_keys token"),
        ("{token: t, authorization: {credentials: c}}", "cfg_conflicting_keys token"),
    ] {
        assert_eq!(problems(text), [want], "{text}");
    }
    assert_eq!(problems("{server: 'unix:///run/consul.sock', token: t, username: u, password: p}"), [""; 0]);
    assert!(serde_yaml::from_str::<ConsulAgentConfig>("{node_meta: {}}").is_err());
}

#[test]
fn settings_of_tls_ask_for_https_unless_something_else_is_said() {
    let hash = |text: &str| {
        let mut id = rosterd_discovery::Identity::new();
        config(text).identity(&mut id);
        id.hash()
    };
    let tls = "tls_config: {server_name: a}";
    assert_eq!(hash(&format!("{{{tls}}}")), hash(&format!("{{scheme: https, {tls}}}")));
    assert_ne!(hash(&format!("{{{tls}}}")), hash(&format!("{{scheme: http, {tls}}}")));
    assert_eq!(hash("server: 'http://a'"), hash("{server: 'http://a', scheme: https}"));
    assert_eq!(hash("server: a"), hash("server: 'http://a'"));
}

#[test]
fn what_is_shown_reads_back_without_secrets() {
    let before = config("{server: a, token: hunter2, username: u, password: hunter2, services: [b], filter: f}");
    let shown = serde_yaml::to_string(&before).expect("serialises");
    assert!(!shown.contains("hunter2") && !format!("{before:?}").contains("hunter2"), "{shown}");
    let again = config(&shown);
    assert_eq!((again.services, again.filter), (before.services, before.filter));
}

#[test]
fn the_agent_is_asked_for_itself_its_services_and_their_checks() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let socket = folder.path("consul.sock");
        let step = |path: &str| Step::get(path).any_order().with_header("x-consul-token", "t");
        let steps = [
            step("/v1/agent/self").json(SELF),
            step("/v1/agent/services?ns=n&filter=x+%3D%3D+y").json(SERVICES),
            step("/v1/agent/checks?ns=n").json("{}"),
        ];
        let server = ScriptedServer::start_behind(&socket, steps).await;
        let text = format!(
            "{{server: 'unix://{}', token: t, namespace: n, filter: x == y, refresh_interval: 10m}}",
            socket.display()
        );
        let mut run = Run::start(&config(&text)).await.expect("it can be built");
        run.next().await.expect("a word");
        assert_eq!(Vec::from_iter(addresses(run.picture())), ["10.0.0.1:1"]);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn refusals_and_malformed_answers_of_any_of_them_take_nothing_away() {
    leak_checked_live(async || {
        for (broken, code) in [
            (Step::get("/v1/agent/self").status(403), "http_unauthorized"),
            (Step::get("/v1/agent/self").json("{}"), "sd_rest_malformed"),
            (Step::get("/v1/agent/services").status(429).reply_header("retry-after", "17"), "http_throttled"),
            (Step::get("/v1/agent/services").json("[]"), "sd_rest_malformed"),
            (Step::get("/v1/agent/checks").status(500), "http_status"),
            (Step::get("/v1/agent/checks").json("{}").close(), "http_broken"),
        ] {
            let step = |path: &str, body: &'static str| Step::get(path).any_times().in_parts(9).json(body);
            let server = ScriptedServer::start([
                step("/v1/agent/self", SELF),
                step("/v1/agent/services", SERVICES),
                step("/v1/agent/checks", "{}"),
            ])
            .await;
            let text = format!("{{server: '{}', refresh_interval: 1s}}", server.url(""));
            let mut run = Run::start(&config(&text)).await.expect("it can be built");
            run.next().await.expect("a word");
            server.then(broken.any_times());
            let told = || run.status().last_error.map(|failure| failure.report.code);
            rosterd_testkit::eventually(rosterd_testkit::patience(), "it fails", || told().is_some()).await;
            assert_eq!(told().as_deref(), Some(code));
            while run.try_next().is_some() {}
            assert_eq!(addresses(run.picture()).len(), 1, "{code}");
            run.stop().await.expect("it ends").expect("in order");
            server.finish().await;
        }
    });
}
