//! What every backend of blocks has to pass: `for_backend` makes a test of each case. Below it the cases, each a sentence
//! that is true of any backend, starting with an empty one.

use super::{block, content, delete, put};
use crate::store::tests::Tested;
use crate::store::{Blocks, BlocksChange};

macro_rules! for_backend {
    ($make:expr) => {
        crate::store::tests::cases! { crate::store::blocks::tests::suite, include_str!("suite.rs"); $make;
            blocks_come_back_sorted_and_in_pages,
            a_block_is_replaced_and_deleted,
            providers_are_listed_until_their_last_block_goes,
            neighbours_of_a_deleted_provider_stay,
            an_empty_provider_key_is_a_key,
            thousands_of_blocks_go_in_one_batch,
            changes_take_effect_in_their_order,
            a_failure_changes_nothing_and_passes_with_its_cause,
        }
    };
}
pub(crate) use for_backend;

async fn done(it: &Tested<impl Blocks>, changes: Vec<BlocksChange>) {
    it.store.apply(changes).await.expect("nothing is wrong with the store");
}

async fn ids(it: &Tested<impl Blocks>, provider: &str) -> Vec<u64> {
    let blocks = it.store.blocks(provider, 0, usize::MAX).await.expect("blocks can be read");
    blocks.into_iter().map(|block| block.id).collect()
}

pub(crate) async fn blocks_come_back_sorted_and_in_pages(it: &Tested<impl Blocks>) {
    done(it, vec![put("dns/1", vec![block(u64::MAX, "z"), block(2, "b"), block(0, "a")])]).await;
    assert_eq!(it.store.blocks("dns/1", 0, 2).await.unwrap(), [block(0, "a"), block(2, "b")]);
    assert_eq!(it.store.blocks("dns/1", 3, 2).await.unwrap(), [block(u64::MAX, "z")]);
    assert_eq!(it.store.blocks("dns/1", 0, 0).await.unwrap(), []);
    assert_eq!(it.store.blocks("dns/2", 0, 9).await.unwrap(), []);
}

pub(crate) async fn a_block_is_replaced_and_deleted(it: &Tested<impl Blocks>) {
    done(it, vec![put("p", vec![block(1, "old"), block(2, "other")])]).await;
    done(it, vec![put("p", vec![block(1, "new")])]).await;
    assert_eq!(it.store.blocks("p", 0, 9).await.unwrap(), [block(1, "new"), block(2, "other")]);
    done(it, vec![delete("p", &[1, 77]), delete("none", &[1])]).await;
    assert_eq!(ids(it, "p").await, [2]);
}

pub(crate) async fn providers_are_listed_until_their_last_block_goes(it: &Tested<impl Blocks>) {
    assert_eq!(it.store.providers().await.unwrap(), Vec::<String>::new());
    done(it, vec![put("b", vec![block(1, ""), block(u64::MAX, "")]), put("a", vec![block(0, "x")])]).await;
    done(it, vec![put("without any", Vec::new())]).await;
    assert_eq!(it.store.providers().await.unwrap(), ["a", "b"]);
    done(it, vec![delete("a", &[0])]).await;
    assert_eq!(it.store.providers().await.unwrap(), ["b"]);
}

pub(crate) async fn neighbours_of_a_deleted_provider_stay(it: &Tested<impl Blocks>) {
    let all = |provider: &str| put(provider, vec![block(0, "x"), block(u64::MAX, "y")]);
    done(it, vec![all("a"), all("ab"), all("b"), all("a\0")]).await;
    done(it, vec![BlocksChange::DeleteProvider("ab".into()), BlocksChange::DeleteProvider("none".into())]).await;
    assert_eq!(it.store.providers().await.unwrap(), ["a", "a\0", "b"]);
    assert_eq!(ids(it, "a").await, [0, u64::MAX]);
    assert_eq!(ids(it, "b").await, [0, u64::MAX]);
}

pub(crate) async fn an_empty_provider_key_is_a_key(it: &Tested<impl Blocks>) {
    done(it, vec![put("", vec![block(5, "x")])]).await;
    assert_eq!(it.store.providers().await.unwrap(), [""]);
    assert_eq!(ids(it, "").await, [5]);
}

pub(crate) async fn thousands_of_blocks_go_in_one_batch(it: &Tested<impl Blocks>) {
    let large: String = "0123456789abcdef".repeat(256);
    let blocks: Vec<_> = (0..5000).map(|id| block(id, &large[..(id as usize) % 4096])).collect();
    done(it, vec![put("p", blocks.clone())]).await;
    assert!(it.store.blocks("p", 0, usize::MAX).await.unwrap() == blocks, "the blocks came back changed");
    done(it, vec![BlocksChange::DeleteProvider("p".into())]).await;
    assert_eq!(content(&it.store).await, []);
}

pub(crate) async fn changes_take_effect_in_their_order(it: &Tested<impl Blocks>) {
    let changes = vec![
        put("p", vec![block(1, "first"), block(1, "second"), block(2, "x")]),
        delete("p", &[2]),
        put("q", vec![block(7, "before")]),
        BlocksChange::DeleteProvider("q".into()),
        put("q", vec![block(1, "kept")]),
    ];
    done(it, changes).await;
    assert_eq!(it.store.blocks("p", 0, 9).await.unwrap(), [block(1, "second")]);
    assert_eq!(ids(it, "q").await, [1]);
}

pub(crate) async fn a_failure_changes_nothing_and_passes_with_its_cause(it: &Tested<impl Blocks>) {
    let long = "x".repeat(4000);
    done(it, vec![put("p", vec![block(1, &long)])]).await;
    (it.fail)(true);
    for _ in 0..3 {
        it.store.apply(vec![put("p", vec![block(2, &long)])]).await.expect_err("it cannot write");
    }
    (it.fail)(false);
    assert_eq!(ids(it, "p").await, [1]);
    done(it, vec![put("p", vec![block(3, &long)])]).await;
    assert_eq!(ids(it, "p").await, [1, 3]);
}
