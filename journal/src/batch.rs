//! Events on their way to disk, encoded as they come: texts once, and references to them. Pure.

use std::collections::HashMap;

use rosterd_model::Labels;

use crate::record::{Content, Header};
use crate::{Note, Time, varint};

/// Bits of what an event has.
pub(crate) const JOB: u8 = 1;
pub(crate) const PROVIDER: u8 = 1 << 1;
pub(crate) const SOURCE: u8 = 1 << 2;
pub(crate) const REASON: u8 = 1 << 3;
pub(crate) const DETAIL: u8 = 1 << 4;
pub(crate) const LABELS: u8 = 1 << 5;
pub(crate) const FROM: u8 = 1 << 6;

/// Above so many bytes a batch is written: what a reader unpacks at once.
const FULL: usize = 256 << 10;

/// Events that are written together, each with the next number.
#[derive(Debug)]
pub struct Batch {
    first: u64,
    count: u32,
    base: i64,
    oldest: i64,
    newest: i64,
    kinds: u64,
    symbols: Symbols,
    events: Vec<u8>,
}

impl Batch {
    /// No events yet; the first gets this number.
    pub fn new(first: u64) -> Self {
        let (oldest, newest, symbols) = (i64::MAX, i64::MIN, Symbols::default());
        Self { first, count: 0, base: 0, oldest, newest, kinds: 0, symbols, events: Vec::new() }
    }

    /// Adds an event. Returns its number.
    pub fn push(&mut self, time: Time, note: &Note) -> u64 {
        if self.count == 0 {
            self.base = time.0;
        }
        (self.oldest, self.newest) = (self.oldest.min(time.0), self.newest.max(time.0));
        self.kinds |= note.kind.bit();
        varint::push_signed(&mut self.events, time.0.wrapping_sub(self.base));
        self.events.push(note.kind.code());
        let texts = [
            (JOB, &note.job),
            (PROVIDER, &note.provider),
            (SOURCE, &note.source),
            (REASON, &note.reason),
            (DETAIL, &note.detail),
        ];
        let labels = [(LABELS, &note.labels), (FROM, &note.from)];
        let has = texts.iter().filter(|(_, text)| text.is_some()).map(|(bit, _)| bit);
        let has_labels = labels.iter().filter(|(_, labels)| labels.is_some()).map(|(bit, _)| bit);
        self.events.push(has.chain(has_labels).fold(0, |all, bit| all | bit));
        for text in texts.iter().filter_map(|(_, text)| text.as_deref()) {
            self.symbols.refer(text, &mut self.events);
        }
        for labels in labels.iter().filter_map(|(_, labels)| labels.as_ref()) {
            self.symbols.refer_labels(labels, &mut self.events);
        }
        self.count += 1;
        self.next() - 1
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The time of the oldest event; `None` without any.
    pub fn oldest(&self) -> Option<Time> {
        (self.count > 0).then_some(Time(self.oldest))
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether it is time to write it, whatever comes.
    pub fn is_full(&self) -> bool {
        self.symbols.size() + self.events.len() >= FULL
    }

    /// The record of the events, of which there is one at least.
    pub(crate) fn finish(self) -> (Header, Vec<u8>) {
        let last = self.next() - 1;
        let mut raw = self.symbols.finish();
        varint::push_signed(&mut raw, self.base);
        raw.extend(self.events);
        let header = Header {
            content: Content::Events,
            is_last: false,
            is_after_loss: false,
            first: self.first,
            last,
            count: self.count,
            oldest: Time(self.oldest),
            newest: Time(self.newest),
            kinds: self.kinds,
        };
        (header, raw)
    }
}

/// Texts, each once.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    numbers: HashMap<Box<str>, u32>,
    lengths: Vec<u8>,
    text: Vec<u8>,
}

impl Symbols {
    /// Appends the number of a text.
    pub(crate) fn refer(&mut self, text: &str, out: &mut Vec<u8>) {
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.numbers.len()).expect("a batch has fewer texts than bytes");
                self.numbers.insert(text.into(), number);
                varint::push(&mut self.lengths, text.len() as u64);
                self.text.extend_from_slice(text.as_bytes());
                number
            }
        };
        varint::push(out, u64::from(number));
    }

    pub(crate) fn refer_labels(&mut self, labels: &Labels, out: &mut Vec<u8>) {
        varint::push(out, labels.len() as u64);
        for (name, value) in labels {
            self.refer(name, out);
            self.refer(value, out);
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.lengths.len() + self.text.len()
    }

    /// How many there are, how long they are, and all of them.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.size() + 10);
        varint::push(&mut raw, self.numbers.len() as u64);
        raw.extend(self.lengths);
        raw.extend(self.text);
        raw
    }
}
