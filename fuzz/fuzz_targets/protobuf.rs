//! Any bytes as protocol buffers.
#![no_main]

use rosterd_exposition::fuzzing;

libfuzzer_sys::fuzz_target!(|body: &[u8]| fuzzing::protobuf(body));
