//! The metrics under the names of Prometheus that its mixin reads, made of rosterd's own when somebody asks. Pure.
//!
//! Left out is what an agent does not have: the database, its log and its queries, rules, and notifications.

use std::collections::{BTreeMap, HashMap};

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Summary};
use rosterd_discovery::ProviderStatus;
use rosterd_scrape::Totals;
use rosterd_ship::EndpointStatus;

use crate::api::Build;

/// What is known besides rosterd's own metrics.
pub(super) struct Known<'a> {
    pub(super) build: &'a Build,
    pub(super) providers: &'a [ProviderStatus],
    pub(super) totals: &'a Totals,
    pub(super) endpoints: &'a [EndpointStatus],
}

/// The value of a label by its name.
type Labels<'a> = Vec<(&'a str, String)>;

/// The name of a metric, and its labels.
type Named<'a> = (&'a str, Vec<(&'a str, &'a str)>);

struct Families<'a> {
    own: &'a [MetricFamily],
    /// Counters and gauges by name and labels, which are sorted by name: there are as many as there are providers.
    values: HashMap<Named<'a>, f64>,
    made: Vec<MetricFamily>,
}

/// What an agent has of that, from its own metrics as they were gathered.
pub(super) fn translate(own: &[MetricFamily], known: &Known<'_>) -> Vec<MetricFamily> {
    let mut families = Families { own, values: values(own), made: Vec::new() };
    families.of_agent(known.build);
    families.of_discovery(known.providers);
    families.of_jobs();
    families.of_scrapes(known.totals);
    families.of_remote_write(known.endpoints);
    families.of_lanes(known.endpoints);
    families.made
}

impl Families<'_> {
    fn of_agent(&mut self, build: &Build) {
        let text = |text: &str| text.to_owned();
        let labels = vec![
            ("branch", text(&build.branch)),
            ("goversion", text(&build.go_version)),
            ("revision", text(&build.revision)),
            ("version", text(&build.version)),
        ];
        self.gauge("prometheus_build_info", "1, with what rosterd was built from as labels.", [(labels, 1.0)]);
        let successful = self.value("rosterd_config_last_reload_successful", &[]);
        self.gauge(
            "prometheus_config_last_reload_successful",
            "1 if the configuration was good when it was last read, otherwise 0.",
            [(vec![], successful)],
        );
        let timestamp = self.value("rosterd_config_last_reload_success_timestamp_seconds", &[]);
        self.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read.",
            [(vec![], timestamp)],
        );
    }

    fn of_discovery(&mut self, providers: &[ProviderStatus]) {
        let (mut targets, mut failures) = (BTreeMap::new(), BTreeMap::new());
        for ProviderStatus { key, jobs, .. } in providers {
            let mechanism = key.mechanism();
            let labels = [("mechanism", mechanism), ("provider", key.as_str())];
            // Those that are restored or held count: jobs scrape them.
            let discovered = self.value("rosterd_discovery_targets", &labels);
            for job in jobs {
                *targets.entry(job).or_insert(0.0) += discovered;
            }
            // As in Prometheus, one that several jobs share counts for the first of them.
            if let Some(job) = jobs.first() {
                *failures.entry((job, mechanism)).or_insert(0.0) +=
                    self.value("rosterd_discovery_refresh_failures_total", &labels);
            }
        }
        self.gauge(
            "prometheus_sd_discovered_targets",
            "Targets of a job before relabelling.",
            targets
                .into_iter()
                .map(|(job, count)| (vec![("config", job.to_string()), ("name", "scrape".to_owned())], count)),
        );
        self.counter(
            "prometheus_sd_refresh_failures_total",
            "Reads of the sources of a mechanism that failed.",
            failures.into_iter().map(|((job, mechanism), count)| {
                (vec![("config", job.to_string()), ("mechanism", mechanism.to_owned())], count)
            }),
        );
    }

    fn of_jobs(&mut self) {
        let by_job = |metric: &Metric| vec![("scrape_job", label(metric, "job").to_owned())];
        let failed = self.all("rosterd_roster_target_failures_total");
        let failed: Vec<_> = failed.map(|metric| (by_job(metric), metric.get_counter().get_value())).collect();
        self.counter("prometheus_target_sync_failed_total", "Discovered targets that cannot be targets.", failed);
        self.summary(
            "prometheus_target_sync_length_seconds",
            "How long it took to bring a job's targets up to date.",
            "rosterd_roster_job_update_duration_seconds",
            by_job,
        );
        self.summary(
            "prometheus_target_interval_length_seconds",
            "Time between two scrapes of a target.",
            "rosterd_scrape_interval_seconds",
            |metric| vec![("interval", go_duration(label(metric, "interval")))],
        );
    }

    fn of_scrapes(&mut self, totals: &Totals) {
        let sum =
            |sums: &BTreeMap<String, u64>, key: &str| [(vec![], sums.get(key).copied().unwrap_or_default() as f64)];
        let (ended, left_out) = (|code| sum(&totals.scrapes, code), |reason| sum(&totals.left_out, reason));
        self.counter(
            "prometheus_target_scrape_pool_exceeded_target_limit_total",
            "Scrapes that failed because their job has more targets than its target_limit.",
            ended("scrape_target_limit"),
        );
        self.counter(
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
            "Scrapes that failed because a series exceeds a limit on labels.",
            ended("scrape_label_limit"),
        );
        self.counter(
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "Scrapes that failed because the body reaches body_size_limit.",
            ended("scrape_body_size_limit"),
        );
        self.counter(
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "Scrapes that failed because they have more samples than sample_limit.",
            ended("scrape_sample_limit"),
        );
        self.counter(
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "Samples left out: the series has another value at the same time.",
            left_out("duplicate"),
        );
        self.counter(
            "prometheus_target_scrapes_sample_out_of_order_total",
            "Samples left out: the series has a newer one.",
            left_out("out_of_order"),
        );
        self.counter(
            "prometheus_target_scrapes_sample_out_of_bounds_total",
            "Samples left out: too far in the future.",
            left_out("out_of_bounds"),
        );
    }

    /// What becomes of float samples.
    fn of_remote_write(&mut self, endpoints: &[EndpointStatus]) {
        let received = self.value("rosterd_remote_write_received_items_total", &[("kind", "samples")]);
        self.counter(
            "prometheus_remote_storage_samples_in_total",
            "Samples that scrapes handed over for remote write.",
            [(vec![], received)],
        );
        let (mut sent, mut failed, mut dropped, mut retried) = (vec![], vec![], vec![], vec![]);
        for endpoint in endpoints {
            let of = |name: &str| self.value(name, &[("endpoint", &endpoint.name), ("kind", "samples")]);
            let gone = |reason| {
                let labels = [("endpoint", &*endpoint.name), ("kind", "samples"), ("reason", reason)];
                self.value("rosterd_remote_write_dropped_items_total", &labels)
            };
            let (again, rejected) = (of("rosterd_remote_write_retried_items_total"), gone("rejected"));
            // Each try counts, whatever comes of it.
            sent.push((names(endpoint), of("rosterd_remote_write_sent_items_total") + again + rejected));
            failed.push((names(endpoint), rejected + gone("invalid") + gone("shutdown")));
            retried.push((names(endpoint), again));
            for (theirs, own) in DROPPED {
                let mut labels = names(endpoint);
                labels.insert(0, ("reason", theirs.to_owned()));
                dropped.push((labels, gone(own)));
            }
        }
        self.counter("prometheus_remote_storage_samples_total", "Samples in requests, each time they are sent.", sent);
        self.counter("prometheus_remote_storage_samples_failed_total", "Samples that are lost for good.", failed);
        self.counter(
            "prometheus_remote_storage_samples_dropped_total",
            "Samples that are not sent, by reason.",
            dropped,
        );
        self.counter("prometheus_remote_storage_samples_retried_total", "Samples that have to be sent again.", retried);
    }

    fn of_lanes(&mut self, endpoints: &[EndpointStatus]) {
        let own = |name: &str| -> Vec<_> {
            let value = |it: &EndpointStatus| self.value(name, &[("endpoint", &it.name)]);
            endpoints.iter().map(|endpoint| (names(endpoint), value(endpoint))).collect()
        };
        let lanes = own("rosterd_remote_write_lanes");
        let (most, least) = (own("rosterd_remote_write_lanes_max"), own("rosterd_remote_write_lanes_min"));
        let desired = own("rosterd_remote_write_lanes_desired");
        let queued = own("rosterd_remote_write_highest_timestamp_seconds");
        let sent = own("rosterd_remote_write_highest_sent_timestamp_seconds");
        let pending = endpoints.iter().map(|it| (names(it), f64::from(it.pending.samples)));
        self.gauge(
            "prometheus_remote_storage_samples_pending",
            "Samples in the queue, in memory and on disk.",
            pending,
        );
        let capacity = endpoints.iter().map(|it| (names(it), f64::from(it.capacity)));
        self.gauge(
            "prometheus_remote_storage_shard_capacity",
            "Samples in memory for each shard there can be.",
            capacity,
        );
        self.gauge("prometheus_remote_storage_shards", "Requests that can be under way at once.", lanes);
        self.gauge(
            "prometheus_remote_storage_shards_desired",
            "Shards that the load would need, before limits.",
            desired,
        );
        self.gauge("prometheus_remote_storage_shards_max", "The most shards, from the configuration.", most);
        self.gauge("prometheus_remote_storage_shards_min", "The least shards, from the configuration.", least);
        self.gauge(
            "prometheus_remote_storage_queue_highest_timestamp_seconds",
            "The newest timestamp that was put into the queue.",
            queued,
        );
        self.gauge(
            "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
            "The newest timestamp that the receiver has taken.",
            sent,
        );
    }

    /// All metrics of a family of rosterd.
    fn all(&self, name: &str) -> impl Iterator<Item = &Metric> {
        self.own.iter().filter(move |family| family.name() == name).flat_map(MetricFamily::get_metric)
    }

    /// The value of the one with just these labels; 0 as long as there is none.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        self.values.get(&(name, labels)).copied().unwrap_or(0.0)
    }

    fn counter<'a>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        self.family(name, help, MetricType::COUNTER, values, |metric, value| {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        });
    }

    fn gauge<'a>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        self.family(name, help, MetricType::GAUGE, values, |metric, value| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        });
    }

    /// Sum and count of a histogram, without quantiles.
    fn summary(&mut self, name: &str, help: &str, own: &str, labels: impl Fn(&Metric) -> Labels<'static>) {
        let read = |metric: &Metric| {
            let histogram = metric.get_histogram();
            (labels(metric), (histogram.get_sample_sum(), histogram.get_sample_count()))
        };
        let values: Vec<_> = self.all(own).map(read).collect();
        self.family(name, help, MetricType::SUMMARY, values, |metric, (sum, count)| {
            let mut summary = Summary::default();
            summary.set_sample_sum(sum);
            summary.set_sample_count(count);
            metric.set_summary(summary);
        });
    }

    fn family<'a, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (Labels<'a>, V)>,
        set: impl Fn(&mut Metric, V),
    ) {
        let metrics = values.into_iter().map(|(labels, value)| {
            let pairs = labels.into_iter().map(|(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.to_owned());
                pair.set_value(value);
                pair
            });
            let mut metric = Metric::from_label(pairs.collect());
            set(&mut metric, value);
            metric
        });
        let metrics: Vec<_> = metrics.collect();
        // The text format has no family without metrics.
        if !metrics.is_empty() {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family.set_metric(metrics);
            self.made.push(family);
        }
    }
}

/// Reasons for which samples are not sent: Prometheus' word, if it has one, and ours.
const DROPPED: [(&str, &str); 4] =
    [("dropped_series", "relabelled"), ("expired", "expired"), ("queue_full", "queue_full"), ("too_old", "too_old")];

fn values(own: &[MetricFamily]) -> HashMap<Named<'_>, f64> {
    let simple = own.iter().filter(|it| matches!(it.get_field_type(), MetricType::COUNTER | MetricType::GAUGE));
    let metrics = simple.flat_map(|family| family.get_metric().iter().map(|metric| (family.name(), metric)));
    let valued = metrics.map(|(name, metric)| {
        let mut labels: Vec<_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
        labels.sort_unstable();
        ((name, labels), metric.get_counter().get_value() + metric.get_gauge().get_value())
    });
    valued.collect()
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", LabelPair::value)
}

/// How Prometheus names an endpoint. Its URL is shown without user and password.
fn names(endpoint: &EndpointStatus) -> Labels<'static> {
    vec![("remote_name", endpoint.name.clone()), ("url", endpoint.url.clone())]
}

/// A duration as Go writes it: `1m0s`.
fn go_duration(text: &str) -> String {
    let Ok(duration) = text.parse::<rosterd_model::Duration>() else { return text.to_owned() };
    let duration = duration.as_std();
    let (all, milliseconds) = (duration.as_secs(), duration.subsec_millis());
    if all == 0 && milliseconds > 0 {
        return format!("{milliseconds}ms");
    }
    let seconds = format!("{}.{milliseconds:03}", all % 60);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (all / 3600, all / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests;
