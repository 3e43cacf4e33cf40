//! A configuration without jobs is not taken at first sight: an editor or a script may be in the middle of writing it, and
//! every target would go. Pure.

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

/// The content without jobs that was seen last.
#[derive(Debug, Default)]
pub(super) struct SecondLook(Option<(u64, Cause)>);

impl SecondLook {
    /// Whether a content without jobs is meant: somebody asked for it twice, or it rested for an interval. Otherwise it is
    /// remembered.
    pub(super) fn confirms(&mut self, content: u64, cause: Cause) -> bool {
        let before = self.0.filter(|(seen, _)| *seen == content).map(|(_, cause)| cause);
        let confirmed = match cause {
            Cause::Asked => before == Some(Cause::Asked),
            Cause::Changed => false,
            Cause::Due => before.is_some(),
        };
        let asked = before.filter(|cause| *cause == Cause::Asked);
        self.0 = Some((content, asked.unwrap_or(cause)));
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
            let mut second = SecondLook::default();
            let last = looks.iter().map(|(content, cause)| second.confirms(*content, *cause)).last();
            assert_eq!(last, Some(believed), "{looks:?}");
        }
    }

    #[test]
    fn what_was_forgotten_is_seen_for_the_first_time() {
        let mut second = SecondLook::default();
        second.confirms(1, Cause::Asked);
        second.forget();
        assert!(!second.confirms(1, Cause::Asked));
    }
}
