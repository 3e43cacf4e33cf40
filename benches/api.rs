//! The large answers of the HTTP face, over a loopback socket: `/api/v1/targets` and `/sd/{job}`; and what has to search
//! through all targets: those of one health, and the pages for people.
//!
//! `cargo bench --bench api [-- TARGETS]` prints wall time, bytes and the peak of resident memory for each request, once
//! with every target in a group of its own and once with all of them in one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd::api::{
    Build, ConfigView, ExternalUrl, HttpMetrics, Lifecycle, PrometheusNames, Providers, State, Storage, router,
};
use rosterd::journal::{Journal, JournalHandle};
use rosterd::publish::Publications;
use rosterd::roster::{Clock, JobSpec, Limits, Roster, RosterHandle, metrics};
use rosterd::scrape::{RemoteWrites, ScrapedJobs};
use rosterd::store::MemoryBlocks;
use rosterd::web::{Server, Settings};
use rosterd_discovery::ProviderKey;
use rosterd_model::relabel::Rules;
use rosterd_model::{Labels, Priority, Report, Retry, TargetGroup};
use rosterd_scrape::{Health, Statuses, TargetStatus};
use rosterd_tasks::stopper::Stopper;
use rosterd_testkit::everything;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn target(number: usize) -> Labels {
    let mut labels: BTreeMap<String, String> =
        (0..10).map(|label| (format!("__meta_label_{label}"), format!("value-{label}-of-{number}"))).collect();
    labels.insert("__address__".to_owned(), format!("host-{number}.example.com:9100"));
    labels.into_iter().chain((0..5).map(|label| (format!("label_{label}"), format!("value-{label}")))).collect()
}

fn job(name: &str) -> JobSpec {
    let defaults = [
        ("job", name),
        ("__scrape_interval__", "1m"),
        ("__scrape_timeout__", "10s"),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
    ];
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&[], Default::default()).expect("no rules are valid"),
        defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![ProviderKey::new(format!("bench/{name}"))],
    }
}

/// Every target was scraped, and one of a thousand is down.
fn scraped(roster: &RosterHandle) -> Statuses {
    let up = TargetStatus { health: Health::Up, last_scrape: Some(SystemTime::now()), ..TargetStatus::default() };
    let report = Report {
        code: "scrape_unreachable".to_owned(),
        message: "cannot reach the target".to_owned(),
        priority: Priority::Remote,
        retry: Retry::Interval,
        causes: vec!["connection refused".to_owned()],
    };
    let down = TargetStatus { health: Health::Down, error: Some(Arc::new(report)), ..up.clone() };
    let view = roster.view();
    let targets = view.jobs().flat_map(|job| job.targets().map(|slot| (job.spec().name.clone(), slot.labels.clone())));
    let status = |number: usize| if number.is_multiple_of(1000) { down.clone() } else { up.clone() };
    targets.enumerate().map(|(number, (job, labels))| (job, labels, status(number))).collect()
}

fn resident_mib(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() / 1024
}

fn state(roster: RosterHandle, journal: JournalHandle, registry: prometheus::Registry, scrapes: Statuses) -> State {
    let view = ConfigView {
        yaml: String::new(),
        loaded: SystemTime::now(),
        prometheus_names: false,
        idle: None,
        refused: None,
    };
    let (reload, _) = mpsc::channel(1);
    let (stopping, quit) = (CancellationToken::new(), CancellationToken::new());
    State {
        build: Build::of(["unknown"; 3]),
        flags: BTreeMap::new(),
        external_url: ExternalUrl::parse(None, "localhost", 9090).expect("it is a URL"),
        route_prefix: String::new(),
        metrics: HttpMetrics::register(&registry).expect("the names are free"),
        registry,
        prometheus_names: PrometheusNames::new(|_| Vec::new()),
        started: SystemTime::now(),
        directory: "/".into(),
        config: watch::channel(Arc::new(view)).1,
        lifecycle: Lifecycle { enabled: false, reload, quit, stopping },
        roster,
        providers: Providers::new(Vec::new),
        scrapes,
        scraped: ScrapedJobs::new(Default::default),
        trends: Default::default(),
        publications: Publications::new(Vec::new),
        served: Default::default(),
        remote_writes: RemoteWrites::new(Vec::new),
        journal,
        storage: Storage::new(Vec::new),
        waiting: Arc::new(Semaphore::new(256)),
        heavy: Arc::new(Semaphore::new(384)),
        trying: Arc::new(Semaphore::new(2)),
        compressing: Arc::new(Semaphore::new(4)),
        listen_port: 9090,
        ready_at: Instant::now(),
    }
}

async fn ask(address: std::net::SocketAddr, path: &str, encoding: &str) {
    // 5 makes the peak start anew.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = resident_mib("VmRSS:");
    let start = Instant::now();
    let mut client = TcpStream::connect(address).await.expect("the server listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("the server reads");
    let (mut buffer, mut bytes) = (vec![0; 256 * 1024], 0);
    loop {
        match client.read(&mut buffer).await.expect("the server answers") {
            0 => break,
            read => bytes += read,
        }
    }
    let took = start.elapsed();
    let peak = if reset { resident_mib("VmHWM:").saturating_sub(before) } else { 0 };
    println!("{path:<48} {encoding:<9} {took:>10.1?}  {bytes:>11} bytes  peak +{peak} MiB");
}

#[tokio::main]
async fn main() {
    let targets: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let stopper = Stopper::new();
    let registry = prometheus::Registry::new();
    let metrics = metrics::Metrics::register(&registry).expect("the registry is empty");
    let (updates, receiver) = mpsc::channel(1);
    let roster = Roster::start(&stopper, Arc::new(MemoryBlocks::new()), metrics, Clock::system(), receiver);
    roster.set_jobs(vec![job("many"), job("one")], Duration::from_secs(300)).await;
    let group = |number: usize, targets| TargetGroup {
        source: format!("bench:{number}").into(),
        targets,
        ..TargetGroup::default()
    };
    let many = (0..targets).map(|number| group(number, vec![target(number)])).collect();
    let one = vec![group(0, (0..targets).map(target).collect())];
    for (name, groups) in [("many", many), ("one", one)] {
        let update = everything(ProviderKey::new(format!("bench/{name}")), groups);
        updates.send(update).await.expect("the roster runs");
        let mut views = roster.watch();
        let complete = |view: &Arc<rosterd::roster::view::RosterView>| {
            view.job(name).is_some_and(|job| job.counts().targets == targets)
        };
        views.wait_for(complete).await.expect("the roster runs");
    }
    let settings = Settings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..Settings::default() };
    let mut server = Server::bind(settings, None, stopper.supervision()).await.expect("there are free ports");
    let address = server.addresses()[0];
    let scrapes = scraped(&roster);
    let history = rosterd::journal::metrics::Metrics::register(&registry).expect("the names are free");
    let journal = Journal::start(&stopper, &roster, None, None, Arc::new(Vec::new), None, history);
    server.serve(router(Arc::new(state(roster, journal, registry, scrapes))));
    println!("{targets} targets in groups of one (many), and as many in one group (one)");
    for name in ["many", "one"] {
        for _ in 0..2 {
            ask(address, &format!("/api/v1/targets?scrapePool={name}"), "identity").await;
        }
        ask(address, &format!("/api/v1/targets?scrapePool={name}&health=down"), "identity").await;
        for search in ["", "no+such+target"] {
            ask(address, &format!("/targets?job={name}&search={search}"), "identity").await;
        }
        for encoding in ["identity", "gzip", "gzip", "zstd", "zstd"] {
            ask(address, &format!("/sd/{name}"), encoding).await;
        }
    }
    let deadline = Duration::from_secs(10);
    assert!(server.shutdown(tokio::time::Instant::now() + deadline).await.is_empty(), "no connection is left");
    assert!(stopper.stop(deadline).await.is_empty(), "the roster ends");
}
