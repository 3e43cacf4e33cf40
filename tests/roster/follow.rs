//! A reader of steps: what it puts together of them has to be what the roster shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use rosterd::roster::RosterHandle;
use rosterd::roster::hold::HoldReason;
use rosterd::roster::step::{BrakeStep, Difference, JobStep, Reason, RosterNews, Step, Steps};
use rosterd::roster::view::{JobView, RosterView};
use rosterd_model::Labels;

/// The targets of each job, and whether each is held.
pub(crate) type Told = BTreeMap<Arc<str>, BTreeMap<Labels, bool>>;

/// What a view shows.
pub(crate) fn shown(view: &RosterView) -> Told {
    let targets = |job: &JobView| job.targets().map(|slot| (slot.labels.clone(), slot.is_held())).collect();
    view.jobs().map(|job| (Arc::clone(&job.spec().name), targets(job))).collect()
}

/// Why targets are held.
pub(crate) type Holds = BTreeMap<Labels, HoldReason>;

#[derive(Debug)]
pub(crate) struct Follower {
    steps: Steps,
    told: Told,
    /// How many targets of each job are braked.
    braked: BTreeMap<Arc<str>, usize>,
    /// Why targets are held, of those of which that was told since the last picture.
    holds: BTreeMap<Arc<str>, Holds>,
    /// What was told of each target since somebody looked, and why; `None` if that cannot be known.
    news: Option<Vec<TargetNews>>,
}

/// What was told of a target of a job, and why.
pub(crate) type TargetNews = (Arc<str>, Labels, Became, Reason);

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    Added,
    Removed,
    Held(HoldReason),
    Released,
}

impl Follower {
    pub(crate) fn of(roster: &RosterHandle) -> Self {
        let (steps, braked) = (roster.steps(), BTreeMap::new());
        Self { steps, told: Told::new(), braked, holds: BTreeMap::new(), news: None }
    }

    /// What was told of each target since this was last asked, if that is known.
    pub(crate) fn news(&mut self) -> Option<Vec<TargetNews>> {
        self.news.replace(Vec::new())
    }

    /// Why targets of a job are held, as far as that was told.
    pub(crate) fn holds(&self, job: &str) -> impl Iterator<Item = (&Labels, HoldReason)> {
        self.holds.get(job).into_iter().flatten().map(|(labels, why)| (labels, *why))
    }

    /// Takes all news there are, and returns what follows from all so far.
    pub(crate) fn catch_up(&mut self) -> &Told {
        while let Some(Some(news)) = self.steps.next().now_or_never() {
            match news {
                RosterNews::Picture(view) => {
                    (self.told, self.news) = (shown(&view), None);
                    self.holds.clear();
                    let braked = view.jobs().map(|job| (Arc::clone(&job.spec().name), braked_of(job)));
                    self.braked = braked.collect();
                }
                RosterNews::Step(step) => {
                    self.news.iter_mut().for_each(|news| news.extend(news_of(&step)));
                    for job in &step.jobs {
                        let braked = job.view.as_ref().map_or(0, |view| braked_of(view));
                        let before = self.braked.insert(Arc::clone(&job.name), braked).unwrap_or_default();
                        check_brakes(job, before, braked);
                        let targets = self.told.entry(Arc::clone(&job.name)).or_default();
                        let holds = self.holds.entry(Arc::clone(&job.name)).or_default();
                        let differences = job.sources.iter().flat_map(|source| &source.differences);
                        differences.for_each(|it| apply(targets, holds, it));
                        if job.view.is_none() {
                            assert!(targets.is_empty(), "a job ended without its targets: {targets:?}");
                            self.told.remove(&job.name);
                            self.braked.remove(&job.name);
                        }
                    }
                }
            }
        }
        &self.told
    }
}

fn braked_of(job: &JobView) -> usize {
    job.braked_of().values().sum()
}

/// What a step tells of the brake is what became of the targets that were braked, and of those that are.
fn check_brakes(job: &JobStep, before: usize, after: usize) {
    let (mut more, mut fewer, mut staying, mut returns) = (0, 0, 0, false);
    for brake in &job.brakes {
        match brake {
            BrakeStep::Braked { targets, .. } | BrakeStep::Again { targets, .. } => more += targets,
            BrakeStep::Confirmed(ended)
            | BrakeStep::Still(ended)
            | BrakeStep::Over { reason: HoldReason::Braked, ended }
            | BrakeStep::Configured { reason: HoldReason::Braked, ended } => {
                fewer += ended.targets;
                staying += ended.stay.map_or(0, |stay| stay.targets);
            }
            BrakeStep::Over { ended, .. } | BrakeStep::Configured { ended, .. } => assert_eq!(ended.stay, None),
            BrakeStep::Released { targets } => fewer += targets,
            BrakeStep::Returned => returns = true,
        }
    }
    let told = || format!("{before} were braked and {after} are, and it was told: {:?}", job.brakes);
    assert!(staying <= fewer, "{}", told());
    assert!(after + fewer <= before + more, "{}", told());
    // What was braked and is not is told, or its source says it again.
    let comes_back = job
        .sources
        .iter()
        .any(|source| source.differences.iter().any(|it| matches!(it, Difference::Released(_) | Difference::Held(..))));
    assert!(after + fewer == before + more || comes_back, "{}", told());
    assert!(before == 0 || after > 0 || fewer > 0 || returns, "nothing tells of the end: {}", told());
}

fn news_of(step: &Step) -> Vec<TargetNews> {
    let mut news = Vec::new();
    for (job, source) in step.jobs.iter().flat_map(|job| job.sources.iter().map(move |source| (job, source))) {
        let became = |difference: &Difference| match difference {
            Difference::Added(labels) => vec![(labels.clone(), Became::Added)],
            Difference::Removed(labels) => vec![(labels.clone(), Became::Removed)],
            Difference::Changed { from, to } => vec![(from.clone(), Became::Removed), (to.clone(), Became::Added)],
            Difference::Held(labels, why) => vec![(labels.clone(), Became::Held(*why))],
            Difference::Released(labels) => vec![(labels.clone(), Became::Released)],
        };
        let became = source.differences.iter().flat_map(became);
        news.extend(became.map(|(labels, became)| (Arc::clone(&job.name), labels, became, source.reason)));
    }
    news
}

fn apply(targets: &mut BTreeMap<Labels, bool>, holds: &mut Holds, difference: &Difference) {
    let (Difference::Added(labels)
    | Difference::Removed(labels)
    | Difference::Changed { from: labels, .. }
    | Difference::Held(labels, _)
    | Difference::Released(labels)) = difference;
    holds.remove(labels);
    match difference {
        Difference::Added(labels) => assert_eq!(targets.insert(labels.clone(), false), None, "{difference:?}"),
        Difference::Removed(labels) => assert!(targets.remove(labels).is_some(), "{difference:?}"),
        Difference::Changed { from, to } => {
            assert!(targets.remove(from).is_some(), "{difference:?}");
            assert_eq!(targets.insert(to.clone(), false), None, "{difference:?}");
        }
        Difference::Held(labels, why) => {
            // What was held for several reasons is told for one that is left, which may be the one that was told.
            assert!(targets.insert(labels.clone(), true).is_some(), "a target comes before it is held: {difference:?}");
            holds.insert(labels.clone(), *why);
        }
        Difference::Released(labels) => assert_eq!(targets.insert(labels.clone(), false), Some(true), "{difference:?}"),
    }
}
