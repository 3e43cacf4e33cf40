//! Steps: what each event changed, target by target, for readers that follow the roster.
//!
//! The owner tells steps in order. A reader that falls behind gets the whole picture instead of what it missed, so
//! nobody delays the roster and nobody misses anything. While nobody reads, no differences are worked out.

use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Labels, SourceId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::block::Block;
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
    /// The differences; each target once, in whichever source.
    pub differences: Vec<Difference>,
    /// A block that holds groups of the source, for its name.
    pub(super) block: Arc<Block>,
}

impl SourceStep {
    /// The name of the source; unpacks a block.
    pub fn source_name(&self) -> Option<String> {
        let unpacked = self.block.unpack();
        unpacked.groups().map(|group| group.source()).find(|name| SourceId::of(name) == self.source).map(str::to_owned)
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
    /// It stays, or came, although its source does not say so now.
    Held(Labels),
    /// Its source says so again.
    Released(Labels),
}

/// News for a reader.
#[derive(Debug, Clone)]
pub enum News {
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
    pub async fn next(&mut self) -> Option<News> {
        if self.known.is_none() {
            return Some(self.picture());
        }
        loop {
            match self.steps.as_mut()?.recv().await {
                Ok(Some(step)) if Some(step.number) <= self.known => {}
                Ok(Some(step)) => {
                    self.known = Some(step.number);
                    return Some(News::Step(step));
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

    fn picture(&mut self) -> News {
        let view = Arc::clone(&self.views.borrow());
        self.known = Some(view.step);
        News::Picture(view)
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
