//! A configuration without jobs is not taken at first sight: an editor or a script may be in the middle of writing it, and
//! every target would go. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Why a configuration was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody asked for it.
    Asked,
    /// A file changed: it may change again at once.
    Changed,
    /// Nothing happened for an interval.
    Due,
}

/// How long a content has to rest to be believed, however often it is looked at: longer than an editor pauses in a file.
const RESTED: Duration = Duration::from_secs(2);

/// The content without jobs that was seen last.
#[derive(Debug, Default)]
pub(super) struct SecondLook(Option<Seen>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    content: u64,
    cause: Cause,
    since: Instant,
}

impl SecondLook {
    /// Whether a content without jobs is meant: somebody asked for it twice, or it rested. Otherwise it is remembered.
    pub(super) fn confirms(&mut self, content: u64, cause: Cause, now: Instant) -> bool {
        let before = self.0.filter(|seen| seen.content == content);
        let confirmed = match cause {
            Cause::Asked => before.is_some_and(|seen| seen.cause == Cause::Asked),
            Cause::Changed => false,
            Cause::Due => before.is_some_and(|seen| now.duration_since(seen.since) >= RESTED),
        };
        let asked = before.filter(|seen| seen.cause == Cause::Asked).map(|seen| seen.cause);
        // What is written anew does not rest.
        let since = before.filter(|_| cause != Cause::Changed).map_or(now, |seen| seen.since);
        self.0 = Some(Seen { content, cause: asked.unwrap_or(cause), since });
        confirmed
    }

    /// There are jobs, or it was taken.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wish_that_is_repeated_or_a_file_that_rests_is_believed() {
        use Cause::{Asked, Changed, Due};
        for (looks, believed) in [
            (vec![(1, Asked), (1, Asked)], true),
            (vec![(1, Changed), (1, Due)], true),
            (vec![(1, Due), (1, Due)], true),
            (vec![(1, Asked), (1, Due)], true),
            (vec![(1, Asked), (1, Changed), (1, Asked)], true),
            (vec![(1, Asked)], false),
            (vec![(1, Due)], false),
            // Two events of one write, and a program that asks for a reload beside them.
            (vec![(1, Changed), (1, Changed)], false),
            (vec![(1, Changed), (1, Asked)], false),
            (vec![(1, Asked), (2, Asked)], false),
            (vec![(1, Changed), (2, Changed), (1, Due)], false),
        ] {
            let (mut second, begun) = (SecondLook::default(), Instant::now());
            let times = (0..).map(|look| begun + RESTED * look);
            let last =
                looks.iter().zip(times).map(|((content, cause), now)| second.confirms(*content, *cause, now)).last();
            assert_eq!(last, Some(believed), "{looks:?}");
        }
    }

    #[test]
    fn however_often_it_is_looked_at_a_content_has_to_rest() {
        use Cause::{Asked, Changed, Due};
        for (looks, believed) in [
            (vec![(0, Changed), (200, Due), (400, Due), (1999, Due)], false),
            (vec![(0, Changed), (200, Due), (2000, Due)], true),
            (vec![(0, Asked), (1, Due)], false),
            (vec![(0, Changed), (1900, Changed), (2100, Due)], false),
        ] {
            let (mut second, begun) = (SecondLook::default(), Instant::now());
            let at = |ms| begun + Duration::from_millis(ms);
            let last = looks.iter().map(|(ms, cause)| second.confirms(1, *cause, at(*ms))).last();
            assert_eq!(last, Some(believed), "{looks:?}");
        }
    }

    #[test]
    fn what_was_forgotten_is_seen_for_the_first_time() {
        let mut second = SecondLook::default();
        second.confirms(1, Cause::Asked, Instant::now());
        second.forget();
        assert!(!second.confirms(1, Cause::Asked, Instant::now()));
    }
}
