//! Shapes: how the labels of a series become final labels, worked out once for all series with the same label names.

use rosterd_model::labels::is_valid_name;
use rosterd_ship::wire::{field, label_len, put_label};

use super::{IngestError, Rules};

/// The label that holds the metric name.
pub(super) const NAME: &str = "__name__";

/// One final label.
#[derive(Debug)]
enum Step {
    /// Labels that are the same for every series of the shape, encoded.
    Fixed { start: u32, end: u32 },
    /// A label whose value comes from the series: the metric name for `None`, or the label at that index. Its name stands
    /// encoded in `bytes`, up to the key of the value.
    Value { from: Option<u32>, start: u32, end: u32 },
}

/// How series with these label names are encoded.
#[derive(Debug)]
pub(super) struct Shape {
    /// The names of the labels in the exposition, in order.
    names: Vec<Box<str>>,
    steps: Vec<Step>,
    bytes: Vec<u8>,
    /// How many bytes the fixed labels have.
    fixed: usize,
}

/// Where the value of a final label comes from, while a shape is made.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Fixed(&'a str),
    Name,
    Label(u32),
}

impl Shape {
    /// Works out the shape of series of a target with these labels.
    pub(super) fn new<'a>(
        names: impl ExactSizeIterator<Item = &'a str> + Clone,
        target: &[(&'a str, &'a str)],
        rules: &'a Rules,
        metric: &str,
    ) -> Result<Self, IngestError> {
        let mut sources: Vec<(String, Source<'a>)> = vec![(NAME.to_owned(), Source::Name)];
        for (index, name) in names.clone().enumerate() {
            let bad = || (metric.to_owned(), name.to_owned());
            if !is_valid_name(name, rules.scheme) {
                let (metric, name) = bad();
                return Err(IngestError::BadName { metric, name });
            }
            if sources.iter().any(|(known, _)| known == name) {
                let (metric, label) = bad();
                return Err(IngestError::DuplicateLabel { metric, label });
            }
            sources.push((name.to_owned(), Source::Label(index as u32)));
        }
        merge(&mut sources, target, rules.honor_labels);
        for (name, value) in &rules.external {
            if !sources.iter().any(|(known, _)| known == name) {
                sources.push((name.clone(), Source::Fixed(value)));
            }
        }
        sources.sort_by(|left, right| left.0.cmp(&right.0));
        let mut shape = Self { names: names.map(Into::into).collect(), steps: Vec::new(), bytes: Vec::new(), fixed: 0 };
        sources.iter().for_each(|(name, source)| shape.add(name, *source));
        Ok(shape)
    }

    fn add(&mut self, name: &str, source: Source<'_>) {
        let start = self.bytes.len() as u32;
        let from = match source {
            Source::Fixed(value) => {
                put_label(name.as_bytes(), value.as_bytes(), &mut self.bytes);
                let end = self.bytes.len() as u32;
                self.fixed += (end - start) as usize;
                match self.steps.last_mut() {
                    Some(Step::Fixed { end: last, .. }) if *last == start => *last = end,
                    _ => self.steps.push(Step::Fixed { start, end }),
                }
                return;
            }
            Source::Name => None,
            Source::Label(index) => Some(index),
        };
        field::put_bytes(1, name.as_bytes(), &mut self.bytes);
        self.bytes.push(field::bytes_key(2));
        self.steps.push(Step::Value { from, start, end: self.bytes.len() as u32 });
    }

    /// Whether series with these label names have this shape.
    #[inline]
    pub(super) fn fits<'l>(&self, mut names: impl ExactSizeIterator<Item = &'l str>) -> bool {
        names.len() == self.names.len() && self.names.iter().all(|known| names.next() == Some(known))
    }

    /// Appends the final labels of a series.
    #[inline]
    pub(super) fn encode(&self, metric: &str, values: &[&str], out: &mut Vec<u8>) {
        for step in &self.steps {
            match *step {
                Step::Fixed { start, end } => out.extend_from_slice(&self.bytes[start as usize..end as usize]),
                Step::Value { from, start, end } => {
                    let name = &self.bytes[start as usize..end as usize];
                    let value = from.map_or(metric, |index| values[index as usize]);
                    let length = field::varint_len(value.len() as u64);
                    out.push(field::bytes_key(1));
                    field::put_varint((name.len() + length + value.len()) as u64, out);
                    out.extend_from_slice(name);
                    field::put_varint(value.len() as u64, out);
                    out.extend_from_slice(value.as_bytes());
                }
            }
        }
    }

    /// How many bytes [`encode`](Self::encode) appends.
    #[inline]
    pub(super) fn length(&self, metric: &str, values: &[&str]) -> usize {
        let mut length = self.fixed;
        for step in &self.steps {
            if let Step::Value { from, start, end } = *step {
                let value = from.map_or(metric, |index| values[index as usize]).len();
                let label = (end - start) as usize + field::varint_len(value as u64) + value;
                length += 1 + field::varint_len(label as u64) + label;
            }
        }
        length
    }
}

/// Adds the target's labels. Where both have a label, the exposition's is kept (`honor_labels`) or renamed.
fn merge<'a>(sources: &mut Vec<(String, Source<'a>)>, target: &[(&'a str, &'a str)], honor_labels: bool) {
    let mut conflicts = Vec::new();
    for (name, value) in target {
        match sources.iter_mut().find(|(known, _)| known == name) {
            Some(_) if honor_labels => {}
            Some((known, source)) => conflicts.push((known.clone(), std::mem::replace(source, Source::Fixed(value)))),
            None => sources.push(((*name).to_owned(), Source::Fixed(value))),
        }
    }
    // The shortest first, as Prometheus does: `a` may have to make way for `exported_a`.
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, source) in conflicts {
        let mut name = format!("exported_{name}");
        while sources.iter().any(|(known, _)| *known == name) {
            name.insert_str(0, "exported_");
        }
        sources.push((name, source));
    }
}

/// Appends final labels that were put together one by one, sorted by name.
pub(super) fn encode_labels<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
    labels.for_each(|(name, value)| put_label(name.as_bytes(), value.as_bytes(), out));
}

/// How many bytes [`encode_labels`] appends.
pub(super) fn labels_length<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> usize {
    labels
        .map(|(name, value)| {
            let label = label_len(name.len(), value.len());
            1 + field::varint_len(label as u64) + label
        })
        .sum()
}
