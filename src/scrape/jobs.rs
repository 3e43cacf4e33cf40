//! From the configuration to jobs of the engine and endpoints of remote write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rosterd_client::{Budget, Client, ClientError, Environment, Options, System};
use rosterd_config::{
    Config, EscapingScheme, ProtobufMessage, RemoteWrite, ScrapeConfig, ScrapeProtocol, ScrapeSettings, SigV4,
};
use rosterd_exposition::{Escaping, HistogramLimits, Protocol};
use rosterd_model::relabel::Rules;
use rosterd_model::{Coded, Report};
use rosterd_scrape::{FailureLog, Job, Metrics, Seed, headers, ingest};
use rosterd_ship::Who;
use rosterd_ship::wire::{Compression, Message, Sends};
use rosterd_ship::{
    DiskLimits, EndpointConfig, GoogleConfig, MetadataConfig, QueueConfig, SigV4Config, Wants, give_names,
};
use rosterd_tasks::stopper::Stopper;
use tracing::warn;

use super::entra;
use crate::cluster::Share;

/// Makes jobs, and keeps those that a reload does not change.
#[derive(Debug)]
pub(crate) struct Makers {
    metrics: Metrics,
    stopper: Stopper,
    hostname: String,
    budget: Budget,
    made: BTreeMap<Arc<str>, Made>,
    logs: BTreeMap<PathBuf, FailureLog>,
}

/// A job and all it was made of.
#[derive(Debug)]
struct Made {
    from: From,
    job: Arc<Job>,
}

#[derive(Debug, PartialEq)]
struct From {
    settings: ScrapeSettings,
    relabel: Rules,
    external: Vec<(String, String)>,
    wants: Wants,
    seed: Seed,
    honor_retry_after: Duration,
}

/// How the targets of each job are connected to.
pub(crate) type Clients = BTreeMap<String, Client>;

impl Makers {
    pub(crate) fn new(metrics: Metrics, stopper: Stopper, hostname: String) -> Self {
        let budget = Budget::new(u64::MAX);
        Self { metrics, stopper, hostname, budget, made: BTreeMap::new(), logs: BTreeMap::new() }
    }

    /// Clients for the jobs that are scraped. Fails when the settings of one are of no use; certificates that cannot be
    /// read are told, and may still come.
    pub(crate) fn clients(config: &Config, system: &System) -> Result<Clients, (String, ClientError)> {
        let mut clients = Clients::new();
        for job in scraped(config) {
            let name = job.job_name().to_owned();
            let options = Options { name: name.clone(), gzip: false, system: system.clone(), ..Options::default() };
            let client = Client::unchecked(job.client(), options).map_err(|error| (name.clone(), error))?;
            if let Err(error) = client.check() {
                let report = Report::of(&error);
                warn!(job = name, error = %report, code = error.code(), "scrapes will fail as long as this is so");
            }
            clients.insert(name, client);
        }
        Ok(clients)
    }

    /// The jobs of a configuration, for endpoints that make use of `wants`.
    pub(crate) fn jobs(
        &mut self,
        config: &Config,
        mut clients: Clients,
        wants: Wants,
        share: &Share,
    ) -> BTreeMap<Arc<str>, Arc<Job>> {
        let external: Vec<_> = config.global.external_labels.clone().into_iter().collect();
        let pairs = external.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Among members a target keeps its schedule, whoever scrapes it.
        let host = if share.table().is_some() { &config.rosterd.cluster.name } else { &self.hostname };
        let seed = Seed::new(host, pairs);
        self.budget.set_limit(config.rosterd.scrape.memory_limit.bytes());
        let mut before = std::mem::take(&mut self.made);
        let logs = std::mem::take(&mut self.logs);
        for job in scraped(config) {
            let log = self.log(&job.settings.scrape_failure_log_file, &logs);
            let Some(client) = clients.remove(job.job_name()) else { continue };
            // Which targets there are does not matter here.
            let settings = ScrapeSettings { relabel_configs: Vec::new(), ..job.settings.clone() };
            let from = From {
                settings,
                relabel: job.metric_relabel.clone(),
                external: external.clone(),
                wants,
                seed,
                honor_retry_after: config.rosterd.scrape.honor_retry_after.as_std(),
            };
            let name: Arc<str> = job.job_name().into();
            let made = match before.remove(&name) {
                Some(made) if made.from == from => made,
                _ => Made { job: Arc::new(self.make(job, client, &from, log)), from },
            };
            self.made.insert(name, made);
        }
        self.made.iter().map(|(name, made)| (Arc::clone(name), Arc::clone(&made.job))).collect()
    }

    fn log(&mut self, path: &Path, before: &BTreeMap<PathBuf, FailureLog>) -> Option<FailureLog> {
        if path.as_os_str().is_empty() {
            return None;
        }
        let open = || before.get(path).cloned().unwrap_or_else(|| FailureLog::new(path, &self.metrics, &self.stopper));
        Some(self.logs.entry(path.to_owned()).or_insert_with(open).clone())
    }

    fn make(&self, job: &ScrapeConfig, client: Client, from: &From, log: Option<FailureLog>) -> Job {
        let settings = &job.settings;
        let protocols: Vec<_> = settings.scrape_protocols.iter().flatten().map(|protocol| format(*protocol)).collect();
        let escaping = escaping(settings.metric_name_escaping_scheme.unwrap_or(EscapingScheme::AllowUtf8));
        let body_limit = settings.body_size_limit.bytes();
        Job {
            name: job.job_name().into(),
            client,
            params: settings.params.clone(),
            headers: headers(&protocols, escaping, settings.enable_compression),
            fallback: settings.fallback_scrape_protocol.map(format),
            body_limit: if body_limit == 0 { u64::MAX } else { body_limit },
            budget: self.budget.clone(),
            honor_retry_after: from.honor_retry_after,
            seed: from.seed,
            rules: rules(job, from),
            failure_log: log,
            metrics: self.metrics.job(job.job_name()),
        }
    }
}

fn scraped(config: &Config) -> impl Iterator<Item = &ScrapeConfig> {
    config.scrape_configs.iter().filter(|job| config.scrapes() && job.scrape)
}

fn rules(job: &ScrapeConfig, from: &From) -> ingest::Rules {
    let settings = &job.settings;
    let limit = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    ingest::Rules {
        honor_labels: settings.honor_labels,
        honor_timestamps: settings.honor_timestamps,
        track_timestamps_staleness: settings.track_timestamps_staleness,
        relabel: job.metric_relabel.clone(),
        sample_limit: limit(settings.sample_limit),
        label_limit: limit(settings.label_limit),
        label_name_length_limit: limit(settings.label_name_length_limit),
        label_value_length_limit: limit(settings.label_value_length_limit),
        histograms: HistogramLimits::new(
            limit(settings.native_histogram_bucket_limit),
            settings.native_histogram_min_bucket_factor,
        ),
        scheme: job.name_scheme(),
        external: from.external.clone(),
        extra_metrics: settings.extra_scrape_metrics.unwrap_or_default(),
        wants: from.wants,
    }
}

fn format(protocol: ScrapeProtocol) -> Protocol {
    match protocol {
        ScrapeProtocol::PrometheusProto => Protocol::PrometheusProto,
        ScrapeProtocol::PrometheusText0_0_4 => Protocol::PrometheusText0_0_4,
        ScrapeProtocol::PrometheusText1_0_0 => Protocol::PrometheusText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1 => Protocol::OpenMetricsText0_0_1,
        ScrapeProtocol::OpenMetricsText1_0_0 => Protocol::OpenMetricsText1_0_0,
    }
}

fn escaping(scheme: EscapingScheme) -> Escaping {
    match scheme {
        EscapingScheme::AllowUtf8 => Escaping::AllowUtf8,
        EscapingScheme::Underscores => Escaping::Underscores,
        EscapingScheme::Dots => Escaping::Dots,
        EscapingScheme::Values => Escaping::Values,
    }
}

/// The endpoints of a configuration; `environment` tells where the keys of AWS are.
pub(crate) fn endpoints(config: &Config, environment: &Environment) -> Vec<EndpointConfig> {
    let written = config.remote_write.iter().filter(|_| config.scrapes());
    let mut endpoints: Vec<_> = written.filter_map(|written| endpoint(config, written, environment)).collect();
    give_names(&mut endpoints);
    endpoints
}

fn endpoint(config: &Config, written: &RemoteWrite, environment: &Environment) -> Option<EndpointConfig> {
    let url = written.url.as_ref()?.expose().clone();
    let (compression, disk) = config.rosterd.endpoint(written);
    let (queue, metadata) = (&written.queue_config, &written.metadata_config);
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let lanes = |number: i64| u16::try_from(number).unwrap_or(u16::MAX);
    Some(EndpointConfig {
        name: written.name.clone(),
        named: !written.name.is_empty(),
        client: written.client.clone(),
        headers: written.headers.clone(),
        timeout: written.remote_timeout.as_std(),
        message: match written.protobuf_message {
            ProtobufMessage::V1 => Message::V1,
            ProtobufMessage::V2 => Message::V2,
        },
        compression: match compression {
            rosterd_config::Compression::Snappy => Compression::Snappy,
            rosterd_config::Compression::Zstd => Compression::Zstd,
        },
        rules: written.rules(config.global.name_scheme()),
        sends: Sends { exemplars: written.send_exemplars, native_histograms: written.send_native_histograms },
        queue: QueueConfig {
            capacity: count(queue.capacity),
            max_shards: lanes(queue.max_shards),
            min_shards: lanes(queue.min_shards),
            max_samples_per_send: count(queue.max_samples_per_send),
            batch_send_deadline: queue.batch_send_deadline.as_std(),
            min_backoff: queue.min_backoff.as_std(),
            max_backoff: queue.max_backoff.as_std(),
            retry_on_http_429: queue.retry_on_http_429,
            keep_on: disk.keep_on.clone(),
            sample_age_limit: queue.sample_age_limit.as_std(),
        },
        metadata: MetadataConfig {
            send: metadata.send,
            interval: metadata.send_interval.as_std(),
            max_samples_per_send: count(metadata.max_samples_per_send),
        },
        sigv4: written.sigv4.as_ref().map(signature),
        azuread: written.azuread.as_ref().and_then(|azure| entra::endpoint(azure, environment)),
        google_iam: written.google_iam.as_ref().map(|google| GoogleConfig {
            credentials_file: (!google.credentials_file.as_os_str().is_empty())
                .then(|| google.credentials_file.clone()),
        }),
        round_robin_dns: written.round_robin_dns,
        failed_request_logging: written.failed_request_logging,
        disk: DiskLimits {
            max_bytes: match disk.max_size.bytes() {
                0 => u64::MAX,
                bytes => bytes,
            },
            max_age: disk.max_age.as_std(),
        },
        url,
    })
}

fn signature(written: &SigV4) -> SigV4Config {
    let who = Who {
        region: written.region.clone(),
        access_key: written.access_key.clone(),
        secret_key: written.secret_key.clone(),
        profile: written.profile.clone(),
        role_arn: written.role_arn.clone(),
        external_id: written.external_id.clone(),
        fips_sts: Some(written.use_fips_sts_endpoint),
    };
    SigV4Config { who, service: written.service_name.clone() }
}

#[cfg(test)]
mod tests {
    use rosterd_config::LoadOptions;
    use rosterd_discovery::Registry;
    use rosterd_testkit::{Folder, leak_checked};

    use super::*;

    fn config(text: &str) -> Config {
        let folder = Folder::new();
        let file = folder.write("prometheus.yml", text);
        let options = LoadOptions {
            allow_exec: false,
            allow_template_commands: false,
            examine: false,
            impossible: None,
            template: None,
            env: &|_| None,
        };
        Config::load(&file, None, &Registry::linked().unwrap(), &options).unwrap().config
    }

    fn makers() -> Makers {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        Makers::new(metrics, Stopper::new(), "host".to_owned())
    }

    fn jobs(makers: &mut Makers, text: &str) -> BTreeMap<Arc<str>, Arc<Job>> {
        let config = config(text);
        let clients = Makers::clients(&config, &System::default()).unwrap();
        let share = Share::by(&config.rosterd.cluster, &["a"]).unwrap();
        makers.jobs(&config, clients, Wants::default(), &share)
    }

    const RECEIVER: &str = "remote_write: [{url: 'http://r/w'}]\n";

    #[test]
    fn a_reload_keeps_the_jobs_that_it_does_not_change() {
        leak_checked(|| async {
            let mut makers = makers();
            let text = |a: &str, b: &str| {
                format!("{RECEIVER}scrape_configs: [{{job_name: a, sample_limit: {a}}}, {{job_name: b{b}}}]")
            };
            let before = jobs(&mut makers, &text("1", ""));
            let after = jobs(&mut makers, &text("2", ", relabel_configs: [{target_label: x, replacement: y}]"));
            assert!(!Arc::ptr_eq(&before["a"], &after["a"]));
            assert!(Arc::ptr_eq(&before["b"], &after["b"]), "its rules for targets are not those of its scrapes");
            assert_eq!(after["a"].rules.sample_limit, 2);
            let gone = jobs(&mut makers, &format!("{RECEIVER}scrape_configs: [{{job_name: b}}]"));
            assert_eq!(gone.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
        });
    }

    #[test]
    fn in_a_cluster_schedules_are_the_same_on_each_machine() {
        leak_checked(|| async {
            let seed = |host: &str, own: &str| {
                let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
                let mut makers = Makers::new(metrics, Stopper::new(), host.to_owned());
                // As a reload adds it.
                jobs(&mut makers, &format!("{RECEIVER}scrape_configs: [{{job_name: a}}]"));
                jobs(&mut makers, &format!("{RECEIVER}scrape_configs: [{{job_name: a}}]\n{own}"))["a"].seed
            };
            let cluster = |name: &str| format!("rosterd: {{cluster: {{{name}static: {{members: [a, b]}}}}}}");
            assert_ne!(seed("one", ""), seed("two", ""));
            assert_eq!(seed("one", &cluster("")), seed("two", &cluster("")));
            assert_ne!(seed("one", &cluster("name: eu, ")), seed("one", &cluster("")));
        });
    }

    #[test]
    fn how_long_targets_may_rest_is_up_to_the_configuration() {
        leak_checked(|| async {
            let mut makers = makers();
            let text = |own: &str| format!("{RECEIVER}scrape_configs: [{{job_name: a}}]\n{own}");
            let rests = |jobs: &BTreeMap<Arc<str>, Arc<Job>>| jobs["a"].honor_retry_after;
            assert_eq!(rests(&jobs(&mut makers, &text(""))), Duration::ZERO);
            assert_eq!(rests(&jobs(&mut makers, &text("rosterd: {scrape: true}"))), Duration::ZERO);
            let own = "rosterd: {scrape: {honor_retry_after: 5m}}";
            assert_eq!(rests(&jobs(&mut makers, &text(own))), Duration::from_secs(300));
        });
    }

    #[test]
    fn what_is_scraped_is_what_is_asked_for() {
        leak_checked(|| async {
            let names =
                |text: &str| jobs(&mut makers(), text).into_keys().map(|name| name.to_string()).collect::<Vec<_>>();
            let two = "scrape_configs: [{job_name: a}, {job_name: b}]\n";
            assert!(names(two).is_empty(), "without remote_write nobody waits for samples");
            assert_eq!(names(&format!("{RECEIVER}{two}")), ["a", "b"]);
            assert_eq!(names(&format!("{RECEIVER}{two}rosterd: {{jobs: {{a: {{scrape: false}}}}}}")), ["b"]);
            assert_eq!(names(&format!("{two}rosterd: {{scrape: true}}")), ["a", "b"]);
            let off = format!("{RECEIVER}{two}rosterd: {{scrape: false}}");
            assert!(names(&off).is_empty() && endpoints(&config(&off), &Environment::default()).is_empty());
            assert_eq!(names(&format!("{RECEIVER}{two}rosterd: {{scrape: {{honor_retry_after: 1m}}}}")), ["a", "b"]);
            assert!(names(&format!("{RECEIVER}{two}rosterd: {{scrape: {{enabled: false}}}}")).is_empty());
        });
    }

    #[test]
    fn certificates_may_come_later_and_settings_of_no_use_are_refused() {
        let job = |tls: &str| format!("{RECEIVER}scrape_configs: [{{job_name: a, tls_config: {{{tls}}}}}]");
        assert!(Makers::clients(&config(&job("ca_file: /not/there.pem")), &System::default()).is_ok());
        // Inline certificates are read with the first request, as those in files are.
        let clients = Makers::clients(&config(&job("ca: nonsense")), &System::default()).unwrap();
        assert_eq!(clients["a"].check().unwrap_err().code(), "http_settings");

        let job = format!("{RECEIVER}scrape_configs: [{{job_name: a, proxy_from_environment: true}}]");
        let with = |proxy: &str| {
            let system = System::new("host", [("HTTP_PROXY", proxy)].into_iter().collect());
            Makers::clients(&config(&job), &system).map(|_| ()).map_err(|(name, error)| (name, error.code()))
        };
        assert_eq!(with("proxy:3128"), Ok(()));
        assert_eq!(with("proxy:no-port"), Err(("a".to_owned(), "http_settings")));
    }

    #[test]
    fn a_queue_of_size_0_has_no_limit() {
        let text = "remote_write: [{url: 'http://r/w'}]\nrosterd: {queue: {max_size: 0}}";
        assert_eq!(endpoints(&config(text), &Environment::default())[0].disk.max_bytes, u64::MAX);
    }

    #[test]
    fn endpoints_have_names_of_their_own() {
        let text = "
remote_write:
  - {url: 'https://user:hunter2@h:9/w?x=1', write_relabel_configs: [{action: drop, source_labels: [a]}]}
  - {url: 'https://h:9/w'}
  - {url: 'http://v/w', name: v, protobuf_message: io.prometheus.write.v2.Request}
rosterd: {queue: {max_size: 1MB, keep_on: [401]}, remote_write: {v: {compression: zstd, queue: {max_age: 1h}}}}
";
        let endpoints = endpoints(&config(text), &Environment::default());
        let names: Vec<_> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
        // The first two have an own user or rules; the order in the file is nothing.
        assert!(names[0] != names[1] && names[..2].iter().all(|name| name.starts_with("h:9/w-")), "{names:?}");
        assert_eq!(names[2], "v");
        let of =
            |index: usize| (endpoints[index].message, endpoints[index].compression, endpoints[index].disk.max_bytes);
        assert_eq!(of(0), (Message::V1, Compression::Snappy, 1 << 20));
        assert_eq!(of(2), (Message::V2, Compression::Zstd, 8 << 30));
        assert_eq!(endpoints[2].disk.max_age.as_secs(), 3600);
        // A queue of its own begins with the defaults.
        assert_eq!([0, 2].map(|index: usize| &*endpoints[index].queue.keep_on), [&[401][..], &[]]);
        assert_eq!(endpoints[0].rules.len(), 1);
    }

    #[test]
    fn who_signs_is_as_it_is_written() {
        let signed = |sigv4: &str| {
            let text = format!("remote_write: [{{url: 'http://r/w', sigv4: {{{sigv4}}}}}]");
            endpoints(&config(&text), &Environment::default()).remove(0).sigv4.unwrap()
        };
        let nothing = Who { fips_sts: Some(false), ..Who::default() };
        assert_eq!(signed(""), SigV4Config { who: nothing.clone(), service: String::new() });
        let written = "region: r, access_key: a, secret_key: s, profile: p, role_arn: arn, external_id: e, use_fips_sts_endpoint: true, service_name: n";
        let who = Who {
            region: "r".to_owned(),
            access_key: "a".to_owned(),
            secret_key: "s".into(),
            profile: "p".to_owned(),
            role_arn: "arn".to_owned(),
            external_id: "e".to_owned(),
            fips_sts: Some(true),
        };
        assert_eq!(signed(written), SigV4Config { who, service: "n".to_owned() });
    }
}
