//! Keeps the engine in step with configuration and roster: level-triggered, in proportion to what changed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::Labels;
use rosterd_scrape::{Change, Engine, Job};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::roster::pages::{Difference, Pages};
use crate::roster::view::{JobView, NotServable, RosterView};

/// The jobs to scrape, by name; `None` as long as the configuration is not known.
pub(crate) type Wanted = Option<Arc<BTreeMap<Arc<str>, Arc<Job>>>>;

/// A job as the engine knows it.
struct Known {
    job: Arc<Job>,
    pages: Pages,
    too_many: Option<(usize, usize)>,
    providers: Vec<ProviderKey>,
    /// Targets of providers that a reload replaced. They are scraped until the new ones have reported: not known yet is
    /// not gone.
    held: HashSet<Labels>,
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
                let known = known.entry(Arc::clone(name)).or_insert_with(|| Known::new(job));
                if let Some(change) = known.follow(job, view) {
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

impl Known {
    /// Nothing of it is known.
    fn new(job: &Arc<Job>) -> Self {
        Self {
            job: Arc::clone(job),
            pages: Pages::default(),
            too_many: None,
            providers: Vec::new(),
            held: HashSet::new(),
        }
    }

    /// Goes on to what is wanted now; returns what the engine has to be told, if anything.
    fn follow(&mut self, job: &Arc<Job>, view: &JobView) -> Option<Change> {
        let too_many = match view.within_limit() {
            Err(NotServable::TargetLimit { targets, limit, .. }) => Some((targets, limit)),
            Err(NotServable::Unsynced { .. }) | Ok(()) => None,
        };
        let Difference { mut added, mut removed } = view.pages().since(&self.pages);
        self.hold(view, &mut added, &mut removed);
        let same = Arc::ptr_eq(&self.job, job) && self.too_many == too_many;
        self.job = Arc::clone(job);
        self.pages = view.pages().clone();
        self.too_many = too_many;
        let nothing = same && added.is_empty() && removed.is_empty();
        (!nothing).then(|| Change { job: Arc::clone(job), too_many, removed, added })
    }

    /// Holds removals back that come with other providers, until these have reported.
    fn hold(&mut self, view: &JobView, added: &mut Vec<Labels>, removed: &mut Vec<Labels>) {
        let providers = view.providers().iter().map(|(key, _)| key);
        let replaced = !self.providers.iter().eq(providers.clone());
        if replaced {
            self.providers = providers.cloned().collect();
        }
        let unsynced = !view.unsynced().is_empty();
        if unsynced && replaced {
            self.held.extend(removed.drain(..));
        }
        if !self.held.is_empty() {
            added.retain(|labels| !self.held.remove(labels));
            if !unsynced {
                removed.extend(self.held.drain());
            }
        }
    }
}
