//! The discoverer on real directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rosterd_model::TargetGroup;
use rosterd_testkit::{Folder, leak_checked_live};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::{Config, FileMetrics, Watches};
use rosterd_discovery::metrics::ProviderMetrics;
use rosterd_discovery::{
    Build, Context, Error, MechanismConfig, MechanismMetrics, MechanismShared, StatusHandle, System, Updates,
};
use rosterd_tasks::{Machine, Stopper, Task};

const DEADLINE: Duration = Duration::from_secs(30);
const NEVER: &str = "1d";

/// A running discoverer, and what it has reported so far.
struct Running {
    folder: Folder,
    updates: Receiver<Vec<TargetGroup>>,
    groups: BTreeMap<String, Vec<String>>,
    stop: CancellationToken,
    stopper: Stopper,
    task: Task<Result<(), Error>>,
    status: StatusHandle,
    registry: Registry,
    provider: ProviderMetrics,
}

impl Running {
    /// Starts on files of the folder, and waits for the first send.
    async fn start(folder: Folder, files: &[&str], interval: &str) -> Self {
        let files = files.iter().map(PathBuf::from).collect();
        let mut config = Config { files, refresh_interval: interval.parse().unwrap() };
        config.resolve_paths(folder.root());
        let registry = Registry::new();
        let metrics = FileMetrics::register(&registry).unwrap();
        let build = Build {
            metrics: &metrics,
            shared: &Arc::new(Watches::start(&Stopper::new(), &System::default())),
            provider: "file/1",
            system: &System::default(),
        };
        let discoverer = config.build(build).unwrap();
        let stop = CancellationToken::new();
        let (up, updates) = Updates::channel(stop.clone());
        let status = StatusHandle::default();
        let provider = ProviderMetrics::detached();
        let cx = Context {
            stop: stop.clone(),
            provider: "file/1".into(),
            machine: Machine::default(),
            metrics: provider.clone(),
            status: status.clone(),
        };
        let stopper = Stopper::new();
        let task = stopper.spawn("file/1", discoverer.run(cx, up));
        let groups = BTreeMap::new();
        let mut running = Self { folder, updates, groups, stop, stopper, task, status, registry, provider };
        running.update().await;
        running
    }

    /// The sources in the next update.
    async fn update(&mut self) -> BTreeSet<String> {
        let update = tokio::time::timeout(DEADLINE, self.updates.recv()).await.expect("an update in time").unwrap();
        let mut sources = BTreeSet::new();
        for group in update {
            let source = group.source.strip_prefix(&format!("{}/", self.folder.root().display())).unwrap().to_owned();
            let addresses: Vec<_> =
                group.targets.iter().map(|target| target.get("__address__").unwrap().to_owned()).collect();
            if !addresses.is_empty() {
                let file = self.folder.path(source.rsplit_once(':').unwrap().0);
                assert_eq!(group.labels.get("__meta_filepath"), file.to_str());
            }
            match addresses.is_empty() {
                true => self.groups.remove(&source),
                false => self.groups.insert(source.clone(), addresses),
            };
            sources.insert(source);
        }
        sources
    }

    /// Takes updates until these are all the groups, as `source=address,address`.
    async fn becomes(&mut self, wanted: &[&str]) {
        let shown = |groups: &BTreeMap<String, Vec<String>>| -> Vec<String> {
            groups.iter().map(|(source, addresses)| format!("{source}={}", addresses.join(","))).collect()
        };
        while shown(&self.groups) != wanted {
            let waited = tokio::time::timeout(DEADLINE, self.update()).await;
            assert!(waited.is_ok(), "still {:?}, not {wanted:?}", shown(&self.groups));
        }
    }

    /// Waits until the status tells this code, or no error.
    async fn shows(&self, code: Option<&str>) {
        let is_so = || self.status.get().last_error.map(|failure| failure.report.code).as_deref() == code;
        rosterd_testkit::eventually(DEADLINE, &format!("status is {code:?}"), is_so).await;
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metric = family.map(|family| family.get_metric()[0].clone()).unwrap_or_default();
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }

    async fn end(self) -> Folder {
        self.stop.cancel();
        assert!(self.task.await.unwrap().unwrap().is_ok());
        assert_eq!(self.stopper.stop(DEADLINE).await, Vec::<std::sync::Arc<str>>::new());
        self.folder
    }
}

fn json(addresses: &[&str]) -> String {
    let groups: Vec<_> = addresses.iter().map(|address| format!(r#"{{"targets": ["{address}"]}}"#)).collect();
    format!("[{}]", groups.join(","))
}

#[test]
fn the_first_send_is_the_whole_picture() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1", "a:2"]));
        folder.write("b.yml", "- targets: [b:1, b:2]\n");
        folder.write("c.txt", "not ours");
        let mut running = Running::start(folder, &["*.json", "*.yml", "none.json"], NEVER).await;
        running.becomes(&["a.json:0=a:1", "a.json:1=a:2", "b.yml:0=b:1,b:2"]).await;
        running.shows(None).await;
        running.end().await;
    });
}

#[test]
fn nothing_at_all_is_a_picture_too() {
    leak_checked_live(|| async {
        let mut running = Running::start(Folder::new(), &["no/such/*.json"], NEVER).await;
        assert!(running.groups.is_empty());
        running.folder.write("no/such/a.json", json(&["a:1"]));
        running.becomes(&["no/such/a.json:0=a:1"]).await;
        running.end().await;
    });
}

#[test]
fn only_the_file_that_changed_is_sent() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        for index in 0..50 {
            folder.write(&format!("{index}.json"), json(&["a:1"]));
        }
        let mut running = Running::start(folder, &["*.json"], NEVER).await;
        running.folder.replace("7.json", json(&["b:1"]));
        assert_eq!(running.update().await, BTreeSet::from(["7.json:0".to_owned()]));
        running.folder.write("8.json", json(&["c:1"]));
        assert_eq!(running.update().await, BTreeSet::from(["8.json:0".to_owned()]));
        running.end().await;
    });
}

#[test]
fn groups_and_files_that_vanish_are_told() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1", "a:2", "a:3"]));
        folder.write("b.json", json(&["b:1"]));
        let mut running = Running::start(folder, &["*.json"], NEVER).await;
        running.folder.replace("a.json", json(&["a:1"]));
        running.becomes(&["a.json:0=a:1", "b.json:0=b:1"]).await;
        running.folder.remove("b.json");
        running.becomes(&["a.json:0=a:1"]).await;
        running.folder.write("b.json", json(&["b:2"]));
        running.becomes(&["a.json:0=a:1", "b.json:0=b:2"]).await;
        running.end().await;
    });
}

#[test]
fn a_bad_file_keeps_its_groups_and_no_other_suffers() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1"]));
        folder.write("b.json", json(&["b:1"]));
        folder.write("bad.yml", "- target: [x]\n");
        let mut running = Running::start(folder, &["*.json", "*.yml"], NEVER).await;
        running.becomes(&["a.json:0=a:1", "b.json:0=b:1"]).await;
        running.shows(Some("sd_file_malformed")).await;
        let told = running.status.get().last_error.unwrap().report.to_string();
        assert!(told.contains("bad.yml does not hold") && told.contains("line 1 column 3"), "{told}");
        running.folder.remove("bad.yml");
        running.shows(None).await;

        running.folder.replace("a.json", "[{");
        running.folder.replace("b.json", json(&["b:2"]));
        running.becomes(&["a.json:0=a:1", "b.json:0=b:2"]).await;
        running.shows(Some("sd_file_malformed")).await;
        assert!(running.metric("rosterd_discovery_file_read_errors_total") >= 2.0);
        assert!(running.provider.refresh_failures.get() >= 2);
        running.folder.replace("a.json", json(&["a:2"]));
        running.becomes(&["a.json:0=a:2", "b.json:0=b:2"]).await;
        running.shows(None).await;
        running.end().await;
    });
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again_soon() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        // A link to nothing exists and cannot be read. What it points to is not in a watched place until it is there.
        symlink("elsewhere/deep/x.json", folder.path("a.json")).unwrap();
        // Nothing but bad files would be no picture to begin with.
        folder.write("b.json", json(&["b:1"]));
        let mut running = Running::start(folder, &["a.json", "b.json"], NEVER).await;
        running.shows(Some("sd_file_read")).await;
        running.folder.write("elsewhere/deep/x.json", json(&["a:1"]));
        running.becomes(&["a.json:0=a:1", "b.json:0=b:1"]).await;
        running.shows(None).await;
        running.end().await;
    });
}

#[test]
fn the_interval_finds_what_no_event_tells() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("up/down/a.json", json(&["a:1"]));
        folder.write("other/down/a.json", json(&["a:2"]));
        let mut running = Running::start(folder, &["up/down/*.json"], "100ms").await;
        // The directory that is watched is not the one that is renamed.
        fs::rename(running.folder.path("up"), running.folder.path("old")).unwrap();
        fs::rename(running.folder.path("other"), running.folder.path("up")).unwrap();
        running.becomes(&["up/down/a.json:0=a:2"]).await;
        running.folder.write("up/down/a.json", json(&["a:3"]));
        running.becomes(&["up/down/a.json:0=a:3"]).await;
        running.end().await;
    });
}

#[test]
fn a_config_map_is_read_after_each_swap() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("..1/a.json", json(&["a:1"]));
        symlink("..1", folder.path("..data")).unwrap();
        symlink("..data/a.json", folder.path("a.json")).unwrap();
        let mut running = Running::start(folder, &["*.json"], NEVER).await;
        running.becomes(&["a.json:0=a:1"]).await;
        for round in 2..5 {
            let (old, new) = (format!("..{}", round - 1), format!("..{round}"));
            let address = format!("a:{round}");
            running.folder.write(&format!("{new}/a.json"), json(&[&address]));
            symlink(&new, running.folder.path("..data_tmp")).unwrap();
            fs::rename(running.folder.path("..data_tmp"), running.folder.path("..data")).unwrap();
            fs::remove_dir_all(running.folder.path(&old)).unwrap();
            running.becomes(&[&format!("a.json:0={address}")]).await;
        }
        running.end().await;
    });
}

#[test]
fn the_time_of_a_file_is_shown_while_it_is_read() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let path = folder.write("a.json", json(&["a:1"]));
        let at = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_007);
        fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        let mut running = Running::start(folder, &["*.json"], NEVER).await;
        assert_eq!(running.metric("rosterd_discovery_file_mtime_seconds"), 1_000_000_007.0);
        running.folder.remove("a.json");
        running.becomes(&[]).await;
        assert_eq!(running.metric("rosterd_discovery_file_mtime_seconds"), 0.0);
        running.end().await;
    });
}

#[test]
fn it_stops_while_nobody_takes_its_updates() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1"]));
        let running = Running::start(folder, &["*.json"], NEVER).await;
        for port in 0..5 {
            running.folder.replace("a.json", json(&[&format!("b:{port}")]));
        }
        running.end().await;
    });
}
