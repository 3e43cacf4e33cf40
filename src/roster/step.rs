//! Steps: what each event changed, target by target, for readers that follow the roster.
//!
//! The owner tells steps in order. A reader that falls behind gets the whole picture instead of what it missed, so
//! nobody delays the roster and nobody misses anything. While nobody reads, no differences are worked out.

use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Labels, SourceId};
use rosterd_tasks::by_size;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::block::Block;
use super::hold::HoldReason;
use super::view::{JobView, RosterView};

/// How many steps a reader may be behind before it gets a picture.
const BEHIND: usize = 64;

/// One event, and what it changed.
#[derive(Debug)]
pub struct Step {
    /// Steps are numbered one by one.
    pub number: u64,
    /// The jobs that changed, by name.
    pub jobs: Vec<JobStep>,
}

impl Step {
    /// Lets go of a step, and of `others` with it. Whoever lets go of many targets last frees them one by one: aside, then.
    pub async fn let_go<T: Send + 'static>(self: Arc<Self>, others: T) {
        let changed: usize = self.jobs.iter().flat_map(|job| &job.sources).map(|source| source.differences.len()).sum();
        by_size(changed * size_of::<Difference>(), move || drop((self, others))).await;
    }
}

/// What a step changed in a job. Without differences something else changed: what is missing, limits.
#[derive(Debug)]
pub struct JobStep {
    /// Its name.
    pub name: Arc<str>,
    /// The job after the step; `None` when it is gone.
    pub view: Option<Arc<JobView>>,
    /// What changed, by source. The order tells nothing.
    pub sources: Vec<SourceStep>,
    /// Whether the step took the job above its `target_limit` or back: the reason for which all its targets are unusable
    /// or usable again.
    pub limit: Option<LimitStep>,
    /// What the step had to do with the brake, and with times of grace.
    pub brakes: Vec<BrakeStep>,
}

impl JobStep {
    /// What let go of those of its targets that were kept, as far as it was one thing: a step is one event.
    pub fn let_go_by(&self) -> Option<&BrakeStep> {
        let lets_go = |step: &&BrakeStep| match step {
            BrakeStep::Confirmed(_) | BrakeStep::Still(_) | BrakeStep::Over { .. } => true,
            BrakeStep::Configured { .. } | BrakeStep::Released { .. } => true,
            BrakeStep::Braked { .. } | BrakeStep::Again { .. } | BrakeStep::Returned => false,
        };
        self.brakes.iter().find(lets_go)
    }
}

/// What happened to targets of a job together that stay although their sources say that they are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrakeStep {
    /// So many are gone at once that they are held.
    Braked {
        /// Who said it.
        provider: ProviderKey,
        /// How many.
        targets: usize,
        /// Of how many.
        of: usize,
    },
    /// The job came back, and so many are held as they were before it was gone.
    Again {
        /// How many.
        targets: usize,
        /// Since when.
        since: SystemTime,
    },
    /// Another reading has confirmed that so many are gone.
    Confirmed(LetGo),
    /// Their watched source has not taken so many back for so long that it has confirmed that they are gone.
    Still(LetGo),
    /// The time is over for which so many were held.
    Over {
        /// Why they were.
        reason: HoldReason,
        /// How many.
        ended: LetGo,
    },
    /// The configuration does not hold so many any more: other settings, rules or providers, or the job is gone.
    Configured {
        /// Why they were held.
        reason: HoldReason,
        /// How many.
        ended: LetGo,
    },
    /// All that was braked has come back, or other targets have in its place.
    Returned,
    /// Somebody let go of so many.
    Released {
        /// How many.
        targets: usize,
    },
}

/// How many targets are not held any more for what they were held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LetGo {
    /// How many.
    pub targets: usize,
    /// Those of them that were braked, and go on in their time of grace, if any do.
    pub stay: Option<Stay>,
}

/// Targets that nothing brakes any more, and that stay for the rest of the `target_removal_grace` of their job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// How many.
    pub targets: usize,
    /// Until when, the last of them.
    pub until: SystemTime,
}

/// A job passed its `target_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitStep {
    /// It has more targets than that: none of them can be used.
    Exceeded {
        /// How many targets it has.
        targets: usize,
        /// Its limit.
        limit: usize,
    },
    /// It has no more targets than that any more.
    Kept,
}

/// What a step changed of the targets that come from one source.
#[derive(Debug)]
pub struct SourceStep {
    /// The provider.
    pub provider: ProviderKey,
    /// The source within it.
    pub source: SourceId,
    /// Why it changed.
    pub reason: Reason,
    /// Where the name of the source stands.
    pub named: Named,
    /// The differences; each target once, in whichever source.
    pub differences: Vec<Difference>,
}

/// Where the name of a source stands: in its groups, which are packed. Only who tells people of it has to look.
#[derive(Debug, Clone)]
pub struct Named {
    /// A block with a group of the source.
    pub block: Arc<Block>,
    /// Which of its groups that is.
    pub group: usize,
}

impl Named {
    pub(super) fn new(block: &Arc<Block>, group: usize) -> Self {
        Self { block: Arc::clone(block), group }
    }
}

/// Why targets changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The source says so.
    Source,
    /// The job's relabelling is another one.
    Rules,
    /// A reload gave the job other providers, or began or ended it.
    Reload,
    /// It was kept although its source did not say so any more, and is no longer: a second reading confirmed that, somebody
    /// released it, or its time was over.
    Over,
    /// It was kept like that, and another one came in its place.
    Replaced,
}

/// What happened to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It came.
    Added(Labels),
    /// It took the place of another one with the same address.
    Changed {
        /// The one before.
        from: Labels,
        /// The one now.
        to: Labels,
    },
    /// It went.
    Removed(Labels),
    /// It stays, or came, although its source does not say so now, and why; or it was held before for others, and is for this
    /// reason from now on.
    Held(Labels, HoldReason),
    /// Its source says so again.
    Released(Labels),
}

/// News for a reader.
#[derive(Debug, Clone)]
pub enum RosterNews {
    /// All there is, in place of what the reader knows. The first news are a picture.
    Picture(Arc<RosterView>),
    /// What changed since the news before.
    Step(Arc<Step>),
}

/// Follows the roster, step by step.
#[derive(Debug)]
pub struct Steps {
    views: watch::Receiver<Arc<RosterView>>,
    steps: Option<broadcast::Receiver<Told>>,
    /// The number of the last step that the reader knows.
    known: Option<u64>,
}

/// A step, or only its having been: it was taken while nobody was there to tell it to.
type Told = Option<Arc<Step>>;

impl Steps {
    /// The next news, `None` after the roster has stopped. Safe to drop at any time.
    pub async fn next(&mut self) -> Option<RosterNews> {
        if self.known.is_none() {
            return Some(self.picture());
        }
        loop {
            match self.steps.as_mut()?.recv().await {
                Ok(Some(step)) if Some(step.number) <= self.known => {}
                Ok(Some(step)) => {
                    self.known = Some(step.number);
                    return Some(RosterNews::Step(step));
                }
                Ok(None) | Err(RecvError::Lagged(_)) => {
                    if Some(self.views.borrow().step) > self.known {
                        return Some(self.picture());
                    }
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn picture(&mut self) -> RosterNews {
        // Steps until now are in the picture: none of them has to be passed over, or kept until then.
        self.steps = self.steps.as_ref().map(broadcast::Receiver::resubscribe);
        let view = Arc::clone(&self.views.borrow());
        self.known = Some(view.step);
        RosterNews::Picture(view)
    }
}

/// Tells steps to whoever follows.
#[derive(Debug)]
pub(super) struct Teller(broadcast::Sender<Told>);

/// How readers are found, without keeping the roster alive.
#[derive(Debug, Clone)]
pub(super) struct Lectern(broadcast::WeakSender<Told>);

impl Teller {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }

    pub(super) fn lectern(&self) -> Lectern {
        Lectern(self.0.downgrade())
    }

    /// Whether anybody follows.
    pub(super) fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Tells a step whose view is out already; `None` if its differences were not worked out.
    pub(super) fn tell(&self, step: Option<Step>) {
        // Without readers there is nobody to miss it.
        self.0.send(step.map(Arc::new)).ok();
    }
}

impl Lectern {
    pub(super) fn follow(&self, views: watch::Receiver<Arc<RosterView>>) -> Steps {
        // Subscribed before the picture is taken: what comes in between is told twice, and passed over.
        let steps = self.0.upgrade().map(|sender| sender.subscribe());
        Steps { views, steps, known: None }
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    /// An owner that takes empty steps.
    struct Owner {
        teller: Teller,
        views: watch::Sender<Arc<RosterView>>,
    }

    impl Owner {
        fn new() -> Self {
            Self { teller: Teller::new(), views: watch::Sender::default() }
        }

        fn follow(&self) -> Steps {
            self.teller.lectern().follow(self.views.subscribe())
        }

        fn step(&self, told: bool) {
            let number = self.views.borrow().step + 1;
            self.views.send_replace(Arc::new(RosterView { step: number, ..RosterView::default() }));
            self.teller.tell(told.then_some(Step { number, jobs: Vec::new() }));
        }
    }

    async fn next(steps: &mut Steps) -> Option<(&'static str, u64)> {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), steps.next()).await;
        next.expect("there are news").map(|news| match news {
            RosterNews::Picture(view) => ("picture", view.step),
            RosterNews::Step(step) => ("step", step.number),
        })
    }

    #[test]
    fn steps_come_in_order_after_a_picture_until_the_roster_stops() {
        leak_checked(|| async {
            let owner = Owner::new();
            owner.step(true);
            let mut steps = owner.follow();
            // Between following and the first news: it is in the picture.
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("picture", 2)));
            owner.step(true);
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("step", 3)));
            assert_eq!(next(&mut steps).await, Some(("step", 4)));
            drop(owner);
            assert_eq!(next(&mut steps).await, None);
        });
    }

    #[test]
    fn a_step_that_is_told_again_although_it_is_in_the_picture_is_passed_over() {
        leak_checked(|| async {
            let owner = Owner::new();
            let mut steps = owner.follow();
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("picture", 1)));
            // The reader listened before it was told, and looked after it was done.
            owner.teller.tell(Some(Step { number: 1, jobs: Vec::new() }));
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("step", 2)));
        });
    }

    #[test]
    fn a_reader_that_falls_behind_gets_a_picture_and_goes_on_from_there() {
        leak_checked(|| async {
            let owner = Owner::new();
            let mut steps = owner.follow();
            assert_eq!(next(&mut steps).await, Some(("picture", 0)));
            (0..3 * BEHIND).for_each(|_| owner.step(true));
            assert_eq!(next(&mut steps).await, Some(("picture", 3 * BEHIND as u64)));
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("step", 3 * BEHIND as u64 + 1)));
        });
    }

    #[test]
    fn a_step_whose_differences_were_not_worked_out_comes_as_a_picture() {
        leak_checked(|| async {
            let owner = Owner::new();
            assert!(!owner.teller.is_heard());
            let mut steps = owner.follow();
            assert!(owner.teller.is_heard());
            assert_eq!(next(&mut steps).await, Some(("picture", 0)));
            owner.step(false);
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("picture", 2)));
            owner.step(true);
            assert_eq!(next(&mut steps).await, Some(("step", 3)));
        });
    }
}
