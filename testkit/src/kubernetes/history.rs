//! Objects, their versions, and what happened to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::selector::Selector;

/// Resource, group and whether it is in namespaces, by kind.
pub(super) const KINDS: [(&str, &str, &str, bool); 9] = [
    ("Node", "nodes", "", false),
    ("Namespace", "namespaces", "", false),
    ("Pod", "pods", "", true),
    ("Service", "services", "", true),
    ("Endpoints", "endpoints", "", true),
    ("EndpointSlice", "endpointslices", "discovery.k8s.io", true),
    ("Ingress", "ingresses", "networking.k8s.io", true),
    ("ReplicaSet", "replicasets", "apps", true),
    ("Job", "jobs", "batch", true),
];

/// Fields that can be selected by, beside the name and the namespace.
const FIELDS: [(&str, &str); 4] = [
    ("spec.nodeName", "/spec/nodeName"),
    ("status.phase", "/status/phase"),
    ("status.podIP", "/status/podIP"),
    ("spec.unschedulable", "/spec/unschedulable"),
];

/// An object at one version.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) resource: &'static str,
    pub(super) namespace: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) fields: BTreeMap<&'static str, String>,
    pub(super) json: Bytes,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    pub(super) version: u64,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Put {
        before: Option<Arc<Object>>,
        now: Arc<Object>,
    },
    /// As it was at last, but with the version of its end.
    Deleted(Arc<Object>),
    Bookmark,
}

/// Objects and what happened to them.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) version: u64,
    objects: BTreeMap<(&'static str, String, String), Arc<Object>>,
    happened: Vec<Happened>,
    /// What happened before this version is not told to anyone who begins now.
    compacted: u64,
    /// The rest of lists, by what has to be asked for.
    rests: HashMap<String, (u64, Vec<Arc<Object>>)>,
}

/// The kind that a resource is of.
pub(super) fn kind(resource: &str) -> Option<&'static (&'static str, &'static str, &'static str, bool)> {
    KINDS.iter().find(|(_, of, ..)| *of == resource)
}

impl History {
    pub(super) fn put(&mut self, mut object: Value) {
        let name_of_kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let Some((_, resource, group, _)) = KINDS.iter().find(|(kind, ..)| *kind == name_of_kind) else {
            panic!("{name_of_kind:?} is not known to the fake API server");
        };
        self.version += 1;
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        object["apiVersion"] = json!(version);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012x}", self.version));
        }
        let now = Arc::new(Object::of(resource, &object));
        let name = now.fields["metadata.name"].clone();
        assert!(!name.is_empty(), "an object needs a name: {object}");
        let before = self.objects.insert((resource, now.namespace.clone(), name), Arc::clone(&now));
        self.happened.push(Happened { version: self.version, what: What::Put { before, now } });
    }

    pub(super) fn delete(&mut self, resource: &str, namespace: &str, name: &str) -> bool {
        let Some((_, resource, ..)) = kind(resource) else { return false };
        let Some(object) = self.objects.remove(&(*resource, namespace.to_owned(), name.to_owned())) else {
            return false;
        };
        self.version += 1;
        let mut json: Value = serde_json::from_slice(&object.json).expect("it was written here");
        json["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let last = Arc::new(Object::of(resource, &json));
        self.happened.push(Happened { version: self.version, what: What::Deleted(last) });
        true
    }

    pub(super) fn bookmark(&mut self) {
        self.happened.push(Happened { version: self.version, what: What::Bookmark });
    }

    pub(super) fn compact(&mut self) {
        // A version that nobody has seen, so that whoever asks for an earlier one asks for too much.
        self.version += 1;
        self.compacted = self.version;
        self.rests.clear();
    }

    /// All objects that are meant, as of now.
    pub(super) fn list(&self, meant: &Selector) -> Vec<Arc<Object>> {
        self.objects.values().filter(|object| meant.means(object)).cloned().collect()
    }

    /// An object.
    pub(super) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let (_, resource, ..) = kind(resource)?;
        self.objects.get(&(*resource, namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Keeps the rest of a list until it is asked for by what is returned.
    pub(super) fn keep(&mut self, version: u64, rest: Vec<Arc<Object>>) -> String {
        let token = format!("rest-{version}-{}", rest.len());
        self.rests.insert(token.clone(), (version, rest));
        token
    }

    /// The rest of a list.
    pub(super) fn rest(&self, token: &str) -> Option<(u64, Vec<Arc<Object>>)> {
        self.rests.get(token).cloned()
    }

    /// Whether it is known what happened since a version.
    pub(super) fn remembers(&self, version: u64) -> bool {
        version >= self.compacted
    }

    /// What happened after so many things that happened: a position to go on from, and the things.
    pub(super) fn since(&self, position: usize) -> (usize, &[Happened]) {
        let news = self.happened.get(position..).unwrap_or_default();
        (position + news.len(), news)
    }

    /// The position behind what happened up to a version.
    pub(super) fn position(&self, version: u64) -> usize {
        self.happened.partition_point(|happened| happened.version <= version)
    }
}

impl Object {
    fn of(resource: &'static str, json: &Value) -> Self {
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let labels = json["metadata"]["labels"].as_object().into_iter().flatten();
        let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let mut fields: BTreeMap<_, _> = FIELDS.iter().map(|(field, pointer)| (*field, text(pointer))).collect();
        fields.insert("metadata.name", text("/metadata/name"));
        fields.insert("metadata.namespace", text("/metadata/namespace"));
        Self {
            resource,
            namespace: text("/metadata/namespace"),
            labels: labels.collect(),
            fields,
            json: serde_json::to_vec(json).expect("a value is JSON").into(),
        }
    }
}
