//! Limits, and names that are refused.

use super::*;

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

/// So many short lines.
fn lines(count: usize) -> String {
    (0..count).map(|number| format!("s{number} 1\n")).collect()
}

#[test]
fn more_than_there_is_memory_for_is_refused_before_it_is_read_to_its_end() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\n", 5);
    let budget = Budget::new(100_000);
    scraped.bench.room.part = 1000;
    scraped.bench.charge(budget.share());
    let (error, ingested) = scraped.ingest(&lines(100_000), 10).expect_err("it takes some megabytes");
    assert_eq!(error, IngestError::BlockSize { limit: 100_000 });
    let text = error.to_string();
    assert!(text.contains("rosterd.scrape.memory_limit: 100000 bytes") && text.contains("raise it"), "{text}");
    assert!(ingested.scraped < 10_000, "it was not read to its end: {ingested:?}");
    assert!(budget.taken() > 0);
    scraped.bench.shrink();
    assert_eq!(budget.taken(), 0);
    assert!(scraped.ingest("a 1\n", 20).is_ok(), "the next scrape is as good as ever");
}

#[test]
fn a_large_scrape_takes_a_few_times_its_body_and_gives_it_back() {
    let mut scraped = Scraped::default();
    let body = lines(200_000);
    let budget = Budget::new(16 * body.len() as u64);
    for at_ms in [10, 20, 30] {
        let mut share = budget.share();
        assert!(share.cover(body.len()));
        scraped.bench.charge(share);
        let ingested = scraped.ingest(&body, at_ms).unwrap_or_else(|(error, _)| panic!("scrape of {at_ms}: {error}"));
        assert_eq!(ingested.added, if at_ms == 10 { 200_000 } else { 0 });
        let (mut blocks, mut counts) = (0, rosterd_ship::Counts::default());
        scraped.bench.each_block(|block| {
            (blocks, counts) = (blocks + 1, counts.plus(block.counts));
            assert!(block.series.len() < 3 << 20, "no block is large: {}", block.series.len());
        });
        assert_eq!(counts.samples, 200_000);
        assert!(blocks > 3, "{blocks}");
        scraped.bench.shrink();
        assert_eq!(budget.taken(), 0);
        assert!(scraped.bench.block.series.capacity() < 1 << 20, "what it took is given back");
    }
    scraped.bench.begin();
    scraped.bench.failed(&mut scraped.track, 40);
    let mut stale = 0;
    scraped.bench.each_block(|block| {
        stale += block.counts.samples;
        assert!(block.series.len() < 3 << 20, "nor are those of stale markers: {}", block.series.len());
    });
    assert_eq!(stale, 200_000);
    assert!(scraped.track.size() < 200_000 * 16, "{} bytes are remembered", scraped.track.size());
}

#[test]
fn a_series_whose_place_could_not_be_told_is_refused() {
    let mut scraped = Scraped::default();
    scraped.bench.room.series = 10;
    let (error, _) = scraped.ingest("a{b=\"0123456789\"} 1\n", 10).expect_err("it is long");
    assert_eq!(error, IngestError::SeriesSize { limit: 10 });
    assert!(scraped.ingest("a{b=\"0\"} 1\n", 20).is_ok());
    // The same of what relabelling makes of one.
    let relabel = rules("[{source_labels: [b], target_label: b, replacement: $1$1$1$1$1$1$1$1$1$1$1$1}]");
    let mut scraped = Scraped::with(Rules { relabel, ..Rules::default() });
    scraped.bench.room.series = 120;
    let (error, _) = scraped.ingest("a{b=\"0123456789\"} 1\n", 10).expect_err("it is twelve times as long");
    assert_eq!(error, IngestError::SeriesSize { limit: 120 });
    assert!(scraped.ingest("a{b=\"0\"} 1\n", 20).is_ok());
}

#[test]
fn the_sample_limit_counts_what_relabelling_keeps() {
    let relabel = rules("[{source_labels: [__name__], regex: noise, action: drop}]");
    let mut scraped = Scraped::with(Rules { relabel, sample_limit: 2, ..Rules::default() });
    assert_eq!(scraped.good("noise 1\na 1\nb 1\n", 10).0.len(), 2);
    let (error, ingested) = scraped.ingest("a 1\nnoise 1\nb 1\nc 1\nnoise 1\nd 1\n", 20).expect_err("it has four");
    assert_eq!(error, IngestError::SampleLimit { limit: 2 });
    assert_eq!((ingested.scraped, ingested.kept, ingested.added), (6, 4, 0));
    assert!(scraped.block().is_empty(), "what is within the limit is there, but not sent");
    let (found, ingested) = scraped.good("a 1\n", 30);
    assert_eq!((found.len(), ingested.added), (2, 0));
}

#[test]
fn a_target_that_is_always_above_the_limit_adds_no_series_twice() {
    let mut scraped = Scraped::with(Rules { sample_limit: 1, ..Rules::default() });
    let added = |scraped: &mut Scraped, at_ms| scraped.ingest("a 1\nb 1\nc 1\n", at_ms).expect_err("too many").1.added;
    assert_eq!((added(&mut scraped, 10), added(&mut scraped, 20), added(&mut scraped, 30)), (1, 0, 0));
    assert_eq!(scraped.fail(40), ["__name__=a,instance=h:1,job=j stale 40"]);
    assert!(scraped.track.size() < 200);
}

#[test]
fn samples_without_place_in_the_future_count_against_the_limit() {
    let mut scraped = Scraped::with(Rules { sample_limit: 1, ..Rules::default() });
    assert!(scraped.ingest("a 1 9999999\nb 1\n", 10).is_err());
    assert!(scraped.ingest("b 1\nb 2\n", 10).is_ok(), "a series that comes twice does not");
}

#[test]
fn limits_hold_after_relabelling_and_before_external_labels() {
    let relabel = rules("[{regex: long, action: labeldrop}, {target_label: zone, replacement: z}]");
    let external = vec![("cluster".to_owned(), "c".to_owned())];
    let mut scraped = Scraped::with(Rules { relabel, external, label_limit: 4, ..Rules::default() });
    assert!(scraped.ingest("a{long=\"1\"} 1\n", 10).is_ok());
    assert!(scraped.ingest("a{long=\"1\",other=\"2\"} 1\n", 10).is_err());
}

#[test]
fn each_metric_name_is_checked() {
    let mut scraped = Scraped::with(Rules { scheme: NameScheme::Legacy, ..Rules::default() });
    assert!(scraped.ingest("a 1\n", 10).is_ok());
    let (error, ingested) = scraped.ingest("a 1\n{\"b.c\"} 1\n", 20).expect_err("it is no legacy name");
    assert_eq!(error, IngestError::BadName { metric: "b.c".into(), name: "b.c".into() });
    assert_eq!((ingested.scraped, ingested.kept), (2, 1));
}

#[test]
fn a_label_that_is_the_metric_name_is_refused() {
    assert!(Scraped::default().ingest("a{__name__=\"b\"} 1\n", 10).is_err());
}

#[test]
fn a_name_without_characters_is_refused() {
    for body in ["{\"\"} 1\n", "{\"\",a=\"\"} 1\n"] {
        let error = Scraped::default().ingest(body, 10).expect_err("it has no name").0;
        assert_eq!(error, IngestError::NoName, "{body}");
    }
    assert!(Scraped::default().ingest("a{\"\"=\"b\"} 1\n", 10).is_err());
}
