//! Any bytes as OpenMetrics.
#![no_main]

use rosterd_exposition::{Dialect, fuzzing};

libfuzzer_sys::fuzz_target!(|body: &[u8]| fuzzing::text(body, Dialect::OpenMetrics));
