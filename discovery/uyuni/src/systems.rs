//! What Uyuni answers about the systems that it manages, and what becomes of it. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::Fault;

use super::rpc::Value;

/// The names of the groups of each system, by its number.
pub(super) type Systems = BTreeMap<i64, Vec<String>>;
/// What each system is called.
pub(super) type Networks = BTreeMap<i64, Network>;

/// What a system is called.
#[derive(Debug, Default)]
pub(super) struct Network {
    hostname: String,
    primary_fqdn: String,
}

/// An exporter on a system.
#[derive(Debug)]
pub(super) struct Endpoint {
    system: i64,
    name: String,
    exporter: String,
    module: String,
    path: String,
    port: i64,
    tls: bool,
}

pub(super) fn systems(answer: Value<'_>) -> Result<Systems, Fault> {
    let system = |value: Value<'_>| {
        let groups = value.list_of("system_groups")?.into_iter().map(|group| group.text_of("name"));
        Ok((value.number_of("id")?, groups.collect::<Result<_, _>>()?))
    };
    answer.list()?.into_iter().map(system).collect()
}

pub(super) fn networks(answer: Value<'_>) -> Result<Networks, Fault> {
    let network = |value: Value<'_>| {
        let network = Network { hostname: value.text_of("hostname")?, primary_fqdn: value.text_of("primary_fqdn")? };
        Ok((value.number_of("system_id")?, network))
    };
    answer.list()?.into_iter().map(network).collect()
}

pub(super) fn endpoints(answer: Value<'_>) -> Result<Vec<Endpoint>, Fault> {
    let endpoint = |value: Value<'_>| {
        Ok(Endpoint {
            system: value.number_of("system_id")?,
            name: value.text_of("endpoint_name")?,
            exporter: value.text_of("exporter_name")?,
            module: value.text_of("module")?,
            path: value.text_of("path")?,
            port: value.number_of("port")?,
            tls: value.flag_of("tls_enabled")?,
        })
    };
    answer.list()?.into_iter().map(endpoint).collect()
}

/// A group for each system that has endpoints, of which it is the source.
pub(super) fn groups(
    systems: &Systems,
    networks: &Networks,
    endpoints: Vec<Endpoint>,
    separator: &str,
) -> Vec<TargetGroup> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut by_system = BTreeMap::<i64, Vec<Endpoint>>::new();
    for endpoint in endpoints {
        by_system.entry(endpoint.system).or_default().push(endpoint);
    }
    let unknown = Network::default();
    let group = |(system, endpoints): (i64, Vec<Endpoint>)| {
        let network = networks.get(&system).unwrap_or(&unknown);
        sheet.number("__meta_uyuni_system_id", system);
        sheet.set("__meta_uyuni_minion_hostname", &network.hostname);
        sheet.set("__meta_uyuni_primary_fqdn", &network.primary_fqdn);
        let groups = systems.get(&system).map(|groups| groups.join(separator));
        sheet.set("__meta_uyuni_groups", &groups.unwrap_or_default());
        let labels = sheet.build(&mut names);
        let targets = endpoints.iter().map(|endpoint| target(endpoint, network, &mut sheet, &mut names)).collect();
        TargetGroup { source: system.to_string().into(), labels, targets, ..TargetGroup::default() }
    };
    by_system.into_iter().map(group).collect()
}

fn target(endpoint: &Endpoint, network: &Network, sheet: &mut Sheet, names: &mut Names) -> Labels {
    // It is a name, never an address in brackets.
    sheet.address(&format!("{}:{}", network.hostname, endpoint.port));
    sheet.set("__meta_uyuni_endpoint_name", &endpoint.name);
    sheet.set("__meta_uyuni_exporter", &endpoint.exporter);
    sheet.set("__meta_uyuni_proxy_module", &endpoint.module);
    sheet.set("__meta_uyuni_metrics_path", &endpoint.path);
    sheet.set("__meta_uyuni_scheme", if endpoint.tls { "https" } else { "http" });
    sheet.build(names)
}
