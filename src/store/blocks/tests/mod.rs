//! The suite of blocks, run against every backend, and their agreement.

pub(crate) mod suite;

use bytes::Bytes;
use proptest::prelude::*;
use suite::for_backend;

use super::*;
use crate::store::open_folder;
use crate::store::tests::failing::Failing;
use crate::store::tests::{block_on, disk};

mod memory {
    super::for_backend!(|| async { (super::Failing::<super::MemoryBlocks>::default().tested(), ()) });
}

mod embedded {
    super::for_backend!(super::disk::blocks);
}

pub(crate) fn block(id: u64, text: &str) -> Block {
    Block { id, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

pub(crate) fn put(provider: &str, blocks: Vec<Block>) -> BlocksChange {
    BlocksChange::Put { provider: provider.into(), blocks }
}

pub(crate) fn delete(provider: &str, ids: &[u64]) -> BlocksChange {
    BlocksChange::Delete { provider: provider.into(), ids: ids.to_vec() }
}

/// All that is kept.
pub(crate) async fn content(store: &impl Blocks) -> Vec<(String, Vec<Block>)> {
    let mut content = Vec::new();
    for provider in store.providers().await.unwrap() {
        let blocks = store.blocks(&provider, 0, usize::MAX).await.unwrap();
        content.push((provider, blocks));
    }
    content
}

#[test]
fn everything_is_there_after_reopening() {
    rosterd_testkit::leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/the/way");
        let (blocks, _) = open_folder(&path).await.unwrap();
        blocks.apply(vec![put("p", vec![block(1, "x")])]).await.unwrap();
        drop(blocks);
        let (blocks, _) = open_folder(&path).await.unwrap();
        assert_eq!(content(&blocks).await, [("p".to_owned(), vec![block(1, "x")])]);
    });
}

/// What happens to both stores in the property below.
#[derive(Debug, Clone)]
enum Event {
    Apply(Vec<BlocksChange>),
    Reopen,
}

fn changes() -> impl Strategy<Value = BlocksChange> {
    let provider = prop_oneof![Just("a"), Just("ab"), Just("b"), Just("")];
    let blocks = prop::collection::vec((0..6u64, ".{0,8}"), 0..5);
    let ids = prop::collection::vec(0..6u64, 0..5);
    prop_oneof![
        (provider.clone(), blocks)
            .prop_map(|(provider, blocks)| put(provider, blocks.iter().map(|(id, text)| block(*id, text)).collect())),
        (provider.clone(), ids).prop_map(|(provider, ids)| delete(provider, &ids)),
        provider.prop_map(|provider| BlocksChange::DeleteProvider(provider.into())),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let changes = prop::collection::vec(changes(), 0..6);
    prop_oneof![8 => changes.prop_map(Event::Apply), 1 => Just(Event::Reopen)]
}

async fn both_agree(events: Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryBlocks::new();
    let (mut embedded, _) = open_folder(folder.path()).await.unwrap();
    for event in events {
        match event {
            Event::Apply(changes) => {
                memory.apply(changes.clone()).await.unwrap();
                embedded.apply(changes).await.unwrap();
            }
            Event::Reopen => {
                drop(embedded);
                (embedded, _) = open_folder(folder.path()).await.unwrap();
            }
        }
        assert_eq!(content(&embedded).await, content(&memory).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_agree_in_memory_and_in_a_file(events in prop::collection::vec(events(), 1..24)) {
        block_on(both_agree(events));
    }
}
