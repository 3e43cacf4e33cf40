//! What is read of JSON, and what comes back from a record.

use serde::Deserialize;

use super::{EndpointSlice, Map, Object, Pod};
use crate::codec::{Field, In, Interner, Out};

const POD: &str = r#"{
  "metadata": {
    "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "managedFields": [{"fieldsV1": {"f:x": {}}}],
    "labels": {"b": "2", "a": "1\n"}, "annotations": null,
    "ownerReferences": [{"kind": "X", "name": "x"}, {"kind": "Job", "name": "j", "controller": true}]
  },
  "spec": {"nodeName": null, "containers": [{"name": "c", "image": "i", "env": [{"name": "A"}]}], "initContainers": null},
  "status": {"podIP": "10.0.0.1", "conditions": null, "containerStatuses": [{"name": "c", "containerID": null}]}
}"#;

fn read<'a, T: Object<'a>>(json: &'a str) -> T {
    serde_json::from_str::<T::Json>(json).expect(json).into()
}

#[test]
fn what_is_not_there_or_null_is_empty() {
    let pod: Pod<'_> = read(POD);
    assert_eq!((&*pod.meta.name, &*pod.meta.version, &*pod.uid, &*pod.node), ("a", "7", "u", ""));
    assert_eq!(pod.controller.as_ref().map(|owner| (&*owner.kind, &*owner.name)), Some(("Job", "j")));
    assert_eq!((pod.containers.len(), &*pod.containers[0].id, pod.init_containers.len()), (1, "", 0));
    assert_eq!(
        pod.meta.labels.iter().map(|(key, value)| (&**key, &**value)).collect::<Vec<_>>(),
        [("a", "1\n"), ("b", "2")]
    );
    let nothing: Pod<'_> = read("{}");
    assert_eq!(nothing, Pod::default());
    let slice: EndpointSlice<'_> = read(r#"{"metadata":{},"endpoints":null,"ports":[{}]}"#);
    assert_eq!((slice.endpoints.len(), slice.ports[0].number), (0, None));
}

#[test]
fn texts_without_escapes_are_not_copied() {
    let pod: Pod<'_> = read(POD);
    assert!(matches!(pod.meta.name.0, std::borrow::Cow::Borrowed(_)));
    assert!(matches!(pod.meta.labels[0].1.0, std::borrow::Cow::Owned(_)));
}

#[test]
fn a_record_gives_back_what_it_was_made_of() {
    let mut pod: Pod<'_> = read(POD);
    let (mut bytes, mut interner) = (Vec::new(), Interner::default());
    pod.put(&mut Out::compact(&mut bytes, &mut interner));
    // The version changes with every write, and nothing is made of it.
    pod.meta.version = "".into();
    assert_eq!(Pod::take(&mut In::new(&bytes, &interner)), Some(pod));
}

#[test]
fn of_a_name_that_is_there_twice_the_last_counts() {
    let mut json = serde_json::Deserializer::from_str(r#"{"b": "1", "a": "2", "b": "3"}"#);
    let map = Map::deserialize(&mut json).expect("a map");
    assert_eq!((map.get("a"), map.get("b"), map.len()), (Some("2"), Some("3"), 2));
}

#[test]
fn what_is_not_a_text_is_refused() {
    for json in [r#"{"metadata":{"name":7}}"#, r#"{"metadata":{"labels":{"a":1}}}"#, r#"{"spec":{"containers":{}}}"#] {
        assert!(serde_json::from_str::<<Pod<'_> as Object<'_>>::Json>(json).is_err(), "{json}");
    }
}

fn links<'a>(object: &impl Object<'a>) -> Vec<String> {
    let mut found = Vec::new();
    object.links(&mut |link, namespace, name| found.push(format!("{link:?} {namespace}/{name}")));
    found
}

#[test]
fn objects_name_what_their_targets_are_made_of() {
    let pod: Pod<'_> = read(POD);
    assert_eq!(links(&pod), ["Node /", "Job n/j"]);
    let slice: EndpointSlice<'_> = read(
        r#"{"metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": "s"}}, "endpoints": [
            {"nodeName": "x", "targetRef": {"kind": "Pod", "namespace": "m", "name": "p"}},
            {"targetRef": {"kind": "Node", "name": "y"}}, {"targetRef": {"kind": "Other", "name": "z"}}]}"#,
    );
    assert_eq!(links(&slice), ["Service n/s", "Node /x", "Pod m/p", "Node /y"]);
}
