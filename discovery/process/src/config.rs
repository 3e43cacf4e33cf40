//! What the user writes under `process_sd_configs`.

use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem, in_words};
use rosterd_tasks::files;
use serde::{Deserialize, Serialize};

use crate::discoverer::Processes;
use crate::files::processes;
use crate::metrics::ProcessMetrics;
use crate::scan::Places;

/// Where the kernel shows processes.
const PROCFS: &str = "/proc";

/// One entry of `process_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// How often the processes are looked at.
    pub refresh_interval: Duration,
    /// What becomes labels.
    pub discover_config: DiscoverConfig,
    /// A target for each TCP address that a process listens on, in place of one for each process.
    pub ports: bool,
    /// Where the processes are shown.
    pub procfs: PathBuf,
}

/// What of a process becomes labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoverConfig {
    /// The program. Whatever has none, such as a thread of the kernel, is left out then.
    pub exe: bool,
    /// The working directory.
    pub cwd: bool,
    /// The program and its arguments.
    pub commandline: bool,
    /// The name of the user.
    pub username: bool,
    /// The number of the user.
    pub uid: bool,
    /// The control groups.
    pub cgroup_path: bool,
    /// The container, if its control group tells one.
    pub container_id: bool,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            refresh_interval: StdDuration::from_secs(60).into(),
            discover_config: DiscoverConfig::default(),
            ports: false,
            procfs: PROCFS.into(),
        }
    }
}

impl Default for DiscoverConfig {
    fn default() -> Self {
        Self {
            exe: true,
            cwd: true,
            commandline: true,
            username: true,
            uid: true,
            cgroup_path: false,
            container_id: true,
        }
    }
}

impl ProcessConfig {
    /// A process as such listens nowhere.
    fn without_address(&self) -> Option<Finding> {
        let message = "a process has no address, and no rule writes __address__: set `ports: true` for a target for each \
                       address that one listens on, or write such a rule";
        (!self.ports).then(|| Finding::NoAddress(Problem::new("", "cfg_no_address", message)))
    }
}

impl MechanismConfig for ProcessConfig {
    const MECHANISM: &'static str = "process";

    type Metrics = ProcessMetrics;
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        if self.procfs != Path::new(PROCFS) {
            id.path("procfs", &self.procfs);
        }
        id.value("ports", &self.ports, &false);
        let (wanted, usual) = (self.discover_config, DiscoverConfig::default());
        for (name, wanted, usual) in [
            ("exe", wanted.exe, usual.exe),
            ("cwd", wanted.cwd, usual.cwd),
            ("commandline", wanted.commandline, usual.commandline),
            ("username", wanted.username, usual.username),
            ("uid", wanted.uid, usual.uid),
            ("cgroup_path", wanted.cgroup_path, usual.cgroup_path),
            ("container_id", wanted.container_id, usual.container_id),
        ] {
            id.value(name, &wanted, &usual);
        }
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let message = "procfs must not be empty; leave it out for /proc";
        let is_empty = self.procfs.as_os_str().is_empty();
        is_empty.then(|| Problem::new("procfs", "cfg_invalid_value", message)).into_iter().collect()
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let Err(error) = processes(&self.procfs) else { return self.without_address().into_iter().collect() };
        let mut message = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            message = format!("{message}: {}", in_words(cause));
        }
        let missing = Finding::Missing(Problem::new("procfs", "cfg_unreadable", message));
        self.without_address().into_iter().chain([missing]).collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        files::resolve(base, &mut self.procfs);
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let processes = Processes::new(self, Places::of(&self.procfs), &cx);
        Ok(Polling::boxed(processes, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(ProcessConfig);

#[cfg(test)]
mod tests {
    use rosterd_testkit::{FakeProc, FakeProcess};

    use super::*;

    fn parse(yaml: &str) -> Result<ProcessConfig, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation_of_alloy() {
        let config = parse("{}").unwrap();
        assert_eq!(StdDuration::from(config.refresh_interval), StdDuration::from_secs(60));
        assert!(!config.ports && config.procfs == Path::new("/proc"));
        let DiscoverConfig { exe, cwd, commandline, username, uid, cgroup_path, container_id } = config.discover_config;
        assert!(exe && cwd && commandline && username && uid && container_id && !cgroup_path);
    }

    #[test]
    fn a_check_finds_a_procfs_that_shows_no_processes() {
        let cx = CheckContext { allow_exec: false };
        let proc = FakeProc::new();
        let config = ProcessConfig { procfs: proc.path(), ports: true, ..ProcessConfig::default() };
        let told = |found: Vec<Finding>| match <[Finding; 1]>::try_from(found) {
            Ok([Finding::Missing(problem)]) => format!("{} {} {}", problem.path, problem.code, problem.message),
            other => panic!("{other:?}"),
        };
        let at = proc.path().display().to_string();
        let nobody = format!("procfs cfg_unreadable no process is shown in {at}: is it mounted?");
        assert_eq!(told(config.examine(&cx)), nobody);
        proc.mounted(false);
        let missing = told(config.examine(&cx));
        assert!(
            missing.starts_with(&format!("procfs cfg_unreadable cannot list the processes in {at}: ")),
            "{missing}"
        );
        proc.mounted(true);
        proc.show(&FakeProcess::default());
        assert_eq!(config.examine(&cx), []);
    }

    #[test]
    fn processes_without_their_ports_have_no_address() {
        let cx = CheckContext { allow_exec: false };
        let proc = FakeProc::new();
        proc.show(&FakeProcess::default());
        let config = ProcessConfig { procfs: proc.path(), ..ProcessConfig::default() };
        let found = config.examine(&cx);
        assert!(matches!(&found[..], [Finding::NoAddress(it)] if it.code == "cfg_no_address"), "{found:?}");
        proc.mounted(false);
        assert_eq!(config.examine(&cx).len(), 2);
    }

    #[test]
    fn what_is_given_changes_that_alone_and_reads_back() {
        let config =
            parse("{discover_config: {exe: false, cgroup_path: true}, ports: true, procfs: host/proc}").unwrap();
        let wanted = DiscoverConfig { exe: false, cgroup_path: true, ..DiscoverConfig::default() };
        assert_eq!(config.discover_config, wanted);
        assert_eq!(parse(&serde_yaml::to_string(&config).unwrap()).unwrap(), config);
        let mut resolved = config;
        resolved.resolve_paths(Path::new("/etc/rosterd"));
        assert_eq!(resolved.procfs, Path::new("/etc/rosterd/host/proc"));
        let wrong = parse("{procfs: ''}").unwrap().check(&CheckContext { allow_exec: false });
        assert_eq!(wrong.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["cfg_invalid_value"]);
        assert!(parse("{join: []}").unwrap_err().contains("unknown field `join`"));
    }
}
