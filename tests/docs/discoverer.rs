//! The crate in docs/writing-a-discoverer.md compiles outside of this workspace, and its mechanism works.

use std::path::Path;
use std::process::Command;

use rosterd_testkit::Folder;
use serde_json::Value;

use crate::pages::Page;
use crate::sources::{read, root};

/// The block that follows the name of a file.
fn block(page: &Page, file: &str) -> String {
    let (_, after) =
        page.text().split_once(&format!("\n`{file}`\n\n```")).unwrap_or_else(|| panic!("the page has no {file}"));
    let (_, code) = after.split_once('\n').unwrap();
    code.split("\n```\n").next().unwrap().to_owned() + "\n"
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_crate_of_the_page_compiles_and_discovers() {
    let (page, crate_) = (Page::read("writing-a-discoverer.md"), Folder::new());
    std::fs::create_dir(crate_.path("src")).unwrap();
    for file in ["Cargo.toml", "src/lib.rs", "src/main.rs", "prometheus.yml"] {
        crate_.write(file, block(&page, file));
    }
    crate_.write("targets.txt", "rack-1 a:9100\nrack-2 b:9100\n");

    let patch = |(name, folder): (&str, &str)| format!("{name} = {{ path = {:?} }}\n", root().join(folder));
    let crates = [("rosterd", ""), ("rosterd-discovery", "discovery"), ("rosterd-model", "model")];
    let patches: String = crates.map(patch).concat();
    // The same versions and settings as here, so that what is compiled already is used again.
    let profiles = "[profile.dev]\ndebug = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = false\n";
    let manifest = format!("{}\n[patch.crates-io]\n{patches}\n{profiles}", crate_.read("Cargo.toml"));
    crate_.write("Cargo.toml", manifest);
    crate_.write("Cargo.lock", read("Cargo.lock"));

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline", "--quiet"]).current_dir(crate_.root()).env("CARGO_TARGET_DIR", target);
    run(&mut cargo);

    let mut program = Command::new(target.join("debug/lines-sd"));
    program.args(["discover", "--config.file=prometheus.yml"]).current_dir(crate_.root());
    let found: Value = serde_json::from_str(&run(&mut program)).unwrap();
    let text = found.to_string();
    for expected in ["a:9100", "b:9100", r#""rack":"rack-2""#] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}
