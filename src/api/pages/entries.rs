//! What was discovered for a job, entry by entry, beside what became of it. Pure.

use std::ops::ControlFlow;
use std::sync::Arc;

use rosterd_model::labels::META_PREFIX;
use rosterd_model::relabel;
use rosterd_model::target::Target;
use rosterd_model::{Builder, Labels, Names};

use super::super::targets::Cursor;
use super::super::words::source_of;
use super::cut::{self, Label, line, written};
use crate::explain::{Fit, Scratch, Search};
use crate::roster::block;
use crate::roster::target::Entry;
use crate::roster::view::{BlockView, JobView};

/// How many entries stand on a page, and how long what they say of themselves may be together, in bytes.
const ROWS: usize = 50;
const MOST_BYTES: usize = 70_000;
/// So many entries are looked at before it is asked whether that is enough, and so many of a block until it is asked again: a block
/// may be one large group.
const LEAST: usize = 1024;
const LOOKS: usize = 256;

/// Which entries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All.
    Any,
    /// Those that are targets.
    Targets,
    /// Those that relabelling dropped.
    Dropped,
    /// Those that cannot be targets.
    Impossible,
    /// Those that come to the same target as others.
    Duplicates,
    /// Those whose targets are held.
    Held,
}

impl Wanted {
    pub(super) const ALL: [Self; 6] =
        [Self::Any, Self::Targets, Self::Dropped, Self::Impossible, Self::Duplicates, Self::Held];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Targets => "target",
            Self::Dropped => "dropped",
            Self::Impossible => "impossible",
            Self::Duplicates => "duplicate",
            Self::Held => "held",
        }
    }

    /// What so many of them are.
    pub(super) const fn counted(self, number: usize) -> &'static str {
        match self {
            Self::Targets if number != 1 => "targets",
            Self::Duplicates if number != 1 => "duplicates",
            other => other.as_str(),
        }
    }

    /// Whether an entry, which is number `at` of a block, is among them.
    fn has(self, job: &JobView, block: BlockView<'_>, at: usize, entry: &Entry) -> bool {
        match (self, entry) {
            (Self::Any, _)
            | (Self::Targets, Entry::Active(_))
            | (Self::Dropped, Entry::Dropped)
            | (Self::Impossible, Entry::Failed(_)) => true,
            (Self::Duplicates, Entry::Active(labels)) => others(job, labels) > 0,
            (Self::Held, Entry::Active(_)) => job.hold(block, at).is_some(),
            _ => false,
        }
    }
}

/// How many other entries come to the same target.
fn others(job: &JobView, labels: &Labels) -> usize {
    job.slot(labels).map_or(0, |slot| slot.origins as usize).saturating_sub(1)
}

/// Some of the entries of a job.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) rows: Vec<Row>,
    /// Where it goes on.
    pub(super) next: Option<Cursor>,
    /// Whether it ended before there were enough rows, as much was looked at.
    pub(super) is_cut: bool,
}

/// An entry, and what became of it.
pub(super) struct Row {
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    pub(super) source: String,
    pub(super) provider: String,
    pub(super) discovered: Vec<Label>,
    /// The final labels, those that only scraping needs told apart.
    pub(super) labels: Vec<Label>,
    /// Why it is no target, or what there is to say of it besides.
    pub(super) why: String,
    /// Where it is.
    pub(super) place: String,
}

/// Lists entries from a place on, a block and an entry in it, until there are enough or, after some, `is_over` says so.
pub(super) fn list(
    job: &JobView,
    wanted: Wanted,
    search: &Search,
    (first, skip): (usize, usize),
    is_over: &dyn Fn() -> bool,
) -> Listed {
    let mut scratch = Scratch::default();
    let given = job.spec().defaults.iter().map(|(name, value)| format!("{name}={value}"));
    let is_touched_by_job = search.is_all()
        || given.collect::<Vec<_>>().iter().any(|given| search.is_touched_by(given.as_bytes(), &mut scratch));
    let (listed, number) = (Listed::default(), first);
    let mut listing = Listing {
        job,
        wanted,
        search,
        listed,
        bytes: 0,
        scratch,
        is_touched_by_job,
        enough: is_over,
        looked: 0,
        number,
    };
    while let Some(block) = job.block(listing.number) {
        let skip = if listing.number == first { skip } else { 0 };
        if listing.is_over() {
            listing.cut(skip);
            break;
        }
        let has = |(at, entry): (usize, &Entry)| wanted.has(job, block, at, entry);
        if block.entries().iter().enumerate().skip(skip).any(has) && listing.block(block, skip) {
            break;
        }
        listing.looked += block.entries().len();
        listing.number += 1;
    }
    listing.listed
}

struct Listing<'a> {
    job: &'a JobView,
    wanted: Wanted,
    search: &'a Search,
    listed: Listed,
    bytes: usize,
    scratch: Scratch,
    /// Whether what the job gives to each entry holds something of the search.
    is_touched_by_job: bool,
    enough: &'a dyn Fn() -> bool,
    /// The entries of the blocks before.
    looked: usize,
    /// The present block.
    number: usize,
}

impl Listing<'_> {
    fn is_over(&self) -> bool {
        self.looked >= LEAST && (self.enough)()
    }

    /// The next page goes on with this entry of the present block.
    fn cut(&mut self, entry: usize) {
        self.listed.next = Cursor::of_entry(self.job, self.number, entry);
        self.listed.is_cut = true;
    }

    /// Lists those of the present block; true when there are enough.
    fn block(&mut self, block: BlockView<'_>, skip: usize) -> bool {
        // A block of ordinary size that holds nothing of the search is known by its text.
        let is_small = block.unpacked_size() <= block::FULL * 2;
        if !self.is_touched_by_job && is_small && !self.search.is_touched_by(block.walk().text(), &mut self.scratch) {
            return false;
        }
        let (job, mut labels, mut names, mut at) = (self.job, Builder::new(), Names::new(), skip);
        block.each(
            skip..usize::MAX,
            |_| true,
            job.spec(),
            &mut labels,
            |source, labels, entry| {
                let here = at;
                at += 1;
                if here >= skip + LEAST && here.is_multiple_of(LOOKS) && (self.enough)() {
                    self.cut(here);
                    return ControlFlow::Break(());
                }
                if !self.wanted.has(job, block, here, entry)
                    || self.search.fit(labels.iter(), &mut self.scratch) == Fit::No
                {
                    return ControlFlow::Continue(());
                }
                let place = Cursor::of_entry(job, self.number, here);
                if self.listed.rows.len() == ROWS || self.bytes > MOST_BYTES {
                    self.listed.next = place;
                    return ControlFlow::Break(());
                }
                let place = place.map(|place| place.encode()).unwrap_or_default();
                let discovered = labels.build(&mut names);
                let row = Row { place, ..Row::of(job, block, here, entry, &discovered, source) };
                self.bytes += row.size();
                self.listed.rows.push(row);
                ControlFlow::Continue(())
            },
        );
        self.listed.next.is_some()
    }
}

impl Row {
    fn of(job: &JobView, block: BlockView<'_>, at: usize, entry: &Entry, discovered: &Labels, source: &str) -> Self {
        let (word, class, labels, why) = match entry {
            Entry::Active(labels) => {
                let hold = job.hold(block, at);
                let (word, class) = if hold.is_some() { ("held", "warn") } else { ("target", "up") };
                let mut why: Vec<_> = hold.iter().map(|hold| format!("held as {}", hold.reason.as_str())).collect();
                match others(job, labels) {
                    0 => {}
                    1 => why.push("1 other entry of the job comes to the same target".to_owned()),
                    more => why.push(format!("{more} other entries of the job come to the same target")),
                }
                (word, class, shown(labels), why.join("; "))
            }
            Entry::Dropped => ("dropped", "idle", Vec::new(), dropped(job, discovered)),
            Entry::Failed(failure) => ("impossible", "down", Vec::new(), line(&failure.to_string())),
        };
        let discovered = cut::plain(discovered.iter());
        let provider = block.provider().to_string();
        let source = line(&source_of(&provider, source));
        Self { word, class, source, provider, discovered, labels, why, place: String::new() }
    }

    /// About how long what it says is on the page.
    fn size(&self) -> usize {
        let texts = [&self.source, &self.source, &self.provider, &self.why, &self.place];
        let texts = texts.iter().map(|text| written(text)).sum::<usize>();
        600 + cut::size(&self.discovered) + cut::size(&self.labels) + texts
    }
}

/// The final labels, first those that series get.
fn shown(labels: &Labels) -> Vec<Label> {
    let public = Target(labels).public().map(|(name, value)| (name, value, false));
    let own = labels.iter().filter(|(name, _)| name.starts_with("__") && !name.starts_with(META_PREFIX));
    cut::labels(public.chain(own.map(|(name, value)| (name, value, true))))
}

/// Which rule drops an entry.
fn dropped(job: &JobView, discovered: &Labels) -> String {
    let (mut labels, rules) = (Builder::new(), &job.spec().rules);
    labels.reset(discovered);
    let rule = rules.dropped_by(&mut labels, &mut relabel::Scratch::default());
    let named = rule.and_then(|index| Some((index + 1, rules.iter().nth(index)?.config())));
    named.map(|(number, rule)| line(&format!("by rule {number}: {rule}"))).unwrap_or_default()
}

/// The discovered labels of an entry at a place, without what the job gives to each.
pub(super) fn discovered(job: &JobView, place: &Cursor) -> Option<Arc<[(String, String)]>> {
    let (block, entry) = place.place_in(job);
    let mut walk = job.block(block)?.walk();
    let mut raw = walk.next_entry()?;
    for _ in 0..entry {
        raw = walk.next_entry()?;
    }
    let mut labels = Builder::new();
    raw.load(&mut labels);
    labels.sort();
    Some(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
