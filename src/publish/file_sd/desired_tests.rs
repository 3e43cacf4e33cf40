//! From updates of providers to files on disk, with the real roster and the real reconciler on a paused clock.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::TargetGroup;
use rosterd_model::relabel::Rules;
use rosterd_tasks::stopper::Stopper;
use rosterd_testkit::{Folder, leak_checked};
use tokio::sync::mpsc;

use super::*;
use crate::publish::file_sd::FileSdWorker;
use crate::reconcile::{self, MakeWorker, Phase, Reconciler, Statuses, Worker};
use crate::roster::{self, Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::ledger::Member;
use crate::store::{Blocks, Ledger, MemoryBlocks, MemoryLedger};

/// What outlives a process.
#[derive(Default)]
struct Stores(MemoryBlocks, MemoryLedger);

struct Running {
    stopper: Stopper,
    updates: mpsc::Sender<Update>,
    roster: RosterHandle,
    outputs: watch::Sender<Outputs>,
    desired: watch::Receiver<Option<Arc<DesiredSet<FileSd>>>>,
    statuses: Statuses,
}

fn maker() -> impl MakeWorker<FileSd> {
    |_: &WorkerId, _: &FileSd| -> Box<dyn Worker<FileSd>> { Box::new(FileSdWorker::new()) }
}

impl Running {
    async fn start(store: &Stores, outputs: &[Output]) -> Self {
        let (stopper, registry) = (Stopper::new(), prometheus::Registry::new());
        let blocks: Arc<dyn Blocks> = Arc::new(store.0.clone());
        let (updates, receiver) = mpsc::channel(1);
        let metrics = roster::metrics::Metrics::register(&registry).unwrap();
        let roster = Roster::start(&stopper, blocks, metrics, Clock::system(), receiver);
        let (outputs, configured) = watch::channel(Some(outputs.into()));
        let (sender, wanted) = watch::channel(None);
        let stop = stopper.token().clone();
        stopper.spawn_expendable("file_sd", desired(configured, roster.watch(), |it| it, sender, stop));
        let metrics = reconcile::metrics::Metrics::register(&registry).unwrap();
        let statuses =
            Reconciler::start(Arc::new(store.1.clone()) as Arc<dyn Ledger>, maker(), wanted.clone(), metrics, &stopper);
        roster.set_jobs(vec![job("a", "p/1"), job("b", "p/2")], Duration::from_secs(300)).await;
        Self { stopper, updates, roster, outputs, desired: wanted, statuses }
    }

    async fn report(&self, provider: &str, addresses: &[&str]) {
        let targets = addresses.iter().map(|it| [("__address__", *it)].into_iter().collect()).collect();
        let group = TargetGroup { source: "s".into(), targets, ..TargetGroup::default() };
        let groups = if addresses.is_empty() { Vec::new() } else { vec![group] };
        self.updates.send(Update::everything(ProviderKey::new(provider), groups)).await.unwrap();
    }

    async fn stop(self) {
        assert!(self.stopper.stop(Duration::from_secs(5)).await.is_empty());
    }
}

fn job(name: &str, provider: &str) -> JobSpec {
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&[], Default::default()).expect("no rules compile"),
        defaults: [
            ("job", name),
            ("__scrape_interval__", "1m"),
            ("__scrape_timeout__", "10s"),
            ("__metrics_path__", "/metrics"),
            ("__scheme__", "http"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        providers: vec![ProviderKey::new(provider)],
    }
}

fn output(path: PathBuf, format: Format, jobs: &[&str]) -> Output {
    Output { path, format, jobs: jobs.iter().map(|job| (*job).into()).collect() }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(300), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The addresses in a file; `None` when there is no file.
fn addresses(path: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(path).ok()?;
    let groups: serde_yaml::Value = serde_yaml::from_str(&text).expect("JSON and YAML are both YAML");
    let address = |group: &serde_yaml::Value| group["targets"][0].as_str().expect("a target is a string").to_owned();
    let mut addresses: Vec<_> = groups.as_sequence().expect("a list").iter().map(address).collect();
    addresses.sort();
    Some(addresses)
}

fn has(path: &Path, expected: &[&str]) -> bool {
    addresses(path).is_some_and(|found| found == expected)
}

#[test]
fn files_follow_the_roster_and_unknown_is_not_empty() {
    leak_checked(async || {
        let folder = Folder::new();
        let (json, yaml) = (folder.path("a.json"), folder.path("sub/both.yml"));
        let outputs = [output(json.clone(), Format::Json, &["a"]), output(yaml.clone(), Format::Yaml, &["a", "b"])];
        let it = Running::start(&Stores::default(), &outputs).await;
        it.report("p/1", &["x:1", "y:1"]).await;
        until("the file of the known job is there", || has(&json, &["x:1", "y:1"])).await;
        let id = format!("file_sd:{}", yaml.display());
        until("the other waits", || it.statuses.get(&id).is_some_and(|it| it.state == Phase::Snoozing)).await;
        assert_eq!(addresses(&yaml), None);
        it.report("p/2", &[]).await;
        until("all jobs are known", || has(&yaml, &["x:1", "y:1"])).await;
        it.report("p/1", &[]).await;
        until("known to be empty", || has(&yaml, &[]) && has(&json, &[])).await;
        it.stop().await;
    });
}

#[test]
fn a_restart_neither_empties_nor_touches_a_file() {
    leak_checked(async || {
        let (folder, store) = (Folder::new(), Stores::default());
        let path = folder.path("a.yml");
        let outputs = [output(path.clone(), Format::Yaml, &["a"])];
        let it = Running::start(&store, &outputs).await;
        it.report("p/1", &["x:1"]).await;
        until("the file is there", || has(&path, &["x:1"])).await;
        it.stop().await;
        let before = std::fs::metadata(&path).unwrap();

        let it = Running::start(&store, &outputs).await;
        let id = format!("file_sd:{}", path.display());
        until("it is done", || it.statuses.get(&id).is_some_and(|it| it.state == Phase::Done)).await;
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
        it.report("p/1", &["x:2"]).await;
        until("it follows again", || has(&path, &["x:2"])).await;
        it.stop().await;
    });
}

#[test]
fn a_file_stays_when_its_output_is_removed() {
    leak_checked(async || {
        let (folder, store) = (Folder::new(), Stores::default());
        let path = folder.path("a.json");
        let it = Running::start(&store, &[output(path.clone(), Format::Json, &["a"])]).await;
        it.report("p/1", &["x:1"]).await;
        until("the file is there", || has(&path, &["x:1"])).await;
        it.outputs.send_replace(Some([].into()));
        until("the worker is gone", || it.statuses.all().is_empty()).await;
        assert_eq!(store.1.read(&Member::local()).await.unwrap().workers, []);
        assert!(has(&path, &["x:1"]));
        it.stop().await;
    });
}

#[test]
fn a_path_that_is_a_folder_is_refused_until_the_output_changes() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = Running::start(&Stores::default(), &[output(folder.root().to_owned(), Format::Json, &["a"])]).await;
        it.report("p/1", &["x:1"]).await;
        until("it is refused", || it.statuses.all().iter().any(|it| it.state == Phase::Cancelled)).await;
        let error = it.statuses.all().remove(0).last_error.expect("it says why");
        assert_eq!(error.code, "publish_path_is_folder");
        let path = folder.path("a.json");
        it.outputs.send_replace(Some([output(path.clone(), Format::Json, &["a"])].into()));
        until("the other path works", || has(&path, &["x:1"])).await;
        it.stop().await;
    });
}

#[test]
fn a_storm_is_coalesced_and_its_end_is_written() {
    leak_checked(async || {
        let folder = Folder::new();
        let path = folder.path("a.json");
        let it = Running::start(&Stores::default(), &[output(path.clone(), Format::Json, &["a"])]).await;
        let (mut wanted, counting) = (it.desired.clone(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
        let changes = Arc::clone(&counting);
        let stop = it.stopper.token().clone();
        it.stopper.spawn_expendable("counter", async move {
            while let Some(Ok(())) = stop.run_until_cancelled(wanted.changed()).await {
                changes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let begun = Instant::now();
        for port in 0..200 {
            it.report("p/1", &[&format!("x:{port}")]).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let storm = begun.elapsed();
        until("the last state is written", || has(&path, &["x:199"])).await;
        let most = 3 + usize::try_from(storm.as_millis() / APART.as_millis()).unwrap();
        let changes = counting.load(std::sync::atomic::Ordering::Relaxed);
        assert!((2..=most).contains(&changes), "{changes} changes went out in {storm:?}");
        assert_eq!(it.roster.view().jobs().len(), 2);
        it.stop().await;
    });
}

#[test]
fn a_job_that_the_roster_does_not_know_is_unknown() {
    let it = of(&output("/x.json".into(), Format::Json, &["a"]), &RosterView::default());
    assert!(matches!(it.spec.content, Content::Unknown));
    let none = of(&output("/x.json".into(), Format::Json, &[]), &RosterView::default());
    assert!(matches!(&none.spec.content, Content::Jobs(jobs) if jobs.is_empty()));
    assert_ne!(it.revision, none.revision);
}
