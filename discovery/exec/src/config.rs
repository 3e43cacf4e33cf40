//! What the user writes under `exec_sd_configs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use rosterd_model::{Duration, Secret, Size};
use serde::{Deserialize, Serialize};

use super::discoverer::Exec;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::Problem;
use rosterd_tasks::process::{Program, no_program};

/// The timeout where none is set, unless the interval is shorter.
const LONGEST_DEFAULT_TIMEOUT: StdDuration = StdDuration::from_secs(30);

/// One entry of `exec_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecConfig {
    /// The program and its arguments. A program without a slash is looked for in `PATH`, a relative path is relative to
    /// the configuration file.
    pub command: Vec<String>,
    /// How often the command is run. Runs never overlap.
    pub refresh_interval: Duration,
    /// How long a run may take. By default as long as the interval, but not more than 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Environment variables of the command. It inherits none from rosterd.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// The folder to run the command in. By default that of rosterd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<PathBuf>,
    /// How much the command may print; 0 for any amount.
    pub max_output_size: Size,
}

impl Default for ExecConfig {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            refresh_interval: StdDuration::from_secs(60).into(),
            timeout: None,
            env: BTreeMap::new(),
            working_directory: None,
            max_output_size: Size::from_bytes(64 << 20),
        }
    }
}

impl ExecConfig {
    /// How long a run may take.
    pub fn run_timeout(&self) -> StdDuration {
        let default = || LONGEST_DEFAULT_TIMEOUT.min(self.refresh_interval.into());
        self.timeout.map_or_else(default, StdDuration::from)
    }

    /// What a run runs.
    pub(super) fn to_run(&self) -> Program {
        let variables = self.env.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let program = Program::new(self.program(), self.command.iter().skip(1)).with_environment(variables);
        match &self.working_directory {
            Some(folder) => program.in_folder(folder),
            None => program,
        }
    }

    /// The program.
    pub(super) fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

impl MechanismConfig for ExecConfig {
    const MECHANISM: &'static str = "exec";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        let program = Path::new(self.program());
        id.path("program", program);
        // They may be secrets.
        id.quietly(|id| id.list("arguments", self.command.iter().skip(1)));
        self.env.iter().for_each(|(name, value)| id.secret(&format!("env/{name}"), value));
        id.path("working_directory", self.working_directory.as_deref().unwrap_or(Path::new("")));
    }

    fn check(&self, cx: &CheckContext) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |path: &str, code, message: &str| problems.push(Problem::new(path, code, message));
        if !cx.allow_exec {
            add("", "cfg_exec_disabled", "running commands is not allowed: start rosterd with --enable-exec-sd");
        }
        if self.program().is_empty() {
            add("command", "cfg_exec_no_command", "command is empty: give a list of a program and its arguments");
        }
        if self.command.iter().any(|argument| argument.contains('\0')) {
            add("command", "cfg_exec_nul", "a NUL byte cannot be part of a command");
        }
        if self.timeout.is_some_and(|timeout| StdDuration::from(timeout).is_zero()) {
            add("timeout", "cfg_exec_zero_timeout", "timeout must be greater than 0; leave it out for the default");
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0') {
                let message =
                    "not an environment variable: a name is not empty and has no =, and nothing has a NUL byte";
                add(&format!("env.{name}"), "cfg_exec_bad_env", message);
            }
        }
        problems
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let idle = |path: &str, message| Finding::Idle(Problem::new(path, "cfg_no_file", message));
        let mut found = Vec::new();
        let program = self.program();
        let path = self.env.get("PATH").map(Secret::expose);
        if !program.is_empty() && !program.contains('\0') {
            let missing = no_program(program, path, "write its path, or set PATH in env");
            found.extend(missing.map(|message| idle("command[0]", message)));
        }
        if let Some(folder) = self.working_directory.as_ref().filter(|folder| !folder.is_dir()) {
            found.push(idle("working_directory", format!("there is no folder {} at the moment", folder.display())));
        }
        found
    }

    fn resolve_paths(&mut self, base: &Path) {
        if let Some(program) = self.command.first_mut().filter(|program| program.contains('/')) {
            // Joining an absolute path gives that path.
            *program = base.join(&*program).to_string_lossy().into_owned();
        }
        if let Some(folder) = &mut self.working_directory {
            *folder = base.join(&*folder);
        }
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Exec::new(self.clone()), self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(ExecConfig);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> Result<ExecConfig, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    fn codes(yaml: &str) -> Vec<&'static str> {
        let problems = parse(yaml).unwrap().check(&CheckContext { allow_exec: true });
        problems.into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn the_defaults_are_as_documented() {
        let config = parse("command: [/bin/true]").unwrap();
        assert_eq!(StdDuration::from(config.refresh_interval), StdDuration::from_secs(60));
        assert_eq!(config.max_output_size.bytes(), 64 << 20);
        assert!(config.check(&CheckContext { allow_exec: true }).is_empty());
    }

    #[test]
    fn a_command_is_refused_unless_commands_are_enabled() {
        let problems = parse("command: [/bin/true]").unwrap().check(&CheckContext::default());
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["cfg_exec_disabled"]);
        assert!(problems[0].message.contains("--enable-exec-sd"));
    }

    #[test]
    fn the_timeout_is_the_interval_up_to_half_a_minute() {
        for (yaml, seconds) in [
            ("{}", 30),
            ("{refresh_interval: 10s}", 10),
            ("{refresh_interval: 10s, timeout: 15s}", 15),
            ("{timeout: 5m}", 300),
        ] {
            assert_eq!(parse(yaml).unwrap().run_timeout(), StdDuration::from_secs(seconds), "{yaml}");
        }
    }

    #[test]
    fn what_cannot_work_is_a_problem() {
        for (yaml, code) in [
            ("{}", "cfg_exec_no_command"),
            ("{command: ['']}", "cfg_exec_no_command"),
            ("{command: [a, \"b\\0\"]}", "cfg_exec_nul"),
            ("{command: [a], timeout: 0s}", "cfg_exec_zero_timeout"),
            ("{command: [a], env: {'A=B': c}}", "cfg_exec_bad_env"),
            ("{command: [a], env: {'': c}}", "cfg_exec_bad_env"),
        ] {
            assert_eq!(codes(yaml), [code], "{yaml}");
        }
        assert!(parse("{command: a b}").unwrap_err().contains("sequence"), "a command line is no list");
        assert!(parse("{command: [a], shell: true}").unwrap_err().contains("unknown field `shell`"));
    }

    #[test]
    fn a_look_at_the_files_notices_a_program_that_is_not_there() {
        let told = |yaml: &str| {
            let found = parse(yaml).unwrap().examine(&CheckContext { allow_exec: true });
            let path = |finding: Finding| match finding {
                Finding::Idle(problem) => format!("{} {}", problem.path, problem.code),
                other => panic!("{other:?}"),
            };
            found.into_iter().map(path).collect::<Vec<_>>()
        };
        for there in ["[/bin/sh]", "[sh, -c, x]", "['']"] {
            assert_eq!(told(&format!("command: {there}")), [""; 0], "{there}");
        }
        let missing = ["command[0] cfg_no_file"];
        for yaml in [
            "command: [/no/such/program]",
            "command: [no-such-program]",
            "{command: [sh], env: {PATH: /no/such/folder}}",
            "command: [/dev/null]",
            "command: [/]",
        ] {
            assert_eq!(told(yaml), missing, "{yaml}");
        }
        assert_eq!(told("{command: [sh], working_directory: /no/such}"), ["working_directory cfg_no_file"]);
    }

    #[test]
    fn paths_are_relative_to_the_file_and_bare_names_are_not_paths() {
        for (program, resolved) in [
            ("./list", "/etc/rosterd/./list"),
            ("bin/list", "/etc/rosterd/bin/list"),
            ("/bin/ls", "/bin/ls"),
            ("ls", "ls"),
        ] {
            let mut config = parse(&format!("{{command: [{program}, ./x], working_directory: work}}")).unwrap();
            config.resolve_paths(Path::new("/etc/rosterd"));
            assert_eq!(config.command, [resolved, "./x"]);
            assert_eq!(config.working_directory.unwrap(), Path::new("/etc/rosterd/work"));
        }
    }

    #[test]
    fn values_of_the_environment_are_not_shown() {
        let config = parse("{command: [a], env: {TOKEN: hunter2}}").unwrap();
        assert!(!serde_yaml::to_string(&config).unwrap().contains("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
