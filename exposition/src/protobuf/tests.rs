//! What becomes of messages, written here by hand.

use proptest::prelude::*;

use super::*;

fn key(field: u64, wire_type: u64, out: &mut Vec<u8>) {
    varint(field << 3 | wire_type, out);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    key(field, 0, &mut out);
    varint(value, &mut out);
    out
}

fn double(field: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    key(field, 1, &mut out);
    out.extend(value.to_le_bytes());
    out
}

fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    key(field, 2, &mut out);
    varint(value.as_ref().len() as u64, &mut out);
    out.extend(value.as_ref());
    out
}

fn label(name: &str, value: &str) -> Vec<u8> {
    bytes(1, [bytes(1, name), bytes(2, value)].concat())
}

fn family(name: &str, kind: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let metrics: Vec<u8> = metrics.iter().flat_map(|metric| bytes(4, metric)).collect();
    let message = [bytes(1, name), bytes(2, "Some help."), number(3, kind), metrics, bytes(5, "s")].concat();
    let mut out = Vec::new();
    varint(message.len() as u64, &mut out);
    out.extend(message);
    out
}

fn exemplar(id: &str, value: f64, seconds: Option<u64>) -> Vec<u8> {
    let at = seconds.map(|seconds| bytes(3, number(1, seconds))).unwrap_or_default();
    [label("id", id), double(2, value), at].concat()
}

fn bucket(bound: f64, count: u64) -> Vec<u8> {
    bytes(3, [number(1, count), double(2, bound)].concat())
}

/// A classic histogram: 4 observations up to 0.5 and 6 in all, without the bucket of infinity.
fn classic() -> Vec<u8> {
    [number(1, 6), double(2, 1.5), bucket(0.25, 1), bucket(0.5, 4)].concat()
}

/// What only a native histogram has: buckets with 2, 0 and 3 observations, 1 in the zero bucket.
fn native() -> Vec<u8> {
    let span = [number(1, 0), number(2, 3)].concat();
    [number(5, 6), double(6, 0.001), number(7, 1), bytes(12, span), bytes(13, [4, 3, 6])].concat()
}

/// Every entry in words.
fn read(body: &[u8], options: HistogramOptions) -> Vec<String> {
    let mut parser = ProtobufParser::new(body, options);
    let mut entries = Vec::new();
    while let Some(entry) = parser.next().unwrap() {
        entries.push(match entry {
            Entry::Type { family, kind } => format!("type {family} {}", kind.as_str()),
            Entry::Help { family, help } => format!("help {family} {help}"),
            Entry::Unit { family, unit } => format!("unit {family} {unit}"),
            Entry::Sample(sample) => format!("{}{:?} {}", sample.name, sample.labels, sample.value),
            Entry::Histogram(sample, histogram) => format!(
                "{}{:?} schema {} count {} {:?}",
                sample.name, sample.labels, histogram.schema, histogram.count, histogram.positive_buckets
            ),
        });
    }
    entries
}

fn series(body: &[u8], options: HistogramOptions) -> Vec<String> {
    read(body, options).split_off(3)
}

const NATIVE: HistogramOptions = HistogramOptions { native: true, always_classic: false, convert_classic: false };

#[test]
fn a_counter_keeps_its_name_and_has_metadata_timestamp_and_exemplar() {
    let counter = [double(1, 7.5), bytes(2, exemplar("a", 0.5, Some(3))), bytes(3, number(1, 9))].concat();
    let body = family("requests", 0, &[[label("code", "200"), bytes(3, counter), number(6, 1234)].concat()]);
    assert_eq!(
        read(&body, NATIVE),
        ["help requests Some help.", "unit requests s", "type requests counter", r#"requests{"code": "200"} 7.5"#]
    );
    let mut parser = ProtobufParser::new(&body, NATIVE);
    for _ in 0..3 {
        parser.next().unwrap();
    }
    let Some(Entry::Sample(sample)) = parser.next().unwrap() else { panic!("a sample is due") };
    assert_eq!((sample.timestamp_ms, sample.created_ms), (Some(1234), Some(9000)));
    let exemplar = sample.exemplars.iter().next().unwrap();
    assert_eq!((exemplar.value, exemplar.timestamp_ms, exemplar.labels.get("id")), (0.5, Some(3000), Some("a")));
}

#[test]
fn a_summary_becomes_count_sum_and_quantiles() {
    let quantile = |which, value| bytes(3, [double(1, which), double(2, value)].concat());
    let summary = [number(1, 3), double(2, 4.5), quantile(0.5, 1.0), quantile(1.0, 2.0)].concat();
    let body = family("latency", 2, &[bytes(4, summary)]);
    assert_eq!(
        series(&body, NATIVE),
        [
            "latency_count{} 3",
            "latency_sum{} 4.5",
            r#"latency{"quantile": "0.5"} 1"#,
            r#"latency{"quantile": "1.0"} 2"#
        ]
    );
}

#[test]
fn a_classic_histogram_ends_with_the_bucket_of_infinity() {
    let body = family("size", 4, &[[label("a", "b"), bytes(7, classic())].concat()]);
    assert_eq!(
        series(&body, NATIVE),
        [
            r#"size_count{"a": "b"} 6"#,
            r#"size_sum{"a": "b"} 1.5"#,
            r#"size_bucket{"a": "b", "le": "0.25"} 1"#,
            r#"size_bucket{"a": "b", "le": "0.5"} 4"#,
            r#"size_bucket{"a": "b", "le": "+Inf"} 6"#,
        ]
    );
}

#[test]
fn options_choose_between_native_and_classic() {
    let body = family("size", 4, &[bytes(7, [classic(), native()].concat())]);
    let native = "size{} schema 3 count 6 [2.0, 1.0]";
    assert_eq!(series(&body, NATIVE), [native]);
    let both = series(&body, HistogramOptions { always_classic: true, ..NATIVE });
    assert_eq!((both[0].as_str(), both[1].as_str(), both.len()), (native, "size_count{} 6", 6));
    let classic = series(&body, HistogramOptions::default());
    assert_eq!((classic[0].as_str(), classic.len()), ("size_count{} 6", 5));
}

/// As by Prometheus: what is left is a classic histogram with the bucket of infinity alone, whatever its native part is.
#[test]
fn a_histogram_that_is_only_native_leaves_count_sum_and_one_bucket_without_native_ones() {
    let span = [number(1, 0), number(2, 2)].concat();
    let counted = [number(1, 6), double(2, 1.5), native()].concat();
    let floats = [double(4, 3.5), double(2, 1.5), number(5, 6), double(8, 3.5)].concat();
    let empty_floats = [number(5, 6), bytes(12, &span), double(14, 0.0), double(14, 0.0)].concat();
    let contradictory = [number(1, 3), double(2, 1.5), bytes(12, &span), bytes(13, [4])].concat();
    for (histogram, count, sum) in
        [(counted, 6.0, 1.5), (floats, 3.5, 1.5), (empty_floats, 0.0, 0.0), (contradictory, 3.0, 1.5)]
    {
        let body = family("size", 4, &[bytes(7, histogram)]);
        let classic = [
            format!("size_count{{}} {count}"),
            format!("size_sum{{}} {sum}"),
            format!(r#"size_bucket{{"le": "+Inf"}} {count}"#),
        ];
        assert_eq!(series(&body, HistogramOptions::default()), classic);
        let converting = HistogramOptions { convert_classic: true, ..HistogramOptions::default() };
        let converted = if count == 0.0 { vec![] } else { vec![count] };
        let converted = format!("size{{}} schema -53 count {count} {converted:?}");
        assert_eq!(series(&body, converting), [converted.as_str()]);
        let both = series(&body, HistogramOptions { always_classic: true, ..converting });
        assert_eq!(both, [&classic[..], &[converted]].concat());
    }
}

#[test]
fn classic_histograms_are_converted_after_the_series_that_stay() {
    let body = family("size", 4, &[bytes(7, classic())]);
    let options = HistogramOptions { convert_classic: true, ..NATIVE };
    let converted = "size{} schema -53 count 6 [1.0, 2.0, -1.0]";
    assert_eq!(series(&body, options), [converted]);
    let both = series(&body, HistogramOptions { always_classic: true, ..options });
    assert_eq!((both.len(), both[5].as_str()), (6, converted));
}

#[test]
fn every_series_has_an_identity_of_its_own() {
    let metrics = [[label("a", "b"), bytes(7, classic())].concat(), [label("a", "c"), bytes(7, classic())].concat()];
    let body = family("size", 4, &metrics);
    let mut parser = ProtobufParser::new(&body, NATIVE);
    let mut identities = std::collections::BTreeSet::new();
    while let Some(entry) = parser.next().unwrap() {
        if let Entry::Sample(sample) = entry {
            assert!(identities.insert(sample.identity.to_vec()));
        }
    }
    assert_eq!(identities.len(), 10);
}

#[test]
fn faults_tell_their_byte() {
    let bad_text = family("a", 1, &[bytes(1, [bytes(1, "b"), bytes(2, [0xff])].concat())]);
    for (body, place, message) in [
        (vec![0x80], "byte 0", "ends within a number"),
        (vec![5, 1], "byte 0", "a length of 5 bytes where only 1 are left"),
        (family("", 1, &[vec![]]), "byte 1", "without name"),
        (family("a", 9, &[vec![]]), "byte 1", "metric type 9"),
        (family("a", 4, &[bytes(7, bytes(12, number(2, 2)))]), "byte 20", "need 2 buckets"),
        (bad_text, "byte 27", "not UTF-8"),
    ] {
        let mut parser = ProtobufParser::new(&body, NATIVE);
        let error = loop {
            if let Err(error) = parser.next().map(|entry| assert!(entry.is_some())) {
                break error;
            }
        };
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.place, place, "{error}");
    }
}

/// What fuzzing begins with: every type, native histograms and classic ones, exemplars.
const CORPUS: &[u8] = include_bytes!("../../../testdata/exposition/protobuf.bin");

#[test]
fn the_corpus_is_well_formed() {
    let of = |native, always_classic, convert_classic| {
        read(CORPUS, HistogramOptions { native, always_classic, convert_classic }).len()
    };
    assert_eq!(
        [of(true, false, false), of(true, true, false), of(false, false, false), of(true, true, true)],
        [26, 31, 32, 32]
    );
}

#[test]
fn no_prefix_and_no_changed_byte_of_the_corpus_panics() {
    for at in 0..CORPUS.len() {
        crate::fuzzing::protobuf(&CORPUS[..at]);
        for byte in [0, 1, 0x7f, 0x80, 0xff, CORPUS[at] ^ 1, CORPUS[at] ^ 7] {
            let mut changed = CORPUS.to_vec();
            changed[at] = byte;
            crate::fuzzing::protobuf(&changed);
        }
    }
}

/// Lengths far beyond the body and groups within groups cost neither memory nor stack.
#[test]
fn bombs_are_small() {
    let long = [vec![0xff, 0xff, 0xff, 0xff, 0x0f], bytes(4, [0u8; 8])].concat();
    let deep = [bytes(1, "a"), vec![0x53; 1 << 20]].concat();
    let wide = family("h", 4, &[bytes(7, bytes(12, [number(1, 1), number(2, u64::from(u32::MAX))].concat()))]);
    for body in [long, bytes(4, deep), wide] {
        crate::fuzzing::protobuf(&body);
        assert!(matches!(ProtobufParser::new(&body, NATIVE).next(), Err(_) | Ok(Some(_))));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzzing::protobuf(&body);
    }

    #[test]
    fn damaged_bodies_do_not_make_it_panic(cut in 0usize..200, at in 0usize..200, byte in any::<u8>()) {
        let mut body = family("size", 4, &[[label("a", "b"), bytes(7, [classic(), native()].concat())].concat()]);
        let at = at % body.len();
        body[at] = byte;
        crate::fuzzing::protobuf(&body);
        body.truncate(cut);
        crate::fuzzing::protobuf(&body);
    }
}
