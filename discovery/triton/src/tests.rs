//! What CMON is asked, and what becomes of its answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_discovery::{CheckContext, Finding, Identity, MechanismConfig as _};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};

use super::{TritonConfig, decode};

const ONE: &str = r#"{"containers": [{"vm_uuid": "a"}]}"#;

fn config(text: &str) -> TritonConfig {
    serde_yaml::from_str(text).expect(text)
}

fn of(server: &ScriptedServer, more: &str) -> TritonConfig {
    let port = server.address().port();
    config(&format!(
        "{{account: me, dns_suffix: cns.test, endpoint: localhost, port: {port}, refresh_interval: 1h{more}}}"
    ))
}

#[test]
fn containers_and_compute_nodes_become_labels() {
    for (file, role) in [("containers", "container"), ("cns", "cn")] {
        let config = config(&format!("{{dns_suffix: cns.triton.example.com, role: {role}}}"));
        let body = fixture(&format!("discovery/triton/{file}.json"));
        let groups = decode::groups(body.as_bytes(), &config).expect("groups");
        let golden = format!("discovery/triton/{file}.golden.yml");
        assert_golden(&golden, &serde_yaml::to_string(&groups).expect("writes"));
    }
}

#[test]
fn an_answer_without_the_list_is_no_empty_list() {
    let refused = |text: &str, role: &str| {
        decode::groups(text.as_bytes(), &config(&format!("role: {role}"))).expect_err(text).to_string()
    };
    assert_eq!(refused(r#"{"code": "NotAuthorized"}"#, "container"), "containers is missing");
    assert_eq!(refused(r#"{"containers": []}"#, "cn"), "cns is missing");
    assert_eq!(refused(r#"{"cns": 1}"#, "cn"), "line 1, column 9: expected a list, found a number");
    assert!(decode::groups(br#"{"containers": []}"#, &config("{}")).expect("none").is_empty());
}

#[test]
fn who_has_a_certificate_is_told_what_is_asked_for() {
    leak_checked_live(async || {
        for (path, more, body) in [
            ("/v1/discover", "", ONE),
            ("/v1/discover?groups=a%2Cb+c", ", groups: [a, b c]", ONE),
            ("/v2/gz/discover", ", role: cn, version: 2", r#"{"cns": [{"server_uuid": "a"}]}"#),
        ] {
            let server = ScriptedServer::with_tls([Step::get(path).json(body).in_parts(3)]).await;
            let config = of(&server, &format!("{more}, tls_config: {}", server.tls_config()));
            let mut run = Run::start(&config).await.expect("it can be built");
            let told = addresses(run.next().await.expect("a word").groups());
            assert_eq!(told.into_iter().collect::<Vec<_>>(), [format!("a.cns.test:{}", server.address().port())]);
            assert_eq!(server.requests()[0].path, path);
            run.stop().await.expect("it ends").expect("in order");
            server.finish().await;
        }
    });
}

async fn failure(config: &TritonConfig) -> String {
    let run = Run::start(config).await.expect("it can be built");
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let code = run.status().last_error.expect("there is one").report.code;
    run.stop().await.expect("it ends").expect("in order");
    code
}

#[test]
fn refusals_and_malformed_answers_are_told() {
    leak_checked_live(async || {
        let route = || Step::get("/v1/discover").any_times();
        for (step, code) in [
            (route().status(401).json(ONE), "http_unauthorized"),
            (route().status(403).json(ONE), "http_unauthorized"),
            (route().status(500).json(ONE), "http_status"),
            (route().status(429).reply_header("retry-after", "17"), "http_throttled"),
            (route().json(ONE).truncate(20), "http_broken"),
            (route().json("{}"), "sd_rest_malformed"),
        ] {
            let server = ScriptedServer::with_tls([step]).await;
            let config = of(&server, &format!(", tls_config: {}", server.tls_config()));
            assert_eq!(failure(&config).await, code);
            server.finish().await;
        }
    });
}

#[test]
fn a_server_that_is_silent_or_does_not_know_who_asks_is_given_up() {
    leak_checked_live(async || {
        let server = ScriptedServer::with_tls([Step::get("/v1/discover").any_times().stall()]).await;
        let mut config = of(&server, &format!(", tls_config: {}", server.tls_config()));
        config.refresh_interval = "100ms".parse().expect("a duration");
        assert_eq!(failure(&config).await, "http_timeout");
        config.tls_config.cert_file = Default::default();
        config.tls_config.key_file = Default::default();
        config.refresh_interval = "1h".parse().expect("a duration");
        assert_eq!(failure(&config).await, "http_tls");
        config.tls_config.ca_file = Default::default();
        assert_eq!(failure(&config).await, "http_tls");
        server.finish().await;
    });
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn what_is_needed_is_needed_and_the_endpoint_is_a_host() {
    let missing = ["cfg_missing_key account", "cfg_missing_key dns_suffix", "cfg_missing_key endpoint"];
    assert_eq!(problems("{}"), missing);
    for endpoint in ["triton.example.com", "10.0.0.1", "::1", "[::1]"] {
        assert_eq!(problems(&format!("{{account: a, dns_suffix: d, endpoint: '{endpoint}'}}")), [""; 0], "{endpoint}");
    }
    for endpoint in ["https://triton.example.com", "triton.example.com:9163", "a/b", "me@a", "a b"] {
        let text = format!("{{account: a, dns_suffix: d, endpoint: '{endpoint}'}}");
        assert_eq!(problems(&text), ["cfg_invalid_value endpoint"], "{endpoint}");
    }
    assert_eq!(
        problems("{account: a, dns_suffix: d, endpoint: e, tls_config: {cert_file: c}}"),
        ["cfg_missing_key tls_config"]
    );
    for text in ["{role: node}", "{role: ''}", "{bearer_token: t}", "{proxy_url: 'http://p'}"] {
        assert!(serde_yaml::from_str::<TritonConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn files_are_looked_for_beside_the_configuration_and_those_that_are_missing_are_named() {
    let mut config = config("tls_config: {cert_file: c.pem, key_file: /nonexistent/k.pem}");
    config.resolve_paths(Path::new("/nonexistent/conf"));
    assert_eq!(config.tls_config.cert_file, Path::new("/nonexistent/conf/c.pem"));
    assert_eq!(config.tls_config.key_file, Path::new("/nonexistent/k.pem"));
    let missing = config.examine(&CheckContext::default());
    assert!(!missing.is_empty() && missing.iter().all(|it| matches!(it, Finding::Missing(_))), "{missing:?}");
}

#[test]
fn whatever_says_what_is_read_and_as_whom_counts() {
    let hash = |text: &str| {
        let mut identity = Identity::new();
        config(text).identity(&mut identity);
        identity.hash()
    };
    let all = [
        "{}",
        "{endpoint: e}",
        "{dns_suffix: d}",
        "{port: 9164}",
        "{version: 2}",
        "{role: cn}",
        "{groups: [a]}",
        "{tls_config: {cert_file: c, key_file: k}}",
    ];
    assert_eq!(all.map(hash).iter().collect::<BTreeSet<_>>().len(), all.len());
    // CMON takes the account from the certificate, and an address may stand in brackets.
    assert_eq!(hash("{endpoint: '::1', groups: [a, b]}"), hash("{endpoint: '[::1]', groups: [b, a], account: me}"));
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text =
        "{account: '', role: container, dns_suffix: '', endpoint: '', port: 9163, refresh_interval: 60s, version: 1}";
    assert_eq!(config(text), TritonConfig::default());
    assert_eq!(TritonConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
}
