//! What a provider has reported so far, and what of a report is news. Pure.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rosterd_model::{GroupId, SourceId, TargetGroup};

use super::stems::{Stem, Stems};

/// A hash for each group, and what the names of sources begin with; nothing more.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    sources: HashMap<SourceId, Groups>,
    /// The mark of all groups between two reports. While one is taken, its groups have the other mark.
    mark: bool,
    tally: Tally,
}

#[derive(Debug, Clone, Default)]
struct Tally {
    groups: usize,
    targets: usize,
    stems: Stems,
}

/// The groups of a source, by key. Most sources are one without a key: it takes no more than it would if there were no keys.
#[derive(Debug, Clone)]
#[expect(clippy::box_collection, reason = "a map in place would double the size of the sources with one group")]
enum Groups {
    Only(Group),
    Many(Box<HashMap<u64, Group>>),
}

#[derive(Debug, Clone, Copy)]
struct Group {
    fingerprint: u64,
    /// Of the name of its source.
    stem: Stem,
    targets: Marked,
}

/// How many targets there are, and a mark, in one number.
#[derive(Debug, Clone, Copy)]
struct Marked(u32);

impl Marked {
    const MARK: u32 = 1 << 31;

    fn new(targets: usize, mark: bool) -> Self {
        let targets = u32::try_from(targets).map_or(Self::MARK - 1, |targets| targets.min(Self::MARK - 1));
        Self(targets | if mark { Self::MARK } else { 0 })
    }

    fn targets(self) -> usize {
        (self.0 & !Self::MARK) as usize
    }

    fn mark(self) -> bool {
        self.0 & Self::MARK != 0
    }

    fn set_mark(&mut self, mark: bool) {
        *self = Self::new(self.targets(), mark);
    }
}

/// What is new in a report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GroupNews {
    /// Groups with targets that were not there, or were different.
    pub(super) groups: Vec<TargetGroup>,
    /// Groups that were there, and are not any more.
    pub(super) gone: Vec<GroupId>,
}

impl GroupNews {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.gone.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len() + self.gone.len()
    }
}

impl Known {
    /// Takes the whole picture: what is not in it is gone, except groups of a source for which `stays` is true, or whose name
    /// begins with one of `scopes`.
    pub(super) fn picture(
        &mut self,
        groups: Vec<TargetGroup>,
        scopes: &[Arc<str>],
        stays: impl Fn(SourceId) -> bool,
    ) -> GroupNews {
        let mut news = GroupNews { groups: self.take(groups, |_| ()), gone: Vec::new() };
        let mark = !self.mark;
        let beneath = self.tally.stems.beneath(scopes);
        let (tally, gone) = (&mut self.tally, &mut news.gone);
        self.sources.retain(|source, groups| {
            let stays = stays(*source);
            groups.retain(|key, group| {
                let keep = group.targets.mark() == mark || stays || beneath.has(group.stem);
                group.targets.set_mark(mark);
                if !keep {
                    tally.remove(group);
                    gone.push(GroupId { source: *source, key });
                }
                keep
            })
        });
        self.mark = mark;
        news
    }

    /// Takes some sources: each that is named is replaced whole, all others stay.
    pub(super) fn changed(&mut self, groups: Vec<TargetGroup>) -> GroupNews {
        let mut named = Vec::new();
        let mut news = GroupNews { groups: self.take(groups, |source| named.push(source)), gone: Vec::new() };
        named.sort_unstable();
        named.dedup();
        let (mark, tally, gone) = (self.mark, &mut self.tally, &mut news.gone);
        for source in named {
            let Entry::Occupied(mut entry) = self.sources.entry(source) else { continue };
            let any_left = entry.get_mut().retain(|key, group| {
                let keep = group.targets.mark() != mark;
                group.targets.set_mark(mark);
                if !keep {
                    tally.remove(group);
                    gone.push(GroupId { source, key });
                }
                keep
            });
            if !any_left {
                entry.remove();
            }
        }
        news
    }

    /// Takes some sources, as [`changed`](Self::changed) does, for who has to be told all that they have: what is as it was is news
    /// too.
    pub(super) fn replaced(&mut self, groups: Vec<TargetGroup>) -> GroupNews {
        let mut gone = self.changed(groups.iter().map(|group| TargetGroup::gone(&*group.source)).collect()).gone;
        let news = self.changed(groups);
        let told: HashSet<_> = news.groups.iter().map(TargetGroup::id).collect();
        gone.retain(|id| !told.contains(id));
        GroupNews { gone, ..news }
    }

    /// Whether a source has groups with targets.
    pub(super) fn has(&self, source: SourceId) -> bool {
        self.sources.contains_key(&source)
    }

    /// Whether any source with targets has a name that begins like this.
    pub(super) fn has_beneath(&self, beneath: &str) -> bool {
        self.tally.stems.any_beneath(beneath)
    }

    /// The sources that have groups with targets.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.sources.keys().copied()
    }

    /// How many groups with targets there are.
    pub(super) fn groups(&self) -> usize {
        self.tally.groups
    }

    /// How many targets these hold.
    pub(super) fn targets(&self) -> usize {
        self.tally.targets
    }

    /// Remembers and marks the groups of a report, and leaves those that are news. `named` is told of every group.
    fn take(&mut self, mut groups: Vec<TargetGroup>, mut named: impl FnMut(SourceId)) -> Vec<TargetGroup> {
        let (mark, mut twice) = (!self.mark, false);
        groups.retain(|group| {
            let id = group.id();
            named(id.source);
            // A group without targets only names its source.
            if group.targets.is_empty() {
                return false;
            }
            let stem = self.tally.stems.enter(&group.source);
            let now = Group { fingerprint: group.fingerprint(), stem, targets: Marked::new(group.targets.len(), mark) };
            let before = self.insert(id, now);
            twice |= before.is_some_and(|before| before.targets.mark() == mark);
            before.is_none_or(|before| before.fingerprint != now.fingerprint)
        });
        if twice {
            keep_last(&mut groups);
        }
        groups.shrink_to_fit();
        groups
    }

    fn insert(&mut self, id: GroupId, group: Group) -> Option<Group> {
        let before = match self.sources.entry(id.source) {
            Entry::Occupied(mut entry) => entry.get_mut().insert(id.key, group),
            Entry::Vacant(entry) => {
                entry.insert(Groups::of(id.key, group));
                None
            }
        };
        if let Some(before) = &before {
            self.tally.remove(before);
        }
        self.tally.add(&group);
        before
    }
}

impl Groups {
    fn of(key: u64, group: Group) -> Self {
        match key {
            GroupId::ONLY => Self::Only(group),
            _ => Self::Many(Box::new(HashMap::from([(key, group)]))),
        }
    }

    fn insert(&mut self, key: u64, group: Group) -> Option<Group> {
        match self {
            Self::Only(before) if key == GroupId::ONLY => Some(std::mem::replace(before, group)),
            Self::Only(before) => {
                *self = Self::Many(Box::new(HashMap::from([(GroupId::ONLY, *before), (key, group)])));
                None
            }
            Self::Many(groups) => groups.insert(key, group),
        }
    }

    /// Leaves those that are to be kept; says whether any are.
    fn retain(&mut self, mut keep: impl FnMut(u64, &mut Group) -> bool) -> bool {
        match self {
            Self::Only(group) => keep(GroupId::ONLY, group),
            Self::Many(groups) => {
                groups.retain(|key, group| keep(*key, group));
                !groups.is_empty()
            }
        }
    }
}

impl Tally {
    fn add(&mut self, group: &Group) {
        self.groups += 1;
        self.targets += group.targets.targets();
    }

    fn remove(&mut self, group: &Group) {
        self.groups -= 1;
        self.targets -= group.targets.targets();
        self.stems.leave(group.stem);
    }
}

/// Of groups that are named twice the later counts.
fn keep_last(groups: &mut Vec<TargetGroup>) {
    let mut seen = HashSet::new();
    groups.reverse();
    groups.retain(|group| seen.insert(group.id()));
    groups.reverse();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(source: &str, key: &str, addresses: &[&str]) -> TargetGroup {
        let target = |address: &&str| [("__address__", *address)].into_iter().collect();
        let targets = addresses.iter().map(target).collect();
        TargetGroup { source: source.into(), key: key.into(), targets, ..TargetGroup::default() }
    }

    fn names(groups: &[TargetGroup]) -> Vec<String> {
        groups.iter().map(|group| format!("{}/{}", group.source, group.key)).collect()
    }

    fn id(source: &str, key: &str) -> GroupId {
        GroupId::of(source, key)
    }

    #[test]
    fn a_source_that_is_one_group_takes_24_bytes() {
        assert_eq!(size_of::<(SourceId, Groups)>(), 24);
    }

    #[test]
    fn only_what_changed_of_a_picture_is_news() {
        let mut known = Known::default();
        let nothing_stays = |_| false;
        let news = known.picture(vec![group("a", "", &["x"]), group("b", "", &["y"])], &[], nothing_stays);
        assert_eq!((names(&news.groups), news.gone.len()), (vec!["a/".to_owned(), "b/".to_owned()], 0));
        assert!(known.picture(vec![group("b", "", &["y"]), group("a", "", &["x"])], &[], nothing_stays).is_empty());
        let news = known.picture(vec![group("a", "", &["x", "z"]), group("c", "", &["w"])], &[], nothing_stays);
        assert_eq!((names(&news.groups), news.gone), (vec!["a/".to_owned(), "c/".to_owned()], vec![id("b", "")]));
        assert_eq!((known.groups(), known.targets()), (2, 3));
    }

    #[test]
    fn sources_that_stay_are_not_gone_because_a_picture_leaves_them_out() {
        let mut known = Known::default();
        known.picture(vec![group("a", "1", &["x"]), group("a", "2", &["x"]), group("b", "", &["y"])], &[], |_| false);
        let news = known.picture(Vec::new(), &[], |source| source == SourceId::of("a"));
        assert_eq!(news, GroupNews { groups: Vec::new(), gone: vec![id("b", "")] });
        assert_eq!(known.picture(Vec::new(), &[], |_| false).gone.len(), 2);
    }

    #[test]
    fn what_is_beneath_a_scope_stays_when_a_picture_leaves_it_out() {
        let mut known = Known::default();
        let all = || ["n/a/x", "n/a/y", "n/b/x", "n", "n/ab"].map(|source| group(source, "", &["x"])).to_vec();
        let mut left_out = |scopes: &[&str]| {
            known.picture(all(), &[], |_| false);
            let scopes: Vec<_> = scopes.iter().map(|scope| Arc::from(*scope)).collect();
            let mut gone = known.picture(Vec::new(), &scopes, |_| false).gone;
            gone.sort_unstable();
            gone
        };
        let ids = |sources: &[&str]| {
            let mut ids: Vec<_> = sources.iter().map(|source| id(source, "")).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(left_out(&["n/a/"]), ids(&["n/b/x", "n", "n/ab"]));
        assert_eq!(left_out(&["n/a/", "n/b/"]), ids(&["n", "n/ab"]));
        assert_eq!(left_out(&["n/"]), ids(&["n"]));
        assert_eq!(left_out(&["m/"]).len(), 5);
        assert!(!known.has_beneath("n/"));
        known.picture(all(), &[], |_| false);
        known.changed(vec![TargetGroup::gone("n/b/x"), group("n/a/x", "", &["y"])]);
        assert_eq!(["n/", "n/a/", "n/b/", "n/ab/"].map(|scope| known.has_beneath(scope)), [true, true, false, false]);
    }

    #[test]
    fn a_source_that_changed_is_replaced_whole_and_others_stay() {
        let mut known = Known::default();
        known.picture(vec![group("a", "1", &["x"]), group("a", "2", &["x"]), group("b", "", &["y"])], &[], |_| false);
        let news = known.changed(vec![group("a", "2", &["x"]), group("c", "", &["w"]), group("a", "3", &["z"])]);
        assert_eq!((names(&news.groups), news.gone), (vec!["c/".to_owned(), "a/3".to_owned()], vec![id("a", "1")]));
        let news = known.changed(vec![TargetGroup::gone("b"), TargetGroup::gone("never")]);
        assert_eq!(news, GroupNews { groups: Vec::new(), gone: vec![id("b", "")] });
        assert_eq!((known.groups(), known.targets()), (3, 3));
    }

    #[test]
    fn a_mark_takes_nothing_from_a_number() {
        for (targets, kept) in [(0, 0), (7, 7), (usize::MAX, (1 << 31) - 1)] {
            for mark in [false, true] {
                let mut marked = Marked::new(targets, mark);
                assert_eq!((marked.targets(), marked.mark()), (kept, mark));
                marked.set_mark(!mark);
                assert_eq!((marked.targets(), marked.mark()), (kept, !mark));
            }
        }
    }

    #[test]
    fn of_a_group_that_is_named_twice_the_later_counts() {
        let mut known = Known::default();
        let news = known.picture(vec![group("a", "", &["x"]), group("a", "", &["y"])], &[], |_| false);
        assert_eq!(news.groups, [group("a", "", &["y"])]);
        assert_eq!((known.groups(), known.targets()), (1, 1));
    }

    /// What a report says, for a plain map to follow.
    #[derive(Debug, Clone)]
    enum Report {
        Picture(Vec<(u8, u8, u8)>, Vec<u8>),
        Changed(Vec<(u8, u8, u8)>),
    }

    fn reports() -> impl Strategy<Value = Vec<Report>> {
        let groups = || {
            let groups = prop::collection::btree_map((0u8..4, 0u8..3), 0u8..3, 0..8);
            groups
                .prop_map(|groups| groups.into_iter().map(|((source, key), targets)| (source, key, targets)).collect())
        };
        let unread = prop::collection::vec(0u8..4, 0..3);
        let report = prop_oneof![
            (groups(), unread).prop_map(|(g, u)| Report::Picture(g, u)),
            groups().prop_map(Report::Changed)
        ];
        prop::collection::vec(report, 1..10)
    }

    proptest! {
        #[test]
        fn news_bring_a_map_to_what_was_reported(reports in reports()) {
            let made = |groups: &[(u8, u8, u8)]| -> Vec<TargetGroup> {
                let addresses: Vec<_> = (0..3).map(|number| format!("h:{number}")).collect();
                let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
                let make = |(s, k, n): &(u8, u8, u8)| group(&s.to_string(), &k.to_string(), &addresses[..usize::from(*n)]);
                groups.iter().map(make).collect()
            };
            let mut known = Known::default();
            let (mut followed, mut wanted) = (HashMap::new(), HashMap::new());
            for report in &reports {
                let (groups, news) = match report {
                    Report::Picture(groups, unread) => {
                        let stays = |source| unread.iter().any(|name| SourceId::of(&name.to_string()) == source);
                        wanted.retain(|id: &GroupId, _: &mut TargetGroup| stays(id.source));
                        (groups, known.picture(made(groups), &[], stays))
                    }
                    Report::Changed(groups) => {
                        let named = |id: &GroupId| groups.iter().any(|(s, ..)| SourceId::of(&s.to_string()) == id.source);
                        wanted.retain(|id, _| !named(id));
                        (groups, known.changed(made(groups)))
                    }
                };
                wanted.extend(made(groups).into_iter().filter(|group| !group.targets.is_empty()).map(|group| (group.id(), group)));
                for id in news.gone {
                    prop_assert!(followed.remove(&id).is_some(), "a group is gone that was not there");
                }
                for group in news.groups {
                    prop_assert!(followed.insert(group.id(), group.clone()) != Some(group), "an equal group is news");
                }
                prop_assert_eq!(&followed, &wanted);
                prop_assert_eq!(known.groups(), wanted.len());
                prop_assert_eq!(known.targets(), wanted.values().map(|group| group.targets.len()).sum::<usize>());
            }
        }
    }
}
