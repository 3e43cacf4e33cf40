//! Native histograms and exemplars, from protobuf and OpenMetrics.

use rosterd_exposition::{HistogramLimits, HistogramOptions, ProtobufParser};
use rosterd_ship::wire::Fields;
use rosterd_ship::wire::field::{put_bytes, put_double, put_number, zigzag};

use super::*;

/// A message of protocol buffers.
#[derive(Default, Clone)]
struct Proto(Vec<u8>);

impl Proto {
    fn number(mut self, field: u8, number: u64) -> Self {
        put_number(field, number, &mut self.0);
        self
    }

    fn double(mut self, field: u8, number: f64) -> Self {
        put_double(field, number, &mut self.0);
        self
    }

    fn bytes(mut self, field: u8, bytes: impl AsRef<[u8]>) -> Self {
        put_bytes(field, bytes.as_ref(), &mut self.0);
        self
    }
}

impl AsRef<[u8]> for Proto {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A body with one family of this type, whose value stands at `field` of the metric.
fn body(kind: u64, field: u8, values: &[Proto]) -> Vec<u8> {
    let mut family = Proto::default().bytes(1, "m").number(3, kind);
    for (index, value) in values.iter().enumerate() {
        let label = Proto::default().bytes(1, "id").bytes(2, index.to_string());
        family = family.bytes(4, Proto::default().bytes(1, label).bytes(field, value));
    }
    let mut body = Vec::new();
    rosterd_ship::wire::field::put_varint(family.0.len() as u64, &mut body);
    body.extend_from_slice(&family.0);
    body
}

const HISTOGRAM: u64 = 4;

/// A native histogram with one observation in each of so many buckets.
fn native(buckets: u64) -> Proto {
    let span = Proto::default().number(2, buckets);
    let deltas: Vec<u8> = (0..buckets).map(|index| zigzag(i64::from(index == 0)) as u8).collect();
    let schema = Proto::default().number(1, buckets).double(2, 1.5).number(5, zigzag(3));
    schema.double(6, 0.5).bytes(12, span).bytes(13, deltas)
}

fn exemplar(id: &str, value: f64, seconds: u64) -> Proto {
    let label = Proto::default().bytes(1, "id").bytes(2, id);
    let exemplar = Proto::default().bytes(1, label).double(2, value);
    if seconds == 0 { exemplar } else { exemplar.bytes(3, Proto::default().number(1, seconds)) }
}

fn wanting() -> Rules {
    let wants = Wants { samples: true, exemplars: true, native_histograms: true, extras: false };
    Rules { wants, ..Rules::default() }
}

impl Scraped {
    fn proto(&mut self, body: &[u8], at_ms: i64) -> Result<Ingested, (IngestError, Ingested)> {
        let options = HistogramOptions { native: true, always_classic: false, convert_classic: false };
        self.feed(|| Ok(ProtobufParser::new(body, options)), at_ms)
    }

    /// How many positive buckets the histograms of the block have.
    fn buckets(&self) -> Vec<usize> {
        let mut found = Vec::new();
        each_series(&self.bench.block.series, |series| {
            found.extend(series.histograms().map(|histogram| {
                let deltas = Fields(histogram).map(Result::unwrap).find(|(number, _)| *number == 12);
                deltas.map_or(0, |(_, deltas)| deltas.bytes().len())
            }));
        })
        .expect("the block is good");
        found
    }

    fn exemplars(&self) -> Vec<String> {
        let mut found = Vec::new();
        each_series(&self.bench.block.series, |series| {
            found.extend(series.exemplars().map(|(labels, value, at_ms)| {
                let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
                format!("{} {value} {at_ms}", labels.join(","))
            }));
        })
        .expect("the block is good");
        found
    }
}

#[test]
fn native_histograms_become_stale_as_floats() {
    let mut scraped = Scraped::with(wanting());
    let histograms = body(HISTOGRAM, 7, &[native(2), native(3)]);
    assert_eq!(scraped.proto(&histograms, 10).map(|ingested| ingested.added), Ok(2));
    assert_eq!((scraped.buckets(), scraped.bench.block.counts.histograms), (vec![2, 3], 2));
    assert!(scraped.proto(&histograms, 20).is_ok());
    assert_eq!(scraped.fail(30), [0, 1].map(|id| format!("__name__=m,id={id},instance=h:1,job=j stale 30")));
}

#[test]
fn native_histograms_nobody_wants_are_tracked_all_the_same() {
    let mut scraped = Scraped::with(Rules::default());
    assert!(scraped.proto(&body(HISTOGRAM, 7, &[native(2)]), 10).is_ok());
    assert_eq!(scraped.bench.block.counts.series, 0);
    assert_eq!(scraped.fail(30).len(), 1);
}

#[test]
fn nothing_is_encoded_if_nobody_wants_samples() {
    let mut scraped = Scraped::with(Rules { wants: Wants::default(), ..Rules::default() });
    let (found, ingested) = scraped.good("a 1\nb 2\n", 10);
    assert_eq!((found.len(), ingested.kept, ingested.added), (0, 2, 2));
    scraped.rules = Rules::default();
    scraped.track.rules_changed();
    assert_eq!(scraped.good("a 1\n", 20).0.len(), 1);
}

#[test]
fn buckets_are_merged_until_the_limit_is_kept() {
    let mut scraped = Scraped::with(Rules { histograms: HistogramLimits::new(4, 0.0), ..wanting() });
    assert!(scraped.proto(&body(HISTOGRAM, 7, &[native(4), native(8)]), 10).is_ok());
    assert_eq!(scraped.buckets()[0], 4);
    assert!(scraped.buckets()[1] <= 4);
    scraped.rules.histograms = HistogramLimits::new(0, 4.0);
    assert!(scraped.proto(&body(HISTOGRAM, 7, &[native(16)]), 20).is_ok());
    assert!(scraped.buckets()[0] < 4, "the schema is -1");
}

#[test]
fn too_many_buckets_refuse_the_scrape_but_not_the_sample_limit_before() {
    let wide = native(1).number(5, zigzag(-4)).bytes(12, Proto::default().number(1, 20).number(2, 2)).bytes(13, [2, 0]);
    let wide = Proto(wide.0).number(1, 3);
    let limited = Rules { histograms: HistogramLimits::new(2, 0.0), ..wanting() };
    let mut scraped = Scraped::with(limited.clone());
    let histograms = body(HISTOGRAM, 7, &[native(1), wide, native(1)]);
    let (error, ingested) = scraped.proto(&histograms, 10).expect_err("no resolution is coarser");
    assert_eq!(error, IngestError::BucketLimit { metric: "m".into(), limit: 2 });
    assert_eq!((ingested.scraped, ingested.kept, ingested.added), (3, 3, 1));
    assert!(scraped.block().is_empty());
    assert_eq!(scraped.fail(20).len(), 2, "the one that was refused was never there");
    scraped.rules = Rules { sample_limit: 1, ..limited };
    let (error, _) = scraped.proto(&histograms, 30).expect_err("two limits are exceeded");
    assert_eq!(error, IngestError::SampleLimit { limit: 1 });
}

#[test]
fn a_histogram_that_contradicts_itself_refuses_the_scrape() {
    let wrong = native(2).number(1, 7);
    let error = Scraped::with(wanting()).proto(&body(HISTOGRAM, 7, &[wrong]), 10).expect_err("7 are not 2").0;
    assert!(matches!(error, IngestError::Histogram { .. }), "{error}");
}

#[test]
fn a_stale_marker_in_the_exposition_is_a_sample() {
    let gauge = |value| body(1, 2, &[Proto::default().double(1, value)]);
    let mut scraped = Scraped::with(Rules { sample_limit: 1, ..wanting() });
    assert!(scraped.proto(&gauge(1.0), 10).is_ok());
    assert!(scraped.proto(&gauge(STALE), 20).is_ok());
    assert_eq!(scraped.block(), ["__name__=m,id=0,instance=h:1,job=j stale 20"]);
    assert!(scraped.proto(&[gauge(STALE), body(3, 5, &[Proto::default(), Proto::default()])].concat(), 30).is_ok());
    assert_eq!(scraped.bench.block.counts.samples, 2, "it does not count against the limit, nor does what comes twice");
    assert_eq!(scraped.fail(40).len(), 2);
}

#[test]
fn a_histogram_sends_its_exemplars_once_and_in_order() {
    let mut scraped = Scraped::with(wanting());
    let with = |exemplars: &[Proto]| {
        body(HISTOGRAM, 7, &[exemplars.iter().fold(native(1), |histogram, exemplar| histogram.bytes(16, exemplar))])
    };
    let [one, two, bare] = [exemplar("a", 1.0, 2), exemplar("b", 2.0, 1), exemplar("c", 3.0, 0)];
    assert!(scraped.proto(&with(&[one.clone(), two.clone(), bare]), 10).is_ok());
    assert_eq!(scraped.exemplars(), ["id=b 2 1000", "id=a 1 2000"]);
    let ingested = scraped.proto(&with(&[one.clone(), two]), 20).expect("the scrape is good");
    assert_eq!((scraped.exemplars().len(), ingested.exemplars_out_of_order), (0, 0));
    assert!(scraped.proto(&with(&[one, exemplar("d", 4.0, 3)]), 30).is_ok());
    assert_eq!(scraped.exemplars(), ["id=d 4 3000"]);
    let ingested = scraped.proto(&with(&[exemplar("e", 5.0, 1)]), 40).expect("the scrape is good");
    assert_eq!((scraped.exemplars().len(), ingested.exemplars_out_of_order), (0, 1));
}

#[test]
fn exemplars_of_floats_have_the_time_of_the_sample_unless_they_have_their_own() {
    let mut scraped = Scraped::with(wanting());
    let long = "x".repeat(127);
    let text = format!(
        "a_total 1 # {{id=\"1\"}} 5\nb_total 1 # {{id=\"2\"}} 6 2.5\nc_total 1 # {{id=\"{long}\"}} 1\nd_total 1 # {{}} 7 # EOF\n"
    );
    let text = text.replace(" # EOF", "\n# EOF");
    let make = || TextParser::new(text.as_bytes(), Dialect::OpenMetrics);
    assert!(scraped.feed(make, 10).is_ok());
    assert_eq!(scraped.exemplars(), ["id=1 5 10", "id=2 6 2500", " 7 10"]);
    assert!(scraped.feed(make, 20).is_ok());
    assert!(scraped.exemplars().is_empty());
    scraped.rules.wants.exemplars = false;
    assert!(scraped.feed(|| TextParser::new(b"a_total 1 # {} 9\n# EOF\n", Dialect::OpenMetrics), 30).is_ok());
    assert!(scraped.exemplars().is_empty());
}

#[test]
fn exemplars_are_sent_with_the_labels_that_receivers_take() {
    let mut scraped = Scraped::with(wanting());
    let name = "n".repeat(64);
    let text = format!(
        "a_total 1 # {{b=\"2\",a=\"1\",c=\"\"}} 1\nb_total 1 # {{a=\"1\",a=\"1\"}} 2\nc_total 1 # {{a=\"\",a=\"1\"}} 3\n\
         d_total 1 # {{{name}=\"{name}\",a=\"\"}} 4\ne_total 1 # {{{name}=\"{name}\",a=\"1\"}} 5\nf_total 1 # {{a=\"\"}} 6\n# EOF\n"
    );
    let make = || TextParser::new(text.as_bytes(), Dialect::OpenMetrics);
    let ingested = scraped.feed(make, 10).expect("no exemplar refuses a scrape");
    assert_eq!((ingested.scraped, ingested.exemplars_out_of_order), (6, 0));
    let long = format!("{name}={name} 4 10");
    assert_eq!(scraped.exemplars(), ["a=1,b=2 1 10", "a=1 3 10", &long, " 6 10"]);
    let other = text.replace("b=\"2\",a=\"1\",c=\"\"", "a=\"1\",b=\"2\"");
    assert!(scraped.feed(|| TextParser::new(other.as_bytes(), Dialect::OpenMetrics), 20).is_ok());
    assert!(scraped.exemplars().is_empty(), "the same one in other words is none that is new");
}

#[test]
fn exemplars_of_one_time_come_by_value_and_labels() {
    let mut scraped = Scraped::with(wanting());
    let with = |exemplars: &[Proto]| {
        body(HISTOGRAM, 7, &[exemplars.iter().fold(native(1), |histogram, exemplar| histogram.bytes(16, exemplar))])
    };
    let unsorted = [exemplar("b", 2.0, 1), exemplar("c", 1.0, 1), exemplar("a", 2.0, 1), exemplar("d", 0.5, 2)];
    assert!(scraped.proto(&with(&unsorted), 10).is_ok());
    let sorted = ["id=c 1 1000", "id=a 2 1000", "id=b 2 1000", "id=d 0.5 2000"];
    assert_eq!(scraped.exemplars(), sorted);
    let first = [&unsorted[..3], &[]].concat();
    let mut scraped = Scraped::with(wanting());
    assert!(scraped.proto(&with(&first), 10).is_ok());
    let ingested = scraped.proto(&with(&first), 20).expect("the scrape is good");
    assert_eq!((scraped.exemplars().len(), ingested.exemplars_out_of_order), (0, 0), "all are known");
    assert!(scraped.proto(&with(&[&first[..], &[exemplar("e", 3.0, 1)]].concat()), 30).is_ok());
    assert_eq!(scraped.exemplars(), ["id=e 3 1000"]);
}

#[test]
fn a_float_histogram_without_observations_is_one_all_the_same() {
    let span = Proto::default().number(2, 2);
    let counts: Vec<u8> = [0.0f64; 2].iter().flat_map(|count| count.to_le_bytes()).collect();
    let empty = Proto::default().number(5, zigzag(3)).double(6, 0.5).bytes(12, span).bytes(14, counts);
    let mut scraped = Scraped::with(wanting());
    for at_ms in [10, 20] {
        assert_eq!(
            scraped.proto(&body(HISTOGRAM, 7, std::slice::from_ref(&empty)), at_ms).map(|found| found.kept),
            Ok(1)
        );
        assert_eq!(scraped.bench.block.counts.histograms, 1);
    }
    let mut is_float = false;
    each_series(&scraped.bench.block.series, |series| {
        let counts = series.histograms().flat_map(|histogram| Fields(histogram).map(Result::unwrap));
        // `count_float` of remote write.
        is_float = counts.into_iter().any(|(number, _)| number == 2);
    })
    .expect("the block is good");
    assert!(is_float);
}
