//! The journal over restarts: whatever happened, it leads to what the roster shows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rosterd::journal::metrics::Metrics;
use rosterd::journal::{Event, Journal, JournalHandle, Kind, Query, Settings};
use rosterd::roster::RosterHandle;
use rosterd::roster::hold::HoldReason;
use rosterd::roster::holding::Holding;
use rosterd::roster::view::RosterView;
use rosterd_tasks::Stopper;

use crate::follow::{Told, shown};

/// A journal at work.
#[derive(Debug)]
pub(crate) struct History(JournalHandle);

impl History {
    pub(crate) fn start(work: &Stopper, roster: &RosterHandle, folder: PathBuf) -> Self {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let settings = Settings { retention: Duration::from_secs(1 << 30), max_size: 1 << 30 };
        Self(Journal::start(work, roster, Some(folder), Some(settings), Arc::new(Vec::new), None, metrics))
    }

    /// What it knows of the roster is what a view shows.
    pub(crate) async fn compare(&self, view: &RosterView, after: &str) {
        if view.step() == 0 {
            return;
        }
        let rebuild = self.0.rebuild().await.unwrap();
        let told = rebuild.roster(
            None,
            |_, _| true,
            |past| {
                let (mut told, mut held) = (Told::new(), Vec::new());
                for (job, labels, why) in past.iter() {
                    told.entry(Arc::clone(job)).or_default().insert(labels.clone(), why.is_some());
                    held.extend(why.map(|why| (Arc::clone(job), labels.clone(), why)));
                }
                (told, held, past.is_whole)
            },
        );
        let mut shown = shown(view);
        shown.retain(|_, targets| !targets.is_empty());
        let (told, held, is_whole) = told.await.unwrap();
        assert_eq!((told, is_whole), (shown, true), "what the journal tells after {after}");
        for (job, labels, why) in held {
            let job = view.job(&job).expect("it is shown");
            let slot = job.slot(&labels).expect("it is shown");
            let reasons: Vec<_> = Holding::of(job).why(slot).iter().map(HoldReason::as_str).collect();
            assert!(reasons.contains(&why.as_str()), "{labels} is held {reasons:?}, and told as {why:?} after {after}");
        }
    }

    /// All that it tells of a kind, the oldest first.
    pub(crate) async fn events(&self, kind: Kind) -> Vec<Event> {
        let query = Query { kinds: vec![kind], limit: usize::MAX, ..Query::default() };
        self.0.query(query).await.unwrap().events
    }
}
