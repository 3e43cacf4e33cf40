//! What to ask next: a list, the rest of one, or what happened since. Pure: it is told what came of it.

use std::time::Duration;

use rosterd_model::{Coded, Retry};
use rosterd_tasks::{Machine as OnMachine, Schedule};

use crate::error::{Malformed, Verb, WatchError};
use crate::resource::WatchKey;
use crate::stream::{ListMeta, Status};

/// Objects in one page of a list.
const PAGE: &str = "500";
/// How long a watch lives, at least; the server ends it. No two end at the same time.
const SHORTEST: Duration = Duration::from_secs(300);
/// How much longer it may live.
const SPREAD: Duration = Duration::from_secs(300);
/// When a server has forgotten its history, or asked for time, many come back within this time and not all at once.
const LIST_SPREAD: Duration = Duration::from_secs(2);
/// How much longer than it said the server may take to end a watch.
const SLACK: Duration = Duration::from_secs(30);
/// The time for a page.
const PAGE_TIME: Duration = Duration::from_secs(300);
/// How long a list may pause.
const LIST_SILENCE: Duration = Duration::from_secs(30);
/// How long a watch may be silent where bookmarks come: the server sends one a minute.
const WATCH_SILENCE: Duration = Duration::from_secs(150);
/// A watch that ended after less than this has failed.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The longest pause between two tries, as in client-go.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often in a row a list may end in the middle before it is taken in another way.
const PATIENCE: u32 = 2;

/// Lists, watches, and resumes.
#[derive(Debug)]
pub(super) struct Machine {
    key: WatchKey,
    state: State,
    /// Whether the server is asked to stream lists.
    streams: bool,
    /// Whether this list, and no other, is not streamed although the server does so.
    unstreamed: bool,
    /// Whether lists are taken in pages.
    pages: bool,
    /// How often in a row a list ended in the middle.
    cut: u32,
    bookmarks: bool,
    /// Whether anything was heard since the last list.
    alive: bool,
    schedule: Schedule,
    pause: Duration,
    seed: u64,
    /// Why the next list is taken, or the last one was.
    cause: Cause,
}

/// Why everything is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Nothing is known yet.
    Start,
    /// The watch began anew, over a panic or since somebody uses it again.
    Restarted,
    /// Somebody came who needs more than was kept.
    Joined,
    /// The server does not stream lists: the same one in pages.
    Refused,
    /// The list before came to nothing.
    Failed,
    /// The server has forgotten what happened since the last event.
    Expired,
}

impl Cause {
    /// As a word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restarted => "restarted",
            Self::Joined => "joined",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nothing is known that could be gone on from.
    Unlisted,
    /// A list is being taken, and this is what to ask for to get the rest.
    Rest(String),
    /// A list is being streamed.
    Streaming,
    /// All was known at this version.
    Following(String),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) what: What,
    pub(super) parameters: Vec<(&'static str, String)>,
    /// How long to wait before.
    pub(super) pause: Duration,
    /// The time for the whole answer.
    pub(super) time: Duration,
}

/// The kind of what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A list, from its beginning.
    List,
    /// The rest of a list.
    Rest,
    /// A list and what happens after it, in one answer.
    StreamedList,
    /// What happened since a version.
    Watch,
}

impl What {
    /// Whether a list begins.
    pub(super) fn begins_list(self) -> bool {
        matches!(self, Self::List | Self::StreamedList)
    }

    /// Whether the answer is a list, and not one event after the other.
    pub(super) fn is_page(self) -> bool {
        matches!(self, Self::List | Self::Rest)
    }

    pub(super) fn verb(self) -> Verb {
        if self.is_page() { Verb::List } else { Verb::Watch }
    }
}

/// What something that came amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to come.
    Go,
    /// The list is whole.
    Listed,
}

impl Machine {
    /// Begins with a list; which kind it begins with is known from other watches of the server.
    pub(super) fn new(key: WatchKey, streams: bool, on: OnMachine, cause: Cause) -> Self {
        let name = key.to_string();
        Self {
            seed: on.seed(&name),
            schedule: Schedule::new(LONGEST_PAUSE, &name).on(on),
            key,
            state: State::Unlisted,
            streams,
            unstreamed: false,
            pages: true,
            cut: 0,
            bookmarks: false,
            alive: false,
            pause: Duration::ZERO,
            cause,
        }
    }

    /// Whether the server streams lists, as far as is known.
    pub(super) fn streams(&self) -> bool {
        self.streams
    }

    /// Why everything is asked for, if it is.
    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    /// What to ask now.
    pub(super) fn ask(&mut self) -> Ask {
        let what = match &self.state {
            State::Unlisted | State::Streaming if self.streams && !self.unstreamed => What::StreamedList,
            State::Unlisted | State::Streaming => What::List,
            State::Rest(_) => What::Rest,
            State::Following(_) => What::Watch,
        };
        let life = SHORTEST + self.up_to(SPREAD);
        let mut parameters: Vec<(&'static str, String)> = Vec::new();
        if what.is_page() {
            if self.pages {
                parameters.push(("limit", PAGE.to_owned()));
            }
            if let State::Rest(rest) = &self.state {
                parameters.push(("continue", rest.clone()));
            }
        } else {
            parameters.push(("watch", "true".to_owned()));
            parameters.push(("allowWatchBookmarks", "true".to_owned()));
            parameters.push(("timeoutSeconds", life.as_secs().to_string()));
            match &self.state {
                State::Following(version) => parameters.push(("resourceVersion", version.clone())),
                _ => {
                    parameters.push(("sendInitialEvents", "true".to_owned()));
                    parameters.push(("resourceVersionMatch", "NotOlderThan".to_owned()));
                    self.state = State::Streaming;
                }
            }
        }
        let time = if what.is_page() { PAGE_TIME } else { life + SLACK };
        Ask { what, parameters, pause: std::mem::take(&mut self.pause), time }
    }

    /// How long it waits before it asks again.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// How long an answer may be silent: a list for a moment, and a watch for longer where the server does not send bookmarks.
    pub(super) fn silence(&self) -> Duration {
        if !matches!(self.state, State::Following(_)) {
            return LIST_SILENCE;
        }
        if self.bookmarks { WATCH_SILENCE } else { SHORTEST + SPREAD + SLACK }
    }

    /// A page has ended.
    pub(super) fn page(&mut self, meta: ListMeta) -> Result<Step, WatchError> {
        if !meta.rest.is_empty() {
            self.state = State::Rest(meta.rest);
            return Ok(Step::Go);
        }
        if meta.resource_version.is_empty() {
            return Err(WatchError::Malformed { key: self.key.clone(), source: Malformed::NoVersion });
        }
        self.follow(meta.resource_version);
        Ok(Step::Listed)
    }

    /// An object came, at this version.
    pub(super) fn event(&mut self, version: &str) {
        let State::Following(known) = &mut self.state else { return };
        if !version.is_empty() {
            version.clone_into(known);
        }
        self.lives();
    }

    /// A bookmark came.
    pub(super) fn bookmark(&mut self, meta: &ListMeta) -> Step {
        self.bookmarks = true;
        if self.state == State::Streaming && meta.ends_list() {
            self.follow(meta.resource_version.clone());
            return Step::Listed;
        }
        self.event(&meta.resource_version);
        Step::Go
    }

    fn follow(&mut self, version: String) {
        self.state = State::Following(version);
        (self.cut, self.alive, self.unstreamed) = (0, false, false);
    }

    fn lives(&mut self) {
        if !std::mem::replace(&mut self.alive, true) {
            self.schedule.succeeded();
        }
    }

    /// The answer was that this is refused. `None` if there is another way, which is taken.
    pub(super) fn refused(&mut self, what: What, status: Status, wait: Option<Duration>) -> Option<WatchError> {
        let (verb, key) = (what.verb(), self.key.clone());
        let Status { code, reason, message, .. } = &status;
        let (code, message) = (*code, message.clone());
        // Older servers do not know the parameter, or are told not to; newer ones on an etcd before 3.4.31 answer 500, and any
        // server may do so once: that says nothing of the next list.
        if what == What::StreamedList && matches!(code, 400 | 422 | 500) {
            (self.state, self.cause) = (State::Unlisted, Cause::Refused);
            (self.streams, self.unstreamed) = (self.streams && code == 500, code == 500);
            return None;
        }
        let error = match code {
            401 => WatchError::Unauthorized { verb, key, message },
            403 => WatchError::Forbidden { verb, key, message },
            404 => WatchError::NoResource { verb, key },
            410 => WatchError::Expired { verb, key, message },
            _ if matches!(reason.as_str(), "Expired" | "Gone") => WatchError::Expired { verb, key, message },
            429 | 503 => WatchError::Throttled { verb, key, wait: wait.or_else(|| status.wait()) },
            _ => WatchError::Refused { verb, key, status: code, message },
        };
        let expired = matches!(error, WatchError::Expired { .. });
        // History ends for every watch once in a while: that is no failure, unless it goes on like that.
        if expired && self.alive {
            (self.state, self.alive, self.cause) = (State::Unlisted, false, Cause::Expired);
            self.pause = self.up_to(LIST_SPREAD);
            return None;
        }
        self.failed(what, &error);
        if expired {
            (self.state, self.cause) = (State::Unlisted, Cause::Expired);
        }
        Some(error)
    }

    /// Some time up to this one, different on each machine and for each watch.
    fn up_to(&mut self, time: Duration) -> Duration {
        self.seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        time.mul_f64((self.seed >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// Nothing came of it. What a list had come to is forgotten, what is followed is not.
    pub(super) fn failed(&mut self, what: What, error: &WatchError) {
        self.pause = self.schedule.failed(error.retry());
        if matches!(error.retry(), Retry::After(_)) {
            let spread = self.up_to(LIST_SPREAD);
            self.pause += spread;
        }
        self.alive = self.alive && what == What::Watch;
        if matches!(self.state, State::Following(_)) {
            return;
        }
        (self.state, self.cause) = (State::Unlisted, Cause::Failed);
        let cut =
            matches!(error, WatchError::Incomplete { .. } | WatchError::Silent { .. } | WatchError::Expired { .. });
        if !cut {
            return;
        }
        self.cut += 1;
        match what {
            What::StreamedList => self.unstreamed |= self.cut >= PATIENCE,
            // The list takes longer than the server remembers it: without pages it cannot fall behind.
            What::Rest => self.pages &= self.cut < PATIENCE,
            What::List | What::Watch => {}
        }
    }

    /// The answer has ended after so long. Fails if it was not whole.
    pub(super) fn ended(&mut self, what: What, after: Duration) -> Result<(), WatchError> {
        match (&self.state, what) {
            (State::Streaming, _) | (_, What::List | What::Rest) => {
                let error = WatchError::Incomplete { key: self.key.clone() };
                self.failed(what, &error);
                Err(error)
            }
            _ if after < SHORT_LIFE => {
                // It is no failure that anyone has to know of, and must not become a busy loop.
                self.pause = self.schedule.failed(Retry::Backoff);
                Ok(())
            }
            _ => {
                self.lives();
                Ok(())
            }
        }
    }
}
