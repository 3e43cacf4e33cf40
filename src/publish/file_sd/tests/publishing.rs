//! With the real roster and the real reconciler, on a paused clock.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::TargetGroup;
use rosterd_model::relabel::Rules;
use rosterd_tasks::Stopper;
use rosterd_testkit::{Folder, eventually, everything, leak_checked};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::publish::file_sd::write::{Disk, RealDisk};
use crate::publish::file_sd::{FileStatus, FileStatuses, Format, Output, Publisher, desired};
use crate::reconcile::{self, DesiredSet, OperationState, Phase, Reconciler, Statuses, WorkerStatus};
use crate::roster::{self, Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::ledger::{Ledger, Member, Picture};
use crate::store::tests::failing::Failing;
use crate::store::{MemoryBlocks, MemoryLedger};

/// What outlives a process.
#[derive(Default)]
struct Stores(MemoryBlocks, Failing<MemoryLedger>);

impl Stores {
    async fn decided(&self) -> Picture {
        self.1.backend.read(&Member::local()).await.unwrap()
    }
}

struct Running {
    stopper: Stopper,
    updates: mpsc::Sender<Update>,
    _roster: RosterHandle,
    outputs: watch::Sender<Option<Arc<DesiredSet<Output>>>>,
    statuses: Statuses<Output>,
    files: FileStatuses,
    disk: Arc<CountingDisk>,
}

/// Counts what is written. A piece takes as long as the test says.
#[derive(Default)]
struct CountingDisk {
    files: AtomicU32,
    slow: std::sync::Mutex<Option<std_mpsc::Receiver<()>>>,
}

impl CountingDisk {
    fn written(&self) -> u32 {
        self.files.load(Ordering::Relaxed)
    }
}

impl Disk for CountingDisk {
    fn write(&self, file: &mut dyn Write, piece: &[u8]) -> io::Result<()> {
        RealDisk.write(file, piece)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.fetch_add(1, Ordering::Relaxed);
        if let Some(gate) = &*self.slow.lock().unwrap() {
            // A gate without a keeper is open.
            gate.recv().ok();
        }
        RealDisk.rename(from, to)
    }
}

impl Running {
    async fn start(stores: &Stores, outputs: &[Output]) -> Self {
        let (stopper, registry) = (Stopper::new(), prometheus::Registry::new());
        let (updates, receiver) = mpsc::channel(1);
        let metrics = roster::metrics::Metrics::register(&registry).unwrap();
        let blocks = Arc::new(stores.0.clone());
        let roster = Roster::start(&stopper, blocks, metrics, Clock::system(), receiver);
        let (outputs, wanted) = watch::channel(Some(Arc::new(desired(outputs))));
        let disk = Arc::<CountingDisk>::default();
        let publisher = Publisher::on(disk.clone(), &roster, wanted.clone(), &stopper);
        let files = publisher.statuses();
        let metrics = reconcile::metrics::Metrics::register(&registry).unwrap();
        let ledger = (Arc::new(stores.1.clone()) as Arc<dyn Ledger>, Member::local());
        let statuses = Reconciler::start(ledger, publisher, wanted, metrics, &stopper);
        roster.set_jobs(vec![job("a", "p/1"), job("b", "p/2")], Duration::from_secs(300)).await;
        Self { stopper, updates, _roster: roster, outputs, statuses, files, disk }
    }

    async fn report(&self, provider: &str, addresses: &[&str]) {
        let targets = addresses.iter().map(|it| [("__address__", *it)].into_iter().collect()).collect();
        let group = TargetGroup { source: "s".into(), targets, ..TargetGroup::default() };
        let groups = if addresses.is_empty() { Vec::new() } else { vec![group] };
        self.updates.send(everything(ProviderKey::new(provider), groups)).await.unwrap();
    }

    fn want(&self, outputs: &[Output]) {
        self.outputs.send_replace(Some(Arc::new(desired(outputs))));
    }

    fn status(&self, path: &Path) -> Option<WorkerStatus<Output>> {
        self.statuses.get(&format!("file_sd:{}", path.display()))
    }

    async fn until_in(&self, path: &Path, phase: Phase) {
        let what = format!("{} is {phase:?}", path.display());
        until(&what, || self.status(path).is_some_and(|it| it.state == phase)).await;
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
        keeping: Default::default(),
        providers: vec![ProviderKey::new(provider)],
    }
}

fn output(path: &Path, format: Format, jobs: &[&str]) -> Output {
    Output { path: path.to_path_buf(), format, jobs: jobs.iter().map(|job| (*job).into()).collect() }
}

async fn until(what: &str, condition: impl FnMut() -> bool) {
    eventually(Duration::from_secs(300), what, condition).await;
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

/// An agent with one file that has `x:1`.
async fn published(stores: &Stores, folder: &Folder) -> (Running, PathBuf) {
    let path = folder.path("a.json");
    let it = Running::start(stores, &[output(&path, Format::Json, &["a"])]).await;
    it.report("p/1", &["x:1"]).await;
    until("the file is there", || has(&path, &["x:1"])).await;
    it.until_in(&path, Phase::Done).await;
    (it, path)
}

#[test]
fn files_follow_the_roster_and_unknown_is_not_empty() {
    leak_checked(async || {
        let folder = Folder::new();
        let (json, yaml) = (folder.path("a.json"), folder.path("sub/both.yml"));
        let outputs = [output(&json, Format::Json, &["a"]), output(&yaml, Format::Yaml, &["a", "b"])];
        let it = Running::start(&Stores::default(), &outputs).await;
        it.report("p/1", &["x:1", "y:1"]).await;
        until("the file of the known job is there", || has(&json, &["x:1", "y:1"])).await;
        it.until_in(&yaml, Phase::Snoozing).await;
        assert_eq!(addresses(&yaml), None);
        assert_eq!(it.files.get(&yaml), Some(FileStatus::default()), "it was never written");
        it.report("p/2", &[]).await;
        until("all jobs are known", || has(&yaml, &["x:1", "y:1"])).await;
        it.until_in(&yaml, Phase::Done).await;
        let status = it.files.get(&yaml).unwrap();
        let desired = desired(&[output(&yaml, Format::Yaml, &["a", "b"])]).into_values().next().unwrap();
        assert!(status.last_written.is_some() && status.reached == Some(desired.revision));
        it.report("p/1", &[]).await;
        until("known to be empty", || has(&yaml, &[]) && has(&json, &[])).await;
        it.stop().await;
    });
}

#[test]
fn a_job_of_which_nothing_is_known_keeps_others_from_a_file_for_the_time_of_grace() {
    leak_checked(async || {
        let folder = Folder::new();
        let (both, alone) = (folder.path("both.json"), folder.path("alone.json"));
        let outputs = [output(&both, Format::Json, &["a", "b"]), output(&alone, Format::Json, &["b"])];
        let it = Running::start(&Stores::default(), &outputs).await;
        it.report("p/1", &["x:1"]).await;
        it.until_in(&both, Phase::Snoozing).await;
        assert_eq!(addresses(&both), None);
        tokio::time::sleep(Duration::from_secs(301)).await;
        until("the file of both has the known one", || has(&both, &["x:1"])).await;
        it.until_in(&alone, Phase::Snoozing).await;
        assert_eq!(addresses(&alone), None, "unknown is not empty");
        it.stop().await;
    });
}

#[test]
fn a_restart_neither_empties_nor_touches_a_file() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        it.stop().await;
        let before = std::fs::metadata(&path).unwrap();

        let it = Running::start(&stores, &[output(&path, Format::Json, &["a"])]).await;
        it.until_in(&path, Phase::Done).await;
        it.report("p/1", &["x:1"]).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
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
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        it.want(&[]);
        until("the worker is gone", || it.statuses.all().is_empty()).await;
        assert_eq!(it.files.get(&path), None);
        it.stop().await;
        let left = stores.decided().await;
        assert_eq!((left.workers, left.operations), (Vec::new(), Vec::new()));
        assert!(has(&path, &["x:1"]));
    });
}

#[test]
fn an_output_may_change_its_format_and_its_jobs() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        let is_json = || std::fs::read_to_string(&path).unwrap().starts_with('[');
        let begun = Instant::now();
        it.want(&[output(&path, Format::Yaml, &["a"])]);
        until("it is no JSON", || !is_json()).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        it.report("p/2", &["z:1"]).await;
        it.want(&[output(&path, Format::Yaml, &["b"])]);
        until("it has the other job", || has(&path, &["z:1"])).await;
        it.report("p/2", &["z:2"]).await;
        until("it follows the other job", || has(&path, &["z:2"])).await;
        it.stop().await;
    });
}

#[test]
fn a_path_that_is_a_folder_is_refused_until_it_is_none() {
    leak_checked(async || {
        let folder = Folder::new();
        let path = folder.path("sub");
        std::fs::create_dir(&path).unwrap();
        let it = Running::start(&Stores::default(), &[output(&path, Format::Json, &["a"])]).await;
        it.report("p/1", &["x:1"]).await;
        it.until_in(&path, Phase::Cancelled).await;
        let error = it.status(&path).and_then(|it| it.last_error).expect("it says why");
        assert_eq!(error.code, "publish_path_is_folder");
        std::fs::remove_dir(&path).unwrap();
        until("the folder has gone", || has(&path, &["x:1"])).await;
        it.stop().await;
    });
}

#[test]
fn a_storm_is_coalesced_and_its_end_is_written() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        let (decided, begun, before) = (stores.decided().await, Instant::now(), it.disk.written());
        for port in 0..200 {
            it.report("p/1", &[&format!("x:{port}")]).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let storm = begun.elapsed();
        until("the last state is written", || has(&path, &["x:199"])).await;
        let most = 3 + u32::try_from(storm.as_millis() / 200).unwrap();
        let written = it.disk.written() - before;
        assert!((2..=most).contains(&written), "{written} writes in {storm:?}");
        assert_eq!(stores.decided().await, decided, "the content of a file is no decision");
        it.stop().await;
    });
}

#[test]
fn a_file_that_is_slow_to_write_is_written_less_often() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (finish, gate) = std_mpsc::channel();
        *it.disk.slow.lock().unwrap() = Some(gate);
        it.report("p/1", &["x:2"]).await;
        while it.disk.written() < 2 {
            // The clock stands while a call blocks.
            tokio::task::yield_now().await;
        }
        tokio::time::advance(Duration::from_secs(3)).await;
        finish.send(()).unwrap();
        drop(finish);
        until("it has ended", || has(&path, &["x:2"])).await;
        let begun = Instant::now();
        it.report("p/1", &["x:3"]).await;
        until("the next write", || has(&path, &["x:3"])).await;
        let waited = begun.elapsed();
        assert!((26..=28).contains(&waited.as_secs()), "nine times what it took, not {waited:?}");
        it.stop().await;
    });
}

#[test]
fn what_somebody_else_did_to_a_file_is_put_right_within_a_minute() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        let touches: [&dyn Fn(); 3] =
            [&|| std::fs::remove_file(&path).unwrap(), &|| std::fs::write(&path, "[]").unwrap(), &|| {
                drop(folder.write("a.json", std::fs::read_to_string(&path).unwrap().replace("x:1", "y:1")))
            }];
        for touch in touches {
            touch();
            assert!(!has(&path, &["x:1"]));
            let begun = Instant::now();
            until("it is put right", || has(&path, &["x:1"])).await;
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        }
        assert_eq!(it.disk.written(), 4);
        it.stop().await;
    });
}

#[test]
fn files_follow_the_roster_while_the_ledger_fails() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        stores.1.fail_writes(true);
        stores.1.fail_reads(true);
        let (it, path) = published(&stores, &folder).await;
        it.report("p/1", &["x:2"]).await;
        until("it follows", || has(&path, &["x:2"])).await;
        let other = folder.path("b.yml");
        it.want(&[output(&path, Format::Json, &["a"]), output(&other, Format::Yaml, &["a"])]);
        until("a new one is written, too", || has(&other, &["x:2"])).await;
        assert_eq!(stores.decided().await, Picture::default());
        stores.1.fail_writes(false);
        stores.1.fail_reads(false);
        tokio::time::sleep(Duration::from_secs(90)).await;
        let decided = stores.decided().await;
        assert_eq!((decided.workers.len(), decided.operations.len()), (2, 0));
        assert_eq!(it.disk.written(), 3, "and they are not written again");
        it.stop().await;
    });
}

#[test]
fn a_pipe_in_place_of_a_file_is_told_and_holds_nobody_up() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        std::fs::remove_file(&path).unwrap();
        folder.named_pipe("a.json");
        it.until_in(&path, Phase::Retrying).await;
        let error = it.status(&path).and_then(|it| it.last_error).expect("it says why");
        assert_eq!(error.code, "publish_path_in_use");
        std::fs::remove_file(&path).unwrap();
        until("it is written again", || has(&path, &["x:1"])).await;
        std::fs::remove_file(&path).unwrap();
        folder.named_pipe("a.json");
        it.until_in(&path, Phase::Retrying).await;
        it.stop().await;
    });
}

#[test]
fn what_cannot_be_written_is_an_operation_that_failed_until_it_can() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let path = folder.path("out/a.json");
        let it = Running::start(&stores, &[output(&path, Format::Json, &["a"])]).await;
        it.report("p/1", &["x:1"]).await;
        until("the file is there", || has(&path, &["x:1"])).await;
        std::fs::remove_dir_all(folder.path("out")).unwrap();
        folder.write("out", "in the way");
        let failed = || {
            let ended = it.statuses.ended();
            ended.into_iter().filter(|it| it.status.state == OperationState::Failed).collect::<Vec<_>>()
        };
        until("it is given up", || failed().len() == 1).await;
        it.until_in(&path, Phase::Cancelled).await;
        let error = it.status(&path).and_then(|it| it.last_error).expect("it says why");
        assert_eq!((error.code.as_str(), failed()[0].error.as_ref()), ("publish_folder_failed", Some(&error)));
        let next = || it.files.get(&path).and_then(|file| file.next_try);
        let first = next().expect("it says when it is tried again");
        until("it is tried again", || next().is_some_and(|next| next > first)).await;
        let again = next();
        until("and again", || next() > again).await;
        assert_eq!(failed().len(), 1, "what fails as before is no other operation");
        it.report("p/1", &["x:2"]).await;
        folder.remove("out");
        until("it is written", || has(&path, &["x:2"])).await;
        it.until_in(&path, Phase::Done).await;
        let last = it.statuses.ended().pop().map(|it| it.status.state);
        assert_eq!((last, failed().len(), next()), (Some(OperationState::Done), 1, None));
        it.report("p/1", &["x:3"]).await;
        until("it goes on as before", || has(&path, &["x:3"])).await;
        it.stop().await;
        assert_eq!(stores.decided().await.workers[0].failed, None, "nothing is left of it");
    });
}

#[test]
fn a_file_that_nobody_may_read_is_put_right() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        let mode = || std::fs::metadata(&path).unwrap().mode() & 0o777;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        until("it can be read", || mode() & 0o444 != 0).await;
        it.stop().await;
    });
}

/// Waits for a condition while calls block, during which the clock stands unless it is moved.
#[expect(clippy::disallowed_methods, reason = "threads that block need time that passes")]
async fn until_advancing(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(300), "not in time: {what}");
        std::thread::sleep(Duration::from_micros(100));
        tokio::time::advance(Duration::from_millis(10)).await;
    }
}

#[test]
fn disks_that_hang_do_not_hold_up_a_stop() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, _) = published(&stores, &folder).await;
        let (finish, gate) = std_mpsc::channel();
        *it.disk.slow.lock().unwrap() = Some(gate);
        let paths: Vec<_> = (0..12).map(|number| folder.path(&format!("{number}.json"))).collect();
        it.want(&paths.iter().map(|path| output(path, Format::Json, &["a"])).collect::<Vec<_>>());
        // The others wait until one of these has ended.
        until_advancing("as many hang as may write", || it.disk.written() == 1 + 8).await;
        let mut stopped = std::pin::pin!(it.stopper.stop(Duration::from_secs(60)));
        let mut left = None;
        until_advancing("all have stopped", || {
            left = futures_util::FutureExt::now_or_never(stopped.as_mut());
            left.is_some()
        })
        .await;
        assert_eq!(left, Some(Vec::new()));
        drop(finish);
    });
}

#[test]
fn a_file_that_hangs_is_not_written_a_second_time_meanwhile() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let (it, path) = published(&stores, &folder).await;
        let (finish, gate) = std_mpsc::channel();
        *it.disk.slow.lock().unwrap() = Some(gate);
        it.report("p/1", &["x:2"]).await;
        until_advancing("it hangs", || it.disk.written() == 2).await;
        it.want(&[]);
        until_advancing("the worker has ended", || it.statuses.all().is_empty()).await;
        it.want(&[output(&path, Format::Json, &["a"])]);
        let code = || it.status(&path).and_then(|it| it.last_error).map(|error| error.code);
        until_advancing("the next one says why", || code().as_deref() == Some("publish_disk_hangs")).await;
        drop(finish);
        until("it is done after all", || has(&path, &["x:2"])).await;
        it.until_in(&path, Phase::Done).await;
        it.stop().await;
    });
}
