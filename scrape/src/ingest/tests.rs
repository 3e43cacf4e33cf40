//! What comes out of expositions, series by series.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rosterd_exposition::{Dialect, TextParser};
use rosterd_model::{NameScheme, relabel};
use rosterd_ship::Wants;
use rosterd_ship::wire::{STALE, each_series};

use super::*;

const TARGET: [(&str, &str); 2] = [("instance", "h:1"), ("job", "j")];

/// A target that is scraped again and again.
#[derive(Default)]
struct Scraped {
    bench: Bench,
    track: Track,
    rules: Rules,
}

type Found = Vec<String>;

impl Scraped {
    fn with(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    fn ingest(&mut self, body: &str, at_ms: i64) -> Result<Ingested, (IngestError, Ingested)> {
        self.bench.begin();
        let make = || TextParser::new(body.as_bytes(), Dialect::Prometheus);
        self.bench.ingest(make, &mut self.track, &self.rules, &TARGET, at_ms)
    }

    /// The series of a good scrape.
    fn good(&mut self, body: &str, at_ms: i64) -> (Found, Ingested) {
        let ingested = self.ingest(body, at_ms).expect("the scrape is good");
        (self.block(), ingested)
    }

    fn block(&self) -> Found {
        let block = &self.bench.block;
        let mut found = Vec::new();
        let mut samples = 0;
        each_series(&block.series, |series| {
            let labels: Vec<_> = series.labels().map(|(name, value)| format!("{name}={value}")).collect();
            assert!(labels.is_sorted(), "{labels:?}");
            for (value, at_ms) in series.samples() {
                let value = if value.to_bits() == STALE.to_bits() { "stale".to_owned() } else { value.to_string() };
                found.push(format!("{} {value} {at_ms}", labels.join(",")));
                samples += 1;
            }
        })
        .expect("the block is good");
        assert_eq!(block.counts.samples, samples);
        found
    }
}

fn rules(yaml: &str) -> relabel::Rules {
    let rules: Vec<_> = serde_yaml::from_str(yaml).expect("rules are YAML");
    relabel::Rules::compile(&rules, NameScheme::Utf8).expect("rules are good")
}

#[test]
fn labels_of_target_and_series_are_merged() {
    let mut scraped = Scraped::with(Rules { external: vec![("cluster".into(), "c".into())], ..Rules::default() });
    let (found, ingested) = scraped.good("A{Z=\"1\",a=\"2\"} 1\nA{Z=\"3\",a=\"4\"} 2 77\nb 3\n", 1000);
    assert_eq!(
        found,
        [
            "Z=1,__name__=A,a=2,cluster=c,instance=h:1,job=j 1 1000",
            "Z=3,__name__=A,a=4,cluster=c,instance=h:1,job=j 2 77",
            "__name__=b,cluster=c,instance=h:1,job=j 3 1000",
        ]
    );
    assert_eq!(ingested, Ingested { scraped: 3, kept: 3, added: 3, ..Ingested::default() });
    assert_eq!((scraped.bench.block.oldest_ms, scraped.bench.block.newest_ms), (77, 1000));
}

#[test]
fn a_conflicting_label_is_renamed_or_honoured() {
    let body = "a{job=\"x\",exported_job=\"y\",cluster=\"own\"} 1\n";
    let external = vec![("cluster".to_owned(), "c".to_owned())];
    let mut scraped = Scraped::with(Rules { external: external.clone(), ..Rules::default() });
    let expected = "__name__=a,cluster=own,exported_exported_job=x,exported_job=y,instance=h:1,job=j 1 5";
    assert_eq!(scraped.good(body, 5).0, [expected]);
    let mut scraped = Scraped::with(Rules { honor_labels: true, external, ..Rules::default() });
    assert_eq!(scraped.good(body, 5).0, ["__name__=a,cluster=own,exported_job=y,instance=h:1,job=x 1 5"]);
}

#[test]
fn a_label_without_value_is_none() {
    let body = "a{job=\"\",b=\"\"} 1\n";
    assert_eq!(Scraped::default().good(body, 5).0, ["__name__=a,instance=h:1,job=j 1 5"]);
    let mut scraped = Scraped::with(Rules { honor_labels: true, ..Rules::default() });
    assert_eq!(scraped.good(body, 5).0, ["__name__=a,instance=h:1 1 5"]);
}

#[test]
fn series_that_are_gone_become_stale_once() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\nb 2\nc 3\n", 10);
    let (found, ingested) = scraped.good("a 1\nc 3\nd 4\n", 20);
    assert_eq!(ingested.added, 1);
    assert_eq!(found[3..], ["__name__=b,instance=h:1,job=j stale 20"]);
    let (found, ingested) = scraped.good("a 1\nc 3\nd 4\n", 30);
    assert_eq!((found.len(), ingested.added), (3, 0));
    let (found, _) = scraped.good("d 4\nc 3\na 1\n", 40);
    assert_eq!(found.len(), 3, "another order is no change");
}

#[test]
fn the_same_series_written_in_another_way_is_not_gone() {
    let mut scraped = Scraped::default();
    scraped.good("a{b=\"1\",c=\"2\"} 1\n", 10);
    assert_eq!(scraped.good("a{c=\"2\",b=\"1\"} 1\n", 20).0.len(), 1);
}

#[test]
fn a_failed_scrape_makes_all_stale_and_the_next_good_one_adds_nothing() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\nb 2 5\n", 10);
    let (error, _) = scraped.ingest("a 1\nb x\n", 20).expect_err("it has a fault");
    assert_eq!(
        error,
        IngestError::Parse(rosterd_exposition::ParseError {
            place: "line 2, column 3".to_owned(),
            message: "expected a value, found \"x\"".to_owned(),
        })
    );
    assert_eq!(scraped.block(), ["__name__=a,instance=h:1,job=j stale 20"], "what has its own timestamp is left alone");
    scraped.bench.begin();
    scraped.bench.failed(&mut scraped.track, 30);
    assert!(scraped.block().is_empty(), "once is enough");
    let (found, ingested) = scraped.good("a 1\nb 2 6\n", 40);
    assert_eq!((found.len(), ingested.added), (2, 0));
    scraped.bench.begin();
    scraped.bench.failed(&mut scraped.track, 50);
    assert_eq!(scraped.block().len(), 1);
}

#[test]
fn timestamps() {
    let mut scraped = Scraped::with(Rules { honor_timestamps: false, ..Rules::default() });
    assert_eq!(scraped.good("a 1 5\n", 10).0, ["__name__=a,instance=h:1,job=j 1 10"]);
    assert_eq!(scraped.good("b 1 5\n", 20).0[1..], ["__name__=a,instance=h:1,job=j stale 20"]);
    let mut scraped = Scraped::with(Rules { track_timestamps_staleness: true, ..Rules::default() });
    scraped.good("a 1 5\n", 10);
    assert_eq!(scraped.good("", 20).0, ["__name__=a,instance=h:1,job=j stale 20"]);
    let (found, ingested) = Scraped::default().good("a 1 600001\nb 1 600000\n", 0);
    assert_eq!((found.len(), ingested.out_of_bounds, ingested.kept), (1, 1, 2));
}

#[test]
fn a_series_that_is_there_twice_counts_once() {
    let mut scraped = Scraped::default();
    for at_ms in [10, 20] {
        let (found, ingested) = scraped.good("a 1\na 2\nb 1 3\nb 1 4\n", at_ms);
        let expected = [format!("__name__=a,instance=h:1,job=j 1 {at_ms}"), "__name__=b,instance=h:1,job=j 1 3".into()];
        assert_eq!(found[..2], expected);
        assert_eq!((found.len(), ingested.duplicates, ingested.kept), (3, 1, 4));
    }
    assert_eq!(scraped.good("b 1\n", 30).0.len(), 2);
}

#[test]
fn metric_relabelling_drops_renames_and_finds_duplicates() {
    let relabel = rules(
        "[{source_labels: [__name__], regex: noise.*, action: drop}, {regex: id, action: labeldrop}, {target_label: zone, replacement: z}]",
    );
    let mut scraped = Scraped::with(Rules { relabel, ..Rules::default() });
    let body = "a{id=\"1\"} 1\na{id=\"2\"} 2\nnoise 3\nnoise_too 4\n";
    for (at_ms, added) in [(10, 2), (20, 0)] {
        let (found, ingested) = scraped.good(body, at_ms);
        assert_eq!(found, [format!("__name__=a,instance=h:1,job=j,zone=z 1 {at_ms}")]);
        assert_eq!((ingested.scraped, ingested.kept, ingested.duplicates, ingested.added), (4, 2, 1, added));
    }
    assert_eq!(scraped.good("noise 1\n", 30).0, ["__name__=a,instance=h:1,job=j,zone=z stale 30"]);
    let nameless = rules("[{regex: __name__, action: labeldrop}]");
    let mut scraped = Scraped::with(Rules { relabel: nameless, ..Rules::default() });
    assert_eq!(scraped.ingest("a 1\n", 5).map_err(|(error, _)| error), Err(IngestError::NoName));
}

#[test]
fn limits_refuse_the_whole_scrape() {
    let limited = |change: fn(&mut Rules)| {
        let mut rules = Rules::default();
        change(&mut rules);
        let mut scraped = Scraped::with(rules);
        let result = scraped.ingest("a{long=\"value\"} 1\nb 1\nc 1\n", 5);
        assert!(result.is_ok() || scraped.block().is_empty());
        result.map_err(|(error, ingested)| (error.to_string(), ingested.scraped))
    };
    assert_eq!(
        limited(|rules| rules.sample_limit = 2),
        Err(("sample limit exceeded: the scrape has more than 2 samples".to_owned(), 3))
    );
    assert!(limited(|rules| rules.sample_limit = 3).is_ok());
    assert_eq!(
        limited(|rules| rules.label_limit = 3),
        Err(("label_limit exceeded (metric: \"a\", number of labels: 4, limit: 3)".to_owned(), 1))
    );
    assert!(limited(|rules| rules.label_limit = 4).is_ok());
    assert!(limited(|rules| rules.label_name_length_limit = 7).is_err());
    assert!(limited(|rules| rules.label_name_length_limit = 8).is_ok());
    assert!(limited(|rules| rules.label_value_length_limit = 4).is_err());
    assert!(limited(|rules| rules.label_value_length_limit = 5).is_ok());
    let legacy = |body: &str| {
        let mut scraped = Scraped::with(Rules { scheme: NameScheme::Legacy, ..Rules::default() });
        scraped.ingest(body, 5).map_err(|(error, _)| error.to_string())
    };
    assert!(legacy("a:b{c=\"d\"} 1\n").is_ok());
    assert_eq!(legacy("{\"a.b\"} 1\n"), Err("invalid metric name or label name \"a.b\" of metric \"a.b\"".to_owned()));
    assert!(legacy("a{\"b.c\"=\"d\"} 1\n").is_err());
    assert!(Scraped::default().ingest("a{b=\"1\",b=\"2\"} 1\n", 5).is_err());
}

#[test]
fn the_automatic_series_come_and_go_with_the_target() {
    let mut scraped = Scraped::with(Rules { extra_metrics: true, sample_limit: 9, ..Rules::default() });
    let (_, ingested) = scraped.good("a 1\n", 10);
    scraped.bench.begin();
    let report = Report { up: true, seconds: 0.25, ingested, timeout_seconds: 5.0, body_bytes: 4 };
    scraped.bench.report(&mut scraped.track, &scraped.rules, &TARGET, &report, 10);
    let of = |name: &str, value: &str, at_ms: i64| format!("__name__={name},instance=h:1,job=j {value} {at_ms}");
    let names = [
        ("up", "1"),
        ("scrape_duration_seconds", "0.25"),
        ("scrape_samples_scraped", "1"),
        ("scrape_samples_post_metric_relabeling", "1"),
        ("scrape_series_added", "1"),
        ("scrape_timeout_seconds", "5"),
        ("scrape_sample_limit", "9"),
        ("scrape_body_size_bytes", "4"),
    ];
    assert_eq!(scraped.block(), names.map(|(name, value)| of(name, value, 10)));
    scraped.bench.begin();
    scraped.bench.end(&mut scraped.track, &scraped.rules, &TARGET, 20);
    let expected: Vec<_> =
        [of("a", "stale", 20)].into_iter().chain(names.map(|(name, _)| of(name, "stale", 20))).collect();
    assert_eq!(scraped.block(), expected);
    scraped.bench.begin();
    scraped.bench.end(&mut scraped.track, &scraped.rules, &TARGET, 30);
    assert!(scraped.block().is_empty());
}

#[test]
fn metadata_are_shared_between_targets() {
    let families = Families::default();
    let body = "# HELP a Help.\n# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\n";
    let mut tracks = [Track::default(), Track::default()];
    for track in &mut tracks {
        let mut bench = Bench::new(families.clone());
        let make = || TextParser::new(body.as_bytes(), Dialect::Prometheus);
        let rules = Rules { wants: Wants { samples: true, extras: true, ..Wants::default() }, ..Rules::default() };
        bench.ingest(make, track, &rules, &TARGET, 1).expect("the scrape is good");
        assert_eq!(bench.block.extras.iter().map(|extra| extra.metadata).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(bench.block.metadata.as_deref(), Some(track.metadata()));
    }
    let [first, second] = tracks.map(|track| track.families.expect("there are some"));
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!((&*first[0].family, &*first[0].help, first[1].kind.as_str()), ("a", "Help.", "gauge"));
}

/// What Prometheus would do, without any of the shortcuts: all series of a scrape by their final labels.
#[derive(Default)]
struct Model {
    last: BTreeSet<String>,
}

impl Model {
    fn scrape(&mut self, body: Option<&[(u8, u8, bool)]>, at_ms: i64) -> BTreeMap<(String, i64), String> {
        let mut out = BTreeMap::new();
        let mut current = BTreeSet::new();
        for (name, value, explicit) in body.unwrap_or_default() {
            let labels = labels_of(*name);
            let at = if *explicit { 3 } else { at_ms };
            if *explicit || current.insert(labels.clone()) {
                out.entry((labels, at)).or_insert_with(|| value.to_string());
            }
        }
        for gone in self.last.difference(&current) {
            out.entry((gone.clone(), at_ms)).or_insert_with(|| "stale".to_owned());
        }
        self.last = current;
        out
    }
}

fn labels_of(name: u8) -> String {
    let (name, label) = (name % 8, name / 8);
    match label {
        0 => format!("__name__=m{name},instance=h:1,job=j"),
        label => format!("__name__=m{name},a={label},instance=h:1,job=j"),
    }
}

fn text_of(body: &[(u8, u8, bool)]) -> String {
    let line = |(name, value, explicit): &(u8, u8, bool)| {
        let labels = if name / 8 == 0 { String::new() } else { format!("{{a=\"{}\"}}", name / 8) };
        format!("m{}{labels} {value}{}\n", name % 8, if *explicit { " 3" } else { "" })
    };
    body.iter().map(line).collect()
}

proptest! {
    #[test]
    fn any_sequence_of_scrapes_gives_what_the_model_gives(
        scrapes in prop::collection::vec(prop::option::weighted(0.85, prop::collection::vec((0..24u8, 0..9u8, prop::bool::weighted(0.1)), 0..12)), 1..8)
    ) {
        let (mut scraped, mut model) = (Scraped::default(), Model::default());
        for (round, mut body) in scrapes.into_iter().enumerate() {
            let at_ms = 1000 + round as i64;
            // One kind of timestamp for each series: what becomes of a mix is not defined.
            if let Some(body) = &mut body {
                body.iter_mut().for_each(|(name, _, explicit)| *explicit = *explicit && name.is_multiple_of(3));
                let plain: BTreeSet<u8> = body.iter().filter(|sample| !sample.2).map(|sample| sample.0).collect();
                body.retain(|(name, _, explicit)| !explicit || !plain.contains(name));
                let mut seen = BTreeSet::new();
                body.retain(|(name, _, explicit)| !explicit || seen.insert(*name));
            }
            let expected = model.scrape(body.as_deref(), at_ms);
            match &body {
                Some(body) => drop(scraped.good(&text_of(body), at_ms)),
                None => {
                    scraped.bench.begin();
                    scraped.bench.failed(&mut scraped.track, at_ms);
                }
            }
            let found: BTreeMap<_, _> = scraped.block().into_iter().map(|line| {
                let mut parts = line.rsplitn(3, ' ');
                let at: i64 = parts.next().and_then(|at| at.parse().ok()).expect("it ends with a timestamp");
                let value = parts.next().expect("it has a value").to_owned();
                ((parts.next().expect("it has labels").to_owned(), at), value)
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
