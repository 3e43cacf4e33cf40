//! Why things happened to targets, in words: what the reasons of events mean; and which time words mean. Pure.

use rosterd_journal::{Kind, Note, Time};

use super::beginning::{DAMAGED, RESTART};
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
        "confirmed" => "another reading confirmed it, or its watched source did not take it back",
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
        "start" | RESTART => Some("found so when rosterd started"),
        DAMAGED => Some("found so when rosterd started, and what was stored of it was damaged or gone"),
        "caught_up" => Some("found so when the journal went on"),
        _ => None,
    }
}

/// What words may be that mean a time.
pub const A_TIME: &str = "a time such as 2026-11-30T03:12:00Z, seconds since 1970, or how long ago, such as 2h";

/// The time that words mean: `2026-11-30`, `now`, or `2h`, which is so long before now.
pub fn time_of(text: &str, now: Time) -> Option<Time> {
    let ago = |ago: rosterd_model::Duration| now.before(ago.as_std());
    if text == "now" { Some(now) } else { text.parse().ok().or_else(|| text.parse().ok().map(ago)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_so_long_ago() {
        let now = Time(10_000_000);
        for (text, time) in
            [("now", Some(now)), ("1h", Some(Time(6_400_000))), ("2", Some(Time(2000))), ("later", None)]
        {
            assert_eq!(time_of(text, now), time, "{text}");
        }
    }

    #[test]
    fn reasons_of_targets_are_told_in_words_and_others_as_they_are() {
        let told = |kind, reason: &str| why(&Note { reason: Some(reason.into()), ..Note::of(kind) });
        assert_eq!(told(Kind::Removed, "source"), Some("its source says so"));
        assert!(
            told(Kind::Removed, "damaged")
                .is_some_and(|why| why.ends_with("what was stored of it was damaged or gone"))
        );
        assert_eq!(told(Kind::Held, "braked"), Some(HoldReason::Braked.told()));
        assert_eq!(
            (told(Kind::Brake, "over"), told(Kind::Removed, "x"), why(&Note::of(Kind::Added))),
            (None, None, None)
        );
    }
}
