//! What to do about an unknown key that is one elsewhere, or was one in another version.

use rosterd_yaml::Problem;

use crate::error::code;

/// Keys that have another name by now.
const RENAMED: [(&str, &str); 5] = [
    ("extra_metrics", "extra_scrape_metrics"),
    ("scrape_classic_histograms", "always_scrape_classic_histograms"),
    ("target_groups", "static_configs"),
    ("scrape_fallback_protocol", "fallback_scrape_protocol"),
    ("sd_configs", "file_sd_configs, http_sd_configs or another mechanism's key"),
];

/// Keys that nothing has any more, and those of vmagent and Alloy: what to do in their place.
const GONE: [(&str, &str); 22] = [
    (
        "max_retries",
        "leave it out: a request is sent again until it gets through or its samples are too old (sample_age_limit)",
    ),
    ("disable_compression", "write `enable_compression: false` in its place"),
    ("enable_protobuf_negotiation", "write PrometheusProto first in scrape_protocols in its place"),
    ("forward_to", "leave it out: every job goes to all of remote_write"),
    ("in_cluster", "leave it out: without api_server and kubeconfig_file the cluster is the one that rosterd runs in"),
    ("metric_relabel_debug", "leave it out: `rosterd relabel --explain` shows what rules do"),
    (
        "proxy_authorization",
        "write it in proxy_connect_header, as in `proxy_connect_header: {Proxy-Authorization: [x]}`",
    ),
    ("proxy_basic_auth", "write user and password in proxy_url, as in http://user:password@proxy:3128"),
    (
        "proxy_bearer_token",
        "write it in proxy_connect_header, as in `proxy_connect_header: {Proxy-Authorization: [x]}`",
    ),
    ("proxy_headers", "write proxy_connect_header in its place, as in `proxy_connect_header: {X-Scope: [a]}`"),
    ("proxy_tls_config", "leave it out: tls_config holds for a proxy, too"),
    ("relabel_debug", "leave it out: `rosterd relabel --explain` shows what rules do"),
    ("wal", "write the limits of the queue on disk in `queue` of `rosterd`"),
    ("disable_keepalive", "leave it out: connections to targets are always kept"),
    ("headers", "write http_headers in its place, as in `http_headers: {X-Scope: {values: [a]}}`"),
    ("if", "write its condition as source_labels and regex of this rule, as in `source_labels: [job], regex: a|b`"),
    ("max_scrape_size", "write body_size_limit in its place"),
    ("no_stale_markers", "leave it out: series that end are always marked as stale"),
    ("scrape_align_interval", "leave it out: each target has its own place in the interval"),
    ("scrape_offset", "leave it out: each target has its own place in the interval"),
    ("series_limit", "leave it out: series are not counted, sample_limit limits what a scrape may bring"),
    ("stream_parse", "leave it out: every body is read in one pass"),
];

/// Actions of vmagent: what to write in their place.
const ACTIONS: [(&str, &str); 9] = [
    (
        "drop_if_equal",
        "write dropequal in its place, with one of the labels as source_labels and the other as target_label",
    ),
    ("drop_metrics", "write drop in its place, with `source_labels: [__name__]`"),
    (
        "keep_if_equal",
        "write keepequal in its place, with one of the labels as source_labels and the other as target_label",
    ),
    ("drop_if_contains", "write drop in its place, with a regex of what source_labels may contain"),
    ("graphite", "write replace in its place, a rule for each label, with a regex of the whole name"),
    ("keep_if_contains", "write keep in its place, with a regex of what source_labels may contain"),
    ("labelmap_all", "write labelmap in its place, which replaces the whole name"),
    (
        "replace_all",
        "write replace in its place: its regex takes the whole value, and one rule replaces one part of it",
    ),
    ("keep_metrics", "write keep in its place, with `source_labels: [__name__]`"),
];

/// What a file of the configuration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Everything: that of `--config.file`.
    Configuration,
    /// rosterd's own settings: that of `--rosterd.config.file`.
    OwnSettings,
    /// Jobs: one of `scrape_config_files`.
    Jobs,
}

/// Keys of [rosterd's own settings](crate::Rosterd), which are often put at the left margin.
const OWN: [&str; 10] = [
    "scrape",
    "stale_markers_on_shutdown",
    "jobs",
    "brake",
    "queue",
    "publish",
    "templates",
    "metrics",
    "journal",
    "ready_grace_period",
];
/// Those of them that nobody takes for anything else, wherever they stand.
const UNMISTAKABLE: [&str; 3] = ["stale_markers_on_shutdown", "publish", "ready_grace_period"];

/// Where keys of rosterd's own settings belong that are often put a level too high. Nobody takes those of the first list for
/// anything else, wherever they stand.
const OWN_PLACES: [(&str, &[&str], &[&str]); 8] = [
    ("in a job of `jobs` of `rosterd`", &["target_removal_grace"], &[]),
    ("in `brake` of `rosterd`", &[], &["confirm", "min_targets", "share"]),
    ("in `scrape` of `rosterd`", &["honor_retry_after", "memory_limit"], &["enabled"]),
    ("in `queue` of `rosterd`, or of an entry of its `remote_write`", &["keep_on"], &["max_size", "max_age"]),
    ("in an entry of `remote_write` of `rosterd`", &[], &["compression"]),
    ("in `metrics` of `rosterd`", &["prometheus_names"], &[]),
    ("in `publish` of `rosterd`", &[], &["file_sd"]),
    ("in `journal` of `rosterd`", &[], &["retention"]),
];

const LEFT_MARGIN: &str = "at the left margin of the file";

/// Where keys belong that are often put elsewhere.
const PLACES: [(&str, &[&str]); 9] = [
    (
        LEFT_MARGIN,
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

/// Says of an unknown key in a file that `holds` this where it belongs, or what it is called; and of an action of vmagent
/// what to write.
pub(super) fn improve(problem: &mut Problem, holds: Holds) {
    let hint = match problem.code {
        code::UNKNOWN_KEY => of_key(&problem.key, holds).or_else(|| of_mechanism(problem)),
        code::INVALID_VALUE => of_action(problem),
        code::INVALID_TYPE => of_entry(problem),
        _ => None,
    };
    let Some(hint) = hint else { return };
    // What is known beats what merely looks alike.
    let ends = [
        "; did you mean",
        "; there are ",
        "; it is called ",
        "; here there are ",
        ": the actions are ",
        ": write keys",
    ];
    let end = ends.iter().filter_map(|hint| problem.message.find(hint)).min();
    problem.message.truncate(end.unwrap_or(problem.message.len()));
    problem.message += &format!("; {hint}");
}

fn of_action(problem: &Problem) -> Option<String> {
    let (_, action) = problem.message.split_once("unknown relabel action \"")?;
    let (_, hint) = ACTIONS.iter().find(|(name, _)| action.starts_with(&format!("{name}\"")))?;
    Some((*hint).to_owned())
}

/// What to write in place of an entry that is a text alone.
fn of_entry(problem: &Problem) -> Option<String> {
    let (list, _) = problem.key.strip_suffix(']')?.rsplit_once('[')?;
    problem.message.contains(", found text").then_some(())?;
    let key = list.rsplit('.').next().unwrap_or_default();
    match key {
        "file_sd_configs" => Some("write files: and the list of them, as in `files: [targets.yml]`".to_owned()),
        "http_sd_configs" | "remote_write" => Some("write url: in front of it".to_owned()),
        "static_configs" => Some("write targets: and the list of them, as in `targets: ['host:9100']`".to_owned()),
        _ => None,
    }
}

fn of_key(path: &str, holds: Holds) -> Option<String> {
    let key = path.rsplit(['.', ']']).next().unwrap_or_default();
    let named = |list: &[(&'static str, &'static str)]| list.iter().find(|(name, _)| *name == key).map(|(_, to)| *to);
    if let Some(to) = named(&RENAMED) {
        return Some(format!("it is called {to} now"));
    }
    if key == "grace" && (path.starts_with("jobs.") || path.starts_with("rosterd.jobs.")) {
        return Some("it is called target_removal_grace".to_owned());
    }
    if let Some(hint) = named(&GONE) {
        return Some(hint.to_owned());
    }
    let is_own = holds == Holds::OwnSettings || path.starts_with("rosterd.");
    if let Some(place) = own_place_of(key, is_own) {
        return Some(format!("it belongs {place}"));
    }
    let below = path.trim_start_matches("rosterd.");
    if is_own && OWN.contains(&key) && below != key {
        if key == "jobs" && below.starts_with("publish.") {
            return Some("it belongs in an entry of `file_sd`".to_owned());
        }
        let root = if holds != Holds::OwnSettings || path.starts_with("rosterd.") {
            "directly below `rosterd:`"
        } else {
            LEFT_MARGIN
        };
        let or = match key {
            "queue" => ", or in an entry of `remote_write`",
            "scrape" | "brake" => ", or in a job of `jobs`",
            _ => "",
        };
        return Some(format!("it belongs {root}{or}"));
    }
    let place = place_of(key, key == path, holds)?;
    Some(match (holds, key) {
        (Holds::OwnSettings, "rosterd") => "leave this line out, or put all of the file below it".to_owned(),
        (Holds::Configuration, _) | (Holds::Jobs, "scrape_configs") => format!("it belongs {place}"),
        (Holds::Jobs, _) if place != LEFT_MARGIN && !OWN.contains(&key) => format!("it belongs {place}"),
        (Holds::OwnSettings | Holds::Jobs, _) if place == LEFT_MARGIN => format!("it belongs {place} of --config.file"),
        (Holds::OwnSettings | Holds::Jobs, _) => format!("it belongs {place}, in the file of --config.file"),
    })
}

/// Of a mechanism that nobody has heard of, and that is not a slip of the pen either.
fn of_mechanism(problem: &Problem) -> Option<String> {
    let (job, key) = problem.key.split_once('.')?;
    let is_in_job = job.starts_with("scrape_configs[") && key.ends_with("_sd_configs") && !key.contains('.');
    let elsewhere = "discover these targets elsewhere, and read them by file_sd_configs or http_sd_configs";
    (is_in_job && !problem.message.contains("; did you mean"))
        .then(|| format!("there is no such mechanism: {elsewhere}"))
}

fn own_place_of(key: &str, is_own: bool) -> Option<&'static str> {
    let is_of = |(_, unmistakable, others): &&(&str, &[&str], &[&str])| {
        unmistakable.contains(&key) || is_own && others.contains(&key)
    };
    OWN_PLACES.iter().find(is_of).map(|(place, ..)| *place)
}

/// Where a key belongs that stands at the left margin, or deeper.
fn place_of(key: &str, is_at_margin: bool, holds: Holds) -> Option<&'static str> {
    let is_own = OWN.contains(&key) && (is_at_margin || UNMISTAKABLE.contains(&key));
    if is_own && holds != Holds::OwnSettings {
        return Some("below `rosterd:`");
    }
    PLACES.iter().find(|(_, keys)| keys.contains(&key)).map(|(place, _)| *place)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn improved(key: &str, holds: Holds) -> String {
        let message = "unknown key `x`; did you mean `y`?";
        let mut problem =
            Problem { key: key.to_owned(), ..Problem::of_file(Path::new("a"), code::UNKNOWN_KEY, message) };
        improve(&mut problem, holds);
        problem.message
    }

    #[test]
    fn keys_of_other_versions_and_sections_are_known() {
        for (key, hint) in [
            ("global.scrape_classic_histograms", "it is called always_scrape_classic_histograms now"),
            ("scrape_configs[0].target_groups", "it is called static_configs now"),
            ("remote_write[0].queue_config.max_retries", "leave it out: a request is sent again"),
            ("scrape_configs[0].relabel_configs[3].if", "write its condition as source_labels and regex of this rule"),
            ("scrape_configs[0].disable_compression", "write `enable_compression: false` in its place"),
            ("scrape_interval", "it belongs in `global`, or in a job of `scrape_configs`"),
            ("scrape_configs[1].targets", "it belongs in an entry of `static_configs`"),
            ("publish", "it belongs below `rosterd:`"),
            ("queue", "it belongs below `rosterd:`"),
            ("brake", "it belongs below `rosterd:`"),
            ("target_removal_grace", "it belongs in a job of `jobs` of `rosterd`"),
            ("rosterd.target_removal_grace", "it belongs in a job of `jobs` of `rosterd`"),
            ("rosterd.jobs.a.grace", "it is called target_removal_grace"),
            ("global.ready_grace_period", "it belongs below `rosterd:`"),
            ("rosterd.memory_limit", "it belongs in `scrape` of `rosterd`"),
            ("rosterd.max_size", "it belongs in `queue` of `rosterd`, or of an entry of its `remote_write`"),
            ("rosterd.file_sd", "it belongs in `publish` of `rosterd`"),
            ("rosterd.publish.templates", "it belongs directly below `rosterd:`"),
            ("rosterd.brake.ready_grace_period", "it belongs directly below `rosterd:`"),
            ("rosterd.publish.file_sd[0].journal", "it belongs directly below `rosterd:`"),
            ("rosterd.publish.jobs", "it belongs in an entry of `file_sd`"),
            ("rosterd.jobs.a.queue", "it belongs directly below `rosterd:`, or in an entry of `remote_write`"),
            ("rosterd.remote_write.x.scrape", "it belongs directly below `rosterd:`, or in a job of `jobs`"),
            ("global.memory_limit", "it belongs in `scrape` of `rosterd`"),
            ("remote_write[0].queue_config.keep_on", "it belongs in `queue` of `rosterd`"),
            ("scrape_configs[0].kubernetes_sd_configs[0].in_cluster", "leave it out: without api_server"),
            ("remote_write[0].wal", "write the limits of the queue on disk in `queue` of `rosterd`"),
        ] {
            let told = improved(key, Holds::Configuration);
            assert_eq!(
                told.strip_prefix("unknown key `x`; ").map(|told| told.starts_with(hint)),
                Some(true),
                "{key}: {told}"
            );
        }
        for key in [
            "global.whatever",
            "scrape_configs[0].metrics",
            "remote_write[0].queue",
            "remote_write[0].compression",
            "scrape_configs[0].file_sd",
        ] {
            assert_eq!(improved(key, Holds::Configuration), "unknown key `x`; did you mean `y`?");
        }
    }

    #[test]
    fn a_key_that_belongs_into_another_file_is_sent_there() {
        for (holds, key, hint) in [
            (Holds::OwnSettings, "scrape_configs", "it belongs at the left margin of the file of --config.file"),
            (Holds::OwnSettings, "rosterd.global", "it belongs at the left margin of the file of --config.file"),
            (Holds::OwnSettings, "job_name", "it belongs in a job of `scrape_configs`, in the file of --config.file"),
            (Holds::OwnSettings, "memory_limit", "it belongs in `scrape` of `rosterd`"),
            (Holds::OwnSettings, "rosterd.compression", "it belongs in an entry of `remote_write` of `rosterd`"),
            (Holds::OwnSettings, "rosterd", "leave this line out, or put all of the file below it"),
            (Holds::OwnSettings, "publish.templates", "it belongs at the left margin of the file"),
            (Holds::OwnSettings, "rosterd.publish.templates", "it belongs directly below `rosterd:`"),
            (Holds::Jobs, "global", "it belongs at the left margin of the file of --config.file"),
            (Holds::Jobs, "rosterd", "it belongs at the left margin of the file of --config.file"),
            (Holds::Jobs, "publish", "it belongs below `rosterd:`, in the file of --config.file"),
            (Holds::Jobs, "job_name", "it belongs in a job of `scrape_configs`"),
            (Holds::Jobs, "scrape_configs[0].scrape_configs", "it belongs at the left margin of the file"),
        ] {
            assert_eq!(improved(key, holds), format!("unknown key `x`; {hint}"), "{holds:?} {key}");
        }
    }

    #[test]
    fn an_action_of_vmagent_is_told_with_that_of_prometheus() {
        let told = |action: &str| {
            let message = rosterd_model::relabel::RelabelError::UnknownAction(action.to_owned()).to_string();
            let mut problem = Problem::of_file(Path::new("a"), code::INVALID_VALUE, message);
            improve(&mut problem, Holds::Configuration);
            problem.message
        };
        assert!(
            told("drop_metrics")
                .ends_with("\"drop_metrics\"; write drop in its place, with `source_labels: [__name__]`")
        );
        assert!(told("dropp").contains("the actions are replace"));
    }
}
