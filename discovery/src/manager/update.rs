//! What the manager tells the roster.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::{GroupId, Report, SourceId, TargetGroup};

use super::attention::Attention;
use super::provider::ProviderKey;

/// What changed of a provider. Updates of one provider come in order; none is lost.
///
/// The first update of a provider in a process is [`whole`](Self::whole), or [pieces](Self::piece) of it come before that one;
/// later ones are differences, also when the discoverer was built again. No group is named twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Who reported.
    pub provider: ProviderKey,
    /// Whether this is the whole picture: what is neither in `groups` nor of a source in `told` or in or beneath one of those in
    /// `unread` that were never read, nor may still come, is gone.
    pub whole: bool,
    /// Whether this is some of the first picture, of which more follows: the sources of `groups` have what they have here, and
    /// what else is known of the provider stays as it is.
    pub piece: bool,
    /// Of the whole picture, the sources with targets that came in pieces of it: all that they have is known.
    pub told: HashSet<SourceId>,
    /// Groups that are new or changed, each with targets.
    pub groups: Vec<TargetGroup>,
    /// Groups that are gone. Of a source beneath a scope that [hides](Unread::hides) also one that was never there, when it was told that
    /// the source has nothing: what is stored of it is gone.
    pub gone: Vec<GroupId>,
    /// All sources of the provider that could not be read lately: the complete list, in every update.
    ///
    /// A source that was listed as never read, and now is not listed or is listed as known, was read meanwhile, unless it is beneath
    /// a scope that [hides](Unread::hides): then `groups` holds all that it has, and what is stored of it and not among them is
    /// gone. Of what is beneath a scope that hid it holds all too, or the updates before did, and what is stored there and was in
    /// none of them is gone.
    pub unread: Arc<UnreadSources>,
    /// All sources that were read, as long as others may still come: the complete list, in every update. What is stored of a
    /// source that is not among them stays; of one that comes to them `groups` holds all that it has. `None` once what is not
    /// there is gone.
    pub seen: Option<Arc<SeenSources>>,
    /// Whether all sources but the unread ones were read just now, rather than some: what is not there was not there in another
    /// reading than before. With nothing else in it, it comes only to [who wants it](Attention::want).
    pub read: bool,
    /// How the roster asks for that.
    pub attention: Attention,
}

/// Sources by their names' hashes.
pub type SeenSources = BTreeSet<SourceId>;

/// Sources that could not be read lately, by name.
pub type UnreadSources = BTreeMap<Arc<str>, Unread>;

/// What is known of a source that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Since when: its first failure after it was read last.
    pub since: SystemTime,
    /// Whether this process read it before: then its groups are stale. Otherwise nothing is known of it.
    pub known: bool,
    /// Whether it is a scope beneath which there may be what this process never read: what is stored there and was not told stays.
    pub hides: bool,
    /// What the names of the sources beneath it begin with, if it is a [scope](crate::Unreadable::scope).
    pub beneath: Option<Arc<str>>,
    /// Why, the last time that it was tried.
    pub report: Report,
}

impl Unread {
    /// What the names of all begin with that it stands for; `name` is its own.
    pub(super) fn path<'a>(&'a self, name: &'a str) -> &'a str {
        self.beneath.as_deref().unwrap_or(name)
    }
}
