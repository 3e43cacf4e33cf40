//! `rosterd.templates`: files that are rendered from the roster for other programs, and how these learn of them.

use std::path::{Path, PathBuf};

use rosterd_client::unset;
use rosterd_model::{Duration, Problem};
use rosterd_tasks::files::resolve;
use rosterd_tasks::process::no_program;
use serde::{Deserialize, Serialize};

use crate::error::code;

/// What stands for the file that was rendered and is not in its place yet, in the arguments of `check`.
pub const STAGED: &str = "{file}";

/// One file to render.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Template {
    /// The template.
    pub source: PathBuf,
    /// The file that it is rendered to.
    pub destination: PathBuf,
    /// The jobs whose targets it is given; all of them when left out.
    #[serde(skip_serializing_if = "unset")]
    pub jobs: Option<Vec<String>>,
    /// A command that says whether what was rendered is good, before it is in its place.
    #[serde(skip_serializing_if = "unset")]
    pub check: Vec<String>,
    /// A command by which the program takes the new file.
    #[serde(skip_serializing_if = "unset")]
    pub reload: Vec<String>,
    /// A signal by which the program takes the new file.
    #[serde(skip_serializing_if = "unset")]
    pub signal: Option<ReloadSignal>,
    /// The file with the number of the process that is sent the signal.
    #[serde(skip_serializing_if = "unset")]
    pub pid_file: PathBuf,
    /// A command that says whether the program works with the new file.
    #[serde(skip_serializing_if = "unset")]
    pub verify: Vec<String>,
    /// How far two changes of the file are apart at least.
    pub min_interval: Duration,
    /// How long each of the commands may take.
    pub timeout: Duration,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            source: PathBuf::new(),
            destination: PathBuf::new(),
            jobs: None,
            check: Vec::new(),
            reload: Vec::new(),
            signal: None,
            pid_file: PathBuf::new(),
            verify: Vec::new(),
            min_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// A signal that makes programs read their configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReloadSignal {
    /// SIGHUP.
    #[serde(alias = "SIGHUP")]
    Hup,
    /// SIGUSR1.
    #[serde(alias = "SIGUSR1")]
    Usr1,
    /// SIGUSR2.
    #[serde(alias = "SIGUSR2")]
    Usr2,
}

/// What is wrong with an empty list of jobs, which is easily taken for all of them.
pub(super) const NO_JOBS: &str =
    "jobs is empty, so nothing would be written: name jobs, or leave it out for all of them";

fn destination_has_placeholder(destination: &Path) -> bool {
    destination.to_string_lossy().contains("{job}")
}

impl Template {
    /// Whether it makes rosterd act on other programs.
    fn acts(&self) -> bool {
        self.commands().any(|(_, command)| !command.is_empty()) || self.signal.is_some()
    }

    fn commands(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [("check", &self.check), ("reload", &self.reload), ("verify", &self.verify)].into_iter()
    }

    /// Finds what is wrong with it, wherever it stands.
    pub(super) fn check(&self, path: &str, allow_commands: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |key: &str, code, message: &str| {
            let path = if key.is_empty() { path.to_owned() } else { format!("{path}.{key}") };
            problems.push(Problem::new(path, code, message));
        };
        for (key, value) in [("source", &self.source), ("destination", &self.destination)] {
            if value.as_os_str().is_empty() {
                let message = format!("a template needs a {key}: the path of a file");
                add("", code::MISSING_KEY, &message);
            }
        }
        if self.jobs.as_ref().is_some_and(Vec::is_empty) {
            add("jobs", code::INVALID_VALUE, NO_JOBS);
        }
        if destination_has_placeholder(&self.destination) {
            let message = "{job} stands for nothing here: a template is rendered once, for all of its jobs; write an entry for each file";
            add("destination", code::INVALID_VALUE, message);
        }
        if self.acts() && !allow_commands {
            let message =
                "running commands and sending signals is not allowed: start rosterd with --templates.allow-commands";
            add("", code::COMMANDS_DISABLED, message);
        }
        for (key, command) in self.commands().filter(|(_, command)| !command.is_empty()) {
            if command[0].is_empty() || command.iter().any(|argument| argument.contains('\0')) {
                let message = "not a command: give a list of a program and its arguments, without NUL bytes";
                add(key, code::INVALID_VALUE, message);
            }
        }
        if self.signal.is_some() && !self.reload.is_empty() {
            add("reload", code::CONFLICTING_KEYS, "reload and signal are two ways to do the same: keep one of them");
        } else if self.signal.is_some() && self.pid_file.as_os_str().is_empty() {
            add("", code::MISSING_KEY, "signal needs a pid_file, which holds the number of the process");
        } else if self.signal.is_none() && !self.pid_file.as_os_str().is_empty() {
            add("pid_file", code::MISSING_KEY, "pid_file needs a signal: HUP, USR1 or USR2");
        }
        if self.timeout.as_std().is_zero() {
            add("timeout", code::INVALID_VALUE, "timeout must be greater than 0; leave it out for the default");
        }
        problems
    }

    /// That its check cannot tell what was rendered from anything else.
    pub(super) fn blind(&self, path: &str) -> Option<Problem> {
        let message = "the check does not look at what was rendered: {file} stands for it, and is in no argument";
        let is_blind = !self.check.is_empty() && !self.check.iter().any(|argument| argument.contains(STAGED));
        is_blind.then(|| Problem::new(format!("{path}.check"), code::BLIND_CHECK, message))
    }

    /// The programs of its commands that are not there, or may not be run.
    pub(super) fn idle(&self, path: &str) -> Vec<Problem> {
        let missing = self.commands().filter_map(|(key, command)| {
            let program = command.first().filter(|program| !program.is_empty() && !program.contains('\0'))?;
            let message = no_program(program, None, "write its path")?;
            Some(Problem::new(format!("{path}.{key}[0]"), code::NO_FILE, message))
        });
        missing.collect()
    }

    /// Makes relative paths absolute, those of programs included. A program without a slash is looked for in `PATH`.
    pub(super) fn resolve_paths(&mut self, base: &Path) {
        for path in [&mut self.source, &mut self.destination, &mut self.pid_file] {
            resolve(base, path);
        }
        for command in [&mut self.check, &mut self.reload, &mut self.verify] {
            if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
                *program = base.join(&*program).to_string_lossy().into_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(yaml: &str) -> Template {
        serde_yaml::from_str(&format!("{{source: a.tmpl, destination: a.conf, {yaml}}}")).unwrap()
    }

    #[test]
    fn what_cannot_work_is_told() {
        for (yaml, allowed, found) in [
            ("", false, ""),
            ("check: [nginx, -t], reload: [nginx], verify: [curl]", true, ""),
            ("signal: HUP, pid_file: /run/x.pid", true, ""),
            ("signal: SIGUSR2, pid_file: /run/x.pid", true, ""),
            ("check: [nginx]", false, "t cfg_template_commands_disabled"),
            ("signal: HUP, pid_file: /run/x.pid", false, "t cfg_template_commands_disabled"),
            ("check: ['']", true, "t.check cfg_invalid_value"),
            ("reload: [a, \"b\\0\"]", true, "t.reload cfg_invalid_value"),
            ("signal: USR2", true, "t cfg_missing_key"),
            ("pid_file: x", true, "t.pid_file cfg_missing_key"),
            ("signal: USR1, pid_file: x, reload: [a]", true, "t.reload cfg_conflicting_keys"),
            ("timeout: 0s", true, "t.timeout cfg_invalid_value"),
            ("jobs: []", true, "t.jobs cfg_invalid_value"),
            ("jobs: [a]", true, ""),
        ] {
            let problems = template(yaml).check("t", allowed);
            let told: Vec<_> = problems.iter().map(|it| format!("{} {}", it.path, it.code)).collect();
            assert_eq!(told.join("; "), found, "{yaml}");
        }
        let each = Template { destination: "out/{job}.conf".into(), ..template("") }.check("t", true);
        assert_eq!(each.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["t.destination"]);
        let nothing = Template::default().check("t", true);
        assert_eq!(nothing.iter().map(|it| it.code).collect::<Vec<_>>(), [code::MISSING_KEY; 2]);
    }

    #[test]
    fn a_check_that_does_not_name_what_was_rendered_is_blind() {
        for (yaml, is_blind) in [
            ("check: [nginx, -t]", true),
            ("check: [nginx, -t, -c, '{file}']", false),
            ("check: [sh, -c, 'nginx -t -c {file}']", false),
            ("reload: [nginx]", false),
        ] {
            let blind = template(yaml).blind("t");
            assert_eq!(
                blind.map(|it| (it.path, it.code)),
                is_blind.then(|| ("t.check".into(), code::BLIND_CHECK)),
                "{yaml}"
            );
        }
    }

    #[test]
    fn paths_are_relative_to_the_file_and_bare_names_are_not_paths() {
        let mut it = template("check: [./ok, ./x], reload: [nginx], signal: HUP, pid_file: run/x.pid");
        it.resolve_paths(Path::new("/etc/rosterd"));
        assert_eq!(
            (it.source.as_path(), it.pid_file.as_path()),
            (Path::new("/etc/rosterd/a.tmpl"), Path::new("/etc/rosterd/run/x.pid"))
        );
        assert_eq!(
            (it.check, it.reload),
            (vec!["/etc/rosterd/./ok".to_owned(), "./x".to_owned()], vec!["nginx".to_owned()])
        );
    }
}
