//! rosterd under torture: the real program, with sources, disks, calendars, consumers and receivers that go wrong in every way, kills and
//! reloads at any time. Whatever happens, it shows no target that it should not, and drops none that must stay.
//!
//! What happens is thrown with dice that begin with a seed. CONTRIBUTING.md says how to let it run for hours, and how to repeat what failed.

mod agent; // the real rosterd, and what it answers
mod belief; // what must and what may be shown; pure
mod cached; // a consumer that asks for what is new
mod calendar; // a calendar that jumps
mod consumers; // those that hang
mod damage; // files that are damaged
mod dice; // chance that can be repeated
mod disk; // a disk that gets full, or takes no writes
mod event; // what can happen
mod receiver; // what is scraped and sent, and where it arrives
mod run; // it happens, and is judged
mod source; // what jobs read
mod world; // all of it

use std::time::Duration;

use rosterd_testkit::Leaks;

use run::{Length, torture};

/// How much happens in a run of which nobody says how long it is to be: one to three minutes.
const EVENTS: usize = 26;
const SEED: u64 = 20_262_485;

#[expect(clippy::disallowed_methods, reason = "whoever runs tests says so by the environment")]
fn asked(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {value:?}")))
}

#[test]
fn whatever_happens_no_target_is_dropped_that_must_stay_and_none_shown_that_may_not() {
    let seed = asked("ROSTERD_TORTURE_SEED").or(asked("PROPTEST_RNG_SEED")).unwrap_or(SEED);
    let events = asked("ROSTERD_TORTURE_EVENTS").map(|events| usize::try_from(events).expect("a number of events"));
    let length = match (asked("ROSTERD_TORTURE_SECONDS"), events) {
        (Some(seconds), _) => Length::Lasts(Duration::from_secs(seconds)),
        (None, events) => Length::Events(events.unwrap_or(EVENTS)),
    };
    let longest = match length {
        Length::Lasts(time) => time + Duration::from_secs(900),
        Length::Events(events) => Duration::from_secs(900) * u32::try_from(1 + events / 200).expect("not so many"),
    };
    Leaks::none().longest(longest).check_live(async || torture(seed, length).await);
}
