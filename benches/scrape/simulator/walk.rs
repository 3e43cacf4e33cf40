//! Reads the messages of remote write 1.0 and 2.0 where they lie, without building them.

use super::tally::Series;

/// Labels that every target has from discovery: what is left is what it exposed.
pub(super) const OF_TARGET: [&str; 4] = ["env", "instance", "job", "zone"];

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    V1,
    V2,
}

/// The labels of a series.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Labels<'a> {
    pub(super) name: &'a [u8],
    pub(super) instance: &'a [u8],
    /// How many of those that every target has.
    pub(super) of_target: usize,
    /// The others.
    pub(super) series: Series,
}

impl<'a> Labels<'a> {
    fn add(&mut self, name: &'a [u8], value: &'a [u8]) {
        match name {
            b"__name__" => self.name = value,
            b"instance" => self.instance = value,
            _ => {}
        }
        if OF_TARGET.iter().any(|of_target| of_target.as_bytes() == name) {
            self.of_target += 1;
        } else {
            self.series.label(name, value);
        }
    }
}

/// The bytes are no such message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// Calls `visit` with each sample: its labels, value and time in milliseconds.
pub(super) fn samples<'a>(
    message: Message,
    body: &'a [u8],
    mut visit: impl FnMut(&Labels<'a>, f64, i64),
) -> Result<(), Damaged> {
    let (symbols, series_field) = match message {
        Message::V1 => (Vec::new(), 1),
        Message::V2 => (symbols(body)?, 5),
    };
    for field in Fields(body) {
        let (number, value) = field?;
        if number != series_field {
            continue;
        }
        let series = value.bytes()?;
        let labels = match message {
            Message::V1 => labels_v1(series)?,
            Message::V2 => labels_v2(series, &symbols)?,
        };
        for field in Fields(series) {
            if let (2, sample) = field? {
                let (value, time) = sample_of(sample.bytes()?)?;
                visit(&labels, value, time);
            }
        }
    }
    Ok(())
}

fn symbols(body: &[u8]) -> Result<Vec<&[u8]>, Damaged> {
    let mut symbols = Vec::new();
    for field in Fields(body) {
        if let (4, symbol) = field? {
            symbols.push(symbol.bytes()?);
        }
    }
    Ok(symbols)
}

fn labels_v1(series: &[u8]) -> Result<Labels<'_>, Damaged> {
    let mut labels = Labels::default();
    for field in Fields(series) {
        let (1, label) = field? else { continue };
        let (mut name, mut value) = (&b""[..], &b""[..]);
        for part in Fields(label.bytes()?) {
            match part? {
                (1, part) => name = part.bytes()?,
                (2, part) => value = part.bytes()?,
                _ => {}
            }
        }
        labels.add(name, value);
    }
    Ok(labels)
}

fn labels_v2<'a>(series: &'a [u8], symbols: &[&'a [u8]]) -> Result<Labels<'a>, Damaged> {
    let mut labels = Labels::default();
    for field in Fields(series) {
        let (1, references) = field? else { continue };
        let mut references = references.bytes()?;
        while !references.is_empty() {
            let mut next = || symbols.get(varint(&mut references)? as usize).copied().ok_or(Damaged);
            let (name, value) = (next()?, next()?);
            labels.add(name, value);
        }
    }
    Ok(labels)
}

fn sample_of(sample: &[u8]) -> Result<(f64, i64), Damaged> {
    let (mut value, mut time) = (0.0, 0);
    for field in Fields(sample) {
        match field? {
            (1, Value::Fixed(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(bits)) => time = bits.cast_signed(),
            _ => {}
        }
    }
    Ok((value, time))
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(self) -> Result<&'a [u8], Damaged> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Damaged) }
    }
}

/// The fields of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Value<'a>), Damaged> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => {
                let (bits, rest) = self.0.split_first_chunk::<8>().ok_or(Damaged)?;
                self.0 = rest;
                Value::Fixed(u64::from_le_bytes(*bits))
            }
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| Damaged)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            _ => return Err(Damaged),
        };
        Ok((key >> 3, value))
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Damaged)
}
