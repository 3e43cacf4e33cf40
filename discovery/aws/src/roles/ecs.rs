//! Tasks of ECS. Each cluster is a source: one that cannot be read hides no other.

mod network; // what EC2 knows of tasks; pure
mod read; // what ECS tells; pure
mod tasks; // targets; pure

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::try_join;
use rosterd_discovery::{Context, Error, Reading};
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, Sources};
use serde_json::{Value, json};

use crate::config::{Filter, Wanted};
use crate::error::AwsError;
use crate::roles::ec2;
use crate::service::{Call, Service};

use network::{Network, interfaces};
use read::{Cluster, Described, Failure, Machine, Task, arns, clusters, machines, services, tasks as read_tasks};

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
    sources: Sources,
}

impl Ecs {
    pub(crate) fn new(service: Service, machines: Service, wanted: Wanted, interval: Duration) -> Self {
        Self { service, machines, wanted, sources: Sources::new(interval) }
    }

    /// Tells there what it waits for while it does.
    pub(crate) fn tell_by(&self, cx: &Context) {
        self.service.tell_by(cx);
        self.machines.tell_by(cx);
    }

    /// Something that a person should know although nothing fails.
    pub(crate) fn warning(&self) -> Option<AwsError> {
        self.service.warning().or_else(|| self.machines.warning())
    }

    pub(crate) async fn read(&self, region: &str) -> Result<Reading, Error> {
        let names = match self.wanted.clusters.is_empty() {
            true => self.arns("ListClusters", json!({}), "clusterArns").await?,
            false => distinct(self.wanted.clusters.iter().map(String::as_str)),
        };
        let asked = json!({"include": ["TAGS"]});
        let Described { found, failures } =
            self.described("DescribeClusters", asked, "clusters", &names, CLUSTERS, clusters).await?;
        let mut reading = Vec::new();
        for cluster in &found {
            let source = source(region, &cluster.arn);
            reading.push((source.clone(), self.cluster(cluster, region, source)));
        }
        let mut read = self.sources.read(self.wanted.concurrency, reading).await;
        read.extend(failures.iter().map(|failure| (source(region, &failure.arn), self.failed(failure))));
        Ok(super::picture(read))
    }

    /// What becomes of a cluster that is not told of. One that was listed and is not there has just gone; one that is written should be
    /// there.
    fn failed(&self, failure: &Failure) -> Result<Vec<TargetGroup>, Error> {
        if failure.is_missing() && self.wanted.clusters.is_empty() {
            return Ok(Vec::new());
        }
        let (name, reason) = (failure.arn.clone(), failure.reason.clone());
        Err(match failure.is_missing() {
            true => AwsError::NoCluster { name, reason },
            false => AwsError::NotTold { operation: "DescribeClusters", name, reason },
        }
        .into())
    }

    async fn cluster(&self, cluster: &Cluster, region: &str, source: String) -> Result<Vec<TargetGroup>, Error> {
        match self.groups(cluster, region, &source).await {
            // It has gone since it was told of.
            Err(error) if is_gone(&error) => {
                let failure = Failure { arn: cluster.arn.clone(), reason: "MISSING".to_owned() };
                self.failed(&failure)
            }
            groups => groups,
        }
    }

    /// The groups of one cluster.
    async fn groups(&self, cluster: &Cluster, region: &str, source: &str) -> Result<Vec<TargetGroup>, Error> {
        let arns = self.arns("ListTasks", json!({"cluster": cluster.arn}), "taskArns").await?;
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
        let listed = self.service.list(operation, Call::Json(TARGET, asked), "nextToken", decode).await?;
        // What comes or goes while pages are read may stand on two of them.
        Ok(distinct(listed.iter().map(String::as_str)))
    }

    /// What there is of these: what has gone since it was listed is left out.
    async fn batches<T: Send + 'static>(
        &self,
        operation: &'static str,
        asked: Value,
        key: &'static str,
        names: &[String],
        most: usize,
        decode: impl Fn(&str) -> Result<Described<T>, Fault> + Copy + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let Described { found, failures } = self.described(operation, asked, key, names, most, decode).await?;
        match failures.into_iter().find(|failure| !failure.is_missing()) {
            Some(Failure { arn: name, reason }) => Err(AwsError::NotTold { operation, name, reason }.into()),
            None => Ok(found),
        }
    }

    /// Asks about all of these, so many at a time.
    async fn described<T: Send + 'static>(
        &self,
        operation: &'static str,
        asked: Value,
        key: &'static str,
        names: &[String],
        most: usize,
        decode: impl Fn(&str) -> Result<Described<T>, Fault> + Copy + Send + 'static,
    ) -> Result<Described<T>, Error> {
        let mut all = Described { found: Vec::new(), failures: Vec::new() };
        for names in names.chunks(most) {
            let (mut asked, count) = (asked.clone(), names.len());
            asked[key] = names.into();
            let decode = move |text: &str| decode(text)?.about(count);
            let told = self.service.ask(operation, &Call::Json(TARGET, asked), decode).await?;
            all.found.extend(told.found);
            all.failures.extend(told.failures);
        }
        Ok(all)
    }

    /// Asks EC2 about all of these by a filter, which passes over what has just gone.
    async fn of_ec2<T: Send + 'static>(
        &self,
        operation: &'static str,
        filter: &str,
        ids: &[String],
        decode: impl Fn(&str) -> Result<Page<T>, Fault> + Copy + Send + 'static,
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
