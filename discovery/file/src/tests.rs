//! The discoverer on real directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rosterd_discovery::{
    Build, CheckContext, Context, Error, Finding, MechanismConfig, MechanismMetrics, MechanismShared, System, Updates,
    Word,
};
use rosterd_model::{Report, TargetGroup};
use rosterd_tasks::{Stopper, Supervision, Task};
use rosterd_testkit::{Folder, leak_checked_live};
use tokio::sync::mpsc::Receiver;

use super::{Config, FileMetrics, Watches};

const DEADLINE: Duration = Duration::from_secs(30);
const NEVER: &str = "1d";

/// A running discoverer, and what it has said so far.
struct Running {
    folder: Folder,
    words: Receiver<Word>,
    /// The addresses of each group, by the name of the file.
    files: BTreeMap<String, Vec<String>>,
    /// Why files and directories cannot be read, by their names.
    unread: BTreeMap<String, Report>,
    /// Whether what is not there is gone.
    is_whole: bool,
    cx: Context,
    stopper: Stopper,
    task: Task<Result<(), Error>>,
    registry: Registry,
}

impl Running {
    /// Starts on files of the folder, and waits for the first word.
    async fn start(folder: Folder, files: &[&str], interval: &str) -> Self {
        let mut running = Self::begin(folder, files, interval);
        running.hear().await;
        running
    }

    fn begin(folder: Folder, files: &[&str], interval: &str) -> Self {
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
            guard: &Supervision::default().guard("source"),
        };
        let discoverer = config.build(build).unwrap();
        let cx = Context::detached("file/1");
        let (up, words) = Updates::channel(&cx);
        let stopper = Stopper::new();
        let task = stopper.spawn("file/1", discoverer.run(cx.clone(), up));
        let (files, unread) = (BTreeMap::new(), BTreeMap::new());
        Self { folder, words, files, unread, is_whole: false, cx, stopper, task, registry }
    }

    /// Takes the next word. Returns the files that it names.
    async fn hear(&mut self) -> BTreeSet<String> {
        let word = tokio::time::timeout(DEADLINE, self.words.recv()).await.expect("a word in time").unwrap();
        let named: BTreeSet<_> = word.groups().iter().map(|group| self.name(&group.source)).collect();
        let unread: BTreeMap<_, _> =
            word.unread().iter().map(|unread| (self.name(&unread.source), unread.error.report())).collect();
        match &word {
            Word::Everything(_) | Word::EverythingBut(..) => {
                self.files.retain(|file, _| unread.contains_key(file));
                self.unread = unread;
                self.is_whole = true;
            }
            Word::Found(..) => {
                assert!(!self.is_whole, "what is not there was gone already");
                self.files.retain(|file, _| !named.contains(file));
                self.unread = unread;
            }
            Word::Changed(_) | Word::Unread(_) => {
                self.files.retain(|file, _| !named.contains(file));
                self.unread.retain(|file, _| !named.contains(file));
                self.unread.extend(unread);
            }
            Word::Piece { .. } | Word::Pieced { .. } => panic!("a picture of files is no large one: {word:?}"),
            Word::Unchanged => self.unread.clear(),
        }
        for group in word.groups().iter().filter(|group| !group.targets.is_empty()) {
            self.take(group);
        }
        named
    }

    fn take(&mut self, group: &TargetGroup) {
        let name = self.name(&group.source);
        assert_eq!(group.labels.get("__meta_filepath"), self.folder.path(&name).to_str());
        let addresses: Vec<_> = group.targets.iter().map(|target| target.get("__address__").unwrap()).collect();
        self.files.entry(name).or_default().push(addresses.join(","));
    }

    /// The name within the folder.
    fn name(&self, source: &str) -> String {
        source.strip_prefix(&format!("{}/", self.folder.root().display())).unwrap().to_owned()
    }

    /// Takes words until these are all files with their groups, as `file=address,address;address`.
    async fn becomes(&mut self, wanted: &[&str]) {
        let shown = |files: &BTreeMap<String, Vec<String>>| -> Vec<String> {
            files.iter().map(|(file, groups)| format!("{file}={}", groups.join(";"))).collect()
        };
        while shown(&self.files) != wanted {
            let waited = tokio::time::timeout(DEADLINE, self.hear()).await;
            assert!(waited.is_ok(), "still {:?}, not {wanted:?}", shown(&self.files));
        }
    }

    /// Takes words until what is not there is gone.
    async fn becomes_whole(&mut self) {
        while !self.is_whole {
            self.hear().await;
        }
    }

    /// Takes words until what cannot be read fails with this code, or nothing does.
    async fn fails_with(&mut self, code: Option<&str>) {
        while self.unread.values().max_by_key(|report| report.priority).map(|report| &*report.code) != code {
            let waited = tokio::time::timeout(DEADLINE, self.hear()).await;
            assert!(waited.is_ok(), "still {:?}, not {code:?}", self.unread);
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metric = family.map(|family| family.get_metric()[0].clone()).unwrap_or_default();
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }

    async fn end(self) -> Folder {
        self.cx.stop.cancel();
        assert!(self.task.await.unwrap().unwrap().is_ok());
        assert_eq!(self.stopper.stop(DEADLINE).await, Vec::<Arc<str>>::new());
        self.folder
    }
}

fn json(addresses: &[&str]) -> String {
    let groups: Vec<_> = addresses.iter().map(|address| format!(r#"{{"targets": ["{address}"]}}"#)).collect();
    format!("[{}]", groups.join(","))
}

#[test]
fn the_first_word_is_all_there_is() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1", "a:2"]));
        folder.write("b.yml", "- targets: [b:1, b:2]\n");
        folder.write("c.txt", "not ours");
        let mut running = Running::start(folder, &["*.json", "*.yml", "none.json"], NEVER).await;
        running.becomes(&["a.json=a:1;a:2", "b.yml=b:1,b:2"]).await;
        running.fails_with(None).await;
        running.end().await;
    });
}

#[test]
fn nothing_at_all_is_a_picture_too() {
    leak_checked_live(|| async {
        let mut running = Running::start(Folder::new(), &["no/such/*.json"], NEVER).await;
        assert!(running.files.is_empty());
        running.folder.write("no/such/a.json", json(&["a:1"]));
        running.becomes(&["no/such/a.json=a:1"]).await;
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
        assert_eq!(running.hear().await, BTreeSet::from(["7.json".to_owned()]));
        running.folder.write("8.json", json(&["c:1"]));
        assert_eq!(running.hear().await, BTreeSet::from(["8.json".to_owned()]));
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
        running.becomes(&["a.json=a:1", "b.json=b:1"]).await;
        running.folder.remove("b.json");
        running.becomes(&["a.json=a:1"]).await;
        running.folder.write("b.json", json(&["b:2"]));
        running.becomes(&["a.json=a:1", "b.json=b:2"]).await;
        running.end().await;
    });
}

#[test]
fn what_is_not_there_at_the_start_may_come_for_an_interval() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1"]));
        folder.write("bad.json", "[");
        let mut running = Running::start(folder, &["*.json", "later/b.json"], "200ms").await;
        assert!(!running.is_whole);
        running.becomes_whole().await;
        running.becomes(&["a.json=a:1"]).await;
        assert_eq!(running.unread.keys().collect::<Vec<_>>(), ["bad.json"], "the whole picture names it again");
        running.folder.write("later/b.json", json(&["b:1"]));
        running.becomes(&["a.json=a:1", "later/b.json=b:1"]).await;
        running.end().await;
    });
}

#[test]
fn paths_and_patterns_without_a_file_are_warned_of_until_one_comes() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1"]));
        let mut running = Running::start(folder, &["a.json", "typo.json", "*.yml"], NEVER).await;
        let warned = |running: &Running| running.cx.status().warning.map(|warning| warning.report);
        let report = warned(&running).expect("a warning");
        let (root, code) = (running.folder.root().display().to_string(), report.code.as_str());
        let told = format!("no file is there for {root}/typo.json, {root}/*.yml");
        assert_eq!((code, report.message.as_str()), ("sd_file_absent", told.as_str()));
        running.folder.write("typo.json", json(&["b:1"]));
        running.becomes(&["a.json=a:1", "typo.json=b:1"]).await;
        let report = warned(&running).expect("the pattern has no file still");
        assert_eq!(report.message, format!("no file is there for {root}/*.yml"));
        // One that cannot be used is there.
        running.folder.write("b.yml", "- targets: [");
        running.fails_with(Some("sd_file_malformed")).await;
        assert_eq!(warned(&running), None);
        running.folder.remove("typo.json");
        running.becomes(&["a.json=a:1"]).await;
        assert_eq!(warned(&running).expect("it went").message, format!("no file is there for {root}/typo.json"));
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
        running.becomes(&["a.json=a:1", "b.json=b:1"]).await;
        running.fails_with(Some("sd_file_malformed")).await;
        let told = running.unread["bad.yml"].to_string();
        assert!(told.contains("bad.yml does not hold") && told.contains("line 1, column 3"), "{told}");
        running.folder.remove("bad.yml");
        running.fails_with(None).await;

        running.folder.replace("a.json", "[{");
        running.folder.replace("b.json", json(&["b:2"]));
        running.becomes(&["a.json=a:1", "b.json=b:2"]).await;
        running.fails_with(Some("sd_file_malformed")).await;
        assert!(running.metric("rosterd_discovery_file_read_errors_total") >= 2.0);
        assert!(running.cx.failures() >= 2);
        running.folder.replace("a.json", json(&["a:2"]));
        running.becomes(&["a.json=a:2", "b.json=b:2"]).await;
        running.fails_with(None).await;
        running.end().await;
    });
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again_soon() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        // A link to nothing exists and cannot be read. What it points to is not in a watched place until it is there.
        symlink("elsewhere/deep/x.json", folder.path("a.json")).unwrap();
        let mut running = Running::start(folder, &["a.json"], NEVER).await;
        running.fails_with(Some("sd_file_read")).await;
        running.folder.write("elsewhere/deep/x.json", json(&["a:1"]));
        running.becomes(&["a.json=a:1"]).await;
        running.fails_with(None).await;
        running.end().await;
    });
}

#[test]
fn files_that_were_never_read_hide_no_other_and_are_named() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("bad.json", "[{");
        let running = Running::start(folder, &["*.json"], NEVER).await;
        assert!(running.files.is_empty(), "nothing but failures is no empty picture");
        assert_eq!(running.unread["bad.json"].code, "sd_file_malformed");
        let folder = running.end().await;
        folder.write("good.json", json(&["a:1"]));
        folder.write("empty.json", "[]");
        let mut running = Running::start(folder, &["*.json"], NEVER).await;
        running.becomes(&["good.json=a:1"]).await;
        assert_eq!(running.unread.keys().collect::<Vec<_>>(), ["bad.json"]);
        running.folder.remove("bad.json");
        running.fails_with(None).await;
        running.end().await;
    });
}

#[test]
fn a_directory_that_cannot_be_listed_hides_no_other_and_is_named() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        // A name that is too long cannot be looked up: neither is it there, nor is it missing.
        let too_long = "x".repeat(300);
        symlink(&too_long, folder.path("one")).unwrap();
        let mut running = Running::start(folder, &["one/*.json"], "100ms").await;
        assert_eq!(running.unread["one"].code, "sd_file_list");
        // What is not there is gone, but for its files, which may be there.
        running.becomes_whole().await;
        assert_eq!(running.unread.keys().collect::<Vec<_>>(), ["one"]);
        running.folder.remove("one");
        running.folder.write("one/a.json", json(&["a:1"]));
        running.becomes(&["one/a.json=a:1"]).await;
        running.fails_with(None).await;
        let folder = running.end().await;

        symlink(&too_long, folder.path("other")).unwrap();
        let mut running = Running::start(folder, &["one/*.json", "other/*.json"], NEVER).await;
        running.becomes(&["one/a.json=a:1"]).await;
        assert_eq!(running.unread.keys().collect::<Vec<_>>(), ["other"]);
        running.folder.remove("other");
        running.folder.write("other/b.json", json(&["b:1"]));
        running.becomes(&["one/a.json=a:1", "other/b.json=b:1"]).await;
        running.fails_with(None).await;
        running.end().await;
    });
}

#[test]
fn a_look_that_finds_nothing_new_says_so() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        folder.write("a.json", json(&["a:1"]));
        let mut running = Running::start(folder, &["*.json"], "100ms").await;
        let unchanged = async { while !matches!(running.words.recv().await, Some(Word::Unchanged)) {} };
        tokio::time::timeout(DEADLINE, unchanged).await.unwrap();
        assert_eq!(running.cx.status().worst(), None);
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
        running.becomes(&["up/down/a.json=a:2"]).await;
        running.folder.write("up/down/a.json", json(&["a:3"]));
        running.becomes(&["up/down/a.json=a:3"]).await;
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
        running.becomes(&["a.json=a:1"]).await;
        for round in 2..5 {
            let (old, new) = (format!("..{}", round - 1), format!("..{round}"));
            let address = format!("a:{round}");
            running.folder.write(&format!("{new}/a.json"), json(&[&address]));
            symlink(&new, running.folder.path("..data_tmp")).unwrap();
            fs::rename(running.folder.path("..data_tmp"), running.folder.path("..data")).unwrap();
            fs::remove_dir_all(running.folder.path(&old)).unwrap();
            running.becomes(&[&format!("a.json={address}")]).await;
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
fn a_look_at_the_files_tells_what_is_missing_and_what_is_wrong_in_them() {
    let folder = Folder::new();
    let good = folder.write("good.json", json(&["a:1"]));
    let bad = folder.write("bad.yml", "- targets: ['', b:1]\n- target: [c]\n");
    let worse = folder.write("worse.json", "[{\"targets\": [\"a:1\", \"\"]}, ]");
    let empty = folder.write("empty.json", json(&["a:1", ""]));
    let mut config: Config = serde_yaml::from_str("files: ['*.json', bad.yml, none.yml, no*.json]").unwrap();
    config.resolve_paths(folder.root());
    let found = config.examine(&CheckContext::default());
    let shown: Vec<_> = found
        .iter()
        .map(|finding| match finding {
            Finding::Missing(problem) => format!("missing {} {}", problem.path, problem.code),
            Finding::Idle(problem) => format!("idle {} {}", problem.path, problem.code),
            Finding::Groups { file, groups } => {
                let targets: Vec<_> = groups.iter().map(|group| group.targets.len()).collect();
                format!("{} {targets:?}", file.as_deref().expect("it stands in a file").display())
            }
            Finding::NoAddress(problem) => format!("no address {}", problem.path),
            Finding::Elsewhere(p) => format!("{}:{}:{} {} {}", p.file.display(), p.line, p.column, p.key, p.code),
        })
        .collect();
    let wanted = [
        format!("{} [1, 1]", empty.display()),
        format!("{} [1]", good.display()),
        format!("{}:1:28 [1] cfg_syntax", worse.display()),
        format!("{}:2:3 [1].target cfg_unknown_key", bad.display()),
        "idle files[2] cfg_no_file".to_owned(),
        "idle files[3] cfg_no_file".to_owned(),
    ];
    assert_eq!(shown, wanted);
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
