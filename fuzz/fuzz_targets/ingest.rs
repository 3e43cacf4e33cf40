//! Any bytes as a sequence of scrapes: what comes out is what a simple model says.
#![no_main]

use rosterd_exposition::Dialect;
use rosterd_scrape::ingest::fuzzing::{Kind, scrapes};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 3 {
        0 => scrapes(rest, Kind::Text(Dialect::Prometheus)),
        1 => scrapes(rest, Kind::Text(Dialect::OpenMetrics)),
        _ => scrapes(rest, Kind::Protobuf),
    }
});
