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

/// The words of a line of a shell, quotes taken off.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars().chain([' ']) {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if c == ' ' => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            _ => word.push(c),
        }
    }
    words
}

/// The command lines of rosterd in a line of a shell.
fn own(line: &str) -> Vec<Vec<String>> {
    let words = words(line);
    let commands = words.split(|word| matches!(word.as_str(), "|" | ">" | "<"));
    let bare = |word: &String| word.trim_start_matches("<(").trim_end_matches(')').to_owned();
    let own = commands.map(|command| command.iter().map(bare).skip_while(|word| word != "rosterd").collect());
    own.filter(|own: &Vec<_>| !own.is_empty()).collect()
}

#[test]
fn every_subcommand_has_examples_that_it_takes() {
    let mut found = Vec::new();
    subcommands(&command(), "rosterd", &mut found);
    for (name, _) in found {
        let chapters = man::chapters::of(&name).unwrap_or_else(|| panic!("`{name}` has no chapters"));
        assert!(!chapters.examples.is_empty() && !chapters.files.is_empty(), "{name}");
        for (_, line) in chapters.examples {
            let own = own(line);
            assert!(own.iter().any(|own| own.join(" ").starts_with(&name)), "{line} is none of `{name}`");
            for own in own {
                if let Err(refused) = command().try_get_matches_from(&own) {
                    panic!("{line}: {refused}");
                }
            }
        }
    }
}
