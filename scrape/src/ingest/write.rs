//! Series go to the block.

use rosterd_ship::wire::{encode_histogram, field, put_sample};

use super::Track;
use super::labels::Final;
use super::pass::{Bench, Kept, Pass, Span};
use super::report::count;
use super::shape::encode_labels;

/// Where the value stands in the field of a sample.
const VALUE: usize = 3;

impl Bench {
    /// Makes ready for samples without timestamps of their own.
    pub(super) fn prepare(&mut self, at_ms: i64) {
        self.tail.clear();
        put_sample(0.0, at_ms, &mut self.tail);
    }

    /// Writes a series to the block. Returns where its labels stand.
    #[inline]
    pub(super) fn write(&mut self, kept: Kept<'_>, track: &Track, pass: &mut Pass<'_>) -> Span {
        let Kept { sample, histogram, labels, at_ms, .. } = kept;
        let wants = pass.rules.wants;
        if wants.extras {
            let extra = self.extra(sample);
            self.block.extras.push(extra);
        }
        let exemplars = wants.exemplars && !sample.exemplars.is_empty();
        if histogram.is_some() || exemplars {
            self.fill_message(kept, track, pass);
        }
        let Self { block, shapes, merged, encoded, message, tail, packer, .. } = self;
        let out = &mut block.series;
        let start = out.len();
        // Most series need two bytes for their length.
        out.extend_from_slice(&[field::bytes_key(1), 0, 0]);
        match labels {
            Final::Shape(index) => shapes[index].encode(sample.name, sample.labels, out),
            Final::Merged => encode_labels(merged.iter(), out),
            Final::Encoded => out.extend_from_slice(encoded),
            Final::Remembered(start, end) => out.extend_from_slice(&packer.plain[start as usize..end as usize]),
        }
        let end = out.len();
        if histogram.is_none() && !exemplars {
            if at_ms == pass.at_ms {
                // All but the value is the same for most.
                let value = out.len() + VALUE;
                out.extend_from_slice(tail);
                out[value..value + 8].copy_from_slice(&sample.value.to_le_bytes());
            } else {
                put_sample(sample.value, at_ms, out);
            }
            block.counts.samples += 1;
        } else {
            out.extend_from_slice(message);
        }
        let moved = put_length(start + 1, out);
        count(block, at_ms);
        let place = |at: usize| at.wrapping_add_signed(moved);
        Span::block(place(start + 3), place(end))
    }

    /// Encodes what is not a plain sample: a native histogram, exemplars.
    fn fill_message(&mut self, kept: Kept<'_>, track: &Track, pass: &mut Pass<'_>) {
        let Kept { sample, histogram, hash, at_ms, .. } = kept;
        self.message.clear();
        if let Some(histogram) = histogram {
            let mut encoded = Vec::new();
            encode_histogram(histogram, at_ms, &mut encoded);
            field::put_bytes(4, &encoded, &mut self.message);
            self.block.counts.histograms += 1;
        } else {
            put_sample(sample.value, at_ms, &mut self.message);
            self.block.counts.samples += 1;
        }
        if pass.rules.wants.exemplars && !sample.exemplars.is_empty() {
            let found = self.sieve.put(sample.exemplars, hash, at_ms, track, &mut self.message);
            self.block.counts.exemplars += found.taken;
            pass.ingested.exemplars_out_of_order += found.out_of_order;
        }
    }
}

/// Writes the length of a series into the two bytes that were kept for it at `at`. Returns by how much what follows had to be
/// moved for that.
#[inline]
fn put_length(at: usize, out: &mut Vec<u8>) -> isize {
    let length = out.len() - at - 2;
    if (0x80..0x4000).contains(&length) {
        out[at] = length as u8 | 0x80;
        out[at + 1] = (length >> 7) as u8;
        return 0;
    }
    let mut bytes = Vec::new();
    field::put_varint(length as u64, &mut bytes);
    let moved = bytes.len() as isize - 2;
    out.splice(at..at + 2, bytes);
    moved
}
