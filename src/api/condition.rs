//! How targets are that are asked for, in the API, on the pages and by the command line. Pure.

use rosterd_model::Labels;
use rosterd_scrape::{Health, TargetStatus};

use super::Error;
use super::query::Query;
use crate::roster::pages::Slot;
use crate::roster::view::JobView;

/// How a target is. One that is held has a health besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Of this health.
    Health(Health),
    /// Kept although its source does not say so now.
    Held,
}

impl Condition {
    /// All that may be asked for.
    pub(crate) const ALL: [Self; 4] =
        [Self::Health(Health::Up), Self::Health(Health::Down), Self::Health(Health::Unknown), Self::Held];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Health(health) => health.as_str(),
            Self::Held => "held",
        }
    }

    /// What the parameter `health` asks for.
    pub(super) fn of(query: &Query) -> Result<Option<Self>, Error> {
        query.one_of("health", &Self::ALL, Self::as_str)
    }

    /// Whether a target of a job with these final labels is so. Who has no status is unknown.
    pub(super) fn is_of(self, job: &JobView, labels: &Labels, status: Option<&TargetStatus>) -> bool {
        match self {
            Self::Health(wanted) => status.map_or(Health::Unknown, |status| status.health) == wanted,
            Self::Held => job.slot(labels).is_some_and(Slot::is_held),
        }
    }
}
