//! Lists that may be large: read away from the runtime's threads, and only if they changed.

use rosterd_model::TargetGroup;
use rosterd_tasks::by_size;
use xxhash_rust::xxh3::xxh3_128;

use super::{DecodeError, json_groups};

/// What tells one list from another without keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListHash(u128);

/// Reads target groups from JSON like [`json_groups`], unless the list is the one with the hash `last`: then there are none.
/// All groups get `label`, with the source as its value. Large lists are read on a thread for blocking calls.
pub async fn json_groups_if_changed(
    list: Vec<u8>,
    last: Option<ListHash>,
    source: &str,
    label: &'static str,
) -> Result<(ListHash, Option<Vec<TargetGroup>>), DecodeError> {
    let (size, source) = (list.len(), source.to_owned());
    let read = move || {
        let hash = ListHash(xxh3_128(&list));
        let groups = (last != Some(hash)).then(|| json_groups(&list, &source, &[(label, &source)])).transpose()?;
        Ok((hash, groups))
    };
    by_size(size, read).await
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked_live;

    use super::*;

    #[test]
    fn an_unchanged_list_is_not_read_however_large_it_is() {
        leak_checked_live(|| async {
            for padding in [0, 1 << 20] {
                let list = format!("{}[{{\"targets\": [\"a:1\"]}}]", " ".repeat(padding)).into_bytes();
                let read = |last| json_groups_if_changed(list.clone(), last, "s", "__meta_s");
                let (hash, groups) = read(None).await.unwrap();
                let groups = groups.expect("it is new");
                assert_eq!((&*groups[0].source, groups[0].labels.get("__meta_s")), ("s", Some("s")));
                assert_eq!(read(Some(hash)).await.unwrap(), (hash, None));
                let other = json_groups_if_changed(b"[]".to_vec(), Some(hash), "s", "__meta_s").await.unwrap();
                assert!(other.0 != hash && other.1 == Some(Vec::new()));
            }
            let broken = vec![b'x'; 1 << 20];
            assert!(json_groups_if_changed(broken, None, "s", "__meta_s").await.is_err());
        });
    }
}
