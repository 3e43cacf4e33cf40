//! Goldens for every role, and what a group depends on.

use rosterd_testkit::{assert_golden, fixture};
use serde_json::Value;

use super::Maker;
use crate::config::{AttachMetadata, Role};
use crate::objects::Link;
use crate::resource::Resource;
use crate::store::{Key, Store, World};

const ALL: AttachMetadata = AttachMetadata { node: true, namespace: true, deployment: true, job: true, cronjob: true };
const NONE: AttachMetadata =
    AttachMetadata { node: false, namespace: false, deployment: false, job: false, cronjob: false };

const LINKS: [Link; 6] = [Link::Namespace, Link::Node, Link::Pod, Link::Service, Link::ReplicaSet, Link::Job];

fn resource(kind: &str) -> Resource {
    match kind {
        "Node" => Resource::Node,
        "Namespace" => Resource::Namespace,
        "Pod" => Resource::Pod,
        "Service" => Resource::Service,
        "Endpoints" => Resource::Endpoints,
        "EndpointSlice" => Resource::EndpointSlice,
        "Ingress" => Resource::Ingress,
        "ReplicaSet" => Resource::ReplicaSet,
        "Job" => Resource::Job,
        other => panic!("{other} is not watched"),
    }
}

/// The stores of the cluster of all goldens.
fn cluster() -> Vec<Store> {
    let objects: Vec<Value> = serde_yaml::from_str(&fixture("discovery/kubernetes/cluster.yml")).expect("a list");
    let mut stores: Vec<_> = Resource::ALL.into_iter().map(Store::new).collect();
    for object in objects {
        let resource = resource(object["kind"].as_str().expect("a kind"));
        let json = serde_json::to_vec(&object).expect("JSON");
        stores[resource as usize].take(&json, |_, _, _| ()).expect("an object");
    }
    stores
}

/// All groups of a role, also those without targets, in the order of their sources.
fn groups(role: Role, attach: AttachMetadata, stores: &[Store]) -> String {
    let mut maker = Maker::new(role, attach);
    let mut keys: Vec<_> = stores[role.resource() as usize].keys(None).collect();
    keys.sort();
    let groups: Vec<_> = keys.iter().map(|key| maker.group(key, World::of(stores))).collect();
    serde_yaml::to_string(&groups).expect("serialises")
}

#[test]
fn every_role_makes_its_targets() {
    let stores = cluster();
    for role in Role::ALL {
        let made = groups(role, NONE, &stores);
        assert_golden(&format!("discovery/kubernetes/{role}.golden.yml"), &made);
        let attached = groups(role, ALL, &stores);
        if role == Role::Node {
            assert_eq!(attached, made);
        } else {
            assert_golden(&format!("discovery/kubernetes/{role}.attached.golden.yml"), &attached);
        }
    }
}

#[test]
fn an_object_that_is_not_there_has_no_targets() {
    for (role, source) in [
        (Role::Node, "node/b"),
        (Role::Pod, "pod/a/b"),
        (Role::Service, "svc/a/b"),
        (Role::Endpoints, "endpoints/a/b"),
        (Role::EndpointSlice, "endpointslice/a/b"),
        (Role::Ingress, "ingress/a/b"),
    ] {
        let group = Maker::new(role, ALL).group(&Key::new("a", "b"), World::default());
        assert_eq!((&*group.source, group.targets.len()), (source, 0));
    }
}

/// Whatever is changed, the groups that differ are among those that are found by what they are made of.
#[test]
fn a_group_that_changes_is_found_by_what_changed() {
    for role in Role::ALL {
        let mut stores = cluster();
        for link in LINKS {
            for store in &mut stores {
                while store.index(link, usize::MAX) {}
            }
        }
        let mut maker = Maker::new(role, ALL);
        let primary = role.resource();
        let keys: Vec<_> = stores[primary as usize].keys(None).collect();
        let before: Vec<_> = keys.iter().map(|key| maker.group(key, World::of(&stores))).collect();
        for resource in Resource::ALL.into_iter().filter(|resource| *resource != primary) {
            for gone in stores[resource as usize].keys(None).collect::<Vec<_>>() {
                let mut changed = cluster();
                changed[resource as usize].remove(&gone.namespace, &gone.name);
                let after = keys.iter().map(|key| maker.group(key, World::of(&changed)));
                let different: Vec<_> = keys
                    .iter()
                    .zip(before.iter().zip(after))
                    .filter(|(_, (before, after))| *before != after)
                    .map(|(key, _)| key)
                    .collect();
                let by = |store: Resource, link, key: &Key| -> Vec<Key> {
                    stores[store as usize].by(link, &key.namespace, &key.name).collect()
                };
                let found = match resource {
                    Resource::Node => by(primary, Link::Node, &gone),
                    Resource::Namespace => by(primary, Link::Namespace, &gone),
                    Resource::Pod => by(primary, Link::Pod, &gone),
                    Resource::Service => by(primary, Link::Service, &gone),
                    Resource::ReplicaSet | Resource::Job => {
                        let link = if resource == Resource::Job { Link::Job } else { Link::ReplicaSet };
                        let pods = by(Resource::Pod, link, &gone);
                        pods.iter().flat_map(|pod| by(primary, Link::Pod, pod)).chain(pods.clone()).collect()
                    }
                    _ => Vec::new(),
                };
                for key in different {
                    assert!(found.contains(key), "{role} {key} depends on {resource} {gone}, found {found:?}");
                }
            }
        }
    }
}
