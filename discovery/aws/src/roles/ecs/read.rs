//! What ECS tells.

use rosterd_discovery::Error;
use rosterd_rest::{Fault, Page, json, present};
use serde_json::Value;

use crate::error::ServiceError;

rosterd_rest::reply! {
    struct Clusters {
        clusters: Option<Vec<Cluster>> = "clusters",
        failures: Vec<Failure> = "failures",
    }

    /// Why something was not found.
    pub(super) struct Failure {
        pub(super) arn: String = "arn",
        pub(super) reason: String = "reason",
    }

    #[derive(Clone)]
    pub(super) struct Cluster {
        pub(super) arn: String = "clusterArn",
        pub(super) name: String = "clusterName",
        pub(super) tags: Vec<Tag> = "tags",
    }

    #[derive(Clone)]
    pub(super) struct Tag {
        pub(super) key: String = "key",
        pub(super) value: String = "value",
    }

    struct Services {
        services: Option<Vec<Service>> = "services",
        failures: Vec<Failure> = "failures",
    }

    pub(super) struct Service {
        pub(super) arn: String = "serviceArn",
        pub(super) name: String = "serviceName",
        pub(super) status: String = "status",
        pub(super) tags: Vec<Tag> = "tags",
    }

    struct Tasks {
        tasks: Option<Vec<Task>> = "tasks",
        failures: Vec<Failure> = "failures",
    }

    pub(super) struct Task {
        pub(super) arn: String = "taskArn",
        pub(super) definition: String = "taskDefinitionArn",
        pub(super) group: String = "group",
        pub(super) launch: String = "launchType",
        pub(super) zone: String = "availabilityZone",
        pub(super) desired: String = "desiredStatus",
        pub(super) last: String = "lastStatus",
        pub(super) health: String = "healthStatus",
        pub(super) family: String = "platformFamily",
        pub(super) version: String = "platformVersion",
        pub(super) machine: String = "containerInstanceArn",
        pub(super) tags: Vec<Tag> = "tags",
        attachments: Vec<Attachment> = "attachments",
    }

    struct Attachment {
        kind: String = "type",
        details: Vec<Detail> = "details",
    }

    struct Detail {
        name: String = "name",
        value: String = "value",
    }

    struct Machines {
        machines: Option<Vec<Machine>> = "containerInstances",
        failures: Vec<Failure> = "failures",
    }

    pub(super) struct Machine {
        pub(super) arn: String = "containerInstanceArn",
        pub(super) instance: String = "ec2InstanceId",
    }
}

/// What is told of what was asked about.
#[derive(Debug)]
pub(super) struct Described<T> {
    pub(super) found: Vec<T>,
    /// Of what was not found.
    pub(super) failures: Vec<Failure>,
}

impl<T> Described<T> {
    fn of(found: Option<Vec<T>>, failures: Vec<Failure>, key: &str) -> Result<Self, Fault> {
        Ok(Self { found: present(found, key)?, failures })
    }

    /// The same if it is about all of these. Of what ECS says nothing, nobody knows that it has gone.
    pub(super) fn about(self, asked: usize) -> Result<Self, Fault> {
        match self.found.len() + self.failures.len() {
            told if told < asked => Err(Fault::new(format!("of {asked} that were asked about it tells of {told}"))),
            _ => Ok(self),
        }
    }
}

impl Described<Cluster> {
    /// What is told of the cluster with this name or ARN.
    pub(super) fn take(&self, name: &str, operation: &'static str) -> Result<Cluster, Error> {
        if let Some(cluster) = self.found.iter().find(|cluster| is_of(&cluster.arn, name)) {
            return Ok(cluster.clone());
        }
        let (failure, name) = (self.failures.iter().find(|failure| is_of(&failure.arn, name)), name.to_owned());
        Err(match failure {
            Some(failure) if failure.is_missing() => ServiceError::NoCluster { name, reason: failure.reason.clone() },
            Some(failure) => ServiceError::NotTold { operation, name, reason: failure.reason.clone() },
            None => ServiceError::NotTold { operation, name, reason: "the answer does not have it".to_owned() },
        }
        .into())
    }
}

/// Whether an ARN is the one of a cluster, or ends with its name.
fn is_of(arn: &str, name: &str) -> bool {
    arn == name || (!name.contains('/') && arn.strip_suffix(name).is_some_and(|before| before.ends_with(":cluster/")))
}

impl Failure {
    /// Whether it is not there, which is no failure of whoever asks.
    pub(super) fn is_missing(&self) -> bool {
        self.reason == "MISSING"
    }
}

pub(super) fn clusters(text: &str) -> Result<Described<Cluster>, Fault> {
    let Clusters { clusters, failures } = json(text.as_bytes())?;
    Described::of(clusters, failures, "clusters")
}

pub(super) fn services(text: &str) -> Result<Described<Service>, Fault> {
    let Services { services, failures } = json(text.as_bytes())?;
    Described::of(services, failures, "services")
}

pub(super) fn tasks(text: &str) -> Result<Described<Task>, Fault> {
    let Tasks { tasks, failures } = json(text.as_bytes())?;
    Described::of(tasks, failures, "tasks")
}

pub(super) fn machines(text: &str) -> Result<Described<Machine>, Fault> {
    let Machines { machines, failures } = json(text.as_bytes())?;
    Described::of(machines, failures, "containerInstances")
}

/// A list of names under this key.
pub(super) fn arns(text: &str, key: &str) -> Result<Page<String>, Fault> {
    let reply: Value = json(text.as_bytes())?;
    let names = present(reply.get(key).and_then(Value::as_array), key)?;
    let items = names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    Ok(Page::new(items, reply.get("nextToken").and_then(Value::as_str).map(str::to_owned)))
}

impl Task {
    /// The name of the service that it belongs to.
    pub(super) fn service(&self) -> Option<&str> {
        self.group.strip_prefix("service:")
    }

    /// The id of its own network interface.
    pub(super) fn interface(&self) -> Option<&str> {
        self.detail("networkInterfaceId")
    }

    /// Whether it has an interface of its own.
    pub(super) fn has_interface(&self) -> bool {
        self.attachment().is_some()
    }

    /// What is told of its interface.
    pub(super) fn detail(&self, name: &str) -> Option<&str> {
        let detail = self.attachment()?.details.iter().find(|detail| detail.name == name)?;
        Some(&detail.value)
    }

    fn attachment(&self) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.kind == "ElasticNetworkInterface")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_list_is_none() {
        let told = |fault: Fault| fault.to_string();
        assert_eq!(clusters("{}").map_err(told).expect_err("no list"), "clusters is missing");
        assert_eq!(services("{}").map_err(told).expect_err("no list"), "services is missing");
        assert_eq!(tasks(r#"{"message": "busy"}"#).map_err(told).expect_err("no list"), "tasks is missing");
        assert_eq!(machines("{}").map_err(told).expect_err("no list"), "containerInstances is missing");
        assert_eq!(
            arns(r#"{"taskArns": null}"#, "taskArns").map_err(told).expect_err("no list"),
            "taskArns is missing"
        );
    }

    #[test]
    fn a_cluster_is_told_of_by_its_name_or_its_arn() {
        let told = clusters(
            r#"{"clusters": [{"clusterArn": "arn:aws:ecs:r:1:cluster/one"}, {"clusterArn": "arn:aws:ecs:r:1:cluster/my-two"}],
                "failures": [{"arn": "arn:aws:ecs:r:1:cluster/gone", "reason": "MISSING"}, {"arn": "busy", "reason": "BUSY"}]}"#,
        )
        .expect("an answer");
        let take = |name: &str| match told.take(name, "DescribeClusters") {
            Ok(cluster) => cluster.arn,
            Err(error) => format!("{}: {error}", error.code()),
        };
        assert_eq!(take("one"), "arn:aws:ecs:r:1:cluster/one");
        assert_eq!(take("arn:aws:ecs:r:1:cluster/my-two"), "arn:aws:ecs:r:1:cluster/my-two");
        assert_eq!(take("gone"), "sd_aws_no_cluster: there is no cluster \"gone\": MISSING");
        assert_eq!(take("busy"), "sd_aws_not_told: DescribeClusters does not tell of \"busy\": BUSY");
        let nothing = |name: &str| {
            format!("sd_aws_not_told: DescribeClusters does not tell of {name:?}: the answer does not have it")
        };
        for name in ["two", "ne", "cluster/one", "arn:aws:ecs:other:1:cluster/one"] {
            assert_eq!(take(name), nothing(name));
        }
    }

    #[test]
    fn what_is_told_has_to_be_about_all_that_was_asked_about() {
        let of = |asked| {
            let text = r#"{"tasks": [{"taskArn": "a"}], "failures": [{"arn": "b", "reason": "MISSING"}]}"#;
            let told = tasks(text).and_then(|told| told.about(asked));
            told.map(|told| (told.found.len(), told.failures.len())).map_err(|fault| fault.to_string())
        };
        assert_eq!(of(2), Ok((1, 1)));
        assert_eq!(of(3), Err("of 3 that were asked about it tells of 2".to_owned()));
    }
}
