//! Stretches of a body that are UTF-8. Names, label values and help texts have to be, comments do not, as in Prometheus: so a
//! body is read up to the line where it is not, and goes on behind that if it is a comment.

use super::scan::is_blank;
use super::{Dialect, TextParser, fault};
use crate::ParseError;
use crate::entry::Piece;

/// A part of the body, of whole lines.
#[derive(Debug)]
pub(super) struct Stretch<'b> {
    pub(super) text: &'b str,
    pub(super) then: Then<'b>,
}

/// What comes behind a stretch.
#[derive(Debug)]
pub(super) enum Then<'b> {
    /// Nothing.
    End,
    /// A comment, and behind it, and behind so many lines, the rest of the body.
    Rest { body: &'b [u8], lines: usize },
    /// A line that is at fault.
    Fault(ParseError),
}

impl<'b> Stretch<'b> {
    /// The first one of a body, before which there are so many lines.
    pub(super) fn of(body: &'b [u8], dialect: Dialect, lines: usize) -> Self {
        let error = match std::str::from_utf8(body) {
            Ok(text) => return Self { text, then: Then::End },
            Err(error) => error,
        };
        let good = &body[..error.valid_up_to()];
        let start = memchr::memrchr(b'\n', good).map_or(0, |index| index + 1);
        let text = std::str::from_utf8(&body[..start]).unwrap_or_default();
        let line = &body[start..];
        let then = if is_comment(line, dialect) {
            let length = memchr::memchr(b'\n', line).map_or(line.len(), |index| index + 1);
            let before = memchr::memchr_iter(b'\n', text.as_bytes()).count();
            Then::Rest { body: &line[length..], lines: lines + before + 1 }
        } else {
            let good = std::str::from_utf8(good).unwrap_or_default();
            Then::Fault(fault(good, lines, good.len(), "invalid UTF-8".to_owned()))
        };
        Self { text, then }
    }
}

/// Whether nothing of the line that begins here is looked at. OpenMetrics knows no such lines.
fn is_comment(line: &[u8], dialect: Dialect) -> bool {
    let blanks = |text: &[u8]| text.iter().take_while(|byte| is_blank(**byte)).count();
    let Some(said) = line[blanks(line)..].strip_prefix(b"#") else { return false };
    let begin = blanks(said);
    let is_meta = begin > 0
        && [b"HELP", b"TYPE"].iter().any(|word| {
            let rest = said[begin..].strip_prefix(word.as_slice());
            rest.and_then(<[u8]>::first).is_some_and(|byte| is_blank(*byte))
        });
    dialect == Dialect::Prometheus && !is_meta
}

impl<'b> TextParser<'b> {
    /// Reads on in the rest of the body, before which there are so many lines.
    #[cold]
    pub(super) fn go_on(&mut self, body: &'b [u8], lines: usize) {
        let Stretch { text, then } = Stretch::of(body, self.dialect, lines);
        (self.body, self.then, self.lines, self.at) = (text, then, lines, 0);
        // What is known of the line before stands in the stretch before.
        self.labels.clear();
        self.known_name = Piece::default();
        self.plain_labels = 0;
        (self.was_plain, self.names_stay) = (false, false);
    }
}
