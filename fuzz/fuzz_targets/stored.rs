//! Any bytes as what is stored of a provider.
#![no_main]

use rosterd::roster::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::stored(bytes));
