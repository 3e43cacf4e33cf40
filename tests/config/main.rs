//! `testdata/config`: each `.good.yml` loads, each `.bad.yml` fails with the code that its first line names, and every
//! section, every mechanism and every code of a failure has its files.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod identities;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

// With the mechanisms that it has linked in.
use rosterd as _;
use rosterd_config::{Config, ConfigErrors, LoadOptions, Loaded, code, feature_of};
use rosterd_discovery::{Mechanism, Registry};

/// Sections of which an unknown key must be shown to be refused.
const SECTIONS: [&str; 16] = [
    "top",
    "global",
    "runtime",
    "scrape_config",
    "relabel_config",
    "basic_auth",
    "tls_config",
    "remote_write",
    "queue_config",
    "alerting",
    "storage",
    "tracing",
    "otlp",
    "remote_read",
    "rosterd",
    "template",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config")
}

fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let env = |_: &str| None;
    Config::load(
        path,
        None,
        &Registry::linked().unwrap(),
        &LoadOptions {
            allow_exec: true,
            allow_template_commands: false,
            examine: false,
            impossible: None,
            template: None,
            env: &env,
        },
    )
}

/// Whether the mechanism that a fixture is named after, if it is, was left out of this build.
fn is_for_another_build(name: &str, path: &Path) -> bool {
    let uses_it = std::fs::read_to_string(path).unwrap().contains(&Mechanism::key_of(name));
    uses_it && Registry::linked().unwrap().get(name).is_none()
}

/// The fixtures that end in `.<kind>.yml`, by their names without that.
fn fixtures(kind: &str) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(&format!(".{kind}.yml"))?.to_owned();
            Some((name, path))
        })
        .collect();
    found.sort();
    found
}

/// The code behind `# want:`.
fn wanted(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let first = text.lines().next().unwrap_or_default();
    let code = first.strip_prefix("# want: ").unwrap_or_else(|| panic!("{path:?} must begin with `# want: <code>`"));
    code.to_owned()
}

#[test]
fn good_files_load() {
    for (name, path) in fixtures("good").iter().filter(|(name, path)| !is_for_another_build(name, path)) {
        if let Err(errors) = load(path) {
            panic!("{name}:\n{errors}");
        }
    }
}

#[test]
fn bad_files_fail_with_their_code_and_only_with_that() {
    let mut wrong = Vec::new();
    for (name, path) in fixtures("bad").iter().filter(|(name, path)| !is_for_another_build(name, path)) {
        let want = wanted(path);
        let errors = load(path).expect_err(name);
        let found: BTreeSet<_> = errors.problems.iter().map(|problem| problem.code).collect();
        if !found.iter().eq([want.as_str()].iter()) {
            wrong.push(format!("{name} wants {want}:\n{errors}"));
        }
        if errors.problems.iter().any(|problem| problem.line <= 1) {
            wrong.push(format!("{name} has a problem without a place:\n{errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_nothing_else_in_the_folder() {
    let known: BTreeSet<_> =
        ["good", "bad", "part"].iter().flat_map(|kind| fixtures(kind)).map(|(_, path)| path).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(&path), "{path:?} is no <topic>.good.yml, .bad.yml or .part.yml");
    }
}

#[test]
fn every_section_shows_that_it_refuses_unknown_keys() {
    for section in SECTIONS {
        let path = folder().join(format!("{section}_unknown_key.bad.yml"));
        assert!(path.exists(), "write {path:?}");
        assert_eq!(wanted(&path), code::UNKNOWN_KEY);
    }
}

#[test]
fn every_mechanism_has_a_good_and_a_bad_file() {
    for mechanism in Registry::linked().unwrap().iter() {
        for kind in ["good", "bad"] {
            let path = folder().join(format!("{}.{kind}.yml", mechanism.name));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("write {path:?}"));
            assert!(text.contains(&mechanism.key()), "{path:?} does not use {}", mechanism.key());
        }
    }
}

#[test]
fn every_mechanism_of_the_repository_is_linked_in() {
    let linked: BTreeSet<_> =
        Registry::linked().unwrap().iter().map(|mechanism| feature_of(mechanism.name).replace('_', "-")).collect();
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("discovery")).unwrap();
    let crates = entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("Cargo.toml").exists());
    let names: BTreeSet<_> = crates.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    // A feature that is off leaves its mechanism out.
    assert!(linked.is_subset(&names), "{linked:?} {names:?}");
    assert!(!cfg!(feature = "default") || linked == names, "{linked:?} {names:?}");
}

#[test]
fn every_code_of_a_failure_has_a_bad_file() {
    // The whole, files that are not there, warnings, what the agent tells (tests/cli/check.rs), and what a smaller build lacks
    // (tests/cli/small_build.rs).
    let elsewhere = [
        code::INVALID_CONFIG,
        code::UNREADABLE,
        code::IMPOSSIBLE_TARGET,
        code::INVALID_TEMPLATE,
        code::SECTION_IGNORED,
        code::NOT_SCRAPED,
        code::NO_FILE,
        code::BLIND_CHECK,
        code::CONSTANT_RULE,
        code::NO_ADDRESS,
        code::UNREACHABLE_TARGET,
        code::UNDEFINED_VARIABLE,
        code::NOT_SUPPORTED_YET,
    ];
    let shown: BTreeSet<_> = fixtures("bad").iter().map(|(_, path)| wanted(path)).collect();
    for code in code::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        assert!(shown.contains(*code), "no .bad.yml wants {code}");
    }
}
