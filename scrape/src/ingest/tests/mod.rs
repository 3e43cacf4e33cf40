//! What comes out of expositions, series by series.

mod damaged;
mod histograms;
mod labels;
mod limits;
mod model;
mod timestamps;

use rosterd_client::Budget;
use rosterd_exposition::{Dialect, Parse, ParseError, TextParser};
use rosterd_model::{NameScheme, relabel};
use rosterd_ship::wire::{STALE, each_series};
use rosterd_ship::{Extra, Wants};

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
        self.feed(|| TextParser::new(body.as_bytes(), Dialect::Prometheus), at_ms)
    }

    fn feed<P: Parse>(
        &mut self,
        make: impl Fn() -> Result<P, ParseError>,
        at_ms: i64,
    ) -> Result<Ingested, (IngestError, Ingested)> {
        self.bench.begin();
        self.bench.ingest(make, &mut self.track, &self.rules, &TARGET, at_ms)
    }

    /// The scrape did not get a body.
    fn fail(&mut self, at_ms: i64) -> Found {
        self.bench.begin();
        self.bench.failed(&mut self.track, at_ms);
        self.block()
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
    assert_eq!(
        scraped.fail(20),
        ["__name__=a,instance=h:1,job=j stale 20"],
        "what has its own timestamp is left alone"
    );
    assert!(scraped.fail(30).is_empty(), "once is enough");
    let (found, ingested) = scraped.good("a 1\nb 2 6\n", 40);
    assert_eq!((found.len(), ingested.added), (2, 0));
    assert_eq!(scraped.fail(50).len(), 1);
}

#[test]
fn a_body_without_anything_is_a_scrape_that_failed() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\n", 10);
    let (found, ingested) = scraped.good("", 20);
    assert_eq!(
        (found.as_slice(), ingested),
        (["__name__=a,instance=h:1,job=j stale 20".to_owned()].as_slice(), Ingested::default())
    );
    assert_eq!(scraped.good("a 1\n", 30).1.added, 0);
    assert_eq!(scraped.good("# TYPE a gauge\n", 40).0.len(), 1);
    assert_eq!(scraped.good("a 1\n", 50).1.added, 1, "it was a scrape without series");
}

#[test]
fn only_what_did_not_come_before_a_fault_becomes_stale() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\nb 2\nc 3\n", 10);
    let (error, ingested) = scraped.ingest("new 1\na 1\nc x\n", 20).expect_err("it has a fault");
    let fault = ParseError { place: "line 3, column 3".into(), message: "expected a value, found \"x\"".into() };
    assert_eq!(error, IngestError::Parse(fault));
    assert_eq!((ingested.scraped, ingested.kept, ingested.added), (2, 2, 1));
    let of = |name: &str, value: &str, at_ms: i64| format!("__name__={name},instance=h:1,job=j {value} {at_ms}");
    assert_eq!(scraped.block(), [of("b", "stale", 20), of("c", "stale", 20)]);
    let (found, ingested) = scraped.good("a 1\nb 2\n", 30);
    assert_eq!(found, [of("a", "1", 30), of("b", "2", 30), of("new", "stale", 30)]);
    assert_eq!(ingested.added, 0, "all were there before");
    let (found, ingested) = scraped.good("a 1\nc 2\n", 40);
    assert_eq!((found.len(), ingested.added), (3, 1), "a good scrape forgets what it does not have");
}

#[test]
fn a_fault_at_the_end_makes_nothing_stale() {
    let mut scraped = Scraped::default();
    let open = |body: &'static str| move || TextParser::new(body.as_bytes(), Dialect::OpenMetrics);
    scraped.feed(open("a 1\nb 2\n# EOF\n"), 10).expect("it has an end");
    let (error, ingested) = scraped.feed(open("a 1\nb 2\n"), 20).expect_err("it has no end");
    assert!(matches!(error, IngestError::Parse(_)));
    assert_eq!((ingested.scraped, ingested.added), (2, 0));
    assert!(scraped.block().is_empty());
    assert_eq!(scraped.fail(30).len(), 2);
}

#[test]
fn other_rules_make_series_stale_whose_labels_they_change() {
    let mut scraped = Scraped::default();
    let body = "a{id=\"1\"} 1\nb{id=\"2\"} 2\n";
    scraped.good(body, 10);
    scraped.rules.relabel = rules("[{source_labels: [__name__], regex: a, target_label: zone, replacement: z}]");
    scraped.track.rules_changed();
    let (found, _) = scraped.good(body, 20);
    assert_eq!(
        found,
        [
            "__name__=a,id=1,instance=h:1,job=j,zone=z 1 20",
            "__name__=b,id=2,instance=h:1,job=j 2 20",
            "__name__=a,id=1,instance=h:1,job=j stale 20",
        ]
    );
    assert_eq!(scraped.good(body, 30).0.len(), 2);
    scraped.rules.external = vec![("cluster".into(), "c".into())];
    scraped.track.rules_changed();
    assert_eq!(scraped.good(body, 40).0.len(), 4);
    scraped.rules.relabel = rules("[{source_labels: [__name__], regex: a, action: drop}]");
    scraped.track.rules_changed();
    let (found, _) = scraped.good(body, 50);
    assert_eq!(
        found,
        [
            "__name__=b,cluster=c,id=2,instance=h:1,job=j 2 50",
            "__name__=a,cluster=c,id=1,instance=h:1,job=j,zone=z stale 50",
        ]
    );
    scraped.rules.relabel = relabel::Rules::default();
    scraped.track.rules_changed();
    assert_eq!(scraped.good(body, 60).0.len(), 2, "what was dropped is there again");
    scraped.track.rules_changed();
    assert_eq!(scraped.fail(70).len(), 2);
    assert_eq!(scraped.good(body, 80).0.len(), 2);
}

#[test]
fn a_scrape_that_fails_by_other_rules_leaves_nothing_behind() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\nb{x=\"1\"} 1\n", 10);
    scraped.rules.label_limit = 3;
    scraped.track.rules_changed();
    scraped.ingest("a 1\nb{x=\"1\"} 1\n", 20).expect_err("the second has too many labels");
    let stale = ["__name__=a,instance=h:1,job=j stale 20", "__name__=b,instance=h:1,job=j,x=1 stale 20"];
    assert_eq!(scraped.block(), stale);
    scraped.ingest("a 1\nb{x=\"1\"} 1\n", 30).expect_err("the second has too many labels");
    assert!(scraped.block().is_empty());
    assert_eq!(scraped.good("a 1\n", 40).0, ["__name__=a,instance=h:1,job=j 1 40"]);
}

#[test]
fn automatic_series_that_other_rules_do_not_have_become_stale() {
    let mut scraped = Scraped::with(Rules { extra_metrics: true, ..Rules::default() });
    let replaced = |scraped: &mut Scraped, now: Rules| {
        let before = std::mem::replace(&mut scraped.rules, now);
        scraped.bench.begin();
        scraped.bench.replaced(&scraped.track, &before, &scraped.rules, &TARGET, 20);
        scraped.block()
    };
    assert!(replaced(&mut scraped, Rules { extra_metrics: true, ..Rules::default() }).is_empty(), "nothing was sent");
    scraped.bench.begin();
    scraped.bench.report(&mut scraped.track, &scraped.rules, &TARGET, &Report::default(), 10);
    let names = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];
    let expected = names.map(|name| format!("__name__={name},instance=h:1,job=j stale 20"));
    assert_eq!(replaced(&mut scraped, Rules::default()), expected);
    let external = vec![("cluster".to_owned(), "c".to_owned())];
    let found = replaced(&mut scraped, Rules { external, ..Rules::default() });
    assert_eq!((found.len(), found[0].as_str()), (5, "__name__=up,instance=h:1,job=j stale 20"));
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
    scraped.bench.end(&mut scraped.track, &scraped.rules, &[], &TARGET, 20);
    let expected: Vec<_> =
        [of("a", "stale", 20)].into_iter().chain(names.map(|(name, _)| of(name, "stale", 20))).collect();
    assert_eq!(scraped.block(), expected);
    scraped.bench.begin();
    scraped.bench.end(&mut scraped.track, &scraped.rules, &[], &TARGET, 30);
    assert!(scraped.block().is_empty());
}

#[test]
fn metadata_are_shared_between_targets() {
    let families = Families::default();
    let body = "# HELP a Help.\n# TYPE a counter\na_total 1\na_sum 2\n# TYPE b gauge\nb 1\n# TYPE \"c.d\" gauge\n{\"c.d\"} 1\n";
    let mut tracks = [Track::default(), Track::default()];
    for track in &mut tracks {
        let mut bench = Bench::new(families.clone());
        let make = || TextParser::new(body.as_bytes(), Dialect::Prometheus);
        let rules = Rules { wants: Wants { samples: true, extras: true, ..Wants::default() }, ..Rules::default() };
        for at_ms in 1..4 {
            bench.begin();
            bench.ingest(make, track, &rules, &TARGET, at_ms).expect("the scrape is good");
            let found: Vec<_> = bench.block.extras.iter().map(|extra| extra.metadata).collect();
            assert_eq!(found, [0, Extra::NO_METADATA, 1, 2]);
        }
        assert_eq!(bench.block.metadata.as_deref(), Some(track.metadata()));
    }
    let [first, second] = tracks.map(|track| track.families.expect("there are some"));
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!((&*first[0].family, &*first[0].help, first[1].kind.as_str()), ("a", "Help.", "gauge"));
}
