//! That targets are held for another reason than the journal knew: after a restart, and where it fell behind.

use std::sync::Arc;
use std::time::Duration;

use rosterd_journal::{Event, Kind, Query, Settings, Time, Writer};
use rosterd_testkit::{Folder, leak_checked};

use super::late::{Kept, job};
use crate::journal::disk::{Disk, Roster as Views};
use crate::journal::metrics::Metrics;
use crate::roster::brake::{Brake, Confirm};
use crate::roster::{JobSpec, Keeping, RosterHandle};
use crate::store::MemoryBlocks;

pub(super) const BRAKED: Keeping = Keeping {
    brake: Some(Brake { share: 0.5, min_targets: 1, window: Duration::from_secs(600), confirm: Confirm::Never }),
    grace: Duration::from_secs(3600),
};
const GRACIOUS: Keeping = Keeping { brake: None, ..BRAKED };
const KINDS: [Kind; 2] = [Kind::Held, Kind::Brake];
const STOPPED: &str = "started - stopped";
const HELD: [&str; 3] = ["brake - braked", "held a:1 braked", "held b:1 braked"];

async fn keep(kept: &Kept, keeping: Keeping) {
    kept.roster.set_jobs(vec![JobSpec { keeping, ..job() }], Duration::from_secs(300)).await;
}

/// A job of which both targets are braked.
async fn braked(folder: &Folder, stored: &MemoryBlocks) -> Kept {
    let kept = Kept::start_with(&folder.path("journal"), stored.clone());
    keep(&kept, BRAKED).await;
    kept.tells(&[Kind::Started], &["started - -"]).await;
    kept.report(&["a:1", "b:1"]).await;
    kept.report(&[]).await;
    kept.tells(&KINDS, &HELD).await;
    kept
}

#[test]
fn a_start_with_other_settings_tells_for_what_targets_are_held_now() {
    leak_checked(|| async {
        let (folder, stored) = (Folder::new(), MemoryBlocks::new());
        braked(&folder, &stored).await.stop().await;
        // As before: nothing is told anew.
        let kept = Kept::start_with(&folder.path("journal"), stored.clone());
        keep(&kept, BRAKED).await;
        kept.tells(&[Kind::Started], &["started - -", STOPPED]).await;
        kept.tells(&KINDS, &HELD).await;
        kept.stop().await;
        let kept = Kept::start_with(&folder.path("journal"), stored.clone());
        keep(&kept, GRACIOUS).await;
        let grace = [
            "brake - braked",
            "brake - restart",
            "held a:1 braked",
            "held a:1 grace",
            "held b:1 braked",
            "held b:1 grace",
        ];
        kept.tells(&KINDS, &grace).await;
        kept.stop().await;
        // Nor is it then.
        let kept = Kept::start_with(&folder.path("journal"), stored);
        keep(&kept, GRACIOUS).await;
        kept.tells(&[Kind::Started], &["started - -", STOPPED, STOPPED, STOPPED]).await;
        kept.tells(&KINDS, &grace).await;
        kept.stop().await;
    });
}

#[test]
fn a_start_tells_what_was_in_its_time_of_grace_and_is_not_any_more() {
    leak_checked(|| async {
        let none = Keeping { grace: Duration::ZERO, ..GRACIOUS };
        let other = JobSpec { name: "two".into(), keeping: GRACIOUS, ..job() };
        for jobs in [vec![JobSpec { keeping: none, ..job() }], vec![other]] {
            let (folder, stored) = (Folder::new(), MemoryBlocks::new());
            let kept = braked(&folder, &stored).await;
            keep(&kept, GRACIOUS).await;
            kept.tells(&[Kind::Brake], &["brake - braked", "brake - configuration"]).await;
            kept.stop().await;
            let kept = Kept::start_with(&folder.path("journal"), stored);
            kept.roster.set_jobs(jobs, Duration::from_secs(300)).await;
            kept.tells(&[Kind::Removed], &["removed a:1 restart", "removed b:1 restart"]).await;
            let ended = "2 targets were in their time of grace, and not any more: found so when rosterd started";
            assert_eq!(kept.details(Kind::Brake).await[2..], [ended]);
            kept.stop().await;
        }
    });
}

#[test]
fn a_reload_tells_what_it_does_not_brake_any_more_and_until_when_that_stays() {
    leak_checked(|| async {
        let folder = Folder::new();
        let kept = braked(&folder, &MemoryBlocks::new()).await;
        keep(&kept, GRACIOUS).await;
        let grace = [
            "brake - braked",
            "brake - configuration",
            "held a:1 braked",
            "held a:1 grace",
            "held b:1 braked",
            "held b:1 grace",
        ];
        kept.tells(&KINDS, &grace).await;
        let details = kept.details(Kind::Brake).await;
        assert!(
            details[1].starts_with("the configuration does not hold 2 targets any more; they stay until 2"),
            "{details:?}"
        );
        assert!(details[1].ends_with("Z at most, for target_removal_grace"), "{details:?}");
        kept.stop().await;
    });
}

fn views(roster: &RosterHandle) -> Views {
    roster.view().jobs().map(|job| (Arc::clone(&job.spec().name), Arc::clone(job))).collect()
}

#[test]
fn a_journal_that_fell_behind_tells_for_what_targets_are_held_now() {
    leak_checked(|| async {
        let folder = Folder::new();
        let kept = braked(&folder, &MemoryBlocks::new()).await;
        let before = views(&kept.roster);
        keep(&kept, GRACIOUS).await;
        let now = views(&kept.roster);
        let told = |before: &Views, now: &Views| {
            let settings = Settings { retention: Duration::from_secs(3600), max_size: 1 << 24 };
            let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
            let mut disk = Disk::new(Writer::in_memory(settings, Time(0)), Default::default(), metrics);
            disk.catch_up(before, now, "caught_up");
            disk.flush(now);
            let page = disk.writer.reader().query(&Query { limit: 100, ..Query::default() }).unwrap();
            let words = |Event { note, .. }: &Event| {
                let instance = note.labels.as_ref().and_then(|labels| labels.get("instance")).unwrap_or("-");
                let (reason, detail) = (note.reason.as_deref().unwrap_or("-"), note.detail.as_deref().unwrap_or("-"));
                format!("{} {instance} {reason}: {detail}", note.kind.as_str())
            };
            let mut told: Vec<_> = page.events.iter().map(words).collect();
            told.sort();
            told
        };
        let found = "found so when the journal went on";
        let ended = format!("brake - caught_up: 2 targets were braked, and not any more: {found}");
        let held = ["a:1", "b:1"].map(|instance| format!("held {instance} grace: {found}"));
        assert_eq!(told(&before, &now), [vec![ended.clone()], held.to_vec()].concat());
        assert_eq!((told(&now, &now), told(&before, &before)), (vec![], vec![]));
        let gone = ["a:1", "b:1"].map(|instance| format!("removed {instance} caught_up: -"));
        assert_eq!(told(&before, &Views::new()), [vec![ended], gone.to_vec()].concat());
        kept.stop().await;
    });
}
