//! What RDS tells of clusters and instances.

use std::collections::HashMap;

use rosterd_discovery::{Sheet, host_port};
use rosterd_model::labels::{ADDRESS, Builder};
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, Page, present, xml};
use roxmltree::Node;

use super::labels::{CLUSTER, INSTANCE};
use crate::roles::first_of;
use crate::roles::table::{deep, set, tags};
use crate::xml::Element;

/// A cluster: what all its instances have.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) id: String,
    labels: Labels,
    /// Its members, and whether they write.
    writers: HashMap<String, bool>,
}

/// An instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) cluster: String,
    id: String,
    arn: String,
    /// None without an address.
    labels: Option<Labels>,
}

pub(super) fn clusters(text: &str) -> Result<Page<Cluster>, Fault> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    of_list(text, "DescribeDBClustersResult", "DBClusters", |cluster| {
        set(&mut sheet, "__meta_rds_cluster_", cluster, &CLUSTER);
        sheet.map("__meta_rds_cluster_tag_", tags(cluster));
        let member = |member: Node<'_, '_>| {
            (member.text_of("DBInstanceIdentifier").to_owned(), member.text_of("IsClusterWriter") == "true")
        };
        let writers = cluster.list("DBClusterMembers").map(member).collect();
        Cluster { id: cluster.text_of("DBClusterIdentifier").to_owned(), labels: sheet.build(&mut names), writers }
    })
}

pub(super) fn instances(text: &str, port: u16) -> Result<Page<Instance>, Fault> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    of_list(text, "DescribeDBInstancesResult", "DBInstances", |instance| {
        let address = deep(instance, "Endpoint/Address");
        // One that is being made has none.
        let has_address = !address.is_empty() && !deep(instance, "Endpoint/Port").is_empty();
        let labels = has_address.then(|| {
            sheet.address(&host_port(address, port));
            set(&mut sheet, "__meta_rds_instance_", instance, &INSTANCE);
            sheet.map("__meta_rds_instance_tag_", tags(instance));
            sheet.build(&mut names)
        });
        let text = |name: &str| instance.text_of(name).to_owned();
        Instance {
            cluster: text("DBClusterIdentifier"),
            id: text("DBInstanceIdentifier"),
            arn: text("DBInstanceArn"),
            labels,
        }
    })
}

fn of_list<T>(text: &str, result: &str, list: &str, mut read: impl FnMut(Node<'_, '_>) -> T) -> Result<Page<T>, Fault> {
    let document = xml(text)?;
    let result = present(document.root_element().child(result), result)?;
    let next = result.text_of("Marker").to_owned();
    // The result is there: an answer without the list has none.
    Ok(Page::new(result.list(list).map(&mut read).collect(), Some(next)))
}

impl Instance {
    pub(super) fn group(&self, source: &str, cluster: &Cluster) -> Option<TargetGroup> {
        let own = self.labels.as_ref()?;
        let mut target = Builder::default();
        for (name, value) in own.iter() {
            target.set(name, value);
        }
        if let Some(writes) = cluster.writers.get(&self.id) {
            target.set("__meta_rds_instance_is_cluster_writer", if *writes { "true" } else { "false" });
        }
        Some(TargetGroup {
            source: source.into(),
            key: first_of([&self.arn, &self.id, own.get(ADDRESS).unwrap_or_default()]).into(),
            labels: cluster.labels.clone(),
            targets: vec![target.build(&mut Names::new())],
        })
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};

    use super::super::groups;
    use super::*;

    #[test]
    fn instances_become_labels_with_those_of_their_cluster() {
        let clusters = clusters(&fixture("discovery/aws/rds_clusters.xml")).expect("clusters");
        let instances = instances(&fixture("discovery/aws/rds_instances.xml"), 9104).expect("instances");
        assert_eq!((clusters.next.as_deref(), instances.next.as_deref()), (None, Some("two")));
        let groups = groups("eu-west-1", &clusters.items, &instances.items);
        let mut told = String::new();
        for group in groups {
            told += &format!("{} {}\n", group.key, group.labels);
            group.targets.iter().for_each(|target| told += &format!("  {target}\n"));
        }
        assert_golden("discovery/aws/rds.golden.txt", &told);
    }
}
