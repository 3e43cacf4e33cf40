//! What the lines of a watch say, and what lists and errors say of themselves.

use std::borrow::Cow;

use serde::Deserialize;

/// An event of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    /// The object, as it is now or was at last; of an error a [`Status`].
    pub(crate) object: Cow<'a, [u8]>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The object is new, or has begun to be one of those that are selected.
    Added,
    Modified,
    /// The object is gone, or has ceased to be one of those that are selected.
    Deleted,
    /// Nothing: how far the history has come.
    Bookmark,
    Error,
    /// Of a later version of the API.
    Unknown,
}

impl EventKind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"ADDED" => Self::Added,
            b"MODIFIED" => Self::Modified,
            b"DELETED" => Self::Deleted,
            b"BOOKMARK" => Self::Bookmark,
            b"ERROR" => Self::Error,
            _ => Self::Unknown,
        }
    }

    /// As metrics call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Bookmark => "bookmark",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl<'a> Event<'a> {
    /// Reads a line.
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        if let Some(event) = Self::read_as_usual(line) {
            return Ok(event);
        }
        #[derive(Deserialize)]
        struct Whole {
            #[serde(rename = "type")]
            kind: String,
            object: serde_json::Value,
        }
        let Whole { kind, object } = serde_json::from_slice(line)?;
        Ok(Self { kind: EventKind::of(kind.as_bytes()), object: serde_json::to_vec(&object)?.into() })
    }

    /// As every API server writes it, so that the object is read once and not twice.
    fn read_as_usual(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"type\":\"")?;
        let end = memchr::memchr(b'"', rest)?;
        let (kind, rest) = rest.split_at(end);
        let object = rest.strip_prefix(b"\",\"object\":{")?;
        let object = object.trim_ascii_end().strip_suffix(b"}}")?;
        // With both braces.
        let start = line.len() - rest.len() + b"\",\"object\":".len();
        let object = &line[start..start + object.len() + 2];
        Some(Self { kind: EventKind::of(kind), object: object.into() })
    }
}

/// What a list, or a bookmark, says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ListMeta {
    pub(crate) resource_version: String,
    /// What to ask for to get the rest.
    #[serde(rename = "continue")]
    pub(crate) rest: String,
    annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The annotation of the bookmark that ends the list at the beginning of a watch.
const LIST_ENDS: &str = "k8s.io/initial-events-end";

impl ListMeta {
    /// Reads what a bookmark says.
    pub(crate) fn of_bookmark(object: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Bookmark {
            metadata: ListMeta,
        }
        serde_json::from_slice::<Bookmark>(object).map(|bookmark| bookmark.metadata)
    }

    /// Whether all that there was at the beginning has come.
    pub(crate) fn ends_list(&self) -> bool {
        let annotation = self.annotations.as_ref().and_then(|annotations| annotations.get(LIST_ENDS));
        annotation.is_some_and(|value| value == "true")
    }
}

/// Why the API server refuses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) message: String,
    pub(crate) reason: String,
    pub(crate) code: u16,
    pub(crate) details: Option<Details>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Details {
    retry_after_seconds: u64,
}

impl Status {
    /// The status in a body; without one, what the body begins with is the message.
    pub(crate) fn of_body(code: u16, body: &[u8]) -> Self {
        const LONGEST: usize = 200;
        let read = serde_json::from_slice(body);
        let text = || String::from_utf8_lossy(body).trim().chars().take(LONGEST).collect();
        let status: Self = read.unwrap_or_else(|_| Self { message: text(), ..Self::default() });
        Self { code, ..status }
    }

    /// The time that the server asks for.
    pub(crate) fn wait(&self) -> Option<std::time::Duration> {
        let seconds = self.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| std::time::Duration::from_secs(seconds))
    }
}
