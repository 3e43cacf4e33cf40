//! What ECS tells.

use rosterd_rest::{Fault, json};
use serde_json::Value;

use crate::service::Part;

rosterd_rest::reply! {
    /// Clusters, and what became of those that were not found.
    pub(super) struct Clusters {
        pub(super) clusters: Vec<Cluster> = "clusters",
        pub(super) failures: Vec<Failure> = "failures",
    }

    pub(super) struct Failure {
        pub(super) arn: String = "arn",
        pub(super) reason: String = "reason",
    }

    pub(super) struct Cluster {
        pub(super) arn: String = "clusterArn",
        pub(super) name: String = "clusterName",
        pub(super) tags: Vec<Tag> = "tags",
    }

    pub(super) struct Tag {
        pub(super) key: String = "key",
        pub(super) value: String = "value",
    }

    struct Services {
        services: Vec<Service> = "services",
    }

    pub(super) struct Service {
        pub(super) arn: String = "serviceArn",
        pub(super) name: String = "serviceName",
        pub(super) status: String = "status",
        pub(super) tags: Vec<Tag> = "tags",
    }

    struct Tasks {
        tasks: Vec<Task> = "tasks",
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
        machines: Vec<Machine> = "containerInstances",
    }

    pub(super) struct Machine {
        pub(super) arn: String = "containerInstanceArn",
        pub(super) instance: String = "ec2InstanceId",
    }
}

pub(super) fn clusters(text: &str) -> Result<Vec<Clusters>, Fault> {
    Ok(vec![json(text.as_bytes())?])
}

pub(super) fn services(text: &str) -> Result<Vec<Service>, Fault> {
    json(text.as_bytes()).map(|Services { services }| services)
}

pub(super) fn tasks(text: &str) -> Result<Vec<Task>, Fault> {
    json(text.as_bytes()).map(|Tasks { tasks }| tasks)
}

pub(super) fn machines(text: &str) -> Result<Vec<Machine>, Fault> {
    json(text.as_bytes()).map(|Machines { machines }| machines)
}

/// A list of names under this key.
pub(super) fn arns(text: &str, key: &str) -> Result<Part<String>, Fault> {
    let reply: Value = json(text.as_bytes())?;
    let names = reply.get(key).and_then(Value::as_array).ok_or_else(|| Fault::new(format!("it has no list {key}")))?;
    let items = names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    Ok(Part { items, next: reply.get("nextToken").and_then(Value::as_str).map(str::to_owned) })
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
