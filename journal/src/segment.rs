//! What is known of a segment, for the writer and all readers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::medium::{Medium, Place};
use crate::walk::{Step, Walk};
use crate::{Fault, Time};

const MAGIC: [u8; 6] = *b"rjourn";
const VERSION: u16 = 1;
/// Magic, version and the number of the first event.
pub(crate) const START: u64 = 16;
const SUFFIX: &str = "segment";

/// A segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) place: Place,
    /// The number of its first event, if it has any.
    pub(crate) first: u64,
    /// The time of its checkpoint.
    pub(crate) began: Time,
    extent: Mutex<Extent>,
}

/// What of a segment was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    /// Where records end.
    pub(crate) length: u64,
    /// The number of the last event; below the first if there is none.
    pub(crate) last: u64,
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
    /// Nothing in it.
    Empty,
    /// Nothing of use in it.
    Damaged,
    /// Written by a later version of rosterd.
    Newer,
}

impl Segment {
    pub(crate) fn new(place: Place, first: u64, began: Time) -> Self {
        let extent = Extent { length: START, last: first.saturating_sub(1) };
        Self { place, first, began, extent: Mutex::new(extent) }
    }

    /// The file of the segment that begins with this number.
    pub(crate) fn path_in(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("{first:020}.{SUFFIX}"))
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

    /// What a process before this one left in a file, as far as its beginning tells. `next` is the number of the first event of
    /// the segment after it.
    pub(crate) fn open(path: &Path, next: Option<u64>) -> io::Result<Opened> {
        let place = Place::File(path.to_owned());
        let medium = place.open()?;
        let length = medium.length()?;
        let mut start = [0; START as usize];
        if !medium.read_at(&mut start, 0)? {
            return Ok(Opened::Empty);
        }
        let known = start[..6] == MAGIC;
        if known && u16::from_le_bytes([start[6], start[7]]) > VERSION {
            return Ok(Opened::Newer);
        }
        // Whatever the first bytes are, by a record behind them it is a segment.
        let Some((first, began)) = first_record(&medium, length)? else {
            return Ok(if known && length == START { Opened::Empty } else { Opened::Damaged });
        };
        let segment = Self::new(place, first, began);
        segment.set_extent(Extent { length, last: next.map_or(first, |next| next.max(1) - 1) });
        Ok(Opened::Segment(segment))
    }
}

fn first_record(medium: &Medium, length: u64) -> io::Result<Option<(u64, Time)>> {
    let mut walk = Walk::new(START, length);
    loop {
        match walk.step(medium)? {
            Step::Record(stored, _) => return Ok(Some((stored.header.first, stored.header.oldest))),
            Step::Damage { .. } => {}
            Step::End => return Ok(None),
        }
    }
}
