//! Which labels a series ends with.

use super::*;

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
fn names_that_only_utf8_allows_are_kept() {
    let found = Scraped::default().good("{\"http.requests\",\"status.code\"=\"200\",path=\"/é\"} 1\n", 5).0;
    assert_eq!(found, ["__name__=http.requests,instance=h:1,job=j,path=/é,status.code=200 1 5"]);
}

#[test]
fn labels_make_way_for_each_other_the_shortest_first() {
    let target = [("exported_a", "t2"), ("a", "t1"), ("job", "j")];
    let mut bench = Bench::default();
    for body in ["m{a=\"1\",exported_a=\"2\"} 1\n", "m{exported_a=\"2\",a=\"1\",x=\"\"} 1\n"] {
        bench.begin();
        let make = || TextParser::new(body.as_bytes(), Dialect::Prometheus);
        bench.ingest(make, &mut Track::default(), &Rules::default(), &target, 5).expect("the scrape is good");
        let mut found = Vec::new();
        each_series(&bench.block.series, |series| {
            found.extend(series.labels().map(|(name, value)| format!("{name}={value}")));
        })
        .expect("the block is good");
        let expected = "__name__=m a=t1 exported_a=t2 exported_exported_a=1 exported_exported_exported_a=2 job=j";
        assert_eq!(found.join(" "), expected);
    }
}

#[test]
fn relabelling_may_take_all_labels_or_make_two_series_one() {
    let relabel = rules("[{source_labels: [__name__], regex: (a|b), target_label: __name__, replacement: c}]");
    let mut scraped = Scraped::with(Rules { relabel, ..Rules::default() });
    for at_ms in [10, 20] {
        let (found, ingested) = scraped.good("a 1\nb 2\nd 3\n", at_ms);
        assert_eq!(
            found,
            [("c", 1), ("d", 3)].map(|(name, value)| format!("__name__={name},instance=h:1,job=j {value} {at_ms}"))
        );
        assert_eq!((ingested.kept, ingested.duplicates), (3, 1));
    }
    assert_eq!(scraped.good("b 2\nd 3\n", 30).0.len(), 2);
    let all = rules("[{regex: .*, action: labeldrop}]");
    let mut scraped = Scraped::with(Rules { relabel: all, ..Rules::default() });
    assert_eq!(scraped.good("a 1\n", 10).1.kept, 0);
}

#[test]
fn known_series_are_counted_as_kept_while_they_are_dropped_or_not() {
    let relabel = rules("[{source_labels: [__name__], regex: a.*, action: keep}]");
    let mut scraped = Scraped::with(Rules { relabel, ..Rules::default() });
    for (body, kept, added) in [("a1 1\n", 1, 1), ("b 1\n", 0, 0), ("b 1\n", 0, 0), ("b 1\na2 1\n", 1, 1)] {
        let (_, ingested) = scraped.good(body, 10);
        assert_eq!((ingested.kept, ingested.added), (kept, added), "{body}");
    }
}
