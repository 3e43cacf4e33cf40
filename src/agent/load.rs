//! Reads and checks the configuration, away from the threads that run tasks: files may be slow, and large.

use std::path::PathBuf;

use rosterd_client::System;
use rosterd_config::{Config, LoadOptions, Loaded};
use rosterd_discovery::Registry;
use rosterd_tasks::{Guard, Supervision, blocking};

use super::{AgentError, Options};

/// How the configuration is read.
#[derive(Debug, Clone)]
pub(super) struct Loader {
    config_file: PathBuf,
    rosterd_config_file: Option<PathBuf>,
    mechanisms: Registry,
    system: System,
    allow_template_commands: bool,
    guard: Guard,
}

impl Loader {
    pub(super) fn new(options: &Options, supervision: &Supervision) -> Self {
        Self {
            config_file: options.config_file.clone(),
            rosterd_config_file: options.rosterd_config_file.clone(),
            mechanisms: options.mechanisms.clone(),
            system: options.system.clone(),
            allow_template_commands: options.allow_template_commands,
            guard: supervision.guard("configuration"),
        }
    }

    /// Reads it. Fails when it is not good, and when a mechanism panics on it.
    pub(super) async fn load(&self) -> Result<Loaded, AgentError> {
        let this = self.clone();
        let read = self.guard.run(&"configuration", blocking(move || this.read())).await;
        read.unwrap_or_else(|panicked| {
            Err(AgentError::ConfigPanicked { path: self.config_file.clone(), message: panicked.0 })
        })
    }

    fn read(&self) -> Result<Loaded, AgentError> {
        let env = |name: &str| self.system.environment().get(name).map(str::to_owned);
        let load = LoadOptions {
            allow_exec: self.system.allows_commands(),
            allow_template_commands: self.allow_template_commands,
            examine: false,
            impossible: None,
            template: None,
            env: &env,
        };
        Config::load(&self.config_file, self.rosterd_config_file.as_deref(), &self.mechanisms, &load)
            .map_err(|source| AgentError::Config { path: self.config_file.clone(), source })
    }
}
