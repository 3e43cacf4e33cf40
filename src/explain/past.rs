//! What the journal is asked for, to tell the past of what was searched for. Pure.

use std::collections::BTreeSet;

use rosterd_model::labels::{ADDRESS, INSTANCE};
use rosterd_model::selector::{Matcher, Op};
use rosterd_model::{Labels, Selector};

use super::explanation::{Explanation, Unsure};
use super::search::Search;
use super::trace::End;
use crate::cluster::is_asked;
use crate::journal::{self, Kind};
use crate::roster::presence::Presence;

/// So many events are told.
const TOLD: usize = 20;

/// That what was searched for is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Since when.
    pub since: journal::Time,
    /// Of which job it was.
    pub job: Option<String>,
    /// Why, in words.
    pub why: Option<String>,
}

impl Explanation {
    /// Where nothing was found that is there, nor may be: that it is gone, as the last that happened to it says.
    pub fn gone(&self) -> Option<Gone> {
        // What a warning is of was read.
        let may_be = |unsure: &Unsure| unsure.failing.is_some() || unsure.presence != Presence::Synced;
        if !self.found.is_empty() || self.is_cut || self.more_unsure > 0 || self.unsure.iter().any(may_be) {
            return None;
        }
        let event = self.past.iter().flatten().next().filter(|event| event.note.kind == Kind::Removed)?;
        let note = &event.note;
        let why = journal::why(note).map(str::to_owned);
        let why = why.or_else(|| note.reason.as_ref().map(|reason| reason.to_string()));
        let job = note.job.as_ref().map(|job| job.to_string());
        Some(Gone { since: event.time, job, why })
    }

    /// Asks for what happened last to the targets that were found or, where none was, to what was searched for. Words that may be
    /// a part of anything are not looked for in the past.
    pub fn question(&self, search: &Search, job: Option<&str>) -> Option<journal::Query> {
        let targets = self.found.iter().filter_map(|found| match &found.trace.end {
            End::Kept { labels } => Some((found.job.clone(), asked(labels))),
            End::Dropped | End::Impossible { .. } => None,
        });
        let (jobs, asked): (BTreeSet<_>, BTreeSet<_>) = targets.unzip();
        let (jobs, selector) = match asked.is_empty() {
            true => (job.map(str::to_owned).into_iter().collect(), meant(search)?),
            false => (jobs.into_iter().collect(), Selector::or(asked.iter().map(|labels| at(labels)))),
        };
        Some(journal::Query { selector, jobs, limit: TOLD, newest_first: true, ..journal::Query::default() })
    }
}

/// What says what is asked of a target.
fn asked(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().filter(|(name, _)| is_asked(name)).collect()
}

/// The target that is asked for just this: others may be at its address.
fn at(asked: &[(&str, &str)]) -> Selector {
    let is = |(name, value): &(&str, &str)| Matcher::new(name, Op::Eq, value).ok().map(Selector::Matcher);
    Selector::and(asked.iter().filter_map(is))
}

/// The targets that a search means: by a selector, by an address, or by a host.
fn meant(search: &Search) -> Option<Selector> {
    if let Search::Selector(selector) = search {
        return Some(selector.clone());
    }
    let escape = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") };
    // Words have no capitals.
    let address = search.address().filter(|address| address.is_ascii())?.chars().map(escape).collect::<String>();
    let is = |name| Matcher::new(name, Op::Re, &format!("(?i){address}(:[0-9]+)?")).ok().map(Selector::Matcher);
    Some(Selector::or([is(INSTANCE)?, is(ADDRESS)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_last_is_gone_and_what_came_back_is_not() {
        let of = |kind: &str, reason: &str| {
            let event = format!(
                r#"[{{"number": 7, "time": "1970-01-01T00:00:10Z", "kind": "{kind}", "job": "web", "reason": "{reason}"}}]"#
            );
            Explanation { past: serde_json::from_str(&event).unwrap(), ..explanation() }
        };
        let past = |kind: &str, reason: &str| of(kind, reason).gone();
        let gone = past("removed", "confirmed").unwrap();
        assert_eq!((gone.since.to_string(), gone.job.as_deref()), ("1970-01-01T00:00:10Z".to_owned(), Some("web")));
        assert_eq!(
            gone.why.as_deref(),
            Some("another reading confirmed it, or its watched source did not take it back")
        );
        assert_eq!(past("removed", "unheard of").unwrap().why.as_deref(), Some("unheard of"));
        assert_eq!((past("added", "source"), explanation().gone()), (None, None));
        let is_cut = Explanation { is_cut: true, ..of("removed", "confirmed") };
        assert_eq!(is_cut.gone(), None, "it may be among what was not looked at");
    }

    fn explanation() -> Explanation {
        let empty = r#"{"query": "", "found": [], "more": 0, "parts": 0, "entries": 0, "looked": 0, "similar": [], "hints": [],
                        "unsure": [], "moreUnsure": 0}"#;
        serde_json::from_str(empty).unwrap()
    }

    #[test]
    fn the_past_is_that_of_the_target_and_of_no_other_at_its_address() {
        let of = |path: &str, more: &[(&str, &str)]| -> Labels {
            let all = [("__address__", "h:1"), ("__scheme__", "http"), ("__metrics_path__", path), ("__param_a", "1")];
            all.into_iter().chain(more.iter().copied()).collect()
        };
        let found = of("/5", &[("pod", "x")]);
        let past = at(&asked(&found));
        assert!(past.matches(&found) && past.matches(&of("/5", &[("pod", "y")])));
        assert!(!past.matches(&of("/38", &[("pod", "x")])));
    }

    #[test]
    fn of_what_is_nowhere_the_past_of_the_address_or_of_its_host_is_asked_for() {
        let matches = |text: &str, address: &str| {
            let labels: Labels = [("__address__", address), ("instance", "x")].into_iter().collect();
            let question = explanation().question(&Search::parse(text).unwrap(), Some("one"))?;
            assert_eq!((question.jobs, question.newest_first), (vec!["one".to_owned()], true));
            Some(question.selector.matches(&labels))
        };
        for (text, address, matched) in [
            ("Web-1:9100", "web-1:9100", Some(true)),
            ("web-1", "WEB-1:9100", Some(true)),
            ("http://web-1:9100/metrics", "web-1:9100", Some(true)),
            ("10.0.3.7", "10.0.3.77:9100", Some(false)),
            ("10.0.3.7", "10x0.3.7:9100", Some(false)),
            ("x", "web-1:9100", Some(true)),
            ("{__address__=\"web-1:9100\"}", "web-1:9100", Some(true)),
            ("two words", "web-1:9100", None),
        ] {
            assert_eq!(matches(text, address), matched, "{text}");
        }
    }
}
