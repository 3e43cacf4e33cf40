//! A store holds what came last, whatever came before.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Change, Key, Store, StoreError};
use crate::objects::{Link, Pod};
use crate::resource::Resource;

fn pod(namespace: &str, name: &str, node: &str, label: &str) -> String {
    format!(
        r#"{{"metadata":{{"namespace":"{namespace}","name":"{name}","resourceVersion":"{label}{node}",
        "labels":{{"app":"{label}"}}}},"spec":{{"nodeName":"{node}"}},"status":{{"startTime":"{node}"}}}}"#
    )
}

fn take(store: &mut Store, json: &str) -> Change {
    store.take(json.as_bytes(), |change, _, _| change).expect(json)
}

fn by_node(store: &Store, node: &str) -> Vec<String> {
    let mut keys: Vec<_> = store.by(Link::Node, "", node).map(|key| key.to_string()).collect();
    keys.sort();
    keys
}

fn index(store: &mut Store, link: Link) {
    while store.index(link, usize::MAX) {}
    assert!(store.is_indexed(link));
}

#[test]
fn only_what_targets_are_made_of_is_a_change() {
    let mut store = Store::new(Resource::Pod);
    assert_eq!(take(&mut store, &pod("a", "x", "n1", "web")), Change::Added);
    assert_eq!(take(&mut store, &pod("a", "x", "n1", "web")), Change::None);
    let other_time = pod("a", "x", "n1", "web").replace("startTime", "endTime");
    assert_eq!(take(&mut store, &other_time), Change::None);
    assert_eq!(take(&mut store, &pod("a", "x", "n2", "web")), Change::Changed);
    assert_eq!(take(&mut store, &pod("b", "x", "n1", "web")), Change::Added);
    assert_eq!(store.get::<Pod<'_>>("a", "x").map(|pod| pod.node.to_string()), Some("n2".to_owned()));
    assert_eq!((store.remove("a", "x"), store.remove("a", "x"), store.len()), (Change::Removed, Change::None, 1));
    assert_eq!(store.get::<Pod<'_>>("a", "x"), None);
}

#[test]
fn objects_are_found_by_what_they_refer_to() {
    let mut store = Store::new(Resource::Pod);
    take(&mut store, &pod("a", "x", "n1", "web"));
    index(&mut store, Link::Node);
    take(&mut store, &pod("a", "y", "n1", "web"));
    take(&mut store, &pod("b", "z", "n2", "web"));
    assert_eq!((by_node(&store, "n1"), by_node(&store, "n2")), (vec!["a/x".into(), "a/y".into()], vec!["b/z".into()]));
    take(&mut store, &pod("a", "x", "n2", "web"));
    store.remove("a", "y");
    assert_eq!((by_node(&store, "n1"), by_node(&store, "n2")), (vec![], vec!["a/x".into(), "b/z".into()]));
    index(&mut store, Link::Namespace);
    assert_eq!(store.by(Link::Namespace, "", "b").map(|key| key.to_string()).collect::<Vec<_>>(), ["b/z"]);
    assert_eq!(store.keys(Some("a")).collect::<Vec<_>>(), [Key::new("a", "x")]);
}

#[test]
fn a_list_takes_away_what_did_not_come() {
    let mut store = Store::new(Resource::Pod);
    let all = ["x", "y", "z"].map(|name| pod("a", name, "n", "web"));
    for json in &all {
        take(&mut store, json);
    }
    let listed = |store: &mut Store, came: &[&String]| {
        store.begin_list();
        for json in came {
            take(store, json);
        }
        let mut gone = Vec::new();
        store.end_list(|key| gone.push(key.to_string()));
        gone.sort();
        gone
    };
    assert_eq!(listed(&mut store, &[&all[0], &all[2]]), ["a/y"]);
    // One that did not end takes nothing away, and does not help what came with it.
    store.begin_list();
    take(&mut store, &all[0]);
    take(&mut store, &all[1]);
    assert_eq!(store.len(), 3);
    assert_eq!(listed(&mut store, &[&all[1]]), ["a/x", "a/z"]);
    assert_eq!(listed(&mut store, &[]), ["a/y"]);
    assert_eq!((store.len(), store.bytes(), store.leftovers()), (0, 0, (0, 0)));
}

#[test]
fn what_is_no_such_object_is_refused_and_changes_nothing() {
    let mut store = Store::new(Resource::Pod);
    take(&mut store, &pod("a", "x", "n", "web"));
    for (json, of_one) in [("{", false), (r#"{"metadata":{"name":1}}"#, true), ("{}", true), ("[]", true)] {
        let error: StoreError = store.take(json.as_bytes(), |_, _, _| ()).expect_err(json);
        assert_eq!((error.is_of_one_object(), store.len()), (of_one, 1), "{json}: {error}");
    }
}

#[test]
fn of_what_is_thinned_names_stay_and_by_what_a_change_is_seen() {
    let mut store = Store::new(Resource::Pod);
    index(&mut store, Link::Node);
    for name in ["x", "y", "z"] {
        take(&mut store, &pod("some-namespace", name, "node-1", "web"));
    }
    let before = store.bytes();
    store.thin(usize::MAX);
    assert!(store.is_thin() && !store.has_whole() && store.bytes() < before, "{} of {before}", store.bytes());
    assert_eq!((store.leftovers(), by_node(&store, "node-1")), ((0, 0), vec![]));
    assert_eq!(take(&mut store, &pod("some-namespace", "x", "node-1", "web")), Change::None);
    assert!(!store.has_whole(), "what is as it was stays thin");
    assert_eq!(take(&mut store, &pod("some-namespace", "x", "node-2", "web")), Change::Changed);
    assert_eq!(store.get::<Pod<'_>>("some-namespace", "x").map(|pod| pod.node.to_string()), Some("node-2".to_owned()));
    assert_eq!((by_node(&store, "node-2"), store.has_whole()), (vec!["some-namespace/x".to_owned()], true));
    assert_eq!(store.remove("some-namespace", "y"), Change::Removed);
    store.begin_list();
    take(&mut store, &pod("some-namespace", "x", "node-2", "web"));
    let mut gone = Vec::new();
    store.end_list(|key| gone.push(key.to_string()));
    assert_eq!((gone, store.is_thin()), (vec!["some-namespace/z".to_owned()], false));
    store.thin(usize::MAX);
    store.remove("some-namespace", "x");
    assert_eq!((store.len(), store.bytes(), store.leftovers()), (0, 0, (0, 0)));
    assert_eq!(store.names_in_common(), 0);
}

#[test]
fn objects_are_made_findable_in_steps_and_once() {
    let mut store = Store::new(Resource::Pod);
    for number in 0..1000 {
        take(&mut store, &pod("a", &format!("p{number}"), ["n1", "n2"][number % 2], "web"));
    }
    let steps = (0..).take_while(|_| store.index(Link::Node, 100)).count();
    assert_eq!((steps, by_node(&store, "n1").len(), store.index(Link::Node, 100)), (10, 500, false));
    // In the middle of it some change that were looked at, and some that were not.
    store.index(Link::Namespace, 500);
    for name in ["p1", "p999"] {
        take(&mut store, &pod("a", name, "n3", "web"));
    }
    take(&mut store, &pod("b", "new", "n3", "web"));
    store.remove("a", "p2");
    store.remove("a", "p998");
    assert!(!store.is_indexed(Link::Namespace));
    index(&mut store, Link::Namespace);
    let of = |namespace: &str| store.by(Link::Namespace, "", namespace).count();
    assert_eq!((of("a"), of("b"), by_node(&store, "n3").len(), by_node(&store, "n1").len()), (998, 1, 3, 498));
    // Of nothing all is found.
    store.index(Link::Service, 500);
    store.reset();
    let indexed = [Link::Node, Link::Namespace, Link::Service].map(|link| store.is_indexed(link));
    assert_eq!((indexed, store.leftovers()), ([true; 3], (0, 0)));
}

/// Pods of which nothing is known but their names.
fn thinned(pods: usize) -> Store {
    let mut store = Store::new(Resource::Pod);
    for index in 0..pods {
        take(&mut store, &pod("a", &format!("p{index}"), "n", "web"));
    }
    let mut steps = 1;
    while store.thin(100) {
        steps += 1;
    }
    assert_eq!((steps, store.has_whole()), (pods.div_ceil(100), false));
    store
}

#[test]
fn thinning_looks_at_what_came_since_and_at_nothing_else() {
    let mut store = thinned(1000);
    take(&mut store, &pod("a", "p500", "n", "db"));
    assert!(!store.thin(1), "one has changed");
    assert!(store.is_thin() && !store.has_whole());
    for name in ["p3", "new", "p900"] {
        take(&mut store, &pod("a", name, "n", "other"));
    }
    assert!(store.thin(2));
    assert!(!store.thin(1), "three have");
    // One that takes the place of another, and one that changed and is gone.
    store.remove("a", "p7");
    take(&mut store, &pod("a", "p8", "n", "other"));
    store.remove("a", "p8");
    take(&mut store, &pod("a", "newer", "n", "web"));
    assert!(store.has_whole() && !store.thin(2));
    assert_eq!((store.len(), store.leftovers()), (1000, (0, 0)));
}

#[test]
fn what_changes_again_and_again_is_not_noted_without_end() {
    let mut store = thinned(100);
    take(&mut store, &pod("a", "p1", "n", "db"));
    for round in 0..1000 {
        take(&mut store, &pod("a", "p5", "n", &round.to_string()));
        store.remove("a", "p6");
        take(&mut store, &pod("a", "p6", "n", &round.to_string()));
    }
    assert!(store.has_whole() && !store.thin(200), "no more than all of them twice");
}

#[derive(Debug, Clone)]
enum Step {
    Take(u8, u8, u8),
    Remove(u8),
    List(Vec<(u8, u8)>, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..8, 0u8..3, 0u8..3).prop_map(|(name, node, label)| Step::Take(name, node, label)),
        2 => (0u8..8).prop_map(Step::Remove),
        1 => (proptest::collection::vec((0u8..8, 0u8..3), 0..8), any::<bool>())
            .prop_map(|(objects, ends)| Step::List(objects, ends)),
    ]
}

proptest! {
    /// Whatever is thinned in between, the same changes are seen.
    #[test]
    fn who_keeps_names_alone_sees_the_same_changes(
        steps in proptest::collection::vec((step(), proptest::option::of(0u8..10)), 0..40),
    ) {
        let (mut whole, mut thinned) = (Store::new(Resource::Pod), Store::new(Resource::Pod));
        for (step, thins) in steps {
            if let Some(some) = thins {
                thinned.thin(usize::from(some));
            }
            let seen = |store: &mut Store, thins: Option<u8>| match &step {
                Step::Take(name, node, label) => {
                    vec![(take(store, &pod("some-namespace", &format!("set-p{name}"), &format!("node-{node}"), &format!("label-{label}"))), String::new())]
                }
                Step::Remove(name) => vec![(store.remove("some-namespace", &format!("set-p{name}")), String::new())],
                Step::List(objects, ends) => {
                    store.begin_list();
                    let of_list = |(name, node): &(u8, u8)| pod("some-namespace", &format!("set-p{name}"), &format!("node-{node}"), "label-0");
                    let mut seen: Vec<_> = objects.iter().map(|it| (take(store, &of_list(it)), String::new())).collect();
                    let came = seen.len();
                    if let Some(some) = thins {
                        store.thin(usize::from(some));
                    }
                    if *ends {
                        store.end_list(|key| seen.push((Change::Removed, key.to_string())));
                    }
                    seen[came..].sort_by(|one, other| one.1.cmp(&other.1));
                    seen
                }
            };
            prop_assert_eq!(seen(&mut whole, None), seen(&mut thinned, thins));
            let keys = |store: &Store| store.keys(None).map(|key| key.to_string()).collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(keys(&whole), keys(&thinned));
            prop_assert!(thinned.bytes() <= whole.bytes() + 32 * thinned.len());
        }
        // Eight objects and what happened to them: nothing is forgotten, and nothing looked for without end.
        thinned.thin(16);
        prop_assert!(!thinned.has_whole());
        prop_assert_eq!(thinned.leftovers(), (0, 0));
        for name in 0..8 {
            thinned.remove("some-namespace", &format!("set-p{name}"));
        }
        prop_assert_eq!((thinned.len(), thinned.bytes(), thinned.names_in_common()), (0, 0, 0));
    }

    #[test]
    fn any_history_ends_in_what_came_last(steps in proptest::collection::vec((step(), 0u8..3), 0..40)) {
        let (mut store, mut model) = (Store::new(Resource::Pod), BTreeMap::new());
        let put = |store: &mut Store, model: &mut BTreeMap<String, String>, name: u8, node: u8, label: u8| {
            let (name, node) = (format!("p{name}"), format!("node-{node}"));
            take(store, &pod("some-namespace", &name, &node, &format!("label-{label}")));
            model.insert(name, node);
        };
        for (step, indexed) in steps {
            // By and by, while other things happen.
            if indexed > 0 {
                store.index(Link::Node, usize::from(indexed));
            }
            match step {
                Step::Take(name, node, label) => put(&mut store, &mut model, name, node, label),
                Step::Remove(name) => {
                    let name = format!("p{name}");
                    let removed = store.remove("some-namespace", &name) == Change::Removed;
                    prop_assert_eq!(removed, model.remove(&name).is_some());
                }
                Step::List(objects, ends) => {
                    store.begin_list();
                    for (name, node) in &objects {
                        put(&mut store, &mut model, *name, *node, 0);
                    }
                    if ends {
                        model.retain(|name, _| objects.iter().any(|(listed, _)| format!("p{listed}") == *name));
                        store.end_list(|_| ());
                    }
                }
            }
            prop_assert_eq!(store.len(), model.len());
        }
        index(&mut store, Link::Node);
        for node in ["node-0", "node-1", "node-2"] {
            let wanted: Vec<_> =
                model.iter().filter(|(_, of)| *of == node).map(|(name, _)| format!("some-namespace/{name}")).collect();
            prop_assert_eq!(by_node(&store, node), wanted);
        }
        for name in model.keys() {
            store.remove("some-namespace", name);
        }
        prop_assert_eq!((store.bytes(), store.leftovers()), (0, (0, 0)));
    }
}

/// A pod as real ones are: labels, annotations of which one is different for each, two containers.
fn real_pod(index: usize) -> String {
    let (app, hash) = (format!("app-{}", index % 200), xxhash_rust::xxh3::xxh3_64(&index.to_le_bytes()));
    let hex = |seed: u64| format!("{:016x}", hash.wrapping_mul(seed)).repeat(4);
    let container = |name: &str, port: &str, number: u32| {
        format!(
            r#"{{"name":"{name}","image":"registry.example/{app}/{name}:1.2.{}","ports":[{{"name":"{port}",
            "containerPort":{number},"protocol":"TCP"}}],"env":[{{"name":"A","value":"{index}"}}]}}"#,
            index % 3
        )
    };
    format!(
        r#"{{"metadata":{{"name":"{app}-{:09x}-{:05x}","namespace":"namespace-{}","resourceVersion":"{index}",
        "uid":"{:08x}-1234-4321-8888-{:012x}","labels":{{"app.kubernetes.io/name":"{app}","app.kubernetes.io/instance":"{app}-x",
        "pod-template-hash":"{:09x}","team":"team-{}","tier":"backend"}},"annotations":{{"prometheus.io/scrape":"false",
        "prometheus.io/port":"8080","checksum/config":"{}","kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}},
        "ownerReferences":[{{"kind":"ReplicaSet","name":"{app}-{:09x}","controller":true}}]}},
        "spec":{{"nodeName":"node-{}.example.internal","containers":[{},{}]}},
        "status":{{"phase":"Running","podIP":"10.{}.{}.{}","hostIP":"192.168.0.{}",
        "conditions":[{{"type":"Ready","status":"True"}}],
        "containerStatuses":[{{"name":"main","containerID":"containerd://{}"}},{{"name":"proxy","containerID":"containerd://{}"}}]}}}}"#,
        index % 200,
        index,
        index % 50,
        hash as u32,
        hash >> 16,
        index % 200,
        index % 20,
        hex(3),
        index % 200,
        index % 300,
        container("main", "http", 8080),
        container("proxy", "metrics", 9090),
        index >> 16 & 255,
        index >> 8 & 255,
        index & 255,
        index % 250,
        hex(5),
        hex(7),
    )
}

#[test]
fn a_pod_takes_about_two_hundred_and_fifty_bytes() {
    let mut store = Store::new(Resource::Pod);
    let mut json = 0;
    for index in 0..5000 {
        let pod = real_pod(index);
        json += pod.len();
        take(&mut store, &pod);
    }
    let bytes = store.bytes() / store.len();
    assert!(bytes < 285, "{bytes} bytes are kept of a pod, of {} of JSON", json / store.len());
    let pod: Pod<'_> = store.get("namespace-7", "app-7-000000007-00007").expect("it was taken in");
    assert_eq!((&*pod.ip, pod.containers.len(), pod.meta.annotations.len()), ("10.0.0.7", 2, 4));
    store.thin(usize::MAX);
    let bytes = store.bytes() / store.len();
    assert!(bytes < 22, "{bytes} bytes are kept of a pod of which the name is enough");
    assert!(store.names_in_common() < 300, "{} for 200 replica sets in 50 namespaces", store.names_in_common());
}
