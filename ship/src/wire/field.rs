//! Protobuf fields, written to and read from bytes.

/// Appends a varint.
#[inline]
pub fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes a varint has.
#[inline]
pub const fn varint_len(number: u64) -> usize {
    ((64 - (number | 1).leading_zeros()) as usize).div_ceil(7)
}

/// A signed number as a varint of type `sint`.
#[inline]
pub const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The key of a field whose value is a varint.
pub const fn varint_key(field: u8) -> u8 {
    field << 3
}

/// The key of a field whose value has 8 bytes.
pub const fn fixed_key(field: u8) -> u8 {
    field << 3 | 1
}

/// The key of a field whose value is bytes, a string or a message.
pub const fn bytes_key(field: u8) -> u8 {
    field << 3 | 2
}

/// Appends a field of bytes; fields above 15 have keys of two bytes.
pub fn put_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(field) << 3 | 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a field that is a varint, unless it is 0, which is the default.
pub fn put_number(field: u8, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        put_varint(u64::from(field) << 3, out);
        put_varint(number, out);
    }
}

/// Appends a field that is a float, unless it is 0, which is the default.
pub fn put_double(field: u8, number: f64, out: &mut Vec<u8>) {
    if number.to_bits() != 0 {
        put_varint(u64::from(field) << 3 | 1, out);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A varint.
    Number(u64),
    /// Eight bytes.
    Fixed(u64),
    /// Bytes, a string or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes, none if it is something else.
    pub fn bytes(self) -> &'a [u8] {
        if let Self::Bytes(bytes) = self { bytes } else { &[] }
    }

    /// The number, 0 if it is something else.
    pub fn number(self) -> u64 {
        if let Self::Number(number) = self { number } else { 0 }
    }

    /// The float, 0 if it is something else.
    pub fn double(self) -> f64 {
        if let Self::Fixed(bits) = self { f64::from_bits(bits) } else { 0.0 }
    }
}

/// Takes a varint from the front.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(number);
        }
    }
    None
}

/// Takes a field from the front: its number and its value.
#[inline]
pub fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Value<'a>)> {
    let key = take_varint(bytes)?;
    let field = u32::try_from(key >> 3).ok()?;
    let value = match key & 7 {
        0 => Value::Number(take_varint(bytes)?),
        1 => Value::Fixed(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(take_varint(bytes)?).ok()?;
            Value::Bytes(take(bytes, length)?)
        }
        5 => Value::Fixed(u64::from(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))),
        _ => return None,
    };
    Some((field, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
