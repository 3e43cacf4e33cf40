//! What a queue holds, and where. Pure: the thread that owns the disk is told what to do.
//!
//! Records have growing numbers. Those below `cursor` are in the window or gone; those from there on wait in the log on disk
//! below `stored`, and in `unwritten` above.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::window::{Take, Window};
use crate::Counts;
use crate::log::Record;

/// How much a queue keeps in memory, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of bodies at the front of the queue.
    pub(crate) window_bytes: usize,
    /// Records at the front of the queue.
    pub(crate) window_records: usize,
    /// Bytes of bodies that the disk has not taken yet.
    pub(crate) unwritten_bytes: usize,
    /// Older records are dropped; 0 keeps all.
    pub(crate) max_age_ms: i64,
}

/// Where records go besides memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Nowhere.
    Absent,
    /// To a log that is not open yet: its records come first.
    Opening,
    /// To a log.
    Open,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) limits: Limits,
    pub(super) window: Window,
    /// What the disk has not taken, and since when it waits.
    unwritten: VecDeque<(Record, Instant)>,
    unwritten_bytes: usize,
    cursor: u64,
    stored: u64,
    next_seq: u64,
    /// Generations of lanes of processes before this one.
    epoch_base: u32,
    /// What records from `cursor` on come to.
    beyond: Counts,
    /// What records in the window come to.
    inside: Counts,
    /// The oldest timestamp on disk, if records wait only there.
    pub(super) oldest_on_disk_ms: Option<i64>,
    pub(super) bytes_on_disk: u64,
}

/// What had to go.
pub(super) type Dropped = Counts;

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            disk: Disk::Opening,
            limits,
            window: Window::default(),
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            cursor: 1,
            stored: 1,
            next_seq: 1,
            epoch_base: 0,
            beyond: Counts::default(),
            inside: Counts::default(),
            oldest_on_disk_ms: None,
            bytes_on_disk: 0,
        }
    }

    /// Adds a record; its number is given here. Returns what had to make room.
    pub(super) fn append(&mut self, mut record: Record, now: Instant) -> Dropped {
        record.seq = self.next_seq;
        record.epoch += self.epoch_base;
        self.next_seq += 1;
        let mut dropped = Dropped::default();
        match self.disk {
            Disk::Absent => {
                while !self.window.is_empty()
                    && !self.has_room()
                    && let Some(oldest) = self.window.remove_oldest()
                {
                    self.inside = self.inside.minus(oldest.head.counts);
                    dropped = dropped.plus(oldest.head.counts);
                }
                self.enter(record);
            }
            Disk::Open if self.cursor == record.seq && self.has_room() => {
                self.keep(record.clone(), now);
                self.enter(record);
            }
            Disk::Open | Disk::Opening => {
                self.beyond = self.beyond.plus(record.head.counts);
                self.keep(record, now);
            }
        }
        dropped.plus(self.shed())
    }

    fn enter(&mut self, record: Record) {
        self.cursor = record.seq + 1;
        self.inside = self.inside.plus(record.head.counts);
        self.window.push(record);
    }

    fn keep(&mut self, record: Record, now: Instant) {
        self.unwritten_bytes += record.body.len();
        self.unwritten.push_back((record, now));
    }

    /// The disk does not keep up: the oldest of what it has not taken goes. What is in the window too is not lost by that.
    fn shed(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        while self.unwritten_bytes > self.limits.unwritten_bytes
            && self.unwritten.len() > 1
            && let Some((oldest, _)) = self.unwritten.pop_front()
        {
            self.unwritten_bytes -= oldest.body.len();
            if oldest.seq >= self.cursor {
                self.beyond = self.beyond.minus(oldest.head.counts);
                dropped = dropped.plus(oldest.head.counts);
            }
        }
        dropped
    }

    fn has_room(&self) -> bool {
        self.window.bytes() < self.limits.window_bytes && self.window.len() < self.limits.window_records
    }

    /// Records of a queue before this one come first. Only good before the log is open.
    pub(super) fn prepend(&mut self, rest: Vec<Record>, now: Instant) {
        self.epoch_base = rest.iter().map(|record| record.epoch).max().unwrap_or(0);
        let meanwhile = std::mem::take(&mut self.unwritten);
        self.beyond = rest.iter().fold(self.beyond, |all, record| all.plus(record.head.counts));
        for record in rest {
            self.keep(record, now);
        }
        self.unwritten.extend(meanwhile.into_iter().map(|(mut record, since)| {
            record.epoch += self.epoch_base;
            (record, since)
        }));
        self.number_from(1);
    }

    fn number_from(&mut self, first: u64) {
        self.next_seq = first;
        for (record, _) in &mut self.unwritten {
            record.seq = self.next_seq;
            self.next_seq += 1;
        }
    }

    /// The log is open: records that came meanwhile follow those that it holds.
    pub(super) fn opened(&mut self, next_seq: u64, epoch: u32, left: Counts) {
        self.disk = Disk::Open;
        self.epoch_base += epoch;
        self.unwritten.iter_mut().for_each(|(record, _)| record.epoch += epoch);
        self.number_from(next_seq);
        // Nothing is known to be below: reading begins at the first record.
        self.cursor = 0;
        self.stored = next_seq;
        self.beyond = self.beyond.plus(left);
        if left == Counts::default() {
            self.skip_to(next_seq);
        }
    }

    /// There is no log after all.
    pub(super) fn gave_up(&mut self) {
        self.disk = Disk::Absent;
        self.unwritten_bytes = 0;
        for (record, _) in std::mem::take(&mut self.unwritten) {
            if record.seq >= self.cursor {
                self.beyond = self.beyond.minus(record.head.counts);
                self.enter(record);
            }
        }
    }

    /// From which number on the log is to be read, and how many bytes, if there is room.
    pub(super) fn wanted(&self) -> Option<(u64, usize)> {
        let half =
            self.window.bytes() < self.limits.window_bytes / 2 && self.window.len() < self.limits.window_records / 2;
        let wanted = self.disk == Disk::Open && self.cursor < self.stored && half;
        wanted.then_some((self.cursor, self.limits.window_bytes / 2))
    }

    /// Takes what was read. Records below `next` that are not among them are acknowledged or damaged.
    pub(super) fn loaded(&mut self, records: Vec<Record>, next: u64) {
        let cursor = self.cursor;
        for record in records.into_iter().filter(|record| record.seq >= cursor) {
            self.beyond = self.beyond.minus(record.head.counts);
            self.enter(record);
        }
        self.skip_to(next.min(self.stored));
    }

    /// Nothing below this number waits outside of the window.
    fn skip_to(&mut self, next: u64) {
        self.cursor = self.cursor.max(next);
        if self.cursor >= self.stored {
            self.oldest_on_disk_ms = None;
            // What was lost in between is forgotten here.
            let waiting = self.unwritten.iter().filter(|(record, _)| record.seq >= self.cursor);
            self.beyond = waiting.fold(Counts::default(), |all, (record, _)| all.plus(record.head.counts));
        }
        self.enter_unwritten();
    }

    /// What the disk has not taken enters the window when its turn comes.
    fn enter_unwritten(&mut self) {
        if self.disk != Disk::Open || self.cursor < self.stored {
            return;
        }
        let first = self.unwritten.partition_point(|(record, _)| record.seq < self.cursor);
        for index in first..self.unwritten.len() {
            if !self.has_room() {
                break;
            }
            let record = self.unwritten[index].0.clone();
            self.beyond = self.beyond.minus(record.head.counts);
            self.enter(record);
        }
    }

    /// What the disk is to take now: what has waited since this time.
    pub(super) fn to_write(&self, since: Instant, most: usize) -> Vec<Record> {
        let due = self.unwritten.iter().take_while(|(_, from)| *from <= since).take(most);
        if self.disk == Disk::Open { due.map(|(record, _)| record.clone()).collect() } else { Vec::new() }
    }

    /// Since when the first record waits for the disk.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.unwritten.front().map(|(_, since)| *since)
    }

    /// All records up to this number are on disk.
    pub(super) fn written(&mut self, last: u64) {
        while let Some(first) = self.unwritten.pop_front_if(|(record, _)| record.seq <= last) {
            self.unwritten_bytes -= first.0.body.len();
        }
        self.stored = self.stored.max(last + 1);
    }

    /// The log dropped its records up to this number; those that were only there come to `lost`.
    pub(super) fn dropped(&mut self, last: u64, lost: Counts) -> Dropped {
        self.beyond = self.beyond.minus(lost);
        let mut all = lost;
        for record in self.window.remove(|record| record.seq <= last) {
            self.inside = self.inside.minus(record.head.counts);
            all = all.plus(record.head.counts);
        }
        self.skip_to(last + 1);
        all
    }

    /// What is sent next; drops what is too old for the queue.
    pub(super) fn take(&mut self, now: Instant, now_ms: i64) -> (Take, Dropped) {
        let mut dropped = Dropped::default();
        let limit = now_ms - self.limits.max_age_ms;
        loop {
            match self.window.take(now) {
                Take::Flight(flight) if self.limits.max_age_ms > 0 && flight.record.head.newest_ms < limit => {
                    dropped = dropped.plus(flight.record.head.counts);
                    self.done(flight.record.seq);
                }
                take => return (take, dropped),
            }
        }
    }

    /// A record need not be sent again.
    pub(super) fn done(&mut self, seq: u64) {
        self.inside = self.inside.minus(self.window.done(seq).unwrap_or_default());
        // It need not be written either.
        if let Ok(index) = self.unwritten.binary_search_by_key(&seq, |(record, _)| record.seq)
            && let Some((record, _)) = self.unwritten.remove(index)
        {
            self.unwritten_bytes -= record.body.len();
        }
        self.enter_unwritten();
    }

    /// A record was changed before it is sent again.
    pub(super) fn replace(&mut self, record: &Record) {
        if let Some(before) = self.window.replace(record) {
            self.inside = self.inside.minus(before).plus(record.head.counts);
        }
    }

    /// The position for the log: all below is done, and these others.
    pub(super) fn position(&self) -> (u64, Vec<u64>) {
        let base = self.window.first().map_or(self.cursor, |first| first.seq);
        (base, self.window.done_beyond().collect())
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What is not done.
    pub(super) fn pending(&self) -> Counts {
        self.inside.plus(self.beyond)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.window.is_empty() && self.cursor >= self.stored && self.unwritten.is_empty() && self.disk != Disk::Opening
    }

    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let inside = self.window.first().map(|record| record.head.oldest_ms);
        inside.or(self.oldest_on_disk_ms).or_else(|| self.unwritten.front().map(|(record, _)| record.head.oldest_ms))
    }

    pub(super) fn bytes_in_memory(&self) -> usize {
        self.window.bytes() + self.unwritten_bytes
    }

    /// Whether records wait on disk, and not in memory.
    pub(super) fn has_backlog(&self) -> bool {
        self.cursor < self.stored
    }

    /// What the disk has not taken and will not, because the queue is closed.
    pub(super) fn unwritten(&self) -> Counts {
        self.unwritten.iter().fold(Counts::default(), |all, (record, _)| all.plus(record.head.counts))
    }

    /// Everything that is left, in order, for a queue without a disk.
    pub(super) fn rest(&self) -> Vec<Record> {
        self.window.open().cloned().collect()
    }
}
