//! Tasks of ECS. Each cluster is a source: one that cannot be read hides no other.

mod network; // what EC2 knows of tasks; pure
mod read; // what ECS tells; pure
mod tasks; // targets; pure

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures_util::try_join;
use rosterd_discovery::{Context, Error, Reading};
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, Sources};
use serde_json::{Value, json};

use crate::config::{Filter, Wanted};
use crate::error::ServiceError;
use crate::refusal::{Kind, Refusal};
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
    pub(crate) fn warning(&self) -> Option<ServiceError> {
        self.service.warning().or_else(|| self.machines.warning())
    }

    pub(crate) async fn read(&self, region: &str) -> Result<Reading, Error> {
        let names = match self.wanted.clusters.is_empty() {
            true => self.arns("ListClusters", json!({}), "clusterArns").await?,
            false => distinct(self.wanted.clusters.iter().map(String::as_str)),
        };
        let (mut reading, mut untold, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (name, told) in self.clusters(&names).await? {
            let source = format!("{region}/{name}");
            match told {
                // By its name and by its ARN it is one.
                Ok(cluster) if seen.insert(cluster.arn.clone()) => {
                    reading.push((source.clone(), self.cluster(cluster, region, source)));
                }
                Ok(_) => {}
                Err(error) => untold.push((source, self.gone(error))),
            }
        }
        let mut read = self.sources.read(self.wanted.concurrency, reading).await;
        read.extend(untold);
        Ok(super::picture(read))
    }

    /// Each of these clusters, or why ECS tells nothing of it. Where it refuses to tell of several, as for one that is written and
    /// cannot be, or that nobody may see, half of them are asked about, so that the one costs only itself.
    async fn clusters(&self, names: &[String]) -> Result<Vec<(String, Result<Cluster, Error>)>, Error> {
        const OPERATION: &str = "DescribeClusters";
        let (mut all, mut parts) = (Vec::new(), names.chunks(CLUSTERS).rev().collect::<Vec<_>>());
        while let Some(part) = parts.pop() {
            let call = Call::Json(TARGET, json!({"include": ["TAGS"], "clusters": part}));
            match self.service.ask(OPERATION, &call, clusters).await {
                Ok(told) => all.extend(part.iter().map(|name| (name.clone(), told.take(name, OPERATION)))),
                Err(error) if is_refused(&error) => match part {
                    [name] => all.push((name.clone(), Err(error))),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
                Err(error) => return Err(error),
            }
        }
        let is_refused = |told: &Result<Cluster, Error>| told.as_ref().is_err_and(is_refused);
        // Where it tells of none, it is not about one of them.
        if all.iter().all(|(_, told)| is_refused(told))
            && let Some((_, Err(error))) = all.pop()
        {
            return Err(error);
        }
        Ok(all)
    }

    /// What becomes of a cluster that is not told of. One that was listed and is not there has just gone; one that is written should be
    /// there.
    fn gone(&self, error: Error) -> Result<Vec<TargetGroup>, Error> {
        match self.wanted.clusters.is_empty() && is_missing(&error) {
            true => Ok(Vec::new()),
            false => Err(error),
        }
    }

    async fn cluster(&self, cluster: Cluster, region: &str, source: String) -> Result<Vec<TargetGroup>, Error> {
        match self.groups(&cluster, region, &source).await {
            // It has gone since it was told of.
            Err(error) if is_gone(&error) => {
                let reason = "it has gone since ECS told of it".to_owned();
                self.gone(ServiceError::NoCluster { name: cluster.arn, reason }.into())
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
        let mut found = Vec::new();
        for names in names.chunks(most) {
            let (mut asked, count) = (asked.clone(), names.len());
            asked[key] = names.into();
            let decode = move |text: &str| decode(text)?.about(count);
            let told = self.service.ask(operation, &Call::Json(TARGET, asked), decode).await?;
            if let Some(failure) = told.failures.into_iter().find(|failure| !failure.is_missing()) {
                let Failure { arn: name, reason } = failure;
                return Err(ServiceError::NotTold { operation, name, reason }.into());
            }
            found.extend(told.found);
        }
        Ok(found)
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

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<_> = names.filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

fn is_gone(error: &Error) -> bool {
    refusal(error).is_some_and(|refusal| refusal.code == "ClusterNotFoundException")
}

/// Whether ECS does not want to tell of what it was asked about, rather than to tell anything now.
fn is_refused(error: &Error) -> bool {
    refusal(error).is_some_and(|refusal| matches!(refusal.kind, Kind::Refused | Kind::Denied))
}

fn is_missing(error: &Error) -> bool {
    matches!(of_aws(error), Some(ServiceError::NoCluster { .. }))
}

fn refusal(error: &Error) -> Option<&Refusal> {
    of_aws(error).and_then(ServiceError::refusal)
}

fn of_aws(error: &Error) -> Option<&ServiceError> {
    let error: &(dyn std::error::Error + 'static) = &**error;
    error.downcast_ref()
}
