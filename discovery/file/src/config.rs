//! What the user writes in `file_sd_configs`.

use std::path::{Path, PathBuf};

use rosterd_model::{Duration, bare_url};
use rosterd_tasks::Stopper;
use rosterd_tasks::files::clean;
use rosterd_tasks::watch::{Inotify, check_pattern};
use serde::{Deserialize, Serialize};

use super::FileMetrics;
use super::discoverer::Files;
use super::read;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, MechanismShared, System,
};
use rosterd_model::Problem;

/// One entry of `file_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Files, or patterns for them, as Go's `filepath.Match` has them. Each ends in `.json`, `.yml` or `.yaml`.
    pub files: Vec<PathBuf>,
    /// How often to look at the files, in case a change was not noticed.
    pub refresh_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { files: Vec::new(), refresh_interval: Duration::from_secs(300) }
    }
}

impl MechanismConfig for Config {
    const MECHANISM: &'static str = "file";
    type Metrics = FileMetrics;
    type Shared = Watches;

    fn identity(&self, id: &mut Identity) {
        id.set("files", self.files.iter().map(|file| clean(file).display().to_string()));
    }

    fn check(&self, _cx: &CheckContext) -> Vec<Problem> {
        if self.files.is_empty() {
            return vec![Problem::new("files", "cfg_missing_key", "files must name at least one file or pattern")];
        }
        let found = self.files.iter().enumerate().filter_map(|(index, file)| {
            let shown = file.display().to_string();
            // A file has any name, but none that begins as a URL does.
            let shown = if shown.contains(":/") { bare_url(&shown) } else { shown.as_str().into() };
            let wrong = |reason| Problem::new(format!("files[{index}]"), "cfg_invalid_value", reason);
            if !is_valid_pattern(file) {
                return Some(wrong(format!(
                    "{shown:?} must end in .json, .yml or .yaml, and may have a * only in the file name, not in a directory"
                )));
            }
            check_pattern(file).err().map(|bad| wrong(format!("{shown:?} is no pattern: {bad}")))
        });
        found.collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        for file in &mut self.files {
            // `__meta_filepath` shows the path as Prometheus spells it.
            *file = clean(&base.join(&*file));
        }
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let all = self.files.iter().enumerate();
        all.flat_map(|(index, pattern)| read::examine(&format!("files[{index}]"), pattern)).collect()
    }

    fn refresh_interval(&self) -> Option<std::time::Duration> {
        Some(self.refresh_interval.as_std())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Box::new(Files::new(self, cx.metrics, &cx.shared.0, cx.guard)))
    }
}

rosterd_discovery::register!(Config);

/// One inotify instance for all discoverers of an agent: a user may have 128 of them, and a configuration more lists.
#[derive(Debug)]
pub struct Watches(Inotify);

impl MechanismShared for Watches {
    fn start(_: &Stopper, _: &System) -> Self {
        Self(Inotify::default())
    }
}

/// As Prometheus: after the first `*` no directory, and one of these endings, all in lower or all in upper case.
fn is_valid_pattern(file: &Path) -> bool {
    let Some(text) = file.to_str() else { return false };
    let stem = ["json", "yml", "yaml", "JSON", "YML", "YAML"]
        .iter()
        .find_map(|ending| text.strip_suffix(ending).and_then(|rest| rest.strip_suffix('.')));
    stem.is_some_and(|stem| stem.find('*').is_none_or(|star| !stem[star..].contains('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[&str]) -> Vec<Problem> {
        let config = Config { files: files.iter().map(PathBuf::from).collect(), ..Config::default() };
        config.check(&CheckContext::default())
    }

    #[test]
    fn defaults_are_those_of_prometheus() {
        let config: Config = serde_yaml::from_str("files: [a.json]").unwrap();
        assert_eq!(config.refresh_interval.to_string(), "5m");
        assert_eq!(config.files, [PathBuf::from("a.json")]);
        assert!(serde_yaml::from_str::<Config>("file: [a.json]").is_err());
    }

    #[test]
    fn patterns_are_checked_as_in_prometheus() {
        let good = [
            "a.json",
            "x/y/*.yml",
            "/x/a*b.yaml",
            "*.JSON",
            "x/*-*.YML",
            "x/[ab]?.json",
            ".json",
            r"x\[1\].json",
            "[!a].yml",
        ];
        assert_eq!(problems(&good), []);
        for bad in
            ["", "a", "a.txt", "a.json.bak", "*/a.json", "x/*/y.yml", "a.Json", "json", "x/*", "[a.json", "x[]].yml"]
        {
            let problems = problems(&["a.json", bad]);
            assert_eq!(problems.len(), 1, "{bad}");
            assert_eq!((&*problems[0].path, problems[0].code), ("files[1]", "cfg_invalid_value"), "{bad}");
        }
        assert_eq!(problems(&[])[0].code, "cfg_missing_key");
    }

    #[test]
    fn paths_are_relative_to_the_base() {
        let spelled = |base: &str, file: &str| {
            let mut config = Config { files: vec![PathBuf::from(file)], ..Config::default() };
            config.resolve_paths(Path::new(base));
            config.files[0].display().to_string()
        };
        assert_eq!(spelled("/etc/p", "./x//*.json"), "/etc/p/x/*.json");
        assert_eq!(spelled("/etc/p", "../x/a.json"), "/etc/x/a.json");
        assert_eq!(spelled("/etc/p", "/a.json"), "/a.json");
        assert_eq!(spelled("", "../../a.json"), "../../a.json");
        assert_eq!(spelled("/etc", "../../a.json"), "/a.json");
    }
}
