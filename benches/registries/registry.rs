//! What is discovered by.

use super::consul::{self, Consul};
use super::docker::Docker;
use super::options::{Options, number};
use super::shared::program;

/// Which registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Consul,
    Docker,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Consul, Self::Docker];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::Docker => "docker",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.unwrap_or_else(|| panic!("{name} is none of consul, docker"))
    }

    /// Who knows it: Debian's Prometheus is built without discovery by Consul.
    pub(super) fn programs(self) -> Vec<program::Kind> {
        let mut programs = program::Kind::ALL.to_vec();
        programs.retain(|program| self != Self::Consul || *program != program::Kind::Prometheus);
        programs
    }

    /// How much there is in it: services, or containers.
    pub(super) fn size(self, options: &Options) -> usize {
        match self {
            Self::Consul => options.services,
            Self::Docker => options.containers,
        }
    }

    /// The targets before any change.
    pub(super) fn targets(self, options: &Options) -> usize {
        match self {
            Self::Consul => options.services * consul::INSTANCES,
            Self::Docker => options.containers,
        }
    }

    pub(super) fn title(self, options: &Options) -> String {
        let targets = self.targets(options);
        match self {
            Self::Consul => format!("Consul: {} services with {targets} instances", options.services),
            Self::Docker => format!("A Docker Engine: {targets} containers"),
        }
    }

    /// The configuration of all programs, with their defaults.
    pub(super) fn config(self, place: &str) -> String {
        let section = match self {
            Self::Consul => format!("consul_sd_configs: [{{server: '{place}'}}]"),
            Self::Docker => format!("docker_sd_configs: [{{host: '{place}'}}]"),
        };
        format!("global: {{scrape_interval: 1d}}\nscrape_configs:\n- job_name: found\n  {section}\n")
    }
}

/// One that runs.
pub(super) enum Registry {
    Consul(Consul),
    Docker(Docker),
}

impl Registry {
    /// Starts what an argument says: `consul:2000`.
    pub(super) async fn start(what: &str) -> Self {
        let (name, size) = what.split_once(':').unwrap_or((what, "0"));
        let size = number(what, size);
        match Kind::named(name) {
            Kind::Consul => Self::Consul(Consul::start(size).await),
            Kind::Docker => Self::Docker(Docker::start(size).await),
        }
    }

    /// Where it is, as a configuration says it.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Consul(consul) => consul.place(),
            Self::Docker(docker) => docker.place(),
        }
    }

    /// How many requests came so far.
    pub(super) fn requests(&self) -> usize {
        match self {
            Self::Consul(consul) => consul.requests(),
            Self::Docker(docker) => docker.requests(),
        }
    }

    /// How many connections were made so far.
    pub(super) fn connections(&self) -> usize {
        match self {
            Self::Consul(consul) => consul.connections(),
            Self::Docker(docker) => docker.connections(),
        }
    }

    /// One thing more is there than before.
    pub(super) async fn add(&self) {
        match self {
            Self::Consul(consul) => consul.add(),
            Self::Docker(docker) => docker.add().await,
        }
    }
}
