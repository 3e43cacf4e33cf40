//! The short way through lines as every client library writes them. What is not such a line, or not near enough to be seen
//! at a glance, is left to the grammar in the parent, which reads the line again from its beginning.
//!
//! Whatever is taken here, the grammar takes too and reads in the same way.

use memchr::{memchr, memchr2};

use super::meta::{Meta, MetaKind, kind};
use super::scan::{is_name_start, leading_digits, load, name_end, plain_string_end, same};
use super::{Dialect, Result, SampleParts, TextParser};
use crate::entry::Piece;
use crate::number::{exact, parse_float};

impl<'b> TextParser<'b> {
    /// A line with the series that is due, and without timestamp.
    #[inline]
    pub(super) fn due_sample(
        &mut self,
        length: usize,
        is_due: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<SampleParts>> {
        let bytes = self.body.as_bytes();
        let series_end = self.at + length;
        if length == 0 || bytes.get(series_end) != Some(&b' ') {
            return Ok(None);
        }
        let Some((value, end)) = number(self.body, series_end + 1) else { return Ok(None) };
        let has_timestamp = bytes[end] == b' ' && !self.exemplar_follows(end);
        if has_timestamp || !is_due(&bytes[self.at..series_end]) {
            return Ok(None);
        }
        self.labels.clear();
        self.plain_labels = 0;
        (self.was_plain, self.names_stay) = (false, false);
        self.plain_end(SampleParts { series_end, name: self.piece(self.at, self.at), value, timestamp_ms: None }, end)
    }

    /// A line with a sample, such as `name{label="value"} 1.5`. The place is at its first byte, and stays there if it is
    /// another kind of line.
    #[inline]
    pub(super) fn plain_sample(&mut self) -> Result<Option<SampleParts>> {
        let Some((name, series_end)) = self.plain_series() else { return Ok(None) };
        if self.body.as_bytes().get(series_end) != Some(&b' ') {
            return Ok(None);
        }
        let Some((value, mut end)) = number(self.body, series_end + 1) else { return Ok(None) };
        let mut timestamp_ms = None;
        if self.body.as_bytes()[end] == b' ' && !self.exemplar_follows(end) {
            let Some((timestamp, after)) = self.plain_timestamp(end + 1) else { return Ok(None) };
            (timestamp_ms, end) = (Some(timestamp), after);
        }
        self.plain_end(SampleParts { series_end, name, value, timestamp_ms }, end)
    }

    #[inline]
    fn exemplar_follows(&self, space: usize) -> bool {
        self.dialect == Dialect::OpenMetrics && self.body.as_bytes()[space + 1..].starts_with(b"# {")
    }

    /// The end of a line with a sample, perhaps with an exemplar before it.
    #[inline]
    fn plain_end(&mut self, found: SampleParts, mut end: usize) -> Result<Option<SampleParts>> {
        let bytes = self.body.as_bytes();
        if bytes.get(end) == Some(&b' ') && found.timestamp_ms.is_none() && self.exemplar_follows(end) {
            self.at = end + 1;
            self.exemplar()?;
            end = self.at;
        }
        if bytes.get(end) != Some(&b'\n') {
            // The exemplar has moved the place.
            self.at = self.start;
            return Ok(None);
        }
        self.at = end + 1;
        Ok(Some(found))
    }

    /// The name and where the series ends.
    #[inline]
    fn plain_series(&mut self) -> Option<(Piece, usize)> {
        let bytes = self.body.as_bytes();
        let name = self.plain_name(self.at)?;
        let mut at = name.end as usize;
        let mut count = 0;
        let mut names_stay = true;
        if bytes.get(at) == Some(&b'{') {
            loop {
                at += 1;
                let (label, stays) = self.plain_label(at, count)?;
                names_stay &= stays;
                let equals = label.end as usize;
                if bytes.get(equals..equals + 2) != Some(b"=\"") {
                    return None;
                }
                let start = equals + 2;
                let end = plain_string_end(bytes, start)?;
                let value = self.normal_bound(label, self.piece(start, end));
                match self.labels.get_mut(count) {
                    Some(old) => *old = (label, value),
                    None => self.labels.push((label, value)),
                }
                count += 1;
                at = end + 1;
                match bytes.get(at) {
                    Some(b',') => {}
                    Some(b'}') => break,
                    _ => return None,
                }
            }
            at += 1;
        }
        self.labels.truncate(count);
        self.names_stay = names_stay && count == self.plain_labels && self.was_plain;
        self.was_plain = true;
        self.plain_labels = count;
        Some((name, at))
    }

    /// A metric name. Most lines have the name of the line before.
    #[inline]
    fn plain_name(&mut self, at: usize) -> Option<Piece> {
        let bytes = self.body.as_bytes();
        let (start, end) = (self.known_name.start as usize, self.known_name.end as usize);
        let known = end - start;
        let from = if known > 0 && same(bytes, start, at, known) {
            at + known
        } else if is_name_start(*bytes.get(at)?) {
            at
        } else {
            return None;
        };
        self.known_name = self.piece(at, name_end(bytes, from));
        Some(self.known_name)
    }

    /// The name of the label with this index, and whether it is that of the line before, as most are.
    #[inline]
    fn plain_label(&self, at: usize, index: usize) -> Option<(Piece, bool)> {
        let bytes = self.body.as_bytes();
        if index < self.plain_labels {
            let known = self.labels[index].0;
            let length = (known.end - known.start) as usize;
            if same(bytes, known.start as usize, at, length) && bytes.get(at + length) == Some(&b'=') {
                return Some((self.piece(at, at + length), true));
            }
        }
        if !is_name_start(*bytes.get(at)?) {
            return None;
        }
        let end = name_end(bytes, at);
        // The characters are those of metric names, which may have colons.
        memchr(b':', &bytes[at..end]).is_none().then(|| (self.piece(at, end), false))
    }

    fn plain_timestamp(&self, at: usize) -> Option<(i64, usize)> {
        if self.dialect == Dialect::OpenMetrics {
            let (seconds, end) = number(self.body, at)?;
            return seconds.is_finite().then_some(((seconds * 1000.0) as i64, end));
        }
        let bytes = self.body.as_bytes();
        let (high, first) = leading_digits(load(bytes, at)?);
        if first < 8 {
            return (first > 0).then_some((high as i64, at + first as usize));
        }
        let (low, second) = leading_digits(load(bytes, at + 8)?);
        // Sixteen digits may go on, but timestamps of our times have thirteen.
        (second < 8).then(|| ((high * 10u64.pow(second) + low) as i64, at + 8 + second as usize))
    }

    /// A line with a type or a help text.
    #[inline]
    pub(super) fn plain_meta(&mut self) -> Option<Meta> {
        let bytes = self.body.as_bytes();
        let meta = match bytes.get(self.at..self.at + 7)? {
            b"# HELP " => MetaKind::Help,
            b"# TYPE " => MetaKind::Type,
            _ => return None,
        };
        let family = self.plain_name(self.at + 7)?;
        let separator = family.end as usize;
        let start = separator + 1;
        if bytes.get(separator) != Some(&b' ') || matches!(bytes.get(start), None | Some(b' ' | b'\t' | b'\n')) {
            return None;
        }
        let rest = &bytes[start..];
        let end = start + if meta == MetaKind::Help { memchr2(b'\n', b'\\', rest)? } else { memchr(b'\n', rest)? };
        if bytes[end] != b'\n' {
            return None;
        }
        if meta == MetaKind::Type {
            self.kind = kind(&self.body[start..end], self.dialect)?;
        }
        self.at = end + 1;
        Some(Meta { meta, family, text: self.piece(start, end) })
    }
}

/// A number up to a space or the end of the line, and where it ends.
#[inline]
fn number(body: &str, start: usize) -> Option<(f64, usize)> {
    let bytes = body.as_bytes();
    if let Some((value, end)) = decimal(bytes, start)
        && matches!(bytes.get(end), Some(b'\n' | b' '))
    {
        return Some((value, end));
    }
    let length = memchr2(b'\n', b' ', bytes.get(start..)?)?;
    Some((parse_float(&body[start..start + length])?, start + length))
}

/// A number such as `12.5e+06` with so few digits that one division or multiplication gives the nearest float.
#[inline]
fn decimal(bytes: &[u8], start: usize) -> Option<(f64, usize)> {
    let negative = bytes.get(start) == Some(&b'-');
    let mut at = start + usize::from(negative);
    let (mut mantissa, count) = leading_digits(load(bytes, at)?);
    at += count as usize;
    let mut digits = count;
    if digits == 8 {
        (mantissa, at, digits) = more_digits(bytes, mantissa, at, digits)?;
    }
    let mut exponent = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let before = digits;
        (mantissa, at, digits) = more_digits(bytes, mantissa, at, digits)?;
        if digits - before == 8 {
            (mantissa, at, digits) = more_digits(bytes, mantissa, at, digits)?;
        }
        exponent = before as i32 - digits as i32;
    }
    if digits == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let (sign, from) = match bytes.get(at + 1)? {
            b'-' => (-1, at + 2),
            b'+' => (1, at + 2),
            _ => (1, at + 1),
        };
        let (power, count) = leading_digits(load(bytes, from)?);
        if !(1..=4).contains(&count) {
            return None;
        }
        exponent += sign * power as i32;
        at = from + count as usize;
    }
    let value = exact(mantissa, exponent)?;
    Some((if negative { -value } else { value }, at))
}

/// Up to eight more digits of the mantissa; `None` when it becomes too long.
#[inline]
fn more_digits(bytes: &[u8], mantissa: u64, at: usize, digits: u32) -> Option<(u64, usize, u32)> {
    let (number, count) = leading_digits(load(bytes, at)?);
    // Nineteen digits fit into 64 bits.
    if digits + count > 19 {
        return None;
    }
    const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    Some((mantissa * TENS[count as usize] + number, at + count as usize, digits + count))
}
