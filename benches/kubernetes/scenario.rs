//! What is measured.

use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::sleep;

use super::cluster::Size;
use super::events::Mark;
use super::options::Options;
use super::seen::Seen;
use super::server::Server;
use super::shared::program::{Kind, Place, Program};
use super::shared::table::{Row, mebibytes, row, seconds};

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Ten jobs.
    Jobs,
    /// One job, of which a selector of the API server keeps one pod of 500.
    Selector,
    /// One job, of which a rule does.
    Rule,
}

/// The job whose targets show the round of their pods.
pub(super) const MARKED: &str = "marked";
/// Samples are sent to nobody.
const NOWHERE: &str = "http://127.0.0.1:9/";

const KEEP_MARKED: &str = "
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: metrics, action: keep}
  - {source_labels: [__meta_kubernetes_pod_annotation_bench_round], target_label: round}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}";

/// As kube-prometheus and the charts write them.
const JOBS: &str = "
- job_name: kubelet
  kubernetes_sd_configs: [{role: node, API}]
  relabel_configs:
  - {action: labelmap, regex: __meta_kubernetes_node_label_(.+)}
- job_name: cadvisor
  metrics_path: /metrics/cadvisor
  kubernetes_sd_configs: [{role: node, API}]
  relabel_configs:
  - {action: labelmap, regex: __meta_kubernetes_node_label_(.+)}
- job_name: apiservers
  kubernetes_sd_configs: [{role: endpoints, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_namespace, __meta_kubernetes_service_name, __meta_kubernetes_endpoint_port_name], regex: default;kubernetes;https, action: keep}
- job_name: annotated-pods
  kubernetes_sd_configs: [{role: pod, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: 'true', action: keep}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: metrics, action: keep}
  - {source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port], regex: '([^:]+)(?::\\d+)?;(\\d+)', replacement: '$1:$2', target_label: __address__}
  - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- job_name: databases
  kubernetes_sd_configs: [{role: pod, attach_metadata: {node: true}, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_tier], regex: database, action: keep}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: metrics, action: keep}
  - {source_labels: [__meta_kubernetes_node_label_topology_kubernetes_io_zone], target_label: zone}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- job_name: annotated-services
  kubernetes_sd_configs: [{role: endpoints, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_service_annotation_prometheus_io_scrape], regex: 'true', action: keep}
  - {source_labels: [__meta_kubernetes_endpoint_port_name], regex: http, action: keep}
  - {action: labelmap, regex: __meta_kubernetes_service_label_(.+)}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- job_name: web
  kubernetes_sd_configs: [{role: endpoints, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_service_label_monitor, __meta_kubernetes_service_labelpresent_monitor], regex: web;true, action: keep}
  - {source_labels: [__meta_kubernetes_endpoint_port_name], regex: http, action: keep}
  - {source_labels: [__meta_kubernetes_endpoint_address_target_kind, __meta_kubernetes_endpoint_address_target_name], separator: ;, regex: Pod;(.*), replacement: '$1', target_label: pod}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_service_name], target_label: service}
  - {source_labels: [__meta_kubernetes_pod_container_name], target_label: container}
- job_name: slices
  kubernetes_sd_configs: [{role: endpointslice, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_service_label_monitor, __meta_kubernetes_service_labelpresent_monitor], regex: sliced;true, action: keep}
  - {source_labels: [__meta_kubernetes_endpointslice_port_name], regex: http, action: keep}
  - {source_labels: [__meta_kubernetes_endpointslice_address_target_kind, __meta_kubernetes_endpointslice_address_target_name], separator: ;, regex: Pod;(.*), replacement: '$1', target_label: pod}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_service_name], target_label: service}
- job_name: probes
  metrics_path: /probe
  params: {module: [http_2xx]}
  kubernetes_sd_configs: [{role: service, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_service_annotation_prometheus_io_probe], regex: 'true', action: keep}
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: 'blackbox:9115'}
- job_name: marked
  kubernetes_sd_configs: [{role: pod, API}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_marked], regex: 'true', action: keep}";

impl Scenario {
    pub(super) const ALL: [Self; 3] = [Self::Jobs, Self::Selector, Self::Rule];

    /// `jobs`, and so on.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "jobs" => Self::Jobs,
            "selector" => Self::Selector,
            "rule" => Self::Rule,
            _ => panic!("{name:?} is no scenario: jobs, selector, rule"),
        }
    }

    pub(super) fn title(self, size: Size) -> String {
        let Size { pods, nodes, services, namespaces } = size;
        let jobs = match self {
            Self::Jobs => "Ten jobs".to_owned(),
            Self::Selector => format!("A selector that keeps {} pods", size.marked()),
            Self::Rule => format!("A rule that keeps {} pods", size.marked()),
        };
        format!("{jobs}: {pods} pods in {namespaces} namespaces, {nodes} nodes, {services} services")
    }

    fn config(self, port: u16) -> String {
        let api = format!("api_server: 'http://127.0.0.1:{port}'");
        let marked = |selectors: &str, rule: &str| {
            format!(
                "\n- job_name: marked\n  kubernetes_sd_configs: [{{role: pod, {selectors}API}}]\n  relabel_configs:{rule}{KEEP_MARKED}"
            )
        };
        let jobs = match self {
            Self::Jobs => format!("{JOBS}{KEEP_MARKED}"),
            Self::Selector => marked("selectors: [{role: pod, label: 'marked=true'}], ", ""),
            Self::Rule => {
                marked("", "\n  - {source_labels: [__meta_kubernetes_pod_label_marked], regex: 'true', action: keep}")
            }
        };
        format!("global: {{scrape_interval: 1d}}\nscrape_configs:{}\n", jobs.replace("API}", &format!("{api}}}")))
    }

    fn targets(self, size: Size) -> usize {
        if self == Self::Jobs { size.targets() } else { size.marked() }
    }

    /// Runs one program.
    pub(super) async fn run(self, kind: Kind, options: &Options) -> Vec<Row> {
        let server = Server::start(options.size).await;
        let folder = Folder::new();
        folder.write("prometheus.yml", self.config(server.port));
        let place = Place::in_folder(&folder, NOWHERE);
        let mut program = Program::start(kind, &place);
        program.wait_started().await;
        let took = program.wait_targets(self.targets(options.size), program.started()).await;
        let cpu = program.cpu().total();
        // Whatever is left to do is no idling.
        sleep(Duration::from_secs(10)).await;
        let settled = program.cpu().total();
        let (resident, peak) = program.resident();
        let figures = server.figures().await;
        let lists: usize = figures.lists.values().sum();
        let mut rows = vec![
            row("time until all are there", seconds(took)),
            row("CPU until all are there", format!("{cpu:.2} s")),
            row("CPU in the 10 s after", format!("{:.2} s", settled - cpu)),
            row("memory", mebibytes(resident)),
            row("memory at the peak", mebibytes(peak)),
            row("lists of resources", format!("{lists} of {}", figures.lists.len())),
            row("connections, watches", format!("{}, {}", figures.connections, figures.open_watches)),
            row("read from the API server", format!("{:.1} MB", figures.bytes as f64 / 1e6)),
            row("CPU of the API server", format!("{:.2} s", server.cpu())),
        ];
        rows.extend(changes(&server, &program, &place, kind, options).await);
        rows
    }
}

/// Lets things happen: first while nobody looks, for the CPU, then while somebody does, for how late they are seen.
async fn changes(server: &Server, program: &Program, place: &Place, kind: Kind, options: &Options) -> Vec<Row> {
    let before = program.cpu().total();
    server.begin(options.rate, options.measured).await;
    let mut progress = server.progress().await;
    while progress.goes_on {
        sleep(Duration::from_millis(200)).await;
        progress = server.progress().await;
    }
    // Until those that look once in a while have looked.
    sleep(if kind == Kind::Rosterd { Duration::from_secs(1) } else { Duration::from_secs(35) }).await;
    let (cpu, events) = (program.cpu().total() - before, progress.rounds);
    let resident = program.resident().0;
    server.begin(options.rate, options.watched).await;
    let seen = Seen::watch(program, place.port, kind, options.watched).await;
    let marks = server.progress().await.marks;
    let marks: Vec<Mark> = marks.into_iter().filter(|mark| mark.round > events).collect();
    let mut late: Vec<Duration> = marks.iter().filter_map(|mark| seen.lateness(mark)).collect();
    late.sort();
    assert!(!late.is_empty(), "{} shows no change", kind.name());
    let of_hundred = |part: usize| seconds(late[(late.len() - 1) * part / 100]);
    vec![
        row(format!("{events} events: CPU an event"), format!("{:.2} ms", cpu * 1000.0 / events as f64)),
        row("event to target, median", of_hundred(50)),
        row("event to target, 99 of 100", of_hundred(99)),
        row("event to target, worst", of_hundred(100)),
        row("changes seen", format!("{} of {}", late.len(), marks.len())),
        row("memory after the events", mebibytes(resident)),
    ]
}

/// Runs the API server alone, for programs that are started by hand.
pub(super) async fn by_hand(options: &Options) {
    let server = Server::start(options.size).await;
    // Kept until the end: the programs read them.
    let mut folders = Vec::new();
    for scenario in Scenario::ALL {
        let folder = Folder::new();
        folder.write("prometheus.yml", scenario.config(server.port));
        println!("{}, {} targets:", scenario.title(options.size), scenario.targets(options.size));
        for &kind in &options.kinds {
            let command = kind.command(&Place::in_folder(&folder, NOWHERE));
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            println!("  {}", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "));
        }
        folders.push(folder);
    }
    println!("\nfigures: curl {}", server.url("/figures"));
    println!("events: curl '{}'", server.url("/begin?rate=100&seconds=60"));
    tokio::signal::ctrl_c().await.expect("a signal can be waited for");
}
