//! The sections of the main file.

use std::collections::HashMap;
use std::path::Path;

use rosterd_model::Problem as Found;
use rosterd_tasks::watch::check_pattern;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Loader, folder_of};
use crate::error::code;
use crate::file::{
    Alerting, Alertmanager, Config, Global, Otlp, RemoteRead, RemoteWrite, Runtime, Storage, Tracing, constant_rules,
};
use rosterd_yaml::Id;

/// The sections that are read on their own.
const SECTIONS: [&str; 10] = [
    "global",
    "runtime",
    "alerting",
    "scrape_configs",
    "storage",
    "tracing",
    "remote_write",
    "remote_read",
    "otlp",
    "rosterd",
];

/// Sections that are read and have no effect, and what rosterd does not do that they are for.
const IGNORED: [(&str, &str); 6] = [
    ("rule_files", "rosterd evaluates no rules, whoever stores the samples does"),
    ("alerting", "rosterd sends no alerts, whoever stores the samples does"),
    ("storage", "rosterd stores no series"),
    ("tracing", "rosterd sends no traces of itself"),
    ("remote_read", "rosterd answers no queries"),
    ("otlp", "rosterd receives no samples, it scrapes them"),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Files {
    rule_files: Vec<String>,
    scrape_config_files: Vec<String>,
}

impl Loader<'_> {
    /// The main file, and the second one if there is one.
    pub(super) fn document(&mut self, root: Id, own: Option<Id>) -> Config {
        let sections = SECTIONS.map(str::to_owned);
        let mut files = self.section::<Files>(root, "", &sections);
        let global = self.global(root);
        let runtime = self.simple::<Runtime>(root, "runtime", |_| Vec::new()).unwrap_or_default();
        let mut scrape_configs = self.jobs(root, &global, true);
        let Files { rule_files, scrape_config_files } =
            files.as_mut().map(|s| std::mem::take(&mut s.value)).unwrap_or_default();
        let (rule_files, _) = self.patterns(root, "rule_files", rule_files);
        let (scrape_config_files, usable) = self.patterns(root, "scrape_config_files", scrape_config_files);
        if usable {
            scrape_configs.extend(self.jobs_of_files(root, &scrape_config_files, &global));
        }
        let remote_write = self.remote_write(root, &global);
        self.ignored_sections(root, &global);
        let main = self.tree.get(root, "rosterd");
        let rosterd = self.own(main, own, &mut scrape_configs, &remote_write);
        let config = Config { global, runtime, rule_files, scrape_config_files, scrape_configs, remote_write, rosterd };
        if !config.scrapes() {
            self.warn_of_scraping(root, &config);
        }
        config
    }

    /// A section without surprises; nothing, if it is not there or empty.
    fn simple<T: DeserializeOwned>(&mut self, root: Id, key: &str, check: impl Fn(&mut T) -> Vec<Found>) -> Option<T> {
        let at = self.tree.get(root, key).filter(|at| !self.tree.is_null(*at))?;
        let mut section = self.section::<T>(at, key, &[])?;
        let found = check(&mut section.value);
        self.found(&section, found);
        Some(section.value)
    }

    fn global(&mut self, root: Id) -> Global {
        let is_empty = |at: &Id| self.tree.entries(*at).next().is_none() && self.tree.is_map(*at);
        // An empty section is as good as none.
        if self.tree.get(root, "global").as_ref().is_some_and(is_empty) {
            return Global::default();
        }
        let Some(mut global) = self.simple(root, "global", Global::check) else { return Global::default() };
        global.resolve_paths(&self.base(root));
        let Some(at) = self.tree.get(root, "global").and_then(|global| self.tree.get(global, "external_labels")) else {
            return global;
        };
        for (name, value) in &mut global.external_labels {
            let place = self.tree.get(at, name).unwrap_or(at);
            *value = self.expanded(value, place, &format!("global.external_labels.{name}"));
        }
        global
    }

    /// Patterns, absolute, and whether all of them are right: a `*` stands in the last component only.
    fn patterns(&mut self, root: Id, key: &str, patterns: Vec<String>) -> (Vec<String>, bool) {
        let mut all_right = true;
        for (index, pattern) in patterns.iter().enumerate() {
            let reason = match pattern.split_once('*') {
                Some((_, after)) if after.contains('/') => "a * may stand only behind the last / of a path".to_owned(),
                _ => match check_pattern(Path::new(pattern)) {
                    Ok(()) => continue,
                    Err(bad) => format!("{pattern:?} is no pattern: {bad}"),
                },
            };
            all_right = false;
            let path = format!("{key}[{index}]");
            let at = self.tree.find(root, &path, &std::collections::HashSet::new()).0;
            self.wrong(at, path, code::INVALID_VALUE, reason);
        }
        let base = folder_of(self.tree.file(root));
        let absolute = patterns.iter().map(|pattern| base.join(pattern).to_string_lossy().into_owned()).collect();
        (absolute, all_right)
    }

    fn remote_write(&mut self, root: Id, global: &Global) -> Vec<RemoteWrite> {
        let mut names = HashMap::new();
        let mut all = Vec::new();
        for (at, path) in self.list(root, "", "remote_write") {
            self.refuse_empty_entries(at, &path, &["write_relabel_configs"]);
            let Some(mut section) = self.section::<RemoteWrite>(at, &path, &[]) else { continue };
            // Unlike everywhere else, HTTP/2 is off unless it is asked for.
            if self.tree.get(at, "enable_http2").is_none() {
                section.value.client.enable_http2 = false;
            }
            let found = section.value.check(global.name_scheme());
            self.found(&section, found);
            let noticed = constant_rules(&section.value.write_relabel_configs, "write_relabel_configs", "samples");
            self.noticed(&section, noticed);
            self.unique(&mut names, at, &path, &section.value.name);
            section.value.resolve_paths(&self.base(at));
            if self.options.examine {
                let found = section.value.client.examine();
                self.found(&section, found);
            }
            all.push(section.value);
        }
        all
    }

    fn unique(&mut self, names: &mut HashMap<String, String>, at: Id, path: &str, name: &str) {
        if name.is_empty() {
            return;
        }
        let place = self.tree.get(at, "name").unwrap_or(at);
        if let Some(first) = names.insert(name.to_owned(), self.tree.place(place)) {
            let message = format!("the name {name:?} is taken, at {first}: give one of the two another name");
            self.wrong(place, format!("{path}.name"), code::DUPLICATE_NAME, message);
        }
    }

    /// Sections without an effect: what is wrong with them, and one warning each.
    fn ignored_sections(&mut self, root: Id, global: &Global) {
        let scheme = global.name_scheme();
        self.alerting(root, global);
        self.simple::<Storage>(root, "storage", |storage| storage.check());
        self.simple::<Tracing>(root, "tracing", |tracing| tracing.check());
        self.simple::<Otlp>(root, "otlp", |otlp| otlp.check(scheme));
        let mut names = HashMap::new();
        for (at, path) in self.list(root, "", "remote_read") {
            let Some(section) = self.section::<RemoteRead>(at, &path, &[]) else { continue };
            let found = section.value.check();
            self.found(&section, found);
            self.unique(&mut names, at, &path, &section.value.name);
        }
        let present: Vec<_> = self
            .tree
            .entries(root)
            .filter(|(_, _, value)| !self.tree.is_null(*value))
            .filter_map(|(key, at, _)| Some((key.to_owned(), at, IGNORED.iter().find(|(name, _)| *name == key)?.1)))
            .collect();
        for (key, at, why) in present {
            let message = format!("{key} has no effect: {why}");
            self.warn(at, key, code::SECTION_IGNORED, message);
        }
    }

    fn alerting(&mut self, root: Id, global: &Global) {
        let Some(at) = self.tree.get(root, "alerting").filter(|at| !self.tree.is_null(*at)) else { return };
        let scheme = global.name_scheme();
        self.refuse_empty_entries(at, "alerting", &["alert_relabel_configs"]);
        let Some(section) = self.section::<Alerting>(at, "alerting", &["alertmanagers".to_owned()]) else { return };
        let found = section.value.check(scheme);
        self.found(&section, found);
        let keys = self.discovery_keys();
        for (at, path) in self.list(at, "alerting", "alertmanagers") {
            self.refuse_empty_entries(at, &path, &["relabel_configs", "alert_relabel_configs"]);
            let Some(section) = self.section::<Alertmanager>(at, &path, &keys) else { continue };
            let found = section.value.check(scheme);
            self.found(&section, found);
        }
    }
}
