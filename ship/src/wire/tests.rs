//! Bodies, written and read back by messages that prost derives.

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;
use rosterd_exposition::{Histogram, Metadata, MetricKind, Span};
use rosterd_model::NameScheme;
use rosterd_model::relabel::Rules;

use super::*;
use crate::{Block, Counts, Extra};

mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<MetricMetadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct MetricMetadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) family: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(super) start: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub(super) count_int: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(super) count_float: Option<f64>,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) positive_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "13")]
        pub(super) positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub(super) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(int64, tag = "17")]
        pub(super) start: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<Series2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Series2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub(super) exemplars: Vec<Exemplar2>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) refs: Vec<u32>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata2 {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit: u32,
    }
}

type Plain = (Vec<(String, String)>, f64, i64);

/// A block of one sample a series.
fn block(all: &[Plain]) -> Block {
    let mut block = Block::default();
    for (labels, value, timestamp_ms) in all {
        let mut series = Vec::new();
        labels.iter().for_each(|(name, value)| put_label(name.as_bytes(), value.as_bytes(), &mut series));
        put_sample(*value, *timestamp_ms, &mut series);
        field::put_bytes(1, &series, &mut block.series);
        block.counts.series += 1;
        block.counts.samples += 1;
        block.newest_ms = block.newest_ms.max(*timestamp_ms);
    }
    block
}

fn plain(name: &str, job: &str, value: f64, timestamp_ms: i64) -> Plain {
    (vec![("__name__".to_owned(), name.to_owned()), ("job".to_owned(), job.to_owned())], value, timestamp_ms)
}

fn read_v1(body: &[u8]) -> Vec<Plain> {
    let request = proto::WriteRequest::decode(body).expect("it is a request");
    let of = |series: proto::TimeSeries| {
        let labels = series.labels.into_iter().map(|label| (label.name, label.value)).collect::<Vec<_>>();
        series
            .samples
            .into_iter()
            .map(move |sample| (labels.clone(), sample.value, sample.timestamp))
            .collect::<Vec<_>>()
    };
    request.timeseries.into_iter().flat_map(of).collect()
}

fn read_v2(body: &[u8]) -> Vec<Plain> {
    let request = proto::Request::decode(body).expect("it is a request");
    assert!(request.symbols.first().is_none_or(String::is_empty));
    let symbol = |number: u32| request.symbols[number as usize].clone();
    let mut all = Vec::new();
    for series in &request.timeseries {
        let labels: Vec<_> = series.refs.chunks(2).map(|pair| (symbol(pair[0]), symbol(pair[1]))).collect();
        all.extend(series.samples.iter().map(|sample| (labels.clone(), sample.value, sample.timestamp)));
    }
    all
}

fn assembled(message: Message, rules: &str, blocks: &[Block]) -> (Vec<u8>, Head, Counts) {
    let rules: Vec<_> = serde_yaml::from_str(rules).expect("rules are YAML");
    let rules = Rules::compile(&rules, NameScheme::Utf8).expect("rules are good");
    let mut assembler = Assembler::new(message, rules, Sends { exemplars: true, native_histograms: true });
    let mut dropped = Counts::default();
    for block in blocks {
        dropped.samples += assembler.push(block).expect("the block is good").relabelled.samples;
    }
    let mut body = Vec::new();
    let head = assembler.finish(&mut body);
    (body, head, dropped)
}

#[test]
fn both_versions_carry_the_same() {
    let all = [plain("up", "a", 1.0, 1000), plain("up", "b", STALE, 2000), plain("x", "b", -0.0, 0)];
    let blocks = [block(&all[..1]), block(&all[1..])];
    let bits = |all: &[Plain]| {
        all.iter().map(|(labels, value, at)| (labels.clone(), value.to_bits(), *at)).collect::<Vec<_>>()
    };
    let (first, head, _) = assembled(Message::V1, "[]", &blocks);
    assert_eq!(bits(&read_v1(&first)), bits(&all));
    assert_eq!((head.counts.samples, head.newest_ms), (3, 2000));
    let (second, ..) = assembled(Message::V2, "[]", &blocks);
    assert_eq!(bits(&read_v2(&second)), bits(&all));
    assert!(second.len() < first.len());
    assert_eq!(bits(&read_v1(&v2_to_v1(&second).expect("it is good").0)), bits(&all));
    assert_eq!(v1_to_v2(&first, head), Ok(second));
}

#[test]
fn relabelling_drops_and_renames() {
    let blocks = [block(&[plain("up", "a", 1.0, 1), plain("up", "b", 2.0, 1)])];
    let rules = "[{source_labels: [job], regex: a, action: drop}, {regex: job, replacement: zone, action: labelmap}]";
    for message in [Message::V1, Message::V2] {
        let (body, head, dropped) = assembled(message, rules, &blocks);
        let found = if message == Message::V1 { read_v1(&body) } else { read_v2(&body) };
        let mut expected = plain("up", "b", 2.0, 1);
        expected.0.push(("zone".to_owned(), "b".to_owned()));
        assert_eq!(found, [expected]);
        assert_eq!((head.counts.samples, head.counts.series, dropped.samples), (1, 1, 1));
    }
}

#[test]
fn exemplars_histograms_and_metadata_travel() {
    let mut series = Vec::new();
    put_label(b"__name__", b"h", &mut series);
    let histogram = Histogram {
        count: 3.0,
        sum: 1.5,
        schema: -2,
        positive_spans: vec![Span { offset: -1, length: 2 }],
        positive_buckets: vec![1.0, 1.0],
        is_gauge: true,
        ..Histogram::default()
    };
    put_exemplar([("id", "7")].into_iter(), 0.5, 9, &mut series);
    let mut message = Vec::new();
    encode_histogram(&histogram, 42, &mut message);
    field::put_bytes(4, &message, &mut series);
    let mut block = Block { counts: Counts { series: 1, histograms: 1, exemplars: 1, samples: 0 }, ..Block::default() };
    field::put_bytes(1, &series, &mut block.series);
    block.extras = vec![Extra { created_ms: 5, metadata: 0 }];
    let metadata = Metadata { family: "h".into(), kind: MetricKind::Histogram, help: "Help.".into(), unit: "".into() };
    block.metadata = Some(Arc::from([metadata.clone()]));

    let (body, head, _) = assembled(Message::V2, "[]", std::slice::from_ref(&block));
    let request = proto::Request::decode(body.as_slice()).expect("it is a request");
    let series = &request.timeseries[0];
    let expected = proto::Histogram {
        count_int: Some(3),
        sum: 1.5,
        schema: -2,
        positive_spans: vec![proto::Span { offset: -1, length: 2 }],
        positive_deltas: vec![1, 1],
        reset_hint: 3,
        timestamp: 42,
        start: 5,
        ..proto::Histogram::default()
    };
    assert_eq!(series.histograms, [expected]);
    let symbol = |number: u32| request.symbols[number as usize].as_str();
    let exemplar = &series.exemplars[0];
    assert_eq!((symbol(exemplar.refs[0]), symbol(exemplar.refs[1]), exemplar.value), ("id", "7", 0.5));
    let found = series.metadata.as_ref().expect("there is metadata");
    assert_eq!((found.kind, symbol(found.help), symbol(found.unit)), (3, "Help.", ""));
    assert_eq!(head.counts, block.counts);

    let back = proto::WriteRequest::decode(v2_to_v1(&body).expect("it is good").0.as_slice()).expect("it is a request");
    assert_eq!((back.timeseries[0].histograms[0].sum, back.timeseries[0].exemplars[0].timestamp), (1.5, 9));

    let own = metadata_request([&metadata]);
    let own = proto::WriteRequest::decode(own.as_slice()).expect("it is a request");
    assert_eq!(
        (own.metadata[0].family.as_str(), own.metadata[0].kind, own.metadata[0].help.as_str()),
        ("h", 3, "Help.")
    );

    let mut floats_only = Assembler::new(Message::V1, Rules::default(), Sends::default());
    floats_only.push(&block).expect("the block is good");
    assert!(floats_only.is_empty());
}

#[test]
fn plain_series_have_their_metadata_and_start_too() {
    let all = [plain("up", "a", 1.0, 1000), plain("up", "b", 2.0, 1000), plain("x", "b", 3.0, 1000)];
    let mut block = block(&all);
    let family = |name: &str, help: &str| Metadata {
        family: name.into(),
        kind: MetricKind::Gauge,
        help: help.into(),
        unit: "".into(),
    };
    block.metadata = Some(Arc::from([family("up", "Whether."), family("x", "What.")]));
    let extra = |created_ms, metadata| Extra { created_ms, metadata };
    block.extras = vec![extra(5, 0), extra(0, 0), extra(0, 1)];
    let (body, ..) = assembled(Message::V2, "[]", &[block.clone(), block]);
    let request = proto::Request::decode(body.as_slice()).expect("it is a request");
    let symbol = |number: u32| request.symbols[number as usize].as_str();
    let found = request.timeseries.iter().map(|series| {
        let help = series.metadata.as_ref().map(|metadata| symbol(metadata.help));
        (series.samples[0].value, series.samples[0].start, help)
    });
    let once = [(1.0, 5, Some("Whether.")), (2.0, 0, Some("Whether.")), (3.0, 0, Some("What."))];
    assert_eq!(found.collect::<Vec<_>>(), [once, once].concat());
    let helps = request.symbols.iter().filter(|symbol| symbol.ends_with('.')).count();
    assert_eq!(helps, 2);
}

#[test]
fn a_block_is_taken_in_parts() {
    let all: Vec<_> = (0..10).map(|number| plain("m", "a", f64::from(number), 1)).collect();
    let block = block(&all);
    for (message, rules) in
        [(Message::V1, "[]"), (Message::V2, "[]"), (Message::V1, "[{regex: none, action: labeldrop}]")]
    {
        let rules: Vec<_> = serde_yaml::from_str(rules).expect("they are rules");
        let rules = Rules::compile(&rules, NameScheme::Utf8).expect("they are good");
        let mut assembler = Assembler::new(message, rules, Sends::default());
        let (mut place, mut values) = (BlockPlace::default(), Vec::new());
        let mut sizes = Vec::new();
        while !place.is_end(&block) {
            assembler.push_part(&block, &mut place, 4).expect("the block is good");
            let mut body = Vec::new();
            sizes.push(assembler.finish(&mut body).counts.samples);
            let read = if message == Message::V1 { read_v1(&body) } else { read_v2(&body) };
            values.extend(read.into_iter().map(|(_, value, _)| value));
        }
        assert_eq!(sizes, [4, 4, 2]);
        assert_eq!(values, (0..10).map(f64::from).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_too_old_is_dropped() {
    let all = [plain("a", "x", 1.0, 10), plain("b", "x", 2.0, 20)];
    for message in [Message::V1, Message::V2] {
        let (body, head, _) = assembled(message, "[]", &[block(&all)]);
        let mut kept = Vec::new();
        let dropped = drop_older_than(message, &body, 15, &mut kept).expect("the body is good");
        let found = if message == Message::V1 { read_v1(&kept) } else { read_v2(&kept) };
        assert_eq!(found, all[1..]);
        assert_eq!((dropped.samples, dropped.series, head.without(dropped, 15).counts.samples), (1, 1, 1));
    }
}

#[test]
fn compression_comes_back_and_is_bounded() {
    let body = b"what is said twice, what is said twice".repeat(10);
    for compression in [Compression::Snappy, Compression::Zstd] {
        let packed = compression.pack(&body);
        assert!(packed.len() < body.len());
        assert_eq!(compression.unpack(&packed, 1000).expect("it is good"), body);
        assert!(compression.unpack(&packed, 100).is_err() && compression.unpack(b"\xff\xff\xff", 100).is_err());
    }
}

#[test]
fn a_receiver_says_what_it_wrote() {
    let mut headers = http::HeaderMap::new();
    assert_eq!(Written::of(&headers), None);
    headers.insert("X-Prometheus-Remote-Write-Samples-Written", http::HeaderValue::from_static("2"));
    let written = Written::of(&headers).expect("there is a header");
    assert_eq!(written.missing(Counts { series: 3, samples: 3, histograms: 1, exemplars: 0 }), [1, 1, 0]);
}

fn samples() -> impl Strategy<Value = Vec<Plain>> {
    let label = ("[a-c]{1,3}", "[x-z]{1,4}");
    let labels = prop::collection::vec(label, 1..4);
    let value = any::<f64>().prop_filter("equal to itself", |value| !value.is_nan());
    prop::collection::vec((labels, value, 0..i64::MAX), 0..20)
}

proptest! {
    #[test]
    fn no_sample_is_lost_or_changed(all in samples()) {
        let block = block(&all);
        let (first, head, _) = assembled(Message::V1, "[]", std::slice::from_ref(&block));
        prop_assert_eq!(&read_v1(&first), &all);
        let (second, ..) = assembled(Message::V2, "[]", &[block]);
        prop_assert_eq!(&read_v2(&second), &all);
        prop_assert_eq!(&read_v1(&v2_to_v1(&second).expect("it is good").0), &all);
        prop_assert_eq!(head.counts.samples as usize, all.len());
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        // Damaged or not: only panics matter here.
        v2_to_v1(&body).ok();
        v1_to_v2(&body, Head::default()).ok();
        drop_older_than(Message::V1, &body, 5, &mut Vec::new()).ok();
        drop_older_than(Message::V2, &body, 5, &mut Vec::new()).ok();
    }
}

/// A block of a series that has an exponential histogram and one with custom buckets, and of one that has the latter alone.
pub(crate) fn custom_buckets(timestamp_ms: i64) -> Block {
    let mut block = Block { oldest_ms: timestamp_ms, newest_ms: timestamp_ms, ..Block::default() };
    for (name, schemas) in [("mixed", &[3, -53][..]), ("custom", &[-53])] {
        let mut series = Vec::new();
        put_label(b"__name__", name.as_bytes(), &mut series);
        for &schema in schemas {
            let custom_values = if schema == -53 { vec![0.5, 1.0] } else { Vec::new() };
            let histogram = Histogram { count: 3.0, sum: 1.5, schema, custom_values, ..Histogram::default() };
            let mut message = Vec::new();
            encode_histogram(&histogram, timestamp_ms, &mut message);
            field::put_bytes(4, &message, &mut series);
        }
        field::put_bytes(1, &series, &mut block.series);
    }
    block.counts = Counts { series: 2, histograms: 3, ..Counts::default() };
    block
}

#[test]
fn custom_buckets_are_left_out_of_version_1_and_counted() {
    let block = custom_buckets(42);
    let sends = Sends { exemplars: false, native_histograms: true };
    let schemas = |body: &[u8]| {
        let request = proto::WriteRequest::decode(body).expect("it is a request");
        let all = request.timeseries.iter().map(|series| series.histograms.iter().map(|one| one.schema).collect());
        all.collect::<Vec<Vec<_>>>()
    };
    let rules: Vec<_> = serde_yaml::from_str("[{regex: nothing, action: labeldrop}]").expect("rules are YAML");
    for rules in [Rules::default(), Rules::compile(&rules, NameScheme::Utf8).expect("rules are good")] {
        let mut assembler = Assembler::new(Message::V1, rules.clone(), sends);
        let dropped = assembler.push(&block).expect("the block is good");
        assert_eq!(dropped, Dropped { relabelled: Counts::default(), custom_buckets: 2 });
        let mut body = Vec::new();
        let head = assembler.finish(&mut body);
        assert_eq!(schemas(&body), [vec![3]]);
        assert_eq!(head.counts, Counts { series: 1, histograms: 1, ..Counts::default() });

        let mut assembler = Assembler::new(Message::V2, rules, sends);
        assert_eq!(assembler.push(&block), Ok(Dropped::default()));
        let mut body = Vec::new();
        assert_eq!(assembler.finish(&mut body).counts, block.counts);
        let (body, left_out) = v2_to_v1(&body).expect("it is good");
        assert_eq!(schemas(&body), [vec![3]]);
        assert_eq!(left_out, Counts { series: 1, histograms: 2, ..Counts::default() });
    }
}

#[test]
fn custom_buckets_that_nobody_asked_for_are_not_dropped() {
    let mut assembler = Assembler::new(Message::V1, Rules::default(), Sends::default());
    assert_eq!(assembler.push(&custom_buckets(42)), Ok(Dropped::default()));
    assert!(assembler.is_empty());
}
