//! Groups in, blocks out.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::run::LARGEST;
use super::*;

fn group(source: usize, content: u8) -> TargetGroup {
    let targets = (0..content).map(|number| [("__address__", format!("h{source}:{number}"))].into_iter().collect());
    TargetGroup { source: name(source).into(), targets: targets.collect(), ..TargetGroup::default() }
}

/// A group of which a dozen fill a block: each of its targets is large.
fn large(source: usize, content: u8) -> TargetGroup {
    padded(source, content, FULL / 24)
}

fn padded(source: usize, content: u8, padding: usize) -> TargetGroup {
    let labels = [("__meta_text", "x".repeat(padding))].into_iter().collect();
    let padding = |number: u8| [("__address__", format!("h{source}:{number}")), ("__meta_own", "y".repeat(padding))];
    let targets = (0..content).map(|number| padding(number).into_iter().collect()).collect();
    TargetGroup { source: name(source).into(), labels, targets, ..TargetGroup::default() }
}

fn name(source: usize) -> String {
    format!("s{source}")
}

fn all(groups: impl IntoIterator<Item = TargetGroup>) -> Edit {
    Edit { groups: groups.into_iter().collect(), whole: true, ..Edit::default() }
}

fn gone(sources: impl IntoIterator<Item = usize>) -> Vec<GroupId> {
    sources.into_iter().map(|source| GroupId::of(&name(source), "")).collect()
}

fn some(groups: impl IntoIterator<Item = TargetGroup>) -> Edit {
    Edit { groups: groups.into_iter().collect(), ..Edit::default() }
}

/// Source to number of targets, read back from the blocks; fails if a source is in two of them, or if they are not in the
/// order of their numbers.
fn content(archive: &Archive) -> BTreeMap<String, usize> {
    let (mut content, mut next) = (BTreeMap::new(), 1);
    for (id, block) in archive.blocks() {
        assert!(*id >= next, "block {id} begins before {next}");
        for (group, head) in block.unpack().groups().zip(block.groups()) {
            assert!(content.insert(group.source().to_owned(), group.len()).is_none(), "{} twice", group.source());
            let number = id + u64::from(head.offset);
            let own = GroupId::of(group.source(), group.key());
            assert_eq!(archive.index.number(own), Some(number));
            assert_eq!(archive.entries_of(own), group.len());
            assert!(number >= next, "{number} comes after {next}");
            next = number + 1;
        }
    }
    assert!(archive.next >= next);
    assert_eq!(archive.index.len(), content.len());
    content
}

/// The number of each group.
fn numbers(archive: &Archive) -> BTreeMap<GroupId, GroupNumber> {
    let numbers = |(id, block): (&BlockId, &Arc<Block>)| {
        let id = *id;
        block.groups().iter().map(move |head| (head.id, id + u64::from(head.offset))).collect::<Vec<_>>()
    };
    archive.blocks().iter().flat_map(numbers).collect()
}

/// A number that looks random and is the same each time.
fn random(seed: usize) -> usize {
    xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()) as usize
}

#[test]
fn equal_groups_change_no_block() {
    let mut archive = Archive::default();
    let groups = || (0..1000).map(|source| group(source, 2));
    assert!(!archive.apply(&all(groups())).is_empty());
    assert!(archive.apply(&all(groups())).is_empty());
    assert!(archive.apply(&some(groups().take(10))).is_empty());
}

#[test]
fn a_small_change_touches_one_block_of_many() {
    let mut archive = Archive::default();
    archive.apply(&all((0..10_000).map(|source| group(source, 2))));
    assert!(archive.blocks().len() > 4);
    assert_eq!(archive.apply(&some([group(5_000, 1)])).len(), 1);
}

#[test]
fn a_restored_archive_knows_what_it_held() {
    let mut archive = Archive::default();
    archive.apply(&all((0..5_000).map(|source| group(source, 1))));
    let mut restored = Archive::restore(archive.blocks().clone());
    assert_eq!((content(&restored), numbers(&restored)), (content(&archive), numbers(&archive)));
    assert!(restored.apply(&all((0..5_000).map(|source| group(source, 1)))).is_empty());
    restored.apply(&some([group(9_999, 1)]));
    assert_eq!(content(&restored).len(), 5_001);
}

#[test]
fn a_source_that_is_replaced_loses_what_is_not_named() {
    let keyed = |key: &str| TargetGroup { key: key.into(), ..group(1, 1) };
    let mut archive = Archive::default();
    archive.apply(&all([keyed("a"), keyed("b"), keyed(""), group(2, 1)]));
    archive.apply(&Edit { replaced: [SourceId::of("s1")].into(), ..some([keyed("b"), keyed("c")]) });
    let wanted = [GroupId::of("s1", "b"), GroupId::of("s1", "c"), GroupId::of("s2", "")];
    assert_eq!(BTreeSet::from_iter(archive.index.groups()), BTreeSet::from(wanted));
    assert_eq!((archive.entries_of_source(SourceId::of("s1")), archive.entries_of_source(SourceId::of("s3"))), (2, 0));
}

#[test]
fn replacing_groups_at_random_leaves_few_more_blocks_than_a_fresh_start() {
    const GROUPS: usize = 2_000;
    let group = |source: usize| padded(source, 1, FULL / 128);
    for share in [10, 50, 90] {
        let mut sources: Vec<usize> = (0..GROUPS).collect();
        let mut archive = Archive::default();
        archive.apply(&all(sources.iter().map(|source| group(*source))));
        let few = archive.blocks().len();
        for round in 0..20 {
            let place = |index: usize| random(index + round * GROUPS + share) % 100;
            let chosen: Vec<_> = (0..GROUPS).filter(|index| index % 100 > 0 && place(*index) < share).collect();
            // In some updates, as a manager would send them.
            for part in chosen.chunks(GROUPS / 10) {
                let gone = gone(part.iter().map(|index| sources[*index]));
                part.iter().for_each(|index| sources[*index] += GROUPS);
                archive.apply(&Edit { gone, ..some(part.iter().map(|index| group(sources[*index]))) });
            }
        }
        assert!(content(&archive).keys().eq(&sources.iter().map(|source| name(*source)).collect::<BTreeSet<_>>()));
        let blocks = archive.blocks().len();
        assert!(2 * blocks <= 3 * few, "{share} % a round: {blocks} blocks, and {few} after a fresh start");
    }
}

#[test]
fn each_group_that_goes_costs_a_few_blocks() {
    const GROUPS: usize = 500;
    let group = |source: usize| padded(source, 1, FULL / 32);
    let mut archive = Archive::default();
    archive.apply(&all((0..GROUPS).map(group)));
    let mut order: Vec<_> = (0..GROUPS).collect();
    order.sort_by_key(|source| random(*source));
    let mut written = 0;
    for source in &order {
        let changes = archive.apply(&Edit { gone: gone([*source]), ..Edit::default() });
        assert!(changes.len() <= 4, "{} blocks changed", changes.len());
        written += changes.iter().filter(|change| change.after.is_some()).count();
    }
    assert!(written <= GROUPS + GROUPS / 10, "{written} blocks were written for {GROUPS} changes");
    assert!(archive.blocks().is_empty());
}

#[test]
fn a_group_that_grows_and_shrinks_does_not_have_blocks_split_and_merged_each_time() {
    let mut archive = Archive::default();
    archive.apply(&all((0..200).map(|source| large(source, 1))));
    let blocks = archive.blocks().len();
    archive.apply(&some([large(50, 26)]));
    assert_eq!(archive.blocks().len(), blocks + 1);
    for content in [22, 26, 22, 26] {
        assert_eq!(archive.apply(&some([large(50, content)])).len(), 1);
    }
    archive.apply(&some([large(50, 1)]));
    assert_eq!(archive.blocks().len(), blocks);
}

type Content = BTreeMap<usize, u8>;

/// New groups, those that are gone, whether that is all, and sources that could not be read.
fn edits() -> impl Strategy<Value = Vec<(Content, Vec<usize>, bool, Vec<usize>)>> {
    let sources = || prop::collection::vec(0usize..80, 0..20);
    let groups = prop::collection::btree_map(0usize..80, 1u8..=10, 0..40);
    prop::collection::vec((groups, sources(), any::<bool>(), sources()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn an_archive_holds_what_a_map_would(edits in edits()) {
        let mut archive = Archive::default();
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        for (groups, gone, whole, unread) in edits {
            let gone: Vec<_> = gone.into_iter().filter(|source| !groups.contains_key(source)).map(name).collect();
            let unread: Vec<_> = unread.into_iter().map(name).collect();
            expected.retain(|source, _| !gone.contains(source) && (!whole || unread.contains(source)));
            expected.extend(groups.iter().map(|(source, content)| (name(*source), usize::from(*content))));
            let edit = Edit {
                groups: groups.iter().map(|(source, content)| large(*source, *content)).collect(),
                gone: gone.iter().map(|source| GroupId::of(source, "")).collect(),
                whole,
                unread: unread.iter().map(|source| SourceId::of(source)).collect(),
                replaced: HashSet::new(),
            };
            let mut replayed = archive.blocks().clone();
            let before = numbers(&archive);
            let changes = archive.apply(&edit);
            prop_assert_eq!(content(&archive), expected.clone());
            let last = before.values().max().copied().unwrap_or(0);
            for (id, number) in numbers(&archive) {
                prop_assert!(before.get(&id).map_or(number > last, |before| *before == number), "a group keeps its number");
            }
            let sizes: Vec<_> = archive.blocks().values().map(|block| block.unpacked_size()).collect();
            let pairs = sizes.windows(2).rev().skip(1);
            prop_assert!(pairs.clone().all(|pair| pair[0] + pair[1] > MERGED), "two fit into one: {:?}", sizes);
            prop_assert!(sizes.iter().all(|size| *size <= LARGEST + FULL), "one is too large: {:?}", sizes);
            for change in changes {
                match change.after {
                    Some(after) => replayed.insert(change.id, after),
                    None => replayed.remove(&change.id),
                };
            }
            prop_assert_eq!(&replayed, archive.blocks());
        }
    }
}

/// A file with very many targets beside one with a few: who changes the few has nothing to do with the many.
#[test]
fn a_very_large_group_has_a_block_of_its_own() {
    let huge = |source: usize| padded(source, 40, FULL / 8);
    let alone = |archive: &Archive, source: usize| {
        let (_, block, _) = archive.find(GroupId::of(&name(source), "")).unwrap();
        block.groups().len() == 1
    };
    let mut archive = Archive::default();
    archive.apply(&all([group(0, 1), huge(1), group(2, 1), group(3, 1)]));
    assert!(alone(&archive, 1) && !alone(&archive, 2));
    let changes = archive.apply(&some([group(0, 2), group(3, 2)]));
    assert!(changes.iter().filter_map(|change| change.after.as_ref()).all(|block| block.unpacked_size() < FULL));
    // One that becomes large moves out.
    archive.apply(&some([huge(2)]));
    assert!(alone(&archive, 1) && alone(&archive, 2));
    assert_eq!(content(&archive).len(), 4);
}
