//! Why the journal begins to follow the roster, and what it says then. Pure.

use std::sync::Arc;

use rosterd_journal::{Kind, Note, Time};

/// Why it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// rosterd starts.
    Start,
    /// The task of the journal failed.
    Failure,
    /// It was off.
    Off,
    /// The disk works again.
    Disk,
}

/// How it begins.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) cause: Cause,
    /// When rosterd started, as long as that is not written where it stays.
    pub(super) started: Option<Time>,
}

impl Beginning {
    pub(super) fn new(cause: Cause, now: Time) -> Self {
        Self { cause, started: (cause == Cause::Start).then_some(now) }
    }

    /// What is said before the differences.
    pub(super) fn notes(&self, now: Time) -> Vec<(Time, Note)> {
        let version = Some(env!("CARGO_PKG_VERSION").into());
        let started = self.started.map(|time| (time, Note { detail: version, ..Note::of(Kind::Started) }));
        let missed = |why: &str| {
            let detail: Arc<str> = format!("{why}: what happened meanwhile is told as differences").into();
            (now, Note { detail: Some(detail), ..Note::of(Kind::Missed) })
        };
        started.into_iter().chain(self.cause.words().map(missed)).collect()
    }

    /// The reason of the differences.
    pub(super) fn reason(&self, is_known: bool) -> &'static str {
        match self.cause {
            Cause::Start if is_known => "restart",
            Cause::Start => "start",
            Cause::Failure | Cause::Off | Cause::Disk => "caught_up",
        }
    }
}

impl Cause {
    fn words(self) -> Option<&'static str> {
        match self {
            Self::Start => None,
            Self::Failure => Some("the journal itself failed"),
            Self::Off => Some("the journal was off"),
            Self::Disk => Some("the disk could not be used"),
        }
    }
}
