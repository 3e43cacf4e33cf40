//! Any bytes as the answer of a nameserver.
#![no_main]

use rosterd_discovery_dns::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::answer(bytes));
