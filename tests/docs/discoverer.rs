//! The crate in docs/writing-a-discoverer.md compiles outside of this workspace, its mechanisms work, and its test passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use rosterd_testkit::{Folder, ScriptedServer, Step, leak_checked_live};
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

/// The crate of the page outside of this workspace, with the crates of this one in place of published ones.
fn laid(page: &Page) -> Folder {
    let crate_ = Folder::new();
    let files = [
        "Cargo.toml",
        "src/lib.rs",
        "src/inventory.rs",
        "src/main.rs",
        "tests/contract.rs",
        "prometheus.yml",
        "inventory.yml",
        "targets.txt",
    ];
    for file in files {
        crate_.write(file, block(page, file));
    }
    let patch = |(name, folder): (&str, &str)| format!("{name} = {{ path = {:?} }}\n", root().join(folder));
    let crates = [
        ("rosterd", ""),
        ("rosterd-discovery", "discovery"),
        ("rosterd-model", "model"),
        ("rosterd-client", "client"),
        ("rosterd-credentials", "credentials"),
        ("rosterd-tasks", "tasks"),
        ("rosterd-testkit", "testkit"),
    ];
    let patches: String = crates.map(patch).concat();
    // The same versions and settings as here, so that what is compiled already is used again.
    let profiles = "[profile.dev]\ndebug = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = false\n";
    let manifest = format!("{}\n[patch.crates-io]\n{patches}\n{profiles}", crate_.read("Cargo.toml"));
    crate_.write("Cargo.toml", manifest);
    crate_.write("Cargo.lock", read("Cargo.lock"));
    crate_
}

/// Builds the crate and runs its tests. The binary.
fn built(crate_: &Folder) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).args(["--offline", "--quiet"]).current_dir(crate_.root());
        run(cargo.env("CARGO_TARGET_DIR", target))
    };
    let tested = cargo(&["test"]);
    assert!(tested.contains("1 passed"), "the contract of the mechanism is checked: {tested}");
    cargo(&["build", "--features=agent"]);
    target.join("debug/lines-sd")
}

fn discovered(program: &Path, crate_: &Folder, configuration: &str) -> String {
    let mut program = Command::new(program);
    program.args(["discover", "--config.file", configuration]).current_dir(crate_.root());
    let found: Value = serde_json::from_str(&run(&mut program)).unwrap();
    found.to_string()
}

/// What the page says that a command of its own prints, to either of its outputs.
fn prints_what_the_page_says(program: &Path, crate_: &Folder, page: &Page) {
    let mut rest = page.text();
    let mut commands = 0;
    while let Some((_, after)) = rest.split_once("    $ cargo run --features agent -- ") {
        let (line, after) = after.split_once('\n').unwrap();
        let wanted: Vec<&str> = after.lines().map_while(|line| line.strip_prefix("    ")).collect();
        let wanted: Vec<&str> = wanted.into_iter().take_while(|line| !line.starts_with("$ ")).collect();
        let output = Command::new(program).args(line.split(' ')).current_dir(crate_.root()).output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(printed.lines().collect::<Vec<_>>(), wanted, "{line}");
        commands += 1;
        rest = after;
    }
    assert_eq!(commands, 2, "the page runs its mechanism");
}

#[test]
fn the_crate_of_the_page_compiles_keeps_the_contract_and_discovers() {
    leak_checked_live(async || {
        let inventory = Step::get("/hosts?datacenter=eu-1").any_times().json(
            r#"[{"address": "c:1", "rack": "r1", "slot": 3, "spare": false},
                {"address": "d:1", "rack": "r2", "slot": 4, "spare": true}]"#,
        );
        let server = ScriptedServer::start([inventory]).await;
        let url = server.url("/hosts");
        let (lines, hosts) = rosterd_tasks::blocking(move || {
            let page = Page::read("writing-a-discoverer.md");
            let crate_ = laid(&page);
            let asked = block(&page, "inventory.yml").replace("http://inventory.example/hosts", &url);
            crate_.write("inventory.yml", asked);
            let program = built(&crate_);
            prints_what_the_page_says(&program, &crate_, &page);
            let found = |configuration| discovered(&program, &crate_, configuration);
            (found("prometheus.yml"), found("inventory.yml"))
        })
        .await;
        for expected in ["a:9100", "b:9100", r#""rack":"rack-2""#] {
            assert!(lines.contains(expected), "{expected} in {lines}");
        }
        assert!(hosts.contains(r#""instance":"c:1""#) && hosts.contains(r#""slot":"3""#), "{hosts}");
        assert!(!hosts.contains("d:1"), "relabelling drops spare hosts: {hosts}");
        server.finish().await;
    });
}
