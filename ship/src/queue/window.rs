//! The front of a queue: which record may be sent next. Pure.
//!
//! Series keep their order because a lane has one request under way at most, and because a generation of lanes begins
//! only when all records of the one before are done: series of a key may change their lane between the two.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::Counts;
use crate::log::Record;

/// Records that are in memory, in the order of their numbers. The first one is not done.
#[derive(Debug, Default)]
pub(crate) struct Window {
    slots: VecDeque<Slot>,
    bytes: usize,
    /// For [`Window::take`]: the lanes that have to wait.
    taken: Vec<bool>,
}

#[derive(Debug)]
struct Slot {
    record: Record,
    state: State,
    attempts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may be sent; after a failure not before a time.
    Waiting(Option<Instant>),
    Flying,
    Done,
}

/// A record that is being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) record: Record,
    /// How often it was sent before.
    pub(crate) attempts: u32,
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

impl Window {
    /// Adds a record behind all others.
    pub(crate) fn push(&mut self, record: Record) {
        self.bytes += record.body.len();
        self.slots.push_back(Slot { record, state: State::Waiting(None), attempts: 0 });
    }

    /// Chooses what is sent next: the first record whose lane and generation are free.
    pub(crate) fn take(&mut self, now: Instant) -> Take {
        let Some(epoch) = self.slots.front().map(|slot| slot.record.epoch) else { return Take::Nothing };
        self.taken.clear();
        let mut earliest = None;
        for slot in self.slots.iter_mut().take_while(|slot| slot.record.epoch == epoch) {
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
                    return Take::Flight(Flight { record: slot.record.clone(), attempts: slot.attempts });
                }
                State::Flying | State::Done => {}
            }
        }
        earliest.map_or(Take::Nothing, Take::Wait)
    }

    /// The record need not be sent again. Returns what it held.
    pub(crate) fn done(&mut self, seq: u64) -> Option<Counts> {
        let slot = self.find(seq)?;
        slot.state = State::Done;
        let counts = slot.record.head.counts;
        let body = std::mem::take(&mut slot.record.body);
        self.bytes -= body.len();
        self.trim();
        Some(counts)
    }

    /// The record is to be sent again, not before a time if there is one. `tried` is false if it was not sent at all.
    pub(crate) fn again(&mut self, seq: u64, not_before: Option<Instant>, tried: bool) {
        if let Some(slot) = self.find(seq) {
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

    /// Puts what a record has become in its place. Returns what it held before.
    pub(crate) fn replace(&mut self, record: &Record) -> Option<Counts> {
        let slot = self.find(record.seq)?;
        let before = std::mem::replace(&mut slot.record, record.clone());
        self.bytes = self.bytes - before.body.len() + record.body.len();
        Some(before.head.counts)
    }

    /// Takes out all records that wait and for which this holds.
    pub(crate) fn remove(&mut self, mut which: impl FnMut(&Record) -> bool) -> Vec<Record> {
        let mut removed = Vec::new();
        for slot in &mut self.slots {
            if matches!(slot.state, State::Waiting(_)) && which(&slot.record) {
                slot.state = State::Done;
                self.bytes -= slot.record.body.len();
                removed.push(slot.record.clone());
                slot.record.body = bytes::Bytes::new();
            }
        }
        self.trim();
        removed
    }

    /// Takes out the oldest record that waits.
    pub(crate) fn remove_oldest(&mut self) -> Option<Record> {
        let mut first = true;
        self.remove(|_| std::mem::replace(&mut first, false)).pop()
    }

    /// The first record that is not done.
    pub(crate) fn first(&self) -> Option<&Record> {
        self.slots.front().map(|slot| &slot.record)
    }

    /// The numbers of records that are done while one before them is not.
    pub(crate) fn done_beyond(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter(|slot| slot.state == State::Done).map(|slot| slot.record.seq)
    }

    /// How many records the window spans.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What the bodies take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All records that are not done.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Record> {
        self.slots.iter().filter(|slot| slot.state != State::Done).map(|slot| &slot.record)
    }

    fn find(&mut self, seq: u64) -> Option<&mut Slot> {
        let index = self.slots.binary_search_by_key(&seq, |slot| slot.record.seq).ok()?;
        Some(&mut self.slots[index]).filter(|slot| slot.state != State::Done)
    }

    fn trim(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.state == State::Done) {
            self.slots.pop_front();
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }
}
