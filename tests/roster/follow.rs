//! A reader of steps: what it puts together of them has to be what the roster shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use rosterd::roster::RosterHandle;
use rosterd::roster::step::{Difference, RosterNews, Steps};
use rosterd::roster::view::{JobView, RosterView};
use rosterd_model::Labels;

/// The targets of each job, and whether each is held.
pub(crate) type Told = BTreeMap<Arc<str>, BTreeMap<Labels, bool>>;

/// What a view shows.
pub(crate) fn shown(view: &RosterView) -> Told {
    let targets = |job: &JobView| job.targets().map(|slot| (slot.labels.clone(), slot.is_held())).collect();
    view.jobs().map(|job| (Arc::clone(&job.spec().name), targets(job))).collect()
}

#[derive(Debug)]
pub(crate) struct Follower {
    steps: Steps,
    told: Told,
}

impl Follower {
    pub(crate) fn of(roster: &RosterHandle) -> Self {
        Self { steps: roster.steps(), told: Told::new() }
    }

    /// Takes all news there are, and returns what follows from all so far.
    pub(crate) fn catch_up(&mut self) -> &Told {
        while let Some(Some(news)) = self.steps.next().now_or_never() {
            match news {
                RosterNews::Picture(view) => self.told = shown(&view),
                RosterNews::Step(step) => {
                    for job in &step.jobs {
                        let targets = self.told.entry(Arc::clone(&job.name)).or_default();
                        job.sources.iter().flat_map(|source| &source.differences).for_each(|it| apply(targets, it));
                        if job.view.is_none() {
                            assert!(targets.is_empty(), "a job ended without its targets: {targets:?}");
                            self.told.remove(&job.name);
                        }
                    }
                }
            }
        }
        &self.told
    }
}

fn apply(targets: &mut BTreeMap<Labels, bool>, difference: &Difference) {
    match difference {
        Difference::Added(labels) => assert_eq!(targets.insert(labels.clone(), false), None, "{difference:?}"),
        Difference::Removed(labels) => assert!(targets.remove(labels).is_some(), "{difference:?}"),
        Difference::Changed { from, to } => {
            assert!(targets.remove(from).is_some(), "{difference:?}");
            assert_eq!(targets.insert(to.clone(), false), None, "{difference:?}");
        }
        Difference::Held(labels) => assert_ne!(targets.insert(labels.clone(), true), Some(true), "{difference:?}"),
        Difference::Released(labels) => assert_eq!(targets.insert(labels.clone(), false), Some(true), "{difference:?}"),
    }
}
