//! The bodies of targets: a few kinds of targets, each with the values of several scrapes, plain and in gzip, made before
//! anybody asks.

use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::families::{BOUNDS, FAMILIES, Family, MORE, QUANTILES, Type, Values};
use super::tally::{Series, Tally};

/// Kinds of targets, which differ in some of their labels, and how many scrapes of each differ.
const KINDS: usize = 16;
const SCRAPES: usize = 16;

/// One answer, and what it amounts to.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) plain: Bytes,
    pub(super) gzip: Bytes,
    pub(super) tally: Tally,
}

/// All answers.
#[derive(Debug)]
pub(super) struct Bodies(Vec<Body>);

impl Bodies {
    /// Answers with so many series each.
    pub(super) fn new(series: usize) -> Self {
        Self((0..KINDS * SCRAPES).map(|number| body(number / SCRAPES, number % SCRAPES, series)).collect())
    }

    /// What a target answers at a scrape.
    pub(super) fn of(&self, target: usize, scrape: usize) -> &Body {
        // Targets of one kind are not all at the same scrape.
        &self.0[target % KINDS * SCRAPES + (target / KINDS + scrape) % SCRAPES]
    }
}

fn body(kind: usize, scrape: usize, series: usize) -> Body {
    let mut families = sized(series);
    families.sort_by_key(|(family, _)| family.name);
    let mut text = Text { kind, scrape, text: String::new(), tally: Tally::default() };
    for (family, count) in families {
        text.family(family, count);
    }
    assert_eq!(text.tally.count, series as u64, "an exposition has as many samples as it was asked for");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.text.as_bytes()).expect("memory takes any bytes");
    let gzip = gzip.finish().expect("memory takes any bytes").into();
    Body { plain: text.text.into(), gzip, tally: text.tally }
}

/// The first families, as many as make so many series; the last one may be cut.
fn sized(series: usize) -> Vec<(&'static Family, usize)> {
    let mut left = series;
    let mut families = Vec::new();
    for family in FAMILIES {
        let count = family.size().min(left);
        left -= count;
        if count > 0 {
            families.push((family, count));
        }
    }
    if left > 0 {
        families.push((&MORE, left));
    }
    families
}

impl Family {
    fn combinations(&self) -> usize {
        self.labels.iter().map(|(_, values)| values.len()).product()
    }

    fn size(&self) -> usize {
        self.combinations()
            * match self.kind {
                Type::Counter | Type::Gauge => 1,
                Type::Histogram => BOUNDS.len() + 2,
                Type::Summary => QUANTILES.len() + 2,
            }
    }

    fn labels(&self, kind: usize, number: usize) -> Vec<(String, String)> {
        let mut left = number;
        let mut labels = Vec::with_capacity(self.labels.len() + 1);
        for (name, values) in self.labels.iter().rev() {
            labels.push(((*name).to_owned(), values[left % values.len()].replace("{}", &kind.to_string())));
            left /= values.len();
        }
        labels.reverse();
        labels
    }
}

struct Text {
    kind: usize,
    scrape: usize,
    text: String,
    tally: Tally,
}

impl Text {
    fn family(&mut self, family: &Family, count: usize) {
        let (name, end) = (family.name, self.tally.count + count as u64);
        writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {}", family.help, family.kind.name()).expect(ANY_TEXT);
        let mut number = 0;
        while self.tally.count < end {
            let mut labels = family.labels(self.kind, number);
            if number >= family.combinations() {
                labels.push(("pod".to_owned(), format!("web-5d9c7b8f6-{number:05}")));
            }
            match family.kind {
                Type::Counter | Type::Gauge => self.sample(name, &labels, self.value(family, number), end),
                Type::Histogram => self.parts(family, &labels, ("_bucket", "le", &BOUNDS), number, end),
                Type::Summary => self.parts(family, &labels, ("", "quantile", &QUANTILES), number, end),
            }
            number += 1;
        }
    }

    /// Buckets or quantiles, sum and count.
    fn parts(
        &mut self,
        family: &Family,
        labels: &[(String, String)],
        part: (&str, &str, &[&str]),
        number: usize,
        end: u64,
    ) {
        let (suffix, label, values) = part;
        for (at, value) in values.iter().enumerate() {
            let mut labels = labels.to_vec();
            labels.push((label.to_owned(), (*value).to_owned()));
            let value = if suffix.is_empty() { self.ratio(at) } else { self.count(number) * (at + 1) as f64 };
            self.sample(&format!("{}{suffix}", family.name), &labels, value, end);
        }
        self.sample(&format!("{}_sum", family.name), labels, self.value(family, number), end);
        self.sample(&format!("{}_count", family.name), labels, self.count(number) * values.len() as f64, end);
    }

    fn sample(&mut self, name: &str, labels: &[(String, String)], value: f64, end: u64) {
        if self.tally.count == end {
            return;
        }
        let mut series = Series::default();
        series.label(b"__name__", name.as_bytes());
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            series.label(label.as_bytes(), value.as_bytes());
            write!(self.text, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' }).expect(ANY_TEXT);
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        writeln!(self.text, " {}", number(value)).expect(ANY_TEXT);
        self.tally.add(series.hash(), value);
    }

    fn value(&self, family: &Family, number: usize) -> f64 {
        let noise = self.noise(family.name.len() * 1000 + number);
        match family.values {
            Values::Flag => (number % 5 == 1 || family.combinations() == 1) as u8 as f64,
            Values::Fixed => ((family.name.len() * 7919 + number * 31) * 4096) as f64,
            Values::Count => self.count(number),
            Values::Seconds => ((self.count(number) * 100.0 + (noise * 100.0).floor()) / 100.0 * 100.0).round() / 100.0,
            Values::Bytes => (noise * 6e10 / 4096.0).floor() * 4096.0,
            Values::Ratio => self.ratio(number),
        }
    }

    /// Grows with each scrape.
    fn count(&self, number: usize) -> f64 {
        ((number % 17 + 1) * (12_345 + self.kind * 101 + self.scrape * 37)) as f64
    }

    fn ratio(&self, number: usize) -> f64 {
        (self.noise(number) * 1e9).floor() / 1e9
    }

    /// At least 0 and below 1, and another one at each scrape.
    fn noise(&self, number: usize) -> f64 {
        let mut bits = (number * 1009 + self.kind * 17 + self.scrape + 1) as u64;
        for _ in 0..2 {
            bits = (bits ^ (bits >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

const ANY_TEXT: &str = "a string takes any text";

/// A number as programs in Go print it: the shortest one, with an exponent from a million on.
fn number(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("this format has an exponent");
    match exponent.parse::<i32>() {
        Ok(exponent @ (6.. | ..=-5)) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}
