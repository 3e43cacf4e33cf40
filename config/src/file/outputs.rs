//! Whether what is rendered would destroy what is read, or another output, on the disk as it is: links are followed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rosterd_model::Problem;
use rosterd_tasks::files::{clean, in_the_way};

use super::rosterd::Rosterd;
use crate::error::code;

/// Examines what is written to files, whose paths are absolute. `read` are the files of the configuration. Whether there can be such
/// files is asked only where the disk is looked at: what is in their way may go, and costs its own output alone until then.
pub(crate) fn examine(settings: &Rosterd, jobs: &[&str], read: &[PathBuf], looks: bool) -> Vec<Problem> {
    let cannot_be = |path: &Path| if looks { cannot_be(path) } else { None };
    let mut taken: HashMap<PathBuf, String> = HashMap::new();
    for file in read {
        taken.insert(real(file), "the configuration is read from".to_owned());
    }
    let mut problems = Vec::new();
    for (index, file_sd) in settings.publish.file_sd.iter().enumerate() {
        let outputs = file_sd.outputs(jobs);
        let mut told = HashSet::new();
        for wrong in outputs.iter().filter_map(|output| cannot_be(&output.path)) {
            // What is in the way of several is told once.
            if told.insert(wrong.at) {
                let path = format!("publish.file_sd[{index}].path");
                problems.push(Problem::new(path, code::INVALID_VALUE, wrong.message));
            }
        }
        taken.extend(outputs.iter().map(|output| (real(&output.path), "publish.file_sd writes".to_owned())));
    }
    for (index, template) in settings.templates.iter().enumerate() {
        taken.insert(real(&template.source), format!("templates[{index}] is made from"));
    }
    let templates = settings.templates.iter().enumerate();
    for (index, template) in templates.filter(|(_, it)| !it.destination.as_os_str().is_empty()) {
        let destination = template.destination.display();
        let mut add =
            |code, message| problems.push(Problem::new(format!("templates[{index}].destination"), code, message));
        if let Some(who) = taken.insert(real(&template.destination), format!("templates[{index}] writes")) {
            add(code::OUTPUT_COLLISION, format!("{who} {destination}: give each output a file of its own"));
        } else if let Some(wrong) = cannot_be(&template.destination) {
            add(code::INVALID_VALUE, wrong.message);
        }
    }
    problems
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = clean(path);
    let found = path.ancestors().find_map(|at| Some((at, std::fs::canonicalize(at).ok()?)));
    match found {
        Some((at, real)) => path.strip_prefix(at).map(|rest| real.join(rest)).unwrap_or_else(|_| path.clone()),
        None => path,
    }
}

/// Why no file can be written to a path.
struct InTheWay {
    /// Where it is.
    at: PathBuf,
    message: String,
}

/// What is in the way of a file at a path, if anything is.
fn cannot_be(path: &Path) -> Option<InTheWay> {
    if path.as_os_str().is_empty() {
        return None;
    }
    let shown = path.display();
    if let Some(what) = in_the_way(path) {
        return Some(InTheWay { at: path.to_owned(), message: format!("{shown} is {what}: give a file") });
    }
    let at = path.ancestors().skip(1).find_map(in_the_way_of_a_folder)?;
    Some(InTheWay { at: at.to_owned(), message: format!("{shown} cannot be: {} is no folder", at.display()) })
}

/// The path, if something is there that is no folder.
fn in_the_way_of_a_folder(path: &Path) -> Option<&Path> {
    std::fs::metadata(path).is_ok_and(|found| !found.is_dir()).then_some(path)
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::Folder;

    use super::*;

    #[test]
    fn what_would_destroy_a_file_is_told_however_it_is_spelled() {
        let folder = Folder::new();
        folder.write("sub/other", "");
        for name in ["a.tmpl", "main.yml", "out"] {
            folder.write(name, "");
        }
        std::os::unix::fs::symlink(folder.path("out"), folder.path("link")).unwrap();
        let found = |second: &str| {
            let at = folder.root().display();
            let text = format!(
                "templates: [{{source: {at}/a.tmpl, destination: {at}/out}}, {{source: {at}/a.tmpl, destination: {at}/{second}}}]"
            );
            let settings: Rosterd = serde_yaml::from_str(&text).unwrap();
            let problems = examine(&settings, &[], &[folder.path("main.yml")], true);
            problems.iter().map(|it| format!("{} {}", it.path, it.code)).collect::<Vec<_>>().join("; ")
        };
        for (second, told) in [
            ("new", ""),
            ("sub/new/deep", ""),
            ("link", "templates[1].destination cfg_output_collision"),
            ("sub/../out", "templates[1].destination cfg_output_collision"),
            ("a.tmpl", "templates[1].destination cfg_output_collision"),
            ("sub/../main.yml", "templates[1].destination cfg_output_collision"),
            ("sub", "templates[1].destination cfg_invalid_value"),
            ("main.yml/x", "templates[1].destination cfg_invalid_value"),
        ] {
            assert_eq!(found(second), told, "{second}");
        }
    }

    #[test]
    fn a_list_that_can_be_no_file_is_told_as_the_file_of_a_template_is() {
        let folder = Folder::new();
        for name in ["file", "sub.json/file", "each/a.json/file", "each/b.json/file"] {
            folder.write(name, "");
        }
        let at = folder.root().display();
        let told = |path: &str| {
            let text = format!("publish: {{file_sd: [{{path: '{at}/{path}'}}]}}");
            let settings: Rosterd = serde_yaml::from_str(&text).unwrap();
            let problems = examine(&settings, &["a", "b"], &[], true);
            problems.iter().map(|it| format!("{} {}: {}", it.path, it.code, it.message)).collect::<Vec<_>>()
        };
        let wrong = |why: String| vec![format!("publish.file_sd[0].path cfg_invalid_value: {at}/{why}")];
        assert_eq!(told("new/x.json"), [""; 0]);
        assert_eq!(told("file/x.json"), wrong(format!("file/x.json cannot be: {at}/file is no folder")));
        assert_eq!(told("file/{job}.json"), wrong(format!("file/a.json cannot be: {at}/file is no folder")));
        assert_eq!(told("sub.json"), wrong("sub.json is a folder: give a file".to_owned()));
        assert_eq!(told("each/{job}.json").len(), 2, "each is in its own way");
        // Where the disk is not looked at, what is in the way costs its own list alone.
        let text = format!("publish: {{file_sd: [{{path: '{at}/sub.json'}}]}}");
        assert_eq!(examine(&serde_yaml::from_str(&text).unwrap(), &["a"], &[], false), []);
    }
}
