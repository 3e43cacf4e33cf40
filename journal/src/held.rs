//! Why targets are held, as the journal knows it: a word in events, a code in checkpoints.

/// Why a target is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Held {
    /// That was not written, or in a word of a later version.
    Unknown,
    /// Its provider has not reported since the start.
    Restored,
    /// Its source was not read since the start.
    Unread,
    /// Its provider was replaced by one that has not reported.
    Replaced,
    /// Its source says that it is gone, with too many others.
    Braked,
    /// Its source says that it is gone, and it may come back.
    Grace,
}

impl Held {
    /// Those that have a word.
    pub const KNOWN: [Self; 5] = [Self::Restored, Self::Unread, Self::Replaced, Self::Braked, Self::Grace];

    /// The word for it, which is the `reason` of an event that says so.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Restored => "restored",
            Self::Unread => "unread",
            Self::Replaced => "replaced",
            Self::Braked => "braked",
            Self::Grace => "grace",
        }
    }

    /// What an event says by its reason.
    pub(crate) fn of_reason(reason: Option<&str>) -> Self {
        let known = Self::KNOWN.into_iter().find(|held| Some(held.as_str()) == reason);
        known.unwrap_or(Self::Unknown)
    }

    /// What stands for it on disk, never reused: versions that did not write the reason wrote a 1, and read anything but 0 as held.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Unknown => 1,
            Self::Restored => 2,
            Self::Unread => 3,
            Self::Replaced => 4,
            Self::Braked => 5,
            Self::Grace => 6,
        }
    }

    /// What a code of a target says: whether it is held, and why.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        let known = Self::KNOWN.into_iter().find(|held| held.code() == code);
        (code != 0).then(|| known.unwrap_or(Self::Unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_back_from_its_word_and_its_code_and_others_are_held_for_unknown_reasons() {
        for held in Held::KNOWN {
            assert_eq!((Held::of_reason(Some(held.as_str())), Held::of_code(held.code())), (held, Some(held)));
        }
        for reason in [None, Some("restart"), Some("of a later version")] {
            assert_eq!(Held::of_reason(reason), Held::Unknown);
        }
        assert_eq!([0, 1, 77].map(Held::of_code), [None, Some(Held::Unknown), Some(Held::Unknown)]);
        assert_eq!(Held::of_code(Held::Unknown.code()), Some(Held::Unknown));
    }
}
