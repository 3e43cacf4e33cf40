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
    for page in ["rosterd", "rosterd-check-config", "rosterd-relabel"] {
        let page = folder.read(&format!("man/man1/{page}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(folder.read("man/man1/rosterd-check-config.1").contains("fatal\\-warnings"));
    assert_eq!(run(&["man", "--out", "check/bad.yml/x"]).status, Some(1));
}

#[test]
fn the_version_tells_what_was_built() {
    let ended = run(&["--version"]);
    assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""));
    for part in [concat!("rosterd ", env!("CARGO_PKG_VERSION")), "mechanisms:  dns, ", "file", "static"] {
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
fn help_is_no_error() {
    let ended = run(&["relabel", "--help"]);
    assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""));
    assert!(ended.output.contains("--explain"));
}
