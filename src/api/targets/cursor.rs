//! Where a page of targets begins: text for clients, a place in the roster for us.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::scan::{EntryPlace, Kind};
use crate::api::Error;
use crate::roster::view::JobView;

/// Where the next page begins. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Cursor {
    pub(super) kind: Kind,
    /// The number of a group, and which of its entries: blocks are split and merged, groups stay.
    pub(super) group: u64,
    pub(super) entry: usize,
    pub(super) provider: String,
    pub(super) job: String,
}

impl Cursor {
    /// At an entry that exists.
    pub(super) fn at(kind: Kind, job: &JobView, place: EntryPlace) -> Self {
        let block = job.block(place.block).expect("the scan found an entry in it");
        let (group, entry) = block.group_of(place.entry).expect("each entry belongs to a group");
        Self { kind, group, entry, provider: block.provider().as_str().to_owned(), job: job.spec().name.to_string() }
    }

    /// At an entry of a block of the job, if it is there.
    pub(in crate::api) fn of_entry(job: &JobView, block: usize, entry: usize) -> Option<Self> {
        let found = job.block(block)?;
        let (group, entry) = found.group_of(entry)?;
        let (provider, job) = (found.provider().as_str().to_owned(), job.spec().name.to_string());
        Some(Self { kind: Kind::Active, group, entry, provider, job })
    }

    /// Where that is now, if the job is the one: the block, and the entry in it.
    pub(in crate::api) fn place_in(&self, job: &JobView) -> (usize, usize) {
        job.place_of(&self.provider, self.group, self.entry)
    }

    /// The job.
    pub(in crate::api) fn job(&self) -> &str {
        &self.job
    }

    /// The text that clients hand back.
    pub(in crate::api) fn encode(&self) -> String {
        let kind = match self.kind {
            Kind::Active => 'a',
            Kind::Dropped => 'd',
        };
        URL_SAFE_NO_PAD.encode(format!("{kind}\n{}\n{}\n{}\n{}", self.group, self.entry, self.provider, self.job))
    }

    /// Reads such a text.
    pub(in crate::api) fn decode(text: &str) -> Result<Self, Error> {
        Self::decode_as("cursor", "the nextCursor of the page before", text)
    }

    /// Reads such a text in a parameter of another name, where this is expected.
    pub(in crate::api) fn decode_as(name: &'static str, expected: &'static str, text: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| Error::BadParameter { name, value: text.to_owned(), expected })
    }

    fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(5, '\n');
        let kind = match parts.next()? {
            "d" => Kind::Dropped,
            "a" => Kind::Active,
            _ => return None,
        };
        let (group, entry) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { kind, group, entry, provider: parts.next()?.to_owned(), job: parts.next()?.to_owned() })
    }
}
