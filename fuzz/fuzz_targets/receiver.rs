//! Any bytes as the answer of a receiver of remote write.
#![no_main]

use rosterd_ship::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::answer(bytes));
