//! Why things happened to targets, in words: what the reasons of events mean. Pure.

use rosterd_journal::{Kind, Note};

use crate::roster::hold::HoldReason;

/// Why it happened to a target, where the reason is one of those that the journal gives.
pub fn why(note: &Note) -> Option<&'static str> {
    let reason = note.reason.as_deref()?;
    if note.kind == Kind::Held {
        return HoldReason::ALL.into_iter().find(|held| held.as_str() == reason).map(HoldReason::told);
    }
    let is_of_targets = matches!(note.kind, Kind::Added | Kind::Changed | Kind::Removed | Kind::Released);
    let words = match reason {
        "source" => "its source says so",
        "rules" => "the relabelling of its job is another one",
        "reload" => "a reload changed its job, or what that discovers by",
        "confirmed" => "another reading confirmed it",
        "released" => "somebody let go of it",
        "over" => "the time for which it was held is over",
        "replaced" => "another one with its URL came in its place",
        _ => found(reason)?,
    };
    is_of_targets.then_some(words)
}

/// How the journal came to know it, where it did not hear it when it happened.
pub(super) fn found(reason: &str) -> Option<&'static str> {
    match reason {
        "start" | "restart" => Some("found so when rosterd started"),
        "caught_up" => Some("found so when the journal went on"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_targets_are_told_in_words_and_others_as_they_are() {
        let told = |kind, reason: &str| why(&Note { reason: Some(reason.into()), ..Note::of(kind) });
        assert_eq!(told(Kind::Removed, "source"), Some("its source says so"));
        assert_eq!(told(Kind::Held, "braked"), Some(HoldReason::Braked.told()));
        assert_eq!(
            (told(Kind::Brake, "over"), told(Kind::Removed, "x"), why(&Note::of(Kind::Added))),
            (None, None, None)
        );
    }
}
