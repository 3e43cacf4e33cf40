//! The roster by itself: target groups as JSON in, relabelled and deduplicated targets out, no file system, no network.
//!
//! `cargo bench --bench roster [-- TARGETS]` prints wall time of each step (all of it is single-threaded) and resident
//! memory; then what one changed target costs in jobs of several sizes, what each group of a first picture in pieces costs, and
//! what replacing groups at random for a while leaves behind. The whole agent next to its peers is measured by `benches/peers`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rosterd::publish::encode::{Encoding, list};
use rosterd::roster::view::RosterView;
use rosterd::roster::{Clock, JobSpec, Limits, Roster, RosterHandle, metrics};
use rosterd::store::MemoryBlocks;
use rosterd_discovery::{ProviderKey, Update, decode};
use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_model::{GroupId, TargetGroup};
use rosterd_tasks::stopper::Stopper;
use rosterd_testkit::{changed, everything};
use tokio::sync::{mpsc, watch};
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

/// The groups, each a source of its own.
fn decoded(json: &str) -> Vec<TargetGroup> {
    let mut groups = decode::json_groups(json.as_bytes(), "bench", &[]).expect("the groups are well formed");
    for (number, group) in groups.iter_mut().enumerate() {
        group.source = format!("bench:{number}").into();
        group.key = "".into();
    }
    groups
}

/// The same target, or another one with another `salt`, as the only one of a source.
fn group(number: usize, salt: usize, source: usize) -> TargetGroup {
    let (rack, team) = (number % 91, number % 23);
    let labels = [
        ("env", "prod".to_owned()),
        ("zone", format!("eu-west-{}", number % 7)),
        ("rack", format!("r{rack}")),
        ("team", format!("Team-{team}")),
        ("service", format!("svc-{}", number % 400)),
        ("version", format!("1.{}.0", (number + salt) % 1000)),
        ("tag_owner", format!("owner-{team}")),
        ("tag_cost", format!("cc-{rack}")),
        ("region", "europe".to_owned()),
        ("host_id", format!("i-{number:012x}")),
    ];
    let address = format!("10.{}.{}.{}:9100", number >> 16 & 255, number >> 8 & 255, number & 255);
    TargetGroup {
        source: format!("bench:{source}").into(),
        labels: labels.into_iter().collect(),
        targets: vec![[("__address__", address)].into_iter().collect()],
        ..TargetGroup::default()
    }
}

fn job(name: &str, provider: &ProviderKey) -> JobSpec {
    let rules: Vec<RuleConfig> = serde_yaml::from_str(RULES).expect("the rules are well formed");
    let default = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let defaults = vec![
        default("job", name),
        default("__scrape_interval__", "1m"),
        default("__scrape_timeout__", "10s"),
        default("__metrics_path__", "/metrics"),
        default("__scheme__", "http"),
        default("__convert_classic_histograms_to_nhcb__", "false"),
        default("__always_scrape_classic_histograms__", "false"),
        default("__scrape_native_histograms__", "false"),
    ];
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&rules, Default::default()).expect("the rules are valid"),
        defaults,
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![provider.clone()],
    }
}

/// A roster that runs.
struct Running {
    stopper: Stopper,
    roster: RosterHandle,
    updates: mpsc::Sender<Update>,
    views: watch::Receiver<Arc<RosterView>>,
}

impl Running {
    async fn start(jobs: Vec<JobSpec>) -> Self {
        Self::with_store(jobs, &MemoryBlocks::default()).await
    }

    async fn with_store(jobs: Vec<JobSpec>, store: &MemoryBlocks) -> Self {
        let stopper = Stopper::new();
        let registry = prometheus::Registry::new();
        let metrics = metrics::Metrics::register(&registry).expect("the registry is empty");
        let (updates, receiver) = mpsc::channel(1);
        let roster = Roster::start(&stopper, Arc::new(store.clone()), metrics, Clock::system(), receiver);
        roster.set_jobs(jobs, Duration::from_secs(300)).await;
        let mut views = roster.watch();
        views.mark_unchanged();
        Self { stopper, roster, updates, views }
    }

    /// Hands an update over and waits until readers see it; returns how long that took.
    async fn tell(&mut self, update: Update) -> Duration {
        let started = Instant::now();
        self.updates.send(update).await.expect("the roster runs");
        self.views.changed().await.expect("the roster runs");
        let took = started.elapsed();
        self.views.mark_unchanged();
        took
    }

    /// Reports targets, some at a time so that they are not in memory twice.
    async fn fill(&mut self, provider: &ProviderKey, targets: usize) {
        self.tell(everything(provider.clone(), Vec::new())).await;
        for from in (0..targets).step_by(20_000) {
            let groups = (from..targets.min(from + 20_000)).map(|number| group(number, 0, number)).collect();
            self.tell(changed(provider.clone(), groups, Vec::new())).await;
        }
    }

    /// How long one changed target takes: the median of many, here and there.
    /// The targets and their sources are chosen by a number that looks random; `salt` makes them other ones than before.
    async fn small_change(
        &mut self,
        provider: &ProviderKey,
        salt: usize,
        chosen: impl Fn(usize) -> (usize, usize),
    ) -> Duration {
        const CHANGES: usize = 201;
        let mut took = Vec::new();
        for change in 0..CHANGES {
            let (number, source) = chosen(random(change));
            let update = changed(provider.clone(), vec![group(number, salt + change, source)], Vec::new());
            took.push(self.tell(update).await);
        }
        took.sort();
        took[CHANGES / 2]
    }

    /// Ends it, with everything stored.
    async fn stop(self) {
        self.stopper.stop(Duration::from_secs(60)).await;
    }
}

/// A number that looks random and is the same each time.
fn random(seed: usize) -> usize {
    let mixed = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) as usize >> 8
}

#[tokio::main]
async fn main() {
    let targets: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    whole_list(targets).await;
    for targets in [10_000, 100_000, 1_000_000] {
        let provider = ProviderKey::new("bench/1");
        let mut running = Running::start(vec![job("bench", &provider)]).await;
        running.fill(&provider, targets).await;
        let took = running.small_change(&provider, 500, |random| (random % targets, random % targets)).await;
        println!("change of one    {:>10.6} s in a job of {targets}", took.as_secs_f64());
        running.stop().await;
    }
    for count in [1, 100] {
        let providers: Vec<_> = (0..count).map(|number| ProviderKey::new(format!("bench/{number}"))).collect();
        let jobs = providers.iter().enumerate().map(|(number, provider)| job(&format!("bench-{number}"), provider));
        let mut running = Running::start(jobs.collect()).await;
        for provider in &providers {
            running.fill(provider, 1_000).await;
        }
        let took = running.small_change(&providers[0], 500, |random| (random % 1_000, random % 1_000)).await;
        println!("change of one    {:>10.6} s in one of {count} jobs of 1000", took.as_secs_f64());
        running.stop().await;
    }
    for targets in [10_000, 100_000, 1_000_000] {
        in_pieces(targets).await;
    }
    replaced(targets).await;
}

/// Reports a first picture in pieces: when nothing is known, and when as many other targets are stored of the same sources.
async fn in_pieces(targets: usize) {
    const PIECE: usize = 1_000;
    let (provider, store) = (ProviderKey::new("bench/1"), MemoryBlocks::default());
    for (salt, stored) in [(0, "nothing"), (500, "as many")] {
        let mut running = Running::with_store(vec![job("bench", &provider)], &store).await;
        let (mut took, mut told) = (Duration::ZERO, HashSet::new());
        for from in (0..targets).step_by(PIECE) {
            let groups: Vec<_> = (from..targets.min(from + PIECE)).map(|number| group(number, salt, number)).collect();
            told.extend(groups.iter().map(|group| group.id().source));
            took += running.tell(Update { piece: true, ..changed(provider.clone(), groups, Vec::new()) }).await;
        }
        took += running.tell(Update { told, ..everything(provider.clone(), Vec::new()) }).await;
        let each = took.as_secs_f64() / targets as f64;
        println!("in pieces        {each:>10.9} s for each of {targets} groups, {stored} stored");
        running.stop().await;
    }
}

/// Replaces most groups again and again, except for one in a hundred.
async fn replaced(targets: usize) {
    let provider = ProviderKey::new("bench/1");
    let mut running = Running::start(vec![job("bench", &provider)]).await;
    running.fill(&provider, targets).await;
    let mut sources: Vec<usize> = (0..targets).collect();
    for rounds in [0, 20] {
        let started = Instant::now();
        for round in 0..rounds {
            let chosen = |number: &usize| !number.is_multiple_of(100) && random(number + round * targets) % 100 < 60;
            let chosen: Vec<_> = (0..targets).filter(chosen).collect();
            for part in chosen.chunks(targets / 50) {
                let gone = part.iter().map(|number| GroupId::of(&format!("bench:{}", sources[*number]), "")).collect();
                part.iter().for_each(|number| sources[*number] += targets);
                let new = part.iter().map(|number| group(*number, round, sources[*number])).collect();
                running.tell(changed(provider.clone(), new, gone)).await;
            }
        }
        let replacing = started.elapsed().as_secs_f64();
        let view = running.roster.view();
        let job = view.job("bench").expect("the job exists");
        let (blocks, bytes) = job.blocks().fold((0, 0), |(blocks, bytes), block| (blocks + 1, bytes + block.size()));
        let chosen = |random| (random % targets, sources[random % targets]);
        let took = running.small_change(&provider, 500 + 10 * rounds, chosen).await;
        println!(
            "after {rounds:>2} rounds  {:>10.6} s for a change of one, {blocks} blocks, {bytes} bytes, {replacing:.1} s",
            took.as_secs_f64(),
        );
    }
    running.stop().await;
}

async fn whole_list(targets: usize) {
    let provider = ProviderKey::new("bench/1");
    let Running { stopper, roster, updates, mut views } = Running::start(vec![job("bench", &provider)]).await;

    let json = groups(targets, 0);
    let idle = resident_kib();
    let started = Instant::now();
    let groups_read = decoded(&json);
    println!("decode           {:>10.3} s for {} MB", started.elapsed().as_secs_f64(), json.len() >> 20);

    let started = Instant::now();
    let update = everything(provider.clone(), groups_read);
    updates.send(update).await.expect("the roster runs");
    views.changed().await.expect("the roster runs");
    println!("relabel and keep {:>10.3} s", started.elapsed().as_secs_f64());

    let mut new: Vec<_> = decoded(&groups(10, 1));
    for (number, group) in new.iter_mut().enumerate() {
        group.source = format!("bench:{}", number * (targets / 10)).into();
    }
    let started = Instant::now();
    updates.send(changed(provider, new, Vec::new())).await.expect("the roster runs");
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
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bytes = (resident_kib() - idle.min(resident_kib())) * 1024;
    println!("resident         {:>10} bytes a target, {counts:?}", bytes / targets);
    stopper.stop(Duration::from_secs(5)).await;
}
