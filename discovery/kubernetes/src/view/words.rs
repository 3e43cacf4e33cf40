//! What is said of the parts of a configuration, as they become known, fail and recover. Pure.

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// Nothing is known of it yet, and nothing has failed.
    Awaited,
    /// It is not known, and cannot be read now.
    Unknown,
    /// All of it is known, as of now.
    Known,
    /// It was known, and cannot be read now.
    Stale,
}

impl Is {
    pub(super) fn is_known(self) -> bool {
        matches!(self, Self::Known | Self::Stale)
    }

    pub(super) fn fails(self) -> bool {
        matches!(self, Self::Unknown | Self::Stale)
    }
}

/// What has to be said, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Saying {
    /// A picture is said: all groups of the parts that are known, and which parts are not.
    pub(super) picture: bool,
    /// Parts of which all groups are said, as changes.
    pub(super) whole: Vec<usize>,
    /// Parts of which changes are said.
    pub(super) changes: Vec<usize>,
    /// Parts that can be read again.
    pub(super) recovered: Vec<usize>,
    /// Parts that cannot be read.
    pub(super) unread: Vec<usize>,
}

impl Saying {
    /// Whether all that is news of a part is said, now that it is like this.
    pub(super) fn tells(&self, part: usize, now: Is) -> bool {
        let picture = self.picture && now.is_known();
        picture || self.whole.contains(&part) || self.changes.contains(&part)
    }
}

/// What was said so far.
#[derive(Debug, Clone)]
pub(super) struct Said {
    parts: Vec<Is>,
    /// How often each had failed.
    failures: Vec<u64>,
    /// Whether each is unread, as far as was said.
    unread: Vec<bool>,
    /// Whether a picture has to be said, as soon as each part is known or has failed.
    picture_due: bool,
    /// Whether any was said to its end.
    pictured: bool,
}

impl Said {
    /// Nothing of so many parts.
    pub(super) fn new(parts: usize) -> Self {
        let (failures, unread) = (vec![0; parts], vec![false; parts]);
        Self { parts: vec![Is::Awaited; parts], failures, unread, picture_due: true, pictured: false }
    }

    /// What was said may not be what was meant: all has to be said again.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { pictured: self.pictured, ..Self::new(self.parts.len()) };
    }

    /// Whether no picture is due: what is known was said.
    pub(super) fn has_pictured(&self) -> bool {
        !self.picture_due
    }

    /// What had to be said was said, all of it.
    pub(super) fn was_said(&mut self) {
        self.pictured |= !self.picture_due;
    }

    /// What has to be said now that the parts are like this, and have failed so often.
    pub(super) fn next(&mut self, now: &[Is], failures: &[u64]) -> Saying {
        let decided = now.iter().all(|part| *part != Is::Awaited);
        let any_known = |parts: &[Is]| parts.iter().any(|part| part.is_known());
        // Where nothing was known, what is there now comes at once, and not bit by bit.
        let begins = any_known(now) && !any_known(&self.parts);
        let mut saying = Saying { picture: decided && (self.picture_due || begins), ..Saying::default() };
        self.picture_due &= !decided;
        if self.picture_due && !self.pictured {
            return saying;
        }
        for (index, (before, now)) in self.parts.iter().zip(now).enumerate() {
            if !saying.picture && now.is_known() {
                if before.is_known() {
                    saying.changes.push(index)
                } else {
                    saying.whole.push(index)
                }
                if self.unread[index] && !now.fails() {
                    saying.recovered.push(index);
                }
            }
            // A picture says which parts it lacks, but not which are stale.
            let told = match saying.picture {
                true => *now == Is::Unknown,
                false => before.fails() && self.failures[index] == failures[index],
            };
            if now.fails() && !told {
                saying.unread.push(index);
            }
            if saying.picture || now.is_known() || now.fails() {
                self.unread[index] = now.fails();
            }
        }
        self.parts = now.to_vec();
        self.failures = failures.to_vec();
        saying
    }
}

#[cfg(test)]
mod tests {
    use super::Is::{Awaited, Known, Stale, Unknown};
    use super::*;

    fn shown(saying: &Saying) -> String {
        let mut parts = Vec::new();
        parts.extend(saying.picture.then(|| "picture".to_owned()));
        for (what, which) in [
            ("all of", &saying.whole),
            ("changes of", &saying.changes),
            ("recovered", &saying.recovered),
            ("unread", &saying.unread),
        ] {
            if !which.is_empty() {
                parts.push(format!("{what} {which:?}"));
            }
        }
        parts.join(", ")
    }

    fn history(steps: &[&[Is]]) -> Vec<String> {
        let mut said = Said::new(steps[0].len());
        steps.iter().map(|now| shown(&said.next(now, &vec![0; now.len()]))).collect()
    }

    #[test]
    fn nothing_is_said_before_each_part_is_known_or_has_failed() {
        let told = history(&[&[Awaited, Awaited], &[Known, Awaited], &[Known, Known], &[Known, Known]]);
        assert_eq!(told, ["", "", "picture", "changes of [0, 1]"]);
    }

    #[test]
    fn what_cannot_be_read_at_first_hides_nothing_and_is_not_gone() {
        let told = history(&[&[Known, Unknown], &[Known, Unknown], &[Known, Known], &[Known, Known]]);
        assert_eq!(
            told,
            ["picture", "changes of [0]", "all of [1], changes of [0], recovered [1]", "changes of [0, 1]"]
        );
    }

    #[test]
    fn a_part_that_comes_before_others_is_told_at_once() {
        let told = history(&[&[Known, Unknown, Unknown], &[Known, Known, Unknown], &[Known, Known, Known]]);
        assert_eq!(
            told,
            ["picture", "all of [1], changes of [0], recovered [1]", "all of [2], changes of [0, 1], recovered [2]"]
        );
    }

    #[test]
    fn what_fails_later_is_unread_until_it_can_be_read_again() {
        let told = history(&[&[Known], &[Stale], &[Stale], &[Known], &[Known]]);
        let changes = "changes of [0]";
        let (unread, recovered) = (format!("{changes}, unread [0]"), format!("{changes}, recovered [0]"));
        assert_eq!(told, ["picture", &unread, changes, &recovered, changes]);
    }

    #[test]
    fn a_picture_is_said_of_what_is_stale_already() {
        assert_eq!(
            history(&[&[Stale], &[Stale], &[Known]]),
            ["picture, unread [0]", "changes of [0]", "changes of [0], recovered [0]"]
        );
        assert_eq!(
            history(&[&[Stale, Unknown], &[Stale, Known]]),
            ["picture, unread [0]", "all of [1], changes of [0], recovered [1]"]
        );
    }

    #[test]
    fn who_begins_anew_says_all_again() {
        let mut said = Said::new(1);
        assert_eq!(shown(&said.next(&[Known], &[0])), "picture");
        said.was_said();
        said.begin_anew();
        assert_eq!(shown(&said.next(&[Awaited], &[0])), "");
        assert_eq!(shown(&said.next(&[Known], &[0])), "picture");
    }

    #[test]
    fn a_first_picture_that_was_broken_off_is_said_anew() {
        let mut said = Said::new(2);
        assert_eq!(shown(&said.next(&[Known, Unknown], &[0, 0])), "picture");
        said.begin_anew();
        assert_eq!(shown(&said.next(&[Awaited, Unknown], &[0, 0])), "");
        said.was_said();
        assert_eq!(shown(&said.next(&[Known, Unknown], &[0, 0])), "picture");
        said.was_said();
        said.begin_anew();
        assert_eq!(shown(&said.next(&[Known, Unknown], &[0, 0])), "picture");
    }

    #[test]
    fn what_has_to_be_read_anew_is_told_anew() {
        let told = history(&[&[Known, Known], &[Known, Awaited], &[Known, Known], &[Known, Known]]);
        assert_eq!(told, ["picture", "changes of [0]", "all of [1], changes of [0]", "changes of [0, 1]"]);
    }

    #[test]
    fn after_a_picture_of_nothing_there_is_one_of_what_is_there() {
        let told = history(&[&[Unknown, Unknown], &[Unknown, Unknown], &[Known, Unknown], &[Known, Known]]);
        assert_eq!(told, ["picture", "", "picture", "all of [1], changes of [0], recovered [1]"]);
    }

    #[test]
    fn what_was_unread_recovers_also_when_it_is_read_in_another_way_meanwhile() {
        let told =
            history(&[&[Known, Unknown], &[Known, Awaited], &[Known, Awaited], &[Known, Known], &[Known, Known]]);
        let (changes, all) = ("changes of [0]", "all of [1], changes of [0], recovered [1]");
        assert_eq!(told, ["picture", changes, changes, all, "changes of [0, 1]"]);
    }

    #[test]
    fn each_failure_is_told_and_none_twice() {
        let mut said = Said::new(2);
        let mut next = |is: [Is; 2], failures: [u64; 2]| shown(&said.next(&is, &failures));
        assert_eq!(next([Known, Unknown], [0, 1]), "picture");
        assert_eq!(next([Known, Unknown], [0, 1]), "changes of [0]");
        assert_eq!(next([Known, Unknown], [0, 2]), "changes of [0], unread [1]");
        assert_eq!(next([Stale, Unknown], [1, 2]), "changes of [0], unread [0]");
        assert_eq!(next([Stale, Unknown], [2, 3]), "changes of [0], unread [0, 1]");
        assert_eq!(next([Stale, Unknown], [2, 3]), "changes of [0]");
    }
}
