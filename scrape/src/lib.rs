//! The scrape workers: schedule, fetch, parse, limits, staleness.

pub mod ingest;
