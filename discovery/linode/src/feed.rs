//! The feed of events: as long as nothing happens to the account, a whole reading would find what the last one found.
//!
//! An event is told when something begins, and not when it ends. So while something is under way all is read each time; and now
//! and then in any case, because not all that changes is an event.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::fmt::rfc2822;
use jiff::{Timestamp, Zoned};
use rosterd_discovery::Error;
use rosterd_rest::{Api, Fault, json, present};
use serde_json::json;
use tokio::time::Instant;
use tracing::info;

use super::discoverer::{narrowed, question};

/// One in so many readings is a whole one.
const MOST_QUIET: u32 = 10;
/// How long whoever may not see events does not look for them.
const AGAIN: Duration = Duration::from_secs(3600);
/// The code of a refusal to tell something to whoever asks.
const FORBIDDEN: &str = "http_unauthorized";
/// So many events are asked for. One is enough.
const PAGE: &str = "25";

rosterd_rest::reply! {
    struct Events {
        events: Option<Vec<Event>> = "data",
    }

    struct Event {
        status: String = "status",
    }
}

/// What is known of what happens.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Up to when, by the clock of Linode, all that happened was read.
    since: Option<Timestamp>,
    /// How many looks in a row had no news.
    quiet: u32,
    /// Whether something was under way when all was read.
    is_busy: bool,
    /// Until when nobody looks: whoever asks may not see events.
    closed: Option<Instant>,
}

/// What a look at the feed found, to be kept once all was read.
#[derive(Debug, Default)]
pub(super) struct Mark {
    since: Option<Timestamp>,
    is_busy: bool,
    closed: Option<Instant>,
}

/// A page of the feed, and when it was answered.
struct News {
    events: Vec<Event>,
    answered: Option<Timestamp>,
}

impl Feed {
    /// Looks whether there is anything to read; if so, [`read`](Self::read) has to be told when that was done.
    pub(super) async fn look(&mut self, api: &Api) -> Result<Option<Mark>, Error> {
        if self.is_closed() {
            return Ok(Some(Mark { closed: self.closed, ..Mark::default() }));
        }
        let begun = Instant::now();
        let mut question = question(api, "events", &["account", "events"], PAGE);
        if let Some(since) = self.since {
            let since = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            question = narrowed(question, &json!({"created": {"+gte": since}}))?;
        }
        let News { events, answered } = match question.read_whole(news).await {
            Ok(news) => news,
            // It counts once all else was read with this token: one that is just being replaced may read nothing.
            Err(error) if is_forbidden(&error) => {
                return Ok(Some(Mark { closed: Some(Instant::now() + AGAIN), ..Mark::default() }));
            }
            Err(error) => return Err(error),
        };
        // What happened while the answer was under way is asked for again.
        let since = answered.and_then(|at| at.checked_sub(begun.elapsed() + Duration::from_secs(1)).ok());
        let is_first = self.since.is_none();
        let is_due = is_first || !events.is_empty() || self.is_busy || self.quiet + 1 >= MOST_QUIET;
        if !is_due {
            self.quiet += 1;
            self.since = since.or(self.since);
            return Ok(None);
        }
        // Of the past, only what is still under way matters.
        Ok(Some(Mark { since, is_busy: events.iter().any(Event::is_under_way), closed: None }))
    }

    /// All was read after that look, and perhaps found to be on its way to another state.
    pub(super) fn read(&mut self, mark: Mark, is_passing: bool) {
        if mark.closed.is_some() && self.closed.is_none() {
            info!("the token does not let see events (events:read_only): all is read at each interval");
        }
        *self = Self { since: mark.since, quiet: 0, is_busy: mark.is_busy || is_passing, closed: mark.closed };
    }

    fn is_closed(&self) -> bool {
        self.closed.is_some_and(|until| Instant::now() < until)
    }
}

impl Event {
    fn is_under_way(&self) -> bool {
        matches!(&*self.status, "scheduled" | "started")
    }
}

fn news(headers: &HeaderMap, body: &[u8]) -> Result<News, Fault> {
    let Events { events } = json(body)?;
    let events = present(events, "data")?;
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let answered = date.and_then(|date| rfc2822::parse(date).ok()).as_ref().map(Zoned::timestamp);
    Ok(News { events, answered })
}

/// As for a token that has no right to it, and for a user of few rights.
fn is_forbidden(error: &Error) -> bool {
    error.code() == FORBIDDEN
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    #[test]
    fn a_feed_that_may_not_be_seen_is_looked_at_again_each_hour() {
        leak_checked(async || {
            let mut feed = Feed::default();
            feed.read(Mark { closed: Some(Instant::now() + AGAIN), ..Mark::default() }, false);
            assert!(feed.is_closed());
            tokio::time::advance(AGAIN - Duration::from_secs(1)).await;
            assert!(feed.is_closed());
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!feed.is_closed());
            feed.read(Mark::default(), false);
            assert!(feed.closed.is_none(), "it was seen");
        });
    }
}
