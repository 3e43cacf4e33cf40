//! The configuration's jobs as discovery, the roster and the publications want them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_client::never_fetched;
use rosterd_config::{
    self as config, BrakeSettings, Config, ImpossibleTarget, OutputFormat, ReloadSignal, Rosterd, ScrapeConfig,
};
use rosterd_discovery::{Jobs, ProviderKey};
use rosterd_model::labels::{JOB, METRICS_PATH, PARAM_PREFIX, SCHEME, SCRAPE_INTERVAL, SCRAPE_TIMEOUT};
use rosterd_model::target::{
    ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, CONVERT_CLASSIC_HISTOGRAMS, SCRAPE_NATIVE_HISTOGRAMS, Target, UNIX_SOCKET,
    scrape_url,
};
use rosterd_model::{Names, TargetGroup, bare_url};

use crate::publish::file_sd::{Format, Output};
use crate::publish::templates::{Reload, SignalName, Template};
use crate::roster::brake::{Brake, Confirm};
use crate::roster::target::{Entry, Failure, Workbench, populate};
use crate::roster::{JobSpec, Keeping, Limits};

/// What discovery needs.
pub(crate) fn discovery(config: &Config) -> Jobs {
    config.scrape_configs.iter().map(|job| (job.job_name().into(), job.discovery.clone())).collect()
}

/// What the roster needs; `providers` are those that the manager gives to each job.
pub(crate) fn roster(config: &Config, providers: &BTreeMap<Arc<str>, Vec<ProviderKey>>) -> Vec<JobSpec> {
    let of = |job: &ScrapeConfig| providers.get(job.job_name()).cloned().unwrap_or_default();
    let spec = |job: &ScrapeConfig| JobSpec { keeping: keeping(&config.rosterd, job.job_name()), ..spec(job, of(job)) };
    config.scrape_configs.iter().map(spec).collect()
}

/// Which targets of these groups cannot be targets of a job, or never be reached.
pub(crate) fn impossible(job: &ScrapeConfig, groups: &[TargetGroup]) -> Vec<ImpossibleTarget> {
    let (spec, mut bench, mut names) = (spec(job, Vec::new()), Workbench::default(), Names::new());
    let mut found = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for (target, own) in group.targets.iter().enumerate() {
            bench.labels.reset(own.iter());
            group.labels.iter().for_each(|(name, value)| bench.labels.set_default(name, value));
            bench.labels.sort();
            let (why, is_target) = match populate(&mut bench, &spec, &mut names) {
                Entry::Failed(failure) => match (&*failure, job.relabel.is_empty()) {
                    (Failure::NoAddress, true) => (format!("{failure}: write host:port, or remove it"), false),
                    _ => (failure.to_string(), false),
                },
                Entry::Active(labels) => match never_reached(Target(&labels), job) {
                    Some(why) => (why, true),
                    None => continue,
                },
                Entry::Dropped => continue,
            };
            let why = match job.relabel.is_empty() {
                true => why,
                false => format!("{why}, as the rules leave it (`rosterd relabel --job --explain` shows how)"),
            };
            found.push(ImpossibleTarget { group: index, target, why, is_target });
        }
    }
    found
}

/// Why no scrape of a target ever finds a server.
fn never_reached(target: Target<'_>, job: &ScrapeConfig) -> Option<String> {
    let is_by_socket = target.0.get(UNIX_SOCKET).is_some_and(|path| !path.is_empty());
    let mut url = String::new();
    scrape_url(target, &job.settings.params, &mut url);
    let error = never_fetched(&url).filter(|_| !is_by_socket)?;
    Some(format!("{}: {error}", bare_url(&url)))
}

/// What the publication through templates needs.
pub(super) fn templates(config: &Config) -> Vec<Template> {
    let all = || config.scrape_configs.iter().map(|job| job.job_name().into()).collect();
    let of = |template: &rosterd_config::Template| Template {
        source: template.source.clone(),
        destination: template.destination.clone(),
        jobs: template.jobs.as_ref().map_or_else(all, |jobs| jobs.iter().map(|job| job.as_str().into()).collect()),
        check: template.check.clone(),
        reload: reload(template),
        verify: template.verify.clone(),
        min_interval: template.min_interval.as_std(),
        timeout: template.timeout.as_std(),
    };
    config.rosterd.templates.iter().map(of).collect()
}

fn reload(template: &rosterd_config::Template) -> Reload {
    match template.signal {
        Some(signal) => Reload::Signal {
            signal: match signal {
                ReloadSignal::Hup => SignalName::Hup,
                ReloadSignal::Usr1 => SignalName::Usr1,
                ReloadSignal::Usr2 => SignalName::Usr2,
            },
            pid_file: template.pid_file.clone(),
        },
        None if template.reload.is_empty() => Reload::None,
        None => Reload::Command(template.reload.clone()),
    }
}

/// What the file_sd publication needs.
pub(super) fn outputs(config: &Config) -> Arc<[Output]> {
    let outputs = config.rosterd.file_outputs(config.scrape_configs.iter().map(ScrapeConfig::job_name));
    let outputs = outputs.into_iter().map(|output| Output {
        path: output.path,
        format: match output.format {
            OutputFormat::Json => Format::Json,
            OutputFormat::Yaml => Format::Yaml,
        },
        jobs: output.jobs.into_iter().map(Arc::from).collect(),
    });
    outputs.collect()
}

fn spec(job: &ScrapeConfig, providers: Vec<ProviderKey>) -> JobSpec {
    let settings = &job.settings;
    let (interval, timeout) = (settings.scrape_interval.to_string(), settings.scrape_timeout.to_string());
    JobSpec {
        name: job.job_name().into(),
        rules: job.relabel.clone(),
        defaults: defaults(job, &interval, &timeout),
        params: settings.params.clone(),
        limits: Limits {
            targets: limit(settings.target_limit),
            labels: limit(settings.label_limit),
            label_name_length: limit(settings.label_name_length_limit),
            label_value_length: limit(settings.label_value_length_limit),
            keep_dropped: limit(settings.keep_dropped_targets),
        },
        keeping: Keeping::default(),
        interval,
        timeout,
        providers,
    }
}

/// What of what the sources of a job no longer have stays for a while.
fn keeping(own: &Rosterd, job: &str) -> Keeping {
    let settings = own.jobs.get(job);
    Keeping {
        brake: own.brake.of(settings.and_then(|settings| settings.brake)).map(|settings| brake(&settings)),
        grace: settings.map(|settings| settings.target_removal_grace.as_std()).unwrap_or_default(),
    }
}

/// When removals are held for what they come to in all jobs.
pub(crate) fn agent_brake(own: &Rosterd) -> Option<Brake> {
    let BrakeSettings { agent, .. } = own.brake;
    let all = BrakeSettings { share: agent.share, min_targets: agent.min_targets, ..own.brake };
    agent.enabled.then(|| brake(&all))
}

fn brake(settings: &BrakeSettings) -> Brake {
    Brake {
        share: settings.share.get(),
        min_targets: limit(settings.min_targets),
        window: settings.window.as_std(),
        confirm: match settings.confirm {
            config::Confirm::Reading => Confirm::Reading,
            config::Confirm::After(time) => Confirm::After(time.as_std()),
            config::Confirm::Never => Confirm::Never,
        },
    }
}

/// The labels that Prometheus gives to every discovered target (`PopulateDiscoveredLabels` in `scrape/target.go`).
fn defaults(job: &ScrapeConfig, interval: &str, timeout: &str) -> Vec<(String, String)> {
    let settings = &job.settings;
    let fixed = [
        (JOB, job.job_name()),
        (SCRAPE_INTERVAL, interval),
        (SCRAPE_TIMEOUT, timeout),
        (METRICS_PATH, &settings.metrics_path),
        (SCHEME, &settings.scheme),
        (CONVERT_CLASSIC_HISTOGRAMS, boolean(job.convert_classic_histograms_to_nhcb())),
        (ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, boolean(job.always_scrape_classic_histograms())),
        (SCRAPE_NATIVE_HISTOGRAMS, boolean(job.scrape_native_histograms())),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let params = settings.params.iter().filter_map(|(name, values)| {
        let first = values.first()?;
        Some((format!("{PARAM_PREFIX}{name}"), first.clone()))
    });
    fixed.chain(params).collect()
}

fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn limit(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
