//! Bytes into the events of YAML. What the parser takes is what libyaml takes, and so nearly what Go's reader takes.

use std::borrow::Cow;
use std::io::{BufReader, Chain, Read as _};

use libyaml_safer::{Encoding, Event, EventData, Parser, ScalarStyle};

use super::syntax::Broken;

/// The events of a text, up to the end of the stream or the first error.
pub(super) struct Events<'a> {
    text: &'a str,
    /// Whether a line break was put behind the text. The parser panics where a block scalar or an escape meets the end.
    closed: bool,
    parser: Parser<BufReader<Chain<&'a [u8], &'static [u8]>>>,
}

impl<'a> Events<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let closed = !text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        let end: &[u8] = if closed { b"\n" } else { b"" };
        let mut parser = Parser::new();
        parser.set_encoding(Encoding::Utf8);
        parser.set_input(BufReader::new(text.as_bytes().chain(end)));
        Self { text, closed, parser }
    }

    /// The next event; nothing at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Broken> {
        let mut event = self.parser.parse().map_err(|error| Broken::of(&error, self.text))?;
        if let EventData::Scalar { value, style: ScalarStyle::Literal | ScalarStyle::Folded, .. } = &mut event.data
            && self.closed
            && event.end_mark.index > self.text.len() as u64
        {
            self.without_break(value);
        }
        Ok(if matches!(event.data, EventData::StreamEnd) { None } else { Some(event) })
    }

    /// Takes the line break that was put behind the text from a block scalar that ends with the text. A last line of
    /// blanks alone counts only where all breaks are kept, or where it is deeper than the rest.
    fn without_break(&self, value: &mut String) {
        let is_blank = |text: &str| text.rsplit('\n').next().is_none_or(|line| line.bytes().all(|byte| byte == b' '));
        let deeper = value.strip_suffix('\n').is_some_and(|rest| !rest.ends_with('\n') && is_blank(rest));
        if value.ends_with('\n') && (!is_blank(self.text) || value.ends_with("\n\n") || deeper) {
            value.pop();
        }
    }
}

/// The text in bytes: UTF-8, or UTF-16 with a mark in front, as Go's reader takes it. Fails with the number of good bytes.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, usize> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| error.valid_up_to())?;
            Ok(Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)))
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, usize> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty()).ok_or(0)
}
