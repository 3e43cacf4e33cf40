//! What people get wrong, and what they are told: one message for one mistake, with its place, in words of configurations
//! that say what to do.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use rosterd_config::{Config, ConfigErrors, LoadOptions, Loaded, Problem};
use rosterd_discovery::Registry;
// The mechanisms that the files here use.
use rosterd_discovery_http as _;
use rosterd_discovery_static as _;

/// Words of Rust, of serde and of the system that say nothing to whoever writes a configuration.
const FOREIGN: [&str; 14] = [
    "os error",
    "invalid type",
    "invalid value",
    "invalid length",
    "missing field",
    "unknown field",
    "unknown variant",
    "struct ",
    "u64",
    "i64",
    "a sequence",
    "untagged",
    "relative URL",
    "EOF while",
];

fn loaded(text: &str) -> Result<Loaded, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, text).unwrap();
    let options = LoadOptions {
        allow_exec: false,
        allow_template_commands: false,
        examine: true,
        impossible: None,
        template: None,
        env: &|_| None,
    };
    Config::load(&file, None, &Registry::linked().unwrap(), &options)
}

fn problems(text: &str) -> Vec<Problem> {
    match loaded(text) {
        Ok(loaded) => loaded.warnings,
        Err(refused) => refused.problems,
    }
}

fn job(lines: &str) -> String {
    format!("scrape_configs:\n- job_name: a\n  {lines}\n")
}

fn told(text: &str, line: usize, words: &str) {
    let found = problems(text);
    let [problem] = &found[..] else { panic!("{text}\nhas one mistake, and {} are told: {found:#?}", found.len()) };
    assert!(problem.message.contains(words), "{text}\nwants {words:?}, and is told {:?}", problem.message);
    assert_eq!(problem.line, line, "{text}\n{problem}");
    for foreign in FOREIGN {
        assert!(!problem.message.contains(foreign), "{foreign:?} in {problem}");
    }
}

#[test]
fn wrong_values_are_told_with_what_to_write() {
    for (value, words) in [
        ("15", "write whole numbers with units, the largest first, as in 15s"),
        (
            "15 seconds",
            "unknown unit \" seconds\" in the duration \"15 seconds\": write whole numbers with ms, s, m, h",
        ),
        ("1.5m", "as in 1m30s"),
        ("''", "write one such as 15s"),
        ("[15s]", "expected a duration such as 30s or 1d12h, found a list"),
    ] {
        told(&format!("global:\n  scrape_interval: {value}\n"), 2, words);
    }
    for (lines, words) in [
        ("body_size_limit: 8", "write B, KB, MB, GB and so on behind the number"),
        ("sample_limit: -1", "expected a whole number that is not negative and not too large, found -1"),
        ("honor_labels: 'yes'", "expected true or false, found text: leave the quotes out"),
        ("http_sd_configs: ['http://a/']", "expected a map of keys and values, found text; write url: in front of it"),
        ("static_configs: ['a:1']", "as in `targets: ['host:9100']`"),
        ("static_configs: [{targets: ['a:1'], labels: [{a: b}]}]", "expected a map, found a list: write `name: value`"),
        ("tls_config: yes.pem", "write keys below it"),
        ("tls_config: {cert: x}", "the certificate has no key: write key or key_file beside it"),
        ("relabel_configs: [{action: hashmod, source_labels: [a], target_label: b}]", "write `modulus: 4`"),
        ("relabel_configs: [{action: uppercase, source_labels: [a]}]", "write the label that is to get the result"),
        ("relabel_configs: [{action: labeldrop, regex: a, target_label: b}]", "leave the other keys out"),
        ("http_headers: {Host: {values: [a]}}", "is not yours to set"),
        ("params: {module: http_2xx}", "expected a list, found text: put brackets around it"),
        ("scheme: htps", "targets are scraped by http or https"),
        ("tls_config: {min_version: TLS1.2}", "is not one of TLS10, TLS11, TLS12, TLS13"),
        ("tls_config: {ca_file: nope.pem}", "nope.pem: No such file or directory"),
        ("proxy_url: proxy.example:3128", "write http:// or https:// in front of it"),
        ("scrape_protocols: [prometheus]", "is not one of PrometheusProto"),
        ("http_sd_configs: [{url: 'a.example:80/x'}]", "write http:// or https:// in front of it"),
        ("static_configs: [{targets: 'a:1'}]", "put brackets around it, as in [a, b]"),
        ("static_configs: [{targets: ['http://a/']}]", "leave out the scheme"),
    ] {
        told(&job(lines), 3, words);
    }
}

#[test]
fn what_stands_in_the_wrong_form_is_told_with_the_right_one() {
    for (text, line, words) in [
        ("- job_name: a\n", 1, "keys such as `scrape_configs:` at the left margin, and found a list"),
        ("scrape_configs\n", 1, "at the left margin, and found text"),
        ("scrape_configs:\n  job_name: a\n", 2, "expected a list, found a map: put a dash in front of each entry"),
        ("scrape_configs: jobs.yml\n", 1, "expected a list, found text: put a dash in front of each entry"),
        ("remote_write:\n  url: http://a/\n", 2, "expected a list, found a map: put a dash"),
        ("remote_write:\n- name: a\n", 2, "remote_write needs a url"),
        ("scrape_config_files: ['jobs/*.yml']\n", 1, "there is no file "),
        ("scrape_configs:\n\t- job_name: a\n", 2, "a tab cannot indent: use spaces"),
        ("scrape_configs:\n- job_name: a: b\n", 2, "put a text with `: ` in it in quotes"),
    ] {
        told(text, line, words);
    }
    told(&job("http_sd_configs: {url: 'http://a/'}"), 3, "expected a list, found a map: put a dash");
}

#[test]
fn unknown_keys_are_told_with_those_that_there_are_or_what_they_are_here() {
    for (lines, words) in [
        ("static_config: []", "did you mean `static_configs`?"),
        ("http_sd_configs: [{url: 'http://a/', host: b}]", "it is called `url` here"),
        ("http_sd_configs: [{url: 'http://a/', interval: 5s}]", "it is called `refresh_interval` here"),
        (
            "http_sd_configs: [{url: 'http://a/', colour: red}]",
            "there are url, refresh_interval, body_size_limit, and those of the HTTP client",
        ),
        ("vmware_sd_configs: []", "there is no such mechanism: discover these targets elsewhere"),
        ("htp_sd_configs: []", "did you mean `http_sd_configs`?"),
        ("basic_auth: {user: a}", "there are username"),
        ("kubernetes_sd_configs: []", "read them by file_sd_configs or http_sd_configs"),
        ("stream_parse: true", "leave it out: every body is read in one pass"),
        ("disable_compression: true", "write `enable_compression: false` in its place"),
        ("relabel_configs: [{action: drop_metrics, regex: a}]", "write drop in its place"),
        ("scrape_fallback_protocol: PrometheusText0.0.4", "it is called fallback_scrape_protocol"),
        (
            "relabel_configs: [{if: x, action: drop, source_labels: [a], regex: b}]",
            "write its condition as source_labels and regex of this rule",
        ),
        ("relabel_configs: [{action: remove}]", "the actions are replace, keep, drop"),
    ] {
        told(&job(lines), 3, words);
    }
    for (text, words) in [
        ("rosterd: {memory_limit: 1GB}\n", "it belongs in `scrape` of `rosterd`"),
        ("rosterd: {file_sd: []}\n", "it belongs in `publish` of `rosterd`"),
        ("remote_write: [{url: 'http://a/', timeout: 5s}]\n", "did you mean `remote_timeout`?"),
    ] {
        told(text, 1, words);
    }
}

#[test]
fn a_rule_that_drops_everything_is_told_unless_its_condition_is_refused() {
    told(&job("relabel_configs: [{action: drop}]"), 3, "this rule drops all targets: it looks at no label");
    let scraped = job("metric_relabel_configs: [{action: keep, regex: up}]") + "remote_write: [{url: 'http://a/'}]\n";
    told(&scraped, 3, "this rule drops all samples: it looks at no label");
    let sent = "remote_write:\n- url: http://a/\n  write_relabel_configs: [{action: drop, source_labels: [a]}]\n";
    told(sent, 3, "this rule drops all samples: its regex matches every value");
    let refused = loaded(&job("relabel_configs: [{action: drop, if: x}]")).unwrap_err();
    assert_eq!((refused.problems.len(), refused.warnings.len()), (1, 0), "{refused}");
}
