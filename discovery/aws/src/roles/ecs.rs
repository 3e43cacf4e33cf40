//! Tasks of ECS. Each cluster is a source: one that cannot be read hides no other.

mod network; // what EC2 knows of tasks; pure
mod read; // what ECS tells; pure
mod tasks; // targets; pure

use std::collections::BTreeSet;

use futures_util::try_join;
use rosterd_discovery::{Error, Reading};
use rosterd_model::TargetGroup;
use rosterd_rest::Fault;
use serde_json::{Value, json};

use crate::config::{Filter, Wanted};
use crate::error::AwsError;
use crate::roles::ec2;
use crate::service::{Call, Part, Service};

use network::{Network, interfaces};
use read::{Cluster, Clusters, Machine, Task, arns, clusters, machines, services, tasks as read_tasks};

const TARGET: &str = "AmazonEC2ContainerServiceV20141113";
/// How much one question may be about.
const CLUSTERS: usize = 100;
const TASKS: usize = 100;
const SERVICES: usize = 10;
const VALUES: usize = 200;

pub(crate) struct Ecs {
    pub(crate) service: Service,
    /// EC2.
    machines: Service,
    wanted: Wanted,
}

impl Ecs {
    pub(crate) fn new(service: Service, machines: Service, wanted: Wanted) -> Self {
        Self { service, machines, wanted }
    }

    pub(crate) async fn read(&self, region: &str) -> Result<Reading, Error> {
        let names = match self.wanted.clusters.is_empty() {
            true => self.arns("ListClusters", json!({}), "clusterArns").await?,
            false => self.wanted.clusters.clone(),
        };
        let found =
            self.batches("DescribeClusters", json!({"include": ["TAGS"]}), "clusters", &names, CLUSTERS, clusters);
        let found: Vec<Clusters> = found.await?;
        let mut reading = Vec::new();
        for cluster in found.iter().flat_map(|found| &found.clusters) {
            reading.push(self.cluster(cluster, region));
        }
        let mut read = super::together(self.wanted.concurrency, reading).await;
        // One that was listed and is not there has just gone; one that is written should be there.
        if !self.wanted.clusters.is_empty() {
            for failure in found.iter().flat_map(|found| &found.failures) {
                let (name, reason) = (failure.arn.clone(), failure.reason.clone());
                read.push((source(region, &failure.arn), Err(AwsError::NoCluster { name, reason }.into())));
            }
        }
        Ok(super::picture(read))
    }

    async fn cluster(&self, cluster: &Cluster, region: &str) -> super::Source {
        let source = source(region, &cluster.arn);
        let groups = self.groups(cluster, region, &source).await;
        (source, groups)
    }

    /// The groups of one cluster.
    async fn groups(&self, cluster: &Cluster, region: &str, source: &str) -> Result<Vec<TargetGroup>, Error> {
        let arns = match self.arns("ListTasks", json!({"cluster": cluster.arn}), "taskArns").await {
            Ok(arns) => arns,
            // It has gone since it was listed.
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let asked = json!({"cluster": cluster.arn, "include": ["TAGS"]});
        let tasks: Vec<Task> = self.batches("DescribeTasks", asked.clone(), "tasks", &arns, TASKS, read_tasks).await?;
        // Only services that have tasks: there may be many others.
        let wanted = distinct(tasks.iter().filter_map(Task::service));
        let hosts = distinct(tasks.iter().map(|task| &*task.machine));
        let of_hosts = json!({"cluster": cluster.arn});
        let services = self.batches("DescribeServices", asked, "services", &wanted, SERVICES, services);
        let hosts = self.batches("DescribeContainerInstances", of_hosts, "containerInstances", &hosts, TASKS, machines);
        let addresses = distinct(tasks.iter().filter_map(Task::interface));
        let addresses = self.of_ec2("DescribeNetworkInterfaces", "network-interface-id", &addresses, interfaces);
        let (services, hosts, addresses): (Vec<_>, Vec<Machine>, Vec<_>) = try_join!(services, hosts, addresses)?;
        // What is no instance of EC2, but a machine elsewhere, EC2 does not know.
        let ids = distinct(hosts.iter().map(|host| &*host.instance).filter(|id| id.starts_with("i-")));
        let instances = self.of_ec2("DescribeInstances", "instance-id", &ids, ec2::instances).await?;
        let network = Network::new(hosts, instances, addresses);
        Ok(tasks::groups(region, source, cluster, &services, &tasks, &network, self.wanted.port))
    }

    async fn arns(&self, operation: &'static str, mut asked: Value, key: &'static str) -> Result<Vec<String>, Error> {
        asked["maxResults"] = 100.into();
        let decode = move |text: &str| arns(text, key);
        self.service.list(operation, Call::Json(TARGET, asked), "nextToken", decode).await
    }

    /// Asks about all of these, so many at a time.
    async fn batches<T: Send + 'static>(
        &self,
        operation: &'static str,
        asked: Value,
        key: &'static str,
        names: &[String],
        most: usize,
        decode: impl Fn(&str) -> Result<Vec<T>, Fault> + Copy + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for names in names.chunks(most) {
            let mut asked = asked.clone();
            asked[key] = names.into();
            found.extend(self.service.ask(operation, &Call::Json(TARGET, asked), decode).await?);
        }
        Ok(found)
    }

    /// Asks EC2 about all of these by a filter, which passes over what has just gone.
    async fn of_ec2<T: Send + 'static>(
        &self,
        operation: &'static str,
        filter: &str,
        ids: &[String],
        decode: impl Fn(&str) -> Result<Part<T>, Fault> + Copy + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for ids in ids.chunks(VALUES) {
            let filter = Filter { name: filter.to_owned(), values: ids.to_vec() };
            let version = ("Version".to_owned(), ec2::VERSION.to_owned());
            let form = std::iter::once(version).chain(ec2::filters(&[filter])).collect();
            found.extend(self.machines.list(operation, Call::Form(form), "NextToken", decode).await?);
        }
        Ok(found)
    }
}

fn source(region: &str, cluster: &str) -> String {
    format!("{region}/{cluster}")
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<_> = names.filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

fn is_gone(error: &Error) -> bool {
    let error: &(dyn std::error::Error + 'static) = &**error;
    let refusal = error.downcast_ref::<AwsError>().and_then(AwsError::refusal);
    refusal.is_some_and(|refusal| refusal.code == "ClusterNotFoundException")
}
