//! What a reply means. Pure.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::protocol::Refusal;
use crate::Counts;
use crate::wire::{Compression, Message, Written};

/// What to do after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is written.
    Sent,
    /// These many samples, histograms and exemplars are not written, and will not be.
    Partial([u64; 3]),
    /// To be sent in another form, at once.
    Refused(Refusal),
    /// To be sent again.
    Again {
        /// Whether others would fail too.
        all: bool,
        /// When, if the receiver says so.
        after: Option<Duration>,
    },
    /// Not to be sent again. What was written all the same.
    Rejected(Written),
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) message: Message,
    pub(super) compression: Compression,
    pub(super) counts: Counts,
}

/// Judges a reply; `words` is the beginning of its body, `after` what it says about when to come back, and `kept` whether
/// what is refused with this status waits.
pub(super) fn judge(
    sent: Sent,
    status: StatusCode,
    headers: &HeaderMap,
    words: &str,
    after: Option<Duration>,
    kept: bool,
) -> Verdict {
    let written = Written::of(headers);
    match status.as_u16() {
        200..=299 if sent.message == Message::V1 => Verdict::Sent,
        200..=299 => match written.map(|written| written.missing(sent.counts)) {
            // A receiver that knows version 1.0 alone finds no series in a body of version 2.0, and is content.
            None => Verdict::Refused(Refusal::Message),
            Some([0, 0, 0]) => Verdict::Sent,
            Some(missing) => Verdict::Partial(missing),
        },
        415 if sent.compression == Compression::Zstd => Verdict::Refused(Refusal::Compression),
        400 if sent.compression == Compression::Zstd && is_about_compression(words) => {
            Verdict::Refused(Refusal::Compression)
        }
        415 if sent.message == Message::V2 => Verdict::Refused(Refusal::Message),
        _ if kept => Verdict::Again { all: true, after },
        500..=599 => Verdict::Again { all: status == StatusCode::SERVICE_UNAVAILABLE, after },
        _ => Verdict::Rejected(written.unwrap_or_default()),
    }
}

/// Receivers that ignore `Content-Encoding` fail to read what they take for snappy.
fn is_about_compression(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["snappy", "encod", "decod", "compress", "corrupt"].iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: Counts = Counts { series: 2, samples: 2, histograms: 0, exemplars: 0 };

    fn of(message: Message, compression: Compression, status: u16, written: Option<&str>, words: &str) -> Verdict {
        let name = http::HeaderName::from_static("x-prometheus-remote-write-samples-written");
        let headers = written.map(|written| (name, written.parse().unwrap())).into_iter().collect();
        let sent = Sent { message, compression, counts: COUNTS };
        judge(sent, StatusCode::from_u16(status).unwrap(), &headers, words, None, false)
    }

    #[test]
    fn the_status_decides() {
        let verdict = |status| of(Message::V1, Compression::Snappy, status, None, "");
        assert_eq!([200, 204].map(verdict), [Verdict::Sent; 2]);
        assert_eq!([500, 502].map(verdict), [Verdict::Again { all: false, after: None }; 2]);
        assert_eq!(verdict(503), Verdict::Again { all: true, after: None });
        assert_eq!([301, 400, 401, 404, 413, 415, 429].map(verdict), [Verdict::Rejected(Written::default()); 7]);
    }

    #[test]
    fn what_is_kept_is_tried_again_when_the_receiver_says() {
        let sent = Sent { message: Message::V1, compression: Compression::Snappy, counts: COUNTS };
        let verdict = |after, kept| judge(sent, StatusCode::UNAUTHORIZED, &HeaderMap::new(), "", after, kept);
        let after = Some(Duration::from_secs(7));
        assert_eq!(verdict(after, true), Verdict::Again { all: true, after });
        assert_eq!(verdict(None, true), Verdict::Again { all: true, after: None });
        assert_eq!(verdict(after, false), Verdict::Rejected(Written::default()));
    }

    #[test]
    fn a_receiver_of_version_1_is_found_out() {
        let verdict = |status, written| of(Message::V2, Compression::Snappy, status, written, "");
        assert_eq!(verdict(415, None), Verdict::Refused(Refusal::Message));
        assert_eq!(verdict(204, None), Verdict::Refused(Refusal::Message));
        assert_eq!(verdict(204, Some("2")), Verdict::Sent);
        assert_eq!(verdict(204, Some("1")), Verdict::Partial([1, 0, 0]));
        let one = Written { samples: 1, ..Written::default() };
        assert_eq!(verdict(400, Some("1")), Verdict::Rejected(one));
    }

    #[test]
    fn compression_is_given_up_before_the_version() {
        let verdict = |status, words| of(Message::V2, Compression::Zstd, status, None, words);
        assert_eq!(verdict(415, ""), Verdict::Refused(Refusal::Compression));
        assert_eq!(verdict(400, "snappy: corrupt input"), Verdict::Refused(Refusal::Compression));
        assert_eq!(verdict(400, "out of order sample"), Verdict::Rejected(Written::default()));
    }
}
