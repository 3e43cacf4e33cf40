//! The body of a record, read in place: nothing is made of an event before somebody wants it. Damage gives `None`. Pure.

use std::sync::Arc;

use rosterd_model::{Builder, Labels, Names};

use crate::batch::{DETAIL, FROM, JOB, LABELS, PROVIDER, REASON, SOURCE};
use crate::{Event, Kind, Note, Time, varint};

/// Texts, and what refers to them.
#[derive(Debug)]
pub(crate) struct Body {
    /// Where each text ends.
    ends: Vec<u32>,
    text: String,
    rest: Vec<u8>,
}

impl Body {
    pub(crate) fn read(raw: &[u8]) -> Option<Self> {
        let mut rest = raw;
        let count = varint::take_count(&mut rest)?;
        // Each has a byte at least.
        if count > rest.len() {
            return None;
        }
        let (mut ends, mut end) = (Vec::with_capacity(count), 0u32);
        for _ in 0..count {
            end = end.checked_add(u32::try_from(varint::take(&mut rest)?).ok()?)?;
            ends.push(end);
        }
        let (text, rest) = rest.split_at_checked(end as usize)?;
        Some(Self { ends, text: std::str::from_utf8(text).ok()?.to_owned(), rest: rest.to_vec() })
    }

    /// What refers to the texts.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Takes a reference off the front.
    pub(crate) fn take_text(&self, bytes: &mut &[u8]) -> Option<&str> {
        self.text_of(varint::take_count(bytes)?)
    }

    fn text_of(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)? as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// Takes a label set off the front.
    pub(crate) fn take_labels<'a>(&'a self, bytes: &mut &'a [u8]) -> Option<RawLabels<'a>> {
        let count = varint::take_count(bytes)?;
        let all = *bytes;
        for _ in 0..count {
            self.take_text(bytes)?;
            self.take_text(bytes)?;
        }
        Some(RawLabels { body: self, pairs: &all[..all.len() - bytes.len()] })
    }

    /// Its events, if it is one of events. Ends where it is damaged.
    pub(crate) fn events(&self, first: u64, count: u32) -> Events<'_> {
        let mut rest = self.rest();
        let base = varint::take_signed(&mut rest);
        Events { body: self, rest, base: base.unwrap_or_default(), next: first, left: base.map_or(0, |_| count) }
    }
}

/// Labels that are not taken out of their body yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawLabels<'a> {
    body: &'a Body,
    pairs: &'a [u8],
}

impl<'a> RawLabels<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.pairs;
        std::iter::from_fn(move || Some((self.body.take_text(&mut rest)?, self.body.take_text(&mut rest)?)))
    }

    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn build(self, labels: &mut Builder, names: &mut Names) -> Labels {
        labels.reset(self.iter());
        labels.build(names)
    }
}

/// An event that is not taken out of its body yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawEvent<'a> {
    pub(crate) number: u64,
    pub(crate) time: Time,
    pub(crate) kind: Kind,
    pub(crate) job: Option<&'a str>,
    provider: Option<&'a str>,
    source: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    detail: Option<&'a str>,
    pub(crate) labels: Option<RawLabels<'a>>,
    pub(crate) from: Option<RawLabels<'a>>,
}

impl RawEvent<'_> {
    pub(crate) fn build(&self, labels: &mut Builder, names: &mut Names) -> Event {
        let text = |text: Option<&str>| text.map(Arc::from);
        let note = Note {
            kind: self.kind,
            job: text(self.job),
            provider: text(self.provider),
            source: text(self.source),
            reason: text(self.reason),
            labels: self.labels.map(|raw| raw.build(labels, names)),
            from: self.from.map(|raw| raw.build(labels, names)),
            detail: text(self.detail),
        };
        Event { number: self.number, time: self.time, note }
    }
}

/// The events of a body, in order.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    body: &'a Body,
    rest: &'a [u8],
    base: i64,
    next: u64,
    left: u32,
}

impl<'a> Events<'a> {
    fn take(&mut self) -> Option<Option<RawEvent<'a>>> {
        let (body, rest) = (self.body, &mut self.rest);
        let time = Time(self.base.wrapping_add(varint::take_signed(rest)?));
        let [kind, has] = *rest.split_off(..2)?.first_chunk()?;
        let text = |bit: u8, rest: &mut &'a [u8]| match has & bit {
            0 => Some(None),
            _ => body.take_text(rest).map(Some),
        };
        let (job, provider, source) = (text(JOB, rest)?, text(PROVIDER, rest)?, text(SOURCE, rest)?);
        let (reason, detail) = (text(REASON, rest)?, text(DETAIL, rest)?);
        let labels = |bit: u8, rest: &mut &'a [u8]| match has & bit {
            0 => Some(None),
            _ => body.take_labels(rest).map(Some),
        };
        let (labels, from) = (labels(LABELS, rest)?, labels(FROM, rest)?);
        let number = self.next;
        // A kind that a later version gave is not for this one.
        let event = |kind| RawEvent { number, time, kind, job, provider, source, reason, detail, labels, from };
        Some(Kind::of_code(kind).map(event))
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = RawEvent<'a>;

    fn next(&mut self) -> Option<RawEvent<'a>> {
        while self.left > 0 {
            let Some(event) = self.take() else {
                self.left = 0;
                return None;
            };
            (self.left, self.next) = (self.left - 1, self.next + 1);
            if event.is_some() {
                return event;
            }
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Batch;

    fn text() -> impl Strategy<Value = Option<Arc<str>>> {
        proptest::option::of("[a-c]{0,3}".prop_map(Arc::from))
    }

    fn labels() -> impl Strategy<Value = Option<Labels>> {
        let pairs = proptest::collection::btree_map("[a-c_]{1,3}", "[x-zä]{1,4}", 0..5);
        proptest::option::of(pairs.prop_map(|pairs| pairs.into_iter().collect()))
    }

    pub(crate) fn notes() -> impl Strategy<Value = Vec<(i64, Note)>> {
        let kind = (0..Kind::ALL.len()).prop_map(|index| Kind::ALL[index]);
        let texts = (text(), text(), text(), text(), text());
        let note = (kind, texts, labels(), labels()).prop_map(|(kind, texts, labels, from)| {
            let (job, provider, source, reason, detail) = texts;
            Note { kind, job, provider, source, reason, labels, from, detail }
        });
        proptest::collection::vec((any::<i64>(), note), 1..20)
    }

    pub(crate) fn batch(first: u64, notes: &[(i64, Note)]) -> Batch {
        let mut batch = Batch::new(first);
        notes.iter().for_each(|(time, note)| drop(batch.push(Time(*time), note)));
        batch
    }

    proptest! {
        #[test]
        fn events_come_back_as_they_went_in(first in 0..u64::MAX / 2, notes in notes()) {
            let (header, raw) = batch(first, &notes).finish();
            let body = Body::read(&raw).unwrap();
            let (mut labels, mut names) = (Builder::new(), Names::new());
            let read: Vec<_> =
                body.events(header.first, header.count).map(|raw| raw.build(&mut labels, &mut names)).collect();
            let numbered = notes.into_iter().zip(first..);
            let expected: Vec<_> =
                numbered.map(|((time, note), number)| Event { number, time: Time(time), note }).collect();
            prop_assert_eq!((header.first, header.last), (first, expected.last().unwrap().number));
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn what_is_damaged_or_no_body_is_read_without_a_panic(
            notes in notes(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<proptest::sample::Index>()
        ) {
            let (header, mut raw) = batch(1, &notes).finish();
            let at = at.index(raw.len());
            raw[at] = byte;
            raw.truncate(cut.index(raw.len()) + 1);
            if let Some(body) = Body::read(&raw) {
                let count = body.events(header.first, header.count).count();
                prop_assert!(count <= header.count as usize);
            }
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_passed_over() {
        let notes = [(1, Note::of(Kind::Started)), (2, Note::of(Kind::Stopped))];
        let (header, mut raw) = batch(5, &notes).finish();
        // No texts, the base, and the time of the first event come before its kind.
        assert_eq!(raw[3], Kind::Started.code());
        raw[3] = 200;
        let body = Body::read(&raw).unwrap();
        let found: Vec<_> = body.events(header.first, header.count).map(|event| (event.number, event.kind)).collect();
        assert_eq!(found, [(6, Kind::Stopped)]);
    }
}
