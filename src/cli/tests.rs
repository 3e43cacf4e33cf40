//! The command line as a whole: it is consistent, and documented.

use std::collections::BTreeSet;

use clap::Command;

use super::*;

#[test]
fn the_definitions_are_consistent() {
    command().debug_assert();
}

/// Each subcommand by its full name, with its own flags and arguments.
fn subcommands(command: &Command, name: &str, found: &mut Vec<(String, BTreeSet<String>)>) {
    let own = command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"));
    let flags = own.filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect();
    found.push((name.to_owned(), flags));
    for subcommand in command.get_subcommands() {
        subcommands(subcommand, &format!("{name} {}", subcommand.get_name()), found);
    }
}

/// The flags that the section of a subcommand lists: the first column of its table.
fn documented(page: &str, name: &str) -> Option<BTreeSet<String>> {
    let heading = format!("\n## `{name}`\n");
    let section = page.split_once(&heading)?.1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    Some(
        cells
            .filter(|cell| cell.starts_with("--"))
            .map(|cell| cell.split([' ', '=']).next().unwrap_or(cell).to_owned())
            .collect(),
    )
}

#[test]
fn the_page_lists_each_subcommand_with_its_flags_and_no_others() {
    let page = include_str!("../../docs/cli.md");
    let mut found = Vec::new();
    subcommands(&command(), "rosterd", &mut found);
    let with_page: Vec<_> =
        found.iter().filter(|(name, flags)| !flags.is_empty() || documented(page, name).is_some()).collect();
    for (name, flags) in &with_page {
        let documented = documented(page, name).unwrap_or_else(|| panic!("docs/cli.md has no section `{name}`"));
        assert_eq!(&documented, flags, "docs/cli.md, section `{name}`");
    }
    let headings = page.lines().filter_map(|line| line.strip_prefix("## `rosterd ")?.strip_suffix('`'));
    for heading in headings {
        assert!(found.iter().any(|(name, _)| *name == format!("rosterd {heading}")), "there is no `rosterd {heading}`");
    }
}

#[test]
fn the_page_states_the_exit_statuses() {
    let page = include_str!("../../docs/cli.md");
    for status in [exit::OK, exit::FAILED, exit::USAGE] {
        assert!(page.contains(&format!("| {status} |")), "docs/cli.md does not explain the exit status {status}");
    }
}
