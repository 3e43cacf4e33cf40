//! What is known of sources in and beneath scopes that could not be read: it is held as long as nobody knows what is there. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::UnreadSources;
use rosterd_model::SourceId;

/// Such scopes, by what the names beneath them begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hidden(BTreeMap<Arc<str>, Scope>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    /// The scope itself.
    own: SourceId,
    /// The sources in and beneath it of which something is held.
    held: BTreeSet<SourceId>,
}

impl Hidden {
    /// Whether these are other scopes than before.
    pub(super) fn is_outdated(&self, unread: &UnreadSources) -> bool {
        let scopes: BTreeSet<_> = hiding(unread).map(|(scope, _)| scope).collect();
        !scopes.into_iter().eq(self.0.keys())
    }

    /// Takes these scopes in place of those before, each with its name. Only when some are new it goes through `names`, which hands over
    /// the sources that may be held, with their names.
    pub(super) fn follow<'a>(
        &mut self,
        scopes: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
        names: impl FnOnce(&mut dyn FnMut(&str, SourceId)),
    ) {
        let scopes: BTreeMap<_, _> = scopes.map(|(scope, name)| (Arc::clone(scope), name)).collect();
        self.0.retain(|scope, _| scopes.contains_key(scope));
        let new: BTreeMap<_, _> = scopes.into_iter().filter(|(scope, _)| !self.0.contains_key(scope)).collect();
        if new.is_empty() {
            return;
        }
        // What a scope itself has is not beneath it, and not known either.
        let own: BTreeMap<_, _> = new.iter().map(|(scope, name)| (SourceId::of(name), &**scope)).collect();
        let empty = |name: &str| Scope { own: SourceId::of(name), held: BTreeSet::new() };
        self.0.extend(new.iter().map(|(scope, name)| (Arc::clone(scope), empty(name))));
        names(&mut |name, source| {
            for scope in around(name).chain(own.get(&source).copied()).filter(|scope| new.contains_key(*scope)) {
                if let Some(scope) = self.0.get_mut(scope) {
                    scope.held.insert(source);
                }
            }
        });
    }

    /// Something is held of this source now.
    pub(super) fn hide(&mut self, name: &str, source: SourceId) {
        for scope in around(name) {
            if let Some(scope) = self.0.get_mut(scope) {
                scope.held.insert(source);
            }
        }
        for scope in self.0.values_mut().filter(|scope| scope.own == source) {
            scope.held.insert(source);
        }
    }

    /// It is told what this source has.
    pub(super) fn reveal(&mut self, source: SourceId) {
        for scope in self.0.values_mut() {
            scope.held.remove(&source);
        }
    }

    /// What is held in and beneath a scope.
    pub(super) fn within(&self, beneath: &str) -> impl Iterator<Item = SourceId> {
        self.0.get(beneath).into_iter().flat_map(|scope| &scope.held).copied()
    }

    /// The scopes that a source is in or beneath, each with what the names beneath it begin with, if anything is held of it.
    pub(super) fn scopes_of(&self, source: SourceId) -> impl Iterator<Item = (SourceId, &str)> {
        self.0
            .iter()
            .filter(move |(_, scope)| scope.held.contains(&source))
            .map(|(beneath, scope)| (scope.own, &**beneath))
    }

    /// Whether anything is held of a source.
    pub(super) fn has(&self, source: SourceId) -> bool {
        self.0.values().any(|scope| scope.held.contains(&source))
    }

    /// All sources of which something is held.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.0.values().flat_map(|scope| &scope.held).copied()
    }
}

/// The scopes that may be around a source.
fn around(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(slash, _)| &name[..=slash])
}

/// The scopes that may hide something, and their names.
pub(super) fn hiding(unread: &UnreadSources) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
    unread.iter().filter(|(_, unread)| unread.hides).filter_map(|(name, unread)| Some((unread.beneath.as_ref()?, name)))
}
