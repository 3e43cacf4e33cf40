//! Any bytes as the answer of a receiver.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rosterd_client::Url;
use tokio::time::Instant;

use super::exchange::comes_back;
use super::pace::Pace;
use super::protocol::Refusal;
use super::verdict::{Sent, Verdict, judge};
use crate::Counts;
use crate::wire::{Compression, Message};

const COUNTS: Counts = Counts { series: 3, samples: 2, histograms: 1, exemplars: 1 };
const SHORTEST: Duration = Duration::from_millis(30);
const LONGEST: Duration = Duration::from_secs(5);
/// No receiver keeps an endpoint waiting for longer.
const ASKED: Duration = Duration::from_secs(3600);

/// Judges an answer to each form of request: two bytes are its status, and what follows a line for each header and, after an
/// empty one, the body. A wait that it asks for is one, and has an end.
pub fn answer(bytes: &[u8]) {
    let Some((status, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Ok(status) = StatusCode::from_u16(100 + u16::from_be_bytes(*status) % 900) else { return };
    let mut lines = rest.split(|byte| *byte == b'\n');
    let headers: HeaderMap = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(header).collect();
    let words = String::from_utf8_lossy(&lines.collect::<Vec<_>>().join(&b'\n')).into_owned();
    let url = Url::parse("http://receiver/write").expect("a good URL");
    let after = comes_back(&url, &headers);
    for message in [Message::V1, Message::V2] {
        for compression in [Compression::Snappy, Compression::Zstd] {
            for kept in [false, true] {
                let sent = Sent { message, compression, counts: COUNTS };
                check(sent, status, judge(sent, status, &headers, &words, after, kept));
            }
        }
    }
    let (mut pace, now) = (Pace::new(SHORTEST, LONGEST), Instant::now());
    pace.failed(now, after);
    let until = pace.blocked(now).expect("it is not asked again at once");
    assert!(until >= now + SHORTEST.min(after.unwrap_or(SHORTEST)) && until <= now + ASKED.max(LONGEST));
    assert!(pace.failed_alone(now, u32::MAX, after) > now);
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, value))
}

fn check(sent: Sent, status: StatusCode, verdict: Verdict) {
    match verdict {
        Verdict::Sent => assert!(status.is_success()),
        Verdict::Partial(missing) => {
            let counts = [COUNTS.samples, COUNTS.histograms, COUNTS.exemplars].map(u64::from);
            assert!(
                status.is_success() && missing != [0; 3] && missing.iter().zip(counts).all(|(some, all)| *some <= all)
            );
        }
        // Otherwise it would be refused for ever.
        Verdict::Refused(Refusal::Message) => assert_eq!(sent.message, Message::V2),
        Verdict::Refused(Refusal::Compression) => assert_eq!(sent.compression, Compression::Zstd),
        Verdict::Again { .. } | Verdict::Rejected(_) => assert!(!status.is_success()),
    }
}
