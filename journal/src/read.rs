//! Executes queries, on whatever of the journal is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rosterd_model::{Builder, Names};
use tokio::time::Instant;

use crate::body::Body;
use crate::counts::{Counting, Counts};
use crate::down::{Downs, Fingerprints};
use crate::medium::Medium;
use crate::moment::{Moment, moments};
use crate::past::{Past, Replay};
use crate::record::{Content, Stored};
use crate::segment::{START, Segment, Segments};
use crate::walk::{Bodies, Step, Walk};
use crate::{Event, Fault, JournalError, Page, Query, Time};

/// How many events a query looks at before it answers with what it has.
const LOOKED: u64 = 1 << 20;
/// And how much at least, in events or in bytes of records and segments, whatever the clock says: it takes some milliseconds, and a machine
/// that is busy with other things takes up any time.
const LEAST: u64 = 8 << 10;
const LEAST_BYTES: u64 = 4 << 20;
/// How many faults are remembered, so that each is told once.
const FAULTS: usize = 1000;

/// Reads a journal while it is written. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    segments: Segments,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    known: BTreeSet<Fault>,
    untold: Vec<Fault>,
}

/// Where a reader that follows is, so that it need not look for its place again.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// Numbers do not tell segments apart: one that got no events is begun anew with the same.
    segment: Weak<Segment>,
    offset: u64,
}

impl Resume {
    /// The place in a segment, if it is in this one.
    fn within(&self, segment: &Arc<Segment>) -> Option<u64> {
        std::ptr::eq(self.segment.as_ptr(), Arc::as_ptr(segment)).then_some(self.offset)
    }
}

impl Reader {
    /// The segments as they are now.
    #[cfg(test)]
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.all()
    }

    pub(crate) fn of(segments: Segments) -> Self {
        Self { segments, faults: Arc::default() }
    }

    /// The number of the last event that was written; `None` while nothing is.
    pub fn last(&self) -> Option<u64> {
        self.segments.all().last().map(|segment| segment.extent().last)
    }

    /// Since when the journal tells; `None` while it tells nothing.
    pub fn oldest(&self) -> Option<Time> {
        self.segments.all().first().map(|segment| segment.began)
    }

    /// How many bytes it has, and how many segments.
    pub fn size(&self) -> (u64, usize) {
        let segments = self.segments.all();
        (segments.iter().map(|segment| segment.extent().length).sum(), segments.len())
    }

    /// Damage that readers came upon, each once.
    pub fn take_faults(&self) -> Vec<Fault> {
        std::mem::take(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner).untold)
    }

    /// Remembers damage that was met.
    pub(crate) fn note(&self, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.known.len() < FAULTS && faults.known.insert(fault.clone()) {
            faults.untold.push(fault);
        }
    }

    /// The targets that were down last, as far as the segments of about the last `most` bytes tell.
    pub fn down(&self, most: u64) -> Result<Fingerprints, JournalError> {
        let (segments, mut bytes) = (self.segments.all(), 0);
        let is_recent = |segment: &&Arc<Segment>| {
            let is_last = bytes == 0;
            bytes += segment.extent().length;
            is_last || bytes <= most
        };
        let recent = segments.iter().rev().take_while(is_recent).count();
        let mut down = Downs::default();
        for segment in &segments[segments.len() - recent..] {
            if let Some(medium) = segment.opened()? {
                down.segment(segment, &medium).map_err(segment.failure())?;
            }
        }
        Ok(down.found)
    }

    /// Executes a query. Damaged parts are passed over, and noted.
    pub fn query(&self, query: &Query) -> Result<Page, JournalError> {
        match query.newest_first {
            true => self.backward(&self.segments.all(), query),
            false => self.follow(query, &mut Resume::default()),
        }
    }

    /// Executes a query of the oldest first for somebody who comes back for more with the cursor of the page: `resume` keeps
    /// the place.
    pub fn follow(&self, query: &Query, resume: &mut Resume) -> Result<Page, JournalError> {
        self.follow_in(&self.segments.all(), query, resume)
    }

    pub(crate) fn follow_in(
        &self,
        segments: &[Arc<Segment>],
        query: &Query,
        resume: &mut Resume,
    ) -> Result<Page, JournalError> {
        let Some(last) = segments.last() else {
            return Ok(Page { cursor: query.cursor.unwrap_or_default(), ..Page::default() });
        };
        let (cursor, last) = (query.cursor.unwrap_or_default(), last.extent().last);
        let (page, effort) = (Page { cursor, ..Page::default() }, Effort::of(query));
        let mut found = Forward { query, page, effort, tools: Tools::default() };
        if query.cursor.is_some() && cursor > last {
            found.page.gap = true;
            found.page.cursor = last;
        }
        let next = found.page.cursor.saturating_add(1);
        let from = segments.partition_point(|segment| segment.first <= next).saturating_sub(1);
        for segment in &segments[from..] {
            let cursor = found.page.cursor;
            if segment.extent().last <= cursor {
                continue;
            }
            found.page.gap |= cursor > 0 && cursor.saturating_add(1) < segment.first;
            if !self.forward(segment, &mut found, resume)? {
                found.page.more = true;
                break;
            }
        }
        Ok(found.page)
    }

    /// Looks through a segment. Returns whether that came to its end.
    fn forward(
        &self,
        segment: &Arc<Segment>,
        found: &mut Forward<'_>,
        resume: &mut Resume,
    ) -> Result<bool, JournalError> {
        let extent = segment.extent();
        let Some(medium) = segment.opened()? else {
            // Who begins with what there is misses nothing that went before it was read.
            let begins = found.query.cursor.is_none() && found.page.events.is_empty();
            found.page.gap |= !(begins && self.has_let_go(segment));
            found.page.cursor = extent.last;
            return Ok(true);
        };
        let start = resume.within(segment);
        // Up to where nothing is missing; of what lies before the place of a reader that follows it was told.
        let mut whole = if start.is_some() { found.page.cursor } else { segment.first.saturating_sub(1) };
        let (mut walk, mut is_damaged) = (Walk::new(start.unwrap_or(START), extent.length), false);
        loop {
            *resume = Resume { segment: Arc::downgrade(segment), offset: walk.offset };
            match walk.step(&medium).map_err(segment.failure())? {
                Step::Record(stored, offset) => {
                    found.arrive(stored.header.first, whole, is_damaged);
                    is_damaged = false;
                    if stored.header.content == Content::Events {
                        whole = whole.max(stored.header.last);
                    }
                    if !found.is_wanted(&stored) {
                        continue;
                    }
                    match self.body(segment, &medium, &stored, offset, &mut found.tools)? {
                        Some(body) if !found.look(&body, &stored) => return Ok(false),
                        Some(_) => {}
                        None => found.page.gap = true,
                    }
                    found.page.cursor = found.page.cursor.max(stored.header.last);
                }
                Step::Damage { offset, bytes } => {
                    is_damaged = true;
                    self.note(segment.fault("damaged, passed over", offset, bytes));
                }
                Step::End => {
                    found.arrive(extent.last.saturating_add(1), whole, is_damaged);
                    found.page.cursor = found.page.cursor.max(extent.last);
                    return Ok(true);
                }
            }
        }
    }

    /// Whether a segment has become too old, or too much, since somebody began to read.
    fn has_let_go(&self, segment: &Arc<Segment>) -> bool {
        !self.segments.all().iter().any(|known| Arc::ptr_eq(known, segment))
    }

    pub(crate) fn backward(&self, segments: &[Arc<Segment>], query: &Query) -> Result<Page, JournalError> {
        let before = query.cursor.unwrap_or(u64::MAX);
        let mut page = Page { cursor: before, ..Page::default() };
        // The page before this one told of nothing between its last event and what is before that.
        let (mut effort, mut tools, mut newer) = (Effort::of(query), Tools::default(), query.cursor);
        for segment in segments.iter().rev().filter(|segment| segment.first < before) {
            let behind = newer.replace(segment.first);
            page.gap |= behind.is_some_and(|first| segment.extent().last.saturating_add(1) < first);
            let Some(medium) = segment.opened()? else {
                // What became too old meanwhile is not asked for any more.
                page.gap |= !self.has_let_go(segment);
                page.cursor = segment.first;
                continue;
            };
            for passed in self.records(segment, &medium, query, before)?.into_iter().rev() {
                let Passed::Record(stored, offset) = passed else {
                    page.gap = true;
                    continue;
                };
                let Some(body) = self.body(segment, &medium, &stored, offset, &mut tools)? else {
                    page.gap = true;
                    continue;
                };
                let events = body.events(stored.header.first, stored.header.count);
                let wanted: Vec<_> = events.filter(|event| event.number < before && query.wants(event)).collect();
                for event in wanted.into_iter().rev() {
                    if page.events.len() >= query.limit {
                        page.more = true;
                        return Ok(page);
                    }
                    page.cursor = event.number;
                    page.events.push(tools.build(&event));
                }
                page.cursor = stored.header.first;
                if effort.is_enough(&stored) {
                    return Ok(Page { more: true, reached: Some(stored.header.oldest), ..page });
                }
            }
            page.cursor = segment.first;
            // Also where nothing of a segment may be wanted, its records were passed.
            if segment.first > segments[0].first && effort.is_over_after(segment.extent().length) {
                return Ok(Page { more: true, reached: Some(segment.began), ..page });
            }
        }
        Ok(page)
    }

    /// The records of a segment in which something may be wanted, and where events before this one are lost.
    fn records(
        &self,
        segment: &Segment,
        medium: &Medium,
        query: &Query,
        before: u64,
    ) -> Result<Vec<Passed>, JournalError> {
        let extent = segment.extent();
        let (mut walk, mut records) = (Walk::new(START, extent.length), Vec::new());
        // Up to where nothing is missing.
        let (mut whole, mut is_damaged) = (segment.first.saturating_sub(1), false);
        loop {
            let step = walk.step(medium).map_err(segment.failure())?;
            let comes_to = match &step {
                Step::Record(stored, _) => stored.header.first,
                Step::End => extent.last.saturating_add(1),
                Step::Damage { .. } => 0,
            };
            let lost = whole.saturating_add(1);
            if is_damaged && lost < comes_to.min(before) {
                records.push(Passed::Loss);
            }
            match step {
                Step::Record(stored, offset) => {
                    let header = &stored.header;
                    is_damaged = false;
                    if header.content == Content::Events {
                        whole = whole.max(header.last);
                    }
                    let is_wanted = header.content == Content::Events
                        && header.first < before
                        && query.may_be_in(header.kinds, header.oldest, header.newest);
                    records.extend(is_wanted.then_some(Passed::Record(stored, offset)));
                }
                Step::Damage { offset, bytes } => {
                    is_damaged = true;
                    self.note(segment.fault("damaged, passed over", offset, bytes));
                }
                Step::End => return Ok(records),
            }
        }
    }

    fn body(
        &self,
        segment: &Segment,
        medium: &Medium,
        stored: &Stored,
        offset: u64,
        tools: &mut Tools,
    ) -> Result<Option<Body>, JournalError> {
        let body = tools.bodies.body_at(medium, stored, offset).map_err(segment.failure())?;
        if body.is_none() {
            self.note(segment.fault("a record is damaged, passed over", offset, stored.size()));
        }
        Ok(body)
    }

    /// The roster as it was at a time, or as it is now: those of its targets that `wanted` means, which is given a job and
    /// labels. Of a time that came twice, as the clock was set back, it is that of the last event in number. Fails when the journal
    /// begins later.
    pub fn at(
        &self,
        time: Option<Time>,
        wanted: impl Fn(&str, &rosterd_model::Labels) -> bool,
    ) -> Result<Past, JournalError> {
        let segments = self.segments.all();
        let Some(first) = segments.first() else { return Err(JournalError::Empty { off: false }) };
        let moment = match time {
            None => Moment::LAST,
            Some(asked) => {
                let found = moments(&segments, &[asked])?.into_iter().flatten().next();
                let is_whole = first.is_very_first();
                found.ok_or(JournalError::TooEarly { asked, oldest: first.began, is_whole })?
            }
        };
        let last = segments.partition_point(|segment| segment.first <= moment.until.saturating_add(1));
        // Where a checkpoint is damaged, the segment before leads to it.
        for begin in (0..last.max(1)).rev() {
            let knows_later = segments[begin].knows_later(time.unwrap_or(Time(i64::MAX)), moment.until)?;
            if knows_later && begin > 0 {
                continue;
            }
            let mut replay = Replay::new(moment.until, &wanted);
            if knows_later || moment.is_doubtful {
                replay.is_missing_something();
            }
            self.replay(&segments[begin..], moment, &mut replay)?;
            if replay.is_founded() || begin == 0 {
                return Ok(replay.finish());
            }
        }
        Err(JournalError::Empty { off: false })
    }

    /// Goes through segments up to an event.
    fn replay<W: Fn(&str, &rosterd_model::Labels) -> bool>(
        &self,
        segments: &[Arc<Segment>],
        moment: Moment,
        replay: &mut Replay<'_, W>,
    ) -> Result<(), JournalError> {
        let mut before: Option<&Segment> = None;
        for segment in segments {
            let is_behind = before.is_some() && segment.first > moment.until;
            if replay.has_ended() || is_behind {
                break;
            }
            if before.is_some_and(|before| before.is_hole_before(segment)) {
                replay.is_missing_something();
            }
            before = Some(segment);
            let Some(medium) = segment.opened()? else {
                replay.is_missing_something();
                continue;
            };
            let seen = replay.segment(self, segment, &medium).map_err(segment.failure())?;
            // At the end of what was written nothing is cut off.
            if let Some((offset, bytes)) = seen.cut {
                self.note(segment.fault("damaged, passed over", offset, bytes));
                replay.is_missing_something();
            }
            if segment.extent().is_before_loss && !replay.has_ended() {
                replay.is_missing_something();
            }
        }
        Ok(())
    }
}

impl Reader {
    /// How many targets each job had at these times, of which the first come first; nothing of those of which not all is known.
    /// Looks at no more than about so many bytes, and so perhaps at the last times alone.
    pub fn counts(&self, times: &[Time], most: u64) -> Result<Vec<Counts>, JournalError> {
        let segments = self.segments.all();
        let size = |begin: usize| segments[begin..].iter().map(|segment| segment.extent().length).sum::<u64>();
        let mut begin = 0;
        while begin + 1 < segments.len() && size(begin) > most {
            begin += 1;
        }
        let segments = &segments[begin..];
        let known = times.iter().zip(moments(segments, times)?).filter_map(|(time, moment)| Some((*time, moment?)));
        let known: Vec<_> =
            known.filter(|(_, moment)| !moment.is_doubtful).map(|(time, it)| (time, it.until)).collect();
        let (Some((_, first)), Some((_, last))) = (known.first(), known.last()) else { return Ok(Vec::new()) };
        let begin = segments.partition_point(|segment| segment.first <= first.saturating_add(1)).saturating_sub(1);
        let mut counting = Counting::new(&known);
        for segment in segments[begin..].iter().take_while(|segment| segment.first <= last.saturating_add(1)) {
            let Some(medium) = segment.opened()? else { continue };
            counting.segment(segment, &medium).map_err(segment.failure())?;
        }
        counting.reach(u64::MAX);
        Ok(counting.found)
    }
}

/// What a query of the newest first comes by in a segment.
enum Passed {
    /// A record, and where its body is.
    Record(Stored, u64),
    /// Events that nobody can read any more.
    Loss,
}

/// How much was looked at, and until when more is.
struct Effort {
    events: u64,
    bytes: u64,
    end: Option<Instant>,
}

impl Effort {
    fn of(query: &Query) -> Self {
        Self { events: 0, bytes: 0, end: query.patience.map(|patience| Instant::now() + patience) }
    }

    /// Whether that is enough, with the events of a record more.
    fn is_enough(&mut self, stored: &Stored) -> bool {
        self.events += u64::from(stored.header.count);
        self.is_over_after(stored.raw_length()) || self.events >= LOOKED
    }

    /// Whether the time is over, with so many bytes more.
    fn is_over_after(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        let is_least = self.events >= LEAST || self.bytes >= LEAST_BYTES;
        is_least && self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// What bodies are read, and labels are made with.
#[derive(Default)]
struct Tools {
    bodies: Bodies,
    labels: Builder,
    names: Names,
}

impl Tools {
    fn build(&mut self, event: &crate::body::RawEvent<'_>) -> Event {
        event.build(&mut self.labels, &mut self.names)
    }
}

/// A query of the oldest first under way.
struct Forward<'q> {
    query: &'q Query,
    page: Page,
    effort: Effort,
    tools: Tools,
}

impl Forward<'_> {
    fn is_wanted(&self, stored: &Stored) -> bool {
        let header = &stored.header;
        header.content == Content::Events
            && header.last > self.page.cursor
            && self.query.may_be_in(header.kinds, header.oldest, header.newest)
    }

    /// Comes to the event of a number, or to where it would be, while nothing is missing up to `whole`.
    fn arrive(&mut self, number: u64, whole: u64, is_damaged: bool) {
        let cursor = self.page.cursor;
        // The event of a number between those that there are is lost, and perhaps others after it.
        let is_lost = whole < cursor;
        self.page.gap |= (is_damaged || is_lost) && number > cursor.max(whole).saturating_add(1);
    }

    /// Takes what is wanted of a record. Returns whether there was room and time for all of it.
    fn look(&mut self, body: &Body, stored: &Stored) -> bool {
        let after = self.page.cursor;
        for event in body.events(stored.header.first, stored.header.count).filter(|event| event.number > after) {
            if self.query.wants(&event) {
                if self.page.events.len() >= self.query.limit {
                    return false;
                }
                self.page.events.push(self.tools.build(&event));
            }
            self.page.cursor = event.number;
        }
        let enough = self.effort.is_enough(stored);
        self.page.reached = enough.then_some(stored.header.newest);
        !enough
    }
}
