//! What is known of a segment, for the writer and all readers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::checkpoint::Beginning;
use crate::medium::{Medium, Place};
use crate::record::{Content, Header, Stored};
use crate::walk::{Step, Walk};
use crate::{Fault, JournalError, Time};

const MAGIC: [u8; 6] = *b"rjourn";
const VERSION: u16 = 1;
/// Magic, version and the number of the first event.
pub(crate) const START: u64 = 16;
/// So many numbers are there for each millisecond, of which the first number of a journal tells.
pub(crate) const NUMBERS: u64 = 1024;
/// So long after that its first segment is begun, at most; others are by far later.
const AT_FIRST: Duration = Duration::from_secs(60);
const SUFFIX: &str = "segment";
/// What the name of one ends in before it has its checkpoint.
const BEGUN: &str = "begun";

/// A segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) place: Place,
    /// The number of its first event, if it has any.
    pub(crate) first: u64,
    /// The time of its checkpoint.
    pub(crate) began: Time,
    /// Where it is before that, the checkpoint has what events did that are behind it, of which none is older.
    since: Time,
    /// Whether events before it were in memory alone, or lost.
    is_after_loss: bool,
    extent: Mutex<Extent>,
    summary: Mutex<Summary>,
}

/// What of a segment was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    /// Where records end.
    pub(crate) length: u64,
    /// The number of the last event; below the first if there is none.
    pub(crate) last: u64,
    /// Whether events behind it are lost, of how many is not known.
    pub(crate) is_before_loss: bool,
}

/// What the records of a segment come to, as far as somebody looked at them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// Up to where that was.
    covered: u64,
    /// No event is older. Of what is damaged nobody knows.
    pub(crate) oldest: Time,
    /// The time of what stands last.
    pub(crate) newest: Time,
    /// The number of the last event that was written together with the first.
    first_batch: Option<u64>,
}

impl Summary {
    /// Of one that has nothing yet.
    pub(crate) fn beginning(began: Time) -> Self {
        Self { covered: START, oldest: Time(i64::MAX), newest: began, first_batch: None }
    }

    fn add(&mut self, header: &Header) {
        self.newest = header.newest;
        if header.content == Content::Events {
            self.oldest = self.oldest.min(header.oldest);
            self.first_batch.get_or_insert(header.last);
        }
    }
}

/// All segments, the oldest first. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segments(Arc<RwLock<Vec<Arc<Segment>>>>);

impl Segments {
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    Segment(Segment),
    /// Nothing of use in it.
    Damaged,
    /// Written by a later version of rosterd.
    Newer,
}

impl Segment {
    pub(crate) fn new(place: Place, beginning: Beginning) -> Self {
        let Beginning { first, began, since, is_after_loss } = beginning;
        let extent = Extent { length: START, last: first.saturating_sub(1), is_before_loss: false };
        let (extent, summary) = (Mutex::new(extent), Mutex::new(Summary::beginning(began)));
        Self { place, first, began, since, is_after_loss, extent, summary }
    }

    /// Whether it has an event.
    pub(crate) fn has_events(&self) -> bool {
        self.extent().last >= self.first
    }

    /// The number of the last event that may be before it on disk. Where there were others, one number belongs to nobody, by
    /// which it is seen that they are missing.
    pub(crate) fn last_before(&self) -> u64 {
        self.first.saturating_sub(1 + u64::from(self.is_after_loss))
    }

    /// Opens it; `None` when it is gone meanwhile.
    pub(crate) fn opened(&self) -> Result<Option<Medium>, JournalError> {
        match self.place.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(self.failure()),
        }
    }

    /// The failure to read it.
    pub(crate) fn failure(&self) -> impl Fn(io::Error) -> JournalError + use<> {
        let path = self.place.path().to_owned();
        move |source| JournalError::Io { path: path.clone(), source }
    }

    /// What its records come to; `None` when it is gone meanwhile. Looks at each of them once.
    pub(crate) fn summary(&self) -> Result<Option<Summary>, JournalError> {
        let length = self.extent().length;
        let mut summary = *self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        if summary.covered >= length {
            return Ok(Some(summary));
        }
        let Some(medium) = self.opened()? else { return Ok(None) };
        let mut walk = Walk::new(summary.covered, length);
        loop {
            match walk.step(&medium).map_err(self.failure())? {
                Step::Record(stored, _) => summary.add(&stored.header),
                Step::Damage { .. } => summary.oldest = Time(i64::MIN),
                Step::End => break,
            }
        }
        summary.covered = length;
        let mut known = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        if known.covered < length {
            *known = summary;
        }
        Ok(Some(summary))
    }

    /// Whether its checkpoint has what events did that come after this one, which is the last of a time.
    pub(crate) fn knows_later(&self, time: Time, until: u64) -> Result<bool, JournalError> {
        if self.since >= self.began {
            return Ok(false);
        }
        let batch = self.summary()?.and_then(|summary| summary.first_batch);
        Ok(time < self.began || batch.unwrap_or(u64::MAX) > until)
    }

    /// Whether events are missing between this one and the next.
    pub(crate) fn is_hole_before(&self, next: &Self) -> bool {
        self.extent().last.saturating_add(1) < next.first
    }

    /// Whether the journal was begun with it, as its number says: what was written before, if anything, was another journal.
    pub(crate) fn is_very_first(&self) -> bool {
        let begun = i64::try_from(self.first / NUMBERS).unwrap_or(i64::MAX);
        self.began < Time(begun).after(AT_FIRST)
    }

    /// The file of the segment that begins with this number.
    pub(crate) fn path_in(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("{first:020}.{SUFFIX}"))
    }

    /// The number in the name of a file, of one that was moved aside too.
    pub(crate) fn number_in(path: &Path) -> Option<u64> {
        path.file_name()?.to_str()?.split('.').next()?.parse().ok()
    }

    /// Whether a file was moved aside, for which its name goes on.
    pub(crate) fn is_aside(path: &Path) -> bool {
        path.file_stem().is_some_and(|name| Self::is_name(Path::new(name)))
    }

    /// Where the file is called otherwise until its checkpoint is whole.
    pub(crate) fn begun(path: &Path) -> PathBuf {
        path.with_extension(BEGUN)
    }

    pub(crate) fn is_begun(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == BEGUN)
    }

    pub(crate) fn is_name(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == SUFFIX)
    }

    /// The bytes that it begins with.
    pub(crate) fn start(&self) -> Vec<u8> {
        let mut start = Vec::from(MAGIC);
        start.extend(VERSION.to_le_bytes());
        start.extend(self.first.to_le_bytes());
        start
    }

    pub(crate) fn extent(&self) -> Extent {
        *self.locked()
    }

    /// Readers see it from now on.
    pub(crate) fn set_extent(&self, extent: Extent) {
        *self.locked() = extent;
    }

    fn locked(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part of it is of no use.
    pub(crate) fn fault(&self, what: &'static str, offset: u64, bytes: u64) -> Fault {
        Fault { path: self.place.path().to_owned(), what, offset, bytes }
    }

    /// What a process before this one left in a file, as far as its beginning tells. `last` is the number of its last event, as
    /// far as the segment after it tells.
    pub(crate) fn open(path: &Path, last: Option<u64>) -> io::Result<Opened> {
        let place = Place::File(path.to_owned());
        let medium = place.open()?;
        let length = medium.length()?;
        let mut start = [0; START as usize];
        if !medium.read_at(&mut start, 0)? {
            return Ok(Opened::Damaged);
        }
        let known = start[..6] == MAGIC;
        if known && u16::from_le_bytes([start[6], start[7]]) > VERSION {
            return Ok(Opened::Newer);
        }
        // Whatever the first bytes are, by a record behind them it is a segment.
        let Some(mut beginning) = beginning(&medium, length)? else {
            return Ok(Opened::Damaged);
        };
        // Events before the first record that is whole are missing, and not of the segment before.
        beginning.first = Self::number_in(path).unwrap_or(beginning.first).min(beginning.first);
        let segment = Self::new(place, beginning);
        segment.set_extent(Extent { length, last: last.unwrap_or(segment.first), ..segment.extent() });
        Ok(Opened::Segment(segment))
    }
}

fn beginning(medium: &Medium, length: u64) -> io::Result<Option<Beginning>> {
    let mut walk = Walk::new(START, length);
    loop {
        match walk.step(medium)? {
            Step::Record(Stored { header, .. }, _) => {
                let Header { first, newest: began, is_after_loss, .. } = header;
                let (began, since) = match header.content {
                    // What is damaged before a piece is another piece.
                    Content::Checkpoint => (began, header.oldest),
                    // Nobody knows what stood before.
                    Content::Events => (header.oldest, Time(i64::MIN)),
                };
                return Ok(Some(Beginning { first, began, since, is_after_loss }));
            }
            Step::Damage { .. } => {}
            Step::End => return Ok(None),
        }
    }
}
