//! One body as several, because it is too large for a receiver.

use super::Message;
use super::field::{Value, put_bytes, put_double, put_number, put_varint, take_varint};
use super::series::{Damaged, Fields, Series};
use super::symbols::Symbols;
use crate::Counts;

/// A part of a body, which is one itself, and how much is in it.
pub type Part = (Vec<u8>, Counts);

/// The series of a body, in their order, in bodies that end with the series that makes them have so many bytes, or the last.
pub fn split(message: Message, body: &[u8], bytes: usize) -> Result<Vec<Part>, Damaged> {
    match message {
        Message::V1 => v1(body, bytes),
        Message::V2 => v2(body, bytes),
    }
}

fn v1(body: &[u8], bytes: usize) -> Result<Vec<Part>, Damaged> {
    let mut parts = vec![(Vec::new(), Counts::default())];
    let mut field = Vec::new();
    for found in Fields(body) {
        let (number, value) = found?;
        field.clear();
        put_bytes(number as u8, value.bytes(), &mut field);
        let counts = if number == 1 { count(Series::read(value.bytes())?) } else { Counts::default() };
        add(&mut parts, &field, counts, bytes);
    }
    Ok(parts)
}

fn count(series: Series<'_>) -> Counts {
    Counts {
        series: 1,
        samples: series.samples().count() as u32,
        histograms: series.histograms().count() as u32,
        exemplars: series.exemplars().count() as u32,
    }
}

/// Adds a field to the last part, or begins another.
fn add(parts: &mut Vec<Part>, field: &[u8], counts: Counts, bytes: usize) {
    if parts.last().is_some_and(|(part, _)| !part.is_empty() && part.len() >= bytes) {
        parts.push(Part::default());
    }
    if let Some((part, all)) = parts.last_mut() {
        part.extend_from_slice(field);
        *all = all.plus(counts);
    }
}

/// Each part has symbols of its own: those that its series have.
fn v2(body: &[u8], bytes: usize) -> Result<Vec<Part>, Damaged> {
    let mut texts = Vec::new();
    for field in Fields(body) {
        if let (4, Value::Bytes(text)) = field? {
            texts.push(text);
        }
    }
    let (mut parts, mut symbols, mut series) = (Vec::new(), Symbols::default(), Part::default());
    let mut finish = |symbols: &mut Symbols, (series, counts): Part| {
        let mut part = Vec::with_capacity(symbols.len() + series.len());
        symbols.take(&mut part);
        part.extend(series);
        parts.push((part, counts));
    };
    for field in Fields(body) {
        let (5, Value::Bytes(one)) = field? else { continue };
        if series.1.series > 0 && symbols.len() + series.0.len() >= bytes {
            finish(&mut symbols, std::mem::take(&mut series));
        }
        let counts = copy(one, &texts, &mut symbols, &mut series.0)?;
        series.1 = series.1.plus(counts);
    }
    finish(&mut symbols, series);
    Ok(parts)
}

/// Appends a series of version 2.0 with the numbers of other symbols.
fn copy(one: &[u8], texts: &[&[u8]], symbols: &mut Symbols, out: &mut Vec<u8>) -> Result<Counts, Damaged> {
    let mut counts = Counts { series: 1, ..Counts::default() };
    let (mut series, mut message) = (Vec::new(), Vec::new());
    for field in Fields(one) {
        let (number, value) = field?;
        message.clear();
        match number {
            1 => put_refs(value.bytes(), texts, symbols, &mut message)?,
            4 => {
                counts.exemplars += 1;
                for field in Fields(value.bytes()) {
                    match field? {
                        (1, refs) => {
                            let mut mapped = Vec::new();
                            put_refs(refs.bytes(), texts, symbols, &mut mapped)?;
                            put_bytes(1, &mapped, &mut message);
                        }
                        (number, value) => put(number, value, &mut message),
                    }
                }
            }
            5 => {
                for field in Fields(value.bytes()) {
                    match field? {
                        (number @ (3 | 4), text) => {
                            let text = text_of(text.number(), texts)?;
                            put_number(number as u8, u64::from(symbols.number(text)), &mut message);
                        }
                        (number, value) => put(number, value, &mut message),
                    }
                }
            }
            _ => {
                counts.samples += u32::from(number == 2);
                counts.histograms += u32::from(number == 3);
                put(number, value, &mut series);
                continue;
            }
        }
        put_bytes(number as u8, &message, &mut series);
    }
    put_bytes(5, &series, out);
    Ok(counts)
}

fn put_refs(mut refs: &[u8], texts: &[&[u8]], symbols: &mut Symbols, out: &mut Vec<u8>) -> Result<(), Damaged> {
    while !refs.is_empty() {
        let number = take_varint(&mut refs).ok_or(Damaged)?;
        put_varint(u64::from(symbols.number(text_of(number, texts)?)), out);
    }
    Ok(())
}

fn text_of<'t>(number: u64, texts: &[&'t [u8]]) -> Result<&'t [u8], Damaged> {
    usize::try_from(number).ok().and_then(|number| texts.get(number).copied()).ok_or(Damaged)
}

/// A field as it was.
fn put(number: u32, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Number(value) => put_number(number as u8, value, out),
        Value::Fixed(bits) => put_double(number as u8, f64::from_bits(bits), out),
        Value::Bytes(bytes) => put_bytes(number as u8, bytes, out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::{put_exemplar, put_label, put_sample};
    use super::super::{Assembler, Sends, v2_to_v1};
    use super::*;
    use crate::{Block, Extra};
    use rosterd_exposition::{Metadata, MetricKind};
    use rosterd_model::relabel::Rules;

    /// Ten series with an exemplar each, of two families with help texts.
    fn body(message: Message) -> (Vec<u8>, Counts) {
        let family = |name: &str| Metadata {
            family: name.into(),
            kind: MetricKind::Counter,
            help: format!("help of {name}").into(),
            unit: "bytes".into(),
        };
        let counts = Counts { series: 10, samples: 10, histograms: 0, exemplars: 10 };
        let metadata = Some([family("m0"), family("m1")].into());
        let mut block = Block { counts, metadata, ..Block::default() };
        for number in 0..10u32 {
            let mut series = Vec::new();
            put_label(b"__name__", format!("m{}", number / 5).as_bytes(), &mut series);
            put_label(b"number", number.to_string().repeat(20).as_bytes(), &mut series);
            put_sample(f64::from(number), 1000, &mut series);
            put_exemplar([("trace_id", "abc")].into_iter(), 0.5, 999, &mut series);
            put_bytes(1, &series, &mut block.series);
            block.extras.push(Extra { created_ms: 77, metadata: number / 5 });
        }
        let sends = Sends { exemplars: true, native_histograms: true };
        let mut assembler = Assembler::new(message, Rules::default(), sends);
        assembler.push(&block).unwrap();
        let mut body = Vec::new();
        assembler.finish(&mut body);
        (body, counts)
    }

    fn has(part: &[u8], text: &str) -> bool {
        part.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn the_parts_are_the_whole_in_order() {
        for message in [Message::V1, Message::V2] {
            let (body, counts) = body(message);
            let v1 = |body: &[u8]| if message == Message::V2 { v2_to_v1(body).unwrap().0 } else { body.to_vec() };
            for bytes in [0, 150, body.len() / 2, body.len()] {
                let parts = split(message, &body, bytes).unwrap();
                let joined: Vec<u8> = parts.iter().flat_map(|(part, _)| v1(part)).collect();
                assert_eq!(joined, v1(&body), "{message:?} by {bytes}");
                let sum = parts.iter().fold(Counts::default(), |all, (_, counts)| all.plus(*counts));
                assert_eq!(sum, counts, "{message:?} by {bytes}");
                assert_eq!(parts.len() == 1, bytes == body.len(), "{message:?} by {bytes}");
            }
            assert_eq!(split(message, &body, 0).unwrap().len(), 10);
        }
    }

    #[test]
    fn a_part_of_version_2_has_what_its_series_have_and_no_more() {
        let (body, _) = body(Message::V2);
        let parts = split(Message::V2, &body, 0).unwrap();
        for (number, (part, _)) in parts.iter().enumerate() {
            let (own, other) = (number / 5, 1 - number / 5);
            assert!(has(part, &format!("help of m{own}")) && has(part, "bytes") && has(part, "trace_id"));
            assert!(!has(part, &format!("help of m{other}")));
            // The time of creation stands in each sample.
            assert!(has(part, "\x18\x4d"));
        }
    }

    #[test]
    fn what_is_no_body_is_refused() {
        let (body, _) = body(Message::V2);
        assert_eq!(split(Message::V2, &body[..body.len() - 1], 100), Err(Damaged));
        assert_eq!(split(Message::V1, b"\x0a\x05x", 100), Err(Damaged));
        // A symbol that is not there.
        assert_eq!(split(Message::V2, b"\x2a\x03\x0a\x01\x07", 100), Err(Damaged));
    }
}
