//! Jobs: the `scrape_configs` of the main file and of `scrape_config_files`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use rosterd_discovery::AnyConfig;
use rosterd_model::{Problem as Found, bare_url, in_words};

use super::Loader;
use crate::error::code;
use crate::file::{
    Config, Global, ONLY_FOR_SCRAPING, ScrapeConfig, ScrapeSettings, constant_rules, may_drop_by_address,
    may_write_address,
};
use rosterd_tasks::watch;
use rosterd_yaml::{Id, Problem};

impl Loader<'_> {
    /// The jobs of a file.
    pub(super) fn jobs(&mut self, root: Id, global: &Global, in_main_file: bool) -> Vec<ScrapeConfig> {
        let jobs = self.list(root, "", "scrape_configs");
        jobs.into_iter().filter_map(|(at, path)| self.job(at, &path, global, in_main_file)).collect()
    }

    fn job(&mut self, at: Id, path: &str, global: &Global, in_main_file: bool) -> Option<ScrapeConfig> {
        let keys = self.discovery_keys();
        self.refuse_empty_entries(at, path, &["relabel_configs", "metric_relabel_configs"]);
        let mut section = self.section::<ScrapeSettings>(at, path, &keys)?;
        let found = section.value.check(global);
        let sound = section.is_whole() && found.is_empty();
        self.found(&section, found);
        let targets_are_rewritten =
            self.tree.get(at, "relabel_configs").is_some_and(|list| !self.tree.items(list).is_empty());
        let discovery: Vec<Arc<dyn AnyConfig>> = self.discovery(at, path, targets_are_rewritten);
        self.name_is_new(at, path, &section.value.job_name);
        let mut settings = section.value.clone();
        settings.resolve_paths(&self.base(at));
        if self.options.examine {
            let mut found = settings.client.examine();
            if !["http", "https"].iter().any(|scheme| settings.scheme.eq_ignore_ascii_case(scheme)) {
                let scheme = bare_url(&settings.scheme);
                let message = format!("there is no scheme {scheme:?}: targets are scraped by http or https");
                found.push(Found::new("scheme", code::INVALID_VALUE, message));
            }
            self.found(&section, found);
        }
        let mut found = Vec::new();
        let job = ScrapeConfig::new(settings, discovery, in_main_file, &mut found);
        let sound = sound && found.is_empty();
        self.found(&section, found);
        let rules = &section.value.relabel_configs;
        let (lists, addresses) = (std::mem::take(&mut self.lists), std::mem::take(&mut self.addresses));
        // What follows from a broken rule is not told; an address that no rule looks at is what it is.
        if sound {
            lists.into_iter().for_each(|list| self.try_targets(&job, list));
        } else if !may_write_address(rules) && !may_drop_by_address(rules) {
            self.problems.extend(addresses);
        }
        let mut noticed = constant_rules(rules, "relabel_configs", "targets");
        noticed.extend(constant_rules(&section.value.metric_relabel_configs, "metric_relabel_configs", "samples"));
        self.noticed(&section, noticed);
        for (place, path, found) in std::mem::take(&mut self.without_address) {
            if !may_write_address(rules) {
                self.warn(place, path, found.code, found.message);
            }
        }
        Some(job)
    }

    fn name_is_new(&mut self, at: Id, path: &str, name: &str) {
        if name.is_empty() {
            return;
        }
        let place = self.tree.get(at, "job_name").unwrap_or(at);
        if let Some(first) = self.job_places.get(name) {
            let message = format!("the job name {name:?} is taken, at {first}: give one of the two another name");
            self.wrong(place, format!("{path}.job_name"), code::DUPLICATE_NAME, message);
        } else {
            self.job_places.insert(name.to_owned(), self.tree.place(place));
        }
    }

    /// The jobs of the files that match `patterns`, which are absolute. A folder that cannot be looked into is a problem:
    /// its jobs are unknown, not gone.
    pub(super) fn jobs_of_files(&mut self, root: Id, patterns: &[String], global: &Global) -> Vec<ScrapeConfig> {
        let mut jobs = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let expansion = watch::expand(&[PathBuf::from(pattern)]);
            if self.options.examine && expansion.files.is_empty() && expansion.unreadable.is_empty() {
                let path = format!("scrape_config_files[{index}]");
                let at = self.tree.find(root, &path, &HashSet::new()).0;
                let message = match pattern.contains(":/") {
                    true => "a URL is no file: write the path of one".to_owned(),
                    false => format!("there is no file {pattern} at the moment"),
                };
                self.warn(at, path, code::NO_FILE, message);
            }
            for (folder, error) in expansion.unreadable {
                let message = format!("cannot look for the files of scrape_config_files here: {}", in_words(error));
                self.problems.push(Problem::of_file(&folder, code::UNREADABLE, message));
            }
            for file in expansion.files {
                let Some(root) = self.read(&file) else { continue };
                let known = [String::from("scrape_configs")];
                if self.section::<Nothing>(root, "", &known).is_some() {
                    jobs.extend(self.jobs(root, global, false));
                }
            }
        }
        jobs
    }

    /// A warning for a main file whose settings need somebody who scrapes, when nothing is scraped.
    pub(super) fn warn_of_scraping(&mut self, root: Id, config: &Config) {
        // What is wrong elsewhere may be what is meant to send.
        if !self.problems.iter().all(|problem| problem.key.starts_with("scrape_configs")) {
            return;
        }
        let Some(at) = self.first_for_scraping(root) else { return };
        let path = self.tree.path_below(root, at).unwrap_or_default();
        let message = match config.remote_write.is_empty() {
            true => {
                "nothing is scraped, because there is no remote_write: targets are discovered and published, and settings \
                     of scraping take effect with whoever scrapes"
            }
            false => "nothing is scraped and sent, because rosterd.scrape is false",
        };
        self.warn(at, path, code::NOT_SCRAPED, message);
    }

    fn first_for_scraping(&self, root: Id) -> Option<Id> {
        let jobs = self.tree.get(root, "scrape_configs").into_iter().flat_map(|list| self.tree.items(list));
        let mut keys = jobs.flat_map(|job| self.tree.entries(*job));
        let in_jobs = keys.find(|(key, ..)| ONLY_FOR_SCRAPING.contains(key));
        let found = in_jobs.or_else(|| self.tree.entries(root).find(|(key, ..)| *key == "remote_write"));
        found.map(|(_, at, _)| at)
    }
}

/// A map without keys of its own.
#[derive(serde::Deserialize)]
struct Nothing {}
