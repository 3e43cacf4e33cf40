//! The feed of events: as long as nothing happens to the account, a whole reading would find what the last one found.
//!
//! An event is told when something begins, and not when it ends. So while something is under way all is read each time; and now
//! and then in any case, because not all that changes is an event.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::fmt::rfc2822;
use jiff::{Timestamp, Zoned};
use rosterd_discovery::Error;
use rosterd_rest::{Api, Fault, json};
use serde_json::json;
use tokio::time::Instant;
use tracing::info;

use super::discoverer::{narrowed, question};

/// One in so many readings is a whole one.
const MOST_QUIET: u32 = 10;
/// The code of a refusal to tell something to whoever asks.
const FORBIDDEN: &str = "http_unauthorized";
/// So many events are asked for. One is enough.
const PAGE: &str = "25";

rosterd_rest::reply! {
    struct Events {
        events: Vec<Event> = "data",
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
    /// Whether whoever asks may not see events.
    is_closed: bool,
}

/// What a look at the feed found, to be kept once all was read.
#[derive(Debug, Default)]
pub(super) struct Mark {
    since: Option<Timestamp>,
    is_busy: bool,
}

/// A page of the feed, and when it was answered.
struct News {
    events: Vec<Event>,
    answered: Option<Timestamp>,
}

impl Feed {
    /// Looks whether there is anything to read; if so, [`read`](Self::read) has to be told when that was done.
    pub(super) async fn look(&mut self, api: &Api) -> Result<Option<Mark>, Error> {
        if self.is_closed {
            return Ok(Some(Mark::default()));
        }
        let begun = Instant::now();
        let mut question = question(api, "events", &["account", "events"], PAGE);
        if let Some(since) = self.since {
            let since = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            question = narrowed(question, &json!({"created": {"+gte": since}}))?;
        }
        let News { events, answered } = match question.read_whole(news).await {
            Ok(news) => news,
            Err(error) if is_forbidden(&error) => {
                info!("the token does not let see events (events:read_only): all is read at each interval");
                self.is_closed = true;
                return Ok(Some(Mark::default()));
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
        Ok(Some(Mark { since, is_busy: events.iter().any(Event::is_under_way) }))
    }

    /// All was read after that look, and perhaps found to be on its way to another state.
    pub(super) fn read(&mut self, mark: Mark, is_passing: bool) {
        *self = Self { since: mark.since, quiet: 0, is_busy: mark.is_busy || is_passing, is_closed: self.is_closed };
    }
}

impl Event {
    fn is_under_way(&self) -> bool {
        matches!(&*self.status, "scheduled" | "started")
    }
}

fn news(headers: &HeaderMap, body: &[u8]) -> Result<News, Fault> {
    let Events { events } = json(body)?;
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let answered = date.and_then(|date| rfc2822::parse(date).ok()).as_ref().map(Zoned::timestamp);
    Ok(News { events, answered })
}

/// As for a token that has no right to it, and for a user of few rights.
fn is_forbidden(error: &Error) -> bool {
    error.code() == FORBIDDEN
}
