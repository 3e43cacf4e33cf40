//! The wire format of protocol buffers, walked in place.

use std::ops::Range;

use crate::ParseError;

pub(super) type Result<T> = std::result::Result<T, ParseError>;

pub(super) fn fault(at: usize, message: impl Into<String>) -> ParseError {
    ParseError { place: format!("byte {at}"), message: message.into() }
}

/// A place in a message. Positions are those of the body, so that faults can tell them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'b> {
    body: &'b [u8],
    pub(super) at: usize,
    end: usize,
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Cursor<'b>),
    /// Of a type that no message of ours has.
    Other,
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'b> {
    pub(super) number: u64,
    pub(super) value: Value<'b>,
    at: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { body, at: 0, end: body.len() }
    }

    pub(super) fn part(body: &'b [u8], range: &Range<usize>) -> Self {
        Self { body, at: range.start, end: range.end }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.at..self.end
    }

    pub(super) fn is_at_end(self) -> bool {
        self.at >= self.end
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            if self.is_at_end() {
                return Err(fault(start, "the body ends within a number"));
            }
            let byte = self.body[self.at];
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(fault(start, "a number has more than 64 bits"))
    }

    /// A length and as many bytes.
    pub(super) fn delimited(&mut self) -> Result<Cursor<'b>> {
        let start = self.at;
        let length = self.varint()?;
        let left = self.end - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                let part = Self { body: self.body, at: self.at, end: self.at + length };
                self.at = part.end;
                Ok(part)
            }
            _ => Err(fault(start, format!("a length of {length} bytes where only {left} are left"))),
        }
    }

    pub(super) fn fixed64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.body[self.at..self.end].first_chunk::<N>();
        let bytes = bytes.ok_or_else(|| fault(self.at, "the body ends within a number"))?;
        self.at += N;
        Ok(*bytes)
    }

    /// The next field; `None` at the end of the message.
    pub(super) fn field(&mut self) -> Result<Option<Field<'b>>> {
        if self.is_at_end() {
            return Ok(None);
        }
        let at = self.at;
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 {
            return Err(fault(at, "a field without number"));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => Value::Bytes(self.delimited()?),
            3 => self.skip_group(at)?,
            5 => {
                self.take::<4>()?;
                Value::Other
            }
            wire_type => return Err(fault(at, format!("a field of the wire type {wire_type}"))),
        };
        Ok(Some(Field { number, value, at }))
    }

    fn skip_group(&mut self, start: usize) -> Result<Value<'b>> {
        let mut depth = 1usize;
        while depth > 0 {
            if self.is_at_end() {
                return Err(fault(start, "a group without end"));
            }
            let at = self.at;
            match self.varint()? & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take::<8>()?),
                2 => drop(self.delimited()?),
                3 => depth += 1,
                4 => depth -= 1,
                5 => drop(self.take::<4>()?),
                wire_type => return Err(fault(at, format!("a field of the wire type {wire_type}"))),
            }
        }
        Ok(Value::Other)
    }

    pub(super) fn text(self) -> Result<&'b str> {
        std::str::from_utf8(&self.body[self.range()])
            .map_err(|error| fault(self.at + error.valid_up_to(), "a text is not UTF-8"))
    }
}

impl<'b> Field<'b> {
    fn wrong_type(&self) -> ParseError {
        fault(self.at, format!("field {} has the wrong wire type", self.number))
    }

    pub(super) fn message(&self) -> Result<Cursor<'b>> {
        match self.value {
            Value::Bytes(cursor) => Ok(cursor),
            _ => Err(self.wrong_type()),
        }
    }

    pub(super) fn text(&self) -> Result<&'b str> {
        self.message()?.text()
    }

    pub(super) fn integer(&self) -> Result<u64> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    pub(super) fn double(&self) -> Result<f64> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong_type()),
        }
    }

    /// Appends the values of a repeated field, packed or not.
    pub(super) fn signed_integers(&self, out: &mut Vec<f64>) -> Result<()> {
        match self.value {
            Value::Varint(value) => out.push(zigzag(value) as f64),
            Value::Bytes(mut packed) => {
                while !packed.is_at_end() {
                    out.push(zigzag(packed.varint()?) as f64);
                }
            }
            _ => return Err(self.wrong_type()),
        }
        Ok(())
    }

    /// The same for doubles.
    pub(super) fn doubles(&self, out: &mut Vec<f64>) -> Result<()> {
        match self.value {
            Value::Fixed64(bits) => out.push(f64::from_bits(bits)),
            Value::Bytes(mut packed) => {
                while !packed.is_at_end() {
                    out.push(f64::from_bits(packed.fixed64()?));
                }
            }
            _ => return Err(self.wrong_type()),
        }
        Ok(())
    }
}

pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
