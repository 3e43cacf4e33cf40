//! Discovery of a job: its `static_configs` and `<name>_sd_configs`, decoded by the mechanisms that the registry has.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rosterd_discovery::{AnyConfig, Finding, Mechanism};
use rosterd_model::Problem as Found;

use super::targets::{List, ListPlace};
use super::{Loader, folder_of};
use crate::error::code;
use rosterd_yaml::{Id, join_path};

/// Mechanisms of rosterd that a build may do without.
pub const OPTIONAL_MECHANISMS: [&str; 38] = [
    "aws",
    "azure",
    "consul",
    "consulagent",
    "digitalocean",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "exec",
    "gce",
    "hetzner",
    "ionos",
    "kubelet",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "process",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "triton",
    "uyuni",
    "vultr",
    "yandexcloud",
];

/// The feature that a mechanism is part of: most have one of their own.
pub fn feature_of(mechanism: &str) -> &str {
    match mechanism {
        "ec2" | "ecs" | "elasticache" | "lightsail" | "msk" | "rds" => "aws",
        "nerve" | "serverset" => "zookeeper",
        own => own,
    }
}

/// Mechanisms of Prometheus, vmagent and Alloy, which may be in the registry or not.
const KNOWN: [&str; 42] = [
    "static",
    "file",
    "http",
    "dns",
    "exec",
    "aws",
    "azure",
    "consul",
    "consulagent",
    "digitalocean",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "gce",
    "hetzner",
    "ionos",
    "kubelet",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "process",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "triton",
    "uyuni",
    "vultr",
    "yandexcloud",
];

/// Whether something lacks only because a default stands in for the refused value of a key.
fn is_of_default(lacks: &Found, key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    lacks.path != name && lacks.message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// Whether what seems to lack may be what was refused, by a name with a slip.
fn may_mean(refused: &str, lacks: &Found) -> bool {
    lacks.path.is_empty() || refused.contains(&format!("`{}`", lacks.path))
}

impl Loader<'_> {
    /// The keys of discovery: those that are read, and those that are refused by name.
    pub(super) fn discovery_keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.registry.iter().map(Mechanism::key).collect();
        keys.extend(KNOWN.map(Mechanism::key_of).into_iter().filter(|key| self.registry.by_key(key).is_none()));
        keys
    }

    /// All discovery configurations of a job, in the order of the file.
    pub(super) fn discovery(&mut self, job: Id, path: &str, targets_are_rewritten: bool) -> Vec<Arc<dyn AnyConfig>> {
        let keys = self.discovery_keys();
        let entries: Vec<_> = self.tree.entries(job).map(|(key, at, value)| (key.to_owned(), at, value)).collect();
        let mut configs = Vec::new();
        for (key, at, value) in entries.iter().filter(|(key, ..)| keys.contains(key)) {
            let Some(mechanism) = self.registry.by_key(key).copied() else {
                let elsewhere = "discover these targets elsewhere, and read them by file_sd_configs or http_sd_configs";
                let message = match OPTIONAL_MECHANISMS.iter().find(|name| Mechanism::key_of(name) == *key) {
                    Some(name) => format!(
                        "{key} is not in this build of rosterd: take one that has the feature {}, or {elsewhere}",
                        feature_of(name)
                    ),
                    None => format!("{key} is not in this build of rosterd: {elsewhere}"),
                };
                self.wrong(*at, join_path(path, key), code::NOT_SUPPORTED_YET, message);
                continue;
            };
            if mechanism.name == "static" {
                // The entries of a job are one configuration.
                self.refuse_empty_entries(job, path, &[key]);
                if !self.tree.is_null(*value) {
                    configs.extend(self.mechanism(&mechanism, *value, &join_path(path, key), targets_are_rewritten));
                }
                continue;
            }
            for (item, path) in self.list(job, path, key) {
                configs.extend(self.mechanism(&mechanism, item, &path, targets_are_rewritten));
            }
        }
        configs
    }

    fn mechanism(
        &mut self,
        mechanism: &Mechanism,
        at: Id,
        path: &str,
        targets_are_rewritten: bool,
    ) -> Option<Arc<dyn AnyConfig>> {
        let told = self.problems.len();
        let mut section = self.section_by(at, path, &[], mechanism.decode)?;
        let refused: Vec<_> =
            self.problems[told..].iter().map(|problem| (problem.key.clone(), problem.message.clone())).collect();
        section.value.expand(&mut |within, text| {
            let place = self.tree.find(at, within, &HashSet::new()).0;
            *text = self.expanded(text, place, &join_path(path, within));
        });
        for found in self.registry.check(&*section.value, &self.check) {
            let lacks = self.tree.find(at, &found.path, &HashSet::new()).0 == at;
            if lacks && refused.iter().any(|(key, message)| is_of_default(&found, key) || may_mean(message, &found)) {
                continue;
            }
            // Relabelling may make an address of a target that is none, as for the blackbox exporter.
            let is_target = mechanism.name == "static" && found.path.contains("].targets[");
            let told = self.problems.len();
            self.found(&section, vec![found]);
            if is_target && targets_are_rewritten {
                let doubtful = self.problems.split_off(told);
                self.addresses.extend(doubtful);
            }
        }
        if !section.is_whole() {
            return None;
        }
        let mut config = section.value;
        let base = self.base(at);
        config.resolve_paths(&base);
        // What stands in the configuration itself is looked at without a look at other files.
        if self.options.examine || mechanism.name == "static" && self.options.impossible.is_some() {
            for finding in config.examine(&self.check) {
                match finding {
                    Finding::Missing(found) => self.found_at(at, path, &HashSet::new(), found),
                    Finding::Idle(found) => {
                        let place = self.tree.find(at, &found.path, &HashSet::new()).0;
                        self.warn(place, join_path(path, &found.path), found.code, found.message);
                    }
                    Finding::NoAddress(found) => {
                        let place = self.tree.find(at, &found.path, &HashSet::new()).0;
                        self.without_address.push((place, join_path(path, &found.path), found));
                    }
                    Finding::Elsewhere(problem) => self.problems.push(problem),
                    Finding::Groups { file, groups } => {
                        let place = file.map_or_else(|| ListPlace::Here(at, path.to_owned()), ListPlace::Elsewhere);
                        self.lists.push(List { place, groups });
                    }
                }
            }
        }
        Some(config.into())
    }

    /// The folder that relative paths in a value are relative to.
    pub(super) fn base(&self, at: Id) -> std::path::PathBuf {
        let file: &Path = self.tree.file(at);
        folder_of(file)
    }
}
