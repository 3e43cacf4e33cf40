//! docs/migrating.md: its configurations are good, and its commands print what stands below them.

use std::path::Path;
use std::process::Command;

use rosterd_testkit::Folder;

use crate::pages::Page;

/// The files of the page: a name in a paragraph of its own, and the block below it.
fn files(page: &str) -> Vec<(&str, &str)> {
    const OPENS: &str = "`\n\n```yaml\n";
    let blocks = page.match_indices(OPENS).filter_map(|(at, _)| {
        let (_, name) = page[..at].rsplit_once("\n`")?;
        let (text, _) = page[at + OPENS.len()..].split_once("\n```\n")?;
        Some((name, text))
    });
    blocks.collect()
}

/// Each command with what it prints.
fn commands(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("\n```console\n$ ").skip(1).filter_map(|rest| rest.split("\n```").next());
    let commands = blocks.flat_map(|block| block.split("\n$ "));
    commands.map(|command| command.split_once('\n').unwrap_or((command, ""))).collect()
}

#[test]
fn the_examples_of_migrating_are_good_and_print_what_the_page_says() {
    let (page, folder) = (Page::read("migrating.md"), Folder::new());
    let files = files(page.text());
    for (name, text) in &files {
        std::fs::create_dir_all(folder.path(name).parent().unwrap()).unwrap();
        folder.write(name, format!("{text}\n"));
    }
    let commands = commands(page.text());
    let binaries = Path::new(env!("CARGO_BIN_EXE_rosterd")).parent().unwrap();
    for (command, printed) in &commands {
        // The order of what goes where is that of a terminal.
        let line = format!("PATH={}:$PATH; {{ {command}; }} 2>&1", binaries.display());
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &line]).current_dir(folder.root()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.trim_end(), *printed, "$ {command}");
        assert!(output.status.success(), "{command}: {said}");
    }
    let configurations: Vec<_> = files.iter().filter(|(name, _)| !name.ends_with("/rosterd.yml")).collect();
    assert!(configurations.len() >= 4, "{files:?}");
    for (name, _) in configurations {
        let checked = commands.iter().any(|(command, _)| command.contains("check config") && command.contains(name));
        assert!(checked, "no command of the page checks {name}");
    }
}
