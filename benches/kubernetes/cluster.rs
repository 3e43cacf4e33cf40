//! The cluster: objects as they stand in real ones, with all that nobody needs of them.

use rosterd_testkit::FakeApiServer;
use serde_json::{Map, Value, json};

/// Of so many pods one is annotated to be scraped.
const ANNOTATED: usize = 100;
/// Of so many pods one belongs to what is selected, and what changes are marked in.
const MARKED: usize = 500;
/// Of so many pods one is a database.
const DATABASES: usize = 200;
/// Of so many services one is annotated to be scraped, or has a label.
const SERVICES: usize = 50;
/// Of so many services one is annotated to be probed.
const PROBED: usize = 20;
/// The addresses of the API servers.
const SERVERS: usize = 3;

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) pods: usize,
    pub(super) nodes: usize,
    pub(super) services: usize,
    pub(super) namespaces: usize,
}

impl Size {
    /// The same proportions with so many pods, each service with the pods of one namespace.
    pub(super) fn of(self, pods: usize) -> Self {
        let namespaces = (self.namespaces * pods / self.pods).max(1);
        let services = (self.services / self.namespaces).max(1) * namespaces;
        Self { pods, nodes: (self.nodes * pods / self.pods).max(1), services, namespaces }
    }

    /// As an argument of the server.
    pub(super) fn written(self) -> String {
        format!("{}x{}x{}x{}", self.pods, self.nodes, self.services, self.namespaces)
    }

    /// Reads what was written.
    pub(super) fn read(text: &str) -> Self {
        let numbers: Vec<usize> = text.split('x').map(|number| number.parse().expect("sizes are numbers")).collect();
        let [pods, nodes, services, namespaces] = numbers[..] else { panic!("{text} is not the size of a cluster") };
        Self { pods, nodes, services, namespaces }
    }

    /// How many targets the ten jobs have.
    pub(super) fn targets(self) -> usize {
        let behind = |service: usize| self.behind(service).count();
        let behind_some = |rest: usize| (rest..self.services).step_by(SERVICES).map(behind).sum::<usize>();
        let pods = |of: usize, rest: usize| self.pods.saturating_sub(rest).div_ceil(of);
        let of_pods = pods(ANNOTATED, 0) + pods(MARKED, 7) + pods(DATABASES, 11);
        let of_services = behind_some(0) + behind_some(1) + behind_some(2) + self.services.div_ceil(PROBED);
        2 * self.nodes + SERVERS + of_pods + of_services
    }

    /// How many pods are marked.
    pub(super) fn marked(self) -> usize {
        self.pods.saturating_sub(7).div_ceil(MARKED)
    }

    /// The pods behind a service.
    fn behind(self, service: usize) -> impl Iterator<Item = usize> {
        (service..self.pods).step_by(self.services)
    }
}

/// The pod that is the so manieth one of those that are marked.
pub(super) fn marked(number: usize) -> usize {
    7 + number * MARKED
}

/// Whether a pod is one of those that are marked.
pub(super) fn is_marked(pod: usize) -> bool {
    pod % MARKED == 7
}

/// Fills an API server.
pub(super) fn fill(server: &FakeApiServer, size: Size) {
    for number in 0..size.namespaces {
        let name = format!("ns-{number}");
        server.put(
            json!({"kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}),
        );
    }
    (0..size.nodes).for_each(|number| server.put(node(number, 0)));
    (0..size.pods).for_each(|number| server.put(pod(number, size, true, 0)));
    for number in 0..size.services {
        server.put(service(number, size));
        server.put(endpoints(number, size));
        server.put(slice(number, size, true));
    }
    let name = json!({"namespace": "default", "name": "kubernetes", "labels": {"component": "apiserver"}});
    let (spec, ports) =
        (json!({"name": "https", "port": 443}), json!([{"name": "https", "port": 6443, "protocol": "TCP"}]));
    server.put(json!({"kind": "Service", "metadata": name, "spec": {"ports": [spec], "clusterIP": "10.96.0.1", "type": "ClusterIP"}}));
    let addresses: Vec<_> = (0..SERVERS).map(|number| json!({"ip": format!("192.168.255.{number}")})).collect();
    server.put(json!({"kind": "Endpoints", "metadata": name, "subsets": [{"addresses": addresses, "ports": ports}]}));
}

/// What others have written of an object, field by field: a third of what real ones weigh.
fn managed(fields: &[&str]) -> Value {
    let one: Map<String, Value> = fields.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
    let by = |manager: &str, at: &str| json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": at, "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": one}, "f:status": one}});
    json!([by("kube-controller-manager", "2026-01-01T00:00:00Z"), by("kubelet", "2026-01-01T00:00:10Z")])
}

fn ip(number: usize) -> String {
    format!("10.{}.{}.{}", 1 + (number >> 16), number >> 8 & 255, number & 255)
}

/// A pod with two containers and one that runs before them.
pub(super) fn pod(number: usize, size: Size, ready: bool, round: usize) -> Value {
    let Size { nodes, services, namespaces, .. } = size;
    let (service, namespace) = (number % services, format!("ns-{}", number % namespaces));
    let app = format!("app-{service}");
    let hash = format!("{:010x}", service * 2_654_435_761);
    let set = format!("{app}-{hash}");
    let annotated = number.is_multiple_of(ANNOTATED).to_string();
    let mut labels = json!({
        "app.kubernetes.io/name": app, "app.kubernetes.io/instance": format!("{app}-main"), "app.kubernetes.io/version": format!("1.{}.0", service % 17),
        "app.kubernetes.io/managed-by": "Helm", "pod-template-hash": hash, "team": format!("team-{}", service % 20),
        "tier": if number % DATABASES == 11 { "database" } else { "backend" },
    });
    let mut annotations = json!({
        "prometheus.io/scrape": annotated, "prometheus.io/port": "9090", "checksum/config": format!("{:064x}", service * 77_777),
        "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
    });
    if is_marked(number) {
        labels["marked"] = json!("true");
        annotations["bench/round"] = json!(round.to_string());
    }
    let container = |name: &str, port: Option<(&str, u32)>| {
        let env: Vec<_> = (0..3).map(|variable| json!({"name": format!("{}_VARIABLE_{variable}", name.to_uppercase()), "value": format!("value-of-variable-{variable}-of-{app}")})).collect();
        let ports: Vec<_> =
            port.iter().map(|(name, port)| json!({"name": name, "containerPort": port, "protocol": "TCP"})).collect();
        json!({
            "name": name, "image": format!("registry.example.com/{app}/{name}:1.{}.0", service % 17), "imagePullPolicy": "IfNotPresent", "env": env, "ports": ports,
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}, {"name": "kube-api-access", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "securityContext": {"runAsNonRoot": true, "readOnlyRootFilesystem": true},
        })
    };
    let status = |name: &str, ready: bool| {
        json!({
            "name": name, "ready": ready, "started": true, "restartCount": 0, "image": format!("registry.example.com/{app}/{name}:1.{}.0", service % 17),
            "imageID": format!("registry.example.com/{app}/{name}@sha256:{:064x}", service * 99_991 + name.len()), "containerID": format!("containerd://{:032x}{:032x}", number * 31 + name.len(), number),
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "lastState": {},
        })
    };
    let time = format!("2026-01-01T{:02}:{:02}:{:02}Z", round / 3600 % 24, round / 60 % 60, round % 60);
    let condition = |kind: &str, is: bool| json!({"type": kind, "status": if is { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": time});
    json!({
        "kind": "Pod",
        "metadata": {
            "name": format!("{set}-{number:05x}"), "generateName": format!("{set}-"), "namespace": namespace, "uid": format!("5c1f8a70-33aa-4b9c-8d52-{number:012x}"),
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels, "annotations": annotations,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": format!("7d3e11b0-0000-4b9c-8d52-{service:012x}"), "controller": true, "blockOwnerDeletion": true}],
            "managedFields": managed(&["checksum/config", "app.kubernetes.io/name", "app.kubernetes.io/instance", "pod-template-hash", "team"]),
        },
        "spec": {
            "nodeName": format!("node-{}", number % nodes), "containers": [container("main", Some(("http", 8080))), container("proxy", Some(("metrics", 9090)))],
            "initContainers": [container("setup", None)], "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "serviceAccountName": app, "serviceAccount": app, "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}, {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "volumes": [{"name": "config", "configMap": {"name": format!("{app}-config"), "defaultMode": 420}}, {"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}],
        },
        "status": {
            "phase": "Running", "podIP": ip(number), "podIPs": [{"ip": ip(number)}], "hostIP": host(number % nodes), "hostIPs": [{"ip": host(number % nodes)}], "startTime": "2026-01-01T00:00:00Z", "qosClass": "Burstable",
            "conditions": [condition("PodReadyToStartContainers", true), condition("Initialized", true), condition("Ready", ready), condition("ContainersReady", ready), condition("PodScheduled", true)],
            "containerStatuses": [status("main", ready), status("proxy", true)], "initContainerStatuses": [status("setup", true)],
        },
    })
}

fn host(node: usize) -> String {
    format!("192.168.{}.{}", node >> 8, node & 255)
}

/// A node; each round it has told that it lives.
pub(super) fn node(number: usize, round: usize) -> Value {
    let name = format!("node-{number}");
    let images: Vec<_> = (0..20).map(|image| json!({"names": [format!("registry.example.com/app-{image}/main@sha256:{image:064x}")], "sizeBytes": 123_456_789})).collect();
    let beat = format!("2026-01-01T{:02}:{:02}:{:02}Z", round / 3600 % 24, round / 60 % 60, round % 60);
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastHeartbeatTime": beat, "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Kubelet", "message": "the kubelet says so"});
    json!({
        "kind": "Node",
        "metadata": {
            "name": name, "uid": format!("0e1f8a70-33aa-4b9c-8d52-{number:012x}"),
            "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "topology.kubernetes.io/region": "eu-west",
                "topology.kubernetes.io/zone": format!("eu-west-{}", number % 3), "node.kubernetes.io/instance-type": "m5.2xlarge",
            },
            "annotations": {"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            "managedFields": managed(&["kubernetes.io/hostname", "kubernetes.io/arch"]),
        },
        "spec": {"providerID": format!("cloud:///eu-west/{name}"), "podCIDR": format!("10.{}.{}.0/24", number >> 8, number & 255)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": host(number)}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"}, "allocatable": {"cpu": "8", "memory": "30Gi", "pods": "110"},
            "conditions": [condition("MemoryPressure", "False"), condition("DiskPressure", "False"), condition("PIDPressure", "False"), condition("Ready", "True")],
            "nodeInfo": {"kubeletVersion": "v1.33.0", "osImage": "Debian", "kernelVersion": "6.1.0", "containerRuntimeVersion": "containerd://1.7.0"},
            "images": images,
        },
    })
}

fn service_meta(number: usize, size: Size, name: &str, extra: (&str, &str)) -> Value {
    let app = format!("app-{number}");
    let monitored = ["annotated", "web", "sliced"].get(number % SERVICES).copied().unwrap_or("none");
    let mut meta = json!({
        "namespace": format!("ns-{}", number % size.namespaces), "name": name,
        "labels": {"app.kubernetes.io/name": app, "app.kubernetes.io/managed-by": "Helm", "monitor": monitored},
        "annotations": {"meta.helm.sh/release-name": app, "prometheus.io/scrape": (monitored == "annotated").to_string(), "prometheus.io/probe": number.is_multiple_of(PROBED).to_string()},
        "managedFields": managed(&["app.kubernetes.io/name"]),
    });
    if !extra.0.is_empty() {
        meta["labels"][extra.0] = json!(extra.1);
    }
    meta
}

fn service(number: usize, size: Size) -> Value {
    let spec = json!({
        "type": "ClusterIP", "clusterIP": format!("10.{}.{}.{}", 96 + (number >> 16), number >> 8 & 255, number & 255), "selector": {"app.kubernetes.io/name": format!("app-{number}")},
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
    });
    json!({"kind": "Service", "metadata": service_meta(number, size, &format!("app-{number}"), ("", "")), "spec": spec})
}

/// The name of a pod, as it stands in its object.
fn name_of(pod: usize, size: Size) -> String {
    let service = pod % size.services;
    format!("app-{service}-{:010x}-{pod:05x}", service * 2_654_435_761)
}

/// The pod that has this name.
pub(super) fn number_of(name: &str) -> Option<usize> {
    usize::from_str_radix(name.rsplit('-').next()?, 16).ok()
}

fn endpoints(number: usize, size: Size) -> Value {
    let namespace = format!("ns-{}", number % size.namespaces);
    let address = |pod: usize| json!({"ip": ip(pod), "nodeName": format!("node-{}", pod % size.nodes), "targetRef": {"kind": "Pod", "namespace": namespace, "name": name_of(pod, size), "uid": format!("5c1f8a70-33aa-4b9c-8d52-{pod:012x}")}});
    let addresses: Vec<_> = size.behind(number).map(address).collect();
    let subset = json!({"addresses": addresses, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
    json!({"kind": "Endpoints", "metadata": service_meta(number, size, &format!("app-{number}"), ("", "")), "subsets": [subset]})
}

/// The slice of a service, of which the first pod may not be ready.
pub(super) fn slice(number: usize, size: Size, ready: bool) -> Value {
    let namespace = format!("ns-{}", number % size.namespaces);
    let endpoint = |(index, pod): (usize, usize)| {
        json!({
            "addresses": [ip(pod)], "nodeName": format!("node-{}", pod % size.nodes), "zone": format!("eu-west-{}", pod % size.nodes % 3), "conditions": {"ready": ready || index > 0, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": name_of(pod, size), "uid": format!("5c1f8a70-33aa-4b9c-8d52-{pod:012x}")},
        })
    };
    let endpoints: Vec<_> = size.behind(number).enumerate().map(endpoint).collect();
    let (app, name) = (format!("app-{number}"), format!("app-{number}-x{:04x}", number % 65_536));
    json!({
        "kind": "EndpointSlice", "metadata": service_meta(number, size, &name, ("kubernetes.io/service-name", &app)),
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    })
}
