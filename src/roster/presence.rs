//! How much is known of a provider and of a job, and whether it is of now. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_discovery::{Presence as Reported, ProviderKey, ProviderStatus};
use serde::{Deserialize, Serialize};

use super::view::{JobView, ProviderPresence, ProviderView, RosterView};

/// What is known, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Nothing is.
    Unsynced,
    /// What was before the restart.
    Restored,
    /// What was read once; some of it could not be read again.
    Stale,
    /// Everything, as of the last read.
    Synced,
}

impl Presence {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unsynced, Self::Restored, Self::Stale, Self::Synced];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsynced => "unsynced",
            Self::Restored => "restored",
            Self::Stale => "stale",
            Self::Synced => "synced",
        }
    }

    /// Of a provider. The manager does not know what was there before it began to run the provider, the roster does.
    pub fn of_provider(reported: Reported, view: Option<&ProviderView>) -> Self {
        match (reported, view) {
            (Reported::Unsynced, Some(view)) if view.restored => Self::Restored,
            (Reported::Unsynced, Some(view)) if view.size.known => Self::Stale,
            (Reported::Unsynced, _) => Self::Unsynced,
            (Reported::Stale, _) => Self::Stale,
            (Reported::Synced, _) => Self::Synced,
        }
    }

    /// Of a job, which is no better than the worst of its providers, nor than stale while anything is missing or held.
    fn of_job(job: &JobView, running: &BTreeMap<ProviderKey, Reported>) -> Self {
        let of_provider = |view: &ProviderView| match (running.get(&view.key), view.presence) {
            (Some(reported), _) => Self::of_provider(*reported, Some(view)),
            // Between a reload and the start of what it needs.
            (None, ProviderPresence::Synced) => Self::Synced,
            (None, _) => Self::of_provider(Reported::Unsynced, Some(view)),
        };
        let providers = job.providers().iter().map(of_provider).min().unwrap_or(Self::Synced);
        let is_whole = job.missing().is_empty() && job.pages().held() == 0;
        if is_whole { providers } else { providers.min(Self::Stale) }
    }
}

/// How much is known of each job, by name.
pub fn of_jobs(view: &RosterView, providers: &[ProviderStatus]) -> Vec<(Arc<str>, Presence)> {
    let running = providers.iter().map(|provider| (provider.key.clone(), provider.status.presence)).collect();
    view.jobs().map(|job| (Arc::clone(&job.spec().name), Presence::of_job(job, &running))).collect()
}
