//! Keys of the configuration: what is refused, and what counts.

use std::collections::BTreeSet;

use rosterd_discovery::{CheckContext, Finding, Identity, MechanismConfig};

use super::config;
use crate::OpenstackConfig;

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
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
