//! What fuzzing runs, and stable tests with it: any bytes as what is stored of a provider.

use rosterd_model::{Builder, GroupId, Names};

use super::block::Block;
use super::head::Head;

/// How much a block of the store is made of here, at most.
const LARGEST: usize = 1 << 20;

/// Reads a block or a head. The first byte says whether the rest is stored as it is, or is what a block holds.
pub fn stored(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 3 {
        0 => head(rest),
        1 => block(rest),
        _ => block(&packed(rest)),
    }
}

fn head(bytes: &[u8]) {
    if let Ok(head) = Head::from_bytes(bytes) {
        assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
    }
}

/// Reads a block in all ways in which a roster does.
fn block(bytes: &[u8]) {
    // What it says to unpack to is believed up to a bound that is far above what fuzzing has in memory.
    let size = bytes.get(1..9).and_then(|size| size.try_into().ok()).map_or(0, u64::from_le_bytes);
    if size > LARGEST as u64 {
        return;
    }
    let Ok(block) = Block::from_bytes(bytes) else { return };
    assert_eq!(Block::from_bytes(&block.to_bytes()), Ok(block.clone()));
    let (mut builder, mut names) = (Builder::new(), Names::new());
    let (mut walk, mut entries) = (block.walk(), 0);
    while let Some(entry) = walk.next_entry() {
        entry.load(&mut builder);
        builder.build(&mut names);
        entries += 1;
    }
    assert_eq!((entries, block.entries().len()), (block.len(), block.len()));
    let unpacked = block.unpack();
    let groups: Vec<_> = unpacked.groups().collect();
    assert_eq!(groups.len(), block.groups().len());
    for (index, (group, head)) in groups.iter().zip(block.groups()).enumerate() {
        assert_eq!((group.len(), group.fingerprint()), (block.entries_of(index).len(), head.fingerprint));
        assert_eq!((group.entries().count(), GroupId::of(group.source(), group.key())), (group.len(), head.id));
        for entry in block.entries_of(index) {
            assert!(block.group_of(entry).is_some_and(|of| of.id == head.id && of.offset == head.offset));
        }
    }
    let Some(first) = block.groups().first().map(|head| head.id) else { return };
    let only = block.only(|id| id == first).expect("it has the first group");
    assert!(only.groups().iter().all(|head| head.id == first) && only.len() <= block.len());
}

/// What is stored of a block that holds this.
fn packed(text: &[u8]) -> Vec<u8> {
    let text = &text[..text.len().min(LARGEST)];
    let packed = zstd::bulk::compress(text, 1).expect("zstd compresses any bytes into a large enough buffer");
    [&[2], &(text.len() as u64).to_le_bytes()[..], &packed].concat()
}
