//! What a block unpacks to: groups one after the other, as bytes in which labels are read where they stand. Pure.

use std::ops::Range;

use rosterd_model::{Builder, TargetGroup};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A group inside a block.
#[derive(Debug, Clone, Copy)]
pub struct RawGroup<'a> {
    /// All of it, to be copied into another block.
    bytes: &'a [u8],
    source: &'a str,
    key: &'a str,
    labels: &'a [u8],
    targets: &'a [u8],
    count: usize,
}

impl<'a> RawGroup<'a> {
    /// Where the group was read from.
    pub fn source(self) -> &'a str {
        self.source
    }

    /// Which of the groups of its source it is.
    pub fn key(self) -> &'a str {
        self.key
    }

    /// How many entries it has.
    pub fn len(self) -> usize {
        self.count
    }

    /// Whether it has no entries.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// All of it, as [`encode`] wrote it.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Reads a group that [`encode`] wrote.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Reader(bytes).group()
    }

    /// A hash of its content, without source and key.
    pub fn fingerprint(self) -> u64 {
        xxh3_64_with_seed(self.targets, xxh3_64(self.labels))
    }

    /// A hash of each entry's labels, those of the group among them.
    pub(super) fn entry_hashes(self) -> impl Iterator<Item = u64> {
        let shared = xxh3_64(self.labels);
        self.entries().map(move |entry| xxh3_64_with_seed(entry.own, shared))
    }

    /// Its entries, in order.
    pub fn entries(self) -> impl Iterator<Item = RawEntry<'a>> {
        let mut reader = Reader(self.targets);
        (0..self.count).map_while(move |_| Some(RawEntry { group: self.labels, own: reader.bytes()? }))
    }
}

/// An entry of a group inside a block.
#[derive(Debug, Clone, Copy)]
pub struct RawEntry<'a> {
    group: &'a [u8],
    own: &'a [u8],
}

impl RawEntry<'_> {
    /// The entry alone with the labels of its group, as a group without a name.
    pub fn alone(self) -> TargetGroup {
        let read = |labels| Reader(labels).labels().collect();
        TargetGroup { labels: read(self.group), targets: vec![read(self.own)], ..TargetGroup::default() }
    }

    /// Puts the discovered labels into the builder: its own over those of the group.
    pub fn load(self, labels: &mut Builder) {
        labels.reset(Reader(self.group).labels());
        labels.overlay(Reader(self.own).labels());
    }
}

impl RawEntry<'_> {
    /// Puts those of the discovered labels into the builder whose names are wanted.
    pub fn load_some(self, wanted: impl Fn(&[u8]) -> bool, labels: &mut Builder) {
        labels.clear();
        labels.extend(Reader(self.own).labels_among(&wanted));
        let shared = Reader(self.group).labels_among(&wanted);
        shared.for_each(|(name, value)| labels.set_default(name, value));
    }
}

/// Reads the entries of a block one after the other, and holds its place between two of them.
#[derive(Debug)]
pub struct Walk {
    text: Vec<u8>,
    /// Where the source of the present group is.
    source: Range<usize>,
    /// Where its labels are.
    labels: Range<usize>,
    /// Where the next entry or group begins.
    at: usize,
    /// How many entries of the present group are left.
    left: usize,
}

impl Walk {
    pub(super) fn new(text: Vec<u8>) -> Self {
        Self { text, source: 0..0, labels: 0..0, at: 0, left: 0 }
    }

    /// All that its groups have: names and values of labels among much else, each as it is.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The next entry, `None` after the last one.
    pub fn next_entry(&mut self) -> Option<RawEntry<'_>> {
        self.step().map(|own| self.entry(own).1)
    }

    /// Goes to the next entry, whose own labels are there. It stays where it is if that is not there, or not all of it.
    pub(super) fn step(&mut self) -> Option<Range<usize>> {
        let mut reader = Reader(&self.text[self.at..]);
        let behind = |reader: &Reader<'_>, length: usize| {
            let end = self.text.len() - reader.0.len();
            end - length..end
        };
        let (mut source, mut labels, mut left) = (self.source.clone(), self.labels.clone(), self.left);
        while left == 0 {
            reader.length()?;
            let length = reader.str()?.len();
            source = behind(&reader, length);
            reader.str()?;
            let length = reader.bytes()?.len();
            labels = behind(&reader, length);
            left = reader.length()?;
        }
        let length = reader.bytes()?.len();
        let own = behind(&reader, length);
        (self.source, self.labels, self.left, self.at) = (source, labels, left - 1, own.end);
        Some(own)
    }

    /// The entry whose own labels are there, of the present group, and the source of that.
    pub(super) fn entry(&self, own: Range<usize>) -> (&str, RawEntry<'_>) {
        let source = std::str::from_utf8(&self.text[self.source.clone()]).unwrap_or_default();
        (source, RawEntry { group: &self.text[self.labels.clone()], own: &self.text[own] })
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.text.len()
    }

    /// Takes more, of which the beginning is there.
    pub(super) fn extend<T>(&mut self, by: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        by(&mut self.text)
    }
}

/// Appends a group in the form that blocks hold.
pub fn encode(group: &TargetGroup, text: &mut Vec<u8>) {
    push_str(text, &group.source);
    push_str(text, &group.key);
    push_labels(text, group.labels.iter());
    push_length(text, group.targets.len());
    for target in &group.targets {
        push_labels(text, target.iter());
    }
}

pub(super) fn push_length(text: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        text.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    text.push(length as u8);
}

fn push_str(text: &mut Vec<u8>, value: &str) {
    push_length(text, value.len());
    text.extend_from_slice(value.as_bytes());
}

/// A list of labels is its length in bytes, then names and values in turn.
fn push_labels<'a>(text: &mut Vec<u8>, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    let length_size = |length: usize| (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize;
    let size = labels
        .clone()
        .map(|(name, value)| length_size(name.len()) + name.len() + length_size(value.len()) + value.len());
    push_length(text, size.sum());
    for (name, value) in labels {
        push_str(text, name);
        push_str(text, value);
    }
}

#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A group inside a block, and how many numbers were left out before it.
    pub(super) fn numbered(&mut self) -> Option<(usize, RawGroup<'a>)> {
        Some((self.length()?, self.group()?))
    }

    fn group(&mut self) -> Option<RawGroup<'a>> {
        let start = self.0;
        let source = self.str()?;
        let key = self.str()?;
        let labels = self.bytes()?;
        let count = self.length()?;
        let targets = self.0;
        for _ in 0..count {
            self.bytes()?;
        }
        let used = |rest: &[u8], whole: &'a [u8]| &whole[..whole.len() - rest.len()];
        Some(RawGroup { bytes: used(self.0, start), source, key, labels, targets: used(self.0, targets), count })
    }

    fn labels(mut self) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::from_fn(move || if self.0.is_empty() { None } else { Some((self.str()?, self.str()?)) })
    }

    /// The labels whose names are wanted; the others are passed over unread.
    fn labels_among(mut self, wanted: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::from_fn(move || {
            loop {
                let (name, value) = (self.bytes()?, self.bytes()?);
                if wanted(name) {
                    return Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?));
                }
            }
        })
    }

    fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0usize;
        for shift in (0..usize::BITS).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }
}
