//! docs/configuration.md has every key of every section, and of every mechanism that is linked in.

use std::collections::BTreeSet;
use std::path::Path;

use rosterd_client::{Authorization, BasicAuth, Header, HttpClientConfig, OAuth2, TlsConfig};
use rosterd_config::{
    AgentBrake, AzureAd, BrakeSettings, Cluster, DiskQueue, EndpointSettings, FileSd, Global, JobBrake, JobSettings,
    Journal, MetadataConfig, Metrics, Publish, QueueConfig, RemoteWrite, Rosterd, ScrapeSettings, Scraping, SigV4,
    StaticMembers, Template, feature_of,
};
use rosterd_discovery::Registry;
use rosterd_model::relabel::RuleConfig;
use rosterd_yaml::Tree;

use crate::keys::keys_of;
use crate::pages::{Page, rows};
use crate::sources::{literals, sources};

const CLIENT: &str = "## The HTTP client";

/// The section has a row for each of these keys, and no row for a key that is none.
fn assert_documented<'a>(heading: &str, keys: impl IntoIterator<Item = &'a str>) {
    let page = Page::read("configuration.md");
    let keys: BTreeSet<String> = keys.into_iter().map(str::to_owned).collect();
    let documented: BTreeSet<String> =
        rows(page.section(heading)).into_keys().filter(|key| !key.starts_with("__")).collect();
    let difference: Vec<_> = documented.symmetric_difference(&keys).collect();
    assert!(
        !keys.is_empty() && difference.is_empty(),
        "{heading}: missing in docs/configuration.md, or not a key: {difference:?}"
    );
}

/// Without those of the HTTP client, if it has them all: they have a section of their own.
fn own(keys: Vec<&'static str>) -> Vec<&'static str> {
    let client = keys_of::<HttpClientConfig>();
    if client.iter().all(|key| keys.contains(key)) {
        return keys.into_iter().filter(|key| !client.contains(key)).collect();
    }
    keys
}

#[test]
fn every_mechanism_has_a_section_with_its_keys() {
    for mechanism in Registry::linked().unwrap().iter() {
        // Those of `static` are a list.
        let keys = ["{}", "[{}]"].map(|text| {
            let mut tree = Tree::default();
            let root = tree.read(Path::new("keys.yml"), text.as_bytes()).sound().unwrap();
            rosterd_yaml::decode(&tree, root, "", &[], mechanism.decode).keys
        });
        assert_documented(&format!("### `{}`", mechanism.key()), own(keys.concat()));
    }
}

#[test]
fn every_mechanism_lists_the_labels_that_it_sets() {
    let page = Page::read("configuration.md");
    let (sources, registry) = (sources(), Registry::linked().unwrap());
    for mechanism in registry.iter() {
        let crate_name = feature_of(mechanism.name);
        let folder = format!("/discovery/{crate_name}/src/");
        let code = sources.iter().filter(|(path, _)| path.display().to_string().contains(&folder));
        let labels = code.flat_map(|(_, text)| literals(text)).filter(|literal| literal.starts_with("__meta_"));
        // Mechanisms that share a crate tell their labels apart by their names.
        let is_shared = registry.iter().filter(|other| feature_of(other.name) == crate_name).count() > 1;
        let prefix = if is_shared { format!("__meta_{}_", mechanism.name) } else { "__meta_".to_owned() };
        let labels: BTreeSet<_> = labels.filter(|label| label.starts_with(&prefix)).map(str::to_owned).collect();
        let documented = rows(page.section(&format!("### `{}`", mechanism.key())));
        let documented: BTreeSet<_> = documented.into_keys().filter(|key| key.starts_with("__meta_")).collect();
        assert_eq!(documented, labels, "the labels of {} in docs/configuration.md", mechanism.name);
    }
}

#[test]
fn the_keys_of_prometheus_are_there() {
    assert_documented("## `global`", keys_of::<Global>());
    assert_documented("## `scrape_configs`", own(keys_of::<ScrapeSettings>()));
    assert_documented("## `relabel_configs`", keys_of::<RuleConfig>());
    assert_documented("## `remote_write`", {
        let inner = [keys_of::<QueueConfig>(), keys_of::<MetadataConfig>(), keys_of::<SigV4>(), keys_of::<AzureAd>()];
        own(keys_of::<RemoteWrite>()).into_iter().chain(inner.into_iter().flatten())
    });
}

#[test]
fn the_keys_of_the_http_client_are_there() {
    assert_documented(CLIENT, {
        let more = [keys_of::<TlsConfig>(), keys_of::<OAuth2>(), keys_of::<BasicAuth>(), keys_of::<Authorization>()];
        let inner = more.into_iter().flatten().chain(keys_of::<Header>());
        keys_of::<HttpClientConfig>().into_iter().chain(inner)
    });
}

#[test]
fn the_keys_of_rosterd_are_there() {
    assert_documented("## `rosterd`", {
        let inner = [
            keys_of::<Scraping>(),
            keys_of::<BrakeSettings>(),
            keys_of::<AgentBrake>(),
            keys_of::<JobBrake>(),
            keys_of::<JobSettings>(),
            keys_of::<Publish>(),
            keys_of::<FileSd>(),
            keys_of::<DiskQueue>(),
            keys_of::<Journal>(),
            keys_of::<EndpointSettings>(),
            keys_of::<Metrics>(),
            keys_of::<Template>(),
            keys_of::<Cluster>(),
            keys_of::<StaticMembers>(),
        ];
        keys_of::<Rosterd>().into_iter().chain(inner.into_iter().flatten())
    });
}
