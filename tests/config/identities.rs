//! What tells providers apart, for all mechanisms that are linked in: the same in every version, because it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rosterd_discovery::{AnyConfig, Environment, Jobs, Plan, ProviderKey, Providers, Registry, System};
use rosterd_testkit::assert_golden;
use rosterd_yaml::Tree;
use serde_yaml::Value;

const FILE: &str = "testdata/discovery/identities.yml";
/// Variables of the environment that say who asks, each with a value of its own.
const NAMING: [&str; 24] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_EC2_INSTANCE_PROFILE_NAME",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "OS_APPLICATION_CREDENTIAL_ID",
    "OS_APPLICATION_CREDENTIAL_SECRET",
    "OS_DOMAIN_NAME",
    "OS_PASSWORD",
    "OS_PROJECT_NAME",
    "OS_USERID",
    "OS_USERNAME",
    "OS_USER_DOMAIN_NAME",
    "OS_TENANT_NAME",
];
/// Names that speak of who asks.
const WHO: [&str; 13] = [
    "account",
    "client_id",
    "credential",
    "external_id",
    "fingerprint",
    "key",
    "password",
    "profile",
    "role_arn",
    "secret",
    "tenant",
    "token",
    "user",
];

fn configs() -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// All entries of the good fixtures, by their keys.
fn fixtures() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (_, path) in super::fixtures("good") {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: Value = serde_yaml::from_str(&text).unwrap_or_default();
        let jobs = file["scrape_configs"].as_sequence().into_iter().flatten().filter_map(Value::as_mapping);
        for (key, entries) in jobs.flatten().filter_map(|(key, entries)| Some((key.as_str()?, entries))) {
            if key.ends_with("_sd_configs") && Registry::linked().unwrap().by_key(key).is_some() {
                found.extend(entries.as_sequence().into_iter().flatten().map(|entry| (key.to_owned(), entry.clone())));
            }
        }
    }
    found
}

fn decode(key: &str, value: &Value) -> Arc<dyn AnyConfig> {
    let mechanisms = Registry::linked().unwrap();
    let mechanism = mechanisms.by_key(key).unwrap_or_else(|| panic!("{FILE}: {key} is not linked in"));
    let (mut tree, text) = (Tree::default(), serde_yaml::to_string(value).unwrap());
    let root = tree.read(Path::new(FILE), text.as_bytes()).sound().unwrap();
    let decoded = rosterd_yaml::decode(&tree, root, "", &[], mechanism.decode);
    let mut config = decoded.value.unwrap_or_else(|| panic!("{key} {value:?}: {:?}", decoded.problems));
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

#[test]
fn nobody_is_told_who_asks() {
    let others: Environment = NAMING.iter().map(|name| (*name, format!("whom-{name}"))).collect();
    let keystone = [
        ("OS_AUTH_URL", "http://k"),
        ("OS_USERNAME", "whom-me"),
        ("OS_PASSWORD", "whom-me"),
        ("OS_DOMAIN_ID", "whom-me"),
    ];
    let written =
        configs().into_iter().flat_map(|(key, values)| values.into_iter().map(move |value| (key.clone(), value)));
    let linked = Registry::linked().unwrap();
    let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
    for (key, value) in written.chain(fixtures()).filter(|(key, _)| linked.by_key(key).is_some()) {
        seen.insert(key.clone());
        for environment in [Environment::default(), others.clone(), keystone.into_iter().collect()] {
            let identity = decode(&key, &value).identified(&System::new("m", environment));
            for (name, values) in identity.reads().iter() {
                let speaks = WHO.iter().any(|word| name.contains(word)) || name.ends_with("_file");
                if speaks || values.iter().any(|value| value.contains("whom-")) {
                    told.insert(format!("{key} {name}"));
                }
            }
        }
    }
    assert_eq!(seen.len(), linked.iter().count(), "each mechanism has a fixture");
    // Which servers it names is what is read, beside who asks them, and whose servers are.
    let wanted = ["kubernetes_sd_configs kubeconfig_file", "openstack_sd_configs all_tenants"];
    assert_eq!(told, wanted.map(str::to_owned).into());
}

#[test]
fn whom_the_environment_names_has_the_same_key_in_every_version() {
    if !cfg!(feature = "default") {
        return;
    }
    let mut lines = String::new();
    for (key, value, name) in [
        ("ec2_sd_configs", "{}", "AWS_PROFILE"),
        ("ec2_sd_configs", "{}", "AWS_REGION"),
        ("ec2_sd_configs", "{region: r}", "AWS_CONFIG_FILE"),
        ("ec2_sd_configs", "{}", "AWS_ENDPOINT_URL_EC2"),
        ("ecs_sd_configs", "{}", "AWS_ENDPOINT_URL_EC2"),
        ("azure_sd_configs", "{subscription_id: s, authentication_method: SDK}", "AZURE_CLIENT_ID"),
        ("azure_sd_configs", "{subscription_id: s, authentication_method: SDK}", "AZURE_CLIENT_SECRET"),
        ("azure_sd_configs", "{subscription_id: s, authentication_method: WorkloadIdentity}", "AZURE_CLIENT_ID"),
        ("gce_sd_configs", "{project: p, zone: z}", "GOOGLE_APPLICATION_CREDENTIALS"),
    ] {
        let config = decode(key, &serde_yaml::from_str(value).unwrap());
        let jobs = Jobs::from([(Arc::from("job"), vec![config])]);
        let system = System::new("m", [(name, "http://value")].into_iter().collect());
        let provider = Plan::new(&Providers::new(), &jobs, &system).jobs.remove("job").unwrap().remove(0);
        assert!(!lines.contains(provider.as_str()), "{key} {value} with {name} has the key of another");
        lines += &format!("{provider} {name} {value}\n");
    }
    assert_golden("discovery/identities_on.golden", &lines);
}
