//! Targets that were down when the process before ended.

use std::time::Duration;

use rosterd_journal::{Kind, Note};
use rosterd_testkit::{Folder, eventually_ok, leak_checked, patience};

use super::late::{Kept, job};
use crate::store::MemoryBlocks;

#[test]
fn that_a_target_is_down_still_is_no_news_and_that_it_is_up_is() {
    leak_checked(|| async {
        let (folder, stored) = (Folder::new(), MemoryBlocks::new());
        let begin = async || {
            let kept = Kept::start_with(&folder.path("journal"), stored.clone());
            kept.roster.set_jobs(vec![job()], Duration::from_secs(300)).await;
            kept
        };
        let kept = begin().await;
        kept.report(&["a:1", "b:1", "c:1", "d:1"]).await;
        let view = kept.roster.view();
        let mut targets: Vec<_> = view.job("one").unwrap().targets().map(|slot| slot.labels.clone()).collect();
        targets.sort();
        let [a, b, c, d] = &targets[..] else { panic!("{targets:?}") };
        for labels in [a, b, d] {
            let (job, labels) = (Some("one".into()), Some(labels.clone()));
            kept.journal.note(Note { job, labels, ..Note::of(Kind::Down) });
        }
        kept.tells(&[Kind::Down], &["down a:1 -", "down b:1 -", "down d:1 -"]).await;
        kept.stop().await;

        let kept = begin().await;
        kept.report(&["a:1", "b:1", "c:1"]).await;
        // Before the journal goes on or after that.
        eventually_ok(
            patience(),
            "it is told that one is gone",
            async || match &kept.told(&[Kind::Removed]).await[..] {
                [gone] if gone.starts_with("removed d:1 ") => Ok(()),
                others => Err(format!("{others:?}")),
            },
        )
        .await;
        let is_news = |target: &rosterd_model::Labels, is_down| {
            let fingerprint = target.fingerprint();
            kept.journal.is_news("one", fingerprint, is_down)
        };
        assert_eq!((is_news(a, true), is_news(b, false)), (false, true));
        assert_eq!((is_news(c, true), is_news(c, false)), (true, false));
        assert_eq!((is_news(d, true), is_news(a, true)), (true, true), "they come as others");
        kept.stop().await;
    });
}
