//! What several subcommands share: the flags that name a configuration, values of flags, what stands in the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rosterd_config::{Config, ConfigErrors, LoadOptions, Loaded};
use rosterd_discovery::Registry;
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
    /// Allow exec_sd_configs, which run commands
    #[arg(long)]
    pub(super) enable_exec_sd: bool,
}

impl ConfigFiles {
    /// Reads the files.
    pub(super) fn load(&self, registry: &Registry) -> Result<Loaded, ConfigErrors> {
        let options = LoadOptions { allow_exec: self.enable_exec_sd, env: &environment };
        Config::load(&self.config_file, self.rosterd_config_file.as_deref(), registry, &options)
    }
}

/// A variable of the environment.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// All variables of the environment that are text.
pub(super) fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
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
