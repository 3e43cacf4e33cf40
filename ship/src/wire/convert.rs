//! From one version to the other, for bodies that were queued before it turned out which one the receiver takes.

use super::assemble::{Assembler, Sends};
use super::field::{Value, put_bytes, take_varint};
use super::series::{Damaged, Fields, each_series, has_custom_buckets, put_exemplar, put_label, put_sample};
use super::{Head, Message};
use crate::{Block, Counts};
use rosterd_model::relabel::Rules;

/// A body of version 2.0 as one of version 1.0, which has no place for metadata and start timestamps. Nor has it one for
/// native histograms with custom buckets: returns how much was left out with those.
pub fn v2_to_v1(body: &[u8]) -> Result<(Vec<u8>, Counts), Damaged> {
    let mut symbols = Vec::new();
    let mut left_out = Counts::default();
    let mut out = Vec::with_capacity(body.len() * 4);
    let mut series = Vec::new();
    for field in Fields(body) {
        match field? {
            (4, Value::Bytes(symbol)) => symbols.push(std::str::from_utf8(symbol).map_err(|_| Damaged)?),
            (5, Value::Bytes(bytes)) => {
                series.clear();
                let [kept, without] = one(bytes, &symbols, &mut series)?;
                left_out.histograms += without;
                if kept == 0 && without > 0 {
                    left_out.series += 1;
                } else {
                    put_bytes(1, &series, &mut out);
                }
            }
            _ => {}
        }
    }
    Ok((out, left_out))
}

/// Returns how many samples, histograms and exemplars there are now, and how many histograms were left out.
fn one(bytes: &[u8], symbols: &[&str], out: &mut Vec<u8>) -> Result<[u32; 2], Damaged> {
    let [mut kept, mut without] = [0; 2];
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(refs)) => {
                for (name, value) in strings(refs, symbols)? {
                    put_label(name.as_bytes(), value.as_bytes(), out);
                }
            }
            (2, Value::Bytes(sample)) => {
                kept += 1;
                let (mut value, mut timestamp) = (0.0, 0);
                for field in Fields(sample) {
                    match field? {
                        (1, found) => value = found.double(),
                        (2, found) => timestamp = found.number() as i64,
                        _ => {}
                    }
                }
                put_sample(value, timestamp, out);
            }
            // A start timestamp in it is a field that version 1.0 does not know, and skips.
            (3, Value::Bytes(histogram)) if has_custom_buckets(histogram) => without += 1,
            (3, Value::Bytes(histogram)) => {
                kept += 1;
                put_bytes(4, histogram, out);
            }
            (4, Value::Bytes(exemplar)) => {
                kept += 1;
                let (mut labels, mut value, mut timestamp) = (Vec::new(), 0.0, 0);
                for field in Fields(exemplar) {
                    match field? {
                        (1, found) => labels = strings(found.bytes(), symbols)?,
                        (2, found) => value = found.double(),
                        (3, found) => timestamp = found.number() as i64,
                        _ => {}
                    }
                }
                put_exemplar(labels.into_iter(), value, timestamp, out);
            }
            _ => {}
        }
    }
    Ok([kept, without])
}

fn strings<'s>(mut refs: &[u8], symbols: &[&'s str]) -> Result<Vec<(&'s str, &'s str)>, Damaged> {
    let mut next = || {
        let number = usize::try_from(take_varint(&mut refs)?).ok()?;
        Some((symbols.get(number).copied(), refs.is_empty()))
    };
    let mut pairs = Vec::new();
    while let Some((name, last)) = next() {
        let value = if last { None } else { next().and_then(|(value, _)| value) };
        pairs.push((name.ok_or(Damaged)?, value.ok_or(Damaged)?));
    }
    Ok(pairs)
}

/// A body of version 1.0 as one of version 2.0.
pub fn v1_to_v2(body: &[u8], head: Head) -> Result<Vec<u8>, Damaged> {
    let sends = Sends { exemplars: true, native_histograms: true };
    let mut assembler = Assembler::new(Message::V2, Rules::default(), sends);
    each_series(body, |_| {})?;
    let block = Block {
        series: body.to_vec(),
        counts: head.counts,
        oldest_ms: head.oldest_ms,
        newest_ms: head.newest_ms,
        ..Block::default()
    };
    assembler.push(&block)?;
    let mut out = Vec::with_capacity(body.len());
    assembler.finish(&mut out);
    Ok(out)
}
