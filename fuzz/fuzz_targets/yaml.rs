//! Any bytes as a list of target groups in YAML.
#![no_main]

use rosterd_discovery::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::yaml(bytes));
