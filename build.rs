//! Links in the mechanisms: writes an `extern crate` for each `rosterd-discovery-<name>` among the dependencies, for an
//! optional one if its feature is on. They register themselves, so that nothing else names them.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]

use std::path::Path;

/// What the name of a mechanism's crate begins with.
const PREFIX: &str = "rosterd-discovery-";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let manifest = std::fs::read_to_string("Cargo.toml").expect("cargo runs this in the folder of Cargo.toml");
    let mechanisms = mechanisms(&manifest);
    assert!(!mechanisms.is_empty(), "no mechanism is among the dependencies in Cargo.toml");
    let linked = mechanisms.iter().filter(|mechanism| !mechanism.optional || is_on(mechanism.name));
    let code: String = linked.map(|mechanism| format!("extern crate {};\n", crate_of(mechanism.name))).collect();
    let folder = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&folder).join("mechanisms.rs"), code).expect("the folder takes a file");
}

/// A mechanism among the dependencies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mechanism<'a> {
    pub(crate) name: &'a str,
    pub(crate) optional: bool,
}

/// Those of a manifest, each on a line as it is written here, or in a table of its own as cargo writes it into a package.
pub(crate) fn mechanisms(manifest: &str) -> Vec<Mechanism<'_>> {
    let mut found: Vec<Mechanism<'_>> = Vec::new();
    let mut in_table = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            let table =
                line.strip_prefix("[dependencies.").and_then(|rest| rest.strip_prefix(PREFIX)?.strip_suffix(']'));
            in_table = table.is_some();
            found.extend(table.map(|name| Mechanism { name, optional: false }));
        } else if let Some((name, rest)) = line.strip_prefix(PREFIX).and_then(|line| line.split_once(" = ")) {
            found.push(Mechanism { name, optional: rest.contains("optional = true") });
        } else if let Some(last) = found.last_mut().filter(|_| in_table && line == "optional = true") {
            last.optional = true;
        }
    }
    found
}

fn is_on(name: &str) -> bool {
    std::env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"))).is_some()
}

fn crate_of(name: &str) -> String {
    format!("{PREFIX}{name} as _").replace('-', "_")
}
