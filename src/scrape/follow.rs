//! Keeps the engine in step with configuration and roster: level-triggered, in proportion to what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_scrape::{Change, Engine, Job};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::diff::{Difference, difference};
use crate::roster::pages::Page;
use crate::roster::view::{JobView, NotServable, RosterView};

/// The jobs to scrape, by name; `None` as long as the configuration is not known.
pub(crate) type Wanted = Option<Arc<BTreeMap<Arc<str>, Arc<Job>>>>;

/// A job as the engine knows it.
struct Known {
    job: Arc<Job>,
    pages: Vec<Arc<Page>>,
    too_many: Option<(usize, usize)>,
}

/// Brings the engine to what is wanted, whenever that changes, until stopped.
pub(crate) async fn follow(
    engine: Engine,
    mut wanted: watch::Receiver<Wanted>,
    mut roster: watch::Receiver<Arc<RosterView>>,
    stop: CancellationToken,
) {
    let mut known: BTreeMap<Arc<str>, Known> = BTreeMap::new();
    loop {
        let jobs = wanted.borrow_and_update().clone();
        let view = Arc::clone(&roster.borrow_and_update());
        if let Some(jobs) = jobs {
            let gone: Vec<_> = known.keys().filter(|name| !jobs.contains_key(*name)).cloned().collect();
            for known in gone.iter().filter_map(|name| known.remove(name)) {
                engine.remove_job(&known.job).await;
            }
            for (name, job) in jobs.iter() {
                let Some(view) = view.job(name) else { continue };
                let before = known.get(name);
                if let Some(change) = change(before, job, view) {
                    known.insert(
                        Arc::clone(name),
                        Known { job: Arc::clone(job), pages: view.pages().to_vec(), too_many: change.too_many },
                    );
                    engine.change(change).await;
                }
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
            changed = roster.changed() => if changed.is_err() { return },
        }
    }
}

/// What the engine has to be told of a job, if anything.
fn change(known: Option<&Known>, job: &Arc<Job>, view: &JobView) -> Option<Change> {
    let too_many = match view.within_limit() {
        Err(NotServable::TargetLimit { targets, limit, .. }) => Some((targets, limit)),
        Err(NotServable::Unsynced { .. }) | Ok(()) => None,
    };
    let Difference { added, removed } = difference(known.map_or(&[], |known| &known.pages), view.pages());
    let same = known.is_some_and(|known| Arc::ptr_eq(&known.job, job) && known.too_many == too_many);
    if same && added.is_empty() && removed.is_empty() {
        return None;
    }
    Some(Change { job: Arc::clone(job), too_many, removed, added })
}
