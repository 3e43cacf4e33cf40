//! Goes through the entries of jobs in steps that are short, to find what is searched for: first all final labels, which is
//! quick, then the discovered labels, for which each block is unpacked. Of a block that holds nothing of the search no entry is
//! looked at. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use rosterd_model::labels::ADDRESS;
use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Builder, Labels};

use super::hints::Hints;
use super::matches::{Became, Chosen, Matches, Place};
use super::search::{Fit, Scratch, Search};
use super::similar::Similar;
use crate::roster::target::Entry;
use crate::roster::view::{BlockView, JobView};

/// About so many entries are looked at in a step, by their final labels or by their discovered ones. A block, which may have any
/// number of them, is looked at in one; but whether the time is over is asked that often within it.
const FINAL: usize = 4 * 1024;
const DISCOVERED: usize = 2 * 1024;
/// So many entries, of so many bytes together, are looked at whatever the clock says: that takes no longer than to say that they were not.
const SMALL: usize = 4 * 1024;
const SMALL_BYTES: usize = 8 << 20;
/// Who has found so many when the time is over has searched enough.
const MANY: usize = 1000;
/// So many relatives of a target are told.
const RELATIVES: usize = 10;

/// Whether the time is over, or will be when so many bytes are unpacked.
type IsOver<'f> = &'f dyn Fn(usize) -> bool;

/// A search under way.
#[derive(Debug)]
pub struct Finder {
    pub(super) jobs: Vec<Arc<JobView>>,
    pub(super) search: Search,
    /// The job that is searched, if it is one.
    only: Option<String>,
    /// The jobs that are gone through.
    wanted: Vec<usize>,
    stage: Stage,
    /// Whether there is so little that all of it is looked at.
    is_small: bool,
    /// Whether no more than final labels is looked at.
    is_late: bool,
    /// How many of these jobs, and how many blocks of the present one, are behind.
    at: (usize, usize),
    matches: Matches,
    pub(super) similar: Option<Similar>,
    pub(super) hints: Hints,
    /// Targets of the present job with several origins that were found.
    seen: HashSet<u64>,
    scratch: Scratch,
    /// Whether what the present job gives to each entry holds something of the search; `None` before that was looked at.
    is_touched_by_job: Option<bool>,
    /// How many entries there are, and how many were looked at in full.
    pub(super) entries: usize,
    pub(super) looked: usize,
    /// Whether the time was over before all final labels were looked at.
    pub(super) is_cut: bool,
    pub(super) chosen: Chosen,
    /// Of each chosen target, other entries that come to the same.
    pub(super) relatives: BTreeMap<Place, Relatives>,
    by_address: HashMap<String, Vec<Place>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Final,
    /// Where nothing was found: what is like it.
    Like,
    Discovered,
    Relatives,
    Done,
}

/// Other entries that come to the same as a target.
#[derive(Debug)]
pub(super) struct Relatives {
    labels: Labels,
    url: String,
    /// Those that are the same target.
    pub(super) origins: Vec<Place>,
    /// Other targets with the same URL, each once.
    pub(super) others: Vec<Place>,
    known: HashSet<(usize, u64)>,
}

impl Finder {
    /// Will search all of these jobs, or the one of this name, for so many matches.
    pub fn new(jobs: Vec<Arc<JobView>>, only: Option<&str>, search: Search, most: usize) -> Self {
        let wanted = |(_, job): &(usize, &Arc<JobView>)| only.is_none_or(|only| *job.spec().name == *only);
        let wanted: Vec<_> = jobs.iter().enumerate().filter(wanted).map(|(index, _)| index).collect();
        let counts = wanted.iter().map(|index| jobs[*index].counts());
        let entries = counts.map(|it| it.targets + it.duplicates + it.dropped + it.failed).sum();
        let unpacked = |index: &usize| jobs[*index].blocks().map(|block| block.unpacked_size()).sum::<usize>();
        let is_small =
            entries <= SMALL && !search.is_long() && wanted.iter().map(unpacked).sum::<usize>() <= SMALL_BYTES;
        Self {
            entries,
            is_small,
            only: only.map(str::to_owned),
            wanted,
            similar: search.address().map(Similar::to),
            hints: Hints::of(&search),
            jobs,
            search,
            stage: Stage::Final,
            is_late: false,
            at: (0, 0),
            matches: Matches::new(most),
            seen: HashSet::new(),
            scratch: Scratch::default(),
            is_touched_by_job: None,
            looked: 0,
            is_cut: false,
            chosen: Chosen::default(),
            relatives: BTreeMap::new(),
            by_address: HashMap::new(),
        }
    }

    /// Looks at some entries. Returns whether there are more. Once `is_over` says so it searches no further than all final labels,
    /// and where many fit, or what is searched for is long, no further than this; what was found is still told with all that belongs to it.
    pub fn step(&mut self, is_over: IsOver<'_>) -> bool {
        let most = if self.stage == Stage::Discovered { DISCOVERED } else { FINAL };
        let mut looked = 0;
        while looked < most && self.stage != Stage::Done {
            let Some(&job) = self.wanted.get(self.at.0) else {
                self.next_stage();
                break;
            };
            let view = Arc::clone(&self.jobs[job]);
            let Some(block) = view.block(self.at.1) else {
                self.at = (self.at.0 + 1, 0);
                self.seen.clear();
                self.is_touched_by_job = None;
                continue;
            };
            looked += block.entries().len() + 1;
            let first = Place { job, block: self.at.1, entry: 0 };
            let looked_at = match self.stage {
                Stage::Final => self.look_at_final(&view, block, first, is_over),
                Stage::Like => self.look_for_like(&view, block, is_over),
                Stage::Discovered => self.look_at_discovered(&view, block, first, is_over),
                Stage::Relatives => self.look_for_relatives(&view, block, first),
                Stage::Done => ControlFlow::Break(()),
            };
            self.at.1 += 1;
            if looked_at.is_break() {
                break;
            }
        }
        if self.ask(self.unpacks(), is_over).is_break() {
            self.next_stage();
        }
        self.stage != Stage::Done
    }

    fn next_stage(&mut self) {
        self.at = (0, 0);
        self.seen.clear();
        self.is_touched_by_job = None;
        self.stage = match self.stage {
            Stage::Relatives | Stage::Done => Stage::Done,
            _ if self.is_late => self.choose(),
            Stage::Final if self.matches.is_empty() && self.similar.is_some() => Stage::Like,
            Stage::Final | Stage::Like => Stage::Discovered,
            Stage::Discovered => self.choose(),
        };
    }

    /// How many bytes the next step has to unpack at least.
    fn unpacks(&self) -> usize {
        let job = self.wanted.get(self.at.0).filter(|_| self.stage == Stage::Discovered);
        job.and_then(|job| self.jobs[*job].block(self.at.1)).map_or(0, |block| block.unpacked_size())
    }

    /// Asks whether the time is over before so many bytes are unpacked. Breaks when no more is to be looked at for what is searched
    /// for: of final labels all are, unless many fit or what is searched for is long.
    fn ask(&mut self, bytes: usize, is_over: IsOver<'_>) -> ControlFlow<()> {
        let is_enough = match self.stage {
            Stage::Final => self.matches.count() >= MANY || self.search.is_long(),
            Stage::Like | Stage::Discovered => true,
            Stage::Relatives | Stage::Done => return ControlFlow::Continue(()),
        };
        self.is_late = self.is_late || (!self.is_small && is_over(bytes));
        if !(self.is_late && is_enough) {
            return ControlFlow::Continue(());
        }
        self.is_cut |= self.stage == Stage::Final;
        ControlFlow::Break(())
    }

    /// Breaks when the time is over.
    fn look_at_final(
        &mut self,
        job: &JobView,
        block: BlockView<'_>,
        first: Place,
        is_over: IsOver<'_>,
    ) -> ControlFlow<()> {
        for (entry, found) in block.entries().iter().enumerate() {
            if is_time_to_ask(entry, FINAL) {
                self.ask(0, is_over)?;
            }
            let Entry::Active(labels) = found else { continue };
            if !self.is_late && self.hints.is_asking() && !self.matches.has_whole() {
                self.hints.consider(labels.iter());
            }
            let fit = self.search.fit_of(labels, &mut self.scratch);
            if fit > Fit::No && (!job.has_several_origins(labels) || self.seen.insert(labels.fingerprint())) {
                self.matches.add(fit, Became::Target, Place { entry, ..first });
            }
        }
        ControlFlow::Continue(())
    }

    /// Breaks when the time is over.
    fn look_for_like(&mut self, job: &JobView, block: BlockView<'_>, is_over: IsOver<'_>) -> ControlFlow<()> {
        for (at, entry) in block.entries().iter().enumerate() {
            if is_time_to_ask(at, FINAL) {
                self.ask(0, is_over)?;
            }
            if let (Entry::Active(labels), Some(similar)) = (entry, &mut self.similar) {
                similar.consider(Target(labels).address(), &job.spec().name, Became::Target);
            }
        }
        ControlFlow::Continue(())
    }

    /// What is a target is looked at by its final labels and, where these have no such name, by its discovered ones. Breaks when
    /// the time is over.
    fn look_at_discovered(
        &mut self,
        job: &JobView,
        block: BlockView<'_>,
        first: Place,
        is_over: IsOver<'_>,
    ) -> ControlFlow<()> {
        let entries = block.entries();
        let is_touched_by_job = match self.is_touched_by_job {
            Some(known) => known,
            None => *self.is_touched_by_job.insert(is_touched_by(job, &self.search, &mut self.scratch)),
        };
        let mut walk = block.walk();
        let is_touched = is_touched_by_job || self.search.is_touched_by(walk.text(), &mut self.scratch);
        let (asks_for_hints, asks_for_like) =
            (self.hints.is_asking() && !self.matches.has_whole(), self.similar.is_some() && self.matches.is_empty());
        if !is_touched && !asks_for_hints && !asks_for_like {
            self.looked += entries.len();
            return ControlFlow::Continue(());
        }
        let mut labels = Builder::new();
        for (at, entry) in entries.iter().enumerate() {
            if is_time_to_ask(at, DISCOVERED) && self.ask(0, is_over).is_break() {
                self.looked += at;
                return ControlFlow::Break(());
            }
            let Some(raw) = walk.next_entry() else { break };
            if !is_touched && !asks_for_hints && matches!(entry, Entry::Active(_)) {
                continue;
            }
            raw.load(&mut labels);
            job.spec().add_defaults(&mut labels);
            self.look_at_entry(job, entry, &labels, is_touched, Place { entry: at, ..first });
        }
        self.looked += entries.len();
        ControlFlow::Continue(())
    }

    fn look_at_entry(&mut self, job: &JobView, entry: &Entry, discovered: &Builder, is_touched: bool, place: Place) {
        let became = Became::of(entry);
        if self.hints.is_asking() && !self.matches.has_whole() {
            self.hints.consider(discovered.iter());
        }
        match entry {
            Entry::Active(labels) if is_touched => {
                let fit = self.search.fit(labels.iter().chain(discovered.iter()), &mut self.scratch);
                let before = self.search.fit_of(labels, &mut self.scratch);
                if fit != before {
                    self.matches.take_back(before, became, place);
                    if fit > Fit::No && (!job.has_several_origins(labels) || self.seen.insert(labels.fingerprint())) {
                        self.matches.add(fit, became, place);
                    }
                }
            }
            Entry::Active(_) => {}
            Entry::Dropped | Entry::Failed(_) => {
                if let Some(similar) = self.similar.as_mut().filter(|_| self.matches.is_empty()) {
                    similar.consider(discovered.get(ADDRESS), &job.spec().name, became);
                }
                if is_touched {
                    self.matches.add(self.search.fit(discovered.iter(), &mut self.scratch), became, place);
                }
            }
        }
    }

    /// Settles on what is told, and says what comes then.
    fn choose(&mut self) -> Stage {
        self.chosen = self.matches.chosen();
        for place in &self.chosen.places {
            if let Some(labels) = self.target(*place) {
                let (labels, address) = (labels.clone(), Target(labels).address().to_owned());
                let url = url(&labels, &self.jobs[place.job]);
                self.by_address.entry(address).or_default().push(*place);
                self.relatives.insert(*place, Relatives::of(labels, url));
            }
        }
        self.wanted = (0..self.jobs.len()).collect();
        if self.by_address.is_empty() { Stage::Done } else { Stage::Relatives }
    }

    fn look_for_relatives(&mut self, job: &JobView, block: BlockView<'_>, first: Place) -> ControlFlow<()> {
        for (entry, found) in block.entries().iter().enumerate() {
            let Entry::Active(labels) = found else { continue };
            let Some(chosen) = self.by_address.get(Target(labels).address()) else { continue };
            let place = Place { entry, ..first };
            for own in chosen.iter().filter(|own| **own != place) {
                if let Some(relatives) = self.relatives.get_mut(own) {
                    relatives.consider(*own, place, job, labels);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The final labels of the target at a place.
    pub(super) fn target(&self, place: Place) -> Option<&Labels> {
        match self.jobs[place.job].block(place.block)?.entries().get(place.entry)? {
            Entry::Active(labels) => Some(labels),
            _ => None,
        }
    }

    /// Whether a job is among those that are searched.
    pub(super) fn searches(&self, job: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == job)
    }
}

impl Relatives {
    fn of(labels: Labels, url: String) -> Self {
        Self { labels, url, origins: Vec::new(), others: Vec::new(), known: HashSet::new() }
    }

    /// Looks at another target with the same address.
    fn consider(&mut self, own: Place, place: Place, job: &JobView, labels: &Labels) {
        if own.job == place.job && self.labels == *labels {
            if self.origins.len() < RELATIVES {
                self.origins.push(place);
            }
        } else if self.others.len() < RELATIVES
            && url(labels, job) == self.url
            && self.known.insert((place.job, labels.fingerprint()))
        {
            self.others.push(place);
        }
    }
}

/// The URL that a target is scraped by.
pub(super) fn url(labels: &Labels, job: &JobView) -> String {
    let mut url = String::new();
    scrape_url(Target(labels), &job.spec().params, &mut url);
    url
}

/// Whether what a job gives to each entry holds something of a search.
fn is_touched_by(job: &JobView, search: &Search, scratch: &mut Scratch) -> bool {
    job.spec().defaults.iter().any(|(_, value)| search.is_touched_by(value.as_bytes(), scratch))
}

/// Whether so many entries of a block were looked at since the time was asked for last.
fn is_time_to_ask(entry: usize, every: usize) -> bool {
    entry > 0 && entry.is_multiple_of(every)
}
