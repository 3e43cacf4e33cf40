//! What the journal is asked for, to tell the past of what was searched for. Pure.

use std::collections::BTreeSet;

use rosterd_model::Selector;
use rosterd_model::labels::{ADDRESS, INSTANCE};
use rosterd_model::selector::{Matcher, Op};
use rosterd_model::target::Target;

use super::explanation::Explanation;
use super::search::Search;
use super::trace::End;
use crate::journal::{self, Kind};

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
        if !self.found.is_empty() || self.is_cut || !self.unsure.is_empty() {
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
            End::Kept { labels } => Some((found.job.clone(), Target(labels).address())),
            End::Dropped | End::Impossible { .. } => None,
        });
        let (jobs, addresses): (BTreeSet<_>, BTreeSet<_>) = targets.unzip();
        let (jobs, selector) = match addresses.is_empty() {
            true => (job.map(str::to_owned).into_iter().collect(), meant(search)?),
            false => (jobs.into_iter().collect(), Selector::or(addresses.into_iter().filter_map(at))),
        };
        Some(journal::Query { selector, jobs, limit: TOLD, newest_first: true, ..journal::Query::default() })
    }
}

/// The target at this very address.
fn at(address: &str) -> Option<Selector> {
    Matcher::new(ADDRESS, Op::Eq, address).ok().map(Selector::Matcher)
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
    use rosterd_model::Labels;

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
        assert_eq!(gone.why.as_deref(), Some("another reading confirmed it"));
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
