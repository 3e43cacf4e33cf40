//! Notes the version of the compiler, which a macro cannot ask for.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").expect("cargo sets it");
    let told = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    println!("cargo::rustc-env=ROSTERD_RUSTC={}", String::from_utf8_lossy(&told.stdout).trim());
}
