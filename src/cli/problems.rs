//! Problems of files as a person wants to see them: a line each, and below it the line of the file with a caret. In colour
//! on a terminal.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use rosterd_client::{System, proves};
use rosterd_config::Problem;
use rosterd_model::bare_key;

use super::colour::Colour;

/// Longer lines are cut: nobody finds anything in them.
const LONGEST_LINE: usize = 160;

/// Stands for what is not shown.
const HIDDEN: &str = "...";

/// What has one of these in its line, or [proves](proves) something by its name, is not shown, not even to the one who wrote it:
/// the output of checks is kept and passed on.
const SECRETS: [&str; 3] = ["header", "bearer", "@"];
/// Sections whose values are secrets whatever their names.
const SECRET_SECTIONS: [&str; 3] = ["basic_auth_users", "endpoint_params", "env"];
/// Sections that are named for what they prove, and hold keys that do not.
const OPEN_SECTIONS: [&str; 4] = ["authorization", "basic_auth", "oauth2", "tls_auth_config"];

/// How a problem begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Problem,
    Warning,
}

/// Shows problems, with the files that they are in.
#[derive(Debug, Default)]
pub(super) struct Shown {
    colour: Colour,
    files: HashMap<PathBuf, Option<String>>,
}

impl Shown {
    /// For standard error as it is.
    pub(super) fn on_stderr(system: &System) -> Self {
        Self { colour: Colour::of(&io::stderr(), system), files: HashMap::new() }
    }

    /// A problem in one line or, if its place is known, in three.
    pub(super) fn show(&mut self, severity: Severity, problem: &Problem) -> String {
        let mut shown = match severity {
            Severity::Problem => self.painted("31", problem),
            Severity::Warning => format!("{}{}", self.colour.paint("33", "warning: "), self.painted("33", problem)),
        };
        if let Some((line, above)) = self.line(&problem.file, problem.line) {
            let hidden = hidden(line, above);
            let cut: String = hidden.chars().take(LONGEST_LINE).collect();
            let number = problem.line;
            // What is hidden is pointed at as a whole; a tab stays one, so that the caret stands below its place.
            let column = match hidden.strip_suffix(HIDDEN).filter(|_| hidden != line) {
                Some(shown) => problem.column.min(shown.chars().count() + 1),
                None => problem.column,
            };
            let before: String = line.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
            let margin = " ".repeat(number.to_string().len());
            let caret = if column <= LONGEST_LINE { self.colour.paint("31;1", "^") } else { String::new() };
            write!(shown, "\n {number} | {cut}\n {margin} | {before}{caret}").ok();
            shown.truncate(shown.trim_end().len());
        }
        shown
    }

    fn painted(&self, colour: &str, problem: &Problem) -> String {
        let place = Problem { message: String::new(), key: String::new(), ..problem.clone() }.to_string();
        let place = place.split(": ").next().unwrap_or_default();
        let (place, code) = (format!("{place}:"), format!("({})", problem.code));
        format!("{} {} {}", self.colour.paint("1", &place), problem.words(), self.colour.paint(colour, &code))
    }

    /// A line of a file, and what stands above it.
    fn line(&mut self, file: &Path, number: usize) -> Option<(&str, &str)> {
        let text = self.files.entry(file.to_owned()).or_insert_with(|| rosterd_tasks::files::read_text(file).ok());
        let text = text.as_deref()?;
        let line = text.lines().nth(number.checked_sub(1)?)?;
        let above = line.as_ptr().addr() - text.as_ptr().addr();
        Some((line, &text[..above]))
    }
}

/// A line without the value of a key that may hold a secret, by its own words or by the sections that it is in.
fn hidden(line: &str, above: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let key = lower.split(':').next().unwrap_or_default().trim_matches([' ', '\t', '-', '"', '\'']);
    // Any parameter of a URL may be a secret.
    let has_parameters = line.split_once('?').is_some_and(|(_, behind)| behind.contains('='));
    let own = has_parameters || proves(&lower) || proves(key) || SECRETS.iter().any(|part| lower.contains(part));
    if !own && !sections(line, above).any(|section| secret_section(&section)) {
        return line.to_owned();
    }
    match line.split_once(": ") {
        Some((key, value)) if !value.trim().is_empty() => format!("{}: {HIDDEN}", bare_key(key)),
        None if !line.trim_end().ends_with(':') => HIDDEN.to_owned(),
        _ => line.to_owned(),
    }
}

/// The keys of the sections that a line is in, by its indentation, the innermost first.
fn sections<'a>(line: &str, above: &'a str) -> impl Iterator<Item = String> + use<'a> {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut depth = indentation(line);
    let item = line.trim_start().starts_with('-');
    above.lines().rev().filter_map(move |line| {
        let here = indentation(line);
        let text = line.trim_start();
        // The items of a list may stand as far left as its key.
        let encloses = here < depth || here == depth && item && !text.starts_with('-');
        if text.is_empty() || text.starts_with('#') || !encloses {
            return None;
        }
        depth = here;
        Some(text.split(':').next().unwrap_or_default().trim_matches([' ', '-', '"', '\'']).to_ascii_lowercase())
    })
}

fn secret_section(name: &str) -> bool {
    SECRET_SECTIONS.contains(&name) || name.contains("header") || proves(name) && !OPEN_SECTIONS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_wherever_it_stands() {
        for text in [
            "basic_auth_users:\n  alice: hunter2\n",
            "basic_auth_users:\n  # of the night shift\n\n  alice: hunter2\n",
            "basic_auth:\n  pwd: hunter2\n",
            "basic_auth:\n  passwrd: hunter2\n",
            "http_headers:\n  Cookie:\n    values: [hunter2]\n",
            "http_headers:\n  X-Scope:\n    values:\n    - hunter2\n",
            "headers:\n  X-Scope: hunter2\n",
            "basic_auth:\n  password: >\n    hunter2\n",
            "password: \"a\n  b: hunter2\"\n",
            "exec_sd_configs:\n- command: [x]\n  env:\n    NAME: hunter2\n",
            "- url: http://me:hunter2@h/\n",
            "- url: http://h:99999/?sid=hunter2\n",
            "- targets: ['h/?sid=hunter2']\n",
            "- {url: x, bearer: hunter2}\n",
        ] {
            let folder = rosterd_testkit::Folder::new();
            let file = folder.write("a.yml", text);
            let number = text.lines().count();
            let shown = Shown::default().show(Severity::Problem, &problem(&file, number, 1));
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
            assert!(shown.contains("..."), "{text}: {shown}");
        }
    }

    #[test]
    fn what_is_beside_a_secret_is_shown() {
        for text in [
            "basic_auth_users: {}\ntls_server_config:\n  cert_file: here\n",
            "oauth2:\n  scopes: here\n",
            "- job_name: a\n  basic_auth:\n    username: here\n",
            "authorization: {}\nscrape_interval: here\n",
        ] {
            let folder = rosterd_testkit::Folder::new();
            let file = folder.write("a.yml", text);
            let shown = Shown::default().show(Severity::Problem, &problem(&file, text.lines().count(), 1));
            assert!(shown.contains("here"), "{text}: {shown}");
        }
    }

    fn problem(file: &Path, line: usize, column: usize) -> Problem {
        let message = "bad".to_owned();
        Problem { code: "cfg_syntax", file: file.to_owned(), line, column, key: "a.b".to_owned(), message }
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        let folder = rosterd_testkit::Folder::new();
        let file = folder.write("a.yml", "a:\n\tb: ü x\n  password: hunter2\n  - hunter2 # token\n");
        let name = file.display();
        let mut plain = Shown::default();
        let mut shown = |line, column| plain.show(Severity::Problem, &problem(&file, line, column));
        assert_eq!(shown(2, 7), format!("{name}:2:7: a.b: bad (cfg_syntax)\n 2 | \tb: ü x\n   | \t     ^"));
        assert_eq!(shown(3, 3), format!("{name}:3:3: a.b: bad (cfg_syntax)\n 3 |   password: ...\n   |   ^"));
        assert_eq!(
            shown(3, 16),
            format!("{name}:3:16: a.b: bad (cfg_syntax)\n 3 |   password: ...\n   |             ^")
        );
        assert_eq!(shown(4, 5), format!("{name}:4:5: a.b: bad (cfg_syntax)\n 4 | ...\n   | ^"));
        assert_eq!(shown(0, 0), format!("{name}: a.b: bad (cfg_syntax)"));
        assert_eq!(shown(9, 1), format!("{name}:9:1: a.b: bad (cfg_syntax)"), "the file has changed since");
    }

    #[test]
    fn colours_are_for_terminals() {
        let mut shown = Shown { colour: Colour::always(), ..Shown::default() };
        let told = shown.show(Severity::Warning, &problem(Path::new("/no/such"), 3, 1));
        let wanted = "\x1b[33mwarning: \x1b[0m\x1b[1m/no/such:3:1:\x1b[0m a.b: bad \x1b[33m(cfg_syntax)\x1b[0m";
        assert_eq!(told, wanted);
    }
}
