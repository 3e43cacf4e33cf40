//! What a provider has said so far, and what of a word the roster has to know. Pure; outlives the discoverers that are
//! built one after the other.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::{SourceId, TargetGroup};

use super::known::{GroupNews, Known};
use super::update::{SeenSources, Unread, UnreadSources};
use crate::contract::{Unreadable, Word};

/// How many sources without targets are remembered. Of those beyond, should they fail later, it is not known that they were
/// ever read.
const EMPTY: usize = 100_000;

/// What a provider has said.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    known: Known,
    /// Sources that were read and had nothing.
    empty: HashSet<SourceId>,
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
        self.whole || !self.news.is_empty() || self.unread_before != self.unread || self.seen_changed
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
        let (mut whole, mut piece, mut told) = (false, false, HashSet::new());
        if matches!(word, Word::Everything(_) | Word::EverythingBut(..) | Word::Found(..)) {
            self.told = None;
        }
        let news = match word {
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
                let news = match found {
                    true => self.found(Vec::new(), unread, &told, now),
                    false => self.picture(Vec::new(), unread, &told, now),
                };
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
                self.list((*self.unread).clone(), unread, now);
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
        if self.tried.len() > self.unread.len() {
            Arc::make_mut(&mut self.tried).retain(|source, _| self.unread.contains_key(source));
        }
        let (unread, seen) = (Arc::clone(&self.unread), self.seen.clone());
        // Sources are only added as long as there is a list.
        let seen_changed = seen_before != seen.as_ref().map(|seen| seen.len());
        Heard { whole, piece, told, news, unread_before, unread, seen, seen_changed }
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
        self.begin_picture(!groups.is_empty() || unread.is_empty(), told);
        let sources: HashSet<_> = unread.iter().map(|unread| SourceId::of(&unread.source)).collect();
        let scopes: Vec<_> = unread.iter().filter_map(|unread| unread.beneath.clone()).collect();
        let stays = |source: &SourceId| sources.contains(source) || told.contains(source);
        // What was never read and is beneath what cannot be read now still was not: nobody could look there.
        let named: HashSet<_> = sources_of(&groups).collect();
        let is_hidden = |source: &str| scopes.iter().any(|beneath| source.starts_with(&**beneath));
        let was_read = |source: SourceId| named.contains(&source) || told.contains(&source);
        let hidden = self
            .unread
            .iter()
            .filter(|(source, unread)| !unread.known && is_hidden(source) && !was_read(SourceId::of(source)));
        let hidden = hidden.map(|(source, unread)| (Arc::clone(source), unread.clone())).collect();
        self.list(hidden, unread, now);
        self.seen = None;
        self.empty.retain(stays);
        self.note_empty(&groups);
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
        self.begin_picture(!groups.is_empty() || unread.is_empty(), told);
        // Of what the discoverers before this one have read, too, something is known.
        let seen = self.seen.get_or_insert_with(|| Arc::new(self.known.sources().collect()));
        if !told.is_empty() {
            Arc::make_mut(seen).extend(told);
        }
        self.list(UnreadSources::new(), unread, now);
        self.read(&groups);
        self.known.changed(groups)
    }

    /// Begins a picture. The first is passed on whole, whatever was said before that is no piece of it.
    fn begin_picture(&mut self, reports: bool, told: &HashSet<SourceId>) {
        self.reported |= reports || !told.is_empty();
        if !std::mem::replace(&mut self.pictured, true) && told.is_empty() {
            self.forget_pieces();
        }
    }

    /// Forgets what was told of a first picture that was broken off, and that it was read.
    fn forget_pieces(&mut self) {
        (self.known, self.empty) = Default::default();
        if self.unread.values().any(|unread| unread.known) {
            Arc::make_mut(&mut self.unread).values_mut().for_each(|unread| unread.known = false);
        }
    }

    /// Notes which sources are named without targets.
    fn note_empty(&mut self, groups: &[TargetGroup]) {
        let empty = groups.iter().filter(|group| group.targets.is_empty());
        let room = EMPTY.saturating_sub(self.empty.len());
        self.empty.extend(empty.take(room).map(|group| SourceId::of(&group.source)));
    }

    /// Whether a source was read, or anything beneath it.
    fn has_read(&self, source: SourceId, beneath: Option<&str>) -> bool {
        let seen = || self.seen.as_ref().is_some_and(|seen| seen.contains(&source));
        let beneath = || beneath.is_some_and(|beneath| self.known.has_beneath(beneath));
        // Of a first picture in pieces that is not whole, too, what was told was read.
        (self.pictured || self.told.is_some())
            && (self.known.has(source) || self.empty.contains(&source) || seen() || beneath())
    }

    /// Sources that are named with what they have are unread no more.
    fn read(&mut self, groups: &[TargetGroup]) {
        self.reported |= self.pictured && !groups.is_empty();
        self.note_empty(groups);
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
    fn list(&mut self, mut list: UnreadSources, unread: Vec<Unreadable>, now: SystemTime) {
        let tried = Arc::make_mut(&mut self.tried);
        tried.retain(|source, _| list.contains_key(source));
        tried.extend(unread.iter().map(|unread| (Arc::clone(&unread.source), now)));
        for Unreadable { source, beneath, error } in unread {
            let (since, known) = match self.unread.get(&source) {
                Some(before) => (before.since, before.known),
                None => (now, self.has_read(SourceId::of(&source), beneath.as_deref())),
            };
            list.insert(source, Unread { since, known, beneath, report: error.report() });
        }
        self.unread = Arc::new(list);
    }
}

/// The sources that groups are of.
fn sources_of(groups: &[TargetGroup]) -> impl Iterator<Item = SourceId> {
    groups.iter().map(|group| SourceId::of(&group.source))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rosterd_model::GroupId;
    use rosterd_testkit::group;

    use super::*;
    use crate::error::RunError;

    fn failing(sources: &[&str]) -> Vec<Unreadable> {
        sources.iter().map(|source| Unreadable::new(*source, RunError::EndedUnasked)).collect()
    }

    fn after(words: Vec<Word>) -> Memory {
        let mut memory = Memory::default();
        words.into_iter().for_each(|word| drop(memory.hear(word, SystemTime::UNIX_EPOCH)));
        memory
    }

    /// The unread sources, those that were never read in brackets.
    fn unread(list: &UnreadSources) -> Vec<String> {
        let shown = |(name, unread): (&Arc<str>, &Unread)| match unread.known {
            true => name.to_string(),
            false => format!("({name})"),
        };
        list.iter().map(shown).collect()
    }

    #[test]
    fn the_work_for_a_word_is_what_it_says_and_what_it_may_end() {
        let memory = after(vec![Word::Everything((0..50).map(|n| group(&n.to_string(), &["x:1", "y:1"])).collect())]);
        let unread = || failing(&["0", "1", "2"]);
        for (word, work) in [
            (Word::Everything(Vec::new()), 50),
            (Word::EverythingBut(vec![group("0", &["x:1"])], unread()), 55),
            (Word::Found(Vec::new(), unread()), 53),
            (Word::Changed(vec![group("0", &["x:1"]), TargetGroup::gone("1")]), 3),
            (Word::Unread(unread()), 3),
            (Word::Unchanged, 0),
            (piece(true, vec![group("0", &["x:1"])]), 2),
            (pieced(Vec::new()), 50),
        ] {
            assert_eq!(memory.work(&word), work, "{word:?}");
        }
        let after = after(vec![Word::Everything(vec![TargetGroup::gone("a")]), Word::Unread(failing(&["b", "c"]))]);
        assert_eq!(after.work(&Word::Everything(Vec::new())), 3, "a source without targets, and two that failed");
    }

    #[test]
    fn only_the_first_picture_is_whole() {
        let mut memory = Memory::default();
        let picture = || Word::Everything(vec![group("a", &["x:1"])]);
        let first = memory.hear(picture(), SystemTime::UNIX_EPOCH);
        assert!(first.whole && first.is_news() && first.news.groups.len() == 1);
        assert!(!memory.hear(picture(), SystemTime::UNIX_EPOCH).is_news());
        let later = memory.hear(Word::Everything(Vec::new()), SystemTime::UNIX_EPOCH);
        assert_eq!((later.whole, later.news.gone), (false, vec![GroupId::of("a", "")]));
    }

    #[test]
    fn a_picture_of_nothing_is_news_and_one_of_failures_is_no_report() {
        let mut memory = Memory::default();
        let heard = memory.hear(Word::EverythingBut(Vec::new(), failing(&["a"])), SystemTime::UNIX_EPOCH);
        assert!(heard.whole && !memory.has_reported());
        assert!(
            !memory.hear(Word::Unread(failing(&["a"])), SystemTime::UNIX_EPOCH).is_news() && !memory.has_reported()
        );
        memory.hear(Word::Changed(vec![TargetGroup::gone("a")]), SystemTime::UNIX_EPOCH);
        assert!(memory.has_reported());
        assert!(after(vec![Word::Everything(Vec::new())]).has_reported());
    }

    #[test]
    fn what_was_never_read_is_told_from_what_was() {
        let first = || Word::EverythingBut(vec![group("a", &["x:1"])], failing(&["b"]));
        for (words, wanted) in [
            (vec![], vec!["(b)"]),
            (vec![Word::Unread(failing(&["a", "c"]))], vec!["a", "(b)", "(c)"]),
            (vec![Word::EverythingBut(Vec::new(), failing(&["a", "b"]))], vec!["a", "(b)"]),
            (vec![Word::Changed(vec![TargetGroup::gone("b")]), Word::Unread(failing(&["b"]))], vec!["b"]),
            (vec![Word::Everything(Vec::new()), Word::Unread(failing(&["b"]))], vec!["(b)"]),
            (vec![Word::Everything(vec![TargetGroup::gone("b")]), Word::Unread(failing(&["b"]))], vec!["b"]),
            (
                vec![
                    Word::Everything(vec![TargetGroup::gone("b")]),
                    Word::EverythingBut(Vec::new(), failing(&["b"])),
                    Word::Unchanged,
                    Word::Unread(failing(&["b"])),
                ],
                vec!["b"],
            ),
            (vec![Word::EverythingBut(Vec::new(), failing(&["a"]))], vec!["a"]),
            (vec![Word::Unread(failing(&["a"])), Word::Unchanged], vec!["(b)"]),
            (vec![Word::Everything(Vec::new())], vec![]),
        ] {
            let said = format!("{words:?}");
            let memory = after([first()].into_iter().chain(words).collect());
            assert_eq!(unread(&memory.unread), wanted, "after {said}");
        }
    }

    #[test]
    fn what_was_never_read_was_not_either_when_more_cannot_be_read() {
        let scope = |name: &str, path: &str| Unreadable::scope(name, path, RunError::EndedUnasked);
        let first = || Word::EverythingBut(vec![group("n/a/x", &["x:1"])], vec![scope("n/b/*", "n/b")]);
        let wider = || Word::EverythingBut(Vec::new(), vec![scope("n/*", "n")]);
        assert_eq!(unread(&after(vec![first(), wider()]).unread), ["n/*", "(n/b/*)"]);
        assert_eq!(unread(&after(vec![first(), wider(), wider()]).unread), ["n/*", "(n/b/*)"]);
        let named = Word::EverythingBut(vec![group("n/b/*", &["x:1"])], vec![scope("n/*", "n")]);
        assert_eq!(unread(&after(vec![first(), named]).unread), ["n/*"], "it was read now");
        let other = Word::EverythingBut(Vec::new(), vec![scope("m/*", "m")]);
        assert_eq!(unread(&after(vec![first(), other]).unread), ["(m/*)"], "nothing is said of it any more");
        assert!(after(vec![first(), wider(), Word::Everything(Vec::new())]).unread.is_empty());
    }

    #[test]
    fn a_source_that_fails_again_keeps_the_time_of_its_first_failure() {
        let mut memory = after(vec![Word::Everything(Vec::new()), Word::Unread(failing(&["a"]))]);
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let heard = memory.hear(Word::EverythingBut(Vec::new(), failing(&["a", "b"])), later);
        assert_eq!(heard.unread["a"].since, SystemTime::UNIX_EPOCH);
        assert_eq!(heard.unread["b"].since, later);
        assert_eq!(**memory.tried(), BTreeMap::from([("a".into(), later), ("b".into(), later)]), "and is tried again");
        assert!(heard.is_news(), "another list is news");
    }

    #[test]
    fn stale_groups_stay_and_a_source_that_can_be_read_again_is_replaced() {
        let (a, b) = (|| group("a", &["x:1"]), || group("b", &["y:1"]));
        let mut memory = after(vec![Word::Everything(vec![a(), b()])]);
        let heard = memory.hear(Word::EverythingBut(vec![a()], failing(&["b"])), SystemTime::UNIX_EPOCH);
        assert!(heard.news.is_empty() && heard.is_news());
        let heard = memory.hear(Word::Unread(failing(&["a"])), SystemTime::UNIX_EPOCH);
        assert_eq!((heard.news.len(), memory.groups()), (0, 2));
        let heard = memory.hear(Word::Changed(vec![TargetGroup::gone("b")]), SystemTime::UNIX_EPOCH);
        assert_eq!((heard.news.gone, unread(&heard.unread)), (vec![GroupId::of("b", "")], vec!["a".to_owned()]));
    }

    #[test]
    fn what_was_not_found_may_still_come_until_the_picture_is_whole() {
        let seen = |heard: &Heard| heard.seen.as_ref().map(|seen| Vec::from_iter(seen.iter().copied()));
        let ids = |names: &[&str]| {
            let mut ids: Vec<_> = names.iter().map(|name| SourceId::of(name)).collect();
            ids.sort_unstable();
            Some(ids)
        };
        let mut memory = Memory::default();
        let first = memory.hear(Word::Found(vec![group("a", &["x:1"])], failing(&["b"])), SystemTime::UNIX_EPOCH);
        assert!(first.whole && memory.has_reported());
        assert_eq!((seen(&first), unread(&first.unread)), (ids(&["a"]), vec!["(b)".to_owned()]));
        let empty = memory.hear(Word::Changed(vec![TargetGroup::gone("c")]), SystemTime::UNIX_EPOCH);
        assert!(empty.is_news() && empty.news.is_empty(), "what it had before this process is to go");
        assert_eq!(seen(&empty), ids(&["a", "c"]));
        let failed = memory.hear(Word::Unread(failing(&["c", "d"])), SystemTime::UNIX_EPOCH);
        assert_eq!(unread(&failed.unread), ["(b)", "c", "(d)"]);
        // A discoverer that is built again does not know what the one before it has said.
        let again = memory.hear(Word::Found(vec![group("e", &["y:1"])], Vec::new()), SystemTime::UNIX_EPOCH);
        assert!(!again.whole && again.news.gone.is_empty());
        assert_eq!((again.news.groups.len(), seen(&again), memory.groups()), (1, ids(&["a", "c", "e"]), 2));
        let whole = memory.hear(Word::Everything(vec![group("e", &["y:1"])]), SystemTime::UNIX_EPOCH);
        assert_eq!((whole.is_news(), seen(&whole), whole.news.gone), (true, None, vec![GroupId::of("a", "")]));
        let same = memory.hear(Word::Everything(vec![group("e", &["y:1"])]), SystemTime::UNIX_EPOCH);
        assert!(!same.is_news());
    }

    fn scope(source: &str, path: &str) -> Unreadable {
        Unreadable::scope(source, path, RunError::EndedUnasked)
    }

    #[test]
    fn what_is_beneath_a_scope_that_cannot_be_read_stays_and_all_else_is_gone() {
        let all = || ["n/a/x", "n/b/x", "n/b/y"].map(|source| group(source, &["x:1"])).to_vec();
        let but_b = |groups| Word::EverythingBut(groups, vec![scope("n/b/*", "n/b")]);
        for begins in [Word::Everything(all()), but_b(all())] {
            let mut memory = after(vec![begins]);
            memory.begin_run();
            let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
            let heard = hear(but_b(vec![group("n/c/x", &["x:1"])]));
            assert_eq!((heard.news.groups.len(), heard.news.gone), (1, vec![GroupId::of("n/a/x", "")]));
            let in_pieces = [piece(true, vec![group("n/d/x", &["x:1"])]), pieced(vec![scope("n/b/*", "n/b")])];
            let gone: Vec<_> = in_pieces.into_iter().flat_map(|word| hear(word).news.gone).collect();
            assert_eq!(gone, [GroupId::of("n/c/x", "")]);
            assert!(hear(Word::Changed(vec![TargetGroup::gone("n/b/*")])).news.is_empty());
            assert_eq!(hear(Word::Everything(Vec::new())).news.gone.len(), 3);
        }
    }

    #[test]
    fn a_scope_is_known_that_was_named_or_has_anything_beneath() {
        let b = || vec![scope("n/b/*", "n/b")];
        let there = || group("n/b/x", &["x:1"]);
        for (words, wanted) in [
            (vec![Word::EverythingBut(Vec::new(), b())], "(n/b/*)"),
            (vec![Word::Everything(Vec::new()), Word::Unread(b())], "(n/b/*)"),
            (vec![Word::Everything(vec![group("n/bb/x", &["x:1"])]), Word::Unread(b())], "(n/b/*)"),
            (vec![Word::Everything(vec![there()]), Word::Unread(b())], "n/b/*"),
            (vec![Word::Everything(vec![there()]), Word::EverythingBut(Vec::new(), b())], "n/b/*"),
            (vec![Word::Everything(vec![TargetGroup::gone("n/b/*")]), Word::Unread(b())], "n/b/*"),
            // What is said beneath one that was never read does not make it known: more may be there.
            (vec![Word::EverythingBut(Vec::new(), b()), Word::Changed(vec![there()]), Word::Unread(b())], "(n/b/*)"),
        ] {
            let said = format!("{words:?}");
            assert_eq!(unread(&after(words).unread), [wanted], "after {said}");
        }
    }

    fn piece(first: bool, groups: Vec<TargetGroup>) -> Word {
        Word::Piece { first, groups }
    }

    fn pieced(unread: Vec<Unreadable>) -> Word {
        Word::Pieced { unread, found: false }
    }

    fn told(heard: &Heard) -> Vec<SourceId> {
        let mut told = Vec::from_iter(heard.told.iter().copied());
        told.sort_unstable();
        told
    }

    fn ids(names: &[&str]) -> Vec<SourceId> {
        let mut ids: Vec<_> = names.iter().map(|name| SourceId::of(name)).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn the_first_picture_is_passed_on_piece_by_piece_and_counts_with_the_last() {
        let mut memory = Memory::default();
        let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
        let begun = hear(piece(true, vec![group("a", &["x:1"]), TargetGroup::gone("empty")]));
        assert!(begun.piece && !begun.whole && begun.news.groups.len() == 1);
        let more = hear(piece(false, vec![group("b", &["y:1"])]));
        assert!(more.piece && !more.whole);
        let whole = hear(pieced(failing(&["c"])));
        assert!(whole.whole && !whole.piece && whole.news.is_empty());
        assert_eq!((told(&whole), unread(&whole.unread)), (ids(&["a", "b"]), vec!["(c)".to_owned()]));
        assert!(memory.has_reported() && memory.has_read(SourceId::of("empty"), None));
    }

    #[test]
    fn what_changes_between_the_pieces_of_the_first_picture_is_a_piece_of_it() {
        let keyed = |key: &str, address: &str| TargetGroup { key: key.into(), ..group("a", &[address]) };
        let mut memory = after(vec![piece(true, vec![keyed("1", "x:1"), keyed("2", "x:2"), keyed("3", "x:3")])]);
        let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
        let more = hear(Word::Changed(vec![group("b", &["y:1"])]));
        assert_eq!((more.piece, more.whole, more.news.groups.len()), (true, false, 1));
        // A source stands whole in a piece: what is as it was is told again.
        let again = hear(Word::Changed(vec![keyed("1", "x:1"), keyed("2", "x:9")]));
        assert_eq!(again.news.groups, [keyed("1", "x:1"), keyed("2", "x:9")]);
        assert_eq!((again.piece, again.news.gone), (true, vec![GroupId::of("a", "3")]));
        let whole = hear(pieced(Vec::new()));
        assert_eq!((whole.whole, told(&whole), whole.news.len()), (true, ids(&["a", "b"]), 0));
        let later = hear(Word::Changed(vec![group("b", &["y:2"])]));
        assert!(!later.piece && later.news.groups.len() == 1);
    }

    #[test]
    fn what_fails_between_the_pieces_of_the_first_picture_was_read_if_it_was_told() {
        let mut memory = after(vec![piece(true, vec![group("a", &["x:1"]), TargetGroup::gone("empty")])]);
        let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
        hear(Word::Unread(failing(&["a", "b", "empty"])));
        let whole = hear(pieced(failing(&["a", "b", "empty"])));
        assert_eq!(unread(&whole.unread), ["a", "(b)", "empty"]);
        // Not of one that was broken off.
        for word in [Word::EverythingBut(Vec::new(), failing(&["a"])), pieced(failing(&["a"]))] {
            let mut memory = after(vec![piece(true, vec![group("a", &["x:1"])]), Word::Unread(failing(&["a"]))]);
            memory.begin_run();
            if matches!(word, Word::Pieced { .. }) {
                memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
            }
            let heard = memory.hear(word, SystemTime::UNIX_EPOCH);
            assert_eq!(unread(&heard.unread), ["(a)"]);
        }
    }

    #[test]
    fn nothing_is_reported_before_the_last_piece() {
        let memory = after(vec![piece(true, vec![group("a", &["x:1"])])]);
        assert!(!memory.has_reported() && memory.groups() == 1);
        assert!(after(vec![piece(true, Vec::new()), pieced(Vec::new())]).has_reported());
    }

    #[test]
    fn what_is_in_no_piece_of_a_later_picture_is_gone_with_the_last() {
        let (a, b) = (|| group("a", &["x:1"]), || group("b", &["y:1"]));
        let mut memory = after(vec![Word::Everything(vec![a(), b(), group("c", &["z:1"])])]);
        let mut hear = |word| memory.hear(word, SystemTime::UNIX_EPOCH);
        let begun = hear(piece(true, vec![group("a", &["x:2"])]));
        assert!(!begun.piece && !begun.whole && begun.news.gone.is_empty() && begun.news.groups.len() == 1);
        // What changes meanwhile is in the picture too.
        assert!(hear(Word::Changed(vec![group("d", &["w:1"])])).is_news());
        let whole = hear(pieced(failing(&["b"])));
        assert_eq!((whole.whole, whole.told.len(), whole.news.gone), (false, 0, vec![GroupId::of("c", "")]));
        assert_eq!(memory.groups(), 3);
    }

    #[test]
    fn a_picture_that_is_broken_off_takes_nothing_away_and_adds_nothing_to_the_next() {
        let whole = || Word::Everything(vec![group("a", &["x:1"]), group("b", &["y:1"])]);
        let mut memory = after(vec![whole(), piece(true, vec![group("a", &["x:1"])])]);
        memory.begin_run();
        assert_eq!(memory.groups(), 2);
        memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        let next = memory.hear(pieced(Vec::new()), SystemTime::UNIX_EPOCH);
        assert_eq!(next.news.gone, vec![GroupId::of("a", "")]);
        // Nor to one that is said in one word.
        memory.hear(piece(true, vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
        let next = memory.hear(Word::Everything(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        assert_eq!(next.news.gone, vec![GroupId::of("a", "")]);
    }

    #[test]
    fn a_first_picture_that_was_broken_off_is_passed_on_anew() {
        let mut memory = after(vec![piece(true, vec![group("a", &["x:1"]), group("b", &["y:1"])])]);
        memory.begin_run();
        let begun = memory.hear(piece(true, vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
        assert!(begun.piece && begun.news.groups.len() == 1);
        let whole = memory.hear(pieced(Vec::new()), SystemTime::UNIX_EPOCH);
        assert_eq!((whole.whole, told(&whole), memory.groups()), (true, ids(&["a"]), 1));
    }

    #[test]
    fn of_what_was_found_in_pieces_all_counts_as_seen() {
        let mut memory = after(vec![piece(true, vec![group("a", &["x:1"]), TargetGroup::gone("b")])]);
        let found = Word::Pieced { unread: failing(&["c"]), found: true };
        let found = memory.hear(found, SystemTime::UNIX_EPOCH);
        let seen = found.seen.as_ref().map(|seen| Vec::from_iter(seen.iter().copied()));
        assert_eq!((found.whole, seen, told(&found)), (true, Some(ids(&["a", "b"])), ids(&["a"])));
    }

    #[test]
    fn whatever_was_said_before_the_first_picture_it_is_passed_on_whole() {
        let mut memory = after(vec![Word::Changed(vec![group("a", &["x:1"])])]);
        let heard = memory.hear(Word::Everything(vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
        assert!(heard.whole && heard.news.groups.len() == 1);
        let heard = Memory::default().hear(Word::Changed(vec![group("a", &["x:1"])]), SystemTime::UNIX_EPOCH);
        assert!(!heard.piece && !heard.whole, "of a picture that nobody began it is no piece");
    }

    #[test]
    fn a_picture_that_is_begun_anew_has_nothing_of_the_one_before() {
        let whole = Word::Everything(vec![group("a", &["x:1"]), group("b", &["y:1"]), group("c", &["z:1"])]);
        let mut memory = after(vec![whole, piece(true, vec![group("a", &["x:1"])])]);
        memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        let mut gone = memory.hear(pieced(Vec::new()), SystemTime::UNIX_EPOCH).news.gone;
        gone.sort_unstable();
        let mut wanted = ["a", "c"].map(|source| GroupId::of(source, ""));
        wanted.sort_unstable();
        assert_eq!(gone, wanted);
        // What changes afterwards is not kept for a picture that does not come.
        memory.hear(piece(true, vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        memory.hear(Word::Everything(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        memory.hear(Word::Changed(vec![group("a", &["x:2"])]), SystemTime::UNIX_EPOCH);
        assert_eq!(memory.told, None);
    }

    #[test]
    fn what_another_run_says_is_no_piece_of_a_picture_that_was_broken_off() {
        let mut memory = after(vec![piece(true, vec![group("a", &["x:1"])])]);
        memory.begin_run();
        let heard = memory.hear(Word::Changed(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        assert!(!heard.piece);
    }

    #[test]
    fn when_a_source_was_tried_is_known_as_long_as_it_fails() {
        let mut memory = after(vec![Word::EverythingBut(vec![group("a", &["x:1"])], failing(&["b", "c"]))]);
        assert_eq!(memory.tried().len(), 2);
        memory.hear(Word::Changed(vec![group("b", &["y:1"])]), SystemTime::UNIX_EPOCH);
        assert_eq!(memory.tried().keys().map(|source| &**source).collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn what_no_picture_has_any_more_or_none_had_yet_was_not_read() {
        let empty = || Word::Everything(vec![TargetGroup::gone("a")]);
        for (words, wanted) in [
            (vec![empty()], "a"),
            (vec![empty(), Word::Everything(vec![group("b", &["x:1"])])], "(a)"),
            (vec![Word::Changed(vec![group("a", &["x:1"])])], "(a)"),
        ] {
            let heard = after(words).hear(Word::Unread(failing(&["a"])), SystemTime::UNIX_EPOCH);
            assert_eq!(unread(&heard.unread), [wanted]);
        }
    }

    #[test]
    fn what_an_earlier_run_read_counts_as_seen_where_others_may_still_come() {
        let mut memory = after(vec![Word::Everything(vec![group("a", &["x:1"])])]);
        memory.begin_run();
        let heard = memory.hear(Word::Found(vec![group("b", &["y:1"])], Vec::new()), SystemTime::UNIX_EPOCH);
        let seen = heard.seen.map(|seen| Vec::from_iter(seen.iter().copied()));
        assert_eq!(seen, Some(ids(&["a", "b"])));
    }
}
