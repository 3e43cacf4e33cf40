//! The log as a whole: which segments there are, where reading is, and what to delete.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rosterd_tasks::files::{Lock, in_the_way};

use super::Record;
use super::place::{LOCK, LogError, POSITION, PROBE, io_error, is_there, lock};
use super::position::{Position, Read};
use super::reader::{self, Reader};
use super::segment::{Opened, START, Scan, Segment};
use super::walk::{Step, Walk, is_unreadable};
use crate::{Counts, private};

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// When a segment is complete.
    pub(crate) segment_bytes: u64,
}

/// A log in a folder, locked for this process as long as this lives.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    settings: Settings,
    segments: VecDeque<Segment>,
    /// The file of the last segment, if it takes records. Those of a process before this one do not.
    active: Option<File>,
    position: Position,
    position_file: File,
    /// Where reading goes on.
    pub(super) reader: Option<Reader>,
    _lock: Lock,
}

/// What a log held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct OpenedLog {
    /// No record has this number or a higher one.
    pub(crate) next_seq: u64,
    /// The highest generation of lanes.
    pub(crate) epoch: u32,
    /// What is not acknowledged.
    pub(crate) left: Counts,
    /// How many records that is.
    pub(crate) records: u64,
    /// What was wrong.
    pub(crate) faults: Vec<Fault>,
}

/// Something on disk was not as it was written. It was dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) path: PathBuf,
    /// What was wrong and what was done.
    pub(crate) what: &'static str,
    /// How many records were lost at most, as far as that is known.
    pub(crate) batches: u64,
    /// What was lost, as far as that is known.
    pub(crate) lost: Counts,
    /// How many bytes were of no use.
    pub(crate) bytes: u64,
}

/// What became of the files of a log that is open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are there.
    Whole,
    /// Somebody removed what is known here, and it is there again.
    Restored(Fault),
    /// Somebody removed what it is kept in: nobody will find there what is written to it.
    Gone,
}

/// Whether nothing of a log is left to send, and no process has it open. What was moved aside is not looked at: as long as it
/// is there, the log is not spent.
pub(crate) fn is_spent(folder: &Path) -> bool {
    let names = [LOCK, POSITION, PROBE, "endpoint", "endpoint.new", "receiver"];
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    let known = |path: &PathBuf| {
        Segment::is_name(path) || path.file_name().is_some_and(|name| names.iter().any(|known| name == *known))
    };
    // Without its position all of it is left, and whoever opens it has to see that this is missing.
    let all_left = paths.iter().any(|path| Segment::is_name(path)) && !folder.join(POSITION).exists();
    if all_left || !paths.iter().all(known) {
        return false;
    }
    let opened = Log::open(folder, Settings { segment_bytes: u64::MAX });
    opened.is_ok_and(|(_, found)| found.records == 0 && found.faults.is_empty())
}

impl Log {
    /// Opens a log, or begins one. Damage is no error: whatever is whole is used.
    pub(crate) fn open(folder: &Path, settings: Settings) -> Result<(Self, OpenedLog), LogError> {
        let lock = lock(folder)?;
        let mut found = OpenedLog::default();
        let path = folder.join(POSITION);
        let position = open_position(&path, &mut found).map_err(io_error(&path))?;
        let is_missing = position.is_none();
        let position_file = private::options().open(&path);
        let mut log = Self {
            folder: folder.to_owned(),
            settings,
            segments: VecDeque::new(),
            active: None,
            position: position.unwrap_or_else(|| Position::at(0)),
            position_file: position_file.map_err(io_error(&path))?,
            reader: None,
            _lock: lock,
        };
        log.find_segments(&mut found)?;
        if is_missing && found.records > 0 {
            let what = "it is missing or empty: all that is there is sent, also what was sent before";
            found.faults.push(log.fault_of_position(what));
        }
        if is_missing {
            // From now on it says something: where nothing stands in it, somebody took that away. On a full disk it comes later.
            log.position.write(&log.position_file).ok();
        }
        // The end of the log may be damaged, and records that were there acknowledged.
        found.next_seq = log.segments.back().map_or(0, |last| last.last + 1).max(log.position.end()).max(1);
        Ok((log, found))
    }

    fn find_segments(&mut self, found: &mut OpenedLog) -> Result<(), LogError> {
        let listed = std::fs::read_dir(&self.folder).and_then(|all| {
            all.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>() //
        });
        let mut paths = listed.map_err(io_error(&self.folder))?;
        paths.retain(|path| Segment::is_name(path));
        // Names are numbers of equal length.
        paths.sort();
        for (index, path) in paths.iter().enumerate() {
            let next = paths.get(index + 1).and_then(|next| Segment::first_of(next));
            self.find_segment(path, next, found).map_err(io_error(path))?;
        }
        Ok(())
    }

    fn find_segment(&mut self, path: &Path, next: Option<u64>, found: &mut OpenedLog) -> io::Result<()> {
        if in_the_way(path).is_some() {
            let batches = next.map(|next| self.position.left(Segment::first_of(path).unwrap_or_default(), next));
            let (batches, lost) = (batches.unwrap_or_default(), Counts::default());
            found.faults.push(Fault { path: path.to_owned(), what: NO_FILE, batches, lost, bytes: 0 });
            return std::fs::rename(path, aside(path, "damaged"));
        }
        let (mut left, mut records) = (Counts::default(), 0);
        let position = &self.position;
        let scan = match Segment::first_of(path) {
            Some(first) if first >= position.end() => Scan::Totals,
            _ => Scan::Headers,
        };
        let opened = Segment::open(path, scan, next.is_none(), |header| {
            if !position.is_acknowledged(header.seq) {
                left = left.plus(header.head.counts);
                records += 1;
            }
        })?;
        // Of a file of which nothing is known but its name and that of the next.
        let gone = next.map(|next| self.position.left(Segment::first_of(path).unwrap_or_default(), next));
        let mut fault = |what: &'static str, batches: u64, bytes: u64| {
            found.faults.push(Fault { path: path.to_owned(), what, batches, lost: Counts::default(), bytes });
        };
        match opened {
            Opened::Empty => {
                let length = path.metadata()?.len();
                // The last one may have been begun just before the process ended.
                if gone.map_or(length != 0 && length != START, |gone| gone > 0) {
                    fault("nothing is left of it, its records are gone", gone.unwrap_or_default(), length);
                }
                std::fs::remove_file(path)?;
            }
            Opened::Torn => std::fs::remove_file(path)?,
            Opened::Damaged => {
                fault("nothing in it can be read, moved aside", gone.unwrap_or_default(), path.metadata()?.len());
                std::fs::rename(path, aside(path, "damaged"))?;
            }
            Opened::Newer => {
                fault("written by a newer version, moved aside", 0, path.metadata()?.len());
                std::fs::rename(path, aside(path, "newer"))?;
            }
            Opened::Segment { segment, damaged_end, damaged_start, torn } => {
                if torn > 0 {
                    // Where that fails, the next process may take it for damage, once it is not the last one any more.
                    segment.cut_off().ok();
                }
                if damaged_start {
                    fault("its start is damaged, its records are used", 0, START);
                }
                if segment.last < self.position.base {
                    if damaged_end > 0 {
                        fault("its end is damaged, and all before that was sent", 0, damaged_end);
                    }
                    return std::fs::remove_file(path);
                }
                found.epoch = found.epoch.max(segment.epoch);
                if let Some(before) = self.segments.back_mut() {
                    // What could not be read of it comes before this one.
                    before.last = before.last.min(segment.first.saturating_sub(1));
                }
                if scan == Scan::Totals {
                    (left, records) = (segment.counts, segment.records);
                }
                found.left = found.left.plus(left);
                found.records += u64::from(records);
                self.segments.push_back(segment);
            }
        }
        Ok(())
    }

    /// Appends a record with a number above all others, or fails and changes nothing.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        let full = |segment: &Segment| {
            segment.length > START && segment.length + record.size() > self.settings.segment_bytes //
        };
        if self.segments.back().is_some_and(full)
            && let (Some(last), Some(file)) = (self.segments.back(), &self.active)
        {
            last.complete(file)?;
            self.active = None;
        }
        if self.active.is_none() {
            let (segment, file) = Segment::create(&self.folder, record)?;
            self.segments.push_back(segment);
            self.active = Some(file);
            self.sync_folder();
        }
        let (Some(last), Some(file)) = (self.segments.back_mut(), &self.active) else {
            return Err(io::Error::other("a segment was made and is not there"));
        };
        let appended = last.append(file, record);
        if appended.is_err() && last.length == START {
            // A segment without a record has no place among the others.
            std::fs::remove_file(&last.path).ok();
            self.segments.pop_back();
            self.active = None;
        }
        appended
    }

    /// Reads records that are not acknowledged, from this number on, until they have so many bytes. Returns how far it
    /// came: all records below were read, acknowledged or damaged; `u64::MAX` at the end. It fails where nothing could be read
    /// at once, and tries the same again the next time.
    pub(crate) fn read(
        &mut self,
        from: u64,
        bytes: usize,
        out: &mut Vec<Record>,
        faults: &mut Vec<Fault>,
    ) -> io::Result<u64> {
        let mut next = from;
        let mut left = bytes as u64;
        loop {
            let reader = self.reader.as_ref();
            let due = reader.and_then(|reader| self.segments.iter().position(|segment| reader.is_due(segment)));
            if left == 0 && due.is_none() {
                return Ok(next);
            }
            let Some(index) = due.or_else(|| self.segments.iter().position(|segment| segment.last >= next)) else {
                self.reader = None;
                return Ok(u64::MAX);
            };
            let segment = &self.segments[index];
            let goes_on = |reader: &Reader| reader.segment == segment.first && reader.next() <= next;
            let reader = match self.reader.take().filter(goes_on) {
                Some(reader) => Ok(reader),
                None => Reader::open(segment),
            };
            let found = match reader {
                Ok(reader) => {
                    let reader = self.reader.insert(reader);
                    let found = reader.step(segment, next, &self.position);
                    next = next.max(reader.next());
                    found
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(reader::NextRecord::Record(record)) => {
                    left = left.saturating_sub(record.size());
                    out.push(record);
                }
                Ok(reader::NextRecord::Nothing) => {}
                Ok(reader::NextRecord::Fault(fault)) => faults.push(fault),
                Ok(reader::NextRecord::End(fault)) => {
                    faults.extend(fault);
                    next = next.max(segment.last + 1);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    faults.push(segment.fault("it is gone", segment.records.into(), segment.counts, segment.length));
                    next = segment.last + 1;
                    self.remove(index)?;
                }
                // What was read before is of use.
                Err(_) if next > from || !faults.is_empty() => return Ok(next),
                Err(error) => return Err(error),
            }
        }
    }

    /// All records below `base` and these others need not be sent again.
    pub(crate) fn acknowledge(&mut self, base: u64, beyond: impl Iterator<Item = u64>) -> io::Result<()> {
        self.position.set(base, beyond);
        // A disk that is too full for this has to get room by what follows.
        let written = self.position.write(&self.position_file);
        while let Some(first) = self.segments.front().filter(|first| first.last < base) {
            // A small one is kept for the records to come.
            let small = first.length < self.settings.segment_bytes / 4;
            if self.segments.len() == 1 && self.active.is_some() && small {
                break;
            }
            self.remove_first()?;
        }
        written
    }

    /// Looks whether somebody removed some of its files. The position is known here, and written anew, so that nothing is sent twice.
    pub(crate) fn look_after(&mut self) -> io::Result<Kept> {
        if self.active.as_ref().is_some_and(is_deleted) {
            // What is in it is found missing when it is read. What follows goes to another one.
            self.active = None;
        }
        let path = self.folder.join(POSITION);
        if !is_deleted(&self.position_file) && is_there(&path) {
            return Ok(Kept::Whole);
        }
        let is_mine = self.segments.is_empty() || self.segments.iter().any(|segment| is_there(&segment.path));
        if !is_mine || !is_there(&self.folder) {
            return Ok(Kept::Gone);
        }
        if !is_there(&self.folder.join(LOCK)) {
            let Ok(lock) = lock(&self.folder) else { return Ok(Kept::Gone) };
            self._lock = lock;
        }
        self.position_file = private::options().truncate(true).open(&path)?;
        self.position.write(&self.position_file)?;
        self.position_file.sync_data()?;
        self.sync_folder();
        let what = "somebody removed it, and it is written anew: nothing is lost, and nothing sent twice";
        Ok(Kept::Restored(self.fault_of_position(what)))
    }

    fn fault_of_position(&self, what: &'static str) -> Fault {
        Fault { path: self.folder.join(POSITION), what, batches: 0, lost: Counts::default(), bytes: 0 }
    }

    /// Finds out whether the disk takes something, where nothing is to be written.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let path = self.folder.join(PROBE);
        let written =
            private::options().truncate(true).open(&path).and_then(|file| file.write_all_at(&vec![0; 64 << 10], 0));
        std::fs::remove_file(&path).ok();
        written
    }

    /// Finds out whether the disk can be read, where nothing is to be read.
    pub(crate) fn probe_reading(&self) -> io::Result<()> {
        let Some(last) = self.segments.back() else { return Ok(()) };
        match File::open(&last.path).and_then(|file| file.read_at(&mut [0; START as usize], 0)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes the oldest segment. Returns the number of its last record, and what records from `cursor` on come to.
    pub(crate) fn drop_oldest(&mut self, cursor: u64) -> io::Result<Option<(u64, Counts)>> {
        let Some(first) = self.segments.front() else { return Ok(None) };
        let lost = if first.last < cursor { Counts::default() } else { self.left_in(first, cursor)? };
        let last = first.last;
        self.remove_first()?;
        Ok(Some((last, lost)))
    }

    /// What the records of a segment come to that are not below `cursor` and not acknowledged.
    fn left_in(&self, segment: &Segment, cursor: u64) -> io::Result<Counts> {
        let file = match File::open(&segment.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(segment.counts),
            file => file?,
        };
        let (mut walk, mut left, mut passed) = (Walk::new(START, segment.length), Counts::default(), Counts::default());
        loop {
            let header = match walk.step(&file) {
                Ok(Step::End) => break,
                Ok(Step::Record(header, _) | Step::Damage(_, Some(header))) => header,
                Ok(Step::Damage(_, None)) => continue,
                Err(error) if is_unreadable(&error) => {
                    walk.skip_unreadable();
                    continue;
                }
                Err(error) => return Err(error),
            };
            passed = passed.plus(header.head.counts);
            if header.seq >= cursor && !self.position.is_acknowledged(header.seq) {
                left = left.plus(header.head.counts);
            }
        }
        // What is damaged was not told, if nothing was read.
        Ok(if cursor <= segment.first { left.plus(segment.counts.minus(passed)) } else { left })
    }

    fn remove_first(&mut self) -> io::Result<()> {
        self.remove(0)
    }

    fn remove(&mut self, index: usize) -> io::Result<()> {
        if let Some(segment) = self.segments.get(index) {
            match std::fs::remove_file(&segment.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.segments.remove(index);
            if index == self.segments.len() {
                self.active = None;
            }
        }
        Ok(())
    }

    /// How many bytes the segments have.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Oldest and newest timestamp of the oldest segment, in milliseconds.
    pub(crate) fn oldest(&self) -> Option<(i64, i64)> {
        self.segments.front().map(|first| (first.oldest_ms, first.newest_ms))
    }

    /// Makes everything outlive the machine too, and deletes what is no longer needed.
    pub(crate) fn close(mut self) -> io::Result<()> {
        while self.segments.front().is_some_and(|first| first.last < self.position.base) {
            self.remove_first()?;
        }
        // Those before are complete.
        if let (Some(last), Some(file)) = (self.segments.back(), &self.active) {
            last.complete(file)?;
        }
        self.position_file.sync_data()?;
        self.sync_folder();
        Ok(())
    }

    /// Some file systems cannot, and need not.
    fn sync_folder(&self) {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).ok();
    }
}

/// What is said of a folder, or whatever else stands where a file has to be.
const NO_FILE: &str = "it is no file, moved aside";

/// Whether an open file has no name any more.
fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

/// Up to where records were sent; `None` if nothing says it, and something should.
fn open_position(path: &Path, found: &mut OpenedLog) -> io::Result<Option<Position>> {
    let fault =
        |what: &'static str| Fault { path: path.to_owned(), what, batches: 0, lost: Counts::default(), bytes: 0 };
    if in_the_way(path).is_some() {
        found.faults.push(fault(NO_FILE));
        std::fs::rename(path, aside(path, "damaged"))?;
    }
    match Position::read(path)? {
        Read::Position { position, is_whole } => {
            if !is_whole {
                found.faults.push(fault("a part of it is damaged: what was sent last may be sent again"));
            }
            return Ok(Some(position));
        }
        Read::Missing => return Ok(None),
        Read::Damaged => {
            found.faults.push(fault("the position is damaged: what is there is sent again"));
            // What can be put right of it would come after the first position that is written now, and would say of
            // records to come that they were sent.
            private::options().truncate(true).open(path)?;
        }
        Read::Newer => {
            found.faults.push(fault("written by a newer version, moved aside"));
            std::fs::rename(path, aside(path, "newer"))?;
        }
    }
    Ok(Some(Position::at(0)))
}

/// A name that does not exist, beside the old one.
fn aside(path: &Path, why: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = (0u32..).map(|n| if n == 0 { format!("{name}.{why}") } else { format!("{name}.{why}-{n}") });
    let mut paths = names.map(|name| path.with_file_name(name));
    paths.find(|path| !path.exists()).expect("there are more numbers than files")
}
