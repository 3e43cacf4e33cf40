//! Which event is the last one of a time. Events are in the order of their numbers, and have the times of a clock that may be set: of
//! a time that came twice, the last event is the last in number that has this time or an earlier one.

use std::io;
use std::sync::Arc;

use crate::medium::Medium;
use crate::record::{Content, Stored};
use crate::segment::{START, Segment, Summary};
use crate::walk::{Bodies, Step, Walk};
use crate::{JournalError, Time};

/// What a time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The number of its last event.
    pub(crate) until: u64,
    /// Whether one may be lost that comes after it.
    pub(crate) is_doubtful: bool,
}

impl Moment {
    /// After all there is.
    pub(crate) const LAST: Self = Self { until: u64::MAX, is_doubtful: false };
}

/// What these times mean, of which the first come first; nothing where they are before all that the segments tell.
pub(crate) fn moments(segments: &[Arc<Segment>], times: &[Time]) -> Result<Vec<Option<Moment>>, JournalError> {
    let mut search =
        Search { times, found: vec![None; times.len()], doubts: vec![false; times.len()], left: times.len() };
    for (index, segment) in segments.iter().enumerate().rev() {
        if search.left == 0 {
            break;
        }
        let next = segments.get(index + 1).map(|next| &**next);
        match segment.summary()? {
            Some(summary) => search.segment(segment, summary, next)?,
            // It is gone meanwhile.
            None => search.doubt(Time(i64::MIN)),
        }
    }
    // Before each event a segment began, and that was the time of its roster.
    for (index, time) in times[..search.left].iter().enumerate() {
        let began = segments.iter().rfind(|segment| segment.began <= *time);
        search.found[index] = began.map(|segment| segment.first.saturating_sub(1));
    }
    let found = search.found.into_iter().zip(search.doubts);
    Ok(found.map(|(until, is_doubtful)| Some(Moment { until: until?, is_doubtful })).collect())
}

/// From the last segment to the first: a later time has no earlier last event.
struct Search<'t> {
    times: &'t [Time],
    found: Vec<Option<u64>>,
    doubts: Vec<bool>,
    /// Of so many of the first times nothing was found yet.
    left: usize,
}

impl Search<'_> {
    /// How many of the times that are left are before this one.
    fn before(&self, time: Time) -> usize {
        self.times[..self.left].partition_point(|known| *known < time)
    }

    /// An event from that time on may be lost.
    fn doubt(&mut self, time: Time) {
        let before = self.before(time);
        self.doubts[before..self.left].fill(true);
    }

    fn segment(&mut self, segment: &Segment, summary: Summary, next: Option<&Segment>) -> Result<(), JournalError> {
        let next_began = next.map(|next| next.began);
        if segment.extent().is_before_loss || next.is_some_and(|next| segment.is_hole_before(next)) {
            self.doubt(lost_since(summary.newest, next_began));
        }
        if self.before(summary.oldest) == self.left {
            return Ok(());
        }
        let Some(medium) = segment.opened()? else {
            self.doubt(Time(i64::MIN));
            return Ok(());
        };
        self.records(segment, &medium, next_began).map_err(segment.failure())
    }

    fn records(&mut self, segment: &Segment, medium: &Medium, next_began: Option<Time>) -> io::Result<()> {
        let mut walk = Walk::new(START, segment.extent().length);
        let (mut newest, mut is_damaged) = (Time(i64::MIN), false);
        let (mut last, mut doubts) = (vec![None; self.left], vec![false; self.left]);
        loop {
            match walk.step(medium)? {
                Step::Record(stored, offset) => {
                    // Before a piece of the checkpoint no event stands.
                    if stored.header.content == Content::Events {
                        if is_damaged {
                            doubts[self.before(lost_since(newest, Some(stored.header.oldest)))..].fill(true);
                        }
                        let before = self.before(stored.header.oldest);
                        last[before..].fill(Some((stored, offset)));
                        // What is lost before it is for whoever replays all until then.
                        doubts[before..].fill(false);
                    }
                    (newest, is_damaged) = (stored.header.newest, false);
                }
                Step::Damage { .. } => is_damaged = true,
                Step::End => break,
            }
        }
        if is_damaged {
            doubts[self.before(lost_since(newest, next_began))..].fill(true);
        }
        let mut bodies = Bodies::default();
        for index in (0..self.left).rev() {
            self.doubts[index] |= doubts[index];
            if let Some((stored, offset)) = last[index] {
                let until = last_in(&mut bodies, medium, &stored, offset, self.times[index])?;
                self.doubts[index] |= until.is_none();
                self.found[index] = until.or(Some(stored.header.first.saturating_sub(1)));
                self.left = index;
            }
        }
        Ok(())
    }
}

/// Since when what is lost may be, between something of one time and something of another.
fn lost_since(before: Time, after: Option<Time>) -> Time {
    // Where the clock was set back it may be of any time.
    if after.is_some_and(|after| after < before) { Time(i64::MIN) } else { before }
}

/// The number of the last event of a record until a time, unless it is damaged.
fn last_in(bodies: &mut Bodies, medium: &Medium, stored: &Stored, offset: u64, time: Time) -> io::Result<Option<u64>> {
    if stored.header.newest <= time {
        return Ok(Some(stored.header.last));
    }
    let body = bodies.body_at(medium, stored, offset)?;
    Ok(body.and_then(|body| {
        let events = body.events(stored.header.first, stored.header.count);
        events.filter(|event| event.time <= time).map(|event| event.number).last()
    }))
}
