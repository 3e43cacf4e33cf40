//! Files into a configuration: read, decode, check, resolve paths; all problems at once.

mod discovery; // the *_sd_configs of a job
mod document; // the sections of the main file
mod environment; // ${VARIABLES} of the environment
mod hints; // where an unknown key may belong
mod jobs; // scrape_configs, wherever they stand
mod own; // rosterd's own settings, from one or two files
mod rules; // relabelling rules in a file of their own
mod section; // one value with its problems
mod targets; // targets that cannot be, as far as they are known

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rosterd_discovery::{CheckContext, Registry};
use rosterd_model::Problem as Found;
use rosterd_tasks::files;
use xxhash_rust::xxh3::Xxh3Default;

use crate::error::{ConfigErrors, code};
use crate::file::Config;
use hints::Holds;
use rosterd_yaml::{Id, Problem, Tree};
use targets::List;

pub use discovery::{OPTIONAL_MECHANISMS, feature_of};
pub use rules::{load_rules, parse_rules};
pub use targets::{Impossible, ImpossibleTarget};

/// What is wrong with the file of a template, if anything is.
pub type ExamineTemplate<'a> = &'a dyn Fn(&Path) -> Option<Problem>;

/// What loading depends on besides the files.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Whether configured commands may be run.
    pub allow_exec: bool,
    /// Whether templates may have commands to be run.
    pub allow_template_commands: bool,
    /// Whether to look into the files that are named too: lists of targets, credentials, certificates.
    pub examine: bool,
    /// Tells which targets of the configuration itself, and of lists if they are looked into, cannot be targets of their job.
    pub impossible: Option<Impossible<'a>>,
    /// Tells what is wrong with the file of a template.
    pub template: Option<ExamineTemplate<'a>>,
    /// Looks up a variable of the environment, for external labels and what mechanisms take of it.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions").field("allow_exec", &self.allow_exec).finish_non_exhaustive()
    }
}

/// A configuration and what was noticed on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is not wrong, and still worth telling.
    pub warnings: Vec<Problem>,
    /// Every file that was read, the main file first.
    pub files: Vec<PathBuf>,
    /// A hash of the names and contents of all files: equal as long as nothing changed.
    pub checksum: u64,
}

impl Config {
    /// Reads a configuration: the file that is Prometheus' own, and, if given, the one with rosterd's settings.
    ///
    /// Fails with all problems and warnings of all files. Relative paths become relative to the file that holds them.
    pub fn load(
        path: &Path,
        rosterd_path: Option<&Path>,
        registry: &Registry,
        options: &LoadOptions<'_>,
    ) -> Result<Loaded, ConfigErrors> {
        let mut loader = Loader {
            tree: Tree::default(),
            registry,
            options,
            check: CheckContext { allow_exec: options.allow_exec },
            problems: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
            hash: Xxh3Default::new(),
            cut: false,
            job_places: HashMap::new(),
            lists: Vec::new(),
            addresses: Vec::new(),
            without_address: Vec::new(),
        };
        let main = loader.read(path).filter(|root| loader.is_configuration(*root));
        let own = rosterd_path.map(|path| loader.read(path));
        let config = match (main, own) {
            (Some(main), None) => Some(loader.document(main, None)),
            (Some(main), Some(Some(own))) => Some(loader.document(main, Some(own))),
            _ => None,
        };
        loader.finish(config, path, rosterd_path)
    }
}

/// Problems that may be none once a file is read to its end.
const OF_THE_WHOLE: [&str; 7] = [
    code::MISSING_KEY,
    code::UNKNOWN_JOB,
    code::UNKNOWN_ENDPOINT,
    code::EMPTY_ENTRY,
    code::NOT_SCRAPED,
    code::CONSTANT_RULE,
    code::NO_ADDRESS,
];

/// The state of loading.
struct Loader<'a> {
    tree: Tree,
    registry: &'a Registry,
    options: &'a LoadOptions<'a>,
    check: CheckContext,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    files: Vec<PathBuf>,
    hash: Xxh3Default,
    /// Whether a file breaks off, so that what is missing may stand behind the break.
    cut: bool,
    /// Where each job was first named.
    job_places: HashMap<String, String>,
    /// Lists of the job that is read.
    lists: Vec<List>,
    /// Targets of the job that is read whose addresses are none, unless its rules change that.
    addresses: Vec<Problem>,
    /// Discovery of the job that is read that finds no addresses, with its place and path.
    without_address: Vec<(Id, String, Found)>,
}

impl Loader<'_> {
    /// Reads a file into the tree.
    fn read(&mut self, path: &Path) -> Option<Id> {
        self.files.push(path.to_owned());
        let bytes = match files::read_document(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.problems.push(Problem::unreadable(path, &error));
                return None;
            }
        };
        self.hash.update(path.as_os_str().as_encoded_bytes());
        self.hash.update(&(bytes.len() as u64).to_le_bytes());
        self.hash.update(&bytes);
        let reading = self.tree.read(path, &bytes);
        self.problems.extend(reading.problems);
        self.cut |= !reading.whole;
        Some(reading.root)
    }

    /// Whether the file is what a configuration is at all. What it is instead is told in one message.
    fn is_configuration(&mut self, root: Id) -> bool {
        let is_map = self.tree.is_map(root);
        if !is_map {
            let found = if self.tree.is_list(root) { "a list, as in a file of jobs or of targets" } else { "text" };
            let message = format!(
                "expected a configuration, with keys such as `scrape_configs:` at the left margin, and found {found}"
            );
            self.problems.push(self.tree.problem(root, String::new(), code::INVALID_TYPE, message));
        }
        is_map
    }

    fn finish(self, config: Option<Config>, main: &Path, own: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        let Self { mut problems, mut warnings, files, hash, cut, .. } = self;
        let is_known = |problem: &Problem| !cut || !OF_THE_WHOLE.contains(&problem.code);
        problems.retain(is_known);
        warnings.retain(is_known);
        for problem in &mut problems {
            let holds = match problem.file.as_path() {
                file if file == main => Holds::Configuration,
                file if Some(file) == own => Holds::OwnSettings,
                _ => Holds::Jobs,
            };
            hints::improve(problem, holds);
        }
        let order =
            |problem: &Problem| (files.iter().position(|file| *file == problem.file), problem.line, problem.column);
        problems.sort_by_key(order);
        problems.dedup();
        warnings.sort_by_key(order);
        match config {
            Some(config) if problems.is_empty() => Ok(Loaded { config, warnings, files, checksum: hash.digest() }),
            _ => Err(ConfigErrors { problems, warnings }),
        }
    }
}

/// The folder of a file, absolute.
fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}
