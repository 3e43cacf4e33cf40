//! `/api/v1/targets`: all targets in Prometheus' form, written while they are sent. What a request needs in memory is a
//! piece of the answer and one unpacked block of discovered labels.

mod cursor; // where a page begins
mod scan; // through the entries, in short steps
mod write; // one target as JSON

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::Uri;
use http::header::CONTENT_TYPE;
use rosterd_model::Builder;
use rosterd_scrape::{Statuses, TargetStatus};
use rosterd_tasks::by_size;

use super::State;
use super::condition::Condition;
use super::missing::{Causes, MissingSource};
use super::query::Query;
use super::sd::unknown_job;
use super::url::Outside;
use crate::explain::{Scratch, Search};
use crate::problem::Problem;
use crate::publish::encode::{object, string};
use crate::roster::block::{self, Walk};
use crate::roster::target::Entry;
use crate::roster::view::JobView;
use crate::scrape::ToScrape;

pub(super) use cursor::Cursor;
pub(super) use scan::{Kind, Scan};
pub(super) use write::last_error;

/// A piece of the answer is sent when it has this size.
pub(super) const PIECE: usize = 64 * 1024;
/// So many entries are looked at before others may use the thread.
pub(super) const LOOKS: usize = 8 * 1024;
/// A block with more in it is one of few large groups.
const LARGE: usize = 4 * block::FULL;

/// The targets.
pub(super) async fn targets(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let limit = query.count("limit")?;
    let start = query.get("cursor").map(Cursor::decode).transpose()?;
    let (of_state, search) = (Condition::of(&query)?, query.search("search")?);
    let section = query.get("state").unwrap_or("any").to_lowercase();
    let view = state.roster.view();
    let all: Vec<_> = view.jobs().cloned().collect();
    // Prometheus lists nothing of a job that there is not; who names it as we do hears that.
    let known = |name| view.job(name).map(|job| &*job.spec().name).ok_or_else(|| unknown_job(&view, name));
    let wanted = query.get("job").map(known).transpose()?.or_else(|| query.get("scrapePool"));
    let jobs: Vec<_> =
        all.iter().filter(|job| wanted.is_none_or(|wanted| &*job.spec().name == wanted)).cloned().collect();
    let active = matches!(section.as_str(), "any" | "active");
    // Those who turn pages have heard it.
    let missing = if active && start.is_none() { missing_of(&state, &jobs) } else { BTreeMap::new() };
    let writer = Writer {
        all,
        scan: Scan::new(jobs),
        statuses: state.scrapes.clone(),
        now: SystemTime::now(),
        outside: Outside::new(&state.external_url, state.listen_port),
        active,
        // What was dropped has no health, is not held, and has no final labels.
        dropped: matches!(section.as_str(), "any" | "dropped") && of_state.is_none() && search.is_all(),
        wanted: of_state,
        search,
        scratch: Scratch::default(),
        left: limit,
        idle: state.config.borrow().idle,
        scraped: state.scraped.now(),
        missing,
        section: Section::Start,
        comma: false,
        walk: None,
        next: None,
        labels: Builder::new(),
        url: String::new(),
    };
    Ok(json(writer.starting_at(start)))
}

/// What is missing of these jobs, by the names of those that lack something.
fn missing_of(state: &State, jobs: &[Arc<JobView>]) -> BTreeMap<Arc<str>, Vec<MissingSource>> {
    let unknown: Vec<_> = jobs.iter().filter(|job| !job.missing().is_empty()).collect();
    if unknown.is_empty() {
        return BTreeMap::new();
    }
    let causes = Causes::of(state);
    unknown.into_iter().map(|job| (Arc::clone(&job.spec().name), causes.explain(job.missing()))).collect()
}

/// What writes an answer in pieces, which may be empty.
pub(super) trait AnswerPieces: Iterator<Item = Bytes> + Send + 'static {
    /// How many bytes have to be unpacked at once for the next piece, if these are many.
    fn unpacks(&self) -> usize {
        0
    }
}

/// An answer that is written while it is sent. After each piece, empty ones included, others may use the thread; a piece for
/// which much is unpacked is written aside.
pub(super) fn json(pieces: impl AnswerPieces) -> Response {
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(unhurried(pieces))).into_response()
}

fn unhurried(pieces: impl AnswerPieces) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let written = futures_util::stream::unfold(pieces, async |mut pieces| {
        loop {
            tokio::task::yield_now().await;
            let bytes = pieces.unpacks();
            let write = move || {
                let piece = pieces.next();
                (pieces, piece)
            };
            let piece;
            (pieces, piece) = by_size(bytes, write).await;
            match piece? {
                piece if piece.is_empty() => {}
                piece => return Some((Ok(piece), pieces)),
            }
        }
    });
    // What compresses an answer asks once more behind its end.
    written.fuse()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Start,
    List(Kind),
    End,
    Done,
}

struct Writer {
    all: Vec<Arc<JobView>>,
    scan: Scan,
    statuses: Statuses,
    now: SystemTime,
    outside: Outside,
    active: bool,
    dropped: bool,
    /// How the targets are that are asked for.
    wanted: Option<Condition>,
    search: Search,
    scratch: Scratch,
    /// How many targets may still be written.
    left: Option<usize>,
    /// Why nothing is scraped, if nothing is.
    idle: Option<&'static str>,
    scraped: Arc<ToScrape>,
    /// What is missing of jobs, by their names.
    missing: BTreeMap<Arc<str>, Vec<MissingSource>>,
    section: Section,
    /// Whether something stands before the next target.
    comma: bool,
    /// The entries of the block that was read last.
    walk: Option<Unpacked>,
    next: Option<Cursor>,
    labels: Builder,
    url: String,
}

/// A block, and how many of its entries were read.
struct Unpacked {
    place: scan::EntryPlace,
    walk: Walk,
    read: usize,
}

impl Unpacked {
    /// Whether it goes on to this entry.
    fn reaches(&self, place: scan::EntryPlace) -> bool {
        self.place.same_block(place) && self.read <= place.entry
    }
}

impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.section == Section::Done {
            return None;
        }
        let (mut out, mut looked, aside) = (Vec::new(), 0, self.unpacks() > 0);
        while out.len() < PIECE && looked < LOOKS && self.section != Section::Done {
            self.step(&mut out);
            looked += self.scan.looked();
            // What comes then is for another piece.
            if !aside && self.unpacks() > 0 {
                break;
            }
        }
        Some(out.into())
    }
}

impl AnswerPieces for Writer {
    fn unpacks(&self) -> usize {
        let Some((place, block)) = self.scan.block() else { return 0 };
        let is_unpacked = self.walk.as_ref().is_some_and(|unpacked| unpacked.reaches(place));
        if is_unpacked || block.unpacked_size() <= LARGE { 0 } else { block.unpacked_size() }
    }
}

impl Writer {
    /// Goes to where the page before ended.
    fn starting_at(mut self, cursor: Option<Cursor>) -> Self {
        if let Some(cursor) = cursor {
            self.active &= cursor.kind == Kind::Active;
            self.scan.resume(&cursor);
        }
        self
    }

    fn step(&mut self, out: &mut Vec<u8>) {
        match self.section {
            Section::Start => {
                out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"activeTargets\":[");
                self.section = Section::List(Kind::Active);
                if !self.active {
                    self.begin_dropped(out);
                }
            }
            Section::List(Kind::Dropped) if !self.dropped => self.end_lists(out),
            Section::List(kind) if !self.scan.is_over() && self.next.is_none() => self.entry(kind, out),
            Section::List(Kind::Active) => {
                self.scan.rewind();
                self.begin_dropped(out);
            }
            Section::List(Kind::Dropped) => self.end_lists(out),
            Section::End => {
                if let Some(cursor) = &self.next {
                    out.extend_from_slice(b",\"nextCursor\":");
                    string(&cursor.encode(), out);
                }
                if let (false, Ok(missing)) = (self.missing.is_empty(), serde_json::to_vec(&self.missing)) {
                    out.extend_from_slice(b",\"missing\":");
                    out.extend_from_slice(&missing);
                }
                out.push(b'}');
                if let Some(why) = self.idle {
                    out.extend_from_slice(b",\"infos\":[");
                    string(&format!("nothing is scraped: {why}"), out);
                    out.push(b']');
                }
                out.push(b'}');
                self.section = Section::Done;
            }
            Section::Done => {}
        }
    }

    fn begin_dropped(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"],\"droppedTargets\":[");
        self.section = Section::List(Kind::Dropped);
        self.comma = false;
    }

    fn end_lists(&mut self, out: &mut Vec<u8>) {
        self.section = Section::End;
        out.extend_from_slice(b"],\"droppedTargetCounts\":");
        self.counts(out);
    }

    /// As in Prometheus the counts are those of all jobs, and null where dropped targets are not asked for.
    fn counts(&self, out: &mut Vec<u8>) {
        if !self.dropped {
            out.extend_from_slice(b"null");
            return;
        }
        out.push(b'{');
        for (index, job) in self.all.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            string(&job.spec().name, out);
            out.extend_from_slice(format!(":{}", job.counts().dropped).as_bytes());
        }
        out.push(b'}');
    }

    /// Looks for the next entry and writes it.
    fn entry(&mut self, kind: Kind, out: &mut Vec<u8>) {
        let mut status = None;
        let (statuses, wanted, search, scratch) = (&self.statuses, self.wanted, &self.search, &mut self.scratch);
        let found = self.scan.step(kind, |job, labels| {
            if !search.finds(labels, scratch) {
                return false;
            }
            status = statuses.get(&job.spec().name, labels);
            wanted.is_none_or(|wanted| wanted.is_of(job, labels, status.as_ref()))
        });
        let Some(place) = found else { return };
        if self.left == Some(0) {
            self.next = Some(self.scan.cursor(kind, place));
            return;
        }
        self.left = self.left.map(|left| left - 1);
        let job = Arc::clone(self.scan.job(place));
        self.load(&job, place);
        if std::mem::replace(&mut self.comma, true) {
            out.push(b',');
        }
        self.write(&job, place, status.unwrap_or_default(), out);
    }

    /// Loads the discovered labels of an entry.
    fn load(&mut self, job: &JobView, place: scan::EntryPlace) {
        let block = job.block(place.block).expect("the scan found an entry in it");
        let unpacked = match self.walk.take() {
            Some(unpacked) if unpacked.reaches(place) => unpacked,
            _ => Unpacked { place, walk: block.walk(), read: 0 },
        };
        let unpacked = self.walk.insert(unpacked);
        while unpacked.read < place.entry {
            unpacked.walk.next_entry();
            unpacked.read += 1;
        }
        if let Some(entry) = unpacked.walk.next_entry() {
            unpacked.read += 1;
            entry.load(&mut self.labels);
        }
        job.spec().add_defaults(&mut self.labels);
        self.labels.sort();
    }

    fn write(&mut self, job: &JobView, place: scan::EntryPlace, status: TargetStatus, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"discoveredLabels\":");
        object(self.labels.iter(), out);
        let block = job.block(place.block).expect("the scan found an entry in it");
        match &block.entries()[place.entry] {
            Entry::Active(found) => {
                let (outside, held) = (&self.outside, job.hold(block, place.entry));
                let member = self.scraped.other(&job.spec().name, found);
                write::Active { job, labels: found, status: &status, member, held, outside, now: self.now }
                    .write(&mut self.url, out);
            }
            _ => {
                out.extend_from_slice(b",\"scrapePool\":");
                string(&job.spec().name, out);
            }
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests;
