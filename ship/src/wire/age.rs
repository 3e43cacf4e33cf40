//! `sample_age_limit`: what is too old is not worth sending.

use super::field::{Value, put_bytes};
use super::series::{Damaged, Fields, Series, each_series, timestamp};
use super::{Head, Message};
use crate::Counts;

/// Appends the body without what is older than `limit_ms`. Returns what was dropped.
pub fn drop_older_than(message: Message, body: &[u8], limit_ms: i64, out: &mut Vec<u8>) -> Result<Counts, Damaged> {
    match message {
        Message::V1 => v1(body, limit_ms, out),
        Message::V2 => v2(body, limit_ms, out),
    }
}

impl Head {
    /// What is left of it.
    pub fn without(mut self, dropped: Counts, limit_ms: i64) -> Self {
        self.oldest_ms = self.oldest_ms.max(limit_ms);
        let counts = &mut self.counts;
        counts.series = counts.series.saturating_sub(dropped.series);
        counts.samples = counts.samples.saturating_sub(dropped.samples);
        counts.histograms = counts.histograms.saturating_sub(dropped.histograms);
        counts.exemplars = counts.exemplars.saturating_sub(dropped.exemplars);
        self
    }
}

fn v1(body: &[u8], limit_ms: i64, out: &mut Vec<u8>) -> Result<Counts, Damaged> {
    let mut dropped = Counts::default();
    let mut scratch = Vec::new();
    each_series(body, |series: Series<'_>| {
        let all = [series.samples().count(), series.histograms().count(), series.exemplars().count()];
        let keep = |number: u32, bytes: &[u8]| timestamp(number, bytes) >= limit_ms;
        let kept = series.copy(None::<std::iter::Empty<_>>, keep, &mut scratch, out);
        dropped.series += u32::from(kept == [0; 3]);
        dropped.samples += all[0] as u32 - kept[0];
        dropped.histograms += all[1] as u32 - kept[1];
        dropped.exemplars += all[2] as u32 - kept[2];
    })?;
    Ok(dropped)
}

fn v2(body: &[u8], limit_ms: i64, out: &mut Vec<u8>) -> Result<Counts, Damaged> {
    let mut dropped = Counts::default();
    let mut kept = Vec::new();
    for field in Fields(body) {
        let (number, value) = field?;
        let Value::Bytes(bytes) = value else { return Err(Damaged) };
        if number != 5 {
            put_bytes(number as u8, bytes, out);
            continue;
        }
        kept.clear();
        let mut any = false;
        for field in Fields(bytes) {
            let (number, value) = field?;
            // Where the timestamps stand, and what they count for.
            let (place, count) = match number {
                2 => (2, &mut dropped.samples),
                3 => (15, &mut dropped.histograms),
                4 => (3, &mut dropped.exemplars),
                _ => {
                    put_bytes(number as u8, value.bytes(), &mut kept);
                    continue;
                }
            };
            let found = Fields(value.bytes()).map_while(Result::ok).filter(|(number, _)| *number == place).last();
            if found.map_or(0, |(_, value)| value.number() as i64) >= limit_ms {
                put_bytes(number as u8, value.bytes(), &mut kept);
                any = true;
            } else {
                *count += 1;
            }
        }
        if any {
            put_bytes(5, &kept, out);
        } else {
            dropped.series += 1;
        }
    }
    Ok(dropped)
}
