//! Hints at changes, which those need that take turns. A hint is one question for all who watch a server: one of them asks, and whatever
//! it hears all of them hear. If he cannot ask, another one does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rosterd_discovery::Error;
use tokio::sync::{Mutex as Lease, watch};
use tokio::time::{Instant, sleep_until};

use crate::pace::{Answered, Rhythm, next_index};
use crate::turns::{Server, Wanted};
use crate::{Known, Pace};

/// The least time from one question for a hint to the next.
const LEAST: Duration = Duration::from_secs(1);

/// The hints of a server that somebody hears, by what tells them apart.
#[derive(Debug, Default)]
pub(crate) struct Hints(Mutex<BTreeMap<String, Weak<Hint>>>);

impl Hints {
    pub(crate) fn ear(&self, hint: &str, server: Arc<Server>) -> Ear {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hints.get(hint).and_then(Weak::upgrade);
        let hint = known.unwrap_or_else(|| {
            hints.retain(|_, hint| hint.strong_count() > 0);
            let new = Arc::<Hint>::default();
            hints.insert(hint.to_owned(), Arc::downgrade(&new));
            new
        });
        let rests = Instant::now();
        Ear { heard: hint.changes.subscribe(), server, hint, rests }
    }
}

#[derive(Debug, Default)]
struct Hint {
    /// Held by the one who asks.
    asker: Lease<Asker>,
    /// How often it hinted at something.
    changes: watch::Sender<u64>,
}

/// What the next question needs to know of those before, whoever asked them.
#[derive(Debug, Default)]
struct Asker {
    index: u64,
    rhythm: Rhythm,
    /// Before this none is asked.
    next: Option<Instant>,
}

impl Hint {
    /// Asks once, when nobody else does and it is time.
    async fn ask<F: Future<Output = Result<u64, Error>>>(
        &self,
        server: &Server,
        pace: &Pace,
        ask: impl Fn(Known) -> F,
    ) -> Result<(), Error> {
        let mut asker = self.asker.lock().await;
        let _one = Wanted::new(&server.hints, 1);
        if let Some(next) = asker.next {
            sleep_until(next).await;
        }
        let _turn = server.turn(&server.hints, asker.index).await;
        let (asked, known) = (Instant::now(), Known { index: asker.index, wait: server.hints.wait(pace) });
        let index = ask(known).await?;
        let is_news = known.index > 0 && index > known.index;
        let pace = Pace { least: LEAST.min(pace.least), ..*pace };
        let pause = asker.rhythm.pause(&pace, Answered { known, index, taken: asked.elapsed(), is_news });
        asker.index = next_index(known.index, index);
        asker.next = Some(Instant::now() + pause);
        if is_news {
            self.changes.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }
}

/// One of those who hear a hint.
pub(crate) struct Ear {
    server: Arc<Server>,
    hint: Arc<Hint>,
    heard: watch::Receiver<u64>,
    /// It does not ask before this.
    rests: Instant,
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("hint", &self.hint).finish_non_exhaustive()
    }
}

impl Ear {
    /// Waits for the next hint, and asks for it if nobody else does, as long as not all can be waited for at the same time. It is no
    /// failure if none can be had: then each has its turn, as long as that takes.
    pub(crate) async fn hear<F: Future<Output = Result<u64, Error>>>(&mut self, pace: &Pace, ask: impl Fn(Known) -> F) {
        let Self { server, hint, heard, rests } = self;
        let (server, hint) = (&*server, &*hint);
        loop {
            server.groups.until(true).await;
            let until = *rests;
            let asks = async {
                sleep_until(until).await;
                hint.ask(server, pace, &ask).await
            };
            let asked = tokio::select! {
                biased;
                // Whoever hears it holds on to the sender.
                _ = heard.changed() => return,
                () = server.groups.until(false) => continue,
                asked = asks => asked,
            };
            if asked.is_err() {
                *rests = Instant::now() + pace.interval;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use rosterd_testkit::leak_checked;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::{Fault, RestError};

    const PACE: Pace =
        Pace { interval: Duration::from_secs(30), wait: Duration::from_secs(120), least: Duration::from_secs(30) };

    /// A question that is under way.
    struct UnderWay<'a>(&'a Cell<i32>);

    impl Drop for UnderWay<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }

    #[test]
    fn one_asks_for_all_and_another_one_where_that_one_may_not() {
        leak_checked(|| async {
            let server = Server::new();
            let _many = Wanted::new(&server.groups, 101);
            let (mut one, mut other, mut third) = (server.ear("a"), server.ear("a"), server.ear("b"));
            let (index, asked) = (watch::Sender::new(7), Cell::new([0; 3]));
            let count = |who: usize| {
                let mut counts = asked.get();
                counts[who] += 1;
                asked.set(counts);
            };
            let refused = async |_: Known| {
                count(0);
                Err(RestError::Malformed { url: "hint".to_owned(), source: Fault::new("forbidden") }.into())
            };
            let answer = async |known: Known| match known.index {
                0 => *index.borrow(),
                known => *index.subscribe().wait_for(|index| *index != known).await.expect("it is there"),
            };
            let answered = async |known: Known| {
                count(1);
                Ok(answer(known).await)
            };
            let others = async |_: Known| {
                count(2);
                Ok(3)
            };
            let hear = async |one: &mut Ear, other: &mut Ear| {
                let both = async { tokio::join!(one.hear(&PACE, &refused), other.hear(&PACE, &answered)) };
                let change = async {
                    sleep(PACE.interval * 5 / 2).await;
                    index.send_modify(|index| *index += 1);
                };
                let begun = Instant::now();
                tokio::join!(both, change);
                begun.elapsed()
            };
            for round in 1..=2 {
                assert_eq!(hear(&mut one, &mut other).await, PACE.interval * 5 / 2, "round {round}");
            }
            // The first one is asked again where the other one hears, and the second one goes on where that one was.
            assert_eq!(asked.get()[..2], [2, 3]);
            // Another hint is another question, and one whose index stays tells nothing.
            let none = timeout(PACE.interval, third.hear(&PACE, &others)).await;
            assert!(none.is_err() && asked.get()[2] == 2, "{:?}", asked.get());
        });
    }

    #[test]
    fn nobody_asks_unless_turns_are_taken_and_each_waits_less_where_hints_are_many() {
        leak_checked(|| async {
            let server = Server::new();
            let mut many = Wanted::new(&server.groups, 100);
            let mut ear = server.ear("a");
            let (asked, under_way) = (Cell::new(None), Cell::new(0));
            let ask = async |known: Known| {
                asked.set(Some(known));
                under_way.set(under_way.get() + 1);
                let _one = UnderWay(&under_way);
                pending().await
            };
            assert!(timeout(PACE.wait, ear.hear(&PACE, &ask)).await.is_err());
            assert_eq!(asked.get(), None);
            let watched = async {
                sleep(Duration::from_secs(1)).await;
                assert_eq!(asked.get(), None);
                many.set(101);
                sleep(Duration::from_secs(1)).await;
                assert_eq!((asked.take(), under_way.get()), (Some(Known { index: 0, wait: PACE.wait }), 1));
                many.set(100);
                sleep(Duration::from_secs(1)).await;
                assert_eq!((asked.take(), under_way.get()), (None, 0), "it is given up");
                let _hints = Wanted::new(&server.hints, 19);
                many.set(101);
                sleep(Duration::from_secs(1)).await;
                assert_eq!(asked.take(), Some(Known { index: 0, wait: PACE.interval / 2 }), "ten of twenty at a time");
            };
            tokio::select! {
                biased;
                () = watched => {}
                () = ear.hear(&PACE, &ask) => unreachable!("nothing is answered"),
            }
        });
    }
}
