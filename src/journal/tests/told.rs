//! The journal of an agent: what it says of itself, and for whom there is room.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use rosterd_discovery::{ProviderKey, Update};
use rosterd_journal::{Event, Kind, Note, Query, Settings, Time, Writer};
use rosterd_model::TargetGroup;
use rosterd_model::relabel::Rules;
use rosterd_tasks::Stopper;
use rosterd_testkit::{Folder, eventually_ok, everything, leak_checked, patience};
use tokio::sync::mpsc;

use crate::journal::disk::{Disk, Roster as Views};
use crate::journal::metrics::Metrics;
use crate::journal::{Journal, JournalHandle};
use crate::roster::step::RosterNews;
use crate::roster::{Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::MemoryBlocks;

const SETTINGS: Settings = Settings { retention: Duration::from_secs(3600), max_size: 1 << 24 };

/// A roster and its journal.
struct Kept {
    work: Stopper,
    roster: RosterHandle,
    updates: mpsc::Sender<Update>,
    journal: JournalHandle,
}

impl Kept {
    async fn start(folder: Option<PathBuf>) -> Self {
        Self::start_again(folder, 1).await
    }

    /// Of a folder in which rosterd has started so often then.
    async fn start_again(folder: Option<PathBuf>, starts: usize) -> Self {
        let (registry, work) = (prometheus::Registry::new(), Stopper::new());
        let (updates, reported) = mpsc::channel(1);
        let metrics = crate::roster::metrics::Metrics::register(&registry).unwrap();
        let roster = Roster::start(&work, Arc::new(MemoryBlocks::new()), metrics, Clock::system(), reported);
        let metrics = Metrics::register(&registry).unwrap();
        let journal = Journal::start(&work, &roster, folder, Some(SETTINGS), Arc::new(Vec::new), None, metrics);
        let defaults = [
            ("__scrape_interval__", "1m"),
            ("__scrape_timeout__", "10s"),
            ("__metrics_path__", "/metrics"),
            ("__scheme__", "http"),
        ];
        let job = JobSpec {
            name: "one".into(),
            rules: Rules::compile(&[], Default::default()).unwrap(),
            defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            interval: "1m".to_owned(),
            timeout: "10s".to_owned(),
            params: BTreeMap::new(),
            limits: Limits::default(),
            keeping: Default::default(),
            providers: vec![ProviderKey::new("static/1")],
        };
        roster.set_jobs(vec![job], Duration::from_secs(300)).await;
        let kept = Self { work, roster, updates, journal };
        kept.told(Kind::Started, starts).await;
        kept
    }

    /// The source of the job says that these are all, and the roster has them.
    async fn says(&self, addresses: &[&str]) {
        let targets = addresses.iter().map(|address| [("__address__", *address)].into_iter().collect()).collect();
        let group = TargetGroup { source: "s".into(), key: "".into(), labels: Default::default(), targets };
        let mut views = self.roster.watch();
        views.borrow_and_update();
        self.updates.send(everything(ProviderKey::new("static/1"), vec![group])).await.unwrap();
        views.changed().await.unwrap();
    }

    /// The events of a kind, the oldest first, once there are so many.
    async fn told(&self, kind: Kind, count: usize) -> Vec<Event> {
        let query = || Query { kinds: vec![kind], limit: usize::MAX, ..Query::default() };
        eventually_ok(patience(), &format!("there are {count} events {}", kind.as_str()), async || {
            match self.journal.query(query()).await {
                Ok(page) if page.events.len() == count => Ok(page.events),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    async fn stop(self) {
        assert_eq!(self.work.stop(patience()).await, [] as [Arc<str>; 0]);
    }
}

fn detail(event: &Event) -> &str {
    event.note.detail.as_deref().unwrap_or_default()
}

fn reasons(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.note.reason.as_deref().unwrap_or_default()).collect()
}

#[test]
fn a_small_step_of_long_labels_is_not_written_where_it_is_taken() {
    leak_checked(async || {
        let kept = Kept::start(None).await;
        let mut steps = kept.roster.steps();
        assert!(matches!(steps.next().await, Some(RosterNews::Picture(_))));
        let addresses: Vec<_> = (0..400).map(|number| format!("{}{number}:1", "h".repeat(1000))).collect();
        kept.says(&addresses.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let Some(RosterNews::Step(step)) = steps.next().await else { panic!("it is a step") };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let mut disk = Disk::new(Writer::in_memory(SETTINGS, Time(0)), Default::default(), metrics);
        disk.take_step(&step, None);
        assert_eq!((disk.is_full(), disk.writer.reader().last().unwrap_or_default()), (true, 0));
        disk.take_step(&step, Some(&Views::new()));
        assert!(disk.writer.reader().last() >= Some(400), "where it may block, it is written meanwhile");
        kept.told(Kind::Added, 400).await;
        drop((steps, step));
        kept.stop().await;
    });
}

#[test]
fn targets_that_all_go_down_at_once_take_no_room_from_what_is_rare() {
    leak_checked(async || {
        let kept = Kept::start(None).await;
        // The task of the journal does not run meanwhile.
        for _ in 0..5000 {
            kept.journal.note(Note::of(Kind::Down));
        }
        for kind in [Kind::Reloaded, Kind::Operation, Kind::Brake] {
            kept.journal.note(Note::of(kind));
        }
        for kind in [Kind::Reloaded, Kind::Operation, Kind::Brake] {
            kept.told(kind, 1).await;
        }
        assert_eq!(kept.told(Kind::Down, 4096).await.len(), 4096);
        let missed = kept.told(Kind::Missed, 1).await;
        assert!(detail(&missed[0]).starts_with("904 events"), "{missed:?}");
        kept.stop().await;
    });
}

#[test]
fn that_rosterd_started_is_said_once_and_what_befell_the_journal_in_other_words() {
    leak_checked(async || {
        let folder = Folder::new();
        let kept = Kept::start(Some(folder.path("journal"))).await;
        kept.says(&["a:1"]).await;
        kept.told(Kind::Added, 1).await;

        kept.work.supervision().provoke("journal").await;
        kept.says(&["a:1", "b:1"]).await;
        let added = kept.told(Kind::Added, 2).await;
        assert_eq!(reasons(&added), ["source", "caught_up"]);

        kept.journal.set(None);
        // Time passes only when nobody has anything to do.
        tokio::time::sleep(Duration::from_millis(1)).await;
        kept.says(&["a:1", "b:1", "c:1"]).await;
        kept.journal.set(Some(SETTINGS));
        let added = kept.told(Kind::Added, 3).await;
        assert_eq!(reasons(&added), ["source", "caught_up", "caught_up"]);

        let missed = kept.told(Kind::Missed, 3).await;
        let why = ["the journal itself failed: ", "the journal is off from now on", "the journal was off: "];
        assert!(missed.iter().zip(why).all(|(event, why)| detail(event).starts_with(why)), "{missed:?}");
        kept.told(Kind::Started, 1).await;
        kept.stop().await;
    });
}

#[test]
fn a_start_says_how_the_process_before_ended_where_the_journal_knows() {
    leak_checked(async || {
        let folder = Folder::new();
        let path = || Some(folder.path("journal"));
        let reasons = async |kept: &Kept, count| {
            let started = kept.told(Kind::Started, count).await;
            started.iter().map(|event| event.note.reason.as_deref().map(str::to_owned)).collect::<Vec<_>>()
        };
        let kept = Kept::start_again(path(), 1).await;
        assert_eq!(reasons(&kept, 1).await, [None]);
        kept.stop().await;
        let kept = Kept::start_again(path(), 2).await;
        assert_eq!(reasons(&kept, 2).await, [None, Some("stopped".to_owned())]);
        kept.journal.set(None);
        kept.told(Kind::Missed, 1).await;
        kept.stop().await;
        let kept = Kept::start_again(path(), 3).await;
        assert_eq!(reasons(&kept, 3).await[2], None, "how it went on is not written");
        kept.stop().await;

        // As one that is killed leaves it.
        let now = Time::from(SystemTime::now());
        let (mut writer, _) = Writer::open(&folder.path("journal"), SETTINGS, now).unwrap();
        let mut batch = writer.batch();
        batch.push(now, &Note::of(Kind::Reloaded));
        assert!(writer.append(batch, now, || []).is_none());
        drop(writer);
        let kept = Kept::start_again(path(), 4).await;
        assert_eq!(reasons(&kept, 4).await[3].as_deref(), Some("killed"));
        let started = kept.told(Kind::Started, 4).await;
        assert!(detail(&started[3]).ends_with("it was killed, or the machine failed"), "{started:?}");
        kept.stop().await;
    });
}

#[test]
fn a_start_that_the_disk_did_not_take_is_written_when_it_does() {
    leak_checked(async || {
        let folder = Folder::new();
        // No folder can be there.
        let path = folder.write("journal", "");
        let kept = Kept::start(Some(path.clone())).await;
        kept.says(&["a:1"]).await;
        let started = kept.told(Kind::Started, 1).await;
        std::fs::remove_file(&path).unwrap();
        let missed = kept.told(Kind::Missed, 1).await;
        assert!(detail(&missed[0]).starts_with("the disk could not be used: "), "{missed:?}");
        let added = kept.told(Kind::Added, 1).await;
        assert_eq!(reasons(&added), ["caught_up"]);
        let written = kept.told(Kind::Started, 1).await;
        assert_eq!(written[0].time, started[0].time);
        assert!(written[0].number < missed[0].number && missed[0].number < added[0].number);
        kept.stop().await;
    });
}

#[test]
fn a_clock_that_is_set_back_is_told_and_the_roster_of_now_is_that_of_now() {
    leak_checked(async || {
        let kept = Kept::start(None).await;
        kept.says(&["a:1"]).await;
        kept.told(Kind::Added, 1).await;
        let ahead = Time::from(SystemTime::now()).after(Duration::from_secs(1 << 30));
        let node = Note {
            job: Some("one".into()),
            labels: Some([("instance", "b:1")].into_iter().collect()),
            ..Note::of(Kind::Added)
        };
        kept.journal.notes.send((ahead, node)).await.unwrap();
        let told = kept.told(Kind::Clock, 1).await;
        assert!(detail(&told[0]).ends_with(&format!("was at {ahead} before")), "{told:?}");
        let turn = kept.journal.rebuild().await.unwrap();
        let past = turn.roster(Some(told[0].time), |_, _| true, |past| (past.len(), past.is_whole)).await.unwrap();
        assert_eq!(past, (2, true), "with what happened while it was ahead");
        drop(turn);
        kept.stop().await;
    });
}

#[test]
fn times_follow_the_order_also_of_what_waited_while_something_else_was_taken() {
    leak_checked(async || {
        let kept = Kept::start(None).await;
        kept.says(&["a:1"]).await;
        let added = kept.told(Kind::Added, 1).await;
        let before = added[0].time.before(Duration::from_millis(300));
        kept.journal.notes.send((before, Note::of(Kind::Reloaded))).await.unwrap();
        let reloaded = kept.told(Kind::Reloaded, 1).await;
        assert!(added[0].number < reloaded[0].number);
        assert_eq!(reloaded[0].time, added[0].time);
        kept.told(Kind::Clock, 0).await;
        kept.stop().await;
    });
}

#[test]
fn what_is_too_old_goes_though_nothing_happens() {
    leak_checked(async || {
        let folder = Folder::new();
        let path = folder.path("journal");
        let old = Time::from(SystemTime::now()).before(SETTINGS.retention * 3);
        // Until now more was kept.
        let more = Settings { retention: SETTINGS.retention * 100, ..SETTINGS };
        let (mut writer, _) = Writer::open(&path, more, old).unwrap();
        let step = SETTINGS.retention / 16;
        for index in 0..48 {
            let now = old.after(step * index);
            assert!(writer.begin(now, || []).is_none());
            let mut batch = writer.batch();
            batch.push(now, &Note::of(Kind::Reloaded));
            assert!(writer.append(batch, now, || []).is_none());
        }
        writer.close();
        let files = || std::fs::read_dir(&path).unwrap().count();
        assert!(files() > 48);
        let kept = Kept::start(Some(path.clone())).await;
        eventually_ok(patience(), "what is too old is gone", async || match files() {
            ..22 => Ok(()),
            many => Err(format!("{many} files")),
        })
        .await;
        kept.stop().await;
    });
}

#[test]
fn rosters_of_the_past_are_made_in_turn() {
    leak_checked(async || {
        let kept = Kept::start(None).await;
        kept.says(&["a:1"]).await;
        kept.told(Kind::Added, 1).await;
        let [one, two] = [kept.journal.rebuild().await.unwrap(), kept.journal.rebuild().await.unwrap()];
        let asked = kept.journal.clone();
        let waiting = asked.rebuild();
        tokio::pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        // Both rosters of a difference.
        for _ in 0..2 {
            assert_eq!(one.roster(None, |_, _| true, |past| past.len()).await.unwrap(), 1);
        }
        assert!((&mut waiting).now_or_never().is_none());
        drop(two);
        assert!(waiting.await.is_ok());
        kept.stop().await;
    });
}
