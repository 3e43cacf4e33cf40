//! The series of a body of remote write 1.0, read in place.

use super::field::{Value, bytes_key, fixed_key, put_bytes, put_varint, take_field, varint_key, varint_len, zigzag};

/// A body is not what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a remote write request")]
pub struct Damaged;

/// The fields of a message, one after the other; ends with an error where the bytes are no message.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = take_field(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Damaged))
    }
}

/// A `prometheus.TimeSeries`, as bytes that were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series<'a>(&'a [u8]);

pub(super) const LABEL: u32 = 1;
pub(super) const SAMPLE: u32 = 2;
const EXEMPLAR: u32 = 3;
const HISTOGRAM: u32 = 4;
/// The schema of histograms whose buckets are listed.
const CUSTOM_BUCKETS: i64 = -53;

impl<'a> Series<'a> {
    /// A series, if the bytes are one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Damaged> {
        for field in Fields(bytes) {
            let (number, value) = field?;
            let Value::Bytes(message) = value else { return Err(Damaged) };
            for inner in Fields(message) {
                let (inner, value) = inner?;
                if number == LABEL && !(matches!(inner, 1 | 2) && std::str::from_utf8(value.bytes()).is_ok()) {
                    return Err(Damaged);
                }
            }
        }
        Ok(Self(bytes))
    }

    fn fields(self) -> impl Iterator<Item = (u32, &'a [u8])> + Clone {
        Fields(self.0).map_while(Result::ok).map(|(number, value)| (number, value.bytes()))
    }

    fn all(self, wanted: u32) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.fields().filter(move |(number, _)| *number == wanted).map(|(_, bytes)| bytes)
    }

    /// Names and values of its labels.
    pub fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        self.all(LABEL).map(label)
    }

    /// Values and timestamps of its samples.
    pub fn samples(self) -> impl Iterator<Item = (f64, i64)> + Clone {
        self.all(SAMPLE).map(sample)
    }

    /// Its native histograms, as bytes of `prometheus.Histogram`.
    pub fn histograms(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.all(HISTOGRAM)
    }

    /// Its exemplars: their labels as fields 1, value and timestamp.
    pub fn exemplars(
        self,
    ) -> impl Iterator<Item = (impl Iterator<Item = (&'a str, &'a str)> + Clone, f64, i64)> + Clone {
        self.all(EXEMPLAR).map(|bytes| {
            let labels = Fields(bytes).map_while(Result::ok).filter(|(number, _)| *number == 1);
            let (value, timestamp_ms) = float_at(bytes, 2, 3);
            (labels.map(|(_, value)| label(value.bytes())), value, timestamp_ms)
        })
    }

    /// Appends it without what is not wanted, with these labels in place of its own if there are any. Returns how many
    /// samples, histograms and exemplars were kept; without any of them nothing is appended.
    pub(super) fn copy<'l>(
        self,
        labels: Option<impl Iterator<Item = (&'l str, &'l str)>>,
        keep: impl Fn(u32, &[u8]) -> bool,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> [u32; 3] {
        scratch.clear();
        let relabelled = labels.is_some();
        for (name, value) in labels.into_iter().flatten() {
            put_label(name.as_bytes(), value.as_bytes(), scratch);
        }
        let mut kept = [0; 3];
        for (number, bytes) in self.fields() {
            if number == LABEL {
                if relabelled {
                    continue;
                }
            } else if keep(number, bytes) {
                let index = match number {
                    SAMPLE => 0,
                    HISTOGRAM => 1,
                    EXEMPLAR => 2,
                    _ => continue,
                };
                kept[index] += 1;
            } else {
                continue;
            }
            // Numbers that matter are below 16.
            put_bytes(number as u8, bytes, scratch);
        }
        if kept == [0; 3] {
            return kept;
        }
        put_bytes(1, scratch, out);
        kept
    }
}

pub(super) fn is_exemplar(number: u32) -> bool {
    number == EXEMPLAR
}

pub(super) fn is_histogram(number: u32) -> bool {
    number == HISTOGRAM
}

/// Whether a native histogram has buckets of its own, which version 1.0 has no field for: a receiver would take them for
/// exponential ones.
pub(super) fn has_custom_buckets(histogram: &[u8]) -> bool {
    let schema = Fields(histogram).map_while(Result::ok).filter(|(number, _)| *number == 4).last();
    schema.is_some_and(|(_, value)| value.number() == zigzag(CUSTOM_BUCKETS))
}

/// The timestamp of a sample, an exemplar or a histogram.
pub(super) fn timestamp(number: u32, bytes: &[u8]) -> i64 {
    let wanted = match number {
        SAMPLE => 2,
        EXEMPLAR => 3,
        _ => 15,
    };
    let found = Fields(bytes).map_while(Result::ok).filter(|(number, _)| *number == wanted).last();
    found.map_or(0, |(_, value)| value.number() as i64)
}

fn label(bytes: &[u8]) -> (&str, &str) {
    let (mut name, mut value) = ("", "");
    for (number, found) in Fields(bytes).map_while(Result::ok) {
        let text = std::str::from_utf8(found.bytes()).unwrap_or_default();
        if number == 1 { name = text } else { value = text }
    }
    (name, value)
}

fn sample(bytes: &[u8]) -> (f64, i64) {
    float_at(bytes, 1, 2)
}

fn float_at(bytes: &[u8], value_field: u32, timestamp_field: u32) -> (f64, i64) {
    let (mut value, mut timestamp) = (0.0, 0);
    for (number, found) in Fields(bytes).map_while(Result::ok) {
        if number == value_field {
            value = found.double();
        } else if number == timestamp_field {
            timestamp = found.number() as i64;
        }
    }
    (value, timestamp)
}

/// Hands out the series among these fields of a `prometheus.WriteRequest`.
pub fn each_series<'a>(bytes: &'a [u8], mut see: impl FnMut(Series<'a>)) -> Result<(), Damaged> {
    for field in Fields(bytes) {
        if let (1, Value::Bytes(series)) = field? {
            see(Series::read(series)?);
        }
    }
    Ok(())
}

/// Appends a label as a field of a series.
#[inline]
pub fn put_label(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(bytes_key(1)), out);
    put_varint(label_len(name.len(), value.len()) as u64, out);
    out.push(bytes_key(1));
    put_varint(name.len() as u64, out);
    out.extend_from_slice(name);
    out.push(bytes_key(2));
    put_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// How many bytes the label message has, without the key and the length of its field.
#[inline]
pub const fn label_len(name: usize, value: usize) -> usize {
    2 + varint_len(name as u64) + name + varint_len(value as u64) + value
}

/// Appends a sample as a field of a series.
#[inline]
pub fn put_sample(value: f64, timestamp_ms: i64, out: &mut Vec<u8>) {
    out.push(bytes_key(2));
    out.push(sample_len(timestamp_ms) as u8);
    out.push(fixed_key(1));
    out.extend_from_slice(&value.to_le_bytes());
    out.push(varint_key(2));
    put_varint(timestamp_ms as u64, out);
}

/// How many bytes the sample message has, without the key and the length of its field.
#[inline]
pub const fn sample_len(timestamp_ms: i64) -> usize {
    10 + varint_len(timestamp_ms as u64)
}

/// Appends an exemplar as a field of a series.
pub fn put_exemplar<'l>(
    labels: impl Iterator<Item = (&'l str, &'l str)>,
    value: f64,
    timestamp_ms: i64,
    out: &mut Vec<u8>,
) {
    let mut message = Vec::new();
    for (name, value) in labels {
        put_label(name.as_bytes(), value.as_bytes(), &mut message);
    }
    super::field::put_double(2, value, &mut message);
    super::field::put_number(3, timestamp_ms as u64, &mut message);
    put_bytes(3, &message, out);
}
