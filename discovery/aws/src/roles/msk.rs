//! Brokers and controllers of MSK. Each cluster is a source: one that cannot be read hides no other.

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_discovery::{Error, Reading, Sheet};
use rosterd_model::labels::ADDRESS;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, Page, Sources, json, present};
use serde_json::Value;
use tracing::warn;

use crate::config::Wanted;
use crate::service::{Call, Service};

const PROVISIONED: &str = "PROVISIONED";

rosterd_rest::reply! {
    struct Clusters {
        clusters: Option<Vec<Cluster>> = "clusterInfoList",
        next: Option<String> = "nextToken",
    }

    struct One {
        cluster: Option<Cluster> = "clusterInfo",
    }

    struct Cluster {
        arn: String = "clusterArn",
        name: String = "clusterName",
        state: String = "state",
        kind: String = "clusterType",
        version: String = "currentVersion",
        tags: BTreeMap<String, String> = "tags",
        provisioned: Provisioned = "provisioned",
    }

    struct Provisioned {
        software: Software = "currentBrokerSoftwareInfo",
        monitoring: Option<Monitoring> = "openMonitoring",
    }

    struct Software {
        kafka: String = "kafkaVersion",
        configuration: String = "configurationArn",
        revision: Value = "configurationRevision",
    }

    struct Monitoring {
        prometheus: Option<Exporters> = "prometheus",
    }

    struct Exporters {
        jmx: Option<Exporter> = "jmxExporter",
        node: Option<Exporter> = "nodeExporter",
    }

    struct Exporter {
        in_broker: bool = "enabledInBroker",
    }

    struct Nodes {
        nodes: Option<Vec<Node>> = "nodeInfoList",
        next: Option<String> = "nextToken",
    }

    struct Node {
        arn: String = "nodeARN",
        added: String = "addedToClusterTime",
        kind: String = "instanceType",
        broker: Option<Broker> = "brokerNodeInfo",
        controller: Option<Controller> = "controllerNodeInfo",
    }

    struct Broker {
        interface: String = "attachedENIId",
        id: Value = "brokerId",
        subnet: String = "clientSubnet",
        address: String = "clientVpcIpAddress",
        endpoints: Vec<String> = "endpoints",
    }

    struct Controller {
        endpoints: Vec<String> = "endpoints",
    }
}

pub(crate) struct Msk {
    pub(crate) service: Service,
    wanted: Wanted,
    sources: Sources,
}

impl Msk {
    pub(crate) fn new(service: Service, wanted: Wanted, interval: Duration) -> Self {
        Self { service, wanted, sources: Sources::new(interval) }
    }

    pub(crate) async fn read(&self, region: &str) -> Result<Reading, Error> {
        let (most, source) = (self.wanted.concurrency, |arn: &str| format!("{region}/{arn}"));
        if self.wanted.clusters.is_empty() {
            let (all, mut reading) = (self.all().await?, Vec::new());
            for cluster in &all {
                let source = source(&cluster.arn);
                reading.push((source.clone(), self.groups(cluster, source)));
            }
            return Ok(super::picture(self.sources.read(most, reading).await));
        }
        let mut reading = Vec::new();
        for arn in &self.wanted.clusters {
            let source = source(arn);
            reading.push((source.clone(), self.written(arn, source)));
        }
        Ok(super::picture(self.sources.read(most, reading).await))
    }

    async fn groups(&self, cluster: &Cluster, source: String) -> Result<Vec<TargetGroup>, Error> {
        let nodes = self.nodes(cluster).await?;
        Ok(cluster.groups(&source, &nodes, self.wanted.port))
    }

    /// The groups of a cluster that is written.
    async fn written(&self, arn: &str, source: String) -> Result<Vec<TargetGroup>, Error> {
        let path = ["api", "v2", "clusters", arn].map(str::to_owned).to_vec();
        let cluster = self.service.ask("DescribeClusterV2", &Call::Get(path, Vec::new()), one).await?;
        if cluster.kind != PROVISIONED {
            warn!(
                cluster = arn,
                kind = cluster.kind,
                "a cluster of MSK has no nodes that are told, as it is not provisioned"
            );
            return Ok(Vec::new());
        }
        self.groups(&cluster, source).await
    }

    async fn all(&self) -> Result<Vec<Cluster>, Error> {
        let path = ["api", "v2", "clusters"].map(str::to_owned).to_vec();
        let parameters = vec![("clusterTypeFilter", PROVISIONED.to_owned()), ("maxResults", "100".to_owned())];
        let decode = |text: &str| {
            let Clusters { clusters, next } = json(text.as_bytes())?;
            Ok(Page::new(present(clusters, "clusterInfoList")?, next))
        };
        self.service.list("ListClustersV2", Call::Get(path, parameters), "nextToken", decode).await
    }

    async fn nodes(&self, cluster: &Cluster) -> Result<Vec<Node>, Error> {
        let path = ["v1", "clusters", &cluster.arn, "nodes"].map(str::to_owned).to_vec();
        let decode = |text: &str| {
            let Nodes { nodes, next } = json(text.as_bytes())?;
            Ok(Page::new(present(nodes, "nodeInfoList")?, next))
        };
        let call = Call::Get(path, vec![("maxResults", "100".to_owned())]);
        self.service.list("ListNodes", call, "nextToken", decode).await
    }
}

/// The cluster of an answer about one.
fn one(text: &str) -> Result<Cluster, Fault> {
    let One { cluster } = json(text.as_bytes())?;
    let cluster = present(cluster, "clusterInfo")?;
    present((!cluster.arn.is_empty()).then_some(cluster), "clusterArn")
}

impl Cluster {
    /// A group for each node.
    fn groups(&self, source: &str, nodes: &[Node], port: u16) -> Vec<TargetGroup> {
        let (mut sheet, mut names) = (Sheet::default(), Names::new());
        let mut group = |node: &Node| {
            let targets = node.targets(self.exporter(|exporters| &exporters.node), port, &mut sheet, &mut names);
            if targets.is_empty() {
                return None;
            }
            self.labels(&mut sheet);
            sheet.set("__meta_msk_node_arn", &node.arn);
            sheet.set("__meta_msk_node_added_time", &node.added);
            sheet.set("__meta_msk_node_instance_type", &node.kind);
            let labels = sheet.build(&mut names);
            Some(TargetGroup { source: source.into(), key: node.name(&targets).into(), labels, targets })
        };
        nodes.iter().filter_map(&mut group).collect()
    }

    fn labels(&self, sheet: &mut Sheet) {
        let Software { kafka, configuration, revision } = &self.provisioned.software;
        sheet.set("__meta_msk_cluster_name", &self.name);
        sheet.set("__meta_msk_cluster_arn", &self.arn);
        sheet.set("__meta_msk_cluster_state", &self.state);
        sheet.set("__meta_msk_cluster_type", &self.kind);
        sheet.set("__meta_msk_cluster_version", &self.version);
        sheet.set("__meta_msk_cluster_kafka_version", kafka);
        sheet.set("__meta_msk_cluster_configuration_arn", configuration);
        sheet.set("__meta_msk_cluster_configuration_revision", &number(revision));
        if let Some(is_enabled) = self.exporter(|exporters| &exporters.jmx) {
            sheet.flag("__meta_msk_cluster_jmx_exporter_enabled", is_enabled);
        }
        sheet.map("__meta_msk_cluster_tag_", &self.tags);
    }

    fn exporter(&self, which: fn(&Exporters) -> &Option<Exporter>) -> Option<bool> {
        let exporters = self.provisioned.monitoring.as_ref()?.prometheus.as_ref()?;
        which(exporters).as_ref().map(|exporter| exporter.in_broker)
    }
}

impl Node {
    /// What tells it from the other ones of its cluster: AWS promises no ARN.
    fn name<'a>(&'a self, targets: &'a [Labels]) -> &'a str {
        let address = targets.first().and_then(|target| target.get(ADDRESS));
        super::first_of([&self.arn, address.unwrap_or_default()])
    }

    /// A target for each endpoint.
    fn targets(&self, has_exporter: Option<bool>, port: u16, sheet: &mut Sheet, names: &mut Names) -> Vec<Labels> {
        let (kind, endpoints, index) = match (&self.broker, &self.controller) {
            (Some(broker), _) => ("BROKER", &broker.endpoints, "__meta_msk_broker_endpoint_index"),
            (None, Some(controller)) => ("CONTROLLER", &controller.endpoints, "__meta_msk_controller_endpoint_index"),
            (None, None) => return Vec::new(),
        };
        let target = |(number, endpoint): (usize, &String)| {
            sheet.endpoint(endpoint, port);
            sheet.set("__meta_msk_node_type", kind);
            sheet.number(index, number);
            if let Some(broker) = &self.broker {
                sheet.set("__meta_msk_node_attached_eni", &broker.interface);
                sheet.set("__meta_msk_broker_id", &number_of(&broker.id));
                sheet.set("__meta_msk_broker_client_subnet", &broker.subnet);
                sheet.set("__meta_msk_broker_client_vpc_ip", &broker.address);
                if let Some(has_exporter) = has_exporter {
                    sheet.flag("__meta_msk_broker_node_exporter_enabled", has_exporter);
                }
            }
            sheet.build(names)
        };
        endpoints.iter().enumerate().map(target).collect()
    }
}

fn number(value: &Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}

/// A number that may be written as a fraction, and is none.
fn number_of(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |number| format!("{:.0}", number.round_ties_even()))
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};

    use super::*;

    #[test]
    fn nodes_become_labels() {
        let all: Value = serde_json::from_str(&fixture("discovery/aws/msk.json")).expect("JSON");
        let Clusters { clusters, next } = json(all["clusters"].to_string().as_bytes()).expect("clusters");
        assert_eq!(next, None);
        let Nodes { nodes, .. } = json(all["nodes"].to_string().as_bytes()).expect("nodes");
        let (clusters, nodes) = (clusters.expect("clusters"), nodes.expect("nodes"));
        let mut told = String::new();
        for cluster in &clusters {
            for group in cluster.groups("eu-west-1/c", &nodes, 11001) {
                told += &format!("{} {}\n", group.key, group.labels);
                group.targets.iter().for_each(|target| told += &format!("  {target}\n"));
            }
        }
        assert_golden("discovery/aws/msk.golden.txt", &told);
    }

    #[test]
    fn a_cluster_that_is_being_made_has_less_to_tell() {
        let text = r#"{"clusterInfo": {"clusterArn": "a", "state": "CREATING", "provisioned": null}}"#;
        let cluster = one(text).expect("a cluster");
        assert_eq!((cluster.exporter(|exporters| &exporters.jmx), cluster.groups("s", &[], 80).len()), (None, 0));
    }

    #[test]
    fn an_answer_without_a_cluster_is_none() {
        let told = |text: &str| one(text).map(|cluster| cluster.arn).map_err(|fault| fault.to_string());
        assert_eq!(told("{}"), Err("clusterInfo is missing".to_owned()));
        assert_eq!(told(r#"{"clusterInfo": {}}"#), Err("clusterArn is missing".to_owned()));
        assert_eq!(told(r#"{"clusterInfo": {"clusterArn": "a"}}"#), Ok("a".to_owned()));
    }

    #[test]
    fn nodes_without_an_arn_are_told_apart() {
        let nodes = r#"[{"controllerNodeInfo": {"endpoints": ["c-1", "c-2"]}}, {"controllerNodeInfo": {"endpoints": ["c-3"]}}]"#;
        let nodes: Vec<Node> = json(nodes.as_bytes()).expect("nodes");
        let groups = Cluster::default().groups("s", &nodes, 80);
        let told: Vec<_> = groups.iter().map(|group| (&*group.key, group.targets.len())).collect();
        assert_eq!(told, [("c-1:80", 2), ("c-3:80", 1)]);
    }
}
