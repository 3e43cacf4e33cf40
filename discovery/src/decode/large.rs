//! Lists that may be large: read away from the runtime's threads, only if they changed, and the largest while they come.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use rosterd_model::TargetGroup;
use rosterd_tasks::{blocking, by_size};
use tokio::sync::mpsc;
use xxhash_rust::xxh3::Xxh3Default;

use super::{DecodeError, json_groups, read_json_from};

/// A list of at most so many bytes is kept until it has come, and read if it changed. A longer one is read while it comes:
/// what packs well is not unpacked into memory.
pub const KEPT_WHOLE: usize = 16 << 20;
/// How many pieces wait for the reader of a longer one.
const WAITING: usize = 16;

/// How many bytes are taken before others may use the thread: some hundred microseconds.
const AT_ONCE: usize = 1 << 20;

/// What tells one list from another without keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListHash(u128);

/// A list of target groups in JSON that comes in pieces.
pub struct JsonList {
    source: Arc<str>,
    label: &'static str,
    last: Option<ListHash>,
    hasher: Box<Xxh3Default>,
    way: Way,
    /// How many bytes came since others had the thread.
    at_once: usize,
}

type Groups = Result<Vec<TargetGroup>, DecodeError>;

/// What is done with the pieces.
enum Way {
    /// They are kept as they are: to put them together would copy millions of bytes on a thread of the runtime.
    Kept { pieces: Vec<Bytes>, bytes: usize },
    /// They are read by a thread for blocking calls.
    Sent { pieces: mpsc::Sender<Bytes>, groups: Pin<Box<dyn Future<Output = Groups> + Send>> },
    /// That has come to its end already: it was no list.
    Ended(Groups),
}

impl JsonList {
    /// All groups are of `source`, and get `label` with it as value. `last` is the hash of the list before.
    pub fn new(last: Option<ListHash>, source: &str, label: &'static str) -> Self {
        Self {
            source: source.into(),
            label,
            last,
            hasher: Box::default(),
            way: Way::Kept { pieces: Vec::new(), bytes: 0 },
            at_once: 0,
        }
    }

    /// Takes the next piece. What is wrong with it is told at the [end](Self::end).
    pub async fn push(&mut self, piece: Bytes) {
        self.hasher.update(&piece);
        self.at_once += piece.len();
        if self.at_once > AT_ONCE {
            self.at_once = 0;
            // A sender that is fast enough would have the thread for itself until all has come.
            tokio::task::yield_now().await;
        }
        if let Way::Kept { pieces: kept, bytes } = &mut self.way {
            if *bytes + piece.len() <= KEPT_WHOLE {
                *bytes += piece.len();
                kept.push(piece);
                return;
            }
            let (pieces, rest) = mpsc::channel(WAITING);
            let coming = Coming { piece: Bytes::new(), kept: std::mem::take(kept).into_iter(), rest };
            let (source, label) = (Arc::clone(&self.source), self.label);
            let read = move || read_json_from(coming, &source, &[(label, &source)]);
            self.way = Way::Sent { pieces, groups: Box::pin(blocking(read)) };
        }
        let Way::Sent { pieces, groups } = &mut self.way else { return };
        tokio::select! {
            biased;
            ended = groups => self.way = Way::Ended(ended),
            // It fails only when the reader has ended, which the next piece or the end will find.
            _ = pieces.send(piece) => {}
        }
    }

    /// Whether all of it so far is `null`, which stands for an empty list.
    pub fn is_null(&self) -> bool {
        let Way::Kept { pieces, .. } = &self.way else { return false };
        let mut text = pieces.iter().flatten().copied().skip_while(u8::is_ascii_whitespace);
        text.by_ref().take(4).eq(*b"null") && text.all(|byte| byte.is_ascii_whitespace())
    }

    /// There are no more pieces. The groups, like those of [`json_groups`], unless the list is the one with the hash `last`:
    /// then there are none.
    pub async fn end(self) -> Result<(ListHash, Option<Vec<TargetGroup>>), DecodeError> {
        let Self { source, label, last, hasher, way, .. } = self;
        let hash = ListHash(hasher.digest128());
        let changed = last != Some(hash);
        let groups = match way {
            Way::Kept { pieces, bytes } if !changed => {
                by_size(bytes, move || drop(pieces)).await;
                return Ok((hash, None));
            }
            Way::Kept { pieces, bytes } => {
                by_size(bytes, move || json_groups(&put_together(pieces, bytes), &source, &[(label, &source)])).await?
            }
            Way::Sent { pieces, groups } => {
                drop(pieces);
                groups.await?
            }
            Way::Ended(groups) => groups?,
        };
        if changed {
            return Ok((hash, Some(groups)));
        }
        // They are many.
        blocking(move || drop(groups)).await;
        Ok((hash, None))
    }
}

impl fmt::Debug for JsonList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonList").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The text that so many bytes in pieces are.
fn put_together(pieces: Vec<Bytes>, bytes: usize) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => {
            let mut text = Vec::with_capacity(bytes);
            pieces.into_iter().for_each(|piece| text.extend_from_slice(&piece));
            text.into()
        }
    }
}

/// The pieces of a list, for a reader that may block.
struct Coming {
    piece: Bytes,
    /// Those that were kept before it was known that there are many.
    kept: vec::IntoIter<Bytes>,
    rest: mpsc::Receiver<Bytes>,
}

impl Read for Coming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.kept.next().or_else(|| self.rest.blocking_recv()) {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.piece.len());
        into[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rosterd_testkit::leak_checked_live;

    use super::*;

    /// Pieces that do not end where anything of the list does.
    async fn read(text: &[u8], last: Option<ListHash>) -> Result<(ListHash, Option<Vec<TargetGroup>>), DecodeError> {
        let mut list = JsonList::new(last, "s", "__meta_s");
        for piece in text.chunks(999_983) {
            list.push(Bytes::copy_from_slice(piece)).await;
        }
        list.end().await
    }

    #[test]
    fn an_unchanged_list_is_not_told_however_large_it_is() {
        leak_checked_live(|| async {
            for padding in [0, 1 << 20, KEPT_WHOLE + 1] {
                let list = format!("{}[{{\"targets\": [\"a:1\"]}}]", " ".repeat(padding));
                let (hash, groups) = read(list.as_bytes(), None).await.unwrap();
                let groups = groups.expect("it is new");
                assert_eq!((&*groups[0].source, groups[0].labels.get("__meta_s")), ("s", Some("s")));
                assert_eq!(read(list.as_bytes(), Some(hash)).await.unwrap(), (hash, None));
                let other = read(b"[]", Some(hash)).await.unwrap();
                assert!(other.0 != hash && other.1 == Some(Vec::new()));
            }
        });
    }

    #[test]
    fn a_list_is_null_whatever_pieces_it_comes_in() {
        leak_checked_live(|| async {
            for (pieces, is_null) in [
                (&["null"][..], true),
                (&[" \n", "nu", "ll\n", " "], true),
                (&["null", "x"], false),
                (&["nul"], false),
                (&["nu", " ll"], false),
                (&[], false),
            ] {
                let mut list = JsonList::new(None, "s", "__meta_s");
                for piece in pieces {
                    list.push(Bytes::from_static(piece.as_bytes())).await;
                }
                assert_eq!(list.is_null(), is_null, "{pieces:?}");
                assert_eq!(list.end().await.is_ok(), is_null, "{pieces:?}");
            }
        });
    }

    #[test]
    fn what_is_read_while_it_comes_is_what_is_read_at_once() {
        leak_checked_live(|| async {
            let filler = "x".repeat(1000);
            let group = |n: usize| {
                format!(r#"{{"targets": ["h\u002d{n}:1", "b:{n}"], "labels": {{"n": "ü{n}", "f": "{filler}"}}}}"#)
            };
            let text = format!("[{}]", (0..20_000).map(group).collect::<Vec<_>>().join(",\n"));
            assert!(text.len() > KEPT_WHOLE);
            let groups = read(text.as_bytes(), None).await.unwrap().1.expect("it is new");
            assert_eq!(groups, json_groups(text.as_bytes(), "s", &[("__meta_s", "s")]).unwrap());
        });
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_also_of_a_list_that_is_read_while_it_comes() {
        leak_checked_live(|| async {
            let blanks = "\n".repeat(KEPT_WHOLE);
            for text in [format!("{blanks}[{{}}, 1 {blanks}{blanks}]"), format!("{blanks}[{{}}")] {
                let error = read(text.as_bytes(), None).await.expect_err("it is no list");
                assert_eq!(error.to_string(), "cannot read target group 1");
                let cause = error.source().expect("it has a cause").to_string();
                assert!(cause.contains(&format!("line {}, column ", KEPT_WHOLE + 1)), "{cause}");
            }
        });
    }

    #[test]
    fn a_list_that_is_given_up_is_read_no_further() {
        leak_checked_live(|| async {
            let mut list = JsonList::new(None, "s", "__meta_s");
            list.push(Bytes::from(vec![b' '; KEPT_WHOLE + 1])).await;
            // The thread of it ends with it: the test would hang.
            drop(list);
        });
    }
}
