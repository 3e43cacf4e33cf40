//! docs/metrics.md has every metric, with the help text that it is served with.

use std::collections::BTreeMap;

use prometheus::{Registry as Metrics, proto::MetricType};
use rosterd_discovery::{Manager, Registry, System};
use rosterd_testkit::assert_golden;

use crate::pages::{Page, rows};
use crate::sources::{is_word, sources};

/// Whether it is a metric that the sources make themselves: those of the process come from a library.
fn is_made_here(name: &str) -> bool {
    name.starts_with("rosterd_") || name.starts_with("prometheus_")
}

/// Name and help of every metric in the sources: two literals, one after the other.
fn in_sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for text in sources().values() {
        let parts: Vec<&str> = text.split('"').collect();
        for window in parts.windows(3) {
            if is_made_here(window[0]) && is_word(window[0]) && window[1].trim() == "," {
                found.insert(window[0].to_owned(), window[2].to_owned());
            }
        }
    }
    found
}

#[test]
fn every_metric_is_documented_with_its_help() {
    let documented = rows(Page::read("metrics.md").text());
    let documented = documented.into_iter().filter(|(name, _)| is_made_here(name));
    let documented: BTreeMap<_, _> = documented.map(|(name, cells)| (name, cells[2].clone())).collect();
    assert_eq!(documented, in_sources(), "docs/metrics.md does not fit the metrics in the sources");
}

#[test]
fn names_types_labels_and_help_stay_as_they_were_published() {
    let rows = rows(Page::read("metrics.md").text());
    let lines: String = rows.iter().map(|(name, cells)| format!("{name} | {}\n", cells.join(" | "))).collect();
    assert_golden("docs/metrics.golden", &lines);
}

/// Those that have values from the start tell their types themselves.
#[test]
fn the_documented_types_are_those_that_are_served() {
    let metrics = Metrics::new();
    let supervision = rosterd_tasks::Supervision::register(&metrics).unwrap();
    let (updates, _received) = tokio::sync::mpsc::channel(1);
    let manager =
        Manager::new(&Registry::linked().unwrap(), &metrics, System::default(), updates, &supervision).unwrap();
    let roster = rosterd::roster::metrics::Metrics::register(&metrics).unwrap();
    let reconciler = rosterd::reconcile::metrics::Metrics::register(&metrics).unwrap();
    let http = rosterd::api::HttpMetrics::register(&metrics).unwrap();
    metrics.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())).unwrap();
    let rows = rows(Page::read("metrics.md").text());
    let served = metrics.gather();
    assert!(!served.is_empty());
    for family in served {
        let documented =
            rows.get(family.name()).unwrap_or_else(|| panic!("{} is not in docs/metrics.md", family.name()));
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            other => panic!("{}: {other:?}", family.name()),
        };
        assert_eq!(documented[0], kind, "{}", family.name());
    }
    drop((manager, roster, reconciler, http));
}
