//! Goes through the entries of jobs in the order of discovery, in steps that are short, from any place on.

use std::collections::HashSet;
use std::sync::Arc;

use rosterd_model::Labels;

use super::cursor::Cursor;
use crate::roster::hold::Hold;
use crate::roster::target::Entry;
use crate::roster::view::{BlockView, JobView};

/// So many entries are looked at in one step: a block can be large, and others wait for the thread.
const STEP: usize = 512;

/// Which entries are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Kind {
    /// Targets, each once.
    Active,
    /// What relabelling dropped, as far as the job keeps it.
    Dropped,
}

/// An entry of a block of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::api) struct EntryPlace {
    pub(super) job: usize,
    pub(super) block: usize,
    pub(super) entry: usize,
}

impl EntryPlace {
    pub(super) fn same_block(self, other: Self) -> bool {
        (self.job, self.block) == (other.job, other.block)
    }
}

/// The jobs, and how far they were gone through.
pub(in crate::api) struct Scan {
    jobs: Vec<Arc<JobView>>,
    place: EntryPlace,
    /// Where the page before ended, until what it and those before it have shown of the job was passed.
    resumed: Option<EntryPlace>,
    /// Targets of the job with several origins that were passed.
    seen: HashSet<u64>,
    /// Dropped entries of the job that were passed.
    listed: usize,
    /// How many entries were looked at.
    looked: usize,
}

impl Scan {
    /// From the first entry on.
    pub(in crate::api) fn new(jobs: Vec<Arc<JobView>>) -> Self {
        Self { jobs, place: EntryPlace::default(), resumed: None, seen: HashSet::new(), listed: 0, looked: 0 }
    }

    /// From the first entry on again.
    pub(in crate::api) fn rewind(&mut self) {
        *self = Self::new(std::mem::take(&mut self.jobs));
    }

    /// Goes to where the page before ended.
    pub(in crate::api) fn resume(&mut self, cursor: &Cursor) {
        let found = self.jobs.iter().position(|job| *job.spec().name >= *cursor.job);
        self.place.job = found.unwrap_or(self.jobs.len());
        let Some(job) = self.jobs.get(self.place.job).filter(|job| *job.spec().name == *cursor.job).cloned() else {
            return;
        };
        let (block, entry) = job.place_of(&cursor.provider, cursor.group, cursor.entry);
        let there = EntryPlace { job: self.place.job, block, entry };
        if job.counts().duplicates == 0 && job.spec().limits.keep_dropped == 0 {
            // Whatever follows was not shown before.
            self.place = there;
        } else {
            self.resumed = Some(there);
        }
    }

    /// Passes some of what the pages before have shown of a job, and notes what of it must not be shown again.
    fn pass(&mut self, job: &JobView, resumed: EntryPlace) {
        let Some(block) = job.block(self.place.block).filter(|_| self.place.block <= resumed.block) else {
            self.place = resumed;
            self.resumed = None;
            return;
        };
        let end = if self.place.block == resumed.block { resumed.entry } else { usize::MAX };
        let end = end.min(block.entries().len());
        let rest = block.entries().get(self.place.entry..end).unwrap_or_default();
        let part = &rest[..rest.len().min(STEP)];
        for entry in part {
            match entry {
                Entry::Active(labels) if job.has_several_origins(labels) => {
                    self.seen.insert(labels.fingerprint());
                }
                Entry::Dropped => self.listed += 1,
                _ => {}
            }
        }
        self.advance(part.len(), rest.len());
    }

    /// Goes past so many entries of the so many that are left of a block.
    fn advance(&mut self, passed: usize, left: usize) {
        self.looked += passed;
        self.place = match passed < left {
            true => EntryPlace { entry: self.place.entry + passed, ..self.place },
            false => EntryPlace { block: self.place.block + 1, entry: 0, ..self.place },
        };
    }

    /// Whether everything was gone through.
    pub(in crate::api) fn is_over(&self) -> bool {
        self.place.job >= self.jobs.len()
    }

    /// How many entries were looked at since this was asked last.
    pub(in crate::api) fn looked(&mut self) -> usize {
        std::mem::take(&mut self.looked)
    }

    /// The entry that is looked at next, and its block.
    pub(super) fn block(&self) -> Option<(EntryPlace, BlockView<'_>)> {
        Some((self.place, self.jobs.get(self.place.job)?.block(self.place.block)?))
    }

    /// The final labels of the target at a place.
    pub(in crate::api) fn labels(&self, place: EntryPlace) -> Option<&Labels> {
        match self.job(place).block(place.block)?.entries().get(place.entry)? {
            Entry::Active(labels) => Some(labels),
            _ => None,
        }
    }

    /// Why the target at a place is held, if it is.
    pub(in crate::api) fn hold(&self, place: EntryPlace) -> Option<Hold> {
        let job = self.job(place);
        job.hold(job.block(place.block)?, place.entry)
    }

    /// The job of a place.
    pub(in crate::api) fn job(&self, place: EntryPlace) -> &Arc<JobView> {
        &self.jobs[place.job]
    }

    /// Whether it still passes what the pages before have shown.
    pub(in crate::api) fn is_passing(&self) -> bool {
        self.resumed.is_some()
    }

    /// Where a page begins that goes on from here; `None` where no entry is next.
    pub(in crate::api) fn here(&self, kind: Kind) -> Option<Cursor> {
        let place = self.place;
        let block = self.jobs.get(place.job)?.block(place.block).filter(|_| !self.is_passing())?;
        block.group_of(place.entry)?;
        Some(self.cursor(kind, place))
    }

    /// Where a page begins whose first entry is at this place.
    pub(in crate::api) fn cursor(&self, kind: Kind, place: EntryPlace) -> Cursor {
        Cursor::at(kind, self.job(place), place)
    }

    /// Takes one step: the next entry of this kind, if there is one that near. Of targets only those that `keep`
    /// wants; it has to answer equally for equal ones.
    pub(in crate::api) fn step(
        &mut self,
        kind: Kind,
        mut keep: impl FnMut(&JobView, &Labels) -> bool,
    ) -> Option<EntryPlace> {
        let job = Arc::clone(self.jobs.get(self.place.job)?);
        self.looked += 1;
        if let Some(resumed) = self.resumed {
            self.pass(&job, resumed);
            return None;
        }
        let Some(block) = job.block(self.place.block) else {
            self.place = EntryPlace { job: self.place.job + 1, ..EntryPlace::default() };
            self.seen.clear();
            self.listed = 0;
            return None;
        };
        let rest = block.entries().get(self.place.entry..).unwrap_or_default();
        let part = &rest[..rest.len().min(STEP)];
        if let Some(skipped) = part.iter().position(|entry| self.shows(kind, &job, entry, &mut keep)) {
            let found = EntryPlace { entry: self.place.entry + skipped, ..self.place };
            self.place.entry = found.entry + 1;
            self.looked += skipped;
            return Some(found);
        }
        let (passed, left) = (part.len(), rest.len());
        self.advance(passed, left);
        None
    }

    fn shows(
        &mut self,
        kind: Kind,
        job: &JobView,
        entry: &Entry,
        keep: &mut impl FnMut(&JobView, &Labels) -> bool,
    ) -> bool {
        match (kind, entry) {
            (Kind::Active, Entry::Active(labels)) if keep(job, labels) => {
                !job.has_several_origins(labels) || self.seen.insert(labels.fingerprint())
            }
            (Kind::Dropped, Entry::Dropped) => {
                let kept = job.spec().limits.keep_dropped;
                self.listed += 1;
                kept == 0 || self.listed <= kept
            }
            _ => false,
        }
    }
}
