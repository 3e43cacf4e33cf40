//! The text formats: Prometheus 0.0.4 and 1.0, OpenMetrics 0.0.1 and 1.0. Read in place; a sample allocates nothing.
//!
//! The grammars are those of Prometheus (`model/textparse` there), which is laxer than the specification of its own format
//! and nearly as strict as that of OpenMetrics.

mod meta;
mod plain;
mod scan;
mod stretch;

use meta::{Meta, MetaKind};
use scan::{is_blank, is_name_start, name_end};
use stretch::{Stretch, Then};

use crate::entry::{ExemplarList, Exemplars, Piece, Text};
use crate::number::{format_open_metrics, is_normal, parse_bound, parse_float};
use crate::{Entry, Labels, MetricKind, Parse, ParseError, Sample};

/// Which text format a body is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The text format of Prometheus.
    Prometheus,
    /// OpenMetrics.
    OpenMetrics,
}

/// Reads a body in one of the text formats.
#[derive(Debug)]
pub struct TextParser<'b> {
    /// What of the body is UTF-8 from here on: nearly always all of it.
    body: &'b str,
    /// What comes behind that.
    then: Then<'b>,
    /// How many lines there were before.
    lines: usize,
    dialect: Dialect,
    at: usize,
    /// Where the entry begins that is being read.
    start: usize,
    kind: MetricKind,
    labels: Vec<(Piece, Piece)>,
    /// The name of a line before.
    known_name: Piece,
    /// How many labels have names without quotes, and are those of the line before.
    plain_labels: usize,
    /// Whether the last sample was read in the short way.
    was_plain: bool,
    /// Whether the names of the labels are those of the sample before.
    names_stay: bool,
    exemplars: ExemplarList,
    unescaped: String,
    ended: bool,
}

type Result<T> = std::result::Result<T, ParseError>;

/// The parts of a sample that are found before it can be handed out.
#[derive(Debug)]
pub(crate) struct SampleParts {
    series_end: usize,
    name: Piece,
    value: f64,
    timestamp_ms: Option<i64>,
}

impl<'b> TextParser<'b> {
    /// Begins to read a body. Fails when it has 2 GiB or more.
    pub fn new(body: &'b [u8], dialect: Dialect) -> Result<Self> {
        if body.len() >= Piece::UNESCAPED as usize {
            return Err(fault("", 0, 0, "the body has 2 GiB or more".to_owned()));
        }
        let Stretch { text, then, .. } = Stretch::of(body, dialect, 0);
        Ok(Self {
            body: text,
            then,
            lines: 0,
            dialect,
            at: 0,
            start: 0,
            kind: MetricKind::Unknown,
            labels: Vec::with_capacity(16),
            known_name: Piece::default(),
            plain_labels: 0,
            was_plain: false,
            names_stay: false,
            exemplars: ExemplarList::default(),
            unescaped: String::new(),
            ended: false,
        })
    }

    fn bytes(&self) -> &'b [u8] {
        self.body.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    fn lax(&self) -> bool {
        self.dialect == Dialect::Prometheus
    }

    /// Spaces and tabs, where the format lets them be.
    fn blanks(&mut self) {
        if self.lax() {
            while self.peek().is_some_and(is_blank) {
                self.at += 1;
            }
        }
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T> {
        self.fault_at(self.at, message)
    }

    fn fault_at<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        Err(fault(self.body, self.lines, at, message.into()))
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        let found = self.body[self.at..].chars().next();
        self.fault(match found {
            None => format!("expected {what}, found the end"),
            Some('\n') => format!("expected {what}, found the end of the line"),
            Some(found) => format!("expected {what}, found {found:?}"),
        })
    }

    fn piece(&self, start: usize, end: usize) -> Piece {
        // The body is below 2 GiB.
        Piece { start: start as u32, end: end as u32 }
    }

    /// The piece without its escapes. Unknown ones stay as they are.
    fn unescape(&mut self, start: usize, end: usize, quotes: bool) -> Piece {
        let from = self.unescaped.len();
        let mut rest = &self.body[start..end];
        while let Some(index) = memchr::memchr(b'\\', rest.as_bytes()) {
            self.unescaped.push_str(&rest[..index]);
            let (plain, taken) = match rest.as_bytes().get(index + 1) {
                Some(b'n') => ("\n", 2),
                Some(b'\\') => ("\\", 2),
                Some(b'"') if quotes => ("\"", 2),
                _ => ("\\", 1),
            };
            self.unescaped.push_str(plain);
            rest = &rest[index + taken..];
        }
        self.unescaped.push_str(rest);
        self.buffered(from)
    }

    fn buffered(&self, from: usize) -> Piece {
        // What had escapes is shorter than the body.
        Piece { start: from as u32 | Piece::UNESCAPED, end: self.unescaped.len() as u32 }
    }

    /// A name in quotes.
    fn quoted_name(&mut self) -> Result<Piece> {
        let open = self.at;
        let name = self.quoted(true)?;
        match memchr::memchr(0, &self.bytes()[open..self.at]) {
            Some(index) => self.fault_at(open + index, "this name has a NUL"),
            None => Ok(name),
        }
    }

    /// A quoted string; the place is at its opening quote, and afterwards behind the closing one.
    fn quoted(&mut self, newlines: bool) -> Result<Piece> {
        let open = self.at;
        let bytes = self.bytes();
        let mut at = open + 1;
        let mut escaped = false;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(index) = memchr::memchr2(b'"', b'\\', rest) else {
                return self.fault_at(open, "this string has no end");
            };
            if rest[index] == b'"' {
                at += index;
                break;
            }
            if rest.get(index + 1) == Some(&b'\n') {
                return self.fault_at(at + index, "a backslash cannot stand before the end of a line");
            }
            escaped = true;
            at += index + 2;
        }
        if !newlines && memchr::memchr(b'\n', &bytes[open..at]).is_some() {
            return self.fault_at(open, "this string has no end on its line");
        }
        self.at = at + 1;
        Ok(if escaped { self.unescape(open + 1, at, true) } else { self.piece(open + 1, at) })
    }

    /// Labels up to the closing brace; the place is behind the opening one. Returns the name if it stands among them.
    fn label_list(&mut self, exemplar: bool, mut name: Option<Piece>) -> Result<Option<Piece>> {
        let newlines = self.lax();
        loop {
            self.blanks();
            let label = match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(name);
                }
                Some(b'"') => {
                    let text = self.quoted_name()?;
                    self.blanks();
                    if let Some(next @ (b',' | b'}')) = self.peek()
                        && !exemplar
                    {
                        if name.is_some() {
                            return self.fault("the metric name is there already");
                        }
                        name = Some(text);
                        if next == b',' {
                            self.at += 1;
                        }
                        continue;
                    }
                    text
                }
                Some(byte) if is_name_start(byte) && byte != b':' => {
                    let start = self.at;
                    self.at = name_end(self.bytes(), start);
                    if let Some(colon) = memchr::memchr(b':', &self.bytes()[start..self.at]) {
                        self.at = start + colon;
                    }
                    let label = self.piece(start, self.at);
                    self.blanks();
                    label
                }
                _ => return self.expected("a label name or }"),
            };
            if self.peek() != Some(b'=') {
                return self.expected("=");
            }
            self.at += 1;
            self.blanks();
            if self.peek() != Some(b'"') {
                return self.expected("a label value in quotes");
            }
            let value = self.quoted(newlines)?;
            let value = if exemplar { value } else { self.normal_bound(label, value) };
            if exemplar { &mut self.exemplars.pieces } else { &mut self.labels }.push((label, value));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {}
                // Prometheus takes labels without a comma between them in its own format.
                _ if self.lax() => {}
                _ => return self.expected(", or }"),
            }
        }
    }

    /// Bounds of buckets and quantiles are written in one way, whatever the target writes: `1` as `1.0`.
    #[inline]
    fn normal_bound(&mut self, label: Piece, value: Piece) -> Piece {
        let bound = match self.kind {
            MetricKind::Histogram => "le",
            MetricKind::Summary => "quantile",
            _ => return value,
        };
        let text = Text { body: self.body, unescaped: &self.unescaped };
        if text.get(label) != bound || is_normal(text.get(value)) {
            return value;
        }
        let Some(number) = parse_bound(text.get(value)) else { return value };
        let from = self.unescaped.len();
        format_open_metrics(number, &mut self.unescaped);
        self.buffered(from)
    }

    /// A word up to the next blank or the end of the line.
    fn word(&mut self) -> &'b str {
        let start = self.at;
        let tabs = self.lax();
        let rest = &self.bytes()[start..];
        let end = rest.iter().position(|&byte| byte == b'\n' || byte == b' ' || byte == b'\t' && tabs);
        self.at += end.unwrap_or(rest.len());
        &self.body[start..self.at]
    }

    /// What stands between a series and its value, or between a value and its timestamp. Says whether there is more.
    fn gap(&mut self) -> bool {
        if self.lax() {
            self.blanks();
        } else if self.peek() == Some(b' ') {
            // Something has to follow a space.
            self.at += 1;
            return true;
        }
        !matches!(self.peek(), None | Some(b'\n'))
    }

    fn line_end(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'\n') => {
                self.at += 1;
                Ok(())
            }
            None if self.lax() => Ok(()),
            None => self.fault("data does not end with # EOF"),
            _ => self.expected("the end of the line"),
        }
    }

    fn number(&mut self, what: &str) -> Result<f64> {
        if matches!(self.peek(), None | Some(b'\n')) {
            return self.expected(what);
        }
        let at = self.at;
        let word = self.word();
        match parse_float(word) {
            Some(value) => Ok(value),
            None => self.fault_at(at, format!("expected {what}, found {word:?}")),
        }
    }

    /// OpenMetrics has timestamps in seconds.
    fn seconds(&mut self) -> Result<i64> {
        let at = self.at;
        let seconds = self.number("a timestamp in seconds")?;
        if !seconds.is_finite() {
            return self.fault_at(at, "this timestamp is not finite");
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn milliseconds(&mut self) -> Result<i64> {
        let at = self.at;
        let word = self.word();
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        match word.parse().ok().filter(|_| digits) {
            Some(timestamp) => Ok(timestamp),
            None => self.fault_at(at, format!("expected a timestamp in milliseconds, found {word:?}")),
        }
    }

    /// A line with a sample; the place is at its first byte.
    fn sample(&mut self) -> Result<SampleParts> {
        self.labels.clear();
        self.plain_labels = 0;
        (self.was_plain, self.names_stay) = (false, false);
        let mut name = None;
        if self.peek() != Some(b'{') {
            let end = name_end(self.bytes(), self.at);
            name = Some(self.piece(self.at, end));
            self.at = end;
        }
        let mut series_end = self.at;
        self.blanks();
        if self.peek() == Some(b'{') {
            self.at += 1;
            name = self.label_list(false, name)?;
            series_end = self.at;
        }
        let Some(name) = name else { return self.fault("this series has no name") };
        if !self.lax() && self.peek() != Some(b' ') {
            return self.expected("a space and a value");
        }
        self.gap();
        let value = self.number("a value")?;
        let mut timestamp_ms = None;
        let mut more = self.gap();
        if more && (self.lax() || !self.at_exemplar()) {
            timestamp_ms = Some(if self.lax() { self.milliseconds()? } else { self.seconds()? });
            more = self.gap();
        }
        if more && !self.lax() {
            if !self.at_exemplar() {
                return self.expected("an exemplar");
            }
            self.exemplar()?;
        }
        self.line_end()?;
        Ok(SampleParts { series_end, name, value, timestamp_ms })
    }

    fn at_exemplar(&self) -> bool {
        self.bytes()[self.at..].starts_with(b"# {")
    }

    fn exemplar(&mut self) -> Result<()> {
        self.at += "# {".len();
        self.exemplars.clear();
        self.label_list(true, None)?;
        if self.peek() != Some(b' ') {
            return self.expected("a space and the value of the exemplar");
        }
        self.at += 1;
        let value = self.number("the value of the exemplar")?;
        let timestamp = if self.peek() == Some(b' ') {
            self.at += 1;
            Some(self.seconds()?)
        } else {
            None
        };
        self.exemplars.end(value, timestamp);
        Ok(())
    }
}

/// What was read, as places in the body and the parser.
#[derive(Debug)]
pub(crate) enum Step {
    Sample(SampleParts),
    Meta(Meta),
}

impl Parse for TextParser<'_> {
    #[inline]
    fn next(&mut self) -> Result<Option<Entry<'_>>> {
        self.next_due(0, |_| false)
    }

    #[inline]
    fn next_due(&mut self, length: usize, is_due: impl FnMut(&[u8]) -> bool) -> Result<Option<Entry<'_>>> {
        Ok(self.advance(length, is_due)?.map(|step| self.entry(&step)))
    }
}

impl TextParser<'_> {
    /// Reads on to the next entry; the arguments are those of [`Parse::next_due`].
    #[inline]
    pub(crate) fn advance(&mut self, length: usize, mut is_due: impl FnMut(&[u8]) -> bool) -> Result<Option<Step>> {
        if !self.unescaped.is_empty() {
            self.unescaped.clear();
        }
        self.exemplars.clear();
        loop {
            self.blanks();
            self.start = self.at;
            match self.peek() {
                None => match std::mem::replace(&mut self.then, Then::End) {
                    Then::Rest { body, lines } => self.go_on(body, lines),
                    Then::Fault(fault) => return Err(fault),
                    Then::End if self.lax() || self.ended => return Ok(None),
                    Then::End => return self.fault("data does not end with # EOF"),
                },
                Some(0) if self.lax() => return Ok(None),
                Some(b'\n') if self.lax() => self.at += 1,
                Some(b'#') => {
                    let found = match self.plain_meta() {
                        Some(found) => Some(found),
                        None => self.meta()?,
                    };
                    if let Some(found) = found {
                        return Ok(Some(Step::Meta(found)));
                    }
                }
                Some(byte) if byte == b'{' || is_name_start(byte) => {
                    let found = match self.due_sample(length, &mut is_due)? {
                        Some(found) => found,
                        None => match self.plain_sample()? {
                            Some(found) => found,
                            None => self.sample()?,
                        },
                    };
                    return Ok(Some(Step::Sample(found)));
                }
                _ => return self.expected("a metric name, { or #"),
            }
        }
    }

    /// The entry that was read last.
    #[inline]
    pub(crate) fn entry(&self, step: &Step) -> Entry<'_> {
        let text = Text { body: self.body, unescaped: &self.unescaped };
        match step {
            Step::Sample(found) => Entry::Sample(Sample {
                identity: &self.bytes()[self.start..found.series_end],
                name: text.get(found.name),
                labels: Labels { text, pieces: &self.labels, names_stay: self.names_stay },
                value: found.value,
                timestamp_ms: found.timestamp_ms,
                created_ms: None,
                exemplars: Exemplars { text, list: &self.exemplars },
            }),
            Step::Meta(found) => {
                let (family, said) = (text.get(found.family), text.get(found.text));
                match found.meta {
                    MetaKind::Help => Entry::Help { family, help: said },
                    MetaKind::Type => Entry::Type { family, kind: self.kind },
                    MetaKind::Unit => Entry::Unit { family, unit: said },
                }
            }
        }
    }
}

/// Lines and columns are counted from 1, columns in characters; `lines` come before this part of the body.
fn fault(body: &str, lines: usize, at: usize, message: String) -> ParseError {
    let before = &body[..at.min(body.len())];
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    let line = lines + memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    let column = before[line_start..].chars().count() + 1;
    ParseError { place: format!("line {line}, column {column}"), message }
}

#[cfg(test)]
mod tests;
