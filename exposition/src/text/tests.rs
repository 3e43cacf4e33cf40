//! Both text formats, case by case, and what no input may do.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// All entries as lines, or the fault.
fn read(body: impl AsRef<[u8]>, dialect: Dialect) -> std::result::Result<Vec<String>, String> {
    let body = body.as_ref();
    let mut parser = TextParser::new(body, dialect).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    while let Some(entry) = parser.next().map_err(|error| error.to_string())? {
        lines.push(match entry {
            Entry::Type { family, kind } => format!("type {family} {}", kind.as_str()),
            Entry::Help { family, help } => format!("help {family} {help:?}"),
            Entry::Unit { family, unit } => format!("unit {family} {unit}"),
            Entry::Sample(sample) => {
                let exemplar = sample.exemplars.iter().next().map_or(String::new(), |found| {
                    format!(" # {:?} {} {:?}", found.labels, found.value, found.timestamp_ms)
                });
                assert!(memchr::memmem::find(body, sample.identity).is_some());
                format!("{}{:?} {} {:?}{exemplar}", sample.name, sample.labels, sample.value, sample.timestamp_ms)
            }
            Entry::Histogram(..) => unreachable!("the text formats have none"),
        });
    }
    Ok(lines)
}

fn good(body: &str, dialect: Dialect, expected: &[&str]) {
    assert_eq!(
        read(body, dialect).as_deref(),
        Ok(expected.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>().as_slice())
    );
}

fn bad(body: &str, dialect: Dialect, expected: &str) {
    let found = read(body, dialect).expect_err(body);
    assert_eq!(found, expected, "{body}");
}

use Dialect::{OpenMetrics, Prometheus};

#[test]
fn a_body_of_the_prometheus_format() {
    good(
        "# HELP up Is it\\nup \\\\ \\\"?\n# TYPE up gauge\n\n# a comment\nup 1\n  up { a = \"b\" , } 2.5 1700000000000\nup{a=\"x\\\"y\\n\\\\\\z\"} NaN\nlast -Inf",
        Prometheus,
        &[
            r#"help up "Is it\nup \\ \\\"?""#,
            "type up gauge",
            "up{} 1 None",
            r#"up{"a": "b"} 2.5 Some(1700000000000)"#,
            r#"up{"a": "x\"y\n\\\\z"} NaN None"#,
            "last{} -inf None",
        ],
    );
}

#[test]
fn quoted_names() {
    let expected = &[r#"my.metric{"l.a": "x", "b": "y"} 3 None"#, r#"qu"ote{} 1 None"#];
    good("{\"my.metric\",\"l.a\"=\"x\",b=\"y\"} 3\n{\"qu\\\"ote\"} 1\n", Prometheus, expected);
    good("{\"my.metric\",\"l.a\"=\"x\",b=\"y\"} 3\n{\"qu\\\"ote\"} 1\n# EOF\n", OpenMetrics, expected);
    good("# HELP \"a\nb\" c\n", Prometheus, &["help a\nb \"c\""]);
    good("# TYPE \"my.metric\" counter\n", Prometheus, &["type my.metric counter"]);
}

#[test]
fn bounds_are_written_in_one_way() {
    good(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"0.50\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"1000000\"} 1\nh_bucket{le=\"-0\"} 1\nh_bucket{le=\"0x1p3\"} 1\nh_bucket{le=\"0x8\"} 1\n# TYPE s summary\ns{quantile=\"0x1p-1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n",
        Prometheus,
        &[
            "type h histogram",
            r#"h_bucket{"le": "1.0"} 1 None"#,
            r#"h_bucket{"le": "0.5"} 1 None"#,
            r#"h_bucket{"le": "+Inf"} 1 None"#,
            r#"h_bucket{"le": "1e+06"} 1 None"#,
            r#"h_bucket{"le": "0.0"} 1 None"#,
            r#"h_bucket{"le": "8.0"} 1 None"#,
            r#"h_bucket{"le": "0x8"} 1 None"#,
            "type s summary",
            r#"s{"quantile": "0.5"} 1 None"#,
            "type g gauge",
            r#"g{"le": "1"} 1 None"#,
        ],
    );
}

#[test]
fn a_body_of_openmetrics() {
    good(
        "# HELP a_seconds Say \\\"hi\\\"\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total{b=\"c\"} 1 1.5 # {id=\"7\"} 0.5 2.25\na_seconds_total 2 # {} 3\na_seconds_created 1e9\n# EOF",
        OpenMetrics,
        &[
            r#"help a_seconds "Say \"hi\"""#,
            "type a_seconds counter",
            "unit a_seconds seconds",
            r#"a_seconds_total{"b": "c"} 1 Some(1500) # {"id": "7"} 0.5 Some(2250)"#,
            "a_seconds_total{} 2 None # {} 3 None",
            "a_seconds_created{} 1000000000 None",
        ],
    );
}

#[test]
fn faults_of_the_prometheus_format_say_where() {
    for (body, expected) in [
        ("a 1\nb x\n", "line 2, column 3: expected a value, found \"x\""),
        ("a\n", "line 1, column 2: expected a value, found the end of the line"),
        ("a{b=\"c} 1\n", "line 1, column 5: this string has no end"),
        ("a{b=\"c\\\nd\"} 1\n", "line 1, column 7: a backslash cannot stand before the end of a line"),
        ("a{b=c} 1\n", "line 1, column 5: expected a label value in quotes, found 'c'"),
        ("a{,} 1\n", "line 1, column 3: expected a label name or }, found ','"),
        ("a{b:c=\"d\"} 1\n", "line 1, column 4: expected =, found ':'"),
        ("{a=\"b\"} 1\n", "line 1, column 8: this series has no name"),
        ("a{\"b\"} 1\n", "line 1, column 6: the metric name is there already"),
        ("a 1 -5\n", "line 1, column 5: expected a timestamp in milliseconds, found \"-5\""),
        ("a 1 5 6\n", "line 1, column 7: expected the end of the line, found '6'"),
        ("# TYPE a thing\n", "line 1, column 10: invalid metric type \"thing\""),
        ("# HELP 1 x\n", "line 1, column 8: expected a metric name, found '1'"),
        ("# HELP aé\n", "line 1, column 9: expected a space and a text, found 'é'"),
        ("é 1\n", "line 1, column 1: expected a metric name, { or #, found 'é'"),
        ("a 1e999\n", "line 1, column 3: expected a value, found \"1e999\""),
    ] {
        bad(body, Prometheus, expected);
    }
}

#[test]
fn comments_may_have_any_bytes_and_nothing_else_may() {
    let body = b"a{x=\"1\"} 1\n# caf\xe9\n\xc3\xa9".as_slice();
    assert_eq!(
        read(body, Prometheus),
        Err("line 3, column 1: expected a metric name, { or #, found '\u{e9}'".to_owned())
    );
    let body = b"#\xe9\na{x=\"1\"} 1 5\n \t#\xff HELP \n# \xff\n# HELPa \xff\na{x=\"2\"} 2\n#TYPE a \xe9";
    assert_eq!(
        read(body, Prometheus).as_deref(),
        Ok(&[r#"a{"x": "1"} 1 Some(5)"#.to_owned(), r#"a{"x": "2"} 2 None"#.to_owned()][..])
    );
    for (body, dialect, fault) in [
        (b"# \xff\na 1\nb{c=\"\xff\"} 1\n".as_slice(), Prometheus, "line 3, column 6: invalid UTF-8"),
        (b"a{b=\"\n# \xff\"} 1\n", Prometheus, "line 1, column 5: this string has no end"),
        (b"a 1\xff\n", Prometheus, "line 1, column 4: invalid UTF-8"),
        (b"{\"\xff\"} 1\n", Prometheus, "line 1, column 3: invalid UTF-8"),
        (b"\t# \tHELP a \xff\n", Prometheus, "line 1, column 12: invalid UTF-8"),
        (b"#\xff\n# TYPE\t\xff\n", Prometheus, "line 2, column 8: invalid UTF-8"),
        (b"#\xff\n#\xff\nb\n", Prometheus, "line 3, column 2: expected a value, found the end of the line"),
        (b"# HELP a \xff\n# EOF\n", OpenMetrics, "line 1, column 10: invalid UTF-8"),
        (b"# \xff\n# EOF\n", OpenMetrics, "line 1, column 3: invalid UTF-8"),
        (b"a 1\n# EOF\n\xff", OpenMetrics, "line 3, column 1: invalid UTF-8"),
    ] {
        assert_eq!(read(body, dialect), Err(fault.to_owned()), "{}", body.escape_ascii());
    }
    // What stands before the fault is read.
    let mut parser = TextParser::new(b"a 1\nb \xff\n", Prometheus).unwrap();
    assert!(matches!(parser.next(), Ok(Some(Entry::Sample(_)))));
    assert!(parser.next().is_err());
}

#[test]
fn faults_of_openmetrics_say_where() {
    for (body, expected) in [
        ("a 1\n", "line 2, column 1: data does not end with # EOF"),
        ("a 1", "line 1, column 4: data does not end with # EOF"),
        ("", "line 1, column 1: data does not end with # EOF"),
        ("# EOF\na 1\n", "line 2, column 1: there is more after # EOF"),
        ("\n# EOF\n", "line 1, column 1: expected a metric name, { or #, found the end of the line"),
        ("a  1\n# EOF\n", "line 1, column 3: expected a value, found \"\""),
        ("a{b=\"c\" ,d=\"e\"} 1\n# EOF\n", "line 1, column 8: expected , or }, found ' '"),
        ("# UNIT a seconds\n# EOF\n", "line 1, column 10: unit \"seconds\" is not a suffix of metric \"a\""),
        ("# TYPE a untyped\n# EOF\n", "line 1, column 10: invalid metric type \"untyped\""),
        ("a 1 \n# EOF\n", "line 1, column 5: expected a timestamp in seconds, found the end of the line"),
        ("a 1 2 \n# EOF\n", "line 1, column 7: expected an exemplar, found the end of the line"),
        ("a 1 # {} 2 \n# EOF\n", "line 1, column 12: expected a timestamp in seconds, found the end of the line"),
        ("a 1 # {}2\n# EOF\n", "line 1, column 9: expected a space and the value of the exemplar, found '2'"),
        (
            "# HELP a\n# EOF\n",
            "line 1, column 9: expected a space, a text and the end of the line, found the end of the line",
        ),
        ("{\"a\0b\"} 1\n# EOF\n", "line 1, column 4: this name has a NUL"),
        ("a 1 NaN\n# EOF\n", "line 1, column 5: this timestamp is not finite"),
        ("a{b=\"c\nd\"} 1\n# EOF\n", "line 1, column 5: this string has no end on its line"),
    ] {
        bad(body, OpenMetrics, expected);
    }
}

#[test]
fn a_series_that_is_due_is_not_looked_at() {
    let mut asked = Vec::new();
    let mut read = |body: &str, dialect, length| {
        let mut parser = TextParser::new(body.as_bytes(), dialect).unwrap();
        let entry = parser.next_due(length, |series| {
            asked.push(String::from_utf8(series.to_vec()).unwrap());
            series.starts_with(b"a{b")
        });
        match entry.unwrap() {
            Some(Entry::Sample(sample)) => {
                format!("{:?} {} {}", sample.name, sample.value, sample.exemplars.iter().count())
            }
            other => panic!("a sample is due, and not {other:?}"),
        }
    };
    assert_eq!(read("a{b=\"c\"} 1\n", Prometheus, 8), "\"\" 1 0");
    assert_eq!(read("a{b=\"c\"} 1 5\n", Prometheus, 8), "\"a\" 1 0", "it has a timestamp");
    assert_eq!(read("a{b=\"c\"} 1 # {} 2\n# EOF\n", OpenMetrics, 8), "\"\" 1 1");
    assert_eq!(read("a{b=\"c 1\"} 1\n", Prometheus, 6), "\"a\" 1 0", "no number follows");
    assert_eq!(read("bc 1\n", Prometheus, 2), "\"bc\" 1 0");
    assert_eq!(read("bc 1\n", Prometheus, 200), "\"bc\" 1 0");
    assert_eq!(asked, ["a{b=\"c\"}", "a{b=\"c\"}", "bc"]);
}

#[test]
fn names_that_stay_are_told() {
    let stay = |body: &str, keep: bool| {
        let text = TextParser::new(body.as_bytes(), Prometheus).unwrap();
        let mut parser = crate::ConvertingParser::new(text, true);
        let mut plain = TextParser::new(body.as_bytes(), Prometheus).unwrap();
        let mut told = Vec::new();
        while let Some(entry) = if keep { parser.next() } else { plain.next() }.unwrap() {
            if let Entry::Sample(sample) = entry {
                told.push(sample.labels.names_stay());
            }
        }
        told
    };
    let body = "a{b=\"1\"} 1\n# HELP c d\nc{b=\"2\"} 1\nc{b=\"2\",d=\"3\"} 1\nc{b=\"4\"} 1\nd  1\ne 1\ne 1\ne{ b=\"1\"} 1\ne 1\nlonger than eight bytes 1\n";
    let body = body.replace("longer than eight bytes", "longer_than_eight_bytes");
    assert_eq!(stay(&body, false), [false, true, false, false, false, false, true, false, false, true]);
    assert!(!stay(&body, true).contains(&true), "lines between may be left out");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn series() -> impl Strategy<Value = (String, Vec<(String, String)>, f64)> {
    let name = "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}";
    let label = ("[a-zA-Z_][a-zA-Z0-9_]{0,5}", any::<String>());
    (name, prop::collection::vec(label, 0..4), any::<f64>().prop_filter("finite", |value| value.is_finite()))
}

fn all_ways(body: &[u8]) {
    for dialect in [Prometheus, OpenMetrics] {
        crate::fuzzing::text(body, dialect);
    }
}

/// What fuzzing begins with.
const CORPUS: [(&str, Dialect, usize); 2] = [
    (include_str!("../../../testdata/exposition/plain.txt"), Prometheus, 11),
    (include_str!("../../../testdata/exposition/openmetrics.txt"), OpenMetrics, 12),
];

#[test]
fn the_corpus_is_well_formed() {
    for (body, dialect, entries) in CORPUS {
        assert_eq!(read(body, dialect).map(|lines| lines.len()), Ok(entries), "{body}");
    }
}

#[test]
fn no_prefix_and_no_changed_byte_of_the_corpus_panics() {
    for (body, ..) in CORPUS {
        for at in 0..body.len() {
            all_ways(&body.as_bytes()[..at]);
            for byte in *b"\0\n \"\\{}=,#1a\xff" {
                let mut changed = body.as_bytes().to_vec();
                changed[at] = byte;
                all_ways(&changed);
            }
        }
    }
}

/// A value, good or bad, and perhaps a timestamp.
fn number() -> impl Strategy<Value = String> {
    "[+-]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?( [0-9]{1,19})?|NaN|[+-]Inf"
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in prop::collection::vec(series(), 0..8)) {
        let mut body = String::new();
        for (name, labels, value) in &all {
            let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            body.push_str(&format!("{name}{{{}}} {value}\n", labels.join(",")));
        }
        for dialect in [Prometheus, OpenMetrics] {
            if dialect == OpenMetrics {
                body.push_str("# EOF\n");
            }
            let mut parser = TextParser::new(body.as_bytes(), dialect).expect("it is UTF-8");
            for (name, labels, value) in &all {
                let Some(Entry::Sample(sample)) = parser.next().expect("it is good") else { panic!("a sample is missing") };
                prop_assert_eq!((sample.name, sample.value), (name.as_str(), *value));
                let found: Vec<_> = sample.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                prop_assert_eq!(&found, labels);
            }
            prop_assert_eq!(parser.next(), Ok(None));
        }
    }

    /// A tab ends the short way through a line, and means the same as a space.
    #[test]
    fn the_short_way_reads_what_the_grammar_reads(all in prop::collection::vec((series(), number()), 0..8)) {
        let (mut short, mut long) = (String::from("# TYPE a histogram\n"), String::from("#\tTYPE a histogram\n"));
        for ((name, labels, _), value) in &all {
            let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            writeln!(short, "{name}{labels} {value}").expect("memory takes it");
            writeln!(long, "{name}{labels}\t{value}").expect("memory takes it");
        }
        let (short, long) = (read(&short, Prometheus), read(&long, Prometheus));
        prop_assert_eq!(short.map_err(|_| ()), long.map_err(|_| ()));
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        all_ways(&body);
    }

    #[test]
    fn nothing_that_looks_like_an_exposition_panics(body in r#"([a-c]|é|\{|\}|"|\\|=|,| |\t|\n|#|# (HELP|TYPE|UNIT|EOF)|1|\.|le|counter){0,60}"#) {
        all_ways(body.as_bytes());
    }
}
