//! Which directories have to be watched for a list of paths and patterns, which files these stand for now, and what an
//! event in one of the directories means for them. Reads directories and symbolic links, never a file.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::pattern::Pattern;

/// As many symbolic links as Linux follows in one path.
const MOST_LINKS: u32 = 40;

/// The files that paths and patterns stand for.
#[derive(Debug, Default)]
pub struct Expansion {
    /// Files that exist, spelled as the paths and patterns spell them.
    pub files: BTreeSet<PathBuf>,
    /// What could not be looked into: files below it may or may not exist.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// The files that paths and patterns stand for now. `*`, `?` and `[...]` stand for parts of one path segment, and a
/// backslash takes what follows it as it is.
///
/// A path without such characters is in the result if it exists, even if it is a symbolic link to nothing.
pub fn expand(patterns: &[PathBuf]) -> Expansion {
    Plan::make(patterns).found
}

/// What an event means.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// These may have changed.
    pub(super) paths: BTreeSet<PathBuf>,
    /// All may have changed.
    pub(super) everything: bool,
    /// Other directories may have to be watched.
    pub(super) replan: bool,
}

impl Effect {
    pub(super) fn is_none(&self) -> bool {
        self.paths.is_empty() && !self.everything && !self.replan
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.everything |= other.everything;
        self.replan |= other.replan;
    }
}

/// Directories by their real paths, without symbolic links, so that none is watched under two names.
#[derive(Debug, Default)]
pub(super) struct Plan {
    directories: BTreeSet<PathBuf>,
    /// Files that have other names: who writes to one of them by another name, in a directory that nobody watches, is
    /// noticed by watching the file itself.
    linked: BTreeSet<PathBuf>,
    pub(super) found: Expansion,
    entries: HashMap<PathBuf, Vec<Entry>>,
    wildcards: HashMap<PathBuf, Vec<Wildcard>>,
}

/// An entry of a watched directory that one of the paths leads through, or to.
#[derive(Debug)]
struct Entry {
    /// The path as the caller spells it, unless a pattern further on leaves it open.
    stands_for: Option<PathBuf>,
    /// Whether the way goes on behind it.
    passage: bool,
}

/// A pattern for the entries of a watched directory.
#[derive(Debug)]
struct Wildcard {
    pattern: Pattern,
    /// The directory as the caller spells it.
    directory: PathBuf,
    last: bool,
}

impl Plan {
    pub(super) fn make(patterns: &[PathBuf]) -> Self {
        let mut plan = Self::default();
        for pattern in patterns {
            match Walk::start(pattern) {
                Ok(walk) => plan.follow(walk),
                Err(error) => plan.found.unreadable.push((pattern.clone(), error)),
            }
        }
        plan
    }

    /// What has to be watched.
    pub(super) fn places(&self) -> impl Iterator<Item = &PathBuf> {
        self.directories.iter().chain(&self.linked)
    }

    pub(super) fn has_place(&self, path: &Path) -> bool {
        self.directories.contains(path) || self.linked.contains(path)
    }

    /// What an event at a real path means.
    pub(super) fn effect(&self, real: &Path) -> Effect {
        let mut effect = Effect::default();
        // The directories below a path follow it in the order of paths.
        if self.directories.range(real.to_owned()..).next().is_some_and(|next| next.starts_with(real)) {
            (effect.everything, effect.replan) = (true, true);
        }
        // It may be another file now.
        effect.replan |= self.linked.contains(real);
        for entry in self.entries.get(real).into_iter().flatten() {
            effect.replan |= entry.passage;
            match &entry.stands_for {
                Some(path) => drop(effect.paths.insert(path.clone())),
                None => effect.everything = true,
            }
        }
        let (Some(directory), Some(name)) = (real.parent(), real.file_name()) else { return effect };
        for wildcard in self.wildcards.get(directory).into_iter().flatten() {
            match matches(&wildcard.pattern, name) {
                true if wildcard.last => drop(effect.paths.insert(wildcard.directory.join(name))),
                true => (effect.everything, effect.replan) = (true, true),
                false => {}
            }
        }
        effect
    }

    fn follow(&mut self, mut walk: Walk) {
        while let Some(step) = walk.rest.pop() {
            if step.name == ".." {
                walk.real.pop();
                walk.spell(&step);
            } else if let Some(pattern) = step.pattern() {
                return self.spread(&walk, pattern);
            } else if !self.enter(&mut walk, &step) {
                return;
            }
        }
    }

    /// Goes on to an entry of the directory; false if there is no way on.
    fn enter(&mut self, walk: &mut Walk, step: &Step) -> bool {
        walk.spell(step);
        let entry = walk.real.join(&step.name);
        let kind = match fs::symlink_metadata(&entry) {
            Ok(found) => {
                self.note_links(&entry, &found);
                found.file_type()
            }
            Err(error) => {
                self.note(walk, &entry, !walk.rest.is_empty());
                if !is_missing(&error) {
                    self.found.unreadable.push((walk.spelled.clone(), error));
                }
                return false;
            }
        };
        if step.written && !walk.rest.iter().any(|step| step.written) {
            self.found.files.insert(walk.spelled.clone());
        }
        if kind.is_symlink() {
            self.note(walk, &entry, true);
            return walk.follow_link(&entry);
        }
        if walk.rest.is_empty() || !kind.is_dir() {
            self.note(walk, &entry, !walk.rest.is_empty());
        }
        walk.real = entry;
        kind.is_dir()
    }

    /// Remembers an entry, and has its directory watched.
    fn note(&mut self, walk: &Walk, entry: &Path, passage: bool) {
        self.directories.insert(walk.real.clone());
        self.entries.entry(entry.to_owned()).or_default().push(Entry { stands_for: walk.stands_for(), passage });
    }

    /// Remembers a file that has other names.
    fn note_links(&mut self, real: &Path, found: &fs::Metadata) {
        if has_other_names(found) {
            self.linked.insert(real.to_owned());
        }
    }

    /// Goes on to all entries of the directory that match.
    fn spread(&mut self, walk: &Walk, pattern: Pattern) {
        let last = !walk.rest.iter().any(|step| step.written);
        self.directories.insert(walk.real.clone());
        let entries = match fs::read_dir(&walk.real).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => Vec::new(),
            Err(error) => {
                self.found.unreadable.push((walk.spelled.clone(), error));
                Vec::new()
            }
        };
        for entry in entries.into_iter().filter(|entry| matches(&pattern, &entry.file_name())) {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if last && !is_link {
                if let Ok(found) = entry.metadata() {
                    self.note_links(&walk.real.join(entry.file_name()), &found);
                }
                self.found.files.insert(walk.spelled.join(entry.file_name()));
                continue;
            }
            self.enter_matched(walk.clone(), entry.file_name());
        }
        let directory = walk.spelled.clone();
        self.wildcards.entry(walk.real.clone()).or_default().push(Wildcard { pattern, directory, last });
    }

    fn enter_matched(&mut self, mut walk: Walk, name: OsString) {
        if self.enter(&mut walk, &Step { name, written: true }) {
            self.follow(walk);
        }
    }
}

/// The way along one path, with symbolic links followed.
#[derive(Debug, Clone)]
struct Walk {
    /// Where it has come to, without symbolic links.
    real: PathBuf,
    /// The same as the caller spells it.
    spelled: PathBuf,
    /// What is left, the next step at the end.
    rest: Vec<Step>,
    links: u32,
}

#[derive(Debug, Clone)]
struct Step {
    name: OsString,
    /// Written by the caller, not come from a symbolic link.
    written: bool,
}

impl Step {
    fn pattern(&self) -> Option<Pattern> {
        let name = self.name.to_str().filter(|name| self.written && Pattern::is_in(name))?;
        // What is no pattern was refused before it came here.
        Pattern::parse(name).ok()
    }
}

impl Walk {
    fn start(path: &Path) -> io::Result<Self> {
        let (real, spelled) = match path.has_root() {
            true => (PathBuf::from("/"), PathBuf::from("/")),
            false => (std::env::current_dir()?.canonicalize()?, PathBuf::new()),
        };
        let mut walk = Self { real, spelled, rest: Vec::new(), links: 0 };
        walk.prepend(path, true);
        Ok(walk)
    }

    fn prepend(&mut self, path: &Path, written: bool) {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        });
        let steps: Vec<_> = names.map(|name| Step { name, written }).collect();
        self.rest.extend(steps.into_iter().rev());
    }

    fn spell(&mut self, step: &Step) {
        if step.written {
            self.spelled.push(&step.name);
        }
    }

    /// Goes where a symbolic link points to; false if it cannot be read or there are too many.
    fn follow_link(&mut self, link: &Path) -> bool {
        self.links += 1;
        let Ok(target) = fs::read_link(link) else { return false };
        if target.has_root() {
            self.real = PathBuf::from("/");
        }
        self.prepend(&target, false);
        self.links <= MOST_LINKS
    }

    /// The whole path as the caller spells it, unless a pattern is still to come.
    fn stands_for(&self) -> Option<PathBuf> {
        let mut path = self.spelled.clone();
        for step in self.rest.iter().rev().filter(|step| step.written) {
            if step.pattern().is_some() {
                return None;
            }
            path.push(&step.name);
        }
        Some(path)
    }
}

/// Whether a file may be written to by another hard link.
pub(super) fn has_other_names(found: &fs::Metadata) -> bool {
    found.is_file() && found.nlink() > 1
}

fn matches(pattern: &Pattern, name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| pattern.matches(name))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory whose path holds no symbolic link.
    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        (directory, path)
    }

    #[test]
    fn a_pattern_finds_files_and_says_what_an_event_means() {
        let (_keep, root) = directory();
        for name in ["a.json", "b.json", ".hidden.json", "c.yml"] {
            fs::write(root.join(name), "").unwrap();
        }
        let plan = Plan::make(&[root.join("*.json")]);
        let names: Vec<_> = plan.found.files.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, [".hidden.json", "a.json", "b.json"]);
        assert_eq!(plan.directories, BTreeSet::from([root.clone()]));
        let effect = plan.effect(&root.join("new.json"));
        assert_eq!((effect.paths, effect.replan), (BTreeSet::from([root.join("new.json")]), false));
        assert!(plan.effect(&root.join("c.yml")).is_none());
        assert!(plan.effect(&root).everything);
    }

    #[test]
    fn every_link_on_the_way_is_watched_and_stands_for_the_path_as_written() {
        let (_keep, root) = directory();
        fs::create_dir(root.join("..v1")).unwrap();
        fs::write(root.join("..v1/x.yml"), "").unwrap();
        symlink("..v1", root.join("..data")).unwrap();
        symlink("..data/x.yml", root.join("x.yml")).unwrap();
        for pattern in ["x.yml", "*.yml"] {
            let plan = Plan::make(&[root.join(pattern)]);
            assert_eq!(plan.found.files, BTreeSet::from([root.join("x.yml")]));
            assert_eq!(plan.directories, BTreeSet::from([root.clone(), root.join("..v1")]));
            for (name, replan) in [("x.yml", true), ("..data", true), ("..v1/x.yml", false)] {
                let effect = plan.effect(&root.join(name));
                assert_eq!((effect.paths, effect.replan), (BTreeSet::from([root.join("x.yml")]), replan), "{name}");
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_awaited_in_the_nearest_directory() {
        let (_keep, root) = directory();
        let plan = Plan::make(&[root.join("no/such/*.json"), root.join("not.yml")]);
        assert_eq!(plan.directories, BTreeSet::from([root.clone()]));
        assert!(plan.found.files.is_empty() && plan.found.unreadable.is_empty());
        let effect = plan.effect(&root.join("no"));
        assert!(effect.everything && effect.replan);
        let effect = plan.effect(&root.join("not.yml"));
        assert_eq!((effect.paths, effect.replan), (BTreeSet::from([root.join("not.yml")]), false));
    }

    #[test]
    fn patterns_may_stand_for_directories() {
        let (_keep, root) = directory();
        for name in ["a", "b"] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("x.yml"), "").unwrap();
        }
        let plan = Plan::make(&[root.join("*/x.yml")]);
        assert_eq!(plan.found.files, BTreeSet::from([root.join("a/x.yml"), root.join("b/x.yml")]));
        assert!(plan.effect(&root.join("c")).replan);
        assert_eq!(plan.effect(&root.join("a/x.yml")).paths, BTreeSet::from([root.join("a/x.yml")]));
    }

    #[test]
    fn links_in_a_circle_end() {
        let (_keep, root) = directory();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(expand(&[root.join("a")]).files, BTreeSet::from([root.join("a")]));
        assert!(expand(&[root.join("a/x.yml")]).files.is_empty());
    }
}
