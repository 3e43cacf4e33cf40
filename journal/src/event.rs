//! Events: what happened, to what, and why. The same value goes to disk, to clients and to pages.

use std::str::FromStr;
use std::sync::Arc;

use rosterd_model::Labels;
use serde::{Deserialize, Serialize};

use crate::Time;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, the cursor of whoever follows. Numbers grow; some may be missing.
    pub number: u64,
    /// When, by the clock of the machine.
    pub time: Time,
    /// What, to what and why.
    #[serde(flatten)]
    pub note: Note,
}

/// What happened, to what and why: an event that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What happened.
    pub kind: Kind,
    /// The job that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Arc<str>>,
    /// The provider that it happened to, or that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// The source within the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// Why, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// The target, by its final labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// What these labels were before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Labels>,
    /// What there is to say besides, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Arc<str>>,
}

impl Note {
    /// That something of this kind happened, to nothing in particular.
    pub fn of(kind: Kind) -> Self {
        Self { kind, job: None, provider: None, source: None, reason: None, labels: None, from: None, detail: None }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $word:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it, in queries and answers.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What stands for it on disk: never reused.
            pub(crate) const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The kind of a code, unless a later version gave it.
            pub(crate) const fn of_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// A target came.
    Added = 1 "added",
    /// A target took the place of another one with the same address.
    Changed = 2 "changed",
    /// A target went.
    Removed = 3 "removed",
    /// A target stays, or came, although its source does not say so now.
    Held = 4 "held",
    /// Its source says so again.
    Released = 5 "released",
    /// A job has more targets than its `target_limit`: none of them can be used.
    LimitExceeded = 6 "limit_exceeded",
    /// It has no more than that any more.
    LimitKept = 7 "limit_kept",
    /// What is known of a provider is of another time than before, or a failure of it began, changed or ended.
    Provider = 8 "provider",
    /// A configuration came into use.
    Reloaded = 9 "reloaded",
    /// A configuration was refused.
    ReloadRefused = 10 "reload_refused",
    /// Scrapes of a target work, after they did not.
    Up = 11 "up",
    /// Scrapes of a target fail, after they did not.
    Down = 12 "down",
    /// The brake holds targets, or lets them go.
    Brake = 13 "brake",
    /// What had to be done for a publication has ended.
    Operation = 14 "operation",
    /// rosterd started.
    Started = 15 "started",
    /// rosterd ended in order.
    Stopped = 16 "stopped",
    /// Something happened that nobody had the time to write down.
    Missed = 17 "missed",
    /// The clock of the machine was set back.
    Clock = 18 "clock",
    /// What was stored of targets was damaged, and is lost; or so many targets of a job are gone since, and nothing holds them.
    Damaged = 19 "damaged",
}

impl Kind {
    /// Its bit among all kinds.
    pub(crate) const fn bit(self) -> u64 {
        1 << self.code()
    }
}

/// A word is no kind of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no kind of events is called {0:?}")]
pub struct KindError(String);

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(word: &str) -> Result<Self, KindError> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == word);
        found.copied().ok_or_else(|| KindError(word.to_owned()))
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_word_and_a_code_of_its_own() {
        let codes: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(codes.iter().all(|code| *code < 64), "there is a bit for each");
        for kind in Kind::ALL {
            assert_eq!((Kind::of_code(kind.code()), kind.as_str().parse()), (Some(*kind), Ok(*kind)));
        }
    }

    #[test]
    fn an_event_is_told_without_what_it_has_not() {
        let labels = [("instance", "a")].into_iter().collect();
        let note = Note { job: Some("j".into()), labels: Some(labels), ..Note::of(Kind::Added) };
        let event = Event { number: 7, time: Time(1000), note };
        let json = r#"{"number":7,"time":"1970-01-01T00:00:01Z","kind":"added","job":"j","labels":{"instance":"a"}}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
    }
}
