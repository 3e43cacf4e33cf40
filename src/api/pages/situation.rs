//! What all pages look at, as it is at one moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::{Presence as Reported, ProviderKey, ProviderStatus};

use super::super::words::Tally;
use super::super::{ConfigView, State, StorageFailure};
use crate::publish::Publication;
use crate::roster::view::{JobView, RosterView};
use crate::scrape::{RemoteWriteState, RemoteWriteStatus};

/// The agent at one moment.
pub(super) struct Situation {
    pub(super) now: SystemTime,
    pub(super) config: Arc<ConfigView>,
    pub(super) view: Arc<RosterView>,
    /// Each job with how many of its targets are how, by name.
    pub(super) jobs: Vec<(Arc<JobView>, Tally)>,
    pub(super) providers: Vec<ProviderStatus>,
    pub(super) endpoints: Vec<RemoteWriteStatus>,
    pub(super) publications: Vec<Publication>,
    pub(super) storage: Vec<StorageFailure>,
}

impl Situation {
    /// As it is now.
    pub(super) fn of(state: &State) -> Self {
        let view = state.roster.view();
        Self {
            now: SystemTime::now(),
            config: Arc::clone(&state.config.borrow()),
            jobs: view.jobs().map(|job| (Arc::clone(job), Tally::of(job, &state.scrapes))).collect(),
            view,
            providers: state.providers.list(),
            endpoints: state.remote_writes.list(),
            publications: state.publications.list(),
            storage: state.storage.failing(),
        }
    }

    /// The endpoints of remote write, those that do not go well first.
    pub(super) fn endpoints_by_need(&self) -> Vec<&RemoteWriteStatus> {
        let mut endpoints: Vec<_> = self.endpoints.iter().collect();
        endpoints.sort_by_key(|status| status.state(self.now) == RemoteWriteState::Sending);
        endpoints
    }

    /// The providers that cannot read all of what they have read before.
    pub(super) fn stale(&self) -> HashSet<&ProviderKey> {
        let stale = self.providers.iter().filter(|provider| provider.status.presence == Reported::Stale);
        stale.map(|provider| &provider.key).collect()
    }
}
