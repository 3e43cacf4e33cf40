//! Requests: the form in which a record is sent, and its headers.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rosterd_client::{Request, Secret, Url, secret_value};

use crate::Counts;
use crate::log::Record;
use crate::wire::{self, Compression, Head, Message, Packer};

/// The headers of the user, checked. They replace those of rosterd.
pub(super) fn user_headers(headers: &BTreeMap<String, Secret>) -> Result<HeaderMap, String> {
    let header = |(name, value): (&String, &Secret)| {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
        let value =
            secret_value(name, value.expose()).map_err(|_| format!("the header {name} cannot have its value"))?;
        Ok((key, value))
    };
    headers.iter().map(header).collect()
}

/// A request with a finished body.
pub(super) fn request(
    url: &Url,
    user: &HeaderMap,
    message: Message,
    compression: Compression,
    attempts: u32,
    body: Bytes,
) -> Request {
    let mut request = Request::post(url.clone(), body);
    let headers = &mut request.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(message.content_type()));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(compression.name()));
    let version = HeaderName::from_static("x-prometheus-remote-write-version");
    headers.insert(version, HeaderValue::from_static(message.version()));
    if attempts > 0 {
        headers.insert(HeaderName::from_static("retry-attempt"), HeaderValue::from(attempts));
    }
    for (name, value) in user {
        headers.insert(name, value.clone());
    }
    request
}

/// What a record has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// As it was.
    Same,
    /// Changed, without this.
    Changed(Without),
    /// Nothing is left of it.
    Nothing(Without),
    /// It cannot be read.
    Damaged,
}

/// What a record has lost on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Without {
    /// What was too old.
    pub(super) too_old: Counts,
    /// Native histograms with custom buckets, and series that had nothing else.
    pub(super) custom_buckets: Counts,
}

/// Brings a record into the form that is to be sent now, without what is older than `oldest_ms`.
pub(super) fn fit(record: &mut Record, message: Message, compression: Compression, oldest_ms: i64) -> Fit {
    let too_old = record.head.oldest_ms < oldest_ms;
    if record.message == message && record.compression == compression && !too_old {
        return Fit::Same;
    }
    if too_old && record.head.newest_ms < oldest_ms {
        return Fit::Nothing(Without { too_old: record.head.counts, ..Without::default() });
    }
    refit(record, message, compression, too_old.then_some(oldest_ms)).unwrap_or(Fit::Damaged)
}

/// The record as several of so many bytes before compression, unless it cannot be read.
pub(super) fn parts(record: &Record, bytes: usize) -> Option<Vec<Record>> {
    let raw = record.compression.unpack(&record.body, record.raw_len as usize).ok()?;
    let (parts, mut packer) = (wire::split(record.message, &raw, bytes).ok()?, Packer::default());
    let part = |(raw, counts): wire::Part| {
        let (body, raw_len) = (packer.pack(record.compression, &raw), raw.len() as u32);
        Record { head: Head { counts, ..record.head }, raw_len, body, ..record.clone() }
    };
    Some(parts.into_iter().map(part).collect())
}

fn refit(record: &mut Record, message: Message, compression: Compression, oldest_ms: Option<i64>) -> Option<Fit> {
    let mut raw = record.compression.unpack(&record.body, record.raw_len as usize).ok()?;
    let mut without = Without::default();
    if let Some(limit_ms) = oldest_ms {
        let mut kept = Vec::with_capacity(raw.len());
        without.too_old = wire::drop_older_than(record.message, &raw, limit_ms, &mut kept).ok()?;
        raw = kept;
        record.head = record.head.without(without.too_old, limit_ms);
    }
    match (record.message, message) {
        (Message::V1, Message::V2) => raw = wire::v1_to_v2(&raw, record.head).ok()?,
        (Message::V2, Message::V1) => {
            (raw, without.custom_buckets) = wire::v2_to_v1(&raw).ok()?;
            record.head.counts = record.head.counts.minus(without.custom_buckets);
        }
        _ => {}
    }
    if record.head.counts.series == 0 {
        return Some(Fit::Nothing(without));
    }
    record.message = message;
    record.compression = compression;
    record.raw_len = u32::try_from(raw.len()).ok()?;
    record.body = Packer::default().pack(compression, &raw);
    Some(Fit::Changed(without))
}
