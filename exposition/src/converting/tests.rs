//! Lines of classic histograms, and what is made of them.

use super::*;
use crate::Dialect;

fn read(body: &str, dialect: Dialect, keep_classic: bool) -> Result<Vec<String>, ParseError> {
    let mut parser = ConvertingParser::new(TextParser::new(body.as_bytes(), dialect)?, keep_classic);
    let mut entries = Vec::new();
    while let Some(entry) = parser.next()? {
        entries.push(match entry {
            Entry::Sample(sample) => format!("{}{:?} {}", sample.name, sample.labels, sample.value),
            Entry::Histogram(sample, histogram) => {
                assert_eq!(histogram.schema, Histogram::CUSTOM);
                let at = sample.timestamp_ms.map_or(String::new(), |at_ms| format!(" at {at_ms}"));
                let exemplars: Vec<_> = sample.exemplars.iter().map(|exemplar| exemplar.value).collect();
                format!(
                    "{}{:?} {:?} {:?} count {} sum {}{at} {exemplars:?}",
                    sample.name,
                    sample.labels,
                    histogram.custom_values,
                    histogram.positive_buckets,
                    histogram.count,
                    histogram.sum
                )
            }
            Entry::Type { family, .. } => format!("type {family}"),
            Entry::Help { family, .. } => format!("help {family}"),
            Entry::Unit { family, .. } => format!("unit {family}"),
        });
    }
    Ok(entries)
}

fn converted(body: &str) -> Vec<String> {
    read(body, Dialect::Prometheus, false).unwrap()
}

/// The histogram of a metric `h` with these labels, and 1, 2 and 0 observations in its buckets.
fn lines(labels: &str) -> String {
    let with = |le: &str| match labels {
        "" => format!("{{le=\"{le}\"}}"),
        labels => format!("{{{labels},le=\"{le}\"}}"),
    };
    let rest = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let [one, two, all] = ["0.5", "1", "+Inf"].map(with);
    format!("h_bucket{one} 1\nh_bucket{two} 3\nh_bucket{all} 3\nh_sum{rest} 1.25\nh_count{rest} 3\n")
}

const HISTOGRAM: &str = "[0.5, 1.0] [1.0, 1.0] count 3 sum 1.25 []";

#[test]
fn a_histogram_is_handed_out_before_what_ends_it() {
    let body = format!("# TYPE h histogram\n{}# TYPE other gauge\nother 1\n", lines(""));
    assert_eq!(converted(&body), ["type h", &format!("h{{}} {HISTOGRAM}"), "type other", "other{} 1"]);
    for ending in ["# HELP h x\n", "other 1\n", ""] {
        let body = format!("# TYPE h histogram\n{}{ending}", lines("a=\"b\""));
        assert_eq!(converted(&body)[1], format!("h{{\"a\": \"b\"}} {HISTOGRAM}"), "{ending}");
    }
}

#[test]
fn other_labels_are_another_histogram() {
    let body = format!("# TYPE h histogram\n{}{}{}", lines("a=\"1\""), lines("a=\"2\""), lines(""));
    let found = converted(&body);
    assert_eq!(found.len(), 4);
    assert_eq!(found[2], format!("h{{\"a\": \"2\"}} {HISTOGRAM}"));
    let mixed = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\",b=\"2\"} 2\nh_count{b=\"2\",a=\"1\"} 2\n";
    assert_eq!(converted(mixed).len(), 2, "their order does not matter");
}

#[test]
fn classic_series_may_stay() {
    let body = format!("# TYPE h histogram\n{}other 1\n", lines(""));
    let found = read(&body, Dialect::Prometheus, true).unwrap();
    assert_eq!((found.len(), found[6].as_str(), found[7].as_str()), (8, &*format!("h{{}} {HISTOGRAM}"), "other{} 1"));
}

#[test]
fn only_histograms_of_the_family_are_converted() {
    for body in [
        lines(""),
        format!("# TYPE h counter\n{}", lines("")),
        format!("# TYPE g histogram\n{}", lines("")),
        "# TYPE h histogram\nh_bucket 1\nh_bucket{le=\"x\"} 1\nh_bucket{le=\"NaN\"} 1\nh_other 1\nh 1\n".to_owned(),
    ] {
        let found = converted(&body);
        assert!(found.len() >= 5 && !found.iter().any(|entry| entry.contains("count 3")), "{found:?}");
    }
}

#[test]
fn what_contradicts_itself_is_left_out() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 1\nh_count 3\nother 1\n";
    assert_eq!(converted(body), ["type h", "other{} 1"]);
    let again = format!("# TYPE h histogram\nh_bucket{{a=\"x\",le=\"1\"}} -1\n{}", lines(""));
    assert_eq!(converted(&again), ["type h", &format!("h{{}} {HISTOGRAM}")]);
}

#[test]
fn openmetrics_has_timestamps_exemplars_and_times_of_creation() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 5 # {id=\"a\"} 0.5 4\nh_bucket{le=\"+Inf\"} 2 5 # {} 7\nh_created 3 6\n# EOF\n";
    let found = read(body, Dialect::OpenMetrics, false).unwrap();
    assert_eq!(found, ["type h", "h{} [1.0] [1.0, 0.0] count 2 sum 0 at 5000 [0.5]", "h_created{} 3"]);
    let fault = read("# TYPE h histogram\nh_count 1\n", Dialect::OpenMetrics, false).unwrap_err();
    assert_eq!(fault.place, "line 3, column 1");
}

#[test]
fn its_identity_is_not_that_of_another_series() {
    let body = format!("# TYPE h histogram\n{}{}", lines("a=\"1\""), lines("a=\"2\""));
    let mut parser = ConvertingParser::new(TextParser::new(body.as_bytes(), Dialect::Prometheus).unwrap(), true);
    let mut identities = std::collections::BTreeSet::new();
    while let Some(entry) = parser.next().unwrap() {
        if let Entry::Sample(sample) | Entry::Histogram(sample, _) = entry {
            assert!(identities.insert(sample.identity.to_vec()));
        }
    }
    assert_eq!(identities.len(), 12);
}
