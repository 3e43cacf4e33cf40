//! What jobs had before the store lost it, beside what their sources say first since. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_journal::{Kind, Note, Past};
use rosterd_model::counted;

use super::disk::Roster;

/// How many targets each job had of which nothing is known since.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<Arc<str>, usize>);

/// So many targets of a job are gone that the brake would hold them, had it known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unheld {
    pub(super) job: Arc<str>,
    pub(super) before: usize,
    pub(super) targets: usize,
}

impl Lost {
    /// All that the journal knew.
    pub(super) fn of(past: &Past) -> Self {
        Self(past.sizes().map(|(job, targets)| (Arc::clone(job), targets)).collect())
    }

    /// The jobs all of whose sources have answered by now. Each is looked at once.
    pub(super) fn compare(&mut self, roster: &Roster) -> Vec<Unheld> {
        let answered = |job: &Arc<str>, _: &mut usize| roster.get(job).is_none_or(|view| view.missing().is_empty());
        let found = self.0.extract_if(.., answered).filter_map(|(job, before)| {
            let view = roster.get(&job)?;
            let targets = view.counts().targets;
            view.spec().keeping.would_hold(before, targets).then_some(Unheld { job, before, targets })
        });
        found.collect()
    }
}

impl Unheld {
    pub(super) fn note(&self) -> Note {
        let Self { job, before, targets } = self;
        let detail = format!(
            "{} before, and {targets} now: so many are gone at once that the brake would hold them, but nothing of them is stored",
            counted(*before, "target")
        );
        Note { job: Some(Arc::clone(job)), detail: Some(detail.into()), ..Note::of(Kind::Damaged) }
    }
}
