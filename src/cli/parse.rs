//! `rosterd parse`: reads an exposition, and writes its samples as JSON, an object a line.

use std::io::{Read, Write};

use clap::ValueEnum;
use rosterd_exposition::{
    Dialect, Entry, Histogram, HistogramOptions, Parse, ParseError, ProtobufParser, Sample, Span, TextParser,
    format_value,
};
use serde::{Serialize, Serializer};

use super::Error;
use super::exit::Failure;

/// How much output is gathered before it is written.
const CHUNK: usize = 64 * 1024;

/// Read an exposition and print its samples.
///
/// Reads the answer of a target from standard input and writes a line for each sample, a JSON object: the labels sorted by
/// name, the metric name among them as __name__; the value as Prometheus prints it; and the timestamp in milliseconds, or
/// null when the exposition has none. A native histogram has no value but its buckets, beside the series of a classic one if
/// both are there. A fault ends the run with an error that says where it is; the samples before it have
/// been written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The format of the exposition
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The text format of Prometheus
    Text,
    /// The text format of OpenMetrics
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// Length-delimited protocol buffers
    Protobuf,
}

/// Everything in the exposition, though a scrape may do with less.
const HISTOGRAMS: HistogramOptions = HistogramOptions { native: true, always_classic: true, convert_classic: false };

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut body = Vec::new();
    std::io::stdin().lock().read_to_end(&mut body).map_err(|source| Error::Body { source })?;
    print(&body, args.format, std::io::stdout().lock())
}

fn print(body: &[u8], format: Format, output: impl Write) -> Result<(), Failure> {
    let text = |dialect| TextParser::new(body, dialect).map_err(malformed);
    match format {
        Format::Text => stream(text(Dialect::Prometheus)?, output),
        Format::OpenMetrics => stream(text(Dialect::OpenMetrics)?, output),
        Format::Protobuf => stream(ProtobufParser::new(body, HISTOGRAMS), output),
    }
}

/// Reads to the end of the exposition. What was read before a fault is written.
fn stream(mut parser: impl Parse, mut output: impl Write) -> Result<(), Failure> {
    let mut lines = Vec::with_capacity(2 * CHUNK);
    let end = loop {
        match parser.next() {
            Ok(Some(Entry::Sample(sample))) => write_line(&mut lines, &sample, None),
            Ok(Some(Entry::Histogram(sample, histogram))) => write_line(&mut lines, &sample, Some(histogram)),
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(fault) => break Err(malformed(fault)),
        }
        if lines.len() >= CHUNK {
            output.write_all(&lines).map_err(Failure::of_output)?;
            lines.clear();
        }
    };
    output.write_all(&lines).and_then(|()| output.flush()).map_err(Failure::of_output)?;
    end.map_err(Failure::from)
}

fn malformed(fault: ParseError) -> Error {
    Error::MalformedExposition { place: fault.place, reason: fault.message }
}

fn write_line(lines: &mut Vec<u8>, sample: &Sample<'_>, histogram: Option<&Histogram>) {
    let mut labels: Vec<_> = sample.labels.iter().collect();
    labels.push(("__name__", sample.name));
    labels.sort_by_key(|(name, _)| *name);
    let line = Line {
        labels: Pairs(&labels),
        value: histogram.is_none().then_some(Number(sample.value)),
        timestamp_ms: sample.timestamp_ms,
        histogram: histogram.map(Buckets::of),
    };
    serde_json::to_writer(&mut *lines, &line).expect("samples can be written to memory as JSON");
    lines.push(b'\n');
}

#[derive(Serialize)]
struct Line<'a> {
    labels: Pairs<'a>,
    /// Not there for a native histogram.
    value: Option<Number>,
    timestamp_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<Buckets<'a>>,
}

/// Names and values as an object, in their order.
struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A float as a string, as in the HTTP API of Prometheus: JSON knows no NaN and no infinity.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_value(self.0))
    }
}

/// A native histogram. Buckets stand as in the exposition: as differences when counts are whole numbers.
#[derive(Serialize)]
struct Buckets<'a> {
    schema: i32,
    is_float: bool,
    is_gauge: bool,
    count: Number,
    sum: Number,
    zero_threshold: Number,
    zero_count: Number,
    negative_spans: Vec<(i32, u32)>,
    negative_buckets: &'a [f64],
    positive_spans: Vec<(i32, u32)>,
    positive_buckets: &'a [f64],
    #[serde(skip_serializing_if = "<[f64]>::is_empty")]
    custom_values: &'a [f64],
}

impl<'a> Buckets<'a> {
    fn of(histogram: &'a Histogram) -> Self {
        let pairs = |spans: &[Span]| spans.iter().map(|span| (span.offset, span.length)).collect();
        Self {
            schema: histogram.schema,
            is_float: histogram.is_float,
            is_gauge: histogram.is_gauge,
            count: Number(histogram.count),
            sum: Number(histogram.sum),
            zero_threshold: Number(histogram.zero_threshold),
            zero_count: Number(histogram.zero_count),
            negative_spans: pairs(&histogram.negative_spans),
            negative_buckets: &histogram.negative_buckets,
            positive_spans: pairs(&histogram.positive_spans),
            positive_buckets: &histogram.positive_buckets,
            custom_values: &histogram.custom_values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parser that hands out one native histogram.
    struct One(Option<Histogram>, bool);

    impl Parse for One {
        fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
            if std::mem::replace(&mut self.1, true) {
                return Ok(None);
            }
            let mut text = TextParser::new(b"h 0 5\n", Dialect::Prometheus)?;
            let Some(Entry::Sample(sample)) = text.next()? else { unreachable!("there is a sample") };
            let sample = Sample {
                name: "h",
                identity: b"h",
                labels: Default::default(),
                exemplars: Default::default(),
                ..sample
            };
            Ok(self.0.as_ref().map(|histogram| Entry::Histogram(sample, histogram)))
        }
    }

    #[test]
    fn native_histograms_have_no_value() {
        let histogram = Histogram {
            schema: 1,
            count: 3.0,
            sum: f64::NAN,
            positive_spans: vec![Span { offset: -1, length: 2 }],
            positive_buckets: vec![1.0, 1.0],
            ..Histogram::default()
        };
        let mut output = Vec::new();
        stream(One(Some(histogram), false), &mut output).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!((&line["labels"]["__name__"], &line["value"]), (&"h".into(), &serde_json::Value::Null));
        assert_eq!((&line["histogram"]["count"], &line["histogram"]["sum"]), (&"3".into(), &"NaN".into()));
        assert_eq!(line["histogram"]["positive_spans"], serde_json::json!([[-1, 2]]));
        assert_eq!(line["histogram"]["positive_buckets"], serde_json::json!([1.0, 1.0]));
        assert!(line["histogram"].get("custom_values").is_none());
    }
}
