//! What Consul answers, and what becomes of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, json};

rosterd_rest::reply! {
    struct Agent {
        config: AgentConfig = "Config",
    }

    /// How an agent is configured.
    pub struct AgentConfig {
        /// Its datacenter.
        pub datacenter: String = "Datacenter",
        /// The name of its node.
        pub node: String = "NodeName",
    }

    struct Entry {
        node: Node = "Node",
        service: Service = "Service",
        checks: Vec<Check> = "Checks",
    }

    struct Node {
        name: String = "Node",
        address: String = "Address",
        meta: BTreeMap<String, String> = "Meta",
        tagged_addresses: BTreeMap<String, String> = "TaggedAddresses",
    }

    struct Service {
        id: String = "ID",
        address: String = "Address",
        port: i64 = "Port",
        namespace: String = "Namespace",
        partition: String = "Partition",
        tags: Vec<String> = "Tags",
        meta: BTreeMap<String, String> = "Meta",
    }

    /// A check of a node or a service.
    pub struct Check {
        /// Its id.
        pub id: String = "CheckID",
        /// Its status.
        pub status: String = "Status",
        /// The id of the service, unless it is of the node.
        pub service: String = "ServiceID",
    }
}

/// The datacenter of an agent.
pub(super) fn datacenter(body: &[u8]) -> Result<String, Fault> {
    let agent: Agent = json(body)?;
    match agent.config.datacenter {
        name if name.is_empty() => Err(Fault::new("it names no datacenter: Config.Datacenter is missing")),
        name => Ok(name),
    }
}

/// The names of the services that are wanted: these, or all, with all of these tags.
pub(super) fn services(body: &[u8], wanted: &[String], tags: &[String]) -> Result<BTreeSet<String>, Fault> {
    let services = json::<Option<BTreeMap<String, Option<Vec<String>>>>>(body)?.unwrap_or_default();
    let is_wanted = |(name, has): &(String, Option<Vec<String>>)| {
        let has = has.as_deref().unwrap_or_default();
        (wanted.is_empty() || wanted.contains(name)) && tags.iter().all(|tag| has.contains(tag))
    };
    Ok(services.into_iter().filter(is_wanted).map(|(name, _)| name).collect())
}

/// The instances of a service.
pub(super) fn group(body: &[u8], service: &str, datacenter: &str, separator: &str) -> Result<TargetGroup, Fault> {
    let entries = json::<Option<Vec<Entry>>>(body)?.unwrap_or_default();
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let target = |Entry { node, service, checks }: Entry| {
        // A service may be registered by another node than the one it runs on.
        let host = if service.address.is_empty() { &node.address } else { &service.address };
        sheet.endpoint(host, service.port);
        sheet.set("__meta_consul_address", &node.address);
        sheet.set("__meta_consul_node", &node.name);
        sheet.set("__meta_consul_namespace", &service.namespace);
        sheet.set("__meta_consul_partition", &service.partition);
        sheet.list("__meta_consul_tags", &service.tags, separator);
        sheet.set("__meta_consul_service_address", &service.address);
        sheet.number("__meta_consul_service_port", service.port);
        sheet.set("__meta_consul_service_id", &service.id);
        sheet.set("__meta_consul_health", health(&checks));
        sheet.map("__meta_consul_metadata_", &node.meta);
        sheet.map("__meta_consul_service_metadata_", &service.meta);
        sheet.map("__meta_consul_tagged_address_", &node.tagged_addresses);
        sheet.build(&mut names)
    };
    let targets = entries.into_iter().map(target).collect();
    let labels = [("__meta_consul_service", service), ("__meta_consul_dc", datacenter)];
    Ok(TargetGroup { labels: labels.into_iter().collect(), targets, ..TargetGroup::default() })
}

/// The worst status of all checks. One that is unknown makes the whole unknown.
pub fn health<'a>(checks: impl IntoIterator<Item = &'a Check>) -> &'static str {
    const STATUSES: [&str; 3] = ["passing", "warning", "critical"];
    let mut worst = 0;
    let mut is_maintained = false;
    for check in checks {
        if check.id == "_node_maintenance" || check.id.starts_with("_service_maintenance:") {
            is_maintained = true;
            continue;
        }
        let Some(rank) = STATUSES.iter().position(|status| *status == check.status) else { return "" };
        worst = worst.max(rank);
    }
    if is_maintained { "maintenance" } else { STATUSES[worst] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_health() {
        for (checks, want) in [
            (&[][..], "passing"),
            (&[("a", "passing"), ("b", "warning")], "warning"),
            (&[("a", "critical"), ("b", "warning")], "critical"),
            (&[("a", "critical"), ("_node_maintenance", "critical")], "maintenance"),
            (&[("_service_maintenance:web", "x"), ("a", "passing")], "maintenance"),
            (&[("_node_maintenance", "critical"), ("a", "odd")], ""),
        ] {
            let check = |(id, status): &(&str, &str)| Check {
                id: (*id).to_owned(),
                status: (*status).to_owned(),
                ..Check::default()
            };
            let list: Vec<_> = checks.iter().map(check).collect();
            assert_eq!(health(&list), want, "{checks:?}");
        }
    }

    #[test]
    fn services_are_wanted_by_their_names_and_tags() {
        let body = br#"{"web": ["a", "b"], "api": null, "db": ["a"]}"#;
        let names = |wanted: &[&str], tags: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            Vec::from_iter(services(body, &owned(wanted), &owned(tags)).expect("services"))
        };
        assert_eq!(names(&[], &[]), ["api", "db", "web"]);
        assert_eq!(names(&[], &["a"]), ["db", "web"]);
        assert_eq!(names(&["web", "api", "Web"], &["b", "a"]), ["web"]);
        assert_eq!(names(&["WEB"], &[]), [""; 0]);
    }
}
