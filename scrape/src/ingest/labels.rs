//! From the labels of a sample to those of its series: merged with the target's, relabelled, checked.

use rosterd_exposition::Sample;
use rosterd_model::NameScheme;
use rosterd_model::labels::is_valid_name;

use super::pass::{Bench, Pass};
use super::shape::{NAME, Shape, encode_labels, labels_length};
use super::{IngestError, Rules};

/// More shapes than this are not kept.
const SHAPES: usize = 16;

/// Where the final labels of a series come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Final {
    /// The shape at this index.
    Shape(usize),
    /// They stand in `merged`.
    Merged,
    /// They stand encoded in `encoded`.
    Encoded,
    /// They are those of the scrape before, and stand there in what was unpacked.
    Remembered(u32, u32),
}

impl Bench {
    /// The labels of a series; `None` when relabelling drops it.
    #[inline]
    pub(super) fn final_labels(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<Option<Final>, IngestError> {
        if pass.rules.relabel.is_empty() {
            return self.plain(sample, pass).map(Some);
        }
        // To relabel costs more than to unpack what came of it.
        if pass.same && self.due.dropped {
            return Ok(None);
        }
        if pass.same && !self.due.labels.is_empty() {
            return Ok(Some(Final::Remembered(self.due.labels.start as u32, self.due.labels.end as u32)));
        }
        self.relabelled(sample, pass)
    }

    /// The labels of a series that no relabelling touches.
    #[inline]
    fn plain(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<Final, IngestError> {
        let labels = sample.labels;
        if sample.name.is_empty() {
            return Err(IngestError::NoName);
        }
        // A label without value is no label, except that it takes the target's away under `honor_labels`. What was there at
        // the last scrape was checked then.
        if labels.has_empty() || !pass.same && pass.rules.checks_each() {
            self.recent = None;
            self.merge(sample, pass)?;
            check(&self.merged, sample.name, pass.rules)?;
            self.add_external(pass.rules);
            return Ok(Final::Merged);
        }
        if let Some(recent) = self.recent
            && (labels.names_stay() || self.shapes[recent].fits(labels))
        {
            return Ok(Final::Shape(recent));
        }
        let index = match self.shapes.iter().position(|shape| shape.fits(labels)) {
            Some(index) => index,
            None => {
                if self.shapes.len() == SHAPES {
                    self.shapes.clear();
                }
                self.shapes.push(Shape::new(labels, pass.target, pass.rules, sample.name)?);
                self.shapes.len() - 1
            }
        };
        self.recent = Some(index);
        Ok(Final::Shape(index))
    }

    /// The labels of a series after `metric_relabel_configs`; `None` when they drop it.
    fn relabelled(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<Option<Final>, IngestError> {
        self.merge(sample, pass)?;
        self.merged.sort();
        if !pass.rules.relabel.apply(&mut self.merged, &mut self.scratch) || self.merged.is_empty() {
            return Ok(None);
        }
        check(&self.merged, sample.name, pass.rules)?;
        self.add_external(pass.rules);
        // Rules can make of a label many times what it was.
        if labels_length(self.merged.iter()) > self.room.series {
            return Err(IngestError::SeriesSize { limit: self.room.series });
        }
        Ok(Some(Final::Merged))
    }

    /// Puts the labels of the sample and those of the target into `merged`.
    fn merge(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<(), IngestError> {
        let merged = &mut self.merged;
        merged.clear();
        merged.set(NAME, sample.name);
        for (name, value) in sample.labels.iter() {
            if merged.contains(name) {
                return Err(IngestError::DuplicateLabel { metric: sample.name.to_owned(), label: name.to_owned() });
            }
            merged.set(name, value);
        }
        let mut conflicts: Vec<(&str, &str)> = Vec::new();
        for (name, value) in pass.target {
            let exposed = sample.labels.get(name);
            if pass.rules.honor_labels {
                if exposed.is_none() {
                    merged.set(name, value);
                }
                continue;
            }
            if let Some(exposed) = exposed.filter(|exposed| !exposed.is_empty()) {
                conflicts.push((name, exposed));
            }
            merged.set(name, value);
        }
        // The shortest first, as Prometheus does: `a` may have to make way for `exported_a`.
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut name = format!("exported_{name}");
            while merged.contains(&name) {
                name.insert_str(0, "exported_");
            }
            merged.set(&name, value);
        }
        Ok(())
    }

    fn add_external(&mut self, rules: &Rules) {
        for (name, value) in &rules.external {
            self.merged.set_default(name, value);
        }
        self.merged.sort();
    }

    /// Encodes the labels into `encoded`.
    pub(super) fn encode(&mut self, labels: Final, sample: &Sample<'_>) {
        match labels {
            Final::Shape(index) => {
                self.encoded.clear();
                self.shapes[index].encode(sample.name, sample.labels, &mut self.encoded);
            }
            Final::Merged => {
                self.encoded.clear();
                self.encoded.reserve(labels_length(self.merged.iter()));
                encode_labels(self.merged.iter(), &mut self.encoded);
            }
            Final::Encoded => {}
            Final::Remembered(start, end) => {
                self.encoded.clear();
                self.encoded.extend_from_slice(&self.packer.plain[start as usize..end as usize]);
            }
        }
    }
}

/// Names and limits of labels, before the external ones come.
fn check(labels: &rosterd_model::Builder, metric: &str, rules: &Rules) -> Result<(), IngestError> {
    let name = labels.get(NAME);
    if name.is_empty() {
        return Err(IngestError::NoName);
    }
    check_metric(name, rules)?;
    for (name, _) in labels.iter() {
        if !is_valid_name(name, rules.scheme) {
            return Err(IngestError::BadName { metric: start_of(metric), name: name.to_owned() });
        }
    }
    let exceeded = |limit, what: String, most| {
        Err(IngestError::LabelLimit { limit, metric: start_of(name), what: what.into(), most })
    };
    if rules.label_limit > 0 && labels.len() > rules.label_limit {
        let what = format!("number of labels: {}", labels.len());
        return exceeded("label_limit", what, rules.label_limit);
    }
    let (longest_name, longest_value) = (rules.label_name_length_limit, rules.label_value_length_limit);
    for (name, value) in labels.iter() {
        if longest_name > 0 && name.len() > longest_name {
            let what = format!("label name: {name:.50}, length: {}", name.len());
            return exceeded("label_name_length_limit", what, longest_name);
        }
        if longest_value > 0 && value.len() > longest_value {
            let what = format!("label name: {name:.50}, value: {value:.50}, length: {}", value.len());
            return exceeded("label_value_length_limit", what, longest_value);
        }
    }
    Ok(())
}

fn check_metric(name: &str, rules: &Rules) -> Result<(), IngestError> {
    // Colons are for metric names alone.
    let valid = match rules.scheme {
        NameScheme::Utf8 => true,
        scheme => {
            name.split(':').all(|part| part.is_empty() || is_valid_name(&format!("_{part}"), scheme))
                && !name.starts_with(|first: char| first.is_ascii_digit())
        }
    };
    if valid { Ok(()) } else { Err(IngestError::BadName { metric: start_of(name), name: name.to_owned() }) }
}

fn start_of(metric: &str) -> String {
    metric.chars().take(50).collect()
}
