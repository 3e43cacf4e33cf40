//! Why the journal begins to follow the roster, and what it says then. Pure.

use std::sync::Arc;

use rosterd_journal::{Event, Kind, Note, Time};

use crate::store::Loss;

/// The reasons of differences to what was when rosterd ended.
pub(super) const RESTART: &str = "restart";
/// The same, where what was stored of targets is lost.
pub(super) const DAMAGED: &str = "damaged";
/// The reason of the event that the journal is off from now on.
pub(super) const OFF: &str = "off";

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
    /// How the process before this one ended, if that is known.
    pub(super) before: Option<Before>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// In order.
    Stopped,
    /// Otherwise.
    Killed,
}

impl Before {
    /// How the one ended that wrote this event last. One whose journal was off then did not write how.
    fn of(last: &Event) -> Option<Self> {
        match (last.note.kind, last.note.reason.as_deref()) {
            (Kind::Stopped, _) => Some(Self::Stopped),
            (Kind::Missed, Some(OFF)) => None,
            _ => Some(Self::Killed),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Killed => "killed",
        }
    }
}

impl Beginning {
    /// Begins behind this event, if there is one.
    pub(super) fn new(cause: Cause, now: Time, last: Option<&Event>) -> Self {
        Self { cause, started: (cause == Cause::Start).then_some(now), before: last.and_then(Before::of) }
    }

    /// What is said before the differences, where the store has lost what the journal knows of.
    pub(super) fn notes(&self, now: Time, lost: Option<&Loss>) -> Vec<(Time, Note)> {
        let killed = match self.before {
            Some(Before::Killed) => ", after one that did not end in order: it was killed, or the machine failed",
            Some(Before::Stopped) | None => "",
        };
        let detail: Arc<str> = format!("{}{killed}", env!("CARGO_PKG_VERSION")).into();
        let reason = self.before.map(|before| before.as_str().into());
        let started = Note { reason, detail: Some(detail), ..Note::of(Kind::Started) };
        let damaged = lost.map(|lost| {
            let detail = format!(
                "what was stored of targets {lost}: what sources say first is believed, and nothing is held of what they do not say"
            );
            Note { detail: Some(detail.into()), ..Note::of(Kind::Damaged) }
        });
        let started = [Some(started), damaged].into_iter().flatten();
        let started = self.started.into_iter().flat_map(move |time| started.clone().map(move |note| (time, note)));
        let missed = |why: &str| {
            let detail: Arc<str> = format!("{why}: what happened meanwhile is told as differences").into();
            (now, Note { detail: Some(detail), ..Note::of(Kind::Missed) })
        };
        started.into_iter().chain(self.cause.words().map(missed)).collect()
    }

    /// The reason of the differences to what is known, where the store has lost that or not.
    pub(super) fn reason(&self, is_known: bool, is_lost: bool) -> &'static str {
        match self.cause {
            Cause::Start if is_known && is_lost => DAMAGED,
            Cause::Start if is_known => RESTART,
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
