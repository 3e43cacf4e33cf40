//! Shapes: how the labels of a series become final labels, worked out once for all series with the same label names.

use rosterd_exposition::Labels;
use rosterd_model::labels::is_valid_name;
use rosterd_ship::wire::{field, label_len, put_label};

use super::{IngestError, Rules};

/// The label that holds the metric name.
pub(super) const NAME: &str = "__name__";

/// A label whose value comes from the series, and what stands before it.
#[derive(Debug)]
struct Step {
    /// The label at that index, or the metric name for `None`.
    from: Option<u32>,
    /// Where in `bytes` its beginning ends: labels that are the same for every series of the shape, then this one up to the
    /// length of the value.
    end: u32,
    /// How many of these bytes belong to this label, from behind the length of the label on.
    own: u32,
}

/// How series with these label names are encoded.
#[derive(Debug)]
pub(super) struct Shape {
    /// The names of the labels in the exposition, in order.
    names: Vec<Box<str>>,
    steps: Vec<Step>,
    /// What all series of the shape have in common: the beginnings of the steps, then the labels behind the last one. Where
    /// a length is missing, there is a byte for it: most lengths have one.
    bytes: Vec<u8>,
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
        labels: Labels<'a>,
        target: &[(&'a str, &'a str)],
        rules: &'a Rules,
        metric: &str,
    ) -> Result<Self, IngestError> {
        let names = labels.iter().map(|(name, _)| name);
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
        let mut shape = Self { names: names.map(Into::into).collect(), steps: Vec::new(), bytes: Vec::new() };
        sources.iter().for_each(|(name, source)| shape.add(name, *source));
        Ok(shape)
    }

    fn add(&mut self, name: &str, source: Source<'_>) {
        let from = match source {
            Source::Fixed(value) => return put_label(name.as_bytes(), value.as_bytes(), &mut self.bytes),
            Source::Name => None,
            Source::Label(index) => Some(index),
        };
        self.bytes.extend_from_slice(&[field::bytes_key(1), 0]);
        let start = self.bytes.len();
        field::put_bytes(1, name.as_bytes(), &mut self.bytes);
        self.bytes.extend_from_slice(&[field::bytes_key(2), 0]);
        let end = self.bytes.len();
        self.steps.push(Step { from, end: end as u32, own: (end - start) as u32 });
    }

    /// Whether series with these label names have this shape.
    #[inline]
    pub(super) fn fits(&self, labels: Labels<'_>) -> bool {
        labels.len() == self.names.len()
            && self.names.iter().map(|name| &**name).eq(labels.iter().map(|(name, _)| name))
    }

    /// Appends the final labels of a series.
    #[inline]
    pub(super) fn encode(&self, metric: &str, labels: Labels<'_>, out: &mut Vec<u8>) {
        let mut start = 0;
        for step in &self.steps {
            let value = step.from.map_or(metric.as_bytes(), |index| labels.value_bytes(index as usize));
            let (end, own) = (step.end as usize, step.own as usize);
            let beginning = &self.bytes[start..end];
            start = end;
            let length = own + value.len();
            if length < 0x80 {
                out.extend_from_slice(beginning);
                let written = out.len();
                out[written - 1] = value.len() as u8;
                out[written - own - 1] = length as u8;
            } else {
                // The byte for the length of the value is there already.
                let length = length - 1 + field::varint_len(value.len() as u64);
                let (before, beginning) = beginning.split_at(beginning.len() - own);
                out.extend_from_slice(&before[..before.len() - 1]);
                field::put_varint(length as u64, out);
                out.extend_from_slice(&beginning[..own - 1]);
                field::put_varint(value.len() as u64, out);
            }
            out.extend_from_slice(value);
        }
        out.extend_from_slice(&self.bytes[start..]);
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
