//! Queries as data: which events are wanted, and how many. The same value comes from the API, the command line and the pages.

use std::time::Duration;

use rosterd_model::Selector;
use rosterd_model::labels::{ADDRESS, INSTANCE};
use rosterd_model::selector::{Matcher, Op, SelectorError};
use serde::{Deserialize, Serialize};

use crate::body::{RawEvent, RawLabels};
use crate::{Event, Kind, Time};

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Those of targets that this means, as they are or as they were. Events that have no target are among all, and among no
    /// others.
    pub selector: Selector,
    /// Those of these jobs; of all, and of none in particular, if there are none.
    pub jobs: Vec<String>,
    /// Those of these kinds; of all, if there are none.
    pub kinds: Vec<Kind>,
    /// Those at this time or later.
    pub from: Option<Time>,
    /// Those at this time or before.
    pub to: Option<Time>,
    /// How many at most.
    pub limit: usize,
    /// Those after the event of this number or, of the newest first, those before it.
    pub cursor: Option<u64>,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// How long is looked for them at most, about, where there are more than some thousand events; without it, as long as a million
    /// events take. The page tells how far that went.
    pub patience: Option<Duration>,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// The events, in the order that was asked for.
    pub events: Vec<Event>,
    /// Where to go on: the cursor of the next query.
    pub cursor: u64,
    /// Whether there may be more there already.
    pub more: bool,
    /// Whether events behind the cursor of the query are gone, or nobody knows: whoever follows has to look at the roster anew. Of the
    /// newest first, whether some are damaged of those that were passed.
    pub gap: bool,
    /// The time of the last event that was looked at, where it ended before it had as many as were wanted and with more to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Time>,
}

/// The selector that a text means: one as it is written in PromQL, or an address, which is looked for in `instance` and
/// `__address__`.
pub fn meaning(text: &str) -> Result<Selector, SelectorError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Selector::All);
    }
    if text.contains('{') || text.starts_with('(') {
        return text.parse();
    }
    let is = |name: &str| Matcher::new(name, Op::Eq, text).map(Selector::Matcher);
    Ok(Selector::or([is(INSTANCE)?, is(ADDRESS)?]))
}

impl Query {
    /// Whether an event may be among those of a record with these kinds and times.
    pub(crate) fn may_be_in(&self, kinds: u64, oldest: Time, newest: Time) -> bool {
        let wanted = self.kinds.iter().fold(0, |all, kind| all | kind.bit());
        (self.kinds.is_empty() || wanted & kinds != 0) && self.is_within(oldest, newest)
    }

    fn is_within(&self, oldest: Time, newest: Time) -> bool {
        self.from.is_none_or(|from| newest >= from) && self.to.is_none_or(|to| oldest <= to)
    }

    /// Whether an event is wanted, wherever it stands.
    pub(crate) fn wants(&self, event: &RawEvent<'_>) -> bool {
        let of_job = || event.job.is_some_and(|job| self.jobs.iter().any(|wanted| wanted == job));
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.is_within(event.time, event.time)
            && (self.jobs.is_empty() || of_job())
            && self.means(event)
    }

    fn means(&self, event: &RawEvent<'_>) -> bool {
        let means = |labels: RawLabels<'_>| self.selector.matches_by(&|name| labels.get(name));
        self.selector == Selector::All || [event.labels, event.from].into_iter().flatten().any(means)
    }
}
