use std::sync::Arc;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use rosterd_discovery::{ProviderKey, Status};
use rosterd_ship::wire::{Compression, Message};
use rosterd_ship::{Counts, EndpointState};

use super::*;

/// Registers a counter of rosterd and sets it.
fn counts(registry: &Registry, name: &str, labels: &[&str], values: &[(&[&str], u64)]) {
    let counter = IntCounterVec::new(Opts::new(name, "x"), labels).unwrap();
    for (labels, count) in values {
        counter.with_label_values(labels).inc_by(*count);
    }
    registry.register(Box::new(counter)).unwrap();
}

/// Registers a gauge of providers and sets it.
fn of_providers(registry: &Registry, name: &str, values: &[(&[&str], i64)]) {
    let gauge = IntGaugeVec::new(Opts::new(name, "x"), &["mechanism", "provider"]).unwrap();
    values.iter().for_each(|(labels, value)| gauge.with_label_values(labels).set(*value));
    registry.register(Box::new(gauge)).unwrap();
}

/// A provider that has not reported yet.
fn provider(key: &str, jobs: &[&str]) -> ProviderStatus {
    let jobs = jobs.iter().map(|job| Arc::from(*job)).collect();
    let (key, reads) = (ProviderKey::new(key), Arc::default());
    ProviderStatus { key, jobs, reads, status: Status::default(), watches: Vec::new() }
}

fn endpoint() -> EndpointStatus {
    EndpointStatus {
        name: "own".to_owned(),
        url: "http://r/push".to_owned(),
        message: Message::V1,
        compression: Compression::Snappy,
        pending: Counts { series: 9, samples: 7, histograms: 100, exemplars: 100 },
        bytes_in_memory: 0,
        bytes_on_disk: 0,
        disk_failure: None,
        oldest_pending_ms: None,
        lanes: 3,
        capacity: 10_000,
        state: EndpointState::Working,
        last_error: None,
        last_success: None,
        samples_sent: 0,
        samples_rejected: 0,
        samples_dropped: 0,
    }
}

/// The lines of these metrics, without their heads.
fn lines(registry: &Registry, known: &Known<'_>) -> Vec<String> {
    let text = TextEncoder::new().encode_to_string(&translate(&registry.gather(), known)).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn known<'a>(
    build: &'a Build,
    providers: &'a [ProviderStatus],
    totals: &'a Totals,
    endpoints: &'a [EndpointStatus],
) -> Known<'a> {
    Known { build, providers, totals, endpoints }
}

#[test]
fn what_several_jobs_share_counts_as_in_prometheus() {
    let registry = Registry::new();
    let of = |mechanism, provider| -> &[&str] { Box::leak(Box::new([mechanism, provider])) };
    let failures = [(of("http", "http/1"), 2), (of("http", "http/2"), 3), (of("file", "file/1"), 5)];
    counts(&registry, "rosterd_discovery_refresh_failures_total", &["mechanism", "provider"], &failures);
    let targets = [(of("file", "file/1"), 1), (of("http", "http/1"), 10), (of("http", "http/2"), 100)];
    of_providers(&registry, "rosterd_discovery_targets", &targets);
    let providers = [provider("file/1", &["a"]), provider("http/1", &["a", "b"]), provider("http/2", &["a"])];
    let (build, totals) = (Build::of(["abc", "main", "rustc 1"]), Totals::default());
    let lines = lines(&registry, &known(&build, &providers, &totals, &[]));
    for line in [
        r#"prometheus_sd_discovered_targets{config="a",name="scrape"} 111"#,
        r#"prometheus_sd_discovered_targets{config="b",name="scrape"} 10"#,
        r#"prometheus_sd_refresh_failures_total{config="a",mechanism="http"} 5"#,
        r#"prometheus_sd_refresh_failures_total{config="a",mechanism="file"} 5"#,
    ] {
        assert!(lines.iter().any(|known| known == line), "{line} is not in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("failures") && line.contains(r#"config="b""#)), "{lines:#?}");
    let version = env!("CARGO_PKG_VERSION");
    let info =
        format!(r#"prometheus_build_info{{branch="main",goversion="rustc 1",revision="abc",version="{version}"}} 1"#);
    assert_eq!(lines[0], info);
}

#[test]
fn remote_write_counts_float_samples_and_every_try() {
    let registry = Registry::new();
    let by_kind = ["endpoint", "kind"];
    let kinds: [&[&str]; 3] = [&["own", "samples"], &["own", "histograms"], &["other", "samples"]];
    let own = |count| [(kinds[0], count), (kinds[1], 1_000_000), (kinds[2], 2_000_000)];
    counts(&registry, "rosterd_remote_write_sent_items_total", &by_kind, &own(100));
    counts(&registry, "rosterd_remote_write_retried_items_total", &by_kind, &own(20));
    let dropped: Vec<[&str; 3]> =
        ["too_old", "expired", "queue_full", "relabelled", "custom_buckets", "rejected", "invalid", "shutdown"]
            .map(|reason| ["own", "samples", reason])
            .into();
    let dropped: Vec<(&[&str], u64)> =
        dropped.iter().enumerate().map(|(index, labels)| (&labels[..], 1 << index)).collect();
    counts(&registry, "rosterd_remote_write_dropped_items_total", &["endpoint", "kind", "reason"], &dropped);
    let received: [(&[&str], u64); 2] = [(&["samples"], 500), (&["histograms"], 7)];
    counts(&registry, "rosterd_remote_write_received_items_total", &["kind"], &received);
    let (build, totals, endpoints) = (Build::of(["", "", ""]), Totals::default(), [endpoint()]);
    let lines = lines(&registry, &known(&build, &[], &totals, &endpoints));
    let value = |name: &str, reason: &str| {
        let reason = if reason.is_empty() { String::new() } else { format!("reason=\"{reason}\",") };
        let head = format!("prometheus_remote_storage_{name}{{{reason}remote_name=\"own\",url=\"http://r/push\"}} ");
        let found = lines.iter().find_map(|line| line.strip_prefix(&head));
        found.unwrap_or_else(|| panic!("no {head} in {lines:#?}")).to_owned()
    };
    for (name, reason, wanted) in [
        // Rejected is 32, damaged 64, left at the end 128.
        ("samples_total", "", "152"),
        ("samples_failed_total", "", "224"),
        ("samples_retried_total", "", "20"),
        ("samples_dropped_total", "too_old", "1"),
        ("samples_dropped_total", "expired", "2"),
        ("samples_dropped_total", "queue_full", "4"),
        ("samples_dropped_total", "dropped_series", "8"),
        ("samples_pending", "", "7"),
        ("shard_capacity", "", "10000"),
    ] {
        assert_eq!(value(name, reason), wanted, "{name} {reason}");
    }
    assert!(lines.contains(&"prometheus_remote_storage_samples_in_total 500".to_owned()), "{lines:#?}");
}

#[test]
fn times_between_scrapes_stand_under_their_interval_as_go_writes_it() {
    let registry = Registry::new();
    let options = HistogramOpts::new("rosterd_scrape_interval_seconds", "x").buckets(vec![1.0]);
    let histogram = HistogramVec::new(options, &["interval"]).unwrap();
    histogram.with_label_values(&["1m"]).observe(60.5);
    histogram.with_label_values(&["1m"]).observe(59.5);
    registry.register(Box::new(histogram)).unwrap();
    let (build, totals) = (Build::of(["", "", ""]), Totals::default());
    let lines = lines(&registry, &known(&build, &[], &totals, &[]));
    let own: Vec<_> = lines.iter().filter(|line| line.contains("interval_length")).collect();
    assert_eq!(
        own,
        [
            r#"prometheus_target_interval_length_seconds_sum{interval="1m0s"} 120"#,
            r#"prometheus_target_interval_length_seconds_count{interval="1m0s"} 2"#
        ]
    );
    for (own, theirs) in [
        ("15s", "15s"),
        ("500ms", "500ms"),
        ("1500ms", "1.5s"),
        ("1m", "1m0s"),
        ("90s", "1m30s"),
        ("1h", "1h0m0s"),
        ("1d", "24h0m0s"),
        ("61050ms", "1m1.05s"),
    ] {
        assert_eq!(go_duration(own), theirs);
    }
}
