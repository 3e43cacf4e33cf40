//! Series go to the block.

use rosterd_ship::wire::{encode_histogram, field, put_sample};

use super::Track;
use super::labels::Final;
use super::pass::{Bench, Kept, Pass, Span};
use super::report::{count, put};
use super::shape::{encode_labels, labels_length};

/// Most series have no more labels than this.
const FEW: usize = 16;

impl Bench {
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
        let mut values = [""; FEW];
        let mut many = Vec::new();
        let values = match labels {
            Final::Shape(_) if sample.labels.len() <= FEW => {
                let count = sample.labels.len();
                values.iter_mut().zip(sample.labels.iter()).for_each(|(slot, (_, value))| *slot = value);
                &values[..count]
            }
            Final::Shape(_) => {
                many.extend(sample.labels.iter().map(|(_, value)| value));
                &many[..]
            }
            _ => &[],
        };
        let Self { block, shapes, merged, encoded, message, .. } = self;
        let length = match labels {
            Final::Shape(index) => shapes[index].length(sample.name, values),
            Final::Merged => labels_length(merged.iter()),
            Final::Encoded => encoded.len(),
        };
        let mut span = Span::Nowhere;
        let mut encode = |out: &mut Vec<u8>| {
            let start = out.len();
            match labels {
                Final::Shape(index) => shapes[index].encode(sample.name, values, out),
                Final::Merged => encode_labels(merged.iter(), out),
                Final::Encoded => out.extend_from_slice(encoded),
            }
            debug_assert_eq!(out.len() - start, length, "the length was told before");
            span = Span::Block(start as u32, out.len() as u32);
        };
        if histogram.is_none() && !exemplars {
            put(block, length, &mut encode, sample.value, at_ms);
            return span;
        }
        block.series.push(field::bytes_key(1));
        field::put_varint((length + message.len()) as u64, &mut block.series);
        encode(&mut block.series);
        block.series.extend_from_slice(message);
        count(block, at_ms);
        span
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
