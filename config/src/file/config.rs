//! The whole of a configuration, and how it is shown.

use serde::{Serialize, Serializer};

use super::global::{Global, Runtime};
use super::remote_write::RemoteWrite;
use super::rosterd::Rosterd;
use super::scrape::ScrapeConfig;

/// A configuration that was read, checked, and made independent of the working directory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// What holds for all jobs.
    pub global: Global,
    /// Settings of the Go runtime, which have no effect.
    pub runtime: Runtime,
    /// Files of rules, which have no effect.
    pub rule_files: Vec<String>,
    /// Patterns of files with more jobs.
    pub scrape_config_files: Vec<String>,
    /// All jobs: those of the main file, then those of `scrape_config_files`.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Where samples are sent to.
    pub remote_write: Vec<RemoteWrite>,
    /// rosterd's own settings.
    pub rosterd: Rosterd,
}

impl Config {
    /// Whether rosterd scrapes at all: by default when there is somebody to send to.
    pub fn scrapes(&self) -> bool {
        self.rosterd.scrape.enabled.unwrap_or(!self.remote_write.is_empty())
    }

    /// Why nothing is scraped, if nothing is.
    pub fn why_idle(&self) -> Option<&'static str> {
        match self.rosterd.scrape.enabled {
            _ if self.scrapes() => None,
            Some(false) => Some("rosterd.scrape is false"),
            _ => Some("there is no remote_write"),
        }
    }

    /// A job by its name.
    pub fn job(&self, name: &str) -> Option<&ScrapeConfig> {
        self.scrape_configs.iter().find(|job| job.job_name() == name)
    }

    /// The configuration as YAML, with defaults filled in and secrets hidden, in the order that Prometheus shows it in.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("a configuration is maps with text as keys")
    }
}

/// As the main file would have it: jobs of other files are not shown, and neither are sections that have no effect.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a, R: Serialize> {
            global: &'a Global,
            runtime: &'a Runtime,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            rule_files: &'a [String],
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            scrape_config_files: &'a [String],
            #[serde(skip_serializing_if = "Vec::is_empty")]
            scrape_configs: Vec<&'a ScrapeConfig>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            remote_write: Vec<R>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rosterd: Option<&'a Rosterd>,
        }
        let shown = Shown {
            global: &self.global,
            runtime: &self.runtime,
            rule_files: &self.rule_files,
            scrape_config_files: &self.scrape_config_files,
            scrape_configs: self.scrape_configs.iter().filter(|job| job.in_main_file).collect(),
            remote_write: self.remote_write.iter().map(RemoteWrite::shown).collect(),
            rosterd: (self.rosterd != Rosterd::default()).then_some(&self.rosterd),
        };
        shown.serialize(serializer)
    }
}
