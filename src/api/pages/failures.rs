//! Errors of targets, told together: of a whole job by their codes, and in words those of a page. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rosterd_model::Report;
use rosterd_model::target::Target;
use rosterd_scrape::{Health, Statuses};

use super::super::targets::LOOKS;
use super::cut::{first_written, written};
use super::link::link;
use crate::roster::target::Entry;
use crate::roster::view::JobView;

/// So many codes are told of a job.
const CODES: usize = 8;
/// So many errors of a code are told in words, of so many bytes each.
const KINDS: usize = 3;
const KIND: usize = 150;
/// What stands on the page around a code, and around the words of one of its errors.
const AROUND: usize = 250;
const AROUND_KIND: usize = 30;

/// Targets of a job that are down by errors with the same code.
pub(super) struct Failures {
    pub(super) code: String,
    /// How many there are in the job.
    pub(super) count: usize,
    /// Where they are listed: a path below the prefix.
    pub(super) path: String,
    /// The errors of those on the page, equal ones once, each with how many there are.
    pub(super) here: Vec<(usize, String)>,
    /// Whether all of the job are on the page.
    pub(super) all_here: bool,
}

impl Failures {
    /// Those of a job, the most frequent first, and how many codes more there are.
    pub(super) fn of(job: &str, statuses: &Statuses) -> (Vec<Self>, usize) {
        let all = statuses.errors(job);
        let more = all.len().saturating_sub(CODES);
        let failures = |(code, count): (String, usize)| {
            let path = link("/targets", [("job", job), ("health", "down"), ("error", &code)]);
            Self { path, code, count, here: Vec::new(), all_here: false }
        };
        (all.into_iter().take(CODES).map(failures).collect(), more)
    }

    /// Counts equal errors of a page, which come with their codes.
    pub(super) fn count_here<'e>(&mut self, page: impl Iterator<Item = (&'e str, &'e str)>) {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        page.filter(|(code, _)| *code == self.code).for_each(|(_, words)| *kinds.entry(words).or_default() += 1);
        self.all_here = kinds.values().sum::<usize>() == self.count;
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| Reverse(*count));
        let told = kinds.into_iter().take(KINDS).map(|(words, count)| (count, first_written(words, KIND).to_owned()));
        self.here = told.collect();
    }

    /// About how long it is on the page at most.
    pub(super) fn size(&self) -> usize {
        AROUND + written(&self.path) + 2 * self.code.len() + KINDS * (KIND + AROUND_KIND)
    }
}

/// What targets of a job are down by most often: how many, the code, and the words of one of them.
pub(super) fn most_frequent(job: &JobView, statuses: &Statuses) -> Option<(usize, String, String)> {
    let name = &job.spec().name;
    let (code, count) = statuses.errors(name).into_iter().next()?;
    let labels = job.blocks().flat_map(|block| block.entries()).filter_map(|entry| match entry {
        Entry::Active(labels) => Some(labels),
        _ => None,
    });
    let words = labels.take(LOOKS).find_map(|labels| {
        let status = statuses.get(name, labels).filter(|status| status.health == Health::Down)?;
        let report = status.error.filter(|report| report.code == code)?;
        Some(of_any(&report, Target(labels).address()))
    });
    Some((count, code, words.unwrap_or_default()))
}

/// Why a target is down, in words that others would have said as well.
pub(super) fn of_any(report: &Report, address: &str) -> String {
    without_target(report.causes.last().unwrap_or(&report.message), address)
}

/// An error without what of it is the target's own: `HTTP status 404 for http://a:1/metrics` is `HTTP status 404` whoever says it.
fn without_target(error: &str, address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let around = ['"', '\'', '`', '(', ')', ',', ';', ':', '.'];
    let is_own = |word: &str| {
        let bare = word.trim_matches(around);
        let authority = bare.split_once("://").map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest));
        let named = authority.unwrap_or(bare);
        // A host may be called as a word is.
        let is_a_name = host.contains(['.', ':']) || authority.is_some() || word.starts_with(['"', '\'', '`']);
        named == address
            || named == host && is_a_name
            || named.rsplit_once(':').is_some_and(|(named, _)| named.trim_matches(['[', ']']) == host)
    };
    let mut words: Vec<String> = Vec::new();
    for word in error.split_whitespace() {
        if !is_own(word) {
            words.push(word.to_owned());
            continue;
        }
        // What parts the sentence stays.
        let parts = if word.ends_with([',', ';', ':']) { &word[word.len() - 1..] } else { "" };
        match words.last().map(String::as_str) {
            Some("for" | "of" | "to" | "from" | "at") => _ = words.pop(),
            _ => words.push("the target".to_owned()),
        }
        match words.last_mut() {
            Some(last) if !last.ends_with(parts) => last.push_str(parts),
            _ => {}
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_any_target_has_nothing_of_one() {
        for (error, address, kind) in [
            ("status 404 Not Found for http://10.0.0.1:9100/metrics", "10.0.0.1:9100", "status 404 Not Found"),
            ("status 401 for http://a/x?y: check the credentials", "a", "status 401: check the credentials"),
            ("tcp connect to a:1, refused", "a:1", "tcp connect, refused"),
            ("no such host \"web.example\"", "web.example:80", "no such host the target"),
            ("connect to [::1]:9100 failed", "[::1]:9100", "connect failed"),
            ("lookup web.example: no such host", "web.example:80", "lookup the target: no such host"),
            ("no route to host", "host:9100", "no route to host"),
            ("connection refused by 10.0.0.9:1", "10.0.0.1:9100", "connection refused by 10.0.0.9:1"),
        ] {
            assert_eq!(without_target(error, address), kind, "{error}");
        }
    }
}
