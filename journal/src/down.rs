//! Which targets were down last, as their turns tell: a hash in place of each target.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use rosterd_model::{Builder, Names};

use crate::Kind;
use crate::body::{RawEvent, RawLabels};
use crate::medium::Medium;
use crate::record::Content;
use crate::segment::{START, Segment};
use crate::walk::{Bodies, Step, Walk};

/// Targets by job, each by the fingerprint of its final labels.
pub type Fingerprints = HashMap<Arc<str>, HashSet<u64>>;

/// The kinds that end it that a target is down.
const ENDS: [Kind; 4] = [Kind::Up, Kind::Added, Kind::Removed, Kind::Changed];

/// Finds those that are down on the way through segments.
#[derive(Default)]
pub(crate) struct Downs {
    pub(crate) found: Fingerprints,
    bodies: Bodies,
    names: Names,
    labels: Builder,
}

impl Downs {
    /// Goes through a segment. What is damaged tells nothing.
    pub(crate) fn segment(&mut self, segment: &Segment, medium: &Medium) -> io::Result<()> {
        let mut walk = Walk::new(START, segment.extent().length);
        loop {
            match walk.step(medium)? {
                Step::Record(stored, offset) => {
                    let header = &stored.header;
                    if header.content == Content::Events
                        && self.may_change(header.kinds)
                        && let Some(body) = self.bodies.body_at(medium, &stored, offset)?
                    {
                        body.events(header.first, header.count).for_each(|event| self.apply(&event));
                    }
                }
                Step::Damage { .. } => {}
                Step::End => return Ok(()),
            }
        }
    }

    fn may_change(&self, kinds: u64) -> bool {
        let ends = ENDS.iter().filter(|_| !self.found.is_empty());
        ends.fold(Kind::Down.bit(), |all, kind| all | kind.bit()) & kinds != 0
    }

    fn apply(&mut self, event: &RawEvent<'_>) {
        let Some((job, labels)) = event.job.zip(event.labels) else { return };
        match event.kind {
            Kind::Down => {
                let fingerprint = self.fingerprint(labels);
                match self.found.get_mut(job) {
                    Some(down) => drop(down.insert(fingerprint)),
                    None => drop(self.found.insert(job.into(), HashSet::from([fingerprint]))),
                }
            }
            Kind::Up | Kind::Added | Kind::Removed => self.end(job, labels),
            Kind::Changed => event.from.into_iter().for_each(|from| self.end(job, from)),
            _ => {}
        }
    }

    fn end(&mut self, job: &str, labels: RawLabels<'_>) {
        if !self.found.contains_key(job) {
            return;
        }
        let fingerprint = self.fingerprint(labels);
        let Some(down) = self.found.get_mut(job) else { return };
        down.remove(&fingerprint);
        if down.is_empty() {
            self.found.remove(job);
        }
    }

    fn fingerprint(&mut self, labels: RawLabels<'_>) -> u64 {
        labels.build(&mut self.labels, &mut self.names).fingerprint()
    }
}
