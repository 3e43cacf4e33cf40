//! Writes a journal: appends batches, begins segments, and lets old ones go.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rosterd_model::Labels;
use rosterd_tasks::files::{Lock, in_the_way};
use tokio::time::Instant;

use crate::checkpoint::{self, Beginning};
use crate::medium::{Medium, Place};
use crate::pace::Pace;
use crate::past::{Past, Replay};
use crate::read::Reader;
use crate::record;
use crate::segment::{Extent, NUMBERS, Opened, Segment, Segments, Summary};
use crate::walk::is_begun_at;
use crate::{Batch, Fault, Held, JournalError, Time};

/// How much there is of a journal in memory, at most: a segment more than that, and its checkpoint.
const IN_MEMORY: u64 = 16 << 20;
/// The sizes of segments.
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 32 << 20;
/// A journal has about so many segments when it is as large, or as old, as it may be.
const SEGMENTS: u32 = 16;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What is said of a file that is no segment, where it stays and where it is moved aside.
const DAMAGED: [&str; 2] = ["nothing of it can be read", "nothing of it can be read, moved aside"];
const NEWER: [&str; 2] = ["written by a newer version", "written by a newer version, moved aside"];
const NO_FILE: [&str; 2] = ["it is no file", "it is no file, moved aside"];

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What is older goes, as soon as a whole segment is.
    pub retention: Duration,
    /// How many bytes it may have; the oldest segments go for that, but never the last.
    pub max_size: u64,
}

/// A target of the roster, for a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its job.
    pub job: &'a str,
    /// Its final labels.
    pub labels: &'a Labels,
    /// Why it is held, if it is.
    pub held: Option<Held>,
}

/// What a folder held.
#[derive(Debug)]
pub struct Found {
    /// The roster as it was last; `None` if there is no journal yet.
    pub past: Option<Past>,
    /// What was wrong, and what was done.
    pub faults: Vec<Fault>,
}

/// Writes a journal. There is one of each; it has its folder to itself.
#[derive(Debug)]
pub struct Writer {
    folder: Option<(PathBuf, Lock)>,
    settings: Settings,
    segments: Segments,
    reader: Reader,
    active: Option<Active>,
    next: u64,
    /// Whether the last events before that number are lost.
    is_after_loss: bool,
    /// How far the clock is believed where it says that something is old.
    pace: Pace,
}

/// The segment that is written.
#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    medium: Medium,
    /// Where its checkpoint ends.
    checkpoint: u64,
}

/// Numbers begin where no process before this one can have come to: whoever follows notices when a journal is lost.
fn first_number(now: Time) -> u64 {
    u64::try_from(now.0).unwrap_or_default().saturating_mul(NUMBERS).max(1)
}

impl Writer {
    /// A journal in memory alone.
    pub fn in_memory(settings: Settings, now: Time) -> Self {
        Self::new(None, settings, now)
    }

    fn new(folder: Option<(PathBuf, Lock)>, settings: Settings, now: Time) -> Self {
        let segments = Segments::default();
        let reader = Reader::of(segments.clone());
        let (next, pace) = (first_number(now), Pace::new(now, Instant::now()));
        Self { folder, settings, segments, reader, active: None, next, is_after_loss: false, pace }
    }

    /// Opens the journal of a folder, which is made if need be, and finds out how the roster was last. Damage is no error:
    /// what is whole is used. Fails when another process uses it, or the file system does not let us.
    pub fn open(folder: &Path, settings: Settings, now: Time) -> Result<(Self, Found), JournalError> {
        std::fs::create_dir_all(folder).map_err(io_error(folder))?;
        let path = folder.join("lock");
        let lock = Lock::take(&path).map_err(io_error(&path))?;
        let lock = lock.ok_or_else(|| JournalError::InUse { folder: folder.to_owned() })?;
        let mut writer = Self::new(Some((folder.to_owned(), lock)), settings, now);
        let mut faults = writer.find(folder)?;
        let past = writer.resume().transpose()?;
        writer.pace = Pace::new(writer.newest(now), Instant::now());
        faults.extend(writer.reader.take_faults());
        Ok((writer, Found { past, faults }))
    }

    /// A journal in memory alone that goes on from what a folder has which cannot be written: that is read, and nothing of it is changed.
    /// Fails when it cannot be read either.
    pub fn in_memory_after(folder: &Path, settings: Settings, now: Time) -> Result<(Self, Found), JournalError> {
        let mut writer = Self::in_memory(settings, now);
        let mut faults = writer.find(folder)?;
        let past = writer.resume().transpose()?;
        writer.pace = Pace::new(writer.newest(now), Instant::now());
        faults.extend(writer.reader.take_faults());
        Ok((writer, Found { past, faults }))
    }

    /// Whether the files of the folder are its own, to be changed and removed.
    fn owns_files(&self) -> bool {
        self.folder.is_some()
    }

    /// Finds the segments of a folder.
    fn find(&mut self, folder: &Path) -> Result<Vec<Fault>, JournalError> {
        let listed = std::fs::read_dir(folder).and_then(|all| all.map(|entry| Ok(entry?.path())).collect());
        let mut paths: Vec<PathBuf> = listed.map_err(io_error(folder))?;
        for begun in paths.iter().filter(|path| self.owns_files() && Segment::is_begun(path)) {
            std::fs::remove_file(begun).map_err(io_error(begun))?;
        }
        paths.retain(|path| Segment::is_name(path) || Segment::is_aside(path));
        // Names are numbers of equal length. The newest first: the end of each is where the next begins.
        paths.sort();
        let (mut found, mut faults, mut last) = (Vec::new(), Vec::new(), None);
        for path in paths.iter().rev() {
            if !Segment::is_aside(path) {
                let opened = match in_the_way(path) {
                    Some(_) => None,
                    None => Some(Segment::open(path, last).map_err(io_error(path))?),
                };
                let ([what, moved], why) = match opened {
                    Some(Opened::Segment(segment)) => {
                        last = Some(segment.last_before());
                        found.push(Arc::new(segment));
                        continue;
                    }
                    Some(Opened::Damaged) => (DAMAGED, "damaged"),
                    Some(Opened::Newer) => (NEWER, "newer"),
                    None => (NO_FILE, "damaged"),
                };
                let what = if self.owns_files() { moved } else { what };
                faults.push(Fault { path: path.clone(), what, offset: 0, bytes: 0 });
                if self.owns_files() {
                    std::fs::rename(path, free_name(path, why)).map_err(io_error(path))?;
                }
            }
            // Its events are missing behind those of the one before it.
            self.is_after_loss |= found.is_empty();
            last = last.and_then(|_| Segment::number_in(path)).map(|first| first.saturating_sub(1)).or(last);
        }
        found.reverse();
        self.segments.change(|segments| *segments = found);
        Ok(faults)
    }

    /// The time up to which the journal goes, or now without one. What is more than the retention after all that is before it, or
    /// after now, is of a clock that was wrong.
    fn newest(&self, now: Time) -> Time {
        let segments = self.segments.all();
        let Some(first) = segments.first() else { return now };
        let most = self.settings.retention.max(DAY);
        let last = segments.last().map(|last| end_of(last).newest);
        let times = segments.iter().map(|segment| segment.began).chain(last);
        let follow = |known: Time, time: Time| if time <= known.after(most) { known.max(time) } else { known };
        times.filter(|time| *time <= now).fold(first.began, follow).min(now)
    }

    /// Goes on with the last segment, unless something of it is damaged; what was cut off at its end goes.
    fn resume(&mut self) -> Option<Result<Past, JournalError>> {
        let segment = self.segments.all().last().cloned()?;
        Some(self.resume_in(&segment).map_err(io_error(segment.place.path())).and_then(|past| {
            let mut past = past.map_or_else(|| self.reader.at(None, |_, _| true), Ok)?;
            let extent = segment.extent();
            self.next = self.next.max(past.cursor + 1).max(extent.last + 1);
            if self.is_after_loss {
                past.is_whole = false;
                segment.set_extent(Extent { is_before_loss: true, ..extent });
                return Ok(past);
            }
            // No event has a number between.
            segment.set_extent(Extent { last: self.next - 1, ..extent });
            Ok(past)
        }))
    }

    /// Returns the roster that it leads to, if its checkpoint is whole.
    fn resume_in(&mut self, segment: &Arc<Segment>) -> io::Result<Option<Past>> {
        let medium = segment.place.open()?;
        let mut replay = Replay::new(u64::MAX, &|_: &str, _: &Labels| true);
        let seen = replay.segment(&self.reader, segment, &medium)?;
        let last = seen.last.unwrap_or(segment.first.saturating_sub(1));
        let extent = segment.extent();
        match seen.cut {
            // Not what a process wrote when it was killed.
            Some((offset, bytes)) if !is_begun_at(&medium, offset, extent.length)? => {
                self.reader.note(segment.fault("damaged, passed over", offset, bytes));
                self.is_after_loss = true;
                segment.set_extent(Extent { last, ..extent });
            }
            _ => segment.set_extent(Extent { length: seen.end, last, ..extent }),
        }
        if !replay.is_founded() {
            return Ok(None);
        }
        // On a disk that cannot be written, a segment is begun anew as soon as it can.
        if !seen.is_damaged
            && !self.is_after_loss
            && self.owns_files()
            && let Ok(medium) = segment.place.open_to_write()
            && (seen.cut.is_none() || medium.truncate(seen.end).is_ok())
        {
            self.active = Some(Active { segment: Arc::clone(segment), medium, checkpoint: seen.checkpoint });
        }
        Ok(Some(replay.finish()))
    }

    /// Reads what is written.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// An empty batch, whose events get the next numbers.
    pub fn batch(&self) -> Batch {
        Batch::new(self.next)
    }

    /// Keeps to these settings from now on.
    pub fn set(&mut self, settings: Settings, now: Time) {
        if self.settings != settings {
            self.settings = settings;
            self.prune(now);
        }
    }

    /// Whether it is time for a new segment, of which the caller has to hand over the roster.
    pub fn is_due(&self, now: Time) -> bool {
        let Some(Active { segment, checkpoint, .. }) = &self.active else { return true };
        let Extent { length, .. } = segment.extent();
        let events = length - checkpoint;
        let most = if segment.place.is_memory() { IN_MEMORY } else { self.settings.max_size };
        let full = (most / u64::from(SEGMENTS)).clamp(SMALLEST, LARGEST).max(*checkpoint);
        let step = self.settings.retention / SEGMENTS;
        // A clock that was set back may never come to where it began.
        let old = segment.began <= now.before(step) || segment.began >= now.after(step);
        events >= full || old && segment.has_events()
    }

    /// Whether it writes to memory although it has a folder: the disk failed, and has to be tried again.
    pub fn is_makeshift(&self) -> bool {
        self.folder.is_some() && self.active.as_ref().is_none_or(|active| active.segment.place.is_memory())
    }

    /// Begins a new segment with the roster as it is. Where the disk does not take it, memory does, and why is returned.
    pub fn begin<'a, I: IntoIterator<Item = Target<'a>>>(
        &mut self,
        now: Time,
        roster: impl Fn() -> I,
    ) -> Option<JournalError> {
        self.begin_since(now, now, roster)
    }

    /// The same, where the roster has what events did that are written only now, of which none is older than `since`, which is before
    /// now.
    fn begin_since<'a, I: IntoIterator<Item = Target<'a>>>(
        &mut self,
        now: Time,
        since: Time,
        roster: impl Fn() -> I,
    ) -> Option<JournalError> {
        self.end_active();
        let mut failure = None;
        if let Some((folder, _)) = &self.folder {
            let place = Place::File(Segment::path_in(folder, self.next));
            match self.begin_in(place.clone(), now, since, roster()) {
                Ok(()) => {
                    self.prune(now);
                    return None;
                }
                Err(source) => {
                    // What was written of it is of no use; where that cannot be removed either, the next start does.
                    Place::File(Segment::begun(place.path())).remove().ok();
                    failure = Some(JournalError::Io { path: place.path().to_owned(), source });
                }
            }
        }
        let place = Place::Memory(Arc::new(RwLock::default()));
        self.begin_in(place, now, since, roster()).expect("memory takes what is written");
        self.prune(now);
        failure
    }

    fn begin_in<'a>(
        &mut self,
        place: Place,
        now: Time,
        since: Time,
        roster: impl IntoIterator<Item = Target<'a>>,
    ) -> io::Result<()> {
        let before = self.segments.all().into_iter().rfind(|segment| segment.has_events());
        let is_after_memory = !place.is_memory() && before.is_some_and(|segment| segment.place.is_memory());
        let is_after_loss = self.is_after_loss || is_after_memory;
        let beginning = Beginning { first: self.next, began: now, since: since.min(now), is_after_loss };
        let segment = Segment::new(place, beginning);
        // A file without a whole checkpoint is none of the journal: one that is found was damaged.
        let begun = match &segment.place {
            Place::File(path) => Place::File(Segment::begun(path)),
            memory => memory.clone(),
        };
        let medium = begun.open_to_write()?;
        medium.truncate(0)?;
        medium.write_at(&segment.start(), 0)?;
        let mut extent = segment.extent();
        for (header, raw) in checkpoint::pieces(beginning, roster) {
            let bytes = record::encode(&header, &raw);
            medium.write_at(&bytes, extent.length)?;
            extent.length += bytes.len() as u64;
        }
        if let (Place::File(begun), Place::File(path)) = (&begun, &segment.place) {
            // Under its name it is whole, also after the machine has failed, and stays there.
            medium.sync()?;
            std::fs::rename(begun, path)?;
            segment.place.sync_name()?;
            self.is_after_loss = false;
        }
        segment.set_extent(extent);
        let segment = Arc::new(segment);
        self.segments.change(|segments| {
            // One that has no events yet is begun anew.
            segments.retain(|known| known.first != segment.first);
            segments.push(Arc::clone(&segment));
        });
        self.active = Some(Active { segment, medium, checkpoint: extent.length });
        Ok(())
    }

    /// Writes a batch that [`batch`](Self::batch) began. Readers see it when this returns. Where the disk does not take it,
    /// memory does, with the roster as it is now, and why is returned.
    pub fn append<'a, I: IntoIterator<Item = Target<'a>>>(
        &mut self,
        batch: Batch,
        now: Time,
        roster: impl Fn() -> I,
    ) -> Option<JournalError> {
        if batch.is_empty() {
            return None;
        }
        let (header, raw) = batch.finish();
        let since = header.oldest.min(now.before(Duration::from_millis(1)));
        let mut failure = self.active.is_none().then(|| self.begin_since(now, since, &roster)).flatten();
        let bytes = record::encode(&header, &raw);
        while let Err((path, source)) = self.append_bytes(&bytes, header.last) {
            failure = Some(JournalError::Io { path, source });
            self.active = None;
            self.begin_in(Place::Memory(Arc::new(RwLock::default())), now, since, roster())
                .expect("memory takes what is written");
        }
        self.next = header.last + 1;
        failure
    }

    fn append_bytes(&mut self, bytes: &[u8], last: u64) -> Result<(), (PathBuf, io::Error)> {
        let Active { segment, medium, .. } = self.active.as_ref().expect("a segment was begun");
        let Extent { length, .. } = segment.extent();
        match medium.write_at(bytes, length) {
            Ok(()) => {
                segment.set_extent(Extent { length: length + bytes.len() as u64, last, is_before_loss: false });
                Ok(())
            }
            Err(error) => {
                // Gives back the space of what failed.
                medium.truncate(length).ok();
                Err((segment.place.path().to_owned(), error))
            }
        }
    }

    /// Makes what was written outlive the machine too. Nothing more is written to the segment.
    fn end_active(&mut self) {
        if let Some(Active { medium, .. }) = self.active.take() {
            // What the disk cannot keep is told when it does not take the next.
            medium.sync().ok();
        }
    }

    /// Ends in order: what was written outlives the machine too.
    pub fn close(mut self) {
        self.end_active();
    }

    /// Lets go of all that is too old or too much. A clock that leaps ahead makes nothing old until it has gone on like that for a
    /// while.
    pub fn prune(&mut self, now: Time) {
        let settings = self.settings;
        let believed = self.pace.follow(now, Instant::now(), settings.retention / SEGMENTS);
        let old = too_old(&self.segments.all(), believed, believed.before(settings.retention));
        let gone = self.segments.change(|segments| {
            let mut gone: Vec<_> = segments.drain(..old).collect();
            let total = |segments: &[Arc<Segment>], in_memory: bool| -> u64 {
                let of = segments.iter().filter(|segment| segment.place.is_memory() == in_memory);
                of.map(|segment| segment.extent().length).sum()
            };
            for (in_memory, most) in [(false, settings.max_size), (true, IN_MEMORY.min(settings.max_size))] {
                while total(segments, in_memory) > most
                    && let Some((_, before)) = segments.split_last()
                    && let Some(first) = before.iter().position(|segment| segment.place.is_memory() == in_memory)
                {
                    gone.push(segments.remove(first));
                }
            }
            gone
        });
        for segment in gone.into_iter().filter(|_| self.owns_files()) {
            // One that stays is found at the next start.
            segment.place.remove().ok();
        }
    }
}

/// How many of the first segments are too old. What is later than `believed` is of a clock that was wrong, and tells nothing.
fn too_old(segments: &[Arc<Segment>], believed: Time, oldest: Time) -> usize {
    let is_old = |index: &usize| {
        // The roster of the oldest time that counts is that of a later one.
        let next = segments[index + 1..].iter().map(|next| next.began).find(|began| *began <= believed);
        let ends = [end_of(&segments[*index]).newest, segments[*index].began];
        let end = ends.into_iter().find(|time| *time <= believed);
        next.is_some_and(|next| next <= oldest) && end.is_none_or(|end| end <= oldest)
    };
    (0..segments.len().saturating_sub(1)).take_while(is_old).count()
}

/// What a segment comes to; where it cannot be read, its beginning.
fn end_of(segment: &Segment) -> Summary {
    segment.summary().ok().flatten().unwrap_or_else(|| Summary::beginning(segment.began))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    move |source| JournalError::Io { path: path.to_owned(), source }
}

/// A name that does not exist, beside the old one.
fn free_name(path: &Path, why: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = (0u32..).map(|n| if n == 0 { format!("{name}.{why}") } else { format!("{name}.{why}-{n}") });
    let mut paths = names.map(|name| path.with_file_name(name));
    paths.find(|path| !path.exists()).expect("there are more numbers than files")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl Writer {
        /// The disk takes nothing more of the segment that is written.
        pub(crate) fn fill_disk(&mut self) {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            self.active.as_mut().unwrap().medium = Medium::File(full);
        }
    }
}
