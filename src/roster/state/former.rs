//! What a job holds of providers that a reload replaced, until those that came in their place have told what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::SourceId;

use super::provider::Providers;
use crate::roster::block::Block;
use crate::roster::head::HeldBy;
use crate::roster::hold::Hold;
use crate::roster::view::ProviderPresence;

/// What a job holds of a provider that a reload replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Former {
    pub(super) hold: Hold,
    /// The job's providers that did not come in its place: they may be down for long, and say nothing of it in any case.
    beside: BTreeSet<ProviderKey>,
    /// These sources alone: what came in its place has reported, but they could not be read yet.
    only: Option<BTreeSet<SourceId>>,
}

impl Former {
    /// All of it, as others than these came in its place.
    pub(super) fn all(hold: Hold, beside: impl IntoIterator<Item = ProviderKey>) -> Self {
        Self { hold, beside: beside.into_iter().collect(), only: None }
    }

    /// The same, after another reload gave the job these providers.
    pub(super) fn after_reload(mut self, providers: &[ProviderKey]) -> Self {
        self.beside.retain(|key| providers.contains(key));
        self
    }

    /// What a restart has to know of it.
    pub(super) fn to_store(&self) -> HeldBy {
        HeldBy { since: self.hold.since, beside: self.beside.iter().map(ProviderKey::shared).collect() }
    }

    /// Whether nothing is known of one of these that came in its place.
    fn waits(&self, own: &[ProviderKey], providers: &Providers) -> bool {
        let mut awaited = own.iter().filter(|key| !self.beside.contains(*key)).filter_map(|key| providers.get(key));
        awaited.any(|provider| provider.presence == ProviderPresence::Unsynced)
    }

    /// Whether it is this source, among others, that keeps it.
    pub(super) fn names(&self, source: &SourceId) -> bool {
        self.only.as_ref().is_some_and(|only| only.contains(source))
    }

    /// What of a block is held.
    pub(super) fn part(&self, block: &Arc<Block>) -> Option<Arc<Block>> {
        match &self.only {
            None => Some(Arc::clone(block)),
            Some(sources) => block.only(|id| sources.contains(&id.source)).map(Arc::new),
        }
    }
}

/// What of the given former providers a job of these providers has to hold now: all, as long as nothing is known of one that
/// came in its place; otherwise the sources that those of the job could not read yet.
pub(super) fn held_of(
    former: &BTreeMap<ProviderKey, Former>,
    own: &[ProviderKey],
    providers: &Providers,
) -> BTreeMap<ProviderKey, Former> {
    let of_job = || own.iter().filter_map(|key| Some((key, providers.get(key)?)));
    // What has the same data has begun with it.
    let adopted = |key: &ProviderKey| {
        of_job().any(|(own, provider)| own.data() == key.data() && provider.presence != ProviderPresence::Unsynced)
    };
    let known = |key: &ProviderKey| {
        providers.get(key).is_some_and(|provider| provider.presence != ProviderPresence::Unsynced) && !adopted(key)
    };
    let held = former.iter().filter(|(key, _)| known(key)).filter_map(|(key, former)| {
        if former.waits(own, providers) {
            return Some((key.clone(), former.clone()));
        }
        let missing = of_job().filter(|(own, _)| own.mechanism() == key.mechanism());
        let missing: BTreeSet<_> = missing.flat_map(|(_, provider)| provider.missing.keys().copied()).collect();
        let only = providers.get(key)?.archive.which_of(missing);
        (!only.is_empty()).then(|| (key.clone(), Former { only: Some(only), ..former.clone() }))
    });
    held.collect()
}
