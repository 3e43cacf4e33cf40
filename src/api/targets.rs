//! `/api/v1/targets`: all targets in Prometheus' form, written while they are sent. What a request needs in memory is a
//! piece of the answer and one unpacked block of discovered labels.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Uri;
use http::header::CONTENT_TYPE;
use rosterd_model::Builder;
use rosterd_model::target::{Target, scrape_url};

use super::problem::Error;
use super::query::Query;
use super::url::{Outside, global_url};
use super::{Problem, State};
use crate::publish::encode::string;
use crate::roster::block::Walk;
use crate::roster::target::Entry;
use crate::roster::view::{BlockView, JobView};

/// A piece of the answer is sent when it has this size.
const PIECE: usize = 64 * 1024;

/// The targets.
pub(super) async fn targets(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let limit = query.count("limit")?;
    let start = query.get("cursor").map(Cursor::decode).transpose()?;
    let state_wanted = query.get("state").unwrap_or("any").to_lowercase();
    let view = state.roster.view();
    let all: Vec<_> = view.jobs().cloned().collect();
    let wanted = query.get("scrapePool");
    let jobs = all.iter().filter(|job| wanted.is_none_or(|wanted| &*job.spec().name == wanted)).cloned().collect();
    let writer = Writer {
        all,
        jobs,
        outside: Outside::new(&state.external_url, state.listen_port),
        active: matches!(state_wanted.as_str(), "any" | "active"),
        dropped: matches!(state_wanted.as_str(), "any" | "dropped"),
        left: limit,
        place: Place::default(),
        section: Section::Start,
        comma: false,
        listed: 0,
        seen: HashSet::new(),
        walk: None,
        next: None,
        labels: Builder::new(),
        url: String::new(),
    };
    let pieces = futures_util::stream::iter(writer.starting_at(start).map(Ok::<_, std::convert::Infallible>));
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Start,
    Active,
    Dropped,
    End,
    Done,
}

/// An entry of a block of a job.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    job: usize,
    block: usize,
    entry: usize,
}

struct Writer {
    all: Vec<Arc<JobView>>,
    jobs: Vec<Arc<JobView>>,
    outside: Outside,
    active: bool,
    dropped: bool,
    /// How many targets may still be written.
    left: Option<usize>,
    section: Section,
    place: Place,
    /// Whether something stands before the next target.
    comma: bool,
    /// Dropped targets of the job that were passed.
    listed: usize,
    /// Targets of the job with several origins that were passed.
    seen: HashSet<u64>,
    /// The entries of the block, from the place on.
    walk: Option<Walk>,
    next: Option<Cursor>,
    labels: Builder,
    url: String,
}

impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(PIECE + 8 * 1024);
        while out.len() < PIECE && self.section != Section::Done {
            self.step(&mut out);
        }
        (!out.is_empty()).then(|| out.into())
    }
}

impl Writer {
    /// Goes to where the page before ended.
    fn starting_at(mut self, cursor: Option<Cursor>) -> Self {
        let Some(cursor) = cursor else { return self };
        self.active &= !cursor.dropped;
        let found = self.jobs.iter().position(|job| *job.spec().name >= *cursor.job);
        self.place.job = found.unwrap_or(self.jobs.len());
        let Some(job) = self.jobs.get(self.place.job).filter(|job| *job.spec().name == *cursor.job).cloned() else {
            return self;
        };
        let rank = |name: &str| job.providers().iter().position(|(key, _)| key.as_str() == name);
        let wanted = (rank(&cursor.provider), cursor.block);
        let reached = |block: &BlockView| (rank(block.provider().as_str()), block.id()) >= wanted;
        self.place.block = job.blocks().iter().position(reached).unwrap_or(job.blocks().len());
        let same = job
            .blocks()
            .get(self.place.block)
            .is_some_and(|block| block.id() == cursor.block && block.provider().as_str() == cursor.provider);
        self.place.entry = if same { cursor.entry } else { 0 };
        self.remember_passed(&job);
        self
    }

    /// Notes what the pages before have shown of a job.
    fn remember_passed(&mut self, job: &JobView) {
        for (index, block) in job.blocks().iter().enumerate().take(self.place.block + 1) {
            let until = if index == self.place.block { self.place.entry } else { usize::MAX };
            for entry in block.entries().iter().take(until) {
                match entry {
                    Entry::Active(labels) if job.slot(labels).is_some_and(|slot| slot.origins > 1) => {
                        self.seen.insert(labels.fingerprint());
                    }
                    Entry::Dropped => self.listed += 1,
                    _ => {}
                }
            }
        }
    }

    fn step(&mut self, out: &mut Vec<u8>) {
        match self.section {
            Section::Start => {
                out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"activeTargets\":[");
                self.section = Section::Active;
                if !self.active {
                    self.begin_dropped(out);
                }
            }
            Section::Active | Section::Dropped if self.place.job < self.jobs.len() && self.next.is_none() => {
                self.entry(out);
            }
            Section::Active => {
                self.place = Place::default();
                self.begin_dropped(out);
            }
            Section::Dropped => {
                self.section = Section::End;
                out.extend_from_slice(b"],\"droppedTargetCounts\":");
                self.counts(out);
            }
            Section::End => {
                if let Some(cursor) = &self.next {
                    out.extend_from_slice(b",\"nextCursor\":");
                    string(&cursor.encode(), out);
                }
                out.extend_from_slice(b"}}");
                self.section = Section::Done;
            }
            Section::Done => {}
        }
    }

    fn begin_dropped(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"],\"droppedTargets\":[");
        self.section = Section::Dropped;
        self.comma = false;
        self.walk = None;
        if !self.dropped {
            self.place.job = self.jobs.len();
        }
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

    /// Looks at the entry at the place, or moves on to the next block or job.
    fn entry(&mut self, out: &mut Vec<u8>) {
        let job = Arc::clone(&self.jobs[self.place.job]);
        let Some(block) = job.blocks().get(self.place.block) else {
            self.place = Place { job: self.place.job + 1, ..Place::default() };
            self.seen.clear();
            self.listed = 0;
            return;
        };
        let wanted = |entry: &Entry| match self.section {
            Section::Active => matches!(entry, Entry::Active(_)),
            _ => matches!(entry, Entry::Dropped),
        };
        let rest = block.entries().get(self.place.entry..).unwrap_or_default();
        let Some(skipped) = rest.iter().position(wanted) else {
            self.place = Place { block: self.place.block + 1, entry: 0, ..self.place };
            self.walk = None;
            return;
        };
        let entry = &rest[skipped];
        if self.is_shown(&job, entry) {
            if self.left == Some(0) {
                self.next = Some(Cursor::at(self.section, &job, block, self.place.entry + skipped));
                return;
            }
            self.left = self.left.map(|left| left - 1);
            self.load(block, skipped);
            job.spec().add_defaults(&mut self.labels);
            self.labels.sort();
            self.write(&job, entry, out);
        } else {
            self.load(block, skipped);
        }
        self.place.entry += skipped + 1;
    }

    /// Whether a target is the first of equal ones, or a dropped one among those that are kept.
    fn is_shown(&mut self, job: &JobView, entry: &Entry) -> bool {
        match entry {
            Entry::Active(labels) => {
                let several = job.counts().duplicates > 0 && job.slot(labels).is_some_and(|slot| slot.origins > 1);
                !several || self.seen.insert(labels.fingerprint())
            }
            _ => {
                let kept = job.spec().limits.keep_dropped;
                self.listed += 1;
                kept == 0 || self.listed <= kept
            }
        }
    }

    /// Loads the discovered labels of the entry that many entries after the place.
    fn load(&mut self, block: &BlockView, skipped: usize) {
        let (mut skipped, walk) = match &mut self.walk {
            Some(walk) => (skipped, walk),
            None => (skipped + self.place.entry, self.walk.insert(block.walk())),
        };
        while skipped > 0 {
            walk.next_entry();
            skipped -= 1;
        }
        if let Some(entry) = walk.next_entry() {
            entry.load(&mut self.labels);
        }
    }

    fn write(&mut self, job: &JobView, entry: &Entry, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.comma, true) {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"discoveredLabels\":");
        labels(self.labels.iter(), out);
        let Entry::Active(found) = entry else {
            out.extend_from_slice(b",\"scrapePool\":");
            string(&job.spec().name, out);
            out.push(b'}');
            return;
        };
        let target = Target(found);
        let params = &job.spec().params;
        out.extend_from_slice(b",\"labels\":");
        labels(target.public(), out);
        out.extend_from_slice(b",\"scrapePool\":");
        string(&job.spec().name, out);
        out.extend_from_slice(b",\"scrapeUrl\":");
        self.url.clear();
        scrape_url(target, params, &mut self.url);
        string(&self.url, out);
        out.extend_from_slice(b",\"globalUrl\":");
        self.url.clear();
        let unsplit = global_url(target, params, &self.outside, &mut self.url).err();
        string(&self.url, out);
        out.extend_from_slice(b",\"lastError\":");
        string(&last_error(job, target, unsplit), out);
        // Nothing is scraped yet: the zero time of Go.
        out.extend_from_slice(
            b",\"lastScrape\":\"0001-01-01T00:00:00Z\",\"lastScrapeDuration\":0,\"health\":\"unknown\"",
        );
        out.extend_from_slice(b",\"scrapeInterval\":");
        string(target.interval(), out);
        out.extend_from_slice(b",\"scrapeTimeout\":");
        string(target.timeout(), out);
        out.push(b'}');
    }
}

fn last_error(job: &JobView, target: Target<'_>, unsplit: Option<String>) -> String {
    let limits = &job.spec().limits;
    let targets = job.counts().targets;
    let exceeded = match limits.targets > 0 && targets > limits.targets {
        true => Some(format!("target_limit exceeded (number of targets: {targets}, limit: {})", limits.targets)),
        false => limits.exceeded_by(target),
    };
    match (exceeded, unsplit) {
        (exceeded, None) => exceeded.unwrap_or_default(),
        (exceeded, Some(unsplit)) => format!("{}: {unsplit}", exceeded.unwrap_or_default()),
    }
}

fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in labels.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(name, out);
        out.push(b':');
        string(value, out);
    }
    out.push(b'}');
}

/// Where the next page begins. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    dropped: bool,
    block: u32,
    entry: usize,
    provider: String,
    job: String,
}

impl Cursor {
    fn at(section: Section, job: &JobView, block: &BlockView, entry: usize) -> Self {
        Self {
            dropped: section == Section::Dropped,
            block: block.id(),
            entry,
            provider: block.provider().as_str().to_owned(),
            job: job.spec().name.to_string(),
        }
    }

    fn encode(&self) -> String {
        let section = if self.dropped { 'd' } else { 'a' };
        URL_SAFE_NO_PAD.encode(format!("{section}\n{}\n{}\n{}\n{}", self.block, self.entry, self.provider, self.job))
    }

    fn decode(text: &str) -> Result<Self, Error> {
        let expected = "the nextCursor of the page before";
        Self::parse(text).ok_or_else(|| Error::BadParameter { name: "cursor", value: text.to_owned(), expected })
    }

    fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(5, '\n');
        let dropped = match parts.next()? {
            "d" => true,
            "a" => false,
            _ => return None,
        };
        let (block, entry) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { dropped, block, entry, provider: parts.next()?.to_owned(), job: parts.next()?.to_owned() })
    }
}
