//! What is kept of one object: a head and its record, or no more than its name.

use xxhash_rust::xxh3::Xxh3Default;

use super::Key;
use crate::codec::{In, Interner, Out, Str};

/// The hash of the content, and a byte of what follows.
pub(super) const HEAD: usize = 9;
/// Came with the list whose mark is set, or since.
const MARKED: u8 = 1;
/// There is nothing but the name.
pub(super) const THIN: u8 = 2;

/// The longest that stands in place. The name of a pod whose beginning others have does, and there are a million of them.
const SHORT: usize = 22;

/// Head and record of an object.
#[derive(Debug, Default)]
pub(super) enum Slot {
    /// There is no object here.
    #[default]
    Free,
    /// So many bytes of these.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl Slot {
    pub(super) fn of(record: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match short.get_mut(..record.len()) {
            Some(place) => {
                place.copy_from_slice(record);
                Self::Short(record.len() as u8, short)
            }
            None => Self::Long(record.into()),
        }
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Free)
    }

    /// Head and record; nothing where it is free.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Free => &[],
            Self::Short(length, bytes) => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }

    fn flags(&self) -> Option<u8> {
        self.bytes().get(HEAD - 1).copied()
    }

    /// Whether there is an object of which no more is known than its name.
    pub(super) fn is_thin(&self) -> bool {
        self.flags().is_some_and(|flags| flags & THIN != 0)
    }

    /// The mark of an object.
    pub(super) fn mark(&self) -> Option<bool> {
        self.flags().map(|flags| flags & MARKED != 0)
    }

    /// Marks an object; a free slot has no mark.
    pub(super) fn set_mark(&mut self, mark: bool) {
        let bytes: &mut [u8] = match self {
            Self::Free => &mut [],
            Self::Short(_, bytes) => bytes,
            Self::Long(bytes) => bytes,
        };
        if let Some(flags) = bytes.get_mut(HEAD - 1) {
            *flags = *flags & !MARKED | u8::from(mark);
        }
    }

    /// The hash of the content.
    pub(super) fn content(&self) -> u64 {
        self.bytes().first_chunk().map_or(0, |hash| u64::from_le_bytes(*hash))
    }
}

/// The name of an object, in the pieces in which it is kept.
#[derive(Debug)]
pub(super) struct Name<'a> {
    namespace: Str<'a>,
    /// What others made by the same one begin with,
    before: Str<'a>,
    /// and the rest.
    rest: Str<'a>,
}

impl<'a> Name<'a> {
    /// The name of what is kept; texts that records have in common are in the first interner, those of names in the second.
    pub(super) fn of(slot: &'a Slot, interner: &'a Interner, names: &'a Interner) -> Self {
        let (thin, record) = (slot.is_thin(), slot.bytes().get(HEAD..).unwrap_or_default());
        let mut from = In::new(record, if thin { names } else { interner });
        let mut text = || from.text().unwrap_or_default();
        let namespace = text();
        let before = if thin { text() } else { Str::default() };
        Self { namespace, before, rest: text() }
    }

    /// Appends a name, so that what a record that is thin has in common with others stands once.
    pub(super) fn put(key: &Key, out: &mut Out<'_>) {
        let (before, rest) = key.name.split_at(key.name.rfind('-').map_or(0, |at| at + 1));
        out.text(&key.namespace);
        out.text(before);
        out.own(rest);
    }

    /// The numbers of the texts that a thin record refers to.
    pub(super) fn texts(slot: &Slot, names: &Interner) -> Vec<u32> {
        let mut from = In::noting(slot.bytes().get(HEAD..).unwrap_or_default(), names);
        // Namespace and beginning; the rest is its own.
        let _both = (from.text(), from.text());
        from.used()
    }

    /// Whether it is in this namespace.
    pub(super) fn is_in(&self, namespace: &str) -> bool {
        *self.namespace == *namespace
    }

    /// Whether it is this one.
    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        self.is_in(namespace) && name.strip_prefix(&*self.before) == Some(&*self.rest)
    }

    /// By what it is found.
    pub(super) fn hash(&self) -> u64 {
        Self::hash_of(&self.namespace, &self.before, &self.rest)
    }

    /// By what one is found whose name is made of these two.
    pub(super) fn hash_of(namespace: &str, before: &str, rest: &str) -> u64 {
        let mut hasher = Xxh3Default::new();
        hasher.update(namespace.as_bytes());
        hasher.update(b"/");
        hasher.update(before.as_bytes());
        hasher.update(rest.as_bytes());
        hasher.digest()
    }

    /// The name by itself.
    pub(super) fn key(&self) -> Key {
        match &*self.before {
            "" => Key::new(&self.namespace, &self.rest),
            before => Key::new(&self.namespace, &format!("{before}{}", &*self.rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_takes_24_bytes_and_no_other_place() {
        assert_eq!(size_of::<Slot>(), 24);
        for length in [0, HEAD, SHORT, SHORT + 1, 200] {
            let record: Vec<u8> =
                (0..length as u8).map(|at| if usize::from(at) == HEAD - 1 { 0 } else { at }).collect();
            let mut slot = Slot::of(&record);
            assert_eq!((slot.bytes(), matches!(slot, Slot::Long(_))), (&record[..], length > SHORT));
            slot.set_mark(true);
            assert_eq!((slot.mark(), slot.is_thin(), slot.is_free()), ((length >= HEAD).then_some(true), false, false));
        }
        assert!(Slot::Free.bytes().is_empty() && Slot::Free.is_free() && Slot::Free.mark().is_none());
    }

    #[test]
    fn a_name_is_the_same_however_it_is_kept() {
        let mut names = Interner::default();
        let of = [
            ("a", "web-5d4f-x2x7z"),
            ("a", "web-5d4f-b9f4k"),
            ("a", "web-5d4f-"),
            ("", "plain"),
            ("ns", "-"),
            ("ns", "é-ü"),
        ];
        // What comes the second time is in common from then on.
        for (namespace, name) in of.iter().chain(&of) {
            let key = Key::new(namespace, name);
            let mut record = vec![0; HEAD - 1];
            record.push(THIN);
            Name::put(&key, &mut Out::compact(&mut record, &mut names));
            let (slot, unused) = (Slot::of(&record), Interner::default());
            let kept = Name::of(&slot, &unused, &names);
            assert_eq!(kept.key(), key);
            assert!(kept.is(namespace, name) && kept.is_in(namespace));
            assert!(!kept.is("other", name) && !kept.is(namespace, "web-5d4f-xxxxx") && !kept.is(namespace, ""));
            assert_eq!(kept.hash(), Name::hash_of(namespace, name, ""));
        }
        assert_eq!(names.len(), 2, "none is shorter than three bytes");
    }
}
