//! Any bytes as what happens to a queue on disk.
#![no_main]

use rosterd_ship::fuzzing;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fuzzing::queue(folder.path(), script);
});
