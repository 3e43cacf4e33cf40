//! A file that is nothing but a list of relabelling rules.

use std::path::Path;

use rosterd_model::NameScheme;
use rosterd_model::relabel::{RuleConfig, Rules};

use crate::error::{ConfigErrors, code};
use crate::file::compile;
use rosterd_yaml::{Problem, Tree, join_path};

/// What to do with a file that is a whole configuration, or one job of it.
const OF_A_MAP: &str = "expected a list of rules, found a map: for the rules of a whole configuration, name the job by \
                        --job; otherwise write only what stands under relabel_configs";

/// Reads a file that is a list of relabelling rules, such as stands under `relabel_configs`.
///
/// Fails with all problems of the file.
pub fn load_rules(path: &Path, scheme: NameScheme) -> Result<Rules, ConfigErrors> {
    let bytes = rosterd_tasks::files::read_document(path)
        .map_err(|error| ConfigErrors::of(vec![Problem::unreadable(path, &error)]))?;
    parse_rules(path, &bytes, scheme)
}

/// Reads such a list from memory; problems name it by the path.
///
/// Fails with all of them.
pub fn parse_rules(path: &Path, bytes: &[u8], scheme: NameScheme) -> Result<Rules, ConfigErrors> {
    let mut tree = Tree::default();
    let root = tree.read(path, bytes).sound().map_err(ConfigErrors::of)?;
    if tree.is_map(root) && !tree.is_null(root) {
        return Err(ConfigErrors::of(vec![tree.problem(root, String::new(), code::INVALID_TYPE, OF_A_MAP)]));
    }
    let decoded = tree.decode::<Vec<RuleConfig>>(root);
    let mut problems = decoded.problems;
    if tree.is_null(root) {
        problems.push(tree.problem(root, String::new(), code::INVALID_TYPE, "expected a list of rules"));
    }
    let empty = tree.items(root).iter().enumerate().filter(|(_, item)| tree.is_null(**item));
    problems.extend(empty.map(|(index, item)| {
        let message = "an empty entry: fill it in, or remove the dash";
        tree.problem(*item, format!("[{index}]"), code::EMPTY_ENTRY, message)
    }));
    let mut found = Vec::new();
    let rules = compile(&decoded.value.unwrap_or_default(), scheme, "", &mut found);
    for problem in found {
        let (at, _) = tree.find(root, &problem.path, &decoded.left_out);
        // What follows from a value that was refused before, or from an empty entry, is not told again.
        if !decoded.left_out.contains(&at) && !tree.is_null(at) {
            problems.push(tree.problem(at, join_path("", &problem.path), problem.code, problem.message));
        }
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if problems.is_empty() { Ok(rules) } else { Err(ConfigErrors::of(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<usize, Vec<String>> {
        let folder = rosterd_testkit::Folder::new();
        let file = folder.write("rules.yml", text);
        let place = format!("{}:", file.display());
        load_rules(&file, NameScheme::Utf8)
            .map(|rules| rules.len())
            .map_err(|errors| errors.problems.iter().map(|problem| problem.to_string().replace(&place, "")).collect())
    }

    #[test]
    fn rules_are_read_as_in_the_configuration() {
        assert_eq!(load("[]"), Ok(0));
        assert_eq!(
            load("- {source_labels: [a], regex: 9100, action: Keep}\n- {target_label: b, replacement: yes}"),
            Ok(2)
        );
    }

    #[test]
    fn all_problems_are_told_with_their_places() {
        let problems = load(
            "- {regexp: x, target_label: y}\n- {action: hashmod, target_label: a}\n-\n- {regex: '(', target_label: b}",
        )
        .unwrap_err();
        let starts = ["1:4: ", "2:3: ", "3:2: ", "4:11: "];
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem} does not start with {start}");
        }
        assert_eq!(load("").unwrap_err().len(), 1);
        let problems = load("a: 1").unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("name the job by --job"), "{problems:?}");
    }
}
