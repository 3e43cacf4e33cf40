//! Targets that stand in the configuration or in files that it names: those of them that cannot be targets of their job.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rosterd_model::TargetGroup;
use rosterd_tasks::files;
use rosterd_yaml::{Id, Problem, Tree, join_path};

use super::Loader;
use crate::error::code;
use crate::file::ScrapeConfig;

/// How many impossible targets of one list are told. There may be as many as there are targets, for one reason.
const TOLD: usize = 20;

/// A longer list is not read again for the places of what is in it.
const LONGEST: u64 = 64 << 20;

/// Tells which targets of these groups cannot be targets of a job, or never be reached. Those that its rules drop are none of them.
pub type Impossible<'a> = &'a dyn Fn(&ScrapeConfig, &[TargetGroup]) -> Vec<ImpossibleTarget>;

/// An entry of a group that cannot be a target, or one that is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpossibleTarget {
    /// The index of its group.
    pub group: usize,
    /// Its own index in the group.
    pub target: usize,
    /// Why it cannot be one, or not be reached.
    pub why: String,
    /// Whether it is a target all the same, if only one that is always down.
    pub is_target: bool,
}

/// Target groups that are known without asking anybody.
pub(super) struct List {
    pub(super) place: ListPlace,
    pub(super) groups: Vec<TargetGroup>,
}

/// Where a list stands.
pub(super) enum ListPlace {
    /// At this value of the configuration, with this path.
    Here(Id, String),
    /// In a file of its own.
    Elsewhere(PathBuf),
}

impl Loader<'_> {
    /// Complains of all entries of a list that cannot be targets of the job.
    pub(super) fn try_targets(&mut self, job: &ScrapeConfig, list: List) {
        let Some(impossible) = self.options.impossible else { return };
        let found = impossible(job, &list.groups);
        if found.is_empty() {
            return;
        }
        let places = match list.place {
            ListPlace::Here(at, path) => Places::Here(at, path),
            ListPlace::Elsewhere(file) => Places::of(file),
        };
        let (warnings, problems) = found.into_iter().partition(|found| found.is_target);
        self.warnings.extend(self.told(
            job,
            &places,
            code::UNREACHABLE_TARGET,
            "can never be reached as a target",
            warnings,
        ));
        for problem in self.told(job, &places, code::IMPOSSIBLE_TARGET, "cannot be a target", problems) {
            // An address may have been refused before, whatever the rules would make of it.
            if !self.problems.iter().any(|told| is_at(told, &problem)) {
                self.problems.push(problem);
            }
        }
    }

    /// What these entries are for a job, such as "cannot be a target", of which the first are told, and the others counted.
    fn told(
        &self,
        job: &ScrapeConfig,
        places: &Places,
        code: &'static str,
        are: &str,
        mut found: Vec<ImpossibleTarget>,
    ) -> Vec<Problem> {
        let more = found.len().saturating_sub(TOLD);
        found.truncate(TOLD);
        let last = found.len().saturating_sub(1);
        let tell = |(index, ImpossibleTarget { group, target, why, .. })| {
            let mut message = format!("this {are} of the job {:?}: {why}", job.job_name());
            if index == last && more > 0 {
                message += &format!("; and so it is with {more} more of this list");
            }
            self.problem_of(places, &format!("[{group}].targets[{target}]"), code, message)
        };
        found.into_iter().enumerate().map(tell).collect()
    }

    fn problem_of(&self, places: &Places, key: &str, code: &'static str, message: String) -> Problem {
        match places {
            Places::Here(at, path) => {
                let place = self.tree.find(*at, key, &HashSet::new()).0;
                self.tree.problem(place, join_path(path, key), code, message)
            }
            Places::Read(tree, root) => {
                let place = tree.find(*root, key, &HashSet::new()).0;
                tree.problem(place, key.to_owned(), code, message)
            }
            Places::Unknown(file) => Problem { key: key.to_owned(), ..Problem::of_file(file, code, message) },
        }
    }
}

fn is_at(one: &Problem, other: &Problem) -> bool {
    let place = |problem: &Problem| (problem.line, problem.column);
    one.code != other.code && place(one) == place(other) && one.key == other.key && one.file == other.file
}

/// Where the entries of a list are looked up.
enum Places {
    Here(Id, String),
    Read(Tree, Id),
    Unknown(PathBuf),
}

impl Places {
    /// Those of a list in a file. JSON is read as the YAML that it is but for some escapes; behind one of them the place is
    /// that of what is around it.
    fn of(file: PathBuf) -> Self {
        let Some(bytes) = again(&file) else { return Self::Unknown(file) };
        let mut tree = Tree::default();
        let root = tree.read_list(&file, &bytes).root;
        Self::Read(tree, root)
    }
}

fn again(file: &Path) -> Option<Vec<u8>> {
    let found = files::open(file).and_then(|opened| opened.metadata()).ok()?;
    (found.len() <= LONGEST).then(|| files::read(file).ok())?
}
