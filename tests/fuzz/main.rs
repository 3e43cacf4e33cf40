//! The targets of fuzzing, compiled and run by a stable compiler: over their seeds, whole and damaged, and over random bytes.

/// What the macro of libfuzzer makes of a target, here.
macro_rules! fuzz_target {
    (|$bytes:ident: &[u8]| $body:expr) => {
        pub(crate) fn run($bytes: &[u8]) {
            $body
        }
    };
}
pub(crate) use fuzz_target;

extern crate self as libfuzzer_sys;

/// For each target its module, and its name with what it runs.
macro_rules! targets {
    ($($name:ident in $path:literal,)*) => {
        $(
            #[allow(unused_attributes, reason = "for libfuzzer a target is a crate of its own")]
            #[path = $path]
            mod $name;
        )*

        const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

targets! {
    dns in "../../fuzz/fuzz_targets/dns.rs",
    ingest in "../../fuzz/fuzz_targets/ingest.rs",
    json in "../../fuzz/fuzz_targets/json.rs",
    openmetrics in "../../fuzz/fuzz_targets/openmetrics.rs",
    protobuf in "../../fuzz/fuzz_targets/protobuf.rs",
    queue in "../../fuzz/fuzz_targets/queue.rs",
    receiver in "../../fuzz/fuzz_targets/receiver.rs",
    stored in "../../fuzz/fuzz_targets/stored.rs",
    text in "../../fuzz/fuzz_targets/text.rs",
    yaml in "../../fuzz/fuzz_targets/yaml.rs",
}

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use rosterd_testkit::testdata;

/// Targets that do not end soon on a changed seed get so many of them.
const CHANGES: u32 = 64;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// What fuzzing of a target begins with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let own = testdata(&format!("fuzz/{target}"));
    let folder = if own.exists() { own } else { testdata("exposition") };
    files(&folder).iter().map(|path| std::fs::read(path).expect("a seed can be read")).collect()
}

/// Bytes that were cut, had others put over them, or stand twice.
fn changed(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let change = (0..3, any::<Index>(), prop::collection::vec(any::<u8>(), 1..4));
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut bytes = seed.clone();
        for (kind, at, with) in changes {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.truncate(at),
                1 => bytes.iter_mut().skip(at).zip(with).for_each(|(byte, other)| *byte = other),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    })
}

/// Runs a target on so many of these bytes.
fn try_all(name: &str, run: fn(&[u8]), cases: u32, bytes: impl Strategy<Value = Vec<u8>>) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let tried = runner.run(&bytes, |bytes| {
        run(&bytes);
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{name}: {failure}");
    }
}

#[test]
fn no_target_fails_on_its_seeds_whole_or_damaged() {
    for (name, run) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            run(&seed);
            try_all(name, *run, CHANGES, changed(seed));
        }
    }
}

#[test]
fn no_target_fails_on_random_bytes() {
    for (name, run) in TARGETS {
        try_all(name, *run, CHANGES, prop::collection::vec(any::<u8>(), 0..300));
    }
}

#[test]
fn every_target_is_run_here_and_built_by_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let there: BTreeSet<_> = files(&folder.join("fuzz_targets")).iter().map(|path| stem(path)).collect();
    let here: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(here, there);
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("fuzz has a manifest");
    for name in here {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "fuzz/Cargo.toml does not build {name}"
        );
    }
    let own = files(&testdata("fuzz")).iter().map(|path| stem(path)).collect::<BTreeSet<_>>();
    assert!(own.is_subset(&there), "seeds of no target: {own:?}");
}
