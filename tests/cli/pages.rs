//! What is generated from the definitions: completions, manual pages, help, version.

use rosterd_testkit::Folder;

use super::run;

#[test]
fn each_shell_gets_a_script_that_knows_the_subcommands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&["completions", shell]);
        assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""), "{shell}");
        assert!(ended.output.contains("relabel") && ended.output.contains("web-config"), "{shell}");
    }
    assert_eq!(run(&["completions", "cmd.exe"]).status, Some(2));
}

#[test]
fn there_is_a_manual_page_for_each_subcommand() {
    let ended = run(&["man"]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.output.contains(".TH rosterd 1"), "{}", ended.output);
    let folder = Folder::new();
    let target = folder.path("man/man1");
    let ended = run(&["man", "--out", target.to_str().expect("folders have plain names")]);
    assert_eq!((ended.status, ended.output.as_str(), ended.errors.as_str()), (Some(0), "", ""));
    let pages: Vec<_> =
        std::fs::read_dir(&target).expect("it was made").map(|page| page.expect("it is there")).collect();
    assert_eq!(pages.len(), 22, "rosterd, what it has, and what `check` has: {pages:?}");
    for page in pages {
        let (name, text) = (page.file_name(), std::fs::read_to_string(page.path()).expect("it can be read"));
        for section in [".SH SYNOPSIS", ".SH EXAMPLES", ".SH FILES", ".SH \"EXIT STATUS\""] {
            let body = text.split_once(&format!("\n{section}\n")).map(|(_, after)| after.split("\n.SH ").next());
            assert!(body.flatten().is_some_and(|body| !body.trim().is_empty()), "{name:?} has no {section}");
        }
    }
    assert!(folder.read("man/man1/rosterd-check-config.1").contains("fatal\\-warnings"));
    assert_eq!(run(&["man", "--out", "check/bad.yml/x"]).status, Some(1));
}

#[test]
fn the_version_tells_what_was_built() {
    let ended = run(&["--version"]);
    assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""));
    for part in
        [concat!("rosterd ", env!("CARGO_PKG_VERSION")), "mechanisms:  aws, azure, consul, ", "dns", "file", "static"]
    {
        assert!(ended.output.contains(part), "{part} is missing in {}", ended.output);
    }
    let [revision, branch, rustc] = rosterd::revision!();
    let from = format!("(branch: {branch}, revision: {revision})");
    assert!(ended.output.contains(&from), "{from} is missing in {}", ended.output);
    assert!(rustc.starts_with("rustc 1.") && ended.output.contains(&format!("rustc:       {rustc}\n")), "{rustc}");
    // In a checkout it is the commit that is checked out.
    let folder = env!("CARGO_MANIFEST_DIR");
    if std::path::Path::new(folder).join(".git").exists() {
        let git = std::process::Command::new("git").args(["-C", folder, "rev-parse", "HEAD"]).output();
        let head = git.expect("there is git where there is a checkout").stdout;
        assert_eq!(String::from_utf8_lossy(&head).trim(), revision);
    }
}

#[test]
fn errors_are_explained_as_in_the_documentation() {
    let ended = run(&["errors", "cfg_unknown_key", "(sd_dns_no_names)"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(2), ""), "one of them is none");
    let (near, all) = ("; did you mean cfg_dns_no_names, sd_dns_", "; `rosterd errors` lists all (cli_unknown_code)");
    assert!(ended.errors.contains(near) && ended.errors.contains(all), "{}", ended.errors);
    let ended = run(&["errors", "cfg_unknown_key"]);
    let text = "cfg_unknown_key (Configuration)\n\nA key that does not exist.\n\n\
                What to do: Correct it; the message names the nearest one.\n";
    assert_eq!((ended.status, ended.output.as_str(), ended.errors.as_str()), (Some(0), text, ""));
    let ended = run(&["errors"]);
    let codes: Vec<_> = ended.output.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut listed: Vec<_> = codes.clone();
    listed.sort_unstable();
    let all = rosterd_testkit::fixture("error_codes.txt");
    assert_eq!(listed, all.lines().collect::<Vec<_>>());
}

#[test]
fn help_is_no_error() {
    let ended = run(&["relabel", "--help"]);
    assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""));
    assert!(ended.output.contains("--explain") && ended.output.contains("Examples:\n"), "{}", ended.output);
}
