//! Timestamps of the exposition, and series that come twice.

use super::*;

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
    let body = "a 1\na 2\nb 1 3\nb 1 4\n";
    let (found, ingested) = scraped.good(body, 10);
    let of = |what: &str| format!("__name__={what}");
    let [a, b] = ["a,instance=h:1,job=j 1 10", "b,instance=h:1,job=j 1 3"].map(of);
    assert_eq!(found, [a, b, of("b,instance=h:1,job=j 1 4")]);
    assert_eq!((ingested.duplicates, ingested.kept, ingested.added), (1, 4, 2));
    let (found, ingested) = scraped.good(body, 20);
    assert_eq!(found, [of("a,instance=h:1,job=j 1 20")], "what has the same timestamp again is the same sample");
    assert_eq!((ingested.duplicates, ingested.out_of_order, ingested.added), (1, 1, 0));
    assert_eq!(scraped.good("b 1\n", 30).0.len(), 2);
}

#[test]
fn series_that_end_with_the_same_labels_count_once() {
    let mut scraped = Scraped::default();
    for at_ms in [10, 20] {
        let (found, ingested) = scraped.good("a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 2\nd 3\n", at_ms);
        assert_eq!((found.len(), ingested.duplicates, ingested.kept), (2, 1, 3));
    }
    assert_eq!(scraped.good("a{c=\"2\",b=\"1\"} 2\nd 3\n", 30).0.len(), 2, "one of them is still there");
    assert_eq!(scraped.good("d 3\n", 40).0.len(), 2);
}

#[test]
fn samples_older_than_the_last_one_are_left_out() {
    let mut scraped = Scraped::default();
    scraped.good("a 1 100\nb 1 100\n", 1000);
    let (found, ingested) = scraped.good("a 2 99\nb 2 101\n", 2000);
    assert_eq!(found, ["__name__=b,instance=h:1,job=j 2 101"]);
    assert_eq!((ingested.kept, ingested.out_of_order, ingested.added), (2, 1, 0));
    let (found, ingested) = scraped.good("c 1\na 3 100\nb 3 102\n", 3000);
    assert_eq!(found, ["__name__=c,instance=h:1,job=j 1 3000", "__name__=b,instance=h:1,job=j 3 102"]);
    assert_eq!((ingested.out_of_order, ingested.added), (0, 1));
}

#[test]
fn a_tracked_series_whose_sample_is_refused_becomes_stale() {
    let mut scraped = Scraped::with(Rules { track_timestamps_staleness: true, ..Rules::default() });
    scraped.good("a 1 100\nb 1 100\n", 1000);
    assert!(scraped.good("a 1 100\nb 1 100\n", 2000).0.is_empty(), "they are there, and nothing is new");
    let stale = "__name__=a,instance=h:1,job=j stale 3000";
    assert_eq!(scraped.good("a 1 99\nb 1 100\nc 1 100\n", 3000).0[1..], [stale]);
    let mut gone = scraped.good("a 1 101\n", 4000).0.split_off(1);
    gone.sort();
    assert_eq!(gone, ["b", "c"].map(|name| format!("__name__={name},instance=h:1,job=j stale 4000")));
}

#[test]
fn a_series_counts_as_new_when_its_first_sample_is_taken() {
    let mut scraped = Scraped::default();
    let (found, ingested) = scraped.good("a 1 600001\n", 0);
    assert_eq!((found.len(), ingested.added, ingested.out_of_bounds, ingested.kept), (0, 0, 1, 1));
    assert_eq!(scraped.good("a 1 600001\n", 1).1.added, 1);
    assert_eq!(scraped.good("a 1 600002\n", 2).1.added, 0);
}

#[test]
fn a_series_that_begins_to_carry_timestamps_becomes_stale() {
    let mut scraped = Scraped::default();
    scraped.good("a 1\n", 10);
    let (found, ingested) = scraped.good("a 2 15\n", 20);
    assert_eq!(found, ["__name__=a,instance=h:1,job=j 2 15", "__name__=a,instance=h:1,job=j stale 20"]);
    assert_eq!(ingested.added, 0);
}

#[test]
fn a_timestamp_of_zero_is_one() {
    assert_eq!(Scraped::default().good("a 1 0\n", 10).0, ["__name__=a,instance=h:1,job=j 1 0"]);
}

#[test]
fn a_series_that_was_refused_twice_is_not_sent_twice_later() {
    let mut scraped = Scraped::default();
    scraped.good("a 1 4\n", 1000);
    assert_eq!(scraped.good("a 1 3\na 1 3\n", 2000).1.out_of_order, 2);
    assert!(scraped.good("a 1 4\na 1 4\n", 3000).0.is_empty());
    assert_eq!(scraped.good("a 1 5\na 1 5\n", 4000).0.len(), 1);
}

#[test]
fn a_series_that_is_due_may_come_in_another_way() {
    let mut scraped = Scraped::default();
    let of = |value: &str| format!("__name__=a,b=c d,instance=h:1,job=j {value}");
    for (line, expected) in [
        ("a{b=\"c d\"} 1\n", vec![of("1 10")]),
        ("a{b=\"c d\"} 2\n", vec![of("2 10")]),
        ("a{b=\"c d\"}  3\n", vec![of("3 10")]),
        ("a{b=\"c d\"}\t4\n", vec![of("4 10")]),
        ("a{b=\"c d\"} 5", vec![of("5 10")]),
        ("a{b=\"c d\"} 0x", vec![of("stale 10")]),
        ("a{b=\"c d\"} 6 7\n", vec![of("6 7")]),
        ("a{b=\"c d\"} 8\n", vec![of("8 10")]),
        ("a{b=\"c d\"} 9 # {} 1\n", vec![of("stale 10")]),
        ("a{b=\"c 1 \"} 9\n", vec!["__name__=a,b=c 1 ,instance=h:1,job=j 9 10".into()]),
    ] {
        let good = scraped.ingest(line, 10).is_ok();
        assert_eq!(good, expected != [of("stale 10")], "{line}");
        assert_eq!(scraped.block(), expected, "{line}");
    }
}

#[test]
fn series_that_end_with_the_same_labels_at_other_times_are_told_apart_later() {
    let [one, other] = ["a{b=\"1\",c=\"2\"} 1", "a{c=\"2\",b=\"1\"} 1"];
    for first in [format!("{one} 5\n{other} 6\n"), format!("{one} 5\n"), format!("{one} 4\n")] {
        let mut scraped = Scraped::default();
        scraped.good(&format!("{one} 5\n"), 1000);
        scraped.good(&first, 2000);
        scraped.good(&format!("{one} 5\n{other} 6\n"), 3000);
        let (found, ingested) = scraped.good(&format!("{one} 7\n{other} 7\n"), 4000);
        assert_eq!((found.len(), ingested.duplicates), (1, 1), "{first}");
    }
}
