//! What alerts and dashboards read that were made for Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_testkit::{
    Folder, RemoteWriteReceiver, ScriptedServer, Server, Step, WriteAnswer, eventually_ok, leak_checked_live, patience,
};
use rustix::process::Signal;

use super::rosterd;

/// What prometheus-mixin of Prometheus 3.14 reads and an agent has, with the labels that it has besides `job` and `instance`.
const READ: [(&str, &[&str]); 31] = [
    ("prometheus_build_info", &["version"]),
    ("prometheus_config_last_reload_successful", &[]),
    ("prometheus_sd_discovered_targets", &["config", "name"]),
    ("prometheus_sd_refresh_failures_total", &["config", "mechanism"]),
    ("prometheus_target_sync_failed_total", &["scrape_job"]),
    ("prometheus_target_sync_length_seconds_sum", &["scrape_job"]),
    ("prometheus_target_interval_length_seconds_sum", &["interval"]),
    ("prometheus_target_interval_length_seconds_count", &["interval"]),
    ("prometheus_target_scrape_pool_exceeded_target_limit_total", &[]),
    ("prometheus_target_scrape_pool_exceeded_label_limits_total", &[]),
    ("prometheus_target_scrapes_exceeded_body_size_limit_total", &[]),
    ("prometheus_target_scrapes_exceeded_sample_limit_total", &[]),
    ("prometheus_target_scrapes_sample_duplicate_timestamp_total", &[]),
    ("prometheus_target_scrapes_sample_out_of_order_total", &[]),
    ("prometheus_target_scrapes_sample_out_of_bounds_total", &[]),
    ("prometheus_remote_storage_samples_in_total", &[]),
    ("prometheus_remote_storage_samples_total", &["remote_name", "url"]),
    ("prometheus_remote_storage_samples_failed_total", &["remote_name", "url"]),
    ("prometheus_remote_storage_samples_dropped_total", &["reason", "remote_name", "url"]),
    ("prometheus_remote_storage_samples_retried_total", &["remote_name", "url"]),
    ("prometheus_remote_storage_samples_pending", &["remote_name", "url"]),
    ("prometheus_remote_storage_shards", &["remote_name", "url"]),
    ("prometheus_remote_storage_shards_desired", &["remote_name", "url"]),
    ("prometheus_remote_storage_shards_max", &["remote_name", "url"]),
    ("prometheus_remote_storage_shards_min", &["remote_name", "url"]),
    ("prometheus_remote_storage_shard_capacity", &["remote_name", "url"]),
    ("prometheus_remote_storage_queue_highest_timestamp_seconds", &["remote_name", "url"]),
    ("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", &["remote_name", "url"]),
    ("process_start_time_seconds", &[]),
    ("process_resident_memory_bytes", &[]),
    ("process_open_fds", &[]),
];

/// The metrics of a page: each series with its value.
async fn metrics(rosterd: &Server) -> BTreeMap<String, f64> {
    let (_, text) = rosterd.page("/metrics").await.expect("rosterd answers");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| line.rsplit_once(' ').expect("a line ends with a value"));
    values.map(|(series, value)| (series.to_owned(), value.parse().expect("a value is a number"))).collect()
}

/// Waits until all of these are above 0.
async fn until_above_0(rosterd: &Server, series: &[&str]) -> BTreeMap<String, f64> {
    let look = async || {
        let metrics = metrics(rosterd).await;
        let missing: Vec<_> =
            series.iter().filter(|series| metrics.get(**series).is_none_or(|value| *value <= 0.0)).collect();
        match missing.is_empty() {
            true => Ok(metrics),
            false => Err(format!("{missing:?}\n{metrics:#?}\n{}", rosterd.log())),
        }
    };
    eventually_ok(patience(), "all are above 0", look).await
}

const PASSWORD: &str = "hunter2";

fn config(receiver: &RemoteWriteReceiver, target: &ScriptedServer, with_limits: bool) -> String {
    let (address, url) = (target.address(), receiver.url().replace("http://", &format!("http://me:{PASSWORD}@")));
    let limits = format!(
        "- {{job_name: samples, sample_limit: 1, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: labels, label_limit: 1, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: body, body_size_limit: 1B, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: targets, target_limit: 1, static_configs: [{{targets: ['{address}', 'localhost:1']}}]}}\n\
         - {{job_name: none, static_configs: [{{targets: ['{address}']}}],\n    \
              relabel_configs: [{{target_label: __address__, replacement: ''}}]}}\n"
    );
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         rosterd: {{metrics: {{prometheus_names: true}}}}\n\
         remote_write: [{{name: own, url: '{url}', queue_config: {{batch_send_deadline: 100ms}}}}]\n\
         scrape_configs:\n\
         - {{job_name: good, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: away, http_sd_configs: [{{url: 'http://{address}/none', refresh_interval: 1s}}]}}\n{}",
        if with_limits { &limits } else { "" }
    )
}

#[test]
fn the_mixin_of_prometheus_finds_what_it_reads() {
    leak_checked_live(|| async {
        let page = Step::get("/metrics").any_times().reply_header("content-type", "text/plain; version=0.0.4");
        let none = Step::get("/none").any_times().status(500);
        let target = ScriptedServer::start([page.body("a 1\na 2\nb{x=\"1\",y=\"2\"} 1\n"), none]).await;
        let receiver = RemoteWriteReceiver::start().await;
        receiver.then(WriteAnswer::status(400));
        receiver.then(WriteAnswer::status(500));
        let folder = Folder::new();
        folder.write("prometheus.yml", config(&receiver, &target, true));
        let rosterd = rosterd(&folder.path("prometheus.yml"), &[]).await;
        let shown = receiver.url();
        let of = |name: &str| format!("prometheus_remote_storage_{name}{{remote_name=\"own\",url=\"{shown}\"}}");
        let remote = [
            of("samples_total"),
            of("samples_failed_total"),
            of("samples_retried_total"),
            of("shards"),
            of("shards_max"),
            of("shards_min"),
            of("shard_capacity"),
            of("queue_highest_timestamp_seconds"),
            of("queue_highest_sent_timestamp_seconds"),
        ];
        let totals = [
            "prometheus_target_scrape_pool_exceeded_target_limit_total",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        ];
        let others = [
            "prometheus_config_last_reload_successful",
            "prometheus_sd_discovered_targets{config=\"good\",name=\"scrape\"}",
            "prometheus_sd_refresh_failures_total{config=\"away\",mechanism=\"http\"}",
            "prometheus_target_sync_failed_total{scrape_job=\"none\"}",
            "prometheus_target_sync_length_seconds_sum{scrape_job=\"good\"}",
            "prometheus_target_interval_length_seconds_count{interval=\"1s\"}",
            "prometheus_remote_storage_samples_in_total",
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_open_fds",
            "rosterd_scrape_targets_by_health{health=\"up\",job=\"good\"}",
            "rosterd_scrape_targets_by_health{health=\"down\",job=\"samples\"}",
        ];
        let series: Vec<&str> = remote.iter().map(String::as_str).chain(totals).chain(others).collect();
        let before = until_above_0(&rosterd, &series).await;
        for (name, labels) in READ {
            let own: Vec<_> = before.keys().filter(|it| it.split('{').next() == Some(name)).collect();
            assert!(!own.is_empty(), "{name} is not there");
            for series in own {
                let found: BTreeSet<_> = labels_of(series).collect();
                assert!(labels.iter().all(|label| found.contains(label)), "{series} lacks some of {labels:?}");
            }
        }
        assert!(!before.keys().any(|series| series.contains(PASSWORD)), "{before:#?}");
        let joined = before.keys().filter(|series| series.starts_with("rosterd_discovery_provider_jobs{"));
        assert_eq!(joined.clone().count(), 7, "{:?}", joined.collect::<Vec<_>>());

        // Jobs go, and nothing that they have counted does.
        folder.replace("prometheus.yml", config(&receiver, &target, false));
        rosterd.signal(Signal::HUP);
        let gone = async || match metrics(&rosterd).await {
            metrics if metrics.keys().any(|series| series.contains("job=\"samples\"")) => Err(format!("{metrics:#?}")),
            metrics => Ok(metrics),
        };
        let after = eventually_ok(patience(), "the metrics of the job go", gone).await;
        for name in totals {
            assert!(after[name] >= before[name], "{name} fell from {} to {}", before[name], after[name]);
        }
        let joined = after.keys().filter(|series| series.starts_with("rosterd_discovery_provider_jobs{"));
        assert_eq!(joined.clone().count(), 2, "{:?}", joined.collect::<Vec<_>>());
        // Without the setting they are not there.
        let plain = config(&receiver, &target, false).replace("prometheus_names: true", "prometheus_names: false");
        folder.replace("prometheus.yml", plain);
        rosterd.signal(Signal::HUP);
        let plain = async || match metrics(&rosterd).await {
            metrics if metrics.keys().any(|series| series.starts_with("prometheus_")) => Err(rosterd.log()),
            _ => Ok(()),
        };
        eventually_ok(patience(), "Prometheus' names go", plain).await;
    });
}

fn labels_of(series: &str) -> impl Iterator<Item = &str> {
    let labels = series.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    labels.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0))
}
