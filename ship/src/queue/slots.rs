//! The records of a queue that are in memory: each in one slot until it is done, dropped, or on disk alone. Pure.
//!
//! Those at the front may be sent. Series keep their order because a lane has one request under way at most, and because a
//! generation of lanes begins only when all records of the one before are done: series of a key may change their lane between
//! the two. Those behind wait for what is on disk before them, or for room.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::Counts;
use crate::log::Record;

/// Records in the order of their numbers. The first one is not done.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: VecDeque<Slot>,
    /// How many of them are at the front, and the bytes of those.
    front: usize,
    front_bytes: usize,
    bytes: usize,
    /// What those that are not done come to.
    counts: Counts,
    /// For [`Slots::take`]: the lanes that have to wait.
    taken: Vec<bool>,
}

#[derive(Debug)]
struct Slot {
    record: Record,
    /// What is sent after the record: it was one with it, and too large.
    after: VecDeque<Record>,
    /// A receiver said so.
    refused: bool,
    state: State,
    attempts: u32,
    /// When it came.
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may be sent; after a failure not before a time.
    Waiting(Option<Instant>),
    Flying,
    /// One before it is not.
    Done,
}

/// A record that is being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) record: Record,
    /// How often it was sent before.
    pub(crate) attempts: u32,
    /// It is a part of what a receiver found too large.
    pub(crate) refused: bool,
}

/// What there is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Take {
    /// This.
    Flight(Flight),
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing until something is added or done.
    Nothing,
}

impl Slot {
    fn new(record: Record, since: Instant) -> Self {
        let (after, state) = (VecDeque::new(), State::Waiting(None));
        Self { record, after, refused: false, state, attempts: 0, since }
    }

    fn bytes(&self) -> usize {
        self.records().map(|record| record.body.len()).sum()
    }

    fn counts(&self) -> Counts {
        self.records().fold(Counts::default(), |all, record| all.plus(record.head.counts))
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.record).chain(&self.after)
    }
}

impl Slots {
    /// Adds a record behind all others.
    pub(crate) fn push(&mut self, record: Record, since: Instant) {
        let slot = Slot::new(record, since);
        self.bytes += slot.bytes();
        self.counts = self.counts.plus(slot.counts());
        self.slots.push_back(slot);
    }

    /// Lets the next record to the front. Returns its number.
    pub(crate) fn advance(&mut self) -> Option<u64> {
        let next = self.slots.get(self.front)?;
        self.front += 1;
        self.front_bytes += next.bytes();
        Some(next.record.seq)
    }

    /// Adds records from disk, which stand between those at the front and those behind.
    pub(crate) fn load(&mut self, records: impl Iterator<Item = Record>, now: Instant) {
        let mut behind = self.slots.split_off(self.front);
        for record in records {
            self.push(record, now);
            self.advance();
        }
        self.slots.append(&mut behind);
    }

    /// Chooses what is sent next: the first record at the front whose lane and generation are free.
    pub(crate) fn take(&mut self, now: Instant) -> Take {
        let Some(epoch) = self.slots.front().map(|slot| slot.record.epoch) else { return Take::Nothing };
        self.taken.clear();
        let mut earliest = None;
        for slot in self.slots.iter_mut().take(self.front).take_while(|slot| slot.record.epoch == epoch) {
            let lane = usize::from(slot.record.lane);
            if self.taken.len() <= lane {
                self.taken.resize(lane + 1, false);
            }
            if slot.state == State::Done || self.taken[lane] {
                continue;
            }
            self.taken[lane] = true;
            match slot.state {
                State::Waiting(Some(time)) if time > now => {
                    earliest = Some(earliest.map_or(time, |earliest: Instant| earliest.min(time)));
                }
                State::Waiting(_) => {
                    slot.state = State::Flying;
                    let (record, attempts, refused) = (slot.record.clone(), slot.attempts, slot.refused);
                    return Take::Flight(Flight { record, attempts, refused });
                }
                State::Flying | State::Done => {}
            }
        }
        earliest.map_or(Take::Nothing, Take::Wait)
    }

    /// The record need not be sent again; if it was a part, the next one follows.
    pub(crate) fn done(&mut self, seq: u64) {
        let Some(index) = self.find(seq) else { return };
        let slot = &mut self.slots[index];
        let Some(next) = slot.after.pop_front() else {
            self.remove(index);
            return;
        };
        let first = std::mem::replace(&mut slot.record, next);
        (slot.state, slot.attempts) = (State::Waiting(None), 0);
        self.subtract(index, first.body.len(), first.head.counts);
    }

    /// The record is to be sent again, not before a time if there is one. `tried` is false if it was not sent at all.
    pub(crate) fn again(&mut self, seq: u64, not_before: Option<Instant>, tried: bool) {
        if let Some(index) = self.find(seq) {
            let slot = &mut self.slots[index];
            slot.state = State::Waiting(not_before);
            slot.attempts += u32::from(tried);
        }
    }

    /// Whoever sent is gone: what was under way is to be sent again.
    pub(crate) fn return_flights(&mut self) {
        for slot in &mut self.slots {
            if slot.state == State::Flying {
                slot.state = State::Waiting(None);
                slot.attempts += 1;
            }
        }
    }

    /// Puts what a record has become in its place: one or several, which are sent one after the other. `refused` says that
    /// it was too large for a receiver.
    pub(crate) fn replace(&mut self, seq: u64, parts: Vec<Record>, refused: bool) {
        let Some(index) = self.find(seq) else { return };
        let slot = &mut self.slots[index];
        let before = (slot.bytes(), slot.counts());
        slot.refused |= refused;
        parts.into_iter().rev().for_each(|part| slot.after.push_front(part));
        if let Some(first) = slot.after.pop_front() {
            slot.record = first;
        }
        let (bytes, counts) = (slot.bytes(), slot.counts());
        self.subtract(index, before.0, before.1);
        self.bytes += bytes;
        self.front_bytes += if index < self.front { bytes } else { 0 };
        self.counts = self.counts.plus(counts);
    }

    /// Takes out all records at the front below a number; those under way only if that is said. Returns what they come to.
    pub(crate) fn remove_below(&mut self, end: u64, under_way: bool) -> Counts {
        let mut removed = Counts::default();
        // The first one last: it may take others with it that are done.
        for index in (0..self.front).rev() {
            let slot = &self.slots[index];
            let open = matches!(slot.state, State::Waiting(_)) || (under_way && slot.state == State::Flying);
            if slot.record.seq < end && open {
                removed = removed.plus(self.remove(index));
            }
        }
        removed
    }

    /// Takes out the oldest record that waits, unless it is the last of all. Returns what it comes to.
    pub(crate) fn remove_oldest(&mut self) -> Option<Counts> {
        let mut before_last = self.slots.iter().rev().skip(1).rev();
        let oldest = before_last.position(|slot| matches!(slot.state, State::Waiting(_)))?;
        Some(self.remove(oldest))
    }

    /// Takes out the records from a number on, whatever is done with them, in their order.
    pub(crate) fn take_from(&mut self, first: u64) -> Vec<Record> {
        let mut taken = Vec::new();
        while let Some(slot) = self.slots.pop_back_if(|slot| slot.record.seq >= first) {
            if slot.state != State::Done {
                self.bytes -= slot.bytes();
                self.counts = self.counts.minus(slot.counts());
                if self.slots.len() < self.front {
                    self.front_bytes -= slot.bytes();
                }
                taken.extend(slot.after.into_iter().rev().chain([slot.record]));
            }
            self.front = self.front.min(self.slots.len());
        }
        self.trim();
        taken.reverse();
        taken
    }

    /// Records behind the front are on disk up to this number, and wait there. Returns what they come to.
    pub(crate) fn leave_to_disk(&mut self, last: u64) -> Counts {
        let mut left = Counts::default();
        while self.slots.get(self.front).is_some_and(|slot| slot.record.seq <= last) {
            left = left.plus(self.remove(self.front));
        }
        left
    }

    /// Records from this number on that are not done, and since when they are there.
    pub(crate) fn from(&self, first: u64) -> impl Iterator<Item = (&Record, Instant)> {
        let index = self.slots.partition_point(|slot| slot.record.seq < first);
        let open = self.slots.range(index..).filter(|slot| slot.state != State::Done);
        open.map(|slot| (&slot.record, slot.since))
    }

    /// Whether a record is there and not done.
    pub(crate) fn has(&self, seq: u64) -> bool {
        self.find(seq).is_some()
    }

    /// Gives records other numbers and later generations.
    pub(crate) fn renumber(&mut self, mut each: impl FnMut(&mut Record)) {
        self.slots.iter_mut().for_each(|slot| each(&mut slot.record));
    }

    /// The first record at the front, which is not done.
    pub(crate) fn first(&self) -> Option<&Record> {
        self.slots.front().filter(|_| self.front > 0).map(|slot| &slot.record)
    }

    /// The first record behind the front.
    pub(crate) fn behind(&self) -> Option<&Record> {
        self.slots.get(self.front).map(|slot| &slot.record)
    }

    /// The numbers of records that are done while one before them is not.
    pub(crate) fn done_beyond(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter(|slot| slot.state == State::Done).map(|slot| slot.record.seq)
    }

    /// How many records there are at the front, those included that are done.
    pub(crate) fn front(&self) -> usize {
        self.front
    }

    pub(crate) fn front_bytes(&self) -> usize {
        self.front_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What all bodies take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What all come to.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    fn find(&self, seq: u64) -> Option<usize> {
        let index = self.slots.binary_search_by_key(&seq, |slot| slot.record.seq).ok()?;
        (self.slots[index].state != State::Done).then_some(index)
    }

    /// Takes out the record of a slot. At the front the slot stays as long as one before it does.
    fn remove(&mut self, index: usize) -> Counts {
        let slot = &mut self.slots[index];
        let (bytes, counts) = (slot.bytes(), slot.counts());
        (slot.state, slot.after, slot.record.body) = (State::Done, VecDeque::new(), bytes::Bytes::new());
        self.subtract(index, bytes, counts);
        if index < self.front {
            self.trim();
        } else {
            self.slots.remove(index);
        }
        counts
    }

    fn subtract(&mut self, index: usize, bytes: usize, counts: Counts) {
        self.bytes -= bytes;
        self.front_bytes -= if index < self.front { bytes } else { 0 };
        self.counts = self.counts.minus(counts);
    }

    fn trim(&mut self) {
        while self.slots.pop_front_if(|slot| slot.state == State::Done).is_some() {
            self.front -= 1;
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }
}
