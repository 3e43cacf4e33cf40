//! What fuzzing runs, and stable tests with it.

use crate::{ConvertingParser, Dialect, Entry, HistogramLimits, HistogramOptions, Parse, ProtobufParser, TextParser};

/// Reads a body of a text format in every way there is, to its end or its first fault.
pub fn text(body: &[u8], dialect: Dialect) {
    for keep_classic in [false, true] {
        if let Ok(text) = TextParser::new(body, dialect) {
            read(ConvertingParser::new(text, keep_classic), body.len());
        }
    }
    if let Ok(parser) = TextParser::new(body, dialect) {
        read(parser, body.len());
    }
}

/// Reads protocol buffers in every way there is.
pub fn protobuf(body: &[u8]) {
    for (native, always_classic, convert_classic) in [(true, true, true), (true, false, false), (false, false, true)] {
        let options = HistogramOptions { native, always_classic, convert_classic };
        read(ProtobufParser::new(body, options), body.len());
    }
}

/// No body has more entries than bytes, but that a native histogram may come with its classic series and converted.
fn read(mut parser: impl Parse, bytes: usize) {
    let mut entries = 0;
    while let Ok(Some(entry)) = parser.next() {
        entries += 1;
        assert!(entries <= 4 * bytes, "there is no end");
        match entry {
            Entry::Sample(sample) => look(&sample, bytes),
            Entry::Histogram(sample, histogram) => {
                look(&sample, bytes);
                let limited = HistogramLimits { buckets: 2, max_schema: 3 }.apply(histogram);
                assert!(limited.is_err() || limited.is_ok_and(|histogram| histogram.validate().is_ok()));
            }
            Entry::Type { family, .. } | Entry::Help { family, .. } | Entry::Unit { family, .. } => {
                assert!(family.len() <= bytes);
            }
        }
    }
}

fn look(sample: &crate::Sample<'_>, bytes: usize) {
    assert!(!sample.identity.is_empty() && sample.name.len() <= bytes + "_bucket".len());
    // A bound is written in full.
    assert!(sample.labels.iter().all(|(name, value)| name.len() <= bytes && value.len() <= bytes + 24));
    for exemplar in sample.exemplars.iter() {
        assert!(exemplar.labels.len() <= bytes);
    }
}
