//! Any bytes as the text format of Prometheus.
#![no_main]

use rosterd_exposition::{Dialect, read_all};

libfuzzer_sys::fuzz_target!(|body: &[u8]| read_all(body, Dialect::Prometheus));
