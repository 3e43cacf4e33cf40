//! What to do about an unknown key that is one elsewhere, or was one in another version.

use rosterd_yaml::Problem;

use crate::error::code;

/// Keys that have another name by now.
const RENAMED: [(&str, &str); 4] = [
    ("scrape_classic_histograms", "always_scrape_classic_histograms"),
    ("target_groups", "static_configs"),
    ("scrape_fallback_protocol", "fallback_scrape_protocol"),
    ("sd_configs", "file_sd_configs, http_sd_configs or another mechanism's key"),
];

/// Keys that nothing has any more, and those of vmagent.
const GONE: [(&str, &str); 10] = [
    ("max_retries", "a request is sent again until it gets through or its samples are too old (sample_age_limit)"),
    ("disable_compression", "what vmagent calls so is `enable_compression: false`"),
    ("disable_keepalive", "connections to targets are always kept"),
    ("headers", "for requests to targets and sources there is http_headers"),
    ("if", "a condition of vmagent: write it as source_labels and regex"),
    ("no_stale_markers", "series that end are always marked as stale"),
    ("scrape_align_interval", "each target has its own place in the interval"),
    ("scrape_offset", "each target has its own place in the interval"),
    ("series_limit", "sample_limit limits what a scrape may bring"),
    ("stream_parse", "every body is read in one pass"),
];

/// Where keys belong that are often put elsewhere.
const PLACES: [(&str, &[&str]); 9] = [
    (
        "at the left margin of the file",
        &[
            "global",
            "scrape_configs",
            "scrape_config_files",
            "remote_write",
            "remote_read",
            "rule_files",
            "alerting",
            "rosterd",
        ],
    ),
    ("in `global`", &["external_labels", "evaluation_interval"]),
    (
        "in `global`, or in a job of `scrape_configs`",
        &["scrape_interval", "scrape_timeout", "scrape_protocols", "sample_limit"],
    ),
    (
        "in a job of `scrape_configs`",
        &[
            "job_name",
            "static_configs",
            "file_sd_configs",
            "http_sd_configs",
            "dns_sd_configs",
            "relabel_configs",
            "metric_relabel_configs",
            "metrics_path",
            "scheme",
            "params",
            "honor_labels",
            "honor_timestamps",
        ],
    ),
    ("in an entry of `static_configs`", &["targets", "labels"]),
    (
        "in an entry of `relabel_configs`",
        &["source_labels", "target_label", "regex", "replacement", "action", "separator", "modulus"],
    ),
    ("in an entry of `remote_write`", &["queue_config", "write_relabel_configs", "remote_timeout", "send_exemplars"]),
    (
        "in `queue_config` of an entry of `remote_write`",
        &[
            "capacity",
            "max_shards",
            "min_shards",
            "max_samples_per_send",
            "batch_send_deadline",
            "min_backoff",
            "max_backoff",
        ],
    ),
    ("in `tls_config`", &["ca_file", "cert_file", "key_file", "insecure_skip_verify", "server_name"]),
];

/// Says of an unknown key where it belongs, or what it is called.
pub(super) fn improve(problem: &mut Problem) {
    if problem.code != code::UNKNOWN_KEY {
        return;
    }
    let key = problem.key.rsplit(['.', ']']).next().unwrap_or_default();
    let named = |list: &[(&'static str, &'static str)]| list.iter().find(|(name, _)| *name == key).map(|(_, to)| *to);
    let place = || PLACES.iter().find(|(_, keys)| keys.contains(&key)).map(|(place, _)| format!("it belongs {place}"));
    let hint = named(&RENAMED).map(|to| format!("it is called {to} now"));
    let Some(hint) = hint.or_else(|| named(&GONE).map(|why| format!("leave it out: {why}"))).or_else(place) else {
        return;
    };
    // What is known beats what merely looks alike.
    let end = ["; did you mean", "; there are "].iter().filter_map(|hint| problem.message.find(hint)).min();
    let end = end.unwrap_or(problem.message.len());
    problem.message.truncate(end);
    problem.message += &format!("; {hint}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn improved(key: &str) -> String {
        let message = "unknown key `x`; did you mean `y`?";
        let mut problem =
            Problem { key: key.to_owned(), ..Problem::of_file(Path::new("a"), code::UNKNOWN_KEY, message) };
        improve(&mut problem);
        problem.message
    }

    #[test]
    fn keys_of_other_versions_and_sections_are_known() {
        for (key, hint) in [
            ("global.scrape_classic_histograms", "it is called always_scrape_classic_histograms now"),
            ("scrape_configs[0].target_groups", "it is called static_configs now"),
            ("remote_write[0].queue_config.max_retries", "leave it out: a request is sent again"),
            ("scrape_configs[0].relabel_configs[3].if", "leave it out: a condition of vmagent"),
            ("scrape_interval", "it belongs in `global`, or in a job of `scrape_configs`"),
            ("scrape_configs[1].targets", "it belongs in an entry of `static_configs`"),
        ] {
            assert!(improved(key).starts_with(&format!("unknown key `x`; {hint}")), "{key}: {}", improved(key));
        }
        assert_eq!(improved("global.whatever"), "unknown key `x`; did you mean `y`?");
    }
}
