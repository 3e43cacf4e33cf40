//! What a queue holds, and where. Pure: the thread that owns the disk is told what to do.
//!
//! Records have growing numbers. Each is in one place: in a [slot](Slots) in memory, also while the disk has it too, or on disk
//! alone. Those below `cursor` are at the front or gone; those from there on wait on disk below `stored`, and in slots above.
//! What leaves a place is done, on disk, dropped and counted, or handed over.

use tokio::time::Instant;

use super::slots::{Slots, Take};
use crate::Counts;
use crate::log::Record;

/// How much a queue keeps in memory, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of bodies at the front of the queue.
    pub(crate) front_bytes: usize,
    /// Records at the front of the queue.
    pub(crate) front_records: usize,
    /// Bytes of all bodies, also of those that the disk has not taken yet.
    pub(crate) bytes: usize,
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
    pub(super) slots: Slots,
    cursor: u64,
    /// All below are on disk, unless they are done or the log dropped them.
    stored: u64,
    /// The log dropped all below.
    gone: u64,
    next_seq: u64,
    /// Generations of lanes of processes before this one.
    epoch_base: u32,
    /// What records on disk alone come to.
    on_disk: Counts,
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
            slots: Slots::default(),
            cursor: 1,
            stored: 1,
            gone: 0,
            next_seq: 1,
            epoch_base: 0,
            on_disk: Counts::default(),
            oldest_on_disk_ms: None,
            bytes_on_disk: 0,
        }
    }

    /// Adds a record; its number is given here. Returns what had to make room.
    pub(super) fn append(&mut self, mut record: Record, now: Instant) -> Dropped {
        record.seq = self.next_seq;
        record.epoch += self.epoch_base;
        self.next_seq += 1;
        self.slots.push(record, now);
        self.advance();
        self.shed()
    }

    /// Neither the receiver nor the disk keeps up: the oldest that is in memory goes.
    fn shed(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        while self.slots.bytes() > self.limits.bytes
            && let Some(oldest) = self.slots.remove_oldest()
        {
            dropped = dropped.plus(oldest);
            self.advance();
        }
        dropped
    }

    fn has_room(&self) -> bool {
        self.slots.front_bytes() < self.limits.front_bytes && self.slots.front() < self.limits.front_records
    }

    /// Lets records to the front whose turn it is.
    fn advance(&mut self) {
        let turn = match self.disk {
            Disk::Absent => true,
            Disk::Opening => false,
            Disk::Open => self.cursor >= self.stored,
        };
        while turn
            && (self.has_room() || self.disk == Disk::Absent)
            && let Some(seq) = self.slots.advance()
        {
            self.cursor = seq + 1;
        }
    }

    /// Records of a queue before this one come first. Only good before the log is open.
    pub(super) fn prepend(&mut self, rest: Vec<Record>, now: Instant) {
        let base = rest.iter().map(|record| record.epoch).max().unwrap_or(0);
        let meanwhile = self.slots.take_from(0);
        self.epoch_base = base;
        let later = |mut record: Record| {
            record.epoch += base;
            record
        };
        rest.into_iter().chain(meanwhile.into_iter().map(later)).for_each(|record| self.slots.push(record, now));
        self.number_from(1, 0);
    }

    fn number_from(&mut self, first: u64, epoch: u32) {
        let mut next = first;
        self.slots.renumber(|record| {
            (record.seq, record.epoch) = (next, record.epoch + epoch);
            next += 1;
        });
        self.next_seq = next;
    }

    /// The log is open: records that came meanwhile follow those that it holds, which come to `left` if there are any.
    pub(super) fn opened(&mut self, next_seq: u64, epoch: u32, left: Option<Counts>) {
        self.disk = Disk::Open;
        self.epoch_base += epoch;
        self.number_from(next_seq, epoch);
        self.stored = next_seq;
        self.on_disk = left.unwrap_or_default();
        // Nothing is known to be below: reading begins at the first record.
        self.cursor = 0;
        if left.is_none() {
            self.skip_to(next_seq);
        }
    }

    /// The log is gone, with what was there alone, which comes to this. What is in memory goes on without one.
    pub(super) fn lost_log(&mut self) -> Dropped {
        let lost = std::mem::take(&mut self.on_disk);
        self.bytes_on_disk = 0;
        self.skip_to(self.stored);
        self.gave_up();
        lost
    }

    /// There is no log after all.
    pub(super) fn gave_up(&mut self) {
        self.disk = Disk::Absent;
        self.advance();
    }

    /// From which number on the log is to be read, and how many bytes, if there is room.
    pub(super) fn wanted(&self) -> Option<(u64, usize)> {
        let half = self.slots.front_bytes() < self.limits.front_bytes / 2
            && self.slots.front() < self.limits.front_records / 2;
        let wanted = self.disk == Disk::Open && self.cursor < self.stored && half;
        wanted.then_some((self.cursor, self.limits.front_bytes / 2))
    }

    /// Takes what was read. Records below `next` that are not among them are acknowledged, or damaged: those come to `lost`.
    pub(super) fn loaded(&mut self, records: Vec<Record>, next: u64, lost: Counts, now: Instant) {
        let (cursor, stored) = (self.cursor, self.stored);
        let new: Vec<_> = records.into_iter().filter(|record| (cursor..stored).contains(&record.seq)).collect();
        self.on_disk = new.iter().fold(self.on_disk.minus(lost), |left, record| left.minus(record.head.counts));
        self.slots.load(new.into_iter(), now);
        self.skip_to(next.min(stored));
    }

    /// Nothing below this number waits on disk alone.
    fn skip_to(&mut self, next: u64) {
        self.cursor = self.cursor.max(next);
        if self.cursor >= self.stored {
            self.oldest_on_disk_ms = None;
            self.on_disk = Counts::default();
        }
        self.advance();
    }

    /// What the disk is to take now: what has waited since this time.
    pub(super) fn to_write(&self, since: Instant, most: usize) -> Vec<Record> {
        let due = self.slots.from(self.stored).take_while(|(_, from)| *from <= since).take(most);
        if self.disk == Disk::Open { due.map(|(record, _)| record.clone()).collect() } else { Vec::new() }
    }

    /// Since when the first record waits for the disk.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.slots.from(self.stored).next().map(|(_, since)| since)
    }

    /// All records up to this number are on disk, where those wait that are not at the front.
    pub(super) fn written(&mut self, last: u64) {
        self.on_disk = self.on_disk.plus(self.slots.leave_to_disk(last));
        self.stored = self.stored.max(last + 1);
    }

    /// The log dropped its records up to this number; those that were only there come to `lost`.
    pub(super) fn dropped(&mut self, last: u64, lost: Counts) -> Dropped {
        self.on_disk = self.on_disk.minus(lost);
        self.gone = self.gone.max(last + 1);
        let dropped = lost.plus(self.slots.remove_below(last + 1, false));
        self.skip_to(last + 1);
        dropped
    }

    /// What is sent next; drops what is too old for the queue.
    pub(super) fn take(&mut self, now: Instant, now_ms: i64) -> (Take, Dropped) {
        let mut dropped = Dropped::default();
        let limit = now_ms - self.limits.max_age_ms;
        loop {
            match self.slots.take(now) {
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
        self.slots.done(seq);
        self.advance();
    }

    /// The position for the log: all below is done, and these others.
    pub(super) fn position(&self) -> (u64, Vec<u64>) {
        let base = self.slots.first().map_or(self.cursor, |first| first.seq);
        (base, self.slots.done_beyond().collect())
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What is not done.
    pub(super) fn pending(&self) -> Counts {
        self.slots.counts().plus(self.on_disk)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.cursor >= self.stored && self.disk != Disk::Opening
    }

    /// When the batch that waits longest was made, by the newest timestamp in it: a target may give its samples timestamps that
    /// were old when they came.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let front = self.slots.first().map(|record| record.head.newest_ms);
        front.or(self.oldest_on_disk_ms).or_else(|| self.slots.behind().map(|record| record.head.newest_ms))
    }

    /// Whether records wait on disk, and not in memory.
    pub(super) fn has_backlog(&self) -> bool {
        self.cursor < self.stored
    }

    /// Gives away everything that is not on disk, in order, because the queue has ended. What the log has dropped was only
    /// there because it was under way, and goes with it.
    pub(super) fn hand_over(&mut self) -> (Vec<Record>, Dropped) {
        let stored = if self.disk == Disk::Open { self.stored } else { 0 };
        let rest = self.slots.take_from(stored);
        (rest, self.slots.remove_below(self.gone, true))
    }
}
