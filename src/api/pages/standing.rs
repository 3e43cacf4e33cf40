//! How jobs, providers, watches and endpoints are: a colour, a word, and what there is to say besides. Pure.

use std::collections::{HashMap, HashSet};

use rosterd_discovery::{ProviderKey, WatchState};
use rosterd_model::Report;

use super::super::words::counted;
use crate::roster::hold::Missing;
use crate::roster::holding;
use crate::roster::presence::Presence;
use crate::roster::view::{JobView, ProviderPresence};
use crate::scrape::RemoteWriteState;

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) detail: String,
}

impl Standing {
    /// Of a job, of whose providers some cannot read all of what they have read before, and some work and may not say what they should.
    pub(super) fn of_job(
        job: &JobView,
        stale: &HashSet<&ProviderKey>,
        warned: &HashMap<&ProviderKey, &Report>,
    ) -> Self {
        let (providers, unsaid) = (job.providers(), holding::unsaid(job) > 0);
        let stale = providers.iter().filter(|provider| stale.contains(&provider.key)).count();
        let unheard = providers.iter().filter(|it| it.presence != ProviderPresence::Synced).count();
        let restored = providers.iter().any(|it| it.presence != ProviderPresence::Synced && it.restored);
        let missing: Vec<_> = job.missing().iter().filter(|missing| missing.overdue).map(Missing::to_string).collect();
        let (class, word, mut said) = match job.servable() {
            Err(error) => {
                ("down", if job.within_limit().is_err() { "over limit" } else { "not known" }, vec![error.to_string()])
            }
            Ok(()) if restored => ("idle", "restored", Vec::new()),
            Ok(()) if unheard > 0 => ("warn", "waiting", Vec::new()),
            Ok(()) if !missing.is_empty() || unsaid || stale > 0 => ("warn", "stale", Vec::new()),
            // Everything could be read: what its sources say is gone is kept all the same.
            Ok(()) if holding::braked(job) > 0 => ("warn", "braked", Vec::new()),
            Ok(()) if holding::in_grace(job) > 0 => ("warn", "grace", Vec::new()),
            Ok(()) => match providers.iter().find_map(|provider| warned.get(&provider.key)) {
                Some(report) => ("warn", "warning", vec![report.to_string()]),
                None => ("up", "synced", Vec::new()),
            },
        };
        if job.servable().is_ok() {
            if unheard > 0 {
                said.push(format!("waiting for {unheard} of {}", counted(providers.len(), "provider")));
            }
            if stale > 0 {
                said.push(format!("{stale} of {} cannot be read", counted(providers.len(), "provider")));
            }
            if !missing.is_empty() {
                said.push(format!("incomplete: {}", missing.join("; ")));
            }
        }
        Self { class, word, detail: said.join("; ") }
    }

    /// Of a provider.
    pub(super) fn of_provider(presence: Presence) -> Self {
        let class = match presence {
            Presence::Unsynced => "down",
            Presence::Stale => "warn",
            Presence::Restored => "idle",
            Presence::Synced => "up",
        };
        Self { class, word: presence.as_str(), detail: String::new() }
    }

    /// Of a watch.
    pub(super) fn of_watch(state: WatchState) -> Self {
        let class = match state {
            WatchState::Unread => "down",
            WatchState::Silent => "warn",
            WatchState::Listing => "idle",
            WatchState::Watching => "up",
        };
        Self { class, word: state.as_str(), detail: String::new() }
    }

    /// Of an endpoint of remote write.
    pub(super) fn of_endpoint(state: RemoteWriteState) -> Self {
        let class = match state {
            RemoteWriteState::Sending => "up",
            RemoteWriteState::Behind => "warn",
            RemoteWriteState::Rejecting | RemoteWriteState::Down => "down",
        };
        Self { class, word: state.as_str(), detail: String::new() }
    }
}
