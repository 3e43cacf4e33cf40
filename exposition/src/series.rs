//! Series and exemplars that are put together instead of standing in the body.

use crate::entry::{ExemplarList, Exemplars, Piece, Text};
use crate::{Exemplar, Labels, Sample};

/// The series of a metric. The text is made of the labels, each name and value after its length, then the name and one
/// more label: so it serves as the identity of the series too.
#[derive(Debug, Default)]
pub(crate) struct Series {
    text: String,
    pieces: Vec<(Piece, Piece)>,
    name: Piece,
    /// Where the labels of the metric end: in the text, and in the pieces.
    labels: (usize, usize),
}

impl Series {
    pub(crate) fn start(&mut self) {
        self.text.clear();
        self.pieces.clear();
    }

    pub(crate) fn end_labels(&mut self) {
        put_length(self.pieces.len(), &mut self.text);
        self.labels = (self.text.len(), self.pieces.len());
    }

    pub(crate) fn name(&mut self, name: &str, suffix: &str) {
        self.text.truncate(self.labels.0);
        self.pieces.truncate(self.labels.1);
        put_length(name.len() + suffix.len(), &mut self.text);
        let start = self.text.len() as u32;
        self.text.push_str(name);
        self.text.push_str(suffix);
        self.name = Piece { start, end: self.text.len() as u32 };
    }

    /// A sample of it, with nothing but the value.
    pub(crate) fn sample(&self, value: f64) -> Sample<'_> {
        Sample {
            identity: self.text.as_bytes(),
            name: &self.text[self.name.start as usize..self.name.end as usize],
            labels: Labels { text: Text { body: &self.text, unescaped: "" }, pieces: &self.pieces, names_stay: false },
            value,
            timestamp_ms: None,
            created_ms: None,
            exemplars: Exemplars::default(),
        }
    }

    pub(crate) fn label(&mut self, name: &str, value: &str) {
        self.pieces.push((put(name, &mut self.text), put(value, &mut self.text)));
    }
}

pub(crate) fn put(part: &str, text: &mut String) -> Piece {
    put_length(part.len(), text);
    let start = text.len() as u32;
    text.push_str(part);
    Piece { start, end: text.len() as u32 }
}

/// A number in ASCII, six bits a character; the last one has another beginning.
fn put_length(mut length: usize, text: &mut String) {
    while length >= 64 {
        text.push((length % 64 + 64) as u8 as char);
        length /= 64;
    }
    text.push(length as u8 as char);
}

/// The exemplars of a series.
#[derive(Debug, Default)]
pub(crate) struct ExemplarText {
    pub(crate) text: String,
    pub(crate) list: ExemplarList,
}

impl ExemplarText {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
    }

    /// Adds one that stands elsewhere.
    pub(crate) fn add(&mut self, exemplar: Exemplar<'_>) {
        for (name, value) in exemplar.labels.iter() {
            self.list.pieces.push((put(name, &mut self.text), put(value, &mut self.text)));
        }
        self.list.end(exemplar.value, exemplar.timestamp_ms);
    }

    pub(crate) fn get(&self) -> Exemplars<'_> {
        Exemplars { text: Text { body: &self.text, unescaped: "" }, list: &self.list }
    }
}
