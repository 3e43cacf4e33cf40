//! Checkpoints: a whole roster, in pieces. Pure.

use rosterd_model::{Builder, Labels, Names};

use crate::batch::Symbols;
use crate::body::Body;
use crate::record::{Content, Header};
use crate::writer::Target;
use crate::{Held, Time, varint};

/// A piece is closed when it reaches this size: soon in tests, so that small rosters have several.
const FULL: usize = if cfg!(test) { 1 << 8 } else { 1 << 20 };

/// Where a segment begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// The number of the next event.
    pub(crate) first: u64,
    /// The time of the checkpoint.
    pub(crate) began: Time,
    /// No event behind the checkpoint is older. Where it is before that, the checkpoint has what these events did.
    pub(crate) since: Time,
    /// Whether events before it are in memory alone, or lost.
    pub(crate) is_after_loss: bool,
}

/// The records of a checkpoint of these targets, of which there is one at least.
pub(crate) fn pieces<'a>(
    beginning: Beginning,
    targets: impl IntoIterator<Item = Target<'a>>,
) -> impl Iterator<Item = (Header, Vec<u8>)> {
    let (mut targets, mut index, mut ended) = (targets.into_iter().peekable(), 0u64, false);
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let (mut symbols, mut rows, mut count) = (Symbols::default(), Vec::new(), 0);
        varint::push(&mut rows, index);
        while symbols.size() + rows.len() < FULL
            && let Some(target) = targets.next()
        {
            symbols.refer(target.job, &mut rows);
            rows.push(target.held.map_or(0, Held::code));
            symbols.refer_labels(target.labels, &mut rows);
            count += 1;
        }
        ended = targets.peek().is_none();
        index += 1;
        let header = Header {
            content: Content::Checkpoint,
            is_last: ended,
            is_after_loss: beginning.is_after_loss,
            first: beginning.first,
            last: beginning.first,
            count,
            oldest: beginning.since,
            newest: beginning.began,
            kinds: 0,
        };
        let mut raw = symbols.finish();
        raw.extend(rows);
        Some((header, raw))
    })
}

/// Reads a piece, and hands out its targets with their jobs, and why they are held if they are. Returns which piece it is, unless it is
/// damaged.
pub(crate) fn read(
    header: &Header,
    raw: &[u8],
    names: &mut Names,
    mut see: impl FnMut(&str, Labels, Option<Held>),
) -> Option<u64> {
    let body = Body::read(raw)?;
    let mut rest = body.rest();
    let (index, mut labels) = (varint::take(&mut rest)?, Builder::new());
    for _ in 0..header.count {
        let job = body.take_text(&mut rest)?;
        let (&held, behind) = rest.split_first()?;
        rest = behind;
        see(job, body.take_labels(&mut rest)?.build(&mut labels, names), Held::of_code(held));
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINNING: Beginning = Beginning { first: 7, began: Time(9), since: Time(8), is_after_loss: true };

    fn labels(number: usize) -> Labels {
        [("__address__", format!("host-{number}.example:9100")), ("job", "node".to_owned())].into_iter().collect()
    }

    type Row = (String, Labels, Option<Held>);

    fn read_all(pieces: &[(Header, Vec<u8>)]) -> (Vec<u64>, Vec<Row>) {
        let (mut names, mut found) = (Names::new(), Vec::new());
        let read = |(header, raw): &(Header, Vec<u8>)| {
            read(header, raw, &mut names, |job, labels, held| found.push((job.to_owned(), labels, held)))
        };
        let indexes = pieces.iter().map(read).collect::<Option<Vec<_>>>().unwrap();
        (indexes, found)
    }

    #[test]
    fn a_roster_comes_back_from_its_pieces() {
        let all: Vec<_> = (0..60_000).map(|number| (format!("job-{}", number % 3), labels(number))).collect();
        let targets = all.iter().enumerate();
        let held = |index: usize| Held::KNOWN.get(index % 7).copied();
        let targets = targets.map(|(index, (job, labels))| Target { job, labels, held: held(index) });
        let pieces: Vec<_> = pieces(BEGINNING, targets).collect();
        assert!(pieces.len() > 1);
        assert!(pieces.iter().rev().skip(1).all(|(header, _)| !header.is_last));
        assert!(pieces.last().unwrap().0.is_last);
        let (indexes, found) = read_all(&pieces);
        assert!(indexes.into_iter().eq(0..pieces.len() as u64));
        let expected = all.into_iter().enumerate();
        assert!(found.into_iter().eq(expected.map(|(index, (job, labels))| (job, labels, held(index)))));
    }

    #[test]
    fn an_empty_roster_has_a_checkpoint_too() {
        let pieces: Vec<_> = pieces(BEGINNING, []).collect();
        assert!(matches!(&pieces[..], [(Header { is_last: true, count: 0, first: 7, .. }, _)]));
        assert_eq!(read_all(&pieces), (vec![0], Vec::new()));
    }
}
