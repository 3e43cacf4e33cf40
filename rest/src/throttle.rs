//! A server that asks for fewer questions is asked less: by all who ask it as the same user, whatever job they work for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use rosterd_credentials::Kept;
use rosterd_discovery::{Identity, MechanismShared, System};
use rosterd_tasks::Stopper;
use tokio::time::{Instant, sleep};

use crate::RestError;

/// How long a question waits for its turn. Whoever would wait longer is told so.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause that a server may ask for.
const LONGEST: Duration = Duration::from_secs(3600);
/// The longest that is only concluded from when a limit is reset: what else there is to be had before, the server does not say.
const LONGEST_RESET: Duration = Duration::from_secs(600);
/// The first pause after a refusal that says nothing of its length, and the longest of those, which double.
const FIRST: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(600);
/// A smaller number of seconds is no point in time, but a wait.
const SMALL: u64 = 1_000_000_000;

/// What a server means by the time of its reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// From then on there are questions to be had again.
    #[default]
    Again,
    /// From then on there are as many as there ever are: each comes back after a time of its own, and the first one soon.
    Full,
}

/// What a server said of how much it wants to be asked.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    /// How many refusals there were in a row that said nothing of when to come again.
    refusals: u32,
}

/// The throttles of a mechanism, by server and user: shared state of the mechanism, or a part of it.
#[derive(Debug, Default)]
pub struct Throttles(Kept<Identity, Throttle>);

impl Throttles {
    /// The one of whom `say` says: name the server, and who asks it.
    pub fn get(&self, say: impl FnOnce(&mut Identity)) -> Arc<Throttle> {
        let mut id = Identity::new();
        say(&mut id);
        self.0.get(id, Throttle::default)
    }
}

impl MechanismShared for Throttles {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

impl Throttle {
    /// Waits until a question may be asked; fails if that would take long.
    pub(crate) async fn turn(&self, server: impl Fn() -> String) -> Result<(), RestError> {
        loop {
            let left = self.left();
            if left.is_zero() {
                return Ok(());
            }
            if left > PATIENCE {
                return Err(RestError::SlowedDown { server: server(), left });
            }
            sleep(left).await;
        }
    }

    /// How long nothing is asked yet.
    fn left(&self) -> Duration {
        let until = self.state().until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Asks nothing for so long, for a reason that only who reads the body knows.
    pub fn slow_down(&self, pause: Duration) {
        self.state().pause(pause);
    }

    /// Takes what an answer says of it.
    pub(crate) fn learn(&self, status: StatusCode, headers: &HeaderMap, reset: Reset) {
        let mut state = self.state();
        match advice(status, headers, reset, SystemTime::now()) {
            Advice::None => state.refusals = 0,
            Advice::Pause(pause) => {
                state.refusals = 0;
                state.pause(pause);
            }
            Advice::Less => {
                let pause = FIRST.saturating_mul(1 << state.refusals.min(16)).min(LAST);
                state.refusals += 1;
                state.pause(pause);
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A pause does not become shorter by what another answer said.
    fn pause(&mut self, pause: Duration) {
        self.until = self.until.max(Some(Instant::now() + pause.min(LONGEST)));
    }
}

/// What to make of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Advice {
    /// Nothing.
    None,
    /// Nothing is asked for so long.
    Pause(Duration),
    /// It is too much, and nobody says for how long.
    Less,
}

/// What an answer says: by its status, by `Retry-After`, and by the headers for rates that are in use.
fn advice(status: StatusCode, headers: &HeaderMap, means: Reset, now: SystemTime) -> Advice {
    let number = |what: &str| {
        let names = ["ratelimit-", "x-ratelimit-", "x-rate-limit-"];
        let value = names.iter().find_map(|name| headers.get(format!("{name}{what}")))?;
        value.to_str().ok()?.trim().parse::<u64>().ok()
    };
    let remaining = number("remaining");
    let reset = || {
        let left = match number("reset")? {
            wait @ ..SMALL => Duration::from_secs(wait),
            at => (UNIX_EPOCH + Duration::from_secs(at)).duration_since(now).unwrap_or_default(),
        };
        let left = match means {
            Reset::Again => left,
            Reset::Full => {
                let missing = number("limit")?.saturating_sub(remaining.unwrap_or_default()).max(1);
                left.div_f64(missing as f64).max(FIRST)
            }
        };
        // What is over says nothing: some clock is wrong.
        Some(left.min(LONGEST_RESET)).filter(|left| !left.is_zero())
    };
    let after = rosterd_client::retry_after(headers, now);
    let is_refusal = status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(header::RETRY_AFTER);
    if is_refusal {
        return after.or_else(reset).map_or(Advice::Less, Advice::Pause);
    }
    match (remaining, reset()) {
        (Some(0), Some(pause)) => Advice::Pause(pause),
        _ => Advice::None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use rosterd_model::{Coded, Retry};
    use rosterd_testkit::leak_checked;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn servers_say_in_many_ways_how_long_to_pause() {
        let now = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let pause = |seconds| Advice::Pause(Duration::from_secs(seconds));
        for (status, said, want) in [
            (200, &[][..], Advice::None),
            (429, &[], Advice::Less),
            (429, &[("retry-after", "7"), ("ratelimit-reset", "9")], pause(7)),
            (429, &[("ratelimit-reset", "9")], pause(9)),
            (429, &[("x-ratelimit-reset", "2000000060")], pause(60)),
            (429, &[("x-rate-limit-reset", "1999999999")], Advice::Less),
            (429, &[("ratelimit-limit", "5000"), ("ratelimit-reset", "2000003600")], pause(600)),
            (429, &[("retry-after", "3600"), ("ratelimit-reset", "9")], pause(3600)),
            (200, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "2000003600")], pause(600)),
            (429, &[("retry-after", "soon")], Advice::Less),
            (503, &[], Advice::None),
            (503, &[("retry-after", "7")], pause(7)),
            (500, &[("retry-after", "7")], Advice::None),
            (200, &[("ratelimit-remaining", "1"), ("ratelimit-reset", "9")], Advice::None),
            (200, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "9")], pause(9)),
            (404, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2000000060")], pause(60)),
            (200, &[("ratelimit-remaining", "0")], Advice::None),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(advice(status, &headers(said), Reset::Again, now), want, "{status} {said:?}");
        }
    }

    #[test]
    fn where_questions_come_back_one_by_one_the_next_one_is_waited_for_and_not_all() {
        let now = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let pause = |seconds| Advice::Pause(Duration::from_secs(seconds));
        let full = ("ratelimit-reset", "2000003600");
        for (status, said, want) in [
            // One a second.
            (429, &[("ratelimit-limit", "3600"), ("ratelimit-remaining", "0"), full][..], pause(5)),
            (200, &[("ratelimit-limit", "3600"), ("ratelimit-remaining", "0"), full], pause(5)),
            (200, &[("ratelimit-limit", "3600"), ("ratelimit-remaining", "1"), full], Advice::None),
            // One in a minute, and in an hour.
            (429, &[("ratelimit-limit", "60"), ("ratelimit-remaining", "0"), full], pause(60)),
            (429, &[("ratelimit-limit", "1"), full], pause(600)),
            (429, &[("ratelimit-limit", "0"), full], pause(600)),
            (429, &[full], Advice::Less),
            (429, &[("retry-after", "7"), ("ratelimit-limit", "3600"), full], pause(7)),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(advice(status, &headers(said), Reset::Full, now), want, "{status} {said:?}");
        }
    }

    async fn turn(throttle: &Throttle) -> Result<(), u64> {
        let turn = throttle.turn(|| "http://h".to_owned()).await;
        turn.map_err(|error| match error.retry() {
            Retry::After(left) => left.as_secs(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn who_would_wait_long_is_told_and_who_would_not_waits() {
        leak_checked(async || {
            let throttle = Throttle::default();
            assert_eq!(turn(&throttle).await, Ok(()));
            throttle.learn(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "60")]), Reset::Again);
            assert_eq!(turn(&throttle).await, Err(60));
            throttle.learn(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "5")]), Reset::Again);
            assert_eq!(turn(&throttle).await, Err(60), "a pause does not become shorter");
            tokio::time::advance(Duration::from_secs(52)).await;
            let begun = Instant::now();
            assert_eq!(turn(&throttle).await, Ok(()));
            assert_eq!(begun.elapsed().as_secs(), 8);
            throttle.slow_down(Duration::from_secs(1 << 40));
            assert_eq!(turn(&throttle).await, Err(3600));
        });
    }

    #[test]
    fn pauses_that_nobody_measures_double_until_an_answer_comes() {
        leak_checked(async || {
            let throttle = Throttle::default();
            let mut pauses = Vec::new();
            for status in [429, 429, 429, 200, 429, 429, 429, 429, 429, 429, 429, 429, 429] {
                throttle.learn(StatusCode::from_u16(status).expect("a status"), &HeaderMap::new(), Reset::Again);
                pauses.push(throttle.left().as_secs());
                tokio::time::advance(throttle.left()).await;
            }
            assert_eq!(pauses, [5, 10, 20, 0, 5, 10, 20, 40, 80, 160, 320, 600, 600]);
        });
    }

    #[test]
    fn those_who_ask_as_the_same_user_share_what_was_said() {
        let throttles = Throttles::default();
        let of = |user: &str| throttles.get(|id| id.text("user", user));
        assert!(Arc::ptr_eq(&of("a"), &of("a")) && !Arc::ptr_eq(&of("a"), &of("b")));
    }
}
