//! Instances of clusters of databases: of Aurora, and of others that have clusters.

mod labels;
mod read; // what is read; pure

use std::collections::HashMap;
use std::time::Duration;

use rosterd_discovery::{Error, Reading};
use rosterd_model::TargetGroup;
use rosterd_rest::Sources;

use crate::config::{Filter, Wanted};
use crate::error::ServiceError;
use crate::service::{Call, Service};

use read::{Cluster, Instance, clusters, instances};

const VERSION: &str = "2014-10-31";
const PAGE: &str = "100";

pub(crate) struct Rds {
    pub(crate) service: Service,
    wanted: Wanted,
    sources: Sources,
}

impl Rds {
    pub(crate) fn new(service: Service, wanted: Wanted, interval: Duration) -> Self {
        Self { service, wanted, sources: Sources::new(interval) }
    }

    pub(crate) async fn read(&self, region: &str) -> Result<Reading, Error> {
        match self.wanted.clusters.is_empty() {
            true => self.all(region).await,
            false => self.each(region).await,
        }
    }

    /// All clusters and all instances, put together here: two lists, however many clusters there are.
    async fn all(&self, region: &str) -> Result<Reading, Error> {
        let clusters = self.clusters(None).await?;
        let instances = self.instances(None).await?;
        let groups = groups(region, &clusters, &instances);
        Ok(Reading::Everything(super::of_region(region, groups)))
    }

    /// Each cluster that is written by itself: a source that hides no other.
    async fn each(&self, region: &str) -> Result<Reading, Error> {
        let mut reading = Vec::new();
        for name in &self.wanted.clusters {
            let source = format!("{region}/{name}");
            reading.push((source.clone(), self.one(name, source)));
        }
        Ok(super::picture(self.sources.read(self.wanted.concurrency, reading).await))
    }

    async fn one(&self, name: &str, source: String) -> Result<Vec<TargetGroup>, Error> {
        let clusters = self.clusters(Some(name)).await?;
        let Some(cluster) = clusters.first() else {
            let reason = "RDS lists none of this name".to_owned();
            return Err(ServiceError::NoCluster { name: name.to_owned(), reason }.into());
        };
        let instances = self.instances(Some(&cluster.id)).await?;
        Ok(groups(&source, &clusters, &instances))
    }

    async fn clusters(&self, name: Option<&str>) -> Result<Vec<Cluster>, Error> {
        let mut form = vec![("Version", VERSION), ("MaxRecords", PAGE)];
        form.extend(name.map(|name| ("DBClusterIdentifier", name)));
        self.service.list("DescribeDBClusters", Call::form(form), "Marker", clusters).await
    }

    async fn instances(&self, cluster: Option<&str>) -> Result<Vec<Instance>, Error> {
        let of_cluster = cluster.map(|id| Filter { name: "db-cluster-id".to_owned(), values: vec![id.to_owned()] });
        let all: Vec<_> = of_cluster.iter().chain(&self.wanted.filters).collect();
        let mut form = vec![("Version".to_owned(), VERSION.to_owned()), ("MaxRecords".to_owned(), PAGE.to_owned())];
        for (filter, number) in all.into_iter().zip(1..) {
            form.push((format!("Filters.Filter.{number}.Name"), filter.name.clone()));
            let values = filter.values.iter().zip(1..);
            form.extend(
                values.map(|(value, at)| (format!("Filters.Filter.{number}.Values.Value.{at}"), value.clone())),
            );
        }
        let port = self.wanted.port;
        let decode = move |text: &str| instances(text, port);
        self.service.list("DescribeDBInstances", Call::Form(form), "Marker", decode).await
    }
}

/// A group for each instance of these clusters.
fn groups(source: &str, clusters: &[Cluster], instances: &[Instance]) -> Vec<TargetGroup> {
    let clusters: HashMap<_, _> = clusters.iter().map(|cluster| (&*cluster.id, cluster)).collect();
    let group = |instance: &Instance| instance.group(source, clusters.get(&*instance.cluster)?);
    instances.iter().filter_map(group).collect()
}
