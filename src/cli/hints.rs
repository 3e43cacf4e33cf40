//! What to do about flags that rosterd has not, and Prometheus or vmagent has.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use rosterd_model::nearest;

/// Flags of Prometheus. A name that ends in a dot stands for all that begin so; what stands first counts.
const OF_PROMETHEUS: [(&str, &str); 20] = [
    ("agent", "rosterd is always an agent: leave --agent out, as in `rosterd run --config.file=prometheus.yml`."),
    ("storage.agent.path", "The folder for what rosterd keeps is set by --storage.path."),
    ("storage.tsdb.path", "The folder for what rosterd keeps is set by --storage.path."),
    ("storage.agent.", QUEUE),
    ("storage.tsdb.", QUEUE),
    ("storage.remote.flush-deadline", "How long sending may go on at the end is a part of --shutdown.timeout."),
    ("storage.remote.", NO_QUERIES),
    ("query.", NO_QUERIES),
    ("rules.", NO_QUERIES),
    ("alertmanager.", NO_QUERIES),
    ("web.enable-admin-api", "rosterd stores no series, and has none to administer: leave it out."),
    ("web.enable-remote-write-receiver", NO_RECEIVER),
    ("web.enable-otlp-receiver", NO_RECEIVER),
    ("web.console.", NO_PAGE),
    ("web.user-assets", NO_PAGE),
    ("web.page-title", NO_PAGE),
    ("scrape.name-escaping-scheme", "Write metric_name_escaping_scheme into `global` or a job of the configuration."),
    ("scrape.", "Scrapes begin at their ticks, and have no such setting: leave it out."),
    ("auto-gomemlimit", NO_GO),
    ("auto-gomaxprocs", NO_GO),
];

/// Flags of vmagent, in the same way.
const OF_VMAGENT: [(&str, &str); 20] = [
    ("promscrape.config", "The configuration is named by --config.file."),
    ("promscrape.config.dryRun", CHECK),
    ("dryRun", CHECK),
    ("promscrape.config.strictParse", "Unknown keys are always refused: leave it out."),
    ("promscrape.configCheckInterval", "A changed configuration is read by --config.auto-reload."),
    ("promscrape.maxScrapeSize", "Write body_size_limit into `global` or a job of the configuration."),
    ("promscrape.cluster.", "Write two rules into each job: hashmod of __address__, and keep of this one's number."),
    ("promscrape.", "Discovery and scrapes are set by the jobs of the configuration."),
    ("remoteWrite.url", "Write each receiver into remote_write of the configuration: `- url: http://...`."),
    ("remoteWrite.label", "Write it into external_labels of `global`."),
    ("remoteWrite.tmpDataPath", "The folder for what rosterd keeps is set by --storage.path."),
    ("remoteWrite.maxDiskUsagePerURL", "How much may wait is set by rosterd.queue.max_size in the configuration."),
    ("remoteWrite.", "How samples are sent is set by each entry of remote_write in the configuration."),
    ("httpListenAddr", "Where to listen is set by --web.listen-address."),
    ("http.pathPrefix", "The prefix of all routes is set by --web.route-prefix."),
    ("httpAuth.", WEB_CONFIG),
    ("tls", WEB_CONFIG),
    ("tlsCertFile", WEB_CONFIG),
    ("loggerLevel", "What to log is set by --log.level."),
    ("loggerFormat", "How to log is set by --log.format."),
];

/// Features of Prometheus that rosterd has otherwise.
const FEATURES: [(&str, &str); 4] = [
    ("auto-reload-config", "A changed configuration is read by --config.auto-reload."),
    ("extra-scrape-metrics", "Write extra_scrape_metrics: true into `global` or a job of the configuration."),
    ("native-histograms", "Write scrape_native_histograms: true into `global` or a job of the configuration."),
    ("exemplar-storage", "Write send_exemplars: true into the entries of remote_write."),
];

const QUEUE: &str = "rosterd stores no series: leave it out. How much may wait to be sent is set by rosterd.queue in the configuration.";
const NO_QUERIES: &str = "rosterd answers no queries, evaluates no rules and sends no alerts: leave it out.";
const NO_RECEIVER: &str = "rosterd receives no samples, it scrapes them: leave it out.";
const NO_PAGE: &str = "The pages of rosterd have no such setting: leave it out.";
const NO_GO: &str = "There is no garbage collector, and as many threads as the system has: leave it out.";
const NO_FEATURE: &str =
    "rosterd has no features to switch on: what it does is set in the configuration. Leave it out.";
const CHECK: &str = "`rosterd check config` looks at a configuration without using it.";
const WEB_CONFIG: &str = "TLS and users are set in the file of --web.config.file.";

/// The flag that begins with one dash as those of Go may, refused: rosterd's have two. What stands behind it would be
/// taken for short flags, the `h` of a name for help.
pub(super) fn single_dash(command: &Command, arguments: &[OsString]) -> Option<Error> {
    let words = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    let is_word = |word: &str| {
        let name = word.strip_prefix('-').unwrap_or_default();
        name.len() > 1 && name.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    let flag = words.take_while(|word| word != "--").find(|word| is_word(word))?;
    let mut refused = Error::new(ErrorKind::UnknownArgument).with_cmd(command);
    refused.insert(ContextKind::InvalidArg, ContextValue::String(flag.into_owned()));
    refused.insert(ContextKind::Usage, ContextValue::StyledStr(command.clone().render_usage()));
    Some(refused)
}

/// What to do about the flag that was refused. Where that is known, or what is like the flag is far from it, the error loses
/// its own tip.
pub(super) fn improve(refused: &mut Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(flag)) = refused.get(ContextKind::InvalidArg) else { return None };
    if refused.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let written = flag.split_once('=').map_or(flag.as_str(), |(name, _)| name).to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let hint = of_flag(&written, &arguments);
    if let Some(ContextValue::String(like)) = refused.get(ContextKind::SuggestedArg)
        && (hint.is_some() || nearest(&written, [like.as_str()]).is_none())
    {
        refused.remove(ContextKind::SuggestedArg);
        // What it says of the usage has the flag of the tip in it.
        let words: Vec<_> =
            arguments.iter().skip(1).take_while(|word| !word.starts_with('-')).map(String::as_str).collect();
        let usage = format!("Usage: rosterd {} [OPTIONS]", words.join(" "));
        refused.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
    }
    hint
}

fn of_flag(written: &str, arguments: &[String]) -> Option<String> {
    if !written.starts_with('-') {
        let is_file = [".yml", ".yaml"].iter().any(|ending| written.ends_with(ending));
        return is_file.then(|| "The configuration is named by --config.file.".to_owned());
    }
    let name = written.trim_start_matches('-');
    match (name, arguments.get(1).map(String::as_str)) {
        ("enable-feature", _) => return Some(of_features(&values(written, arguments))),
        ("config.file", Some("check")) => {
            return Some("Name the file without a flag, as in `rosterd check config prometheus.yml`.".to_owned());
        }
        ("config.file" | "web.listen-address", Some(first)) if first.starts_with("--") => {
            return Some("This is a flag of `rosterd run`: put `run` in front of it.".to_owned());
        }
        _ => {}
    }
    let is_meant = |known: &str| name == known || known.ends_with('.') && name.starts_with(known);
    let known =
        OF_PROMETHEUS.iter().chain(&OF_VMAGENT).find(|(known, _)| is_meant(known)).map(|(_, hint)| (*hint).to_owned());
    let dashes = || (!written.starts_with("--")).then(|| format!("Flags begin with two dashes: --{name}."));
    known.or_else(dashes)
}

/// What is given to a flag, each time that it stands there.
fn values<'a>(flag: &str, arguments: &'a [String]) -> Vec<&'a str> {
    let is_flag = |argument: &str| argument.trim_start_matches('-') == flag.trim_start_matches('-');
    let mut found = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        match argument.split_once('=') {
            Some((name, value)) if is_flag(name) => found.push(value),
            None if is_flag(argument) => found.extend(arguments.get(index + 1).map(String::as_str)),
            _ => {}
        }
    }
    found
}

fn of_features(values: &[&str]) -> String {
    let mut hints: Vec<&str> = Vec::new();
    for feature in values.iter().flat_map(|value| value.split(',')).map(str::trim) {
        let hint = FEATURES.iter().find(|(name, _)| *name == feature).map_or(NO_FEATURE, |(_, hint)| *hint);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if hints.is_empty() { NO_FEATURE.to_owned() } else { hints.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is told of a command line.
    fn told(line: &str) -> String {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let command = super::super::command();
        let refused = single_dash(&command, &arguments).or_else(|| command.try_get_matches_from(&arguments).err());
        let mut refused = refused.unwrap_or_else(|| panic!("{line} is taken"));
        let hint = improve(&mut refused, &arguments).unwrap_or_default();
        format!("{refused}{hint}")
    }

    #[test]
    fn a_flag_of_others_is_told_with_what_to_do_and_no_other_tip() {
        for (line, hint) in [
            ("rosterd run --enable-feature=auto-reload-config", "read by --config.auto-reload."),
            ("rosterd run --enable-feature auto-reload-config,concurrent-rule-eval", "Leave it out."),
            ("rosterd run --enable-feature=extra-scrape-metrics", "extra_scrape_metrics: true"),
            ("rosterd run --web.enable-admin-api", "has none to administer"),
            ("rosterd run --web.enable-remote-write-receiver", "receives no samples"),
            ("rosterd run --storage.tsdb.retention.time=1d", "rosterd stores no series"),
            ("rosterd run --storage.agent.path=x", "set by --storage.path"),
            ("rosterd --config.file=x", "put `run` in front of it"),
            ("rosterd check config --config.file=x", "Name the file without a flag"),
            ("rosterd run -promscrape.config=x", "named by --config.file."),
            ("rosterd -promscrape.config=x -remoteWrite.url=http://a/", "named by --config.file."),
            ("rosterd run --remoteWrite.url=http://a/", "into remote_write of the configuration"),
            ("rosterd run -remoteWrite.queues=4", "set by each entry of remote_write"),
            ("rosterd run -httpListenAddr=:8429", "set by --web.listen-address"),
            ("rosterd run -config.file=x", "Flags begin with two dashes: --config.file."),
            ("rosterd discover prometheus.yml", "named by --config.file."),
        ] {
            let told = told(line);
            assert!(told.contains(hint), "{line}: {told}");
            assert!(told.contains("unexpected argument") && !told.contains("similar argument"), "{line}: {told}");
            assert!(told.contains("Usage: rosterd") && !told.contains("--enable-exec-sd"), "{line}: {told}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_the_flag_that_was_meant() {
        for (line, meant) in [
            ("rosterd run --config.fil=x", "'--config.file'"),
            ("rosterd run --web.listen-adress=x", "'--web.listen-address'"),
            ("rosterd run --enable-exec", "'--enable-exec-sd'"),
        ] {
            assert!(told(line).contains(meant), "{line}: {}", told(line));
        }
        for line in ["rosterd run --enable-something", "rosterd run --web.enable-cors"] {
            assert!(!told(line).contains("similar argument"), "{line}: {}", told(line));
        }
    }

    #[test]
    fn what_is_no_flag_is_none() {
        for line in ["rosterd health --timeout -5s", "rosterd check config -- -x.yml", "rosterd -h", "rosterd run -h"] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(single_dash(&super::super::command(), &arguments).is_none(), "{line}");
        }
    }
}
