//! What a configuration changes of the one that is in use, in words. Pure.

use std::collections::BTreeMap;

use rosterd_config::{Config, ScrapeConfig};
use serde::Serialize;

use crate::api::words::few;

/// The configuration in use, as far as changes of it are told: hashes of its parts.
#[derive(Debug, Default)]
pub(super) struct InUse {
    jobs: Option<BTreeMap<String, u64>>,
    rest: u64,
}

/// What is said where all that is shown is as it was: secrets are not.
const NOTHING: &str = "nothing that is shown changed, settings that are not shown may have";

impl InUse {
    /// Takes another one into use. Returns what that changes.
    pub(super) fn take(&mut self, config: &Config) -> String {
        let of_job = |job: &ScrapeConfig| (job.job_name().to_owned(), hash(job));
        let jobs: BTreeMap<_, _> = config.scrape_configs.iter().map(of_job).collect();
        let rest = hash(&(&config.global, &config.remote_write, &config.rosterd));
        let other = std::mem::replace(&mut self.rest, rest) != rest;
        let Some(before) = self.jobs.replace(jobs) else {
            return format!("jobs: {}", self.jobs.as_ref().map_or(0, BTreeMap::len));
        };
        let jobs = self.jobs.as_ref().unwrap_or(&before);
        let added = jobs.keys().filter(|job| !before.contains_key(*job));
        let removed = before.keys().filter(|job| !jobs.contains_key(*job));
        let changed = jobs.iter().filter(|(job, hash)| before.get(*job).is_some_and(|known| known != *hash));
        let mut told: Vec<String> = [
            ("added", added.collect::<Vec<_>>()),
            ("changed", changed.map(|(job, _)| job).collect()),
            ("removed", removed.collect()),
        ]
        .into_iter()
        .filter(|(_, jobs)| !jobs.is_empty())
        .map(|(what, jobs)| format!("{what}: {}", few(&jobs)))
        .collect();
        if other {
            told.push("settings besides jobs changed".to_owned());
        }
        if told.is_empty() { NOTHING.to_owned() } else { told.join("; ") }
    }
}

/// Of what is shown: another secret is no other hash.
fn hash(part: &impl Serialize) -> u64 {
    // What cannot be shown is as good as unchanged.
    xxhash_rust::xxh3::xxh3_64(serde_yaml::to_string(part).unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use rosterd_config::LoadOptions;
    use rosterd_discovery::Registry;

    use super::*;

    fn config(text: &str) -> Config {
        let job = |job: &str| {
            let (name, interval) = job.split_once('/').unwrap_or((job, "15s"));
            format!("{{job_name: {name}, scrape_interval: {interval}, scrape_timeout: 10s}}")
        };
        load(&text.split_whitespace().map(job).collect::<Vec<_>>().join(", "))
    }

    fn load(jobs: &str) -> Config {
        let folder = rosterd_testkit::Folder::new();
        let file = folder.write("prometheus.yml", format!("scrape_configs: [{jobs}]"));
        let env = |_: &str| None;
        let options = LoadOptions {
            allow_exec: false,
            allow_template_commands: false,
            examine: false,
            impossible: None,
            template: None,
            env: &env,
        };
        Config::load(&file, None, &Registry::linked().unwrap(), &options).unwrap().config
    }

    #[test]
    fn another_secret_is_not_told_as_nothing() {
        let mut in_use = InUse::default();
        let with = |token: &str| load(&format!("{{job_name: a, authorization: {{credentials: {token}}}}}"));
        in_use.take(&with("one"));
        assert!(in_use.take(&with("two")).contains("not shown may have"));
    }

    #[test]
    fn jobs_that_came_changed_and_went_are_named() {
        let mut in_use = InUse::default();
        assert_eq!(in_use.take(&config("a b c")), "jobs: 3");
        assert_eq!(in_use.take(&config("a b c")), NOTHING);
        assert_eq!(in_use.take(&config("b/20s c d e")), "added: d, e; changed: b; removed: a");
        let mut other = config("b/20s c d e");
        other.rosterd.stale_markers_on_shutdown = true;
        assert_eq!(in_use.take(&other), "settings besides jobs changed");
        let many = (0..12).map(|number| format!("j{number:02}")).collect::<Vec<_>>().join(" ");
        let told = in_use.take(&config(&many));
        assert!(told.starts_with("added: j00, j01,") && told.contains(" and 2 more; removed: b, c, d, e"), "{told}");
    }
}
