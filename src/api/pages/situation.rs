//! What all pages look at, as it is at one moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::{Presence as Reported, ProviderKey, ProviderStatus};
use rosterd_model::Report;
use rosterd_scrape::Statuses;

use super::super::operations::{self, Operation};
use super::super::words::Tally;
use super::super::{ConfigView, State, StorageFailure};
use crate::publish::Publication;
use crate::reconcile::OperationState;
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
    /// What was given up of them and is not reached yet, be it tried again just now: the last failure of each by its worker.
    pub(super) failed: HashMap<String, Report>,
    pub(super) storage: Vec<StorageFailure>,
    /// How the targets are.
    pub(super) scrapes: Statuses,
}

impl Situation {
    /// As it is now.
    pub(super) fn of(state: &State) -> Self {
        let (view, scraped) = (state.roster.view(), state.scraped.now());
        Self {
            now: SystemTime::now(),
            config: Arc::clone(&state.config.borrow()),
            jobs: view.jobs().map(|job| (Arc::clone(job), Tally::of(job, &state.scrapes, &scraped))).collect(),
            view,
            providers: state.providers.list(),
            endpoints: state.remote_writes.list(),
            publications: state.publications.list(),
            failed: failed(state),
            storage: state.storage.failing(),
            scrapes: state.scrapes.clone(),
        }
    }

    /// The endpoints of remote write, those that do not go well first.
    pub(super) fn endpoints_by_need(&self) -> Vec<&RemoteWriteStatus> {
        let mut endpoints: Vec<_> = self.endpoints.iter().collect();
        endpoints.sort_by_key(|status| status.state(self.now) == RemoteWriteState::Sending);
        endpoints
    }

    /// The providers that work, and may not say what they should: why.
    pub(super) fn warned(&self) -> HashMap<&ProviderKey, &Report> {
        self.providers.iter().filter_map(|it| Some((&it.key, &it.status.warning.as_ref()?.report))).collect()
    }

    /// The providers that cannot read all of what they have read before.
    pub(super) fn stale(&self) -> HashSet<&ProviderKey> {
        let stale = self.providers.iter().filter(|provider| provider.status.presence == Reported::Stale);
        stale.map(|provider| &provider.key).collect()
    }
}

fn failed(state: &State) -> HashMap<String, Report> {
    let mut failed = HashMap::new();
    let is_failed = |it: &Operation| it.status.state == OperationState::Failed && !it.is_over;
    for Operation { worker, last_error, .. } in operations::all(state).filter(is_failed) {
        if let Some(error) = last_error {
            // What ended last comes first.
            failed.entry(worker).or_insert(error);
        }
    }
    failed
}
