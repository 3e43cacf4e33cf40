//! What several subcommands share: the flags that name a configuration, values of flags, what stands in the environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use rosterd_client::System;
use rosterd_config::{Config, ConfigErrors, LoadOptions, Loaded, ScrapeConfig};
use rosterd_discovery::Registry;
use rosterd_model::nearest;
use tokio::runtime::{Builder, Runtime};

use super::Error;

/// The files of a configuration.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigFiles {
    /// The configuration, in the format of Prometheus
    #[arg(long = "config.file", value_name = "FILE", default_value = "prometheus.yml")]
    pub(super) config_file: PathBuf,
    /// A file with rosterd's own settings, for a configuration that Prometheus reads too
    #[arg(long = "rosterd.config.file", value_name = "FILE")]
    pub(super) rosterd_config_file: Option<PathBuf>,
    /// Allow commands: exec_sd_configs, and those that kubeconfig files name
    #[arg(long)]
    pub(super) enable_exec_sd: bool,
}

impl ConfigFiles {
    /// This machine, on which commands may be run if the flag says so.
    pub(super) fn system(&self) -> System {
        system().allowing_commands(self.enable_exec_sd)
    }

    /// Reads the files, for who renders no template: whatever one has is never run.
    pub(super) fn load(&self, registry: &Registry) -> Result<Loaded, ConfigErrors> {
        let system = system();
        let env = |name: &str| system.environment().get(name).map(str::to_owned);
        let options = LoadOptions {
            allow_exec: self.enable_exec_sd,
            allow_template_commands: true,
            examine: false,
            impossible: None,
            template: None,
            env: &env,
        };
        Config::load(&self.config_file, self.rosterd_config_file.as_deref(), registry, &options)
    }
}

/// The job of this name, or the one that may have been meant.
pub(super) fn known_job<'c>(config: &'c Config, name: &str) -> Result<&'c ScrapeConfig, Error> {
    let unknown = || {
        let nearest = nearest(name, config.scrape_configs.iter().map(ScrapeConfig::job_name)).map(str::to_owned);
        Error::UnknownJob { job: name.to_owned(), nearest }
    };
    config.scrape_configs.iter().find(|job| job.job_name() == name).ok_or_else(unknown)
}

/// This machine, with all variables of the environment that are text. Nothing below the command line looks for itself.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(super) fn system() -> System {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let environment = std::env::vars_os().filter_map(text).collect();
    System::new(rustix::system::uname().nodename().to_string_lossy(), environment)
}

/// A duration as in the configuration, `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration: rosterd_model::Duration = text.parse().map_err(|error| format!("{error}"))?;
    Ok(duration.into())
}

/// The runtime of whatever discovers.
pub(super) fn multi_thread() -> Result<Runtime, Error> {
    Builder::new_multi_thread().enable_all().build().map_err(|source| Error::Runtime { source })
}
