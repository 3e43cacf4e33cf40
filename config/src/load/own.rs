//! rosterd's own settings: the key `rosterd` of the main file, the second file, or both, if they say different things.

use std::path::PathBuf;

use rosterd_model::Problem as Found;
use rosterd_yaml::Id;

use super::section::Section;
use super::{ExamineTemplate, Loader};
use crate::error::code;
use crate::file::{RemoteWrite, Rosterd, ScrapeConfig, outputs};

impl Loader<'_> {
    /// The settings, put into effect in `jobs`.
    pub(super) fn own(
        &mut self,
        main: Option<Id>,
        file: Option<Id>,
        jobs: &mut [ScrapeConfig],
        remote_write: &[RemoteWrite],
    ) -> Rosterd {
        // The second file may hold the settings themselves, or the key that they have in the main file.
        let file = file.map(|root| match self.tree.get(root, "rosterd") {
            Some(inner) if self.tree.entries(root).count() == 1 => (inner, "rosterd"),
            _ => (root, ""),
        });
        let (at, path) = match (main, file) {
            (Some(main), Some((file, _))) => (self.merge(main, file, "rosterd"), "rosterd"),
            (Some(main), None) => (main, "rosterd"),
            (None, Some((file, path))) => (file, path),
            (None, None) => return Rosterd::default(),
        };
        let Some(mut section) = self.section::<Rosterd>(at, path, &[]) else { return Rosterd::default() };
        if let Some(publish) = self.tree.get(at, "publish") {
            self.refuse_empty_entries(publish, &format!("{path}.publish"), &["file_sd"]);
        }
        self.refuse_empty_entries(at, path, &["templates"]);
        self.cluster(at, path);
        let names: Vec<&str> = jobs.iter().map(ScrapeConfig::job_name).collect();
        let found = section.value.check(&names, remote_write, self.options.allow_template_commands);
        let collides = found.iter().any(|it| it.code == code::OUTPUT_COLLISION);
        self.found(&section, found);
        let files = self.tree.get(at, "publish").and_then(|publish| self.tree.get(publish, "file_sd"));
        let (files, templates) = (self.folders(files), self.folders(self.tree.get(at, "templates")));
        let of = |folders: &[PathBuf], index: usize| folders.get(index).cloned().unwrap_or_default();
        section.value.resolve_paths(|index| of(&files, index), |index| of(&templates, index));
        // Not only where files are looked into: what is rendered must never take the place of what is read.
        if !collides {
            let found = outputs::examine(&section.value, &names, &self.files, self.options.examine);
            self.found(&section, found);
        }
        let blind = section.value.blind();
        self.noticed(&section, blind);
        if self.options.examine {
            let idle = section.value.idle();
            self.noticed(&section, idle);
        }
        if let Some(examine) = self.options.template {
            self.templates(&section, examine);
        }
        for job in jobs {
            job.scrape = section.value.jobs.get(job.job_name()).is_none_or(|settings| settings.scrape);
        }
        section.value
    }

    /// Complains of a cluster that has no members, which would be no cluster, and of members without a name.
    fn cluster(&mut self, at: Id, path: &str) {
        let Some(cluster) = self.tree.get(at, "cluster") else { return };
        let path = format!("{path}.cluster");
        match self.tree.get(cluster, "static") {
            Some(members) if !self.tree.is_null(members) => {
                self.refuse_empty_entries(members, &format!("{path}.static"), &["members"]);
            }
            // Another key may be meant, or it is no map: that is told elsewhere.
            _ if self.problems.iter().any(|problem| problem.key.starts_with(&path)) => {}
            _ => {
                self.wrong(cluster, path, code::MISSING_KEY, "a cluster needs members: write static: {members: [a, b]}")
            }
        }
    }

    /// Says what is wrong with the files of templates: at the key, if one cannot be read; otherwise where it stands in the file.
    fn templates(&mut self, section: &Section<Rosterd>, examine: ExamineTemplate<'_>) {
        let mut unreadable = Vec::new();
        let templates = section.value.templates.iter().enumerate();
        for (index, template) in templates.filter(|(_, it)| !it.source.as_os_str().is_empty()) {
            match examine(&template.source) {
                Some(problem) if problem.code == code::UNREADABLE => {
                    let message = format!("{}: {}", problem.file.display(), problem.message);
                    unreadable.push(Found::new(format!("templates[{index}].source"), problem.code, message));
                }
                // One template may be used twice.
                found => self.problems.extend(found),
            }
        }
        self.found(section, unreadable);
    }

    /// The folder of the file of each element of a list.
    fn folders(&self, list: Option<Id>) -> Vec<PathBuf> {
        list.map_or(&[][..], |list| self.tree.items(list)).iter().map(|entry| self.base(*entry)).collect()
    }

    /// Both maps in one. What both of them say is a problem.
    fn merge(&mut self, main: Id, file: Id, path: &str) -> Id {
        if self.tree.is_null(main) {
            return file;
        }
        if self.tree.is_null(file) {
            return main;
        }
        let (merged, twice) = self.tree.merge(main, file, path);
        for (at, path, other) in twice {
            let message = format!("{path} is set at {} too: keep one of the two", self.tree.place(other));
            self.wrong(at, path, code::CONFLICTING_KEYS, message);
        }
        merged
    }
}
