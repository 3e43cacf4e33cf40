//! What fuzzing runs, and stable tests with it: any bytes as the answer of a nameserver.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::rr::RecordType;
use rosterd_model::Names;
use rosterd_model::labels::ADDRESS;

use crate::query::Query;
use crate::records::group;

/// The number, the flags and the counts of a message.
const HEADER: usize = 12;
/// The type and the class of a question.
const KIND_AND_CLASS: usize = 4;

const NAME: &str = "a.example.";
const KINDS: [RecordType; 5] = [RecordType::A, RecordType::AAAA, RecordType::SRV, RecordType::MX, RecordType::NS];

/// Reads an answer, and makes targets of its records. The first byte says what was asked, and whether the rest is all of the
/// answer or, after a byte with their count, its records.
pub fn answer(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let query = Query::new(NAME, KINDS[usize::from(first) % KINDS.len()]).expect("a good name");
    let answer = if first < 128 { numbered(&query, rest) } else { to_the_question(&query, rest) };
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let Ok(message) = query.read(server, &answer) else { return };
    let group = group(NAME, 9100, &message.answers, &mut Names::new());
    assert!(group.targets.len() <= message.answers.len() && group.targets.is_sorted_by(|one, next| one < next));
    for target in &group.targets {
        assert!(target.get(ADDRESS).is_some_and(|address| address.contains(':')), "{target}");
    }
}

/// These bytes, with the number that was asked with.
fn numbered(query: &Query, bytes: &[u8]) -> Vec<u8> {
    query.bytes[..2].iter().chain(bytes.iter().skip(2)).copied().collect()
}

/// A good header, the question, and these bytes as records.
fn to_the_question(query: &Query, bytes: &[u8]) -> Vec<u8> {
    let (count, records) = bytes.split_first().map_or((0, bytes), |(count, records)| (*count, records));
    let header = [query.bytes[0], query.bytes[1], 0x85, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
    // The root, with which a name ends, is a label of no bytes.
    let labels = NAME.split_terminator('.').map(|label| 1 + label.len()).sum::<usize>() + 1;
    let question = &query.bytes[HEADER..HEADER + labels + KIND_AND_CLASS];
    [&header, question, records].concat()
}
