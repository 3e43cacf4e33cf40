//! The roster of a time: a checkpoint, and the events after it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use rosterd_model::{Builder, Labels, Names};
use serde::Serialize;

use crate::body::RawEvent;
use crate::checkpoint;
use crate::medium::Medium;
use crate::read::Reader;
use crate::record::{Content, Stored};
use crate::segment::{START, Segment};
use crate::walk::{Bodies, Step, Walk};
use crate::{Held, Kind};

/// The targets of a time, by job, and why those are held that are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// The number of the last event until then: where whoever follows goes on.
    pub cursor: u64,
    /// Whether all of it is known: no part of the journal that tells of it is damaged or missing.
    pub is_whole: bool,
    jobs: BTreeMap<Arc<str>, HashMap<Labels, Option<Held>>>,
}

/// What changed from one roster to another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PastDifference {
    /// Targets that came.
    pub added: Vec<(Arc<str>, Labels)>,
    /// Targets that went.
    pub removed: Vec<(Arc<str>, Labels)>,
    /// Targets that are held since.
    pub held: Vec<(Arc<str>, Labels)>,
    /// Targets that are held no longer.
    pub released: Vec<(Arc<str>, Labels)>,
}

impl Past {
    /// How many targets there are.
    pub fn len(&self) -> usize {
        self.jobs.values().map(HashMap::len).sum()
    }

    /// How many each job has, of those that have any.
    pub fn sizes(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.jobs.iter().map(|(job, targets)| (job, targets.len()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Its targets by job and labels, and why each is held, if it is.
    pub fn sorted(&self) -> Vec<(&Arc<str>, &Labels, Option<Held>)> {
        self.first(usize::MAX)
    }

    /// The first of these, so many. The others are not sorted for that.
    pub fn first(&self, most: usize) -> Vec<(&Arc<str>, &Labels, Option<Held>)> {
        type Row<'a> = (&'a Arc<str>, &'a Labels, Option<Held>);
        let compare = |one: &Row<'_>, other: &Row<'_>| (one.0, one.1).cmp(&(other.0, other.1));
        let mut all: Vec<_> = self.iter().collect();
        if most < all.len() {
            all.select_nth_unstable_by(most, compare);
            all.truncate(most);
        }
        all.sort_unstable_by(compare);
        all
    }

    /// Its targets, and why each is held, if it is. The order of those of a job tells nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Labels, Option<Held>)> {
        self.jobs.iter().flat_map(|(job, targets)| targets.iter().map(move |(labels, held)| (job, labels, *held)))
    }

    /// Why a target is held, if it is; `None` if it is not there.
    pub fn get(&self, job: &str, labels: &Labels) -> Option<Option<Held>> {
        self.jobs.get(job)?.get(labels).copied()
    }

    /// What changed from this one to a later one, sorted.
    pub fn difference(&self, later: &Self) -> PastDifference {
        let mut difference = PastDifference::default();
        for (job, labels, held) in later.sorted() {
            let is_held = |held: Option<Held>| held.is_some();
            let list = match (self.get(job, labels).map(is_held), is_held(held)) {
                (None, _) => &mut difference.added,
                (Some(false), true) => &mut difference.held,
                (Some(true), false) => &mut difference.released,
                _ => continue,
            };
            list.push((Arc::clone(job), labels.clone()));
        }
        let gone = self.sorted().into_iter().filter(|(job, labels, _)| later.get(job, labels).is_none());
        difference.removed = gone.map(|(job, labels, _)| (Arc::clone(job), labels.clone())).collect();
        difference
    }

    fn set(&mut self, job: &str, labels: Labels, held: Option<Held>) {
        match self.jobs.get_mut(job) {
            Some(targets) => _ = targets.insert(labels, held),
            None => drop(self.jobs.insert(job.into(), HashMap::from([(labels, held)]))),
        }
    }

    fn remove(&mut self, job: &str, labels: &Labels) {
        let Some(targets) = self.jobs.get_mut(job) else { return };
        targets.remove(labels);
        if targets.is_empty() {
            self.jobs.remove(job);
        }
    }
}

/// Makes the roster that there was after an event.
pub(crate) struct Replay<'w, W> {
    /// The number of the event.
    until: u64,
    wanted: &'w W,
    past: Past,
    /// How many pieces of a checkpoint were read without one missing; `None` once all were.
    pieces: Option<u64>,
    /// Whether the event is reached.
    ended: bool,
    names: Names,
    labels: Builder,
    bodies: Bodies,
}

impl<'w, W: Fn(&str, &Labels) -> bool> Replay<'w, W> {
    pub(crate) fn new(until: u64, wanted: &'w W) -> Self {
        let (names, labels) = (Names::new(), Builder::new());
        let past = Past { is_whole: true, ..Past::default() };
        Self { until, wanted, past, pieces: Some(0), ended: false, names, labels, bodies: Bodies::default() }
    }

    /// Whether it stands on a whole checkpoint.
    pub(crate) fn is_founded(&self) -> bool {
        self.pieces.is_none()
    }

    pub(crate) fn finish(self) -> Past {
        Past { is_whole: self.past.is_whole && self.pieces.is_none(), ..self.past }
    }

    /// Whether the event is reached.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// A part of what leads to the event is not known.
    pub(crate) fn is_missing_something(&mut self) {
        self.past.is_whole = false;
    }

    /// Goes through a segment. Of one that is not the first, the checkpoint tells nothing new.
    pub(crate) fn segment(&mut self, reader: &Reader, segment: &Segment, medium: &Medium) -> io::Result<Seen> {
        let mut walk = Walk::new(START, segment.extent().length);
        let mut seen = Seen { end: START, ..Seen::default() };
        while !self.ended {
            match walk.step(medium)? {
                Step::Record(stored, offset) => {
                    seen.end = walk.offset;
                    match stored.header.content {
                        Content::Events => seen.last = seen.last.max(Some(stored.header.last)),
                        Content::Checkpoint => seen.checkpoint = seen.end,
                    }
                    if !self.record(medium, &stored, offset)? {
                        reader.note(segment.fault("a record is damaged, passed over", offset, stored.size()));
                        seen.is_damaged = true;
                        self.is_missing_something();
                    }
                    // What was damaged before has something behind it, and so is not just the end that was cut off.
                    if let Some((offset, bytes)) = seen.cut.take() {
                        reader.note(segment.fault("damaged, passed over", offset, bytes));
                        seen.is_damaged = true;
                        // Before a piece of the checkpoint no event stands.
                        if stored.header.content == Content::Events {
                            self.is_missing_something();
                        }
                    }
                }
                Step::Damage { offset, bytes } => seen.cut = Some((offset, bytes)),
                Step::End => break,
            }
        }
        Ok(seen)
    }

    /// Takes a record; returns whether it is good.
    fn record(&mut self, medium: &Medium, stored: &Stored, offset: u64) -> io::Result<bool> {
        match stored.header.content {
            Content::Checkpoint => match self.pieces {
                Some(expected) => self.piece(medium, stored, offset, expected),
                None => Ok(true),
            },
            Content::Events if stored.header.first > self.until => {
                self.ended = true;
                Ok(true)
            }
            Content::Events => {
                self.ended = stored.header.last >= self.until;
                let Some(body) = self.bodies.body_at(medium, stored, offset)? else { return Ok(false) };
                let (events, until) = (body.events(stored.header.first, stored.header.count), self.until);
                events.take_while(|event| event.number <= until).for_each(|event| self.apply(&event));
                Ok(true)
            }
        }
    }

    fn piece(&mut self, medium: &Medium, stored: &Stored, offset: u64, expected: u64) -> io::Result<bool> {
        let Some(raw) = self.bodies.raw_at(medium, stored, offset)? else { return Ok(false) };
        let (past, wanted) = (&mut self.past, self.wanted);
        let index = checkpoint::read(&stored.header, &raw, &mut self.names, |job, labels, held| {
            if wanted(job, &labels) {
                past.set(job, labels, held);
            }
        });
        if index == Some(expected) {
            self.pieces = (!stored.header.is_last).then_some(expected + 1);
            past.cursor = past.cursor.max(stored.header.first.saturating_sub(1));
        }
        Ok(index == Some(expected))
    }

    fn apply(&mut self, event: &RawEvent<'_>) {
        self.past.cursor = event.number;
        let Some((job, raw)) = event.job.zip(event.labels) else { return };
        let mut labels = raw.build(&mut self.labels, &mut self.names);
        let held = match event.kind {
            Kind::Added | Kind::Released => None,
            Kind::Held => Some(Held::of_reason(event.reason)),
            Kind::Removed => return self.past.remove(job, &labels),
            Kind::Changed => {
                if let Some(from) = event.from {
                    let from = from.build(&mut self.labels, &mut self.names);
                    self.past.remove(job, &from);
                }
                None
            }
            _ => return,
        };
        if (self.wanted)(job, &labels) {
            self.past.set(job, std::mem::take(&mut labels), held);
        }
    }
}

/// How a segment is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Where its last record ends.
    pub(crate) end: u64,
    /// Where its checkpoint ends.
    pub(crate) checkpoint: u64,
    /// The number of its last event.
    pub(crate) last: Option<u64>,
    /// Whether something of it is damaged that is not just its end.
    pub(crate) is_damaged: bool,
    /// What stands at its end and is no record.
    pub(crate) cut: Option<(u64, u64)>,
}
