//! What a job holds of providers that a reload replaced, until those that came in their place have told what is there.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::{ProviderKey, Update};
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
    /// Of these sources, each for what is missing: the same, or scopes around it. In order.
    sources: BTreeMap<SourceId, Vec<SourceId>>,
    /// For how many each of these is held.
    missing: BTreeMap<SourceId, usize>,
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
            known.into_iter().for_each(|source| rest.hold(source, id));
        }
        Self { hidden, ..rest }
    }

    /// Holds a source for what is missing.
    fn hold(&mut self, source: SourceId, missing: SourceId) {
        let held_for = self.sources.entry(source).or_default();
        if let Err(at) = held_for.binary_search(&missing) {
            held_for.insert(at, missing);
            *self.missing.entry(missing).or_default() += 1;
        }
    }

    /// Holds a source no more. Returns for what it was held.
    fn let_go(&mut self, source: SourceId) -> Vec<SourceId> {
        let held_for = self.sources.remove(&source).unwrap_or_default();
        for missing in &held_for {
            if let Entry::Occupied(mut count) = self.missing.entry(*missing) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        held_for
    }

    /// Looks at one source anew: of these groups, for what is missing of these providers. Returns whether it is held now and was
    /// not, or the other way round.
    fn look_at(&mut self, source: SourceId, archive: &Archive, own: &[&Provider]) -> bool {
        let was_held = !self.let_go(source).is_empty();
        for provider in own {
            let is_missing = provider.missing.get(&source).is_some_and(|missing| missing.beneath.is_none());
            if is_missing && archive.has(source) {
                self.hold(source, source);
            }
            if provider.archive.has(source) {
                continue;
            }
            let hides = |(scope, beneath): &(SourceId, &str)| {
                provider.missing.get(scope).is_some_and(|missing| missing.beneath.as_deref() == Some(beneath))
            };
            let scopes: Vec<_> = self.hidden.scopes_of(source).filter(hides).map(|(scope, _)| scope).collect();
            scopes.into_iter().for_each(|scope| self.hold(source, scope));
        }
        was_held != self.sources.contains_key(&source)
    }
}

/// The sources of which an update may change what a provider has.
#[derive(Debug)]
pub(super) struct Touched {
    named: Vec<(Arc<str>, SourceId)>,
    others: BTreeSet<SourceId>,
    /// All others, too.
    whole: bool,
}

impl Touched {
    /// Those of an update that the provider is about to take.
    pub(super) fn by(update: &Update, provider: &Provider) -> Self {
        let named: BTreeMap<_, _> =
            update.groups.iter().map(|group| (SourceId::of(&group.source), Arc::from(&*group.source))).collect();
        let others = update.gone.iter().map(|id| id.source).chain(provider.replaced_by(update));
        let others = others.filter(|source| !named.contains_key(source)).collect();
        Self { named: named.into_iter().map(|(id, name)| (name, id)).collect(), others, whole: update.whole }
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
        self.only.as_ref().is_some_and(|only| only.missing.contains_key(source))
    }

    /// Whether it may be held of this source as long as the job's own providers have nothing of it.
    pub(super) fn may_hold(&self, source: SourceId) -> bool {
        self.only.as_ref().is_some_and(|only| only.hidden.has(source))
    }

    /// Whether nothing is held any more.
    pub(super) fn is_over(&self) -> bool {
        self.only.as_ref().is_some_and(|only| only.sources.is_empty())
    }

    /// Follows an update of its provider, which has these groups now.
    pub(super) fn learn(&mut self, touched: &Touched, archive: &Archive, own: &[&Provider]) {
        let Some(only) = &mut self.only else { return };
        let mut sources: BTreeSet<_> = touched.others.iter().copied().collect();
        if touched.whole {
            sources.extend(only.hidden.sources().chain(only.sources.keys().copied()));
        }
        sources.retain(|source| !archive.has(*source));
        sources.iter().for_each(|source| only.hidden.reveal(*source));
        for (name, source) in &touched.named {
            match archive.has(*source) {
                true => only.hidden.hide(name, *source),
                false => only.hidden.reveal(*source),
            }
            sources.insert(*source);
        }
        for source in sources {
            only.look_at(source, archive, own);
        }
    }

    /// Follows what others in its place have told of these sources. Returns those of them that are held now and were not, or the other
    /// way round.
    pub(super) fn hear(&mut self, told: &[SourceId], archive: &Archive, own: &[&Provider]) -> Vec<SourceId> {
        let Some(only) = &mut self.only else { return Vec::new() };
        let mut heard: Vec<_> = told.iter().copied().filter(|source| only.hidden.has(*source)).collect();
        heard.retain(|source| only.look_at(*source, archive, own));
        heard
    }

    /// Without what was found before.
    #[cfg(test)]
    pub(super) fn anew(self) -> Self {
        Self { only: None, ..self }
    }

    /// What of a block is held.
    pub(super) fn part(&self, block: &Arc<Block>) -> Option<Arc<Block>> {
        match &self.only {
            None => Some(Arc::clone(block)),
            Some(only) => block.only(|id| only.sources.contains_key(&id.source)).map(Arc::new),
        }
    }
}

/// Those of a job's providers that may have what a former one had.
pub(super) fn alike<'a>(key: &ProviderKey, own: &[ProviderKey], providers: &'a Providers) -> Vec<&'a Provider> {
    own.iter().filter(|own| own.mechanism() == key.mechanism()).filter_map(|own| providers.get(own)).collect()
}

/// What of the given former providers a job of these providers has to hold now: all, as long as nothing is known of one that
/// came in its place; otherwise the sources that those of the job could not read yet, and what is beneath scopes that they could not.
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
        let mut former = former.clone();
        if former.waits(own, providers) {
            return Some((key.clone(), former));
        }
        let alike = alike(key, own, providers);
        let missing: Vec<_> =
            alike.iter().flat_map(|own| own.missing.values().map(move |source| (*own, source))).collect();
        let hidden = former.only.take().unwrap_or_default().hidden;
        let only = Rest::of(&providers.get(key)?.archive, hidden, &missing);
        (!only.sources.is_empty()).then(|| (key.clone(), Former { only: Some(only), ..former }))
    });
    held.collect()
}
