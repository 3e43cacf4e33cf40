//! What the journal says where it knows targets that the store has lost.

use std::path::PathBuf;
use std::time::Duration;

use rosterd_journal::Kind;
use rosterd_testkit::{Folder, leak_checked};

use super::held::BRAKED;
use super::late::{Kept, job};
use crate::roster::JobSpec;
use crate::store::{Loss, MemoryBlocks};

#[test]
fn targets_that_went_with_a_damaged_store_say_so_and_that_nothing_holds_them() {
    leak_checked(|| async {
        let folder = Folder::new();
        let grace = Duration::from_secs(300);
        let one = || JobSpec { keeping: BRAKED, ..job() };
        let kept = Kept::start_with(&folder.path("journal"), MemoryBlocks::new());
        kept.roster.set_jobs(vec![one(), JobSpec { name: "two".into(), ..one() }], grace).await;
        kept.report(&["a:1", "b:1", "c:1"]).await;
        kept.tells(
            &[Kind::Added],
            &["added a:1 source", "added b:1 source", "added c:1 source"].map(|it| [it; 2]).concat(),
        )
        .await;
        kept.stop().await;

        let moved_to = PathBuf::from("/somewhere/roster.redb.corrupt-1");
        let kept = Kept::start_without(&folder.path("journal"), Loss::MovedTo(moved_to));
        kept.roster.set_jobs(vec![one()], grace).await;
        let gone = ["a:1", "b:1", "c:1"];
        let of = |reason: &'static str| gone.map(|target| format!("removed {target} {reason}"));
        let mut removed = [of("damaged"), of("restart")].concat();
        removed.sort();
        kept.tells(&[Kind::Removed], &removed.iter().map(String::as_str).collect::<Vec<_>>()).await;
        kept.tells(&[Kind::Damaged], &["damaged - -"]).await;
        kept.report(&["b:1"]).await;
        kept.tells(&[Kind::Damaged], &["damaged - -"; 2]).await;
        let details = kept.details(Kind::Damaged).await;
        assert!(details[0].contains("moved to /somewhere/roster.redb.corrupt-1"), "{details:?}");
        assert!(details[1].starts_with("3 targets before, and 1 now"), "{details:?}");
        kept.report(&["a:1", "b:1"]).await;
        kept.stop().await;
    });
}

#[test]
fn as_many_targets_as_before_a_store_was_damaged_are_no_warning() {
    leak_checked(|| async {
        let folder = Folder::new();
        let kept = Kept::start_with(&folder.path("journal"), MemoryBlocks::new());
        kept.roster.set_jobs(vec![JobSpec { keeping: BRAKED, ..job() }], Duration::from_secs(300)).await;
        kept.report(&["a:1", "b:1"]).await;
        kept.tells(&[Kind::Added], &["added a:1 source", "added b:1 source"]).await;
        kept.stop().await;
        let kept = Kept::start_without(&folder.path("journal"), Loss::MovedTo("x".into()));
        kept.roster.set_jobs(vec![JobSpec { keeping: BRAKED, ..job() }], Duration::from_secs(300)).await;
        kept.report(&["b:1", "c:1"]).await;
        let added = ["added a:1 source", "added b:1 source", "added b:1 source", "added c:1 source"];
        kept.tells(&[Kind::Added], &added).await;
        kept.tells(&[Kind::Damaged], &["damaged - -"]).await;
        kept.stop().await;
    });
}

#[test]
fn a_store_that_is_not_there_is_told_where_the_journal_knows_targets_and_not_at_the_first_start() {
    leak_checked(|| async {
        let folder = Folder::new();
        let grace = Duration::from_secs(300);
        let kept = Kept::start_without(&folder.path("journal"), Loss::Missing);
        kept.roster.set_jobs(vec![JobSpec { keeping: BRAKED, ..job() }], grace).await;
        kept.report(&["a:1", "b:1", "c:1"]).await;
        kept.tells(&[Kind::Added], &["added a:1 source", "added b:1 source", "added c:1 source"]).await;
        kept.tells(&[Kind::Damaged], &[]).await;
        kept.stop().await;

        let kept = Kept::start_without(&folder.path("journal"), Loss::Missing);
        kept.roster.set_jobs(vec![JobSpec { keeping: BRAKED, ..job() }], grace).await;
        let removed = ["removed a:1 damaged", "removed b:1 damaged", "removed c:1 damaged"];
        kept.tells(&[Kind::Removed], &removed).await;
        kept.report(&["b:1"]).await;
        kept.tells(&[Kind::Damaged], &["damaged - -"; 2]).await;
        let details = kept.details(Kind::Damaged).await;
        assert!(details[0].starts_with("what was stored of targets is not there any more: "), "{details:?}");
        assert!(details[1].starts_with("3 targets before, and 1 now"), "{details:?}");
        kept.stop().await;
    });
}
