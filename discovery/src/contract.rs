//! What the manager and a mechanism owe each other.
//!
//! # What a discoverer can say
//!
//! A discoverer reads one or several *sources*: a name, a file, a URL, a service, an object. What it finds are target
//! groups, each of which belongs to a source. What is not known yet must never look like what is not there, and what
//! cannot be read must hide nothing that can. So a discoverer says which of seven things it knows:
//!
//! | word | what it means |
//! | --- | --- |
//! | [`everything`](Updates::everything) | the whole picture: a source or a group that is not in it is gone |
//! | [`everything_but`](Updates::everything_but) | the same, except sources that could not be read: of them nothing new |
//! | [`found`](Updates::found) | what is there at the beginning, where a source that is not there yet may still come |
//! | [`piece`](Pieces::piece) | some sources of a picture that is too large for one word: one of the above ends it |
//! | [`changed`](Updates::changed) | each source that is named here is replaced whole; all others stay |
//! | [`unread`](Updates::unread) | these sources could not be read just now; all that is known stays |
//! | [`unchanged`](Updates::unchanged) | everything was read again, and is as it was said before |
//!
//! The first word of a run is one of the first three, or begins one of these [in pieces](Updates::in_pieces). Whoever polls
//! needs no other than the first two and `unchanged`, and keeps no memory of what it said: the manager finds out what is new.
//! A watch begins with the whole picture, goes on with what changed, and says the whole picture again when it had to list
//! again; there is no need to end for that.
//!
//! Where nobody answers for what is not there, as in a folder that may not be mounted yet, a run begins with `found`: nothing
//! was seen to vanish. After a while it says the whole picture, and from then on what is not there is gone.
//!
//! A picture in pieces counts with its last one: until then nothing is gone because it is not there, and a provider that was
//! not known is not. But each source stands whole in one piece, and has from then on what it has there. So a picture that is
//! broken off, be it by the end of the run, takes nothing away, and there are never more groups in memory than a few pieces
//! hold.
//!
//! What cannot be read need not be one source: of a namespace that may not be listed nobody knows what is in it. Such a
//! [scope](Unreadable::scope) is named as unread, and stands for all sources beneath it. So a picture is whole but for it: what
//! is beneath stays, also what is stored from before this process, and all else that is not in the picture is gone. A scope is
//! named as a source without targets when it is read: in the picture, or among changes once all that is beneath was said. Then
//! what was stored beneath and was not said is gone. Of scopes beneath it that cannot be read it is told before.
//!
//! A group without targets names its source and holds nothing. In the whole picture that tells a source that was read and
//! is empty from one that was not looked at; among changes it says that the source has no targets any more.
//!
//! A read that fails as a whole says no word: it is told with [`Context::failed`], or ends the run as its error. A
//! mechanism of several sources that can read none of them says `everything_but` nothing, with all of them unread. One that
//! cannot list its sources, and still reads those that it knows, tells that with [`Context::keeps_failing`].
//!
//! What is no failure, and still not as it should be, is a [`warning`](Context::warning).
//!
//! # What the manager makes of it
//!
//! It remembers a hash of each group and the sources that are unread, also while a discoverer is built again, and passes on
//! only what is new. A source that is unread keeps the groups it had: they are stale. One that this process never read, and
//! one that was not among what was found and may still come, keeps what the roster has stored of it.
//!
//! Success is said by the words themselves, failure of sources by the words that name them, and failure of a whole read by
//! [`Context::failed`]: each is logged, counted and shown at that one place, so that no mechanism has to, or may differ.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use rosterd_model::{Retry, TargetGroup};
use tokio::sync::mpsc;

use crate::{Context, Error};

/// Watches configured sources and reports their targets.
///
/// A mechanism promises: the first word is the whole picture, even if empty, or all of it but what could not be read or may
/// still come; a group is named by its source and a key that no other group of the source has; a failed read takes nothing away, is told,
/// and hides no source that can be read; `run` ends soon after `cx.stop` fires (or on failure, never because there is no
/// news), and what it spawned has ended before it.
///
/// The manager promises: one `run` per value, on a task of its own; a full channel delays a word and loses nothing; a
/// `run` that ends unasked, and a build that fails or panics, is logged, counted, and built again from its configuration
/// after pauses that grow until it has run well for longer than the last one.
#[async_trait]
pub trait Discoverer: Send {
    /// Says what it knows until stopped.
    ///
    /// `Err` is not the end: the manager keeps the groups it has, and builds the discoverer again after a backoff that
    /// [`Coded::retry`](rosterd_model::Coded::retry) of the error decides.
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error>;
}

/// A discoverer that asks again and again. [`Polling`](crate::Polling) makes a [`Discoverer`] of it, and adds the
/// interval, jitter, backoff and metrics.
#[async_trait]
pub trait Refresh: Send {
    /// Called once, before the first refresh. One that may take long keeps the context, to tell by [`Context::warning`] what it waits for
    /// while it does: a server that wants to be asked less, say. By default that is not kept.
    fn begin(&mut self, _cx: &Context) {}

    /// Reads all sources once.
    ///
    /// `Err` when nothing could be read; a mechanism of several sources rather names those that it could not read, which
    /// are then tried again as soon as after a failure. Stale is better than wrong: part of a source is no reading of it.
    async fn refresh(&mut self) -> Result<Reading, Error>;

    /// Waits until something hints that a refresh is worth its cost before the interval is over: a changed file, say.
    /// Must be safe to drop at any time. By default there is no such hint.
    async fn hint(&mut self) {
        std::future::pending().await
    }

    /// What a person should know although the last refresh did not fail for it: shown as long as it is so. By default nothing.
    fn warning(&self) -> Option<Error> {
        None
    }

    /// Ends what a refresh left behind. Called once, after the last refresh, which may have been dropped half-way.
    async fn end(&mut self) {}
}

/// What a refresh found, in the words of [`Updates`].
#[derive(Debug)]
pub enum Reading {
    /// The whole picture.
    Everything(Vec<TargetGroup>),
    /// The whole picture, except sources that could not be read.
    EverythingBut(Vec<TargetGroup>, Vec<Unreadable>),
    /// All is as the last refresh found it.
    Unchanged,
}

/// A source that could not be read, and why.
#[derive(Debug)]
pub struct Unreadable {
    /// Its name, as groups carry it in [`TargetGroup::source`].
    pub source: Arc<str>,
    /// What the names of the sources beneath it begin with, if it stands for others too: ends with a slash.
    pub beneath: Option<Arc<str>>,
    /// What went wrong.
    pub error: Error,
}

impl Unreadable {
    /// This source could not be read because of this.
    pub fn new(source: impl Into<Arc<str>>, error: impl Into<Error>) -> Self {
        Self { source: source.into(), beneath: None, error: error.into() }
    }

    /// This source, and all whose names begin with `path` and a slash, could not be read because of this.
    pub fn scope(source: impl Into<Arc<str>>, path: &str, error: impl Into<Error>) -> Self {
        let beneath = format!("{}/", path.strip_suffix('/').unwrap_or(path));
        Self { beneath: Some(beneath.into()), ..Self::new(source, error) }
    }
}

/// What a discoverer said, as the manager hears it. The words are those of [`Updates`].
#[derive(Debug)]
pub enum Word {
    /// The whole picture.
    Everything(Vec<TargetGroup>),
    /// The whole picture, except sources that could not be read.
    EverythingBut(Vec<TargetGroup>, Vec<Unreadable>),
    /// What is there, while what is not may still come, and sources that could not be read.
    Found(Vec<TargetGroup>, Vec<Unreadable>),
    /// Sources of a picture of which more follows.
    Piece {
        /// Whether the picture begins with it.
        first: bool,
        /// All that these sources have.
        groups: Vec<TargetGroup>,
    },
    /// The picture that was said in pieces is whole.
    Pieced {
        /// Sources that could not be read.
        unread: Vec<Unreadable>,
        /// Whether what is not in it may still come.
        found: bool,
    },
    /// Sources that are replaced whole.
    Changed(Vec<TargetGroup>),
    /// Sources that could not be read.
    Unread(Vec<Unreadable>),
    /// Everything was read again and is as it was.
    Unchanged,
}

impl Word {
    /// The groups that were said.
    pub fn groups(&self) -> &[TargetGroup] {
        match self {
            Self::Everything(groups)
            | Self::EverythingBut(groups, _)
            | Self::Found(groups, _)
            | Self::Piece { groups, .. }
            | Self::Changed(groups) => groups,
            Self::Pieced { .. } | Self::Unread(_) | Self::Unchanged => &[],
        }
    }

    /// Whether all sources were read for it that are not among the unread, and what is not there is gone.
    pub fn reads_all(&self) -> bool {
        match self {
            Self::Everything(_) | Self::EverythingBut(..) | Self::Pieced { found: false, .. } | Self::Unchanged => true,
            Self::Found(..) | Self::Pieced { .. } | Self::Piece { .. } | Self::Changed(_) | Self::Unread(_) => false,
        }
    }

    /// The sources that could not be read.
    pub fn unread(&self) -> &[Unreadable] {
        match self {
            Self::EverythingBut(_, unread)
            | Self::Found(_, unread)
            | Self::Pieced { unread, .. }
            | Self::Unread(unread) => unread,
            Self::Everything(_) | Self::Piece { .. } | Self::Changed(_) | Self::Unchanged => &[],
        }
    }
}

impl From<Reading> for Word {
    fn from(reading: Reading) -> Self {
        match reading {
            Reading::Everything(groups) => Self::Everything(groups),
            Reading::EverythingBut(groups, unread) => Self::EverythingBut(groups, unread),
            Reading::Unchanged => Self::Unchanged,
        }
    }
}

/// The words were not taken because the discoverer has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the discoverer was stopped")]
pub struct Stopped;

/// The bounded handle into which a discoverer says what it knows.
///
/// When the manager is busy, a word waits until it is taken; it gives up when the discoverer is stopped.
#[derive(Debug)]
pub struct Updates {
    sender: mpsc::Sender<Word>,
    cx: Context,
}

impl Updates {
    /// The handle of the discoverer that has this context, and the end at which its words arrive.
    pub fn channel(cx: &Context) -> (Self, mpsc::Receiver<Word>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { sender, cx: cx.clone() }, receiver)
    }

    /// This is the whole picture: every source and group that is not in it is gone.
    pub async fn everything(&self, groups: Vec<TargetGroup>) -> Result<(), Stopped> {
        self.say(Word::Everything(groups)).await
    }

    /// This is the whole picture except these sources, which could not be read: of them, and of what is beneath those that are
    /// scopes, there is nothing new.
    pub async fn everything_but(&self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>) -> Result<(), Stopped> {
        self.say(Word::EverythingBut(groups, unread)).await
    }

    /// This is what is there now, except sources that could not be read. A source that is not there may still come: it keeps
    /// what it had, also from before this process, until [`everything`](Self::everything) is said.
    pub async fn found(&self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>) -> Result<(), Stopped> {
        self.say(Word::Found(groups, unread)).await
    }

    /// A picture that is said in pieces, for who would otherwise make all groups before any of them is taken.
    pub fn in_pieces(&self) -> Pieces<'_> {
        Pieces { up: self, begun: false }
    }

    /// Each source that is named here is replaced whole by the groups it has here; others stay as they are.
    /// [`TargetGroup::gone`] names a source that has none.
    pub async fn changed(&self, groups: Vec<TargetGroup>) -> Result<(), Stopped> {
        self.say(Word::Changed(groups)).await
    }

    /// These sources could not be read now: of them there is nothing new, and all else stays as it is.
    pub async fn unread(&self, unread: Vec<Unreadable>) -> Result<(), Stopped> {
        self.say(Word::Unread(unread)).await
    }

    /// Everything was read again, and all is as it was said before. A source of which nothing was ever said stays unread.
    pub async fn unchanged(&self) -> Result<(), Stopped> {
        self.say(Word::Unchanged).await
    }

    /// Says a word that is already put together.
    pub async fn say(&self, word: Word) -> Result<(), Stopped> {
        self.said(word).await
    }

    /// In a box: as a bare future it is compiled once more in each mechanism.
    fn said(&self, word: Word) -> Pin<Box<dyn Future<Output = Result<(), Stopped>> + Send + '_>> {
        Box::pin(async move {
            let outcome = Outcome::of(&word);
            tokio::select! {
                biased;
                () = self.cx.stop.cancelled() => return Err(Stopped),
                sent = self.sender.send(word) => sent.map_err(|_| Stopped)?,
            }
            // Only now, so that what is shown follows the words in their order.
            self.cx.said(outcome);
            Ok(())
        })
    }
}

/// A picture that is said in pieces. All groups of a source stand in one of them. Dropped before its end, it is broken off.
#[derive(Debug)]
pub struct Pieces<'u> {
    up: &'u Updates,
    begun: bool,
}

impl Pieces<'_> {
    /// These sources are in the picture, with all that they have. More follows.
    pub async fn piece(&mut self, groups: Vec<TargetGroup>) -> Result<(), Stopped> {
        let first = !std::mem::replace(&mut self.begun, true);
        self.up.say(Word::Piece { first, groups }).await
    }

    /// With these the picture is whole, as by [`everything_but`](Updates::everything_but).
    pub async fn everything_but(self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>) -> Result<(), Stopped> {
        self.end(groups, unread, false).await
    }

    /// With these it is all that is there now, as by [`found`](Updates::found).
    pub async fn found(self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>) -> Result<(), Stopped> {
        self.end(groups, unread, true).await
    }

    async fn end(mut self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>, found: bool) -> Result<(), Stopped> {
        match (self.begun, found) {
            (false, false) => self.up.everything_but(groups, unread).await,
            (false, true) => self.up.found(groups, unread).await,
            (true, found) => {
                if !groups.is_empty() {
                    self.piece(groups).await?;
                }
                self.up.say(Word::Pieced { unread, found }).await
            }
        }
    }
}

/// What a word says about reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was read could be.
    Success,
    /// The whole was read, but for some sources.
    Partial,
    /// Some sources could not be read.
    Unread,
    /// It goes on.
    Underway,
}

impl Outcome {
    fn of(word: &Word) -> Self {
        match word {
            Word::Unread(_) => Self::Unread,
            Word::Piece { .. } => Self::Underway,
            word if word.unread().is_empty() => Self::Success,
            _ => Self::Partial,
        }
    }
}

/// When to try again what could not be read: the soonest of what the errors ask for. `None` if there is nothing.
pub(crate) fn soonest(unread: &[Unreadable]) -> Option<Retry> {
    let rank = |retry: &Retry| match retry {
        Retry::Backoff => (0, None),
        Retry::After(wait) => (1, Some(*wait)),
        Retry::Interval => (2, None),
        Retry::Never => (3, None),
    };
    unread.iter().map(|unread| unread.error.retry()).min_by_key(rank)
}
