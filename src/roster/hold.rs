//! What is held: groups that stay although nobody says now that they should, each with the reason. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Report, SourceId};
use serde::{Deserialize, Serialize};

use super::block::Block;

/// Why groups are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldReason {
    /// The provider has not reported since this process started: its groups are those from before.
    Restored,
    /// The source was not read since this process started, though its provider has reported: it could not be, or was not
    /// there yet. Its groups are those from before.
    Unread,
    /// A reload gave the job another provider, of which is not known yet what it has: what stays is what the one before had,
    /// or another one with the same data.
    Replaced,
    /// The source says that it is gone, with so many others that a second reading has to say so too.
    Braked,
    /// The source says that it is gone, and it may come back within the `target_removal_grace` of its job.
    Grace,
}

impl HoldReason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Restored, Self::Unread, Self::Replaced, Self::Braked, Self::Grace];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Unread => "unread",
            Self::Replaced => "replaced",
            Self::Braked => "braked",
            Self::Grace => "grace",
        }
    }

    /// What it means, of a target: `its source says that it is gone, ...`.
    pub fn told(self) -> &'static str {
        match self {
            Self::Restored => "known from before the restart, its provider has not reported yet",
            Self::Unread => "known from before the restart, its source is not there yet or could not be read",
            Self::Replaced => "of the configuration before, the new one has not reported yet",
            Self::Braked => "its source says that it is gone, with so many others that nobody has confirmed it yet",
            Self::Grace => "its source says that it is gone, it may come back within its time of grace",
        }
    }
}

/// For which reasons a target is held: its entries may be for different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HoldReasons(u8);

impl HoldReasons {
    /// Adds one.
    pub fn insert(&mut self, reason: HoldReason) {
        self.0 |= 1 << reason as u8;
    }

    /// Whether this is one of them.
    pub fn contains(self, reason: HoldReason) -> bool {
        self.0 & 1 << reason as u8 != 0
    }

    /// Whether it is braked, perhaps besides others.
    pub fn is_braked(self) -> bool {
        self.contains(HoldReason::Braked)
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = HoldReason> {
        HoldReason::ALL.into_iter().filter(move |reason| self.contains(*reason))
    }

    /// Whether each of them is one of the others.
    pub fn are_among(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// The first of them, in the order of all reasons.
    pub fn first(self) -> Option<HoldReason> {
        self.iter().next()
    }
}

impl From<HoldReason> for HoldReasons {
    fn from(reason: HoldReason) -> Self {
        let mut reasons = Self::default();
        reasons.insert(reason);
        reasons
    }
}

/// That something is held, why and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// Since when.
    pub since: SystemTime,
    /// Until when at most, where time alone ends it.
    pub until: Option<SystemTime>,
}

impl Hold {
    /// One that no time ends.
    pub(super) fn new(reason: HoldReason, since: SystemTime) -> Self {
        Self { reason, since, until: None }
    }
}

/// What of a provider's groups is held in a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing.
    #[default]
    None,
    /// All of them; those of some sources since earlier.
    All { hold: Hold, earlier: Arc<BTreeMap<SourceId, Hold>> },
    /// Those of these sources.
    Sources(Arc<BTreeMap<SourceId, Hold>>),
}

impl Held {
    /// Whether and why groups of a source are held.
    pub(super) fn of(&self, source: SourceId) -> Option<Hold> {
        match self {
            Self::None => None,
            Self::All { hold, earlier } => {
                let since = earlier.get(&source).map_or(hold.since, |earlier| earlier.since.min(hold.since));
                Some(Hold { since, ..*hold })
            }
            Self::Sources(sources) => sources.get(&source).copied(),
        }
    }

    /// Which groups of a block are held.
    pub(super) fn mark(&self, block: &Block) -> Mark {
        match self {
            Self::None => Mark::default(),
            Self::All { hold, .. } => Mark::All(hold.reason),
            Self::Sources(sources) => {
                let held = block.groups().iter().map(|head| sources.get(&head.id.source).map(|hold| hold.reason));
                let held: Box<[_]> = held.collect();
                if held.iter().all(Option::is_none) { Mark::None } else { Mark::Groups(held) }
            }
        }
    }
}

/// Which groups of a block counted as held when its entries were counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// None.
    #[default]
    None,
    /// All.
    All(HoldReason),
    /// For each group.
    Groups(Box<[Option<HoldReason>]>),
}

impl Mark {
    /// Whether and why a group is held.
    pub(super) fn of(&self, group: usize) -> Option<HoldReason> {
        match self {
            Self::None => None,
            Self::All(reason) => Some(*reason),
            Self::Groups(groups) => groups.get(group).copied().flatten(),
        }
    }
}

/// Something of which a job knows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The provider.
    pub provider: ProviderKey,
    /// The source, when the provider has reported and could not read this one. Otherwise the whole provider is missing.
    pub source: Option<Arc<str>>,
    /// Whether its time of grace is over: it no longer keeps the rest of the job from consumers.
    pub overdue: bool,
    /// Why the source could not be read; of a whole provider the manager knows.
    pub report: Option<Report>,
}

/// Says what is missing, and why where that is known.
impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", told(self.provider.as_str(), self.source.as_deref(), self.report.as_ref()))
    }
}

/// The same of one that goes by these names.
pub(crate) fn told(provider: &str, source: Option<&str>, report: Option<&Report>) -> String {
    let what = match source {
        None => format!("{provider} has not reported"),
        Some(source) => format!("{source} of {provider} could not be read"),
    };
    match report {
        None => what,
        Some(report) => format!("{what}: {report}"),
    }
}
