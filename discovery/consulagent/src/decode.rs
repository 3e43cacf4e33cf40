//! What an agent answers, and what becomes of it. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_discovery_consul::{AgentConfig, Check, health};
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, json, or_default};
use serde::Deserialize;

use super::config::ConsulAgentConfig;

rosterd_rest::reply! {
    pub(super) struct Agent {
        config: AgentConfig = "Config",
        member: Member = "Member",
        meta: BTreeMap<String, String> = "Meta",
    }

    struct Member {
        address: String = "Addr",
    }

    pub(super) struct Service {
        id: String = "ID",
        name: String = "Service",
        datacenter: String = "Datacenter",
        address: String = "Address",
        port: i64 = "Port",
        namespace: String = "Namespace",
        tags: Vec<String> = "Tags",
        meta: BTreeMap<String, String> = "Meta",
        tagged_addresses: BTreeMap<String, TaggedAddress> = "TaggedAddresses",
    }
}

/// Consul's documentation has them in lower case.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a map of keys and values")]
struct TaggedAddress {
    #[serde(rename = "Address", alias = "address", deserialize_with = "or_default")]
    address: String,
    #[serde(rename = "Port", alias = "port", deserialize_with = "or_default")]
    port: i64,
}

/// By their ids.
pub(super) type Services = BTreeMap<String, Service>;
pub(super) type Checks = BTreeMap<String, Check>;

/// What an agent says of itself.
pub(super) fn agent(body: &[u8]) -> Result<Agent, Fault> {
    let agent: Agent = json(body)?;
    if agent.config.datacenter.is_empty() {
        return Err(Fault::new("it names no datacenter: Config.Datacenter is missing"));
    }
    Ok(agent)
}

/// The services of an agent.
pub(super) fn services(body: &[u8]) -> Result<Services, Fault> {
    Ok(json::<Option<Services>>(body)?.unwrap_or_default())
}

/// The checks of an agent.
pub(super) fn checks(body: &[u8]) -> Result<Checks, Fault> {
    Ok(json::<Option<Checks>>(body)?.unwrap_or_default())
}

/// A group for each name of services that are wanted.
pub(super) fn groups(
    agent: &Agent,
    services: Services,
    checks: &Checks,
    config: &ConsulAgentConfig,
) -> Vec<TargetGroup> {
    let own = agent.config.datacenter.as_str();
    let datacenter = if config.datacenter.is_empty() { own } else { &config.datacenter };
    let is_wanted = |service: &Service| {
        // Agents of old do not say it: there is none but their own.
        let is_there = if service.datacenter.is_empty() { own } else { &service.datacenter } == datacenter;
        let is_named = |name: &String| name.to_lowercase() == service.name.to_lowercase();
        is_there && (config.services.is_empty() || config.services.iter().any(is_named))
    };
    let mut of_services: BTreeMap<_, Vec<_>> = BTreeMap::new();
    // Those without one are of the node, and count for all of its services.
    for check in checks.values() {
        of_services.entry(check.service.as_str()).or_default().push(check);
    }
    let of = |service: &str| of_services.get(service).into_iter().flatten().copied();
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut groups = BTreeMap::<String, TargetGroup>::new();
    for service in services.into_values().filter(is_wanted) {
        let health = match service.id.as_str() {
            "" => health(of("")),
            id => health(of(id).chain(of(""))),
        };
        let target = target(&service, agent, health, &config.tag_separator, &mut sheet, &mut names);
        let group = groups.entry(service.name).or_insert_with_key(|name| {
            sheet.set("__meta_consulagent_service", name);
            sheet.set("__meta_consulagent_dc", own);
            sheet.set("__meta_consulagent_node", &agent.config.node);
            sheet.set("__meta_consulagent_address", &agent.member.address);
            sheet.map("__meta_consulagent_metadata_", &agent.meta);
            let labels = sheet.build(&mut names);
            TargetGroup { source: name.as_str().into(), labels, ..TargetGroup::default() }
        });
        group.targets.push(target);
    }
    groups.into_values().collect()
}

fn target(
    service: &Service,
    agent: &Agent,
    health: &str,
    separator: &str,
    sheet: &mut Sheet,
    names: &mut Names,
) -> Labels {
    // A service may run elsewhere than its agent.
    let host = if service.address.is_empty() { &agent.member.address } else { &service.address };
    sheet.endpoint(host, service.port);
    sheet.set("__meta_consulagent_health", health);
    sheet.set("__meta_consulagent_namespace", &service.namespace);
    sheet.set("__meta_consulagent_service_address", &service.address);
    sheet.set("__meta_consulagent_service_id", &service.id);
    sheet.number("__meta_consulagent_service_port", service.port);
    sheet.list("__meta_consulagent_tags", &service.tags, separator);
    for tag in &service.tags {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        sheet.set_sanitised("__meta_consulagent_tag_", key, value);
        sheet.set_sanitised("__meta_consulagent_tagpresent_", key, "true");
    }
    sheet.map("__meta_consulagent_service_metadata_", &service.meta);
    for (name, TaggedAddress { address, port }) in &service.tagged_addresses {
        // Unlike elsewhere without brackets: so vmagent has it.
        sheet.set_sanitised("__meta_consulagent_tagged_address_", name, &format!("{address}:{port}"));
    }
    sheet.build(names)
}
