//! The journal of a roster, in folders that cannot be opened, or only later.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_discovery::{Presence, ProviderKey, Update};
use rosterd_journal::{Target, Writer};
use rosterd_model::relabel::Rules;
use rosterd_model::{Labels, TargetGroup};
use rosterd_tasks::Stopper;
use rosterd_testkit::{Folder, eventually_ok, everything, leak_checked, patience};
use tokio::sync::mpsc;

use crate::journal::metrics::Metrics;
use crate::journal::*;
use crate::roster::{Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::{Loss, MemoryBlocks};

const SETTINGS: Settings = Settings { retention: Duration::from_secs(16 * 100), max_size: 1 << 24 };
/// A disk that failed is tried again before that.
const TRIED_AGAIN: Duration = Duration::from_secs(40);
/// What waits to be written is written before that.
const WRITTEN: Duration = Duration::from_secs(5);

/// Without these there are no targets.
const DEFAULTS: [(&str, &str); 5] = [
    ("job", "one"),
    ("__scrape_interval__", "1m"),
    ("__scrape_timeout__", "10s"),
    ("__metrics_path__", "/metrics"),
    ("__scheme__", "http"),
];

/// A roster, and its journal.
pub(super) struct Kept {
    work: Stopper,
    pub(super) roster: RosterHandle,
    updates: mpsc::Sender<Update>,
    pub(super) journal: JournalHandle,
    metrics: Metrics,
}

fn labels(address: &str) -> Labels {
    [("__address__", address), ("instance", address), ("job", "one")].into_iter().collect()
}

pub(super) fn job() -> JobSpec {
    JobSpec {
        name: "one".into(),
        rules: Rules::compile(&[], Default::default()).unwrap(),
        defaults: DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![ProviderKey::new("file/1")],
    }
}

impl Kept {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, MemoryBlocks::new())
    }

    /// With what is stored of sources.
    pub(super) fn start_with(folder: &Path, stored: MemoryBlocks) -> Self {
        Self::start_on(folder, stored, None)
    }

    /// Where what was stored of sources is lost.
    pub(super) fn start_without(folder: &Path, lost: Loss) -> Self {
        Self::start_on(folder, MemoryBlocks::new(), Some(lost))
    }

    fn start_on(folder: &Path, stored: MemoryBlocks, lost: Option<Loss>) -> Self {
        let (registry, work) = (prometheus::Registry::new(), Stopper::new());
        let (updates, reported) = mpsc::channel(1);
        let counted = crate::roster::metrics::Metrics::register(&registry).unwrap();
        let roster = Roster::start(&work, Arc::new(stored), counted, Clock::system(), reported);
        let metrics = Metrics::register(&registry).unwrap();
        let stale = Arc::new(|| vec![providers::tests::provider(Presence::Stale, Some("sd_aws_denied"))]);
        let folder = Some(folder.to_owned());
        let journal = Journal::start(&work, &roster, folder, Some(SETTINGS), stale, lost, metrics.clone());
        Self { work, roster, updates, journal, metrics }
    }

    /// A configuration with one job comes into use.
    async fn begin(&self) {
        self.roster.set_jobs(vec![job()], Duration::from_secs(300)).await;
        eventually_ok(patience(), "rosterd started", async || match &self.told(&[Kind::Started]).await[..] {
            [.., started] if started.starts_with("started ") => Ok(()),
            others => Err(format!("{others:?}")),
        })
        .await;
    }

    /// The job has these targets.
    pub(super) async fn report(&self, addresses: &[&str]) {
        let mut views = self.roster.watch();
        views.borrow_and_update();
        let targets = addresses.iter().map(|address| [("__address__", *address)].into_iter().collect()).collect();
        let group = TargetGroup { source: "s".into(), key: "".into(), labels: Labels::default(), targets };
        self.updates.send(everything(ProviderKey::new("file/1"), vec![group])).await.unwrap();
        views.changed().await.unwrap();
    }

    /// What it has of the kinds, the oldest first: kind, instance and reason.
    pub(super) async fn told(&self, kinds: &[Kind]) -> Vec<String> {
        let query = Query { kinds: kinds.to_vec(), limit: 1000, ..Query::default() };
        let Ok(page) = self.journal.query(query).await else { return vec!["nothing".to_owned()] };
        let told = page.events.into_iter().map(|Event { note, .. }| {
            let instance = note.labels.as_ref().and_then(|labels| labels.get("instance")).unwrap_or("-").to_owned();
            format!("{} {instance} {}", note.kind.as_str(), note.reason.as_deref().unwrap_or("-"))
        });
        told.collect()
    }

    /// What it says besides of a kind, the oldest first.
    pub(super) async fn details(&self, kind: Kind) -> Vec<String> {
        let query = Query { kinds: vec![kind], limit: 1000, ..Query::default() };
        let events = self.journal.query(query).await.unwrap().events;
        events.into_iter().map(|event| event.note.detail.as_deref().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until it has told so.
    pub(super) async fn tells(&self, kinds: &[Kind], expected: &[&str]) {
        eventually_ok(patience(), "the journal tells what happened", async || {
            let mut told = self.told(kinds).await;
            told.sort();
            if told == expected { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
    }

    async fn targets(&self) -> Vec<String> {
        let instances = |past: Past| {
            let instance = |labels: &Labels| labels.get("instance").unwrap_or("-").to_owned();
            let mut instances: Vec<_> = past.iter().map(|(_, labels, _)| instance(labels)).collect();
            instances.sort();
            instances
        };
        self.journal.rebuild().await.unwrap().roster(None, |_, _| true, instances).await.unwrap()
    }

    pub(super) async fn stop(self) {
        assert_eq!(self.work.stop(patience()).await, Vec::<Arc<str>>::new());
    }
}

fn ago(seconds: u64) -> Time {
    (SystemTime::now() - Duration::from_secs(seconds)).into()
}

/// A journal that knows a target since so many seconds.
fn known(folder: &Path, address: &str, seconds: u64) -> Writer {
    let (mut writer, _) = Writer::open(folder, SETTINGS, ago(seconds)).unwrap();
    let labels = labels(address);
    let roster = || [Target { job: "one", labels: &labels, held: None }];
    assert!(writer.begin(ago(seconds), roster).is_none());
    let mut batch = writer.batch();
    batch.push(ago(seconds), &Note::of(Kind::Stopped));
    assert!(writer.append(batch, ago(seconds), roster).is_none());
    writer
}

/// What a folder holds leads to these targets.
fn leads_to(folder: &Path, addresses: &[&str]) {
    let (_, found) = Writer::open(folder, SETTINGS, Time::from(SystemTime::now())).unwrap();
    let past = found.past.unwrap();
    let mut found: Vec<_> = past.iter().map(|(_, labels, _)| labels.get("instance").unwrap().to_owned()).collect();
    found.sort();
    assert_eq!((found, past.is_whole), (addresses.iter().map(|one| (*one).to_owned()).collect(), true));
}

const TARGETS: [Kind; 2] = [Kind::Added, Kind::Removed];

#[test]
fn a_folder_that_cannot_be_made_is_one_of_memory_until_it_can() {
    leak_checked(|| async {
        let parent = Folder::new();
        let folder = parent.write("journal", "in its place");
        let kept = Kept::start(&folder);
        kept.begin().await;
        kept.report(&["a:1", "b:1"]).await;
        kept.tells(&TARGETS, &["added a:1 source", "added b:1 source"]).await;
        tokio::time::sleep(TRIED_AGAIN).await;
        assert!(kept.metrics.failures.get() >= 2, "each try is counted");
        let failing = kept.journal.failing().expect("it fails");
        assert_eq!(failing.report.code, "journal_io");
        std::fs::remove_file(&folder).unwrap();
        tokio::time::sleep(TRIED_AGAIN).await;
        kept.tells(&TARGETS, &["added a:1 caught_up", "added b:1 caught_up"]).await;
        kept.tells(&[Kind::Missed], &["missed - -"]).await;
        let failures = kept.metrics.failures.get();
        kept.report(&["b:1"]).await;
        kept.tells(&[Kind::Removed], &["removed a:1 source"]).await;
        tokio::time::sleep(TRIED_AGAIN).await;
        assert_eq!(kept.metrics.failures.get(), failures, "it is on disk, and stays there");
        assert_eq!(kept.journal.failing(), None);
        kept.stop().await;
        leads_to(&folder, &["b:1"]);
    });
}

#[test]
fn a_folder_of_another_process_is_used_when_that_has_ended() {
    leak_checked(|| async {
        let parent = Folder::new();
        let folder = parent.path("journal");
        let other = known(&folder, "x:1", 50);
        let kept = Kept::start(&folder);
        kept.begin().await;
        kept.report(&["a:1"]).await;
        kept.tells(&TARGETS, &["added a:1 source"]).await;
        // Who is behind when the memory goes has to hear that something is gone.
        let events = kept.journal.query(Query { limit: 100, ..Query::default() }).await.unwrap();
        let mut behind = kept
            .journal
            .follow(Query { limit: 100, cursor: Some(events.events[0].number), ..Query::default() })
            .unwrap();
        let mut from_before = kept.journal.follow(Query { limit: 100, ..Query::default() }).unwrap();
        drop(other);
        tokio::time::sleep(TRIED_AGAIN).await;
        kept.tells(&TARGETS, &["added a:1 caught_up", "removed x:1 caught_up"]).await;
        assert_eq!(kept.targets().await, ["a:1"]);
        assert!(behind.next().await.unwrap().unwrap().gap);
        let mut seen = Vec::new();
        while !seen.contains(&Kind::Removed) {
            seen.extend(from_before.next().await.unwrap().unwrap().events.into_iter().map(|event| event.note.kind));
        }
        kept.stop().await;
        leads_to(&folder, &["a:1"]);
    });
}

#[test]
fn a_folder_that_cannot_be_written_is_read_and_used_when_it_can() {
    leak_checked(|| async {
        let parent = Folder::new();
        let folder = parent.path("journal");
        drop(known(&folder, "x:1", 50));
        let files = || {
            let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap());
            let mut files: Vec<_> = files.map(|file| (file.file_name(), file.metadata().unwrap().len())).collect();
            files.sort();
            files
        };
        // Who may do everything is not stopped by a mode.
        std::fs::remove_file(folder.join("lock")).unwrap();
        std::fs::create_dir(folder.join("lock")).unwrap();
        let before = files();
        let kept = Kept::start(&folder);
        eventually_ok(patience(), "what there was is read", async || {
            let told = kept.told(&[Kind::Stopped]).await;
            if told == ["stopped - -"] { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
        assert_eq!(kept.targets().await, ["x:1"]);
        kept.begin().await;
        kept.report(&["a:1"]).await;
        kept.tells(&TARGETS, &["added a:1 source", "removed x:1 restart"]).await;
        assert_eq!((kept.targets().await, kept.journal.failing().is_some()), (vec!["a:1".to_owned()], true));
        assert_eq!(files(), before, "nothing of it was changed");
        std::fs::remove_dir(folder.join("lock")).unwrap();
        tokio::time::sleep(TRIED_AGAIN).await;
        kept.tells(&TARGETS, &["added a:1 caught_up", "removed x:1 caught_up"]).await;
        assert_eq!(kept.journal.failing(), None);
        kept.stop().await;
        leads_to(&folder, &["a:1"]);
    });
}

#[test]
fn a_folder_of_which_a_file_cannot_be_read_is_used_when_it_can() {
    leak_checked(|| async {
        let parent = Folder::new();
        let folder = parent.path("journal");
        drop(known(&folder, "x:1", 50));
        let unreadable = folder.join("09999999999999999999.segment");
        // It leads to itself.
        std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
        let kept = Kept::start(&folder);
        kept.begin().await;
        kept.report(&["a:1"]).await;
        kept.tells(&TARGETS, &["added a:1 source"]).await;
        std::fs::remove_file(&unreadable).unwrap();
        tokio::time::sleep(TRIED_AGAIN).await;
        kept.tells(&TARGETS, &["added a:1 caught_up", "removed x:1 caught_up"]).await;
        kept.stop().await;
        leads_to(&folder, &["a:1"]);
    });
}

#[test]
fn how_providers_are_is_told_again_to_a_journal_that_has_not_heard_it() {
    leak_checked(|| async {
        let parent = Folder::new();
        let folder = parent.write("journal", "in its place");
        let kept = Kept::start(&folder);
        kept.begin().await;
        kept.report(&["a:1"]).await;
        let stale = ["provider - stale"; 2];
        kept.tells(&[Kind::Provider], &stale).await;
        std::fs::remove_file(&folder).unwrap();
        tokio::time::sleep(TRIED_AGAIN).await;
        kept.tells(&[Kind::Missed], &["missed - -"]).await;
        kept.tells(&[Kind::Provider], &stale).await;
        kept.stop().await;
    });
}

#[test]
fn what_happens_before_the_roster_is_known_leaves_what_the_journal_knows() {
    leak_checked(|| async {
        let parent = Folder::new();
        let folder = parent.path("journal");
        // It is time for a new segment.
        drop(known(&folder, "x:1", 1000));
        let kept = Kept::start(&folder);
        kept.journal.note(Note::of(Kind::Operation));
        tokio::time::sleep(WRITTEN).await;
        assert_eq!(kept.targets().await, ["x:1"]);
        kept.begin().await;
        kept.report(&["a:1"]).await;
        kept.tells(&TARGETS, &["added a:1 source", "removed x:1 restart"]).await;
        kept.tells(&[Kind::Operation], &["operation - -"]).await;
        assert_eq!(kept.told(&[Kind::Started, Kind::Operation]).await, ["started - stopped", "operation - -"]);
        assert_eq!(kept.targets().await, ["a:1"]);
        kept.stop().await;
        leads_to(&folder, &["a:1"]);
    });
}
