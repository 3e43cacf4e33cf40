//! What a parser hands out.

use std::fmt;

use crate::{Histogram, MetricKind};

/// One piece of an exposition. It borrows from the body or from the parser, until the next one is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry<'a> {
    /// The type of a metric family.
    Type {
        /// The family.
        family: &'a str,
        /// Its type.
        kind: MetricKind,
    },
    /// The help text of a metric family, without escapes.
    Help {
        /// The family.
        family: &'a str,
        /// The text.
        help: &'a str,
    },
    /// The unit of a metric family.
    Unit {
        /// The family.
        family: &'a str,
        /// The unit.
        unit: &'a str,
    },
    /// A float sample.
    Sample(Sample<'a>),
    /// A native histogram: its series and the histogram in place of the value, which is 0.
    Histogram(Sample<'a>, &'a Histogram),
}

/// A sample of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// Bytes that tell this series from the others of the same exposition, and are the same whenever the target writes
    /// the series in the same way: in the text formats the series as it stands in the body. Only good for hashing and
    /// comparing.
    pub identity: &'a [u8],
    /// The metric name, without quotes and escapes.
    pub name: &'a str,
    /// The labels besides the name, in the order of the exposition. Values may be empty, names may repeat.
    pub labels: Labels<'a>,
    /// The value.
    pub value: f64,
    /// The explicit timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// When the counter, histogram or summary was created, in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// The exemplars: one at most, but for a native histogram.
    pub exemplars: Exemplars<'a>,
}

/// An exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels.
    pub labels: Labels<'a>,
    /// Its value.
    pub value: f64,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}

/// The exemplars of a sample. Costs nothing to make or to copy.
#[derive(Clone, Copy)]
pub struct Exemplars<'a> {
    pub(crate) text: Text<'a>,
    pub(crate) list: &'a ExemplarList,
}

impl<'a> Exemplars<'a> {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.list.heads.is_empty()
    }

    /// One after the other, in the order of the exposition.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Exemplar<'a>> + Clone {
        let mut start = 0;
        self.list.heads.iter().map(move |head| {
            let pieces = &self.list.pieces[start..head.labels_end];
            start = head.labels_end;
            Exemplar {
                labels: Labels { text: self.text, pieces, names_stay: false },
                value: head.value,
                timestamp_ms: head.timestamp_ms,
            }
        })
    }
}

impl Default for Exemplars<'_> {
    fn default() -> Self {
        static NONE: ExemplarList = ExemplarList { pieces: Vec::new(), heads: Vec::new() };
        Self { text: Text::default(), list: &NONE }
    }
}

impl fmt::Debug for Exemplars<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Exemplars<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Where a parser keeps exemplars.
#[derive(Debug, Default)]
pub(crate) struct ExemplarList {
    /// The labels of all of them.
    pub(crate) pieces: Vec<(Piece, Piece)>,
    heads: Vec<Head>,
}

#[derive(Debug)]
struct Head {
    labels_end: usize,
    value: f64,
    timestamp_ms: Option<i64>,
}

impl ExemplarList {
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.heads.is_empty() || !self.pieces.is_empty() {
            self.pieces.clear();
            self.heads.clear();
        }
    }

    /// Ends an exemplar whose labels were pushed.
    pub(crate) fn end(&mut self, value: f64, timestamp_ms: Option<i64>) {
        self.heads.push(Head { labels_end: self.pieces.len(), value, timestamp_ms });
    }
}

/// The labels of a sample, without quotes and escapes, as pieces of the body. Costs nothing to make or to copy.
#[derive(Clone, Copy, Default)]
pub struct Labels<'a> {
    pub(crate) text: Text<'a>,
    pub(crate) pieces: &'a [(Piece, Piece)],
    pub(crate) names_stay: bool,
}

impl<'a> Labels<'a> {
    /// How many labels there are.
    pub fn len(self) -> usize {
        self.pieces.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether it is known at a glance that their names are those of the sample before, in the same order.
    #[inline]
    pub fn names_stay(self) -> bool {
        self.names_stay
    }

    /// Whether a value is empty.
    #[inline]
    pub fn has_empty(self) -> bool {
        self.pieces.iter().any(|(_, value)| value.is_empty())
    }

    /// The value of the label at this index, in UTF-8.
    #[inline]
    pub fn value_bytes(self, index: usize) -> &'a [u8] {
        self.text.bytes(self.pieces[index].1)
    }

    /// Names and values, in the order of the exposition.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone {
        self.pieces.iter().map(move |(name, value)| (self.text.get(*name), self.text.get(*value)))
    }

    /// The value of the first label with this name.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Labels<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// What pieces are pieces of: the body, and what had escapes in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Text<'a> {
    pub(crate) body: &'a str,
    pub(crate) unescaped: &'a str,
}

impl<'a> Text<'a> {
    #[inline]
    pub(crate) fn get(self, piece: Piece) -> &'a str {
        let (start, end) = ((piece.start & !Piece::UNESCAPED) as usize, piece.end as usize);
        let text = if piece.start & Piece::UNESCAPED == 0 { self.body } else { self.unescaped };
        &text[start..end]
    }

    /// The same without looking whether it begins and ends between characters, as it does.
    #[inline]
    fn bytes(self, piece: Piece) -> &'a [u8] {
        let text = if piece.start & Piece::UNESCAPED == 0 { self.body } else { self.unescaped };
        &text.as_bytes()[(piece.start & !Piece::UNESCAPED) as usize..piece.end as usize]
    }
}

/// Where a text stands: in the body or, with the highest bit of `start`, among what had escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Piece {
    pub(crate) const UNESCAPED: u32 = 1 << 31;

    #[inline]
    fn is_empty(self) -> bool {
        self.start & !Self::UNESCAPED == self.end
    }
}
