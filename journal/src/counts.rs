//! How many targets each job had, at many times at once: one pass, with a hash in place of each target.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;

use rosterd_model::Names;

use crate::body::{RawEvent, RawLabels};
use crate::checkpoint;
use crate::medium::Medium;
use crate::record::{Content, Stored};
use crate::segment::{START, Segment};
use crate::walk::{Bodies, Step, Walk};
use crate::{Kind, Time};

/// How many targets each job had at a time; a job without any is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// When.
    pub at: Time,
    /// By job.
    pub jobs: BTreeMap<Arc<str>, usize>,
}

/// Counts on the way through segments.
pub(crate) struct Counting<'t> {
    /// The times that are not reached yet, each with the number of its last event, the first first.
    times: &'t [(Time, u64)],
    jobs: HashMap<Arc<str>, HashSet<u64>>,
    /// Whether all targets are known: from the end of a checkpoint on.
    is_founded: bool,
    bodies: Bodies,
    names: Names,
    pub(crate) found: Vec<Counts>,
}

fn hash<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.for_each(|label| label.hash(&mut hasher));
    hasher.finish()
}

impl<'t> Counting<'t> {
    pub(crate) fn new(times: &'t [(Time, u64)]) -> Self {
        Self {
            times,
            jobs: HashMap::new(),
            is_founded: false,
            bodies: Bodies::default(),
            names: Names::new(),
            found: Vec::new(),
        }
    }

    /// Goes through a segment. A checkpoint replaces what is known, so that damage before it does not matter any more.
    pub(crate) fn segment(&mut self, segment: &Segment, medium: &Medium) -> io::Result<()> {
        let (mut walk, mut pieces) = (Walk::new(START, segment.extent().length), Some(0));
        loop {
            match walk.step(medium)? {
                Step::Record(stored, offset) => match stored.header.content {
                    Content::Checkpoint => pieces = self.piece(medium, &stored, offset, pieces)?,
                    Content::Events => match self.bodies.body_at(medium, &stored, offset)? {
                        Some(body) => {
                            body.events(stored.header.first, stored.header.count).for_each(|event| self.apply(&event));
                        }
                        None => self.is_founded = false,
                    },
                },
                Step::Damage { .. } => self.is_founded = false,
                Step::End => return Ok(()),
            }
        }
    }

    /// Comes to the event of a number: how it is now is how it was at all times that end before.
    pub(crate) fn reach(&mut self, number: u64) {
        while let Some(((at, _), rest)) = self.times.split_first().filter(|((_, until), _)| *until < number) {
            self.times = rest;
            if self.is_founded {
                let jobs = self.jobs.iter().filter(|(_, targets)| !targets.is_empty());
                let jobs = jobs.map(|(job, targets)| (Arc::clone(job), targets.len())).collect();
                self.found.push(Counts { at: *at, jobs });
            }
        }
    }

    /// Takes a piece of a checkpoint, of which so many were read without one missing. Returns how many were then.
    fn piece(&mut self, medium: &Medium, stored: &Stored, offset: u64, pieces: Option<u64>) -> io::Result<Option<u64>> {
        // Where nothing is known yet, the checkpoint tells how it was after the event before.
        self.reach(stored.header.first - u64::from(!self.is_founded && stored.header.first > 0));
        if pieces == Some(0) {
            (self.is_founded, self.jobs) = (false, HashMap::new());
        }
        let (Some(expected), Some(raw)) = (pieces, self.bodies.raw_at(medium, stored, offset)?) else {
            return Ok(None);
        };
        let jobs = &mut self.jobs;
        let index = checkpoint::read(&stored.header, &raw, &mut self.names, |job, labels, _| {
            insert(jobs, job, hash((&labels).into_iter()));
        });
        if index != Some(expected) {
            return Ok(None);
        }
        self.is_founded = stored.header.is_last;
        Ok(Some(expected + 1))
    }

    fn apply(&mut self, event: &RawEvent<'_>) {
        self.reach(event.number);
        let Some((job, labels)) = event.job.zip(event.labels) else { return };
        let hash = |labels: RawLabels<'_>| hash(labels.iter());
        let gone = match event.kind {
            Kind::Removed => Some(labels),
            Kind::Changed => event.from,
            Kind::Added | Kind::Held | Kind::Released => None,
            _ => return,
        };
        if let (Some(gone), Some(targets)) = (gone, self.jobs.get_mut(job)) {
            targets.remove(&hash(gone));
        }
        if event.kind != Kind::Removed {
            insert(&mut self.jobs, job, hash(labels));
        }
    }
}

fn insert(jobs: &mut HashMap<Arc<str>, HashSet<u64>>, job: &str, target: u64) {
    match jobs.get_mut(job) {
        Some(targets) => drop(targets.insert(target)),
        None => drop(jobs.insert(job.into(), HashSet::from([target]))),
    }
}
