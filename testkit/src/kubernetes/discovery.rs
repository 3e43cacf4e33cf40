//! What `kubectl` asks before it asks for objects: versions, groups and resources.

use serde_json::{Value, json};

use super::history::KINDS;

/// The answer at a path, if it is one of these.
pub(super) fn answer(path: &str) -> Option<Value> {
    match path {
        "/api" => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => {
            let mut groups: Vec<_> = KINDS.iter().map(|(_, _, group, _)| *group).filter(|it| !it.is_empty()).collect();
            groups.dedup();
            let group = |group: &str| {
                let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
                json!({"name": group, "versions": [version], "preferredVersion": version})
            };
            let groups: Vec<_> = groups.into_iter().map(group).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        "/version" => Some(json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "linux/amd64"})),
        _ => {
            let group = match path.strip_prefix("/apis/") {
                Some(group) => group.strip_suffix("/v1")?,
                None => path.strip_prefix("/api/v1").filter(|rest| rest.is_empty())?,
            };
            resources(group)
        }
    }
}

fn resources(group: &str) -> Option<Value> {
    let of_group: Vec<_> = KINDS.iter().filter(|(_, _, of, _)| *of == group).collect();
    if of_group.is_empty() {
        return None;
    }
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let resource = |(kind, name, _, namespaced): &&(&str, &str, &str, bool)| {
        json!({
            "name": name, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind,
            "verbs": ["get", "list", "watch"],
        })
    };
    let resources: Vec<_> = of_group.iter().map(resource).collect();
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}))
}
