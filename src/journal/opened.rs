//! A journal as it can be had at the start: on disk, or in memory behind what can be read.

use std::path::Path;

use rosterd_journal::{Event, Found, JournalError, Query, Settings, Writer};

use super::disk::now;

/// A journal as it can be had.
pub(super) struct Opened {
    pub(super) writer: Writer,
    /// What there was of it.
    pub(super) found: Option<Found>,
    /// Why it is in memory although there is a folder.
    pub(super) failure: Option<JournalError>,
    /// The last event that was written.
    pub(super) last: Option<Event>,
}

impl Opened {
    /// Of a folder or, without one, in memory. Blocks. What cannot be written is read all the same, unless another process does write it.
    pub(super) fn of(folder: Option<&Path>, settings: Settings) -> Self {
        let Some(folder) = folder else {
            return Self::with(Writer::in_memory(settings, now()), None, None);
        };
        let failure = match Writer::open(folder, settings, now()) {
            Ok((writer, found)) => return Self::with(writer, Some(found), None),
            Err(failure) => failure,
        };
        let is_used = matches!(failure, JournalError::InUse { .. });
        let read = || Writer::in_memory_after(folder, settings, now()).ok();
        let (writer, found) = match if is_used { None } else { read() } {
            Some((writer, found)) => (writer, Some(found)),
            None => (Writer::in_memory(settings, now()), None),
        };
        Self::with(writer, found, Some(failure))
    }

    fn with(writer: Writer, found: Option<Found>, failure: Option<JournalError>) -> Self {
        let query = Query { limit: 1, newest_first: true, ..Query::default() };
        let last = writer.reader().query(&query).ok().and_then(|mut page| page.events.pop());
        Self { writer, found, failure, last }
    }
}
