//! What is stored of sources beneath scopes where this process has not read all: it is held as long as nobody knows what is there.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::UnreadSources;
use rosterd_model::SourceId;

/// The sources in and beneath each such scope of which something is held, by what the names beneath it begin with.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(BTreeMap<Arc<str>, BTreeSet<SourceId>>);

impl Hidden {
    /// Whether these are other scopes than before.
    pub(super) fn is_outdated(&self, unread: &UnreadSources) -> bool {
        let scopes: BTreeSet<_> = hiding(unread).map(|(scope, _)| scope).collect();
        !scopes.into_iter().eq(self.0.keys())
    }

    /// Takes these scopes in place of those before. Only when some are new it goes through `names`, which hands over the sources that may
    /// be held, with their names.
    pub(super) fn follow(&mut self, unread: &UnreadSources, names: impl FnOnce(&mut dyn FnMut(&str, SourceId))) {
        let scopes: BTreeSet<_> = hiding(unread).map(|(scope, _)| Arc::clone(scope)).collect();
        self.0.retain(|scope, _| scopes.contains(scope));
        let new: BTreeSet<_> = scopes.into_iter().filter(|scope| !self.0.contains_key(scope)).collect();
        if new.is_empty() {
            return;
        }
        // What a scope itself has is not beneath it, and not known either.
        let own: BTreeMap<_, _> = hiding(unread).filter(|(scope, _)| new.contains(*scope)).collect();
        let own: BTreeMap<_, _> = own.into_iter().map(|(scope, name)| (SourceId::of(name), scope)).collect();
        self.0.extend(new.iter().map(|scope| (Arc::clone(scope), BTreeSet::new())));
        names(&mut |name, source| {
            let around = name.match_indices('/').map(|(slash, _)| &name[..=slash]).filter(|scope| new.contains(*scope));
            for scope in around.chain(own.get(&source).map(|scope| &***scope)) {
                self.0.entry(scope.into()).or_default().insert(source);
            }
        });
    }

    /// It is told what this source has.
    pub(super) fn reveal(&mut self, name: &str) {
        let source = SourceId::of(name);
        for (slash, _) in name.match_indices('/') {
            if let Some(held) = self.0.get_mut(&name[..=slash]) {
                held.remove(&source);
            }
        }
    }

    /// Whether anything is held in or beneath a scope.
    pub(super) fn has_any(&self, beneath: Option<&str>) -> bool {
        beneath.and_then(|beneath| self.0.get(beneath)).is_some_and(|held| !held.is_empty())
    }

    /// All sources of which something is held.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.0.values().flatten().copied()
    }
}

/// The scopes that may hide something, and their names.
fn hiding(unread: &UnreadSources) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
    unread.iter().filter(|(_, unread)| unread.hides).filter_map(|(name, unread)| Some((unread.beneath.as_ref()?, name)))
}
