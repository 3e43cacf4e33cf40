//! The sources that were read and had nothing, so that it is known of them when they fail later. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use rosterd_model::{SourceId, TargetGroup};

use super::stems::{Stem, Stems};

/// How many of them are remembered. Of those beyond, should they fail later, it is not known that they were ever read.
const MOST: usize = 100_000;

/// The sources, and what their names begin with.
#[derive(Debug, Clone, Default)]
pub(super) struct Empty {
    sources: HashMap<SourceId, Stem>,
    stems: Stems,
}

impl Empty {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether a source is among them.
    pub(super) fn has(&self, source: SourceId) -> bool {
        self.sources.contains_key(&source)
    }

    /// Whether any is whose name begins like this.
    pub(super) fn has_beneath(&self, beneath: &str) -> bool {
        self.stems.any_beneath(beneath)
    }

    /// Takes note of the groups that name a source without targets.
    pub(super) fn note(&mut self, groups: &[TargetGroup]) {
        for group in groups.iter().filter(|group| group.targets.is_empty()) {
            let source = SourceId::of(&group.source);
            if self.sources.len() < MOST && !self.has(source) {
                self.sources.insert(source, self.stems.enter(&group.source));
            }
        }
    }

    /// Takes the whole picture: those that are not in it are forgotten, except where `stays` is true, or the name begins with one of
    /// `scopes`.
    pub(super) fn picture(&mut self, groups: &[TargetGroup], scopes: &[Arc<str>], stays: impl Fn(&SourceId) -> bool) {
        let (beneath, stems) = (self.stems.beneath(scopes), &mut self.stems);
        self.sources.retain(|source, stem| {
            let keep = stays(source) || beneath.has(*stem);
            if !keep {
                stems.leave(*stem);
            }
            keep
        });
        self.note(groups);
    }
}
