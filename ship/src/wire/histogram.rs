//! Native histograms as remote write carries them. Both versions have the same message.

use rosterd_exposition::{Histogram, Span};

use super::field::{put_bytes, put_double, put_number, put_varint, zigzag};

/// Appends a `prometheus.Histogram` message, without the key of its field.
pub fn encode_histogram(histogram: &Histogram, timestamp_ms: i64, out: &mut Vec<u8>) {
    let Histogram { is_float, count, zero_count, .. } = *histogram;
    // The members of a oneof are written even when they are 0: that tells integers from floats.
    let oneof = |integer: u8, value: f64, out: &mut Vec<u8>| {
        if is_float {
            put_varint(u64::from(integer + 1) << 3 | 1, out);
            out.extend_from_slice(&value.to_le_bytes());
        } else {
            put_varint(u64::from(integer) << 3, out);
            put_varint(value as u64, out);
        }
    };
    oneof(1, count, out);
    put_double(3, histogram.sum, out);
    put_number(4, zigzag(i64::from(histogram.schema)), out);
    put_double(5, histogram.zero_threshold, out);
    oneof(6, zero_count, out);
    let mut scratch = Vec::new();
    buckets(8, &histogram.negative_spans, &histogram.negative_buckets, is_float, &mut scratch, out);
    buckets(11, &histogram.positive_spans, &histogram.positive_buckets, is_float, &mut scratch, out);
    put_number(14, if histogram.is_gauge { 3 } else { 0 }, out);
    put_number(15, timestamp_ms as u64, out);
    if !histogram.custom_values.is_empty() {
        scratch.clear();
        histogram.custom_values.iter().for_each(|value| scratch.extend_from_slice(&value.to_le_bytes()));
        put_bytes(16, &scratch, out);
    }
}

/// Spans at `field`, deltas at the next, absolute counts at the one after.
fn buckets(field: u8, spans: &[Span], counts: &[f64], is_float: bool, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    for span in spans {
        scratch.clear();
        put_number(1, zigzag(i64::from(span.offset)), scratch);
        put_number(2, u64::from(span.length), scratch);
        put_bytes(field, scratch, out);
    }
    if counts.is_empty() {
        return;
    }
    scratch.clear();
    for &count in counts {
        if is_float {
            scratch.extend_from_slice(&count.to_le_bytes());
        } else {
            put_varint(zigzag(count as i64), scratch);
        }
    }
    put_bytes(if is_float { field + 2 } else { field + 1 }, scratch, out);
}
