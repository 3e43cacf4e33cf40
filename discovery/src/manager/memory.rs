//! What a provider has said so far, and what of a word the roster has to know. Pure; outlives the discoverers that are
//! built one after the other.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::{GroupId, SourceId, TargetGroup};

use super::empty::Empty;
use super::known::{GroupNews, Known};
use super::update::{SeenSources, Unread, UnreadSources};
use crate::contract::{Unreadable, Word};

/// What a provider has said.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    known: Known,
    empty: Empty,
    unread: Arc<UnreadSources>,
    /// When each of these was last tried.
    tried: Arc<BTreeMap<Arc<str>, SystemTime>>,
    /// Whether there was a picture.
    pictured: bool,
    /// The sources that were told since a picture was begun in pieces that is not whole yet.
    told: Option<HashSet<SourceId>>,
    /// The sources that were read, as long as others may still come.
    seen: Option<Arc<SeenSources>>,
    /// Whether any source was read, or there was none to read.
    reported: bool,
}

/// What a word changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Whether it is the first picture.
    pub(super) whole: bool,
    /// Whether it is a piece of that.
    pub(super) piece: bool,
    /// Whether it comes before that and is no piece of it: the roster hears of it with the picture.
    pub(super) early: bool,
    /// The sources with targets that came in the pieces of the first picture, when that is whole.
    pub(super) told: HashSet<SourceId>,
    /// The groups that changed.
    pub(super) news: GroupNews,
    /// The sources that were unread before the word.
    pub(super) unread_before: Arc<UnreadSources>,
    /// Those that are now.
    pub(super) unread: Arc<UnreadSources>,
    /// The sources that were read, as long as others may still come, and whether these are others than before.
    pub(super) seen: Option<Arc<SeenSources>>,
    pub(super) seen_changed: bool,
}

impl Heard {
    /// Whether the roster has to know.
    pub(super) fn is_news(&self) -> bool {
        let differs = !self.news.is_empty() || self.unread_before != self.unread || self.seen_changed;
        self.whole || (differs && !self.early)
    }
}

impl Memory {
    /// How much there is to do for a word: so many groups, targets and sources are looked at, those that are known included
    /// where the word may be the end of them.
    pub(super) fn work(&self, word: &Word) -> usize {
        let said = word.groups().iter().map(|group| 1 + group.targets.len()).sum::<usize>() + word.unread().len();
        let sources = self.unread.len() + self.seen.as_ref().map_or(0, |seen| seen.len());
        let known = match word {
            Word::Everything(_) | Word::EverythingBut(..) | Word::Pieced { found: false, .. } => {
                self.known.groups() + self.empty.len()
            }
            Word::Found(..) | Word::Pieced { .. } if self.seen.is_none() => self.known.groups(),
            _ => 0,
        };
        said + sources + known
    }

    /// Takes a word.
    pub(super) fn hear(&mut self, word: Word, now: SystemTime) -> Heard {
        let unread_before = Arc::clone(&self.unread);
        let seen_before = self.seen.as_ref().map(|seen| seen.len());
        let first = !self.pictured;
        let empty = self.first_empty(&word);
        let (mut whole, mut piece, mut told) = (false, false, HashSet::new());
        if matches!(word, Word::Everything(_) | Word::EverythingBut(..) | Word::Found(..)) {
            self.told = None;
        }
        let mut news = match word {
            Word::Everything(groups) => {
                whole = first;
                self.picture(groups, Vec::new(), &told, now)
            }
            Word::EverythingBut(groups, unread) => {
                whole = first;
                self.picture(groups, unread, &told, now)
            }
            Word::Found(groups, unread) => {
                whole = first;
                self.found(groups, unread, &told, now)
            }
            Word::Piece { first: begins, groups } => {
                piece = first;
                if begins {
                    self.told = None;
                }
                if begins && first {
                    // What there is of a picture that was broken off goes when this one is whole.
                    self.forget_pieces();
                }
                self.read(&groups);
                self.told.get_or_insert_default().extend(sources_of(&groups));
                self.known.changed(groups)
            }
            Word::Pieced { unread, found } => {
                whole = first;
                told = self.told.take().unwrap_or_default();
                let mut news = match found {
                    true => self.found(Vec::new(), unread, &told, now),
                    false => self.picture(Vec::new(), unread, &told, now),
                };
                if first && self.unread.values().any(|unread| unread.hides) {
                    let empty = told.iter().filter(|source| !self.known.has(**source));
                    news.gone.extend(empty.map(|source| GroupId { source: *source, key: 0 }));
                }
                told.retain(|source| first && self.known.has(*source));
                news
            }
            Word::Changed(groups) => {
                self.read(&groups);
                piece = first && self.told.is_some();
                if let Some(told) = &mut self.told {
                    told.extend(sources_of(&groups));
                }
                match piece {
                    true => self.known.replaced(groups),
                    false => self.known.changed(groups),
                }
            }
            Word::Unread(unread) => {
                self.list((*self.unread).clone(), unread, first, now);
                GroupNews::default()
            }
            Word::Unchanged => {
                // Of a source that was never read nothing was said that could be as before.
                if self.unread.values().any(|unread| unread.known) {
                    Arc::make_mut(&mut self.unread).retain(|_, unread| !unread.known);
                }
                GroupNews::default()
            }
        };
        if !empty.is_empty() && !piece {
            let scopes: BTreeSet<_> =
                self.unread.values().filter_map(|it| it.hides.then_some(it.beneath.as_deref()?)).collect();
            let is_hidden = |name: &str| scopes_around(name).any(|scope| scopes.contains(scope));
            news.gone.extend(empty.iter().filter(|source| is_hidden(source)).map(|source| GroupId::of(source, "")));
        }
        if self.tried.len() > self.unread.len() {
            Arc::make_mut(&mut self.tried).retain(|source, _| self.unread.contains_key(source));
        }
        let (unread, seen) = (Arc::clone(&self.unread), self.seen.clone());
        // Sources are only added as long as there is a list.
        let seen_changed = seen_before != seen.as_ref().map(|seen| seen.len());
        let early = !self.pictured && !piece;
        Heard { whole, piece, early, told, news, unread_before, unread, seen, seen_changed }
    }

    /// Another discoverer begins: a picture that the one before it did not end is broken off.
    pub(super) fn begin_run(&mut self) {
        self.told = None;
    }

    /// Whether the provider has reported anything.
    pub(super) fn has_reported(&self) -> bool {
        self.reported
    }

    /// Whether a source that could not be read has targets, or any beneath it has.
    pub(super) fn has_targets_of(&self, source: &str, beneath: Option<&str>) -> bool {
        self.known.has(SourceId::of(source)) || beneath.is_some_and(|beneath| self.known.has_beneath(beneath))
    }

    /// When each source that is unread was last tried.
    pub(super) fn tried(&self) -> &Arc<BTreeMap<Arc<str>, SystemTime>> {
        &self.tried
    }

    /// How many groups with targets it has.
    pub(super) fn groups(&self) -> usize {
        self.known.groups()
    }

    /// How many targets these hold.
    pub(super) fn targets(&self) -> usize {
        self.known.targets()
    }

    /// Takes the whole picture, of which these sources were told before.
    fn picture(
        &mut self,
        groups: Vec<TargetGroup>,
        unread: Vec<Unreadable>,
        told: &HashSet<SourceId>,
        now: SystemTime,
    ) -> GroupNews {
        let first = self.begin_picture(!groups.is_empty() || unread.is_empty(), told);
        let sources: HashSet<_> = unread.iter().map(|unread| SourceId::of(&unread.source)).collect();
        let scopes: Vec<_> = unread.iter().filter_map(|unread| unread.beneath.clone()).collect();
        let stays = |source: &SourceId| sources.contains(source) || told.contains(source);
        self.list(UnreadSources::new(), unread, first, now);
        self.seen = None;
        self.empty.picture(&groups, &scopes, stays);
        self.known.picture(groups, &scopes, |source| stays(&source))
    }

    /// Takes what is there while others may still come, of which these sources were told before.
    fn found(
        &mut self,
        groups: Vec<TargetGroup>,
        unread: Vec<Unreadable>,
        told: &HashSet<SourceId>,
        now: SystemTime,
    ) -> GroupNews {
        let first = self.begin_picture(!groups.is_empty() || unread.is_empty(), told);
        // Of what the discoverers before this one have read, too, something is known.
        let seen = self.seen.get_or_insert_with(|| Arc::new(self.known.sources().collect()));
        if !told.is_empty() {
            Arc::make_mut(seen).extend(told);
        }
        self.list(UnreadSources::new(), unread, first, now);
        self.read(&groups);
        self.known.changed(groups)
    }

    /// Begins a picture, and returns whether it is the first: that is passed on whole, whatever was said before that is no piece of
    /// it.
    fn begin_picture(&mut self, reports: bool, told: &HashSet<SourceId>) -> bool {
        self.reported |= reports || !told.is_empty();
        let first = !std::mem::replace(&mut self.pictured, true);
        if first && told.is_empty() {
            self.forget_pieces();
        }
        first
    }

    /// Forgets what was told of a first picture that was broken off, and that it was read.
    fn forget_pieces(&mut self) {
        (self.known, self.empty) = Default::default();
        if self.unread.values().any(|unread| unread.known) {
            Arc::make_mut(&mut self.unread).values_mut().for_each(|unread| unread.known = false);
        }
    }

    /// The sources that a word names without targets and of which nothing was said before, where something may be stored beneath scopes.
    fn first_empty(&self, word: &Word) -> Vec<Box<str>> {
        let hides = self.unread.values().any(|unread| unread.hides);
        if !hides && word.unread().iter().all(|unread| unread.beneath.is_none()) {
            return Vec::new();
        }
        let is_news = |source| !self.known.has(source) && !self.empty.has(source);
        let empty = word.groups().iter().filter(|group| group.targets.is_empty());
        empty.filter(|group| is_news(SourceId::of(&group.source))).map(|group| group.source.clone()).collect()
    }

    /// Whether it was said what a source itself has.
    fn has_read(&self, source: SourceId) -> bool {
        let seen = || self.seen.as_ref().is_some_and(|seen| seen.contains(&source));
        // Of a first picture in pieces that is not whole, too, what was told was read.
        (self.pictured || self.told.is_some()) && (self.known.has(source) || self.empty.has(source) || seen())
    }

    /// Whether it was said what anything beneath a scope has.
    fn has_read_beneath(&self, beneath: &str) -> bool {
        (self.pictured || self.told.is_some()) && (self.known.has_beneath(beneath) || self.empty.has_beneath(beneath))
    }

    /// Sources that are named with what they have are unread no more.
    fn read(&mut self, groups: &[TargetGroup]) {
        self.reported |= self.pictured && !groups.is_empty();
        self.empty.note(groups);
        if let Some(seen) = &mut self.seen
            && !groups.is_empty()
        {
            Arc::make_mut(seen).extend(sources_of(groups));
        }
        if groups.iter().any(|group| self.unread.contains_key(&*group.source)) {
            let unread = Arc::make_mut(&mut self.unread);
            groups.iter().for_each(|group| drop(unread.remove(&*group.source)));
        }
    }

    /// Makes the list of unread sources this one, with others added. One that fails again keeps its time, and whether it was
    /// ever read.
    fn list(&mut self, mut list: UnreadSources, unread: Vec<Unreadable>, first: bool, now: SystemTime) {
        let tried = Arc::make_mut(&mut self.tried);
        tried.retain(|source, _| list.contains_key(source));
        tried.extend(unread.iter().map(|unread| (Arc::clone(&unread.source), now)));
        let hiding: BTreeSet<&str> = match unread.iter().any(|unread| unread.beneath.is_some()) {
            true => {
                self.unread.iter().filter(|(_, it)| !it.known || it.hides).map(|(name, it)| it.path(name)).collect()
            }
            false => BTreeSet::new(),
        };
        for Unreadable { source, beneath, error } in unread {
            let (before, id) = (self.unread.get(&source), SourceId::of(&source));
            let read_beneath = |beneath: &Arc<str>| self.has_read_beneath(beneath);
            let (since, known) = match before {
                Some(before) => (before.since, before.known),
                None => (now, self.has_read(id) || beneath.as_ref().is_some_and(read_beneath)),
            };
            // Something may be stored beneath it although it is known: others may still come, or come with the first picture, or it was
            // not known of what is above or beneath it.
            let may_come = self.seen.is_some() || first;
            let hides = |beneath: &Arc<str>| !known || may_come || any_above_or_beneath(&hiding, beneath);
            let hides = beneath.as_ref().is_some_and(hides);
            list.insert(source, Unread { since, known, hides, beneath, report: error.report() });
        }
        self.unread = Arc::new(list);
    }
}

/// Whether any of these names and scopes is beneath this scope, or is this one or a scope around it.
fn any_above_or_beneath(all: &BTreeSet<&str>, scope: &str) -> bool {
    let mut from = all.range::<str, _>((Bound::Included(scope), Bound::Unbounded));
    from.next().is_some_and(|first| first.starts_with(scope)) || scopes_around(scope).any(|around| all.contains(around))
}

/// The scopes that may be around a source: this one, too, of a scope.
fn scopes_around(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(slash, _)| &name[..=slash])
}

/// The sources that groups are of.
fn sources_of(groups: &[TargetGroup]) -> impl Iterator<Item = SourceId> {
    groups.iter().map(|group| SourceId::of(&group.source))
}

#[cfg(test)]
mod tests;
