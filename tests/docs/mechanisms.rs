//! Which mechanisms are linked in follows from Cargo.toml, in the form of the repository and in that of a published package.

use crate::sources::read;

#[path = "../../build.rs"]
#[allow(dead_code, reason = "cargo runs the rest of it")]
mod build;

const PACKAGED: &str = r#"
[package]
name = "rosterd"

[dependencies.rosterd-discovery]
version = "0.1.0"

[dependencies.rosterd-discovery-exec]
version = "0.1.0"
optional = true

[dependencies.rosterd-discovery-http]
version = "0.1.0"

[dependencies.other]
version = "1"
optional = true

[features]
exec = ["dep:rosterd-discovery-exec"]
"#;

fn found(manifest: &str) -> Vec<(&str, bool)> {
    build::mechanisms(manifest).iter().map(|mechanism| (mechanism.name, mechanism.optional)).collect()
}

#[test]
fn a_package_links_in_what_the_repository_does() {
    assert_eq!(found(PACKAGED), [("exec", true), ("http", false)]);
}

#[test]
fn only_static_file_http_and_dns_are_always_linked_in() {
    let manifest = read("Cargo.toml");
    let always: Vec<_> = found(&manifest).into_iter().filter(|(_, optional)| !optional).map(|(name, _)| name).collect();
    assert_eq!(always, ["dns", "file", "http", "static"]);
    let mut optional: Vec<_> = found(&manifest).into_iter().filter(|(_, optional)| *optional).collect();
    optional.sort_unstable();
    let crates: Vec<_> = optional.iter().map(|(name, _)| *name).collect();
    let mut told = rosterd_config::OPTIONAL_MECHANISMS.map(rosterd_config::feature_of).to_vec();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, crates, "whoever lacks one is told of its feature");
    for (name, _) in optional {
        let feature = format!("\n{name} = [\"dep:rosterd-discovery-{name}\"]\n");
        assert!(manifest.contains(&feature), "the feature of {name} has its name");
    }
}
