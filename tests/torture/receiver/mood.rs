//! How a receiver answers.

use std::time::Duration;

use rosterd_testkit::{WriteAnswer, WriteRequest};

use super::counter::SERIES;

/// The temper of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Nobody listens.
    Down,
    /// 500.
    Fails,
    /// 503, to come again in a second.
    Unavailable,
    /// 429, to come again in a second.
    Busy,
    /// Never.
    Hangs,
    /// After a while.
    Slow,
    /// The connection is closed in place of an answer.
    Closes,
    /// 400: what was sent is not sent again.
    Refuses,
    /// 413 for more than the samples of a few scrapes: in two parts, and what is refused then is not sent again.
    Short,
    /// For each request another one of those that cost nothing.
    Fickle,
}

impl Mood {
    pub(super) const ALL: [Self; 11] = [
        Self::Well,
        Self::Down,
        Self::Fails,
        Self::Unavailable,
        Self::Busy,
        Self::Hangs,
        Self::Slow,
        Self::Closes,
        Self::Refuses,
        Self::Short,
        Self::Fickle,
    ];
    /// What a fickle one is by turns.
    pub(super) const TURNS: [Self; 7] =
        [Self::Well, Self::Well, Self::Fails, Self::Unavailable, Self::Busy, Self::Slow, Self::Closes];

    /// The answer to a request.
    pub(super) fn answer(self, request: &WriteRequest) -> WriteAnswer {
        let later =
            |status| WriteAnswer { headers: vec![("retry-after", "1".to_owned())], ..WriteAnswer::status(status) };
        let after = |delay| WriteAnswer { delay, ..WriteAnswer::default() };
        match self {
            Self::Well | Self::Down | Self::Fickle => WriteAnswer::default(),
            Self::Fails => WriteAnswer::status(500),
            Self::Unavailable => later(503),
            Self::Busy => later(429),
            Self::Hangs => after(Duration::from_secs(24 * 3600)),
            Self::Slow => after(Duration::from_millis(300)),
            Self::Closes => WriteAnswer::none(),
            Self::Refuses => WriteAnswer::status(400),
            Self::Short if request.samples.len() > 4 * SERIES => WriteAnswer::status(413),
            Self::Short => WriteAnswer::default(),
        }
    }
}
