//! Keeps the engine in step with configuration and roster: what a step changed is told to it, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_model::Labels;
use rosterd_scrape::{Change, Engine, Job};
use rosterd_tasks::{Turns, blocking, by_size};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::scraped::ToScrape;
use crate::cluster::Share;
use crate::roster::pages::Pages;
use crate::roster::step::{Difference, JobStep, RosterNews, SourceStep, Step, Steps};
use crate::roster::view::{JobView, NotServable, RosterView};

/// What to scrape; `None` as long as the configuration is not known.
pub(crate) type Wanted = Option<Arc<ToScrape>>;

/// Brings the engine to what is wanted, whenever that changes, until stopped.
pub(crate) async fn follow(
    engine: Engine,
    mut wanted: watch::Receiver<Wanted>,
    mut steps: Steps,
    stop: CancellationToken,
) {
    let mut follower = Follower {
        engine,
        jobs: BTreeMap::new(),
        share: Share::default(),
        roster: BTreeMap::new(),
        outdated: Outdated::default(),
    };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                let wanted = wanted.borrow_and_update().clone().unwrap_or_default();
                follower.set_share(&wanted.share).await;
                follower.set_jobs(&wanted.jobs).await;
                follower.let_go(None).await;
            }
            news = steps.next() => match news {
                Some(RosterNews::Picture(view)) => {
                    follower.take_picture(&view).await;
                    follower.let_go(None).await;
                }
                Some(RosterNews::Step(step)) => {
                    for step in &step.jobs {
                        follower.take(step).await;
                    }
                    follower.let_go(Some(step)).await;
                }
                None => return,
            }
        }
    }
}

struct Follower {
    engine: Engine,
    /// The jobs that the engine scrapes, and the targets that it knows of them.
    jobs: BTreeMap<Arc<str>, Known>,
    /// Which targets are scraped.
    share: Share,
    /// The roster as of the last news.
    roster: BTreeMap<Arc<str>, Arc<JobView>>,
    outdated: Outdated,
}

/// What was replaced by the news. Whoever lets go of many targets last frees them one by one.
#[derive(Default)]
struct Outdated {
    views: Vec<Arc<JobView>>,
    targets: Vec<Pages>,
}

/// A job as the engine knows it.
struct Known {
    job: Arc<Job>,
    /// Of these, those of the share are told.
    targets: Pages,
    share: Share,
    too_many: Option<(usize, usize)>,
}

impl Follower {
    /// Lets go of the targets that others have now, and takes those that others had.
    async fn set_share(&mut self, share: &Share) {
        if self.share == *share {
            return;
        }
        self.share = share.clone();
        for known in self.jobs.values_mut() {
            known.set_share(&self.engine, share).await;
        }
    }

    async fn set_jobs(&mut self, wanted: &BTreeMap<Arc<str>, Arc<Job>>) {
        for (_, known) in self.jobs.extract_if(.., |name, _| !wanted.contains_key(name)) {
            self.engine.remove_job(&known.job).await;
            self.outdated.targets.push(known.targets);
        }
        for (name, job) in wanted {
            let known = self.jobs.entry(Arc::clone(name)).or_insert_with(|| Known::new(job, &self.share));
            let other = !Arc::ptr_eq(&known.job, job);
            known.job = Arc::clone(job);
            if let Some(view) = self.roster.get(name) {
                self.outdated.targets.push(known.compare(&self.engine, view, other).await);
            }
        }
    }

    /// Lets go of what the news have replaced, and of a step.
    async fn let_go(&mut self, step: Option<Arc<Step>>) {
        let outdated = std::mem::take(&mut self.outdated);
        match step {
            Some(step) => step.let_go(outdated).await,
            None => blocking(move || drop(outdated)).await,
        }
    }

    /// Compares what the engine knows with all there is.
    async fn take_picture(&mut self, view: &RosterView) {
        let roster = view.jobs().map(|job| (Arc::clone(&job.spec().name), Arc::clone(job))).collect();
        self.outdated.views.extend(std::mem::replace(&mut self.roster, roster).into_values());
        for (name, known) in &mut self.jobs {
            if let Some(view) = self.roster.get(name) {
                self.outdated.targets.push(known.compare(&self.engine, view, false).await);
            }
        }
    }

    /// Passes on what a step changed in a job. A job that is gone from the roster goes with the configuration.
    async fn take(&mut self, step: &JobStep) {
        let Some(view) = &step.view else {
            self.outdated.views.extend(self.roster.remove(&step.name));
            return;
        };
        let before = self.roster.insert(Arc::clone(&step.name), Arc::clone(view));
        let is_new = before.is_none();
        self.outdated.views.extend(before);
        let Some(known) = self.jobs.get_mut(&step.name) else { return };
        let targets = if is_new {
            // The engine may still know targets of a job with this name that was there before.
            known.compare(&self.engine, view, false).await
        } else {
            let (removed, added) = labels(&step.sources).await;
            known.tell(&self.engine, view, removed, added, false).await
        };
        self.outdated.targets.push(targets);
    }
}

/// The targets that went, and those that came.
async fn labels(sources: &[SourceStep]) -> (Vec<Labels>, Vec<Labels>) {
    // Room that is not used costs nothing, and one that grows is moved.
    let most = sources.iter().map(|source| source.differences.len()).sum();
    let (mut removed, mut added, mut turns) = (Vec::with_capacity(most), Vec::with_capacity(most), Turns::default());
    for difference in sources.iter().flat_map(|source| &source.differences) {
        turns.next().await;
        match difference {
            Difference::Added(labels) => added.push(labels.clone()),
            Difference::Removed(labels) => removed.push(labels.clone()),
            Difference::Changed { from, to } => {
                removed.push(from.clone());
                added.push(to.clone());
            }
            // Held or not, it is scraped.
            Difference::Held(..) | Difference::Released(_) => {}
        }
    }
    (removed, added)
}

impl Known {
    /// Nothing of it is known.
    fn new(job: &Arc<Job>, share: &Share) -> Self {
        Self { job: Arc::clone(job), targets: Pages::default(), share: share.clone(), too_many: None }
    }

    /// Tells the engine which targets are another one's now, and which are not any more.
    async fn set_share(&mut self, engine: &Engine, share: &Share) {
        let before = std::mem::replace(&mut self.share, share.clone());
        let (now, targets, name) = (share.clone(), self.targets.clone(), Arc::clone(&self.job.name));
        let moved = move || {
            let labels = targets.iter().flat_map(|page| page.labels());
            let moved = labels.filter(|labels| before.has(&name, labels) != now.has(&name, labels)).cloned();
            moved.partition(|labels| now.has(&name, labels))
        };
        let (added, moved): (Vec<_>, Vec<_>) = by_size(self.targets.len() * size_of::<Labels>(), moved).await;
        if !moved.is_empty() || !added.is_empty() {
            let unchanged = Change::of(Arc::clone(&self.job));
            engine.change(Change { too_many: self.too_many, moved, added, ..unchanged }).await;
        }
    }

    /// Tells the engine what differs from a picture. Returns the targets that were known before.
    async fn compare(&mut self, engine: &Engine, view: &JobView, other: bool) -> Pages {
        let (now, before) = (view.pages().clone(), self.targets.clone());
        let compared = (now.len() + before.len()) * size_of::<Labels>();
        let difference = by_size(compared, move || now.since(&before)).await;
        self.tell(engine, view, difference.removed, difference.added, other).await
    }

    /// Tells the engine what changed, if anything did; `other` says that the job did. Returns the targets that were known
    /// before.
    async fn tell(
        &mut self,
        engine: &Engine,
        view: &JobView,
        mut removed: Vec<Labels>,
        mut added: Vec<Labels>,
        other: bool,
    ) -> Pages {
        for labels in [&mut removed, &mut added] {
            labels.retain(|labels| self.share.has(&self.job.name, labels));
        }
        let too_many = match view.within_limit() {
            Err(NotServable::TargetLimit { targets, limit, .. }) => Some((targets, limit)),
            Err(NotServable::Unsynced { .. }) | Ok(()) => None,
        };
        let targets = std::mem::replace(&mut self.targets, view.pages().clone());
        let same_limit = std::mem::replace(&mut self.too_many, too_many) == too_many;
        if other || !same_limit || !removed.is_empty() || !added.is_empty() {
            engine.change(Change { too_many, removed, added, ..Change::of(Arc::clone(&self.job)) }).await;
        }
        targets
    }
}

#[cfg(test)]
mod tests;
