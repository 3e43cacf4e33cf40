//! What a job holds of providers that a reload replaced, until those that came in their place have told what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::SourceId;

use super::hidden::Hidden;
use super::provider::{MissingSource, Provider, Providers};
use crate::roster::archive::Archive;
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
    /// This alone: what came in its place has reported, and could not read everything yet.
    only: Option<Rest>,
}

/// What is held for what could not be read yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rest {
    /// Of these sources.
    sources: BTreeSet<SourceId>,
    /// For these, which are the same or scopes around them.
    missing: BTreeSet<SourceId>,
    /// What there is in and beneath those that are scopes, though the job's providers may know some of it.
    hidden: Hidden,
}

impl Rest {
    /// What of these groups is held for what is missing of providers. `hidden` is what is known of that which is beneath scopes.
    fn of(archive: &Archive, mut hidden: Hidden, missing: &[(&Provider, &MissingSource)]) -> Self {
        let scopes = missing.iter().filter_map(|(_, source)| Some((source.beneath.as_ref()?, &source.name)));
        hidden.follow(scopes, |each| archive.for_each_name(each));
        let mut rest = Self::default();
        for (provider, MissingSource { name, beneath, .. }) in missing {
            let id = SourceId::of(name);
            let known: Vec<_> = match beneath {
                // Of what is beneath a scope something may have been told before the scope can be read.
                Some(beneath) => hidden.within(beneath).filter(|source| !provider.archive.has(*source)).collect(),
                None => archive.has(id).then_some(id).into_iter().collect(),
            };
            rest.missing.extend((!known.is_empty()).then_some(id));
            rest.sources.extend(known);
        }
        Self { hidden, ..rest }
    }
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

    /// Whether it is this source or scope, among others, that keeps it.
    pub(super) fn names(&self, source: &SourceId) -> bool {
        self.only.as_ref().is_some_and(|only| only.missing.contains(source))
    }

    /// Whether it may be held of this source as long as the job's own providers have nothing of it.
    pub(super) fn may_hold(&self, source: SourceId) -> bool {
        self.only.as_ref().is_some_and(|only| only.hidden.has(source))
    }

    /// Whether what is beneath scopes is held.
    pub(super) fn has_scopes(&self) -> bool {
        self.only.as_ref().is_some_and(|only| only.hidden != Hidden::default())
    }

    /// What of a block is held.
    pub(super) fn part(&self, block: &Arc<Block>) -> Option<Arc<Block>> {
        match &self.only {
            None => Some(Arc::clone(block)),
            Some(only) => block.only(|id| only.sources.contains(&id.source)).map(Arc::new),
        }
    }
}

/// What of the given former providers a job of these providers has to hold now: all, as long as nothing is known of one that
/// came in its place; otherwise the sources that those of the job could not read yet, and what is beneath scopes that they could not.
/// `changed` has other groups than before.
pub(super) fn held_of(
    former: &BTreeMap<ProviderKey, Former>,
    own: &[ProviderKey],
    providers: &Providers,
    changed: Option<&ProviderKey>,
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
        let mut former = former.clone();
        if let Some(only) = former.only.as_mut().filter(|_| changed == Some(key)) {
            only.hidden = Hidden::default();
        }
        if former.waits(own, providers) {
            return Some((key.clone(), former));
        }
        let alike = of_job().filter(|(own, _)| own.mechanism() == key.mechanism());
        let missing: Vec<_> =
            alike.flat_map(|(_, own)| own.missing.values().map(move |source| (own, source))).collect();
        let hidden = former.only.take().unwrap_or_default().hidden;
        let only = Rest::of(&providers.get(key)?.archive, hidden, &missing);
        (!only.sources.is_empty()).then(|| (key.clone(), Former { only: Some(only), ..former }))
    });
    held.collect()
}
