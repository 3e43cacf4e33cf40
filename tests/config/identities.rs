//! What tells providers apart, for all mechanisms that are linked in: the same in every version, because it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rosterd_discovery::{AnyConfig, Jobs, Plan, ProviderKey, Providers, Registry, System};
use rosterd_testkit::assert_golden;
use serde_yaml::Value;

const FILE: &str = "testdata/discovery/identities.yml";

fn configs() -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn decode(key: &str, value: &Value) -> Arc<dyn AnyConfig> {
    let mechanisms = Registry::linked().unwrap();
    let mechanism = mechanisms.by_key(key).unwrap_or_else(|| panic!("{FILE}: {key} is not linked in"));
    let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(value.clone());
    let mut config = (mechanism.decode)(&mut erased).unwrap_or_else(|error| panic!("{key} {value:?}: {error}"));
    config.resolve_paths(Path::new("/etc/rosterd"));
    Arc::from(config)
}

/// The keys that these get together.
fn keys(configs: &[Arc<dyn AnyConfig>]) -> Vec<ProviderKey> {
    let jobs = Jobs::from([(Arc::from("job"), configs.to_vec())]);
    Plan::new(&Providers::new(), &jobs, &System::default()).jobs.remove("job").unwrap()
}

fn key_of(config: &Arc<dyn AnyConfig>) -> ProviderKey {
    keys(std::slice::from_ref(config)).remove(0)
}

#[test]
fn keys_of_providers_are_the_same_in_every_version() {
    let all = configs();
    for mechanism in Registry::linked().unwrap().iter() {
        assert!(all.contains_key(&mechanism.key()), "{FILE} has nothing for {}", mechanism.key());
    }
    let mut lines = String::new();
    let mut seen = BTreeSet::new();
    for (key, values) in all.iter().filter(|(key, _)| Registry::linked().unwrap().by_key(key).is_some()) {
        for value in values {
            let provider = key_of(&decode(key, value));
            assert!(seen.insert(provider.clone()), "{key} {value:?} has the key of another");
            lines += &format!("{provider} {}\n", serde_json::to_string(value).unwrap());
        }
    }
    if cfg!(feature = "default") {
        assert_golden("discovery/identities.golden", &lines);
    }
}

#[test]
fn how_often_and_how_long_does_not_count() {
    for (key, value) in configs().iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value))) {
        let config = decode(key, value);
        let Some(interval) = config.refresh_interval() else { continue };
        let mut slower = value.clone();
        slower["refresh_interval"] = Value::from(format!("{}ms", 2 * interval.as_millis()));
        let slower = decode(key, &slower);
        assert_ne!(&*config, &*slower);
        let keys = keys(&[config, slower]);
        assert_eq!((keys[0].data(), keys[0].data().len()), (keys[1].data(), keys[0].as_str().len()));
        assert_eq!(keys[1].as_str(), format!("{}-2", keys[0]), "unequal configurations are two providers");
    }
}

#[test]
fn spelling_and_order_do_not_count() {
    for (key, one, other) in [
        ("file_sd_configs", "{files: [a.yml, b/../c.yml]}", "{files: [/etc/rosterd/c.yml, ./a.yml]}"),
        (
            "kubernetes_sd_configs",
            "{role: pod, api_server: 'https://k', namespaces: {names: [a, b]}, selectors: [{role: pod, label: a}, {role: node, label: b}]}",
            "{role: pod, api_server: 'HTTPS://k/', namespaces: {names: [b, a]}, selectors: [{role: node, label: b}, {role: pod, label: a}]}",
        ),
        (
            "exec_sd_configs",
            "{command: [./a], working_directory: .}",
            "{command: [x/../a], working_directory: /etc/rosterd}",
        ),
        (
            "nerve_sd_configs",
            "{servers: [a, b], paths: [/x, /y/]}",
            "{servers: ['b:2181', a], paths: [/y, /x, /x/z], timeout: 1m}",
        ),
        ("dns_sd_configs", "{names: [a, b]}", "{names: [b, a], type: srv, port: 0}"),
        ("http_sd_configs", "{url: 'http://a'}", "{url: 'HTTP://A:80/', body_size_limit: 1MB, proxy_url: 'http://p'}"),
        (
            "http_sd_configs",
            "{url: 'http://a', http_headers: {X-A: {values: [a]}, X-B: {values: [b]}}}",
            "{url: 'http://a', http_headers: {X-B: {values: [b]}, x-a: {values: [a]}}}",
        ),
    ] {
        let of = |text: &str| key_of(&decode(key, &serde_yaml::from_str(text).unwrap()));
        if Registry::linked().unwrap().by_key(key).is_some() {
            assert_eq!(of(one), of(other), "{one} and {other}");
        }
    }
}
