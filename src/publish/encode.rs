//! Targets in the form of http_sd and file_sd: one group for each target, as its labels are its own.
//!
//! A list is put together from fragments, one for each page of targets, which are encoded and compressed once. A gzip
//! body is one member: its fragments end on a byte boundary and do not refer to each other (RFC 1951), and their
//! checksums are combined. A zstd body is a sequence of frames (RFC 8878).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use rosterd_model::labels::{
    ADDRESS, METRICS_PATH, PARAM_PREFIX, RESERVED_PREFIX, SCHEME, SCRAPE_INTERVAL, SCRAPE_TIMEOUT, is_valid_name,
};
use rosterd_model::target::{BOOLEANS, UNIX_SOCKET};
use rosterd_model::{Labels, NameScheme};

use crate::roster::pages::Page;
use crate::roster::view::JobView;

/// How much of a list that is not compressed is made at once, and little more: the work of some ten microseconds.
const PIECE: usize = 32 << 10;

/// Part of a list, compressed.
#[derive(Debug, Clone)]
pub struct Fragment {
    bytes: Bytes,
    checksum: crc32fast::Hasher,
    length: usize,
}

/// The labels of a target that a consumer needs to scrape it equally, sorted by name; `__address__` goes elsewhere.
///
/// These are the labels that do not begin with `__`, and `__scheme__`, `__metrics_path__`, `__param_*`, interval and
/// timeout. A parameter like `match[]` makes no label that a Prometheus before 3 takes, which would refuse the whole list
/// for it: whoever needs it sets it in the consumer's `params`. The switches for histograms are left out where all are off, which is what a consumer takes for granted.
pub fn published(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let reserved = || labels.iter().filter(|(name, _)| name.starts_with(RESERVED_PREFIX));
    let switched = reserved().any(|(name, value)| BOOLEANS.contains(&name) && value != "false");
    labels.iter().filter(move |(name, _)| {
        !name.starts_with(RESERVED_PREFIX)
            || matches!(*name, SCHEME | METRICS_PATH | SCRAPE_INTERVAL | SCRAPE_TIMEOUT | UNIX_SOCKET)
            || (name.starts_with(PARAM_PREFIX) && is_valid_name(name, NameScheme::Legacy))
            || (switched && BOOLEANS.contains(name))
    })
}

/// Appends targets as JSON objects with commas between them.
pub fn json<'a>(targets: impl Iterator<Item = &'a Labels>, text: &mut Vec<u8>) {
    for (index, labels) in targets.enumerate() {
        if index > 0 {
            text.extend_from_slice(b",\n");
        }
        json_target(labels, text);
    }
}

fn json_target(labels: &Labels, text: &mut Vec<u8>) {
    text.extend_from_slice(b"{\"targets\":[");
    string(labels.get(ADDRESS).unwrap_or_default(), text);
    text.extend_from_slice(b"],\"labels\":");
    object(published(labels), text);
    text.push(b'}');
}

/// Appends labels as a JSON object.
pub fn object<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, text: &mut Vec<u8>) {
    text.push(b'{');
    for (index, (name, value)) in labels.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        string(name, text);
        text.push(b':');
        string(value, text);
    }
    text.push(b'}');
}

/// Appends a JSON string.
pub fn string(value: &str, text: &mut Vec<u8>) {
    // Without a branch in the loop it is done many bytes at a time.
    let plain = value.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
    if plain {
        text.push(b'"');
        text.extend_from_slice(value.as_bytes());
        text.push(b'"');
        return;
    }
    serde_json::to_writer(text, value).expect("a string can be written to memory");
}

/// A fragment of a gzip stream.
pub fn deflate(text: &[u8]) -> Fragment {
    let mut compress = Compress::new(Compression::new(3), false);
    let mut bytes = Vec::with_capacity(text.len() / 6 + 64);
    while let Status::Ok = compress
        .compress_vec(&text[compress.total_in() as usize..], &mut bytes, FlushCompress::Full)
        .expect("deflate takes any bytes")
    {
        // There is room left once the flush is complete.
        if compress.total_in() as usize == text.len() && bytes.len() < bytes.capacity() {
            break;
        }
        bytes.reserve(text.len() / 6 + 64);
    }
    Fragment::new(bytes, text)
}

/// A fragment that is a zstd frame.
pub fn zstd(text: &[u8]) -> Fragment {
    let bytes = zstd::bulk::compress(text, 3).expect("zstd compresses any bytes into a large enough buffer");
    Fragment::new(bytes, text)
}

impl Fragment {
    fn new(bytes: Vec<u8>, text: &[u8]) -> Self {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(text);
        Self { bytes: bytes.into_boxed_slice().into(), checksum, length: text.len() }
    }

    /// A piece of text as a stored block, for brackets and commas.
    fn stored(text: &[u8], last: bool) -> Self {
        let length = u16::try_from(text.len()).expect("brackets and commas are short");
        let mut bytes = vec![u8::from(last)];
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&(!length).to_le_bytes());
        bytes.extend_from_slice(text);
        Self::new(bytes, text)
    }
}

/// The compressed forms of a page: each is made by the first who asks, and kept with the page.
#[derive(Debug, Default)]
struct Compressed {
    gzip: OnceLock<Fragment>,
    zstd: OnceLock<Fragment>,
}

/// The targets of a page as JSON objects with commas between them.
fn text(page: &Page) -> Vec<u8> {
    let mut text = Vec::new();
    json(page.labels(), &mut text);
    text
}

fn deflated(page: &Page) -> Fragment {
    page.form::<Compressed>().gzip.get_or_init(|| deflate(&text(page))).clone()
}

fn zstd_frame(page: &Page) -> Fragment {
    page.form::<Compressed>().zstd.get_or_init(|| zstd(&text(page))).clone()
}

/// The encodings in which lists are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not compressed; encoded while it is sent.
    Identity,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// The list of all targets of these jobs, in pieces: encoded and compressed only where a page changed since somebody
/// asked last. The iterator does the work, a page at a time, or a small piece where nothing is kept.
pub fn list(jobs: &[Arc<JobView>], encoding: Encoding) -> Box<dyn Iterator<Item = Bytes> + Send> {
    let pages = pages(jobs);
    match encoding {
        Encoding::Identity => Box::new(Plain::new(pages)),
        Encoding::Zstd => {
            let [open, comma, close] = [&b"["[..], b",\n", b"]\n"].map(|text| zstd(text).bytes);
            let pages = pages.into_iter().enumerate().flat_map(move |(index, page)| {
                let separator = (index > 0).then(|| comma.clone());
                separator.into_iter().chain([zstd_frame(&page).bytes])
            });
            Box::new([open].into_iter().chain(pages).chain([close]))
        }
        Encoding::Gzip => Box::new(Gzip::new(pages)),
    }
}

/// The pages that hold anything.
fn pages(jobs: &[Arc<JobView>]) -> Vec<Arc<Page>> {
    jobs.iter().flat_map(|job| job.pages().iter()).filter(|page| !page.slots().is_empty()).cloned().collect()
}

/// The pieces of a list that is not compressed: nobody keeps them, so there is never more than one of a slow reader's.
struct Plain {
    pages: std::vec::IntoIter<Arc<Page>>,
    page: Arc<Page>,
    slot: usize,
    /// What the next piece begins with.
    before: &'static [u8],
    ended: bool,
}

impl Plain {
    fn new(pages: Vec<Arc<Page>>) -> Self {
        Self { pages: pages.into_iter(), page: Arc::default(), slot: 0, before: b"[", ended: false }
    }

    fn next_target(&mut self) -> Option<&Labels> {
        while self.slot == self.page.slots().len() {
            (self.page, self.slot) = (self.pages.next()?, 0);
        }
        self.slot += 1;
        Some(&self.page.slots()[self.slot - 1].labels)
    }
}

impl Iterator for Plain {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut text = Vec::with_capacity(PIECE + PIECE / 8);
        while text.len() < PIECE {
            let before = self.before;
            let Some(labels) = self.next_target() else {
                // Of a list without targets, both brackets.
                text.extend_from_slice(if before == b"[" { b"[]\n" } else { b"]\n" });
                self.ended = true;
                break;
            };
            text.extend_from_slice(before);
            json_target(labels, &mut text);
            self.before = b",\n";
        }
        Some(text.into())
    }
}

/// The pieces of a gzip body.
struct Gzip {
    pages: std::vec::IntoIter<Arc<Page>>,
    checksum: crc32fast::Hasher,
    length: usize,
    state: State,
}

enum State {
    Header,
    First,
    Pages,
    End,
}

impl Gzip {
    fn new(pages: Vec<Arc<Page>>) -> Self {
        Self { pages: pages.into_iter(), checksum: crc32fast::Hasher::new(), length: 0, state: State::Header }
    }

    fn account(&mut self, fragment: &Fragment) -> Bytes {
        self.checksum.combine(&fragment.checksum);
        self.length += fragment.length;
        fragment.bytes.clone()
    }

    fn trailer(&mut self) -> Bytes {
        let mut end = self.account(&Fragment::stored(b"]\n", true)).to_vec();
        end.extend_from_slice(&self.checksum.clone().finalize().to_le_bytes());
        // The length modulo 2^32, RFC 1952.
        end.extend_from_slice(&(self.length as u32).to_le_bytes());
        end.into()
    }
}

impl Iterator for Gzip {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match self.state {
            State::Header => {
                self.state = State::First;
                let mut start = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
                start.extend_from_slice(&self.account(&Fragment::stored(b"[", false)));
                Some(start.into())
            }
            State::First | State::Pages => {
                let Some(page) = self.pages.next() else {
                    self.state = State::End;
                    return Some(self.trailer());
                };
                let mut piece = Vec::new();
                if let State::Pages = self.state {
                    piece.extend_from_slice(&self.account(&Fragment::stored(b",\n", false)));
                }
                self.state = State::Pages;
                piece.extend_from_slice(&self.account(&deflated(&page)));
                Some(piece.into())
            }
            State::End => None,
        }
    }
}

/// The list as YAML, for files that people read, in pieces: one for each page.
pub fn yaml(jobs: &[Arc<JobView>]) -> Box<dyn Iterator<Item = Bytes> + Send> {
    let pages = pages(jobs);
    if pages.is_empty() {
        return Box::new(std::iter::once(Bytes::from_static(b"[]\n")));
    }
    Box::new(pages.into_iter().map(|page| {
        let mut text = Vec::new();
        for labels in page.labels() {
            yaml_target(labels, &mut text);
        }
        text.into()
    }))
}

fn yaml_target(labels: &Labels, text: &mut Vec<u8>) {
    text.extend_from_slice(b"- targets: [");
    // A JSON string is a YAML string.
    string(labels.get(ADDRESS).unwrap_or_default(), text);
    text.push(b']');
    text.push(b'\n');
    for (index, (name, value)) in published(labels).enumerate() {
        text.extend_from_slice(if index == 0 { b"  labels:\n    " } else { b"    " });
        string(name, text);
        text.extend_from_slice(b": ");
        string(value, text);
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::pages::Pages;

    #[test]
    fn what_an_old_consumer_would_refuse_the_list_for_is_left_out() {
        let labels: Labels = [
            ("__address__", "h:1"),
            ("__meta_x", "1"),
            ("__tmp", "1"),
            ("__param_match[]", "up"),
            ("__param_module", "http"),
            ("__scheme__", "https"),
            ("job", "a"),
        ]
        .into_iter()
        .collect();
        let names: Vec<_> = published(&labels).map(|(name, _)| name).collect();
        assert_eq!(names, ["__param_module", "__scheme__", "job"]);
    }

    #[test]
    fn a_plain_list_comes_in_small_pieces_however_large_its_targets() {
        let address = |index: usize| format!("{index}{}", "x".repeat(PIECE / 3));
        let mut pages = Pages::default();
        for index in 0..600 {
            pages.add([(ADDRESS, address(index).as_str())].into_iter().collect(), false);
        }
        let pieces: Vec<_> = Plain::new(pages.iter().cloned().collect()).collect();
        assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE), "{:?}", pieces.iter().map(Bytes::len).max());
        let list: Vec<serde_json::Value> = serde_json::from_slice(&pieces.concat()).expect("it is JSON");
        assert_eq!(list.len(), 600);
        assert_eq!(Plain::new(Vec::new()).collect::<Vec<_>>().concat(), b"[]\n");
    }

    #[test]
    fn strings_are_escaped_as_json_wants_them() {
        for text in ["", "plain", "q\"uote", "back\\slash", "new\nline", "\u{1}", "ünïcode"] {
            let mut json = Vec::new();
            string(text, &mut json);
            assert_eq!(serde_json::from_slice::<String>(&json).expect("it is a JSON string"), text);
        }
    }
}
