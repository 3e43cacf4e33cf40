//! docs/errors.md and testdata/error_codes.txt know every code. Codes are published: none is renamed, reused or removed.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_testkit::fixture;

use crate::pages::{Page, rows};
use crate::sources::{is_word, literals, sources};

/// What begins as a code does and is none: keys of configurations and of profiles of AWS, a label of a database, a variable of the environment, automatic series, a
/// label of Prometheus' own metrics, and the kind of a publication.
const NO_CODES: [&str; 25] = [
    "duration_seconds",
    "http_endpoint_enabled",
    "http_headers",
    "http_proxy",
    "http_sd",
    "http_server_config",
    "relabel_debug",
    "scrape_align_interval",
    "scrape_body_size_bytes",
    "scrape_classic_histograms",
    "scrape_config_files",
    "scrape_duration_seconds",
    "scrape_failure_log_file",
    "scrape_fallback_protocol",
    "scrape_interval",
    "scrape_job",
    "scrape_offset",
    "scrape_protocols",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "scrape_timeout",
    "scrape_timeout_seconds",
    "size_slug",
    "web_identity_token_file",
];

fn listed() -> Vec<String> {
    fixture("error_codes.txt").lines().map(str::to_owned).collect()
}

/// The literals in the bodies of `fn code`, with the file of each.
fn returned() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        for body in text.split("fn code(").skip(1) {
            let body = body.split("\n    }").next().unwrap_or_default();
            for code in literals(body).into_iter().filter(|literal| is_word(literal)) {
                found.entry(code.to_owned()).or_default().insert(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn the_list_of_codes_is_sorted_and_each_is_there_once() {
    let listed = listed();
    assert!(listed.is_sorted_by(|one, next| one < next), "sort testdata/error_codes.txt: LC_ALL=C sort -u");
}

#[test]
fn every_code_is_listed() {
    let listed: BTreeSet<String> = listed().into_iter().collect();
    let prefixes: BTreeSet<&str> =
        listed.iter().filter_map(|code| code.split_once('_')).map(|(part, _)| part).collect();
    let mut missing: BTreeSet<String> = returned().into_keys().filter(|code| !listed.contains(code)).collect();
    for text in sources().values() {
        let words = literals(text).into_iter().filter(|word| is_word(word) && !NO_CODES.contains(word));
        let words = words.filter(|word| prefixes.contains(word.split('_').next().unwrap_or_default()));
        let words = words.filter(|word| !word.ends_with("_configs"));
        missing.extend(words.filter(|word| !listed.contains(*word)).map(str::to_owned));
    }
    assert!(missing.is_empty(), "add these codes to testdata/error_codes.txt and docs/errors.md: {missing:?}");
}

#[test]
fn no_listed_code_is_renamed_or_removed() {
    let sources = sources();
    let used: BTreeSet<&str> = sources.values().flat_map(|text| literals(text)).collect();
    let gone: Vec<_> = listed().into_iter().filter(|code| !used.contains(code.as_str())).collect();
    assert!(gone.is_empty(), "codes are published, so keep them as they are: {gone:?}");
}

#[test]
fn no_two_contexts_share_a_code() {
    let shared: Vec<_> = returned().into_iter().filter(|(_, paths)| paths.len() > 1).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn the_page_of_errors_has_a_row_for_each_code() {
    let rows = rows(Page::read("errors.md").text());
    let (documented, listed): (BTreeSet<_>, BTreeSet<_>) =
        (rows.keys().cloned().collect(), listed().into_iter().collect());
    let difference: Vec<_> = documented.symmetric_difference(&listed).collect();
    assert!(difference.is_empty(), "in docs/errors.md or in testdata/error_codes.txt, not in both: {difference:?}");
    let empty: Vec<_> =
        rows.iter().filter(|(_, cells)| cells.len() < 2 || cells.iter().any(String::is_empty)).collect();
    assert!(empty.is_empty(), "these need a meaning and what to do: {empty:?}");
}
