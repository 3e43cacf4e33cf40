//! What is stored of sources beneath scopes that were never read: it is held as long as nobody knows what is there. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_discovery::UnreadSources;
use rosterd_model::SourceId;

use crate::roster::archive::Archive;

/// The sources beneath each scope that was never read of which something is held, by what their names begin with.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(BTreeMap<Arc<str>, BTreeSet<SourceId>>);

impl Hidden {
    /// Whether these are other scopes than before.
    pub(super) fn is_outdated(&self, unread: &UnreadSources) -> bool {
        let scopes: BTreeSet<_> = never_read(unread).collect();
        !scopes.into_iter().eq(self.0.keys())
    }

    /// Looks for what is stored beneath these scopes, of what may be held.
    pub(super) fn look(&mut self, unread: &UnreadSources, archive: &Archive, may_be: impl Fn(SourceId) -> bool) {
        self.0 = never_read(unread).map(|scope| (Arc::clone(scope), BTreeSet::new())).collect();
        if self.0.is_empty() || archive.groups() == 0 {
            return;
        }
        archive.for_each_name(|name, source| {
            for (slash, _) in name.match_indices('/') {
                if let Some(held) = self.0.get_mut(&name[..=slash]).filter(|_| may_be(source)) {
                    held.insert(source);
                }
            }
        });
    }

    /// It is told what this source has.
    pub(super) fn reveal(&mut self, source: SourceId) {
        self.0.values_mut().for_each(|held| _ = held.remove(&source));
    }

    /// Whether anything is held beneath a scope.
    pub(super) fn has_any(&self, beneath: Option<&str>) -> bool {
        beneath.and_then(|beneath| self.0.get(beneath)).is_some_and(|held| !held.is_empty())
    }

    /// All sources of which something is held.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.0.values().flatten().copied()
    }
}

fn never_read(unread: &UnreadSources) -> impl Iterator<Item = &Arc<str>> {
    unread.values().filter(|unread| !unread.known).filter_map(|unread| unread.beneath.as_ref())
}
