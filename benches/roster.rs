//! The roster by itself: target groups as JSON in, relabelled and deduplicated targets out, no file system, no network.
//!
//! `cargo bench --bench roster [-- TARGETS]` prints wall time of each step (all of it is single-threaded) and resident
//! memory. The whole agent next to its peers is measured by `benches/peers`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rosterd::publish::encode::{Encoding, list};
use rosterd::roster::{Clock, JobSpec, Limits, Roster, metrics};
use rosterd::store::MemoryBlocks;
use rosterd_discovery::{ProviderKey, Update, decode};
use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_tasks::stopper::Stopper;
use tokio::sync::mpsc;
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RULES: &str = r#"
- {source_labels: [env], regex: prod|staging, action: keep}
- {source_labels: [__address__], regex: '([^:]+):.*', target_label: host}
- {source_labels: [zone, rack], separator: /, target_label: place}
- {regex: 'tag_(.+)', action: labelmap}
- {regex: 'tag_.+', action: labeldrop}
- {source_labels: [team], action: lowercase, target_label: team}
"#;

fn groups(targets: usize, salt: usize) -> String {
    let mut json = String::from("[");
    for number in 0..targets {
        let comma = if number == 0 { "" } else { "," };
        let (zone, rack, team, build) = (number % 7, number % 91, number % 23, (number + salt) % 1000);
        json += &format!(
            r#"{comma}{{"targets":["10.{}.{}.{}:9100"],"labels":{{"env":"prod","zone":"eu-west-{zone}","rack":"r{rack}","team":"Team-{team}","service":"svc-{}","version":"1.{build}.0","tag_owner":"owner-{team}","tag_cost":"cc-{rack}","region":"europe","host_id":"i-{number:012x}"}}}}"#,
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255,
            number % 400,
        );
    }
    json + "]"
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

fn decoded(json: &str) -> Vec<rosterd_model::TargetGroup> {
    decode::json_groups(json.as_bytes(), |index| format!("bench:{index}"), &[]).expect("the groups are well formed")
}

#[tokio::main]
async fn main() {
    let targets: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let stopper = Stopper::new();
    let registry = prometheus::Registry::new();
    let metrics = metrics::Metrics::register(&registry).expect("the registry is empty");
    let (updates, receiver) = mpsc::channel(1);
    let roster = Roster::start(&stopper, Arc::new(MemoryBlocks::default()), metrics, Clock::system(), receiver);
    let rules: Vec<RuleConfig> = serde_yaml::from_str(RULES).expect("the rules are well formed");
    let provider = ProviderKey::new("bench/1");
    let default = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let defaults = vec![
        default("job", "bench"),
        default("__scrape_interval__", "1m"),
        default("__scrape_timeout__", "10s"),
        default("__metrics_path__", "/metrics"),
        default("__scheme__", "http"),
        default("__convert_classic_histograms_to_nhcb__", "false"),
        default("__always_scrape_classic_histograms__", "false"),
        default("__scrape_native_histograms__", "false"),
    ];
    let job = JobSpec {
        name: "bench".into(),
        rules: Rules::compile(&rules, Default::default()).expect("the rules are valid"),
        defaults,
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        providers: vec![provider.clone()],
    };
    roster.set_jobs(vec![job], Duration::from_secs(300)).await;
    let mut views = roster.watch();
    views.mark_unchanged();

    let json = groups(targets, 0);
    let idle = resident_kib();
    let started = Instant::now();
    let groups_read = decoded(&json);
    println!("decode           {:>10.3} s for {} MB", started.elapsed().as_secs_f64(), json.len() >> 20);

    let started = Instant::now();
    let update = Update::everything(provider.clone(), groups_read);
    updates.send(update).await.expect("the roster runs");
    views.changed().await.expect("the roster runs");
    println!("relabel and keep {:>10.3} s", started.elapsed().as_secs_f64());

    let mut changed: Vec<_> = decoded(&groups(10, 1));
    for (number, group) in changed.iter_mut().enumerate() {
        group.source = format!("bench:{}", number * (targets / 10)).into();
    }
    let started = Instant::now();
    updates.send(Update::changed(provider, changed, Vec::new())).await.expect("the roster runs");
    views.changed().await.expect("the roster runs");
    println!("change of ten    {:>10.6} s", started.elapsed().as_secs_f64());

    for name in ["first", "second"] {
        let view = roster.view();
        let jobs: Vec<_> = view.jobs().cloned().collect();
        for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Identity] {
            let started = Instant::now();
            let bytes: usize = list(&jobs, encoding).map(|piece| piece.len()).sum();
            println!("{name:6} list {encoding:?} {:>10.6} s, {bytes} bytes", started.elapsed().as_secs_f64());
        }
    }
    let counts = roster.view().job("bench").map(|job| job.counts());
    drop(json);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let bytes = (resident_kib() - idle.min(resident_kib())) * 1024;
    println!("resident         {:>10} bytes a target, {counts:?}", bytes / targets);
    stopper.stop(std::time::Duration::from_secs(5)).await;
}
