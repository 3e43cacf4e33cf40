//! What the metrics of providers show, and for how long.

use super::*;

/// The samples of a metric of counters and gauges, by the labels that tell them apart.
fn samples(setup: &Setup, name: &str) -> Vec<(String, f64)> {
    let families = setup.registry.gather().into_iter().filter(|family| family.name() == name);
    let sample = |metric: prometheus::proto::Metric| {
        let label = |label: &&prometheus::proto::LabelPair| label.name() == "job";
        let job = metric.get_label().iter().find(label).map(|label| label.value().to_owned()).unwrap_or_default();
        (job, metric.get_counter().get_value() + metric.get_gauge().get_value())
    };
    families.flat_map(|mut family| family.take_metric()).map(sample).collect()
}

#[test]
fn a_provider_has_metrics_from_its_start_to_its_end() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config]), ("two", &[&config])]).await;
        let one = |count: f64| vec![(String::new(), count)];
        assert_eq!(samples(&setup, "rosterd_discovery_restarts_total"), one(0.0), "a zero is shown");
        failed_then_rebuilt(&probe, async || probe.fail(Retry::Backoff).await).await;
        assert_eq!(samples(&setup, "rosterd_discovery_restarts_total"), one(1.0));
        let jobs = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1.0)).collect::<Vec<_>>();
        assert_eq!(samples(&setup, "rosterd_discovery_provider_jobs"), jobs(&["one", "two"]));
        setup.apply(&[("two", &[&config]), ("three", &[&config])]).await;
        assert_eq!(samples(&setup, "rosterd_discovery_provider_jobs"), jobs(&["three", "two"]));

        probe.wait_runs(2).await;
        probe.ignore_stop();
        let late = setup.apply(&[]).await.stragglers.len();
        for gone in ["provider_jobs", "restarts_total", "updates_received_total", "last_success_timestamp_seconds"] {
            assert_eq!(samples(&setup, &format!("rosterd_discovery_{gone}")), [], "{gone}");
        }
        assert_eq!(samples(&setup, "rosterd_discovery_providers"), one(0.0));
        assert!(late > 0);
        assert_eq!(samples(&setup, "rosterd_discovery_stragglers_total"), one(late as f64));
        setup.end().await;
    });
}
