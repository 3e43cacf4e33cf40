//! Lines with types, help texts and units, and comments.

use super::scan::{is_name_start, name_end};
use super::{Dialect, Result, TextParser};
use crate::MetricKind;
use crate::entry::{Piece, Text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetaKind {
    Help,
    Type,
    Unit,
}

#[derive(Debug)]
pub(crate) struct Meta {
    pub(super) meta: MetaKind,
    pub(super) family: Piece,
    pub(super) text: Piece,
}

impl TextParser<'_> {
    /// A line that begins with `#`; the place is there. `None` for a comment.
    pub(super) fn meta(&mut self) -> Result<Option<Meta>> {
        let line = self.at;
        self.at = line + 1;
        let end = self.rest_of_line();
        let tabs = self.lax();
        let blank = |byte: Option<&u8>| byte == Some(&b' ') || tabs && byte == Some(&b'\t');
        if !blank(self.bytes().get(self.at)) {
            return self.comment(end);
        }
        self.at += 1;
        self.blanks();
        if !self.lax() && &self.body[self.at..end] == "EOF" {
            self.ended = true;
            self.at = (end + 1).min(self.body.len());
            if self.at < self.body.len() {
                return self.fault("there is more after # EOF");
            }
            return Ok(None);
        }
        let word = match self.bytes()[self.at..end].get(..5) {
            Some([word @ .., separator]) if blank(Some(separator)) => word,
            _ => return self.comment(end),
        };
        let meta = match word {
            b"HELP" => MetaKind::Help,
            b"TYPE" => MetaKind::Type,
            b"UNIT" if !self.lax() => MetaKind::Unit,
            _ => return self.comment(end),
        };
        self.at += 5;
        self.blanks();
        self.meta_line(meta, end).map(Some)
    }

    fn comment(&mut self, end: usize) -> Result<Option<Meta>> {
        if !self.lax() {
            return self.expected("HELP, TYPE, UNIT or EOF: OpenMetrics has no other comments");
        }
        self.at = (end + 1).min(self.body.len());
        Ok(None)
    }

    /// Where the line ends.
    fn rest_of_line(&self) -> usize {
        memchr::memchr(b'\n', &self.bytes()[self.at..]).map_or(self.body.len(), |length| self.at + length)
    }

    fn meta_line(&mut self, meta: MetaKind, end: usize) -> Result<Meta> {
        let family = match self.peek() {
            Some(b'"') => self.quoted_name()?,
            Some(byte) if is_name_start(byte) => {
                let start = self.at;
                self.at = name_end(self.bytes(), start);
                self.piece(start, self.at)
            }
            _ => return self.expected("a metric name"),
        };
        // A name in quotes may have line breaks.
        let end = if self.at > end { self.rest_of_line() } else { end };
        if !self.lax() && (end == self.body.len() || self.peek() != Some(b' ')) {
            return self.expected("a space, a text and the end of the line");
        }
        // One byte separates the name from the text, whatever it is.
        let start = end.min(self.at + 1);
        if !self.body.is_char_boundary(start) {
            return self.expected("a space and a text");
        }
        let text_at = start;
        let text = if meta == MetaKind::Help && memchr::memchr(b'\\', &self.bytes()[start..end]).is_some() {
            let quotes = !self.lax();
            self.unescape(start, end, quotes)
        } else {
            self.piece(start, end)
        };
        self.at = (end + 1).min(self.body.len());
        if meta == MetaKind::Type {
            let word = &self.body[start..end];
            self.kind = match kind(word, self.dialect) {
                Some(kind) => kind,
                None => return self.fault_at(text_at, format!("invalid metric type {word:?}")),
            };
        }
        if meta == MetaKind::Unit {
            let pieces = Text { body: self.body, unescaped: &self.unescaped };
            let (name, unit) = (pieces.get(family), pieces.get(text));
            let fits = name.strip_suffix(unit).is_some_and(|name| name.ends_with('_'));
            if !unit.is_empty() && !fits {
                return self.fault_at(text_at, format!("unit {unit:?} is not a suffix of metric {name:?}"));
            }
        }
        Ok(Meta { meta, family, text })
    }
}

pub(super) fn kind(word: &str, dialect: Dialect) -> Option<MetricKind> {
    let prometheus = dialect == Dialect::Prometheus;
    Some(match word {
        "counter" => MetricKind::Counter,
        "gauge" => MetricKind::Gauge,
        "histogram" => MetricKind::Histogram,
        "summary" => MetricKind::Summary,
        "untyped" if prometheus => MetricKind::Unknown,
        "unknown" if !prometheus => MetricKind::Unknown,
        "gaugehistogram" if !prometheus => MetricKind::GaugeHistogram,
        "info" if !prometheus => MetricKind::Info,
        "stateset" if !prometheus => MetricKind::StateSet,
        _ => return None,
    })
}
