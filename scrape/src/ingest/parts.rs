//! The parts of a large scrape that are finished: packed, until all of it is known to be good. What a scrape becomes is ten
//! times as large as its body when lines are short, and a tenth of it when packed.

use std::fmt;

use rosterd_ship::{Block, Counts, Extra};
use zstd::bulk::{Compressor, Decompressor};

use super::pass::Span;

/// The level of zstd: series that stand side by side are so alike that more does not help.
pub(super) const LEVEL: i32 = 1;

/// The parts, in order.
#[derive(Default)]
pub(super) struct Parts {
    list: Vec<Part>,
    /// How many series they have together: where the part that is still written begins.
    series: usize,
    /// How many bytes they take.
    bytes: usize,
    packed: Vec<u8>,
    /// What is unpacked at the moment.
    open: Block,
    aside: Vec<u8>,
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
}

struct Part {
    /// The number of its first series.
    from: usize,
    /// The series, and the labels of those that are not in the block.
    packed: Box<[u8]>,
    /// How long the series are, and all of it.
    sent: usize,
    plain: usize,
    counts: Counts,
    oldest_ms: i64,
    newest_ms: i64,
    extras: Box<[Extra]>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn series(&self) -> usize {
        self.series
    }

    /// The memory behind them, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.packed.capacity() + self.open.series.capacity() + self.aside.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        (self.series, self.bytes) = (0, 0);
    }

    /// Takes over what stands in the block and aside, which are empty afterwards. There are so many `series` by now.
    pub(super) fn add(&mut self, block: &mut Block, aside: &mut Vec<u8>, series: usize) {
        let sent = block.series.len();
        block.series.append(aside);
        let compressor = self.compressor.get_or_insert_with(|| Compressor::new(LEVEL).expect("the level exists"));
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(block.series.len()));
        compressor.compress_to_buffer(&block.series, &mut self.packed).expect("the buffer is large enough");
        let part = Part {
            from: self.series,
            packed: self.packed.as_slice().into(),
            sent,
            plain: block.series.len(),
            counts: std::mem::take(&mut block.counts),
            oldest_ms: block.oldest_ms,
            newest_ms: block.newest_ms,
            extras: std::mem::take(&mut block.extras).into(),
        };
        block.series.clear();
        self.bytes += part.packed.len() + size_of_val(&*part.extras) + size_of::<Part>();
        self.series = series;
        self.list.push(part);
    }

    /// Hands out the parts as blocks.
    pub(super) fn each_block(&mut self, last: &Block, mut see: impl FnMut(&Block)) {
        for index in 0..self.list.len() {
            self.open(index);
            let part = &self.list[index];
            let open = &mut self.open;
            open.counts = part.counts;
            (open.oldest_ms, open.newest_ms) = (part.oldest_ms, part.newest_ms);
            open.extras.clear();
            open.extras.extend_from_slice(&part.extras);
            open.metadata.clone_from(&last.metadata);
            see(open);
        }
        see(last);
    }

    /// Hands out number, place and final labels of the first `labels.len()` series; those behind the parts stand in the
    /// block and aside.
    pub(super) fn each_labels(
        &mut self,
        labels: &[Span],
        block: &Block,
        aside: &[u8],
        mut see: impl FnMut(usize, Span, &[u8]),
    ) {
        let mut at = 0;
        for index in 0..self.list.len() {
            let until = self.list.get(index + 1).map_or(self.series, |next| next.from).min(labels.len());
            if at < until {
                self.open(index);
            }
            for (number, span) in (at..until).zip(&labels[at.min(until)..until]) {
                see(number, *span, span.of(&self.open.series, &self.aside));
            }
            at = at.max(until);
        }
        for (number, span) in (at..).zip(&labels[at..]) {
            see(number, *span, span.of(&block.series, aside));
        }
    }

    fn open(&mut self, index: usize) {
        let part = &self.list[index];
        let decompressor = self.decompressor.get_or_insert_with(|| Decompressor::new().expect("there is memory"));
        let plain = &mut self.open.series;
        plain.clear();
        plain.reserve(part.plain);
        decompressor.decompress_to_buffer(&part.packed, plain).expect("it was packed here");
        self.aside.clear();
        self.aside.extend_from_slice(&plain[part.sent..]);
        plain.truncate(part.sent);
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("parts", &self.list.len()).finish_non_exhaustive()
    }
}
