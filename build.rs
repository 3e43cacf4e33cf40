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
    let lines = manifest.lines().filter_map(|line| line.strip_prefix(PREFIX)?.split_once(" = "));
    let linked = lines.filter(|(name, rest)| !rest.contains("optional = true") || is_on(name));
    let code: String = linked.map(|(name, _)| format!("extern crate {};\n", crate_of(name))).collect();
    let folder = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&folder).join("mechanisms.rs"), code).expect("the folder takes a file");
}

fn is_on(name: &str) -> bool {
    std::env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"))).is_some()
}

fn crate_of(name: &str) -> String {
    format!("{PREFIX}{name} as _").replace('-', "_")
}
