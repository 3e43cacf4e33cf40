//! What ElastiCache tells of caches, and the targets of one.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::labels::{ADDRESS, Builder};
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, Page, present, xml};
use roxmltree::Node;

use crate::roles::first_of;
use crate::roles::table::{self, Row, deep, set, set_numbered, text, time};
use crate::xml::Element;

/// Behind `__meta_elasticache_cache_cluster_`.
const CLUSTER: [Row; 36] = [
    text("ARN", "arn"),
    text("CacheClusterId", "cache_cluster_id"),
    text("CacheClusterStatus", "cache_cluster_status"),
    text("AtRestEncryptionEnabled", "at_rest_encryption_enabled"),
    text("AuthTokenEnabled", "auth_token_enabled"),
    time("AuthTokenLastModifiedDate", "auth_token_last_modified"),
    text("AutoMinorVersionUpgrade", "auto_minor_version_upgrade"),
    time("CacheClusterCreateTime", "cache_cluster_create_time"),
    text("CacheNodeType", "cache_node_type"),
    text("CacheParameterGroup/CacheParameterGroupName", "cache_parameter_group"),
    text("CacheSubnetGroupName", "cache_subnet_group_name"),
    text("ClientDownloadLandingPage", "client_download_landing_page"),
    text("ConfigurationEndpoint/Address", "configuration_endpoint_address"),
    text("ConfigurationEndpoint/Port", "configuration_endpoint_port"),
    text("Engine", "engine"),
    text("EngineVersion", "engine_version"),
    text("IpDiscovery", "ip_discovery"),
    text("NetworkType", "network_type"),
    text("NotificationConfiguration/TopicArn", "notification_topic_arn"),
    text("NotificationConfiguration/TopicStatus", "notification_topic_status"),
    text("NumCacheNodes", "num_cache_nodes"),
    text("PreferredAvailabilityZone", "preferred_availability_zone"),
    text("PreferredMaintenanceWindow", "preferred_maintenance_window"),
    text("PreferredOutpostArn", "preferred_outpost_arn"),
    text("ReplicationGroupId", "replication_group_id"),
    text("ReplicationGroupLogDeliveryEnabled", "replication_group_log_delivery_enabled"),
    text("SnapshotRetentionLimit", "snapshot_retention_limit"),
    text("SnapshotWindow", "snapshot_window"),
    text("TransitEncryptionEnabled", "transit_encryption_enabled"),
    text("TransitEncryptionMode", "transit_encryption_mode"),
    text("PendingModifiedValues/AuthTokenStatus", "pending_modified_values_auth_token_status"),
    text("PendingModifiedValues/CacheNodeType", "pending_modified_values_cache_node_type"),
    text("PendingModifiedValues/EngineVersion", "pending_modified_values_engine_version"),
    text("PendingModifiedValues/NumCacheNodes", "pending_modified_values_num_cache_nodes"),
    text("PendingModifiedValues/TransitEncryptionEnabled", "pending_modified_values_transit_encryption_enabled"),
    text("PendingModifiedValues/TransitEncryptionMode", "pending_modified_values_transit_encryption_mode"),
];

/// Behind `__meta_elasticache_cache_cluster_node_`.
const NODE: [Row; 9] = [
    text("CacheNodeId", "id"),
    text("CacheNodeStatus", "status"),
    time("CacheNodeCreateTime", "create_time"),
    text("CustomerAvailabilityZone", "availability_zone"),
    text("CustomerOutpostArn", "customer_outpost_arn"),
    text("SourceCacheNodeId", "source_cache_node_id"),
    text("ParameterGroupStatus", "parameter_group_status"),
    text("Endpoint/Address", "endpoint_address"),
    text("Endpoint/Port", "endpoint_port"),
];

/// Behind `__meta_elasticache_cache_cluster_log_delivery_configuration_`, before a number.
const LOG: [Row; 7] = [
    text("DestinationType", "destination_type"),
    text("LogFormat", "log_format"),
    text("LogType", "log_type"),
    text("Status", "status"),
    text("Message", "message"),
    text("DestinationDetails/CloudWatchLogsDetails/LogGroup", "log_group"),
    text("DestinationDetails/KinesisFirehoseDetails/DeliveryStream", "delivery_stream"),
];

/// Behind `__meta_elasticache_serverless_cache_`. Two words stand together in Prometheus, too.
const SERVERLESS: [Row; 21] = [
    text("ARN", "arn"),
    text("ServerlessCacheName", "name"),
    text("Status", "status"),
    text("Engine", "engine"),
    text("FullEngineVersion", "full_engine_version"),
    text("MajorEngineVersion", "major_engine_version"),
    text("Description", "description"),
    time("CreateTime", "create_time"),
    text("KmsKeyId", "kms_key_id"),
    text("UserGroupId", "user_group_id"),
    text("DailySnapshotTime", "daily_snapshot_time"),
    text("SnapshotRetentionLimit", "snapshot_retention_limit"),
    text("Endpoint/Address", "endpoint_address"),
    text("Endpoint/Port", "endpoint_port"),
    text("ReaderEndpoint/Address", "endpoint_reader_address"),
    text("ReaderEndpoint/Port", "endpoint_reader_port"),
    text("CacheUsageLimits/DataStorage/Maximum", "cache_usage_limit_data_storagemaximum"),
    text("CacheUsageLimits/DataStorage/Minimum", "cache_usage_limit_data_storageminimum"),
    text("CacheUsageLimits/DataStorage/Unit", "cache_usage_limit_data_storageunit"),
    text("CacheUsageLimits/ECPUPerSecond/Maximum", "cache_usage_limit_ecpu_per_secondmaximum"),
    text("CacheUsageLimits/ECPUPerSecond/Minimum", "cache_usage_limit_ecpu_per_secondminimum"),
];

/// Which of the two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cluster,
    Serverless,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "node",
            Self::Serverless => "serverless",
        }
    }

    const fn tag(self) -> &'static str {
        match self {
            Self::Cluster => "__meta_elasticache_cache_cluster_tag_",
            Self::Serverless => "__meta_elasticache_serverless_cache_tag_",
        }
    }
}

/// A cache, or a cluster of nodes.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) kind: Kind,
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) replication_group: String,
    labels: Labels,
    targets: Vec<Labels>,
}

pub(super) fn serverless(body: &str) -> Result<Page<Cache>, Fault> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    read(body, "DescribeServerlessCachesResult", "ServerlessCaches", "NextToken", |cache| {
        let prefix = "__meta_elasticache_serverless_cache_";
        set(&mut sheet, prefix, cache, &SERVERLESS);
        for (list, label) in [("SecurityGroupIds", "security_group_id"), ("SubnetIds", "subnet_id")] {
            for (at, id) in cache.list(list).enumerate() {
                sheet.set(&format!("{prefix}{label}_{at}"), id.text().unwrap_or_default().trim());
            }
        }
        sheet.set("__meta_elasticache_deployment_option", Kind::Serverless.name());
        let labels = sheet.build(&mut names);
        let (address, port) = (deep(cache, "Endpoint/Address"), deep(cache, "Endpoint/Port"));
        let mut targets = Vec::new();
        if !address.is_empty() && !port.is_empty() {
            sheet.endpoint(address, port);
            targets.push(sheet.build(&mut names));
        }
        let (kind, arn, name) =
            (Kind::Serverless, cache.text_of("ARN").to_owned(), cache.text_of("ServerlessCacheName"));
        Cache { kind, arn, name: name.to_owned(), replication_group: String::new(), labels, targets }
    })
}

pub(super) fn clusters(body: &str) -> Result<Page<Cache>, Fault> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    read(body, "DescribeCacheClustersResult", "CacheClusters", "Marker", |cluster| {
        let prefix = "__meta_elasticache_cache_cluster_";
        set(&mut sheet, prefix, cluster, &CLUSTER);
        for (at, log) in cluster.list("LogDeliveryConfigurations").enumerate() {
            set_numbered(&mut sheet, &format!("{prefix}log_delivery_configuration_"), at, log, &LOG);
        }
        for (at, group) in cluster.list("SecurityGroups").enumerate() {
            for (element, label) in [("SecurityGroupId", "id"), ("Status", "status")] {
                let label = format!("{prefix}security_group_membership_{label}_{at}");
                sheet.set(&label, group.text_of(element));
            }
        }
        if let Some(pending) = cluster.child("PendingModifiedValues") {
            let removed = pending.list("CacheNodeIdsToRemove").map(|id| id.text().unwrap_or_default().trim());
            let removed: Vec<_> = removed.collect();
            sheet.set(&format!("{prefix}pending_modified_values_cache_node_ids_to_remove"), &removed.join(","));
        }
        sheet.set("__meta_elasticache_deployment_option", Kind::Cluster.name());
        let labels = sheet.build(&mut names);
        let target = |node: Node<'_, '_>| {
            let (address, port) = (deep(node, "Endpoint/Address"), deep(node, "Endpoint/Port"));
            // One that is being made has none.
            if address.is_empty() || port.is_empty() {
                return None;
            }
            sheet.endpoint(address, port);
            set(&mut sheet, &format!("{prefix}node_"), node, &NODE);
            Some(sheet.build(&mut names))
        };
        let targets = cluster.list("CacheNodes").filter_map(target).collect();
        let text = |name: &str| cluster.text_of(name).to_owned();
        let (kind, arn, name) = (Kind::Cluster, text("ARN"), text("CacheClusterId"));
        Cache { kind, arn, name, replication_group: text("ReplicationGroupId"), labels, targets }
    })
}

pub(super) fn tags(body: &str) -> Result<BTreeMap<String, String>, Fault> {
    let document = xml(body)?;
    let result = "ListTagsForResourceResult";
    let result = present(document.root_element().child(result), result)?;
    Ok(table::tags(result).map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

fn read<T>(
    body: &str,
    result: &str,
    list: &str,
    token: &str,
    mut one: impl FnMut(Node<'_, '_>) -> T,
) -> Result<Page<T>, Fault> {
    let document = xml(body)?;
    let result = present(document.root_element().child(result), result)?;
    let next = result.text_of(token).to_owned();
    // The result is there: an answer without the list has none.
    Ok(Page::new(result.list(list).map(&mut one).collect(), Some(next)))
}

impl Cache {
    /// The group, with these tags; none without targets.
    pub(super) fn groups(self, source: &str, tags: &BTreeMap<String, String>) -> Option<TargetGroup> {
        if self.targets.is_empty() {
            return None;
        }
        let mut sheet = Sheet::default();
        sheet.map(self.kind.tag(), tags);
        let tags = sheet.build(&mut Names::new());
        let mut labels = Builder::default();
        for (name, value) in self.labels.iter().chain(tags.iter()) {
            labels.set(name, value);
        }
        // Where it has no ARN, what it is called or reached at is another one than that of others.
        let address = self.targets[0].get(ADDRESS).unwrap_or_default();
        let (source, key) = (source.into(), first_of([&self.arn, &self.name, address]).into());
        Some(TargetGroup { source, key, labels: labels.build(&mut Names::new()), targets: self.targets })
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};

    use super::*;

    #[test]
    fn caches_become_labels() {
        let tags = tags(&fixture("discovery/aws/elasticache_tags.xml")).expect("tags");
        let mut told = String::new();
        for page in [
            clusters(&fixture("discovery/aws/elasticache_clusters.xml")).expect("clusters"),
            serverless(&fixture("discovery/aws/elasticache_serverless.xml")).expect("caches"),
        ] {
            assert_eq!(page.next.as_deref(), Some("two"));
            for group in page.items.into_iter().filter_map(|cache| cache.groups("eu-west-1/kind", &tags)) {
                told += &format!("{} {}\n", group.key, group.labels);
                group.targets.iter().for_each(|target| told += &format!("  {target}\n"));
            }
        }
        assert_golden("discovery/aws/elasticache.golden.txt", &told);
    }
}
