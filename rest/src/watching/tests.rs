//! The watching of a catalog, on a clock that stands still while somebody works.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rosterd_client::ClientError;
use rosterd_discovery::Word;
use rosterd_model::TargetGroup;
use rosterd_model::labels::ADDRESS;
use rosterd_tasks::Supervision;
use rosterd_testkit::contract::Run;
use rosterd_testkit::{addresses, leak_checked};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{Answer, Fault, Known, RestError};

const PACE: Pace =
    Pace { interval: Duration::from_secs(30), wait: Duration::from_secs(120), least: Duration::from_secs(1) };

/// A catalog in memory: each name has an index and a target, or fails.
#[derive(Debug, Default)]
struct Registry {
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    index: u64,
    names: BTreeMap<String, (u64, String)>,
    failing: BTreeSet<String>,
    panicking: BTreeSet<String>,
    /// What fails as all does at a server that is not well.
    down: BTreeSet<String>,
    /// The names are known without asking.
    are_fixed: bool,
    /// Each name has the index of all.
    is_table: bool,
    /// No answer is held back.
    is_unheld: bool,
    /// About these nothing is answered.
    hanging: BTreeSet<String>,
    /// About these only after so much time.
    slow: BTreeMap<String, Duration>,
    /// There is a hint, with the index of all.
    hints: bool,
    /// Names and indexes of all questions.
    asked: Vec<(String, u64)>,
    under_way: usize,
    most: usize,
}

/// In place of a name: the question about the names.
const NAMES: &str = "(names)";

/// The same of the hint.
const HINT: &str = "(hint)";

impl Registry {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held());
        self.changed.notify_waiters();
    }

    /// The name has this target from now on.
    fn put(&self, name: &str, address: &str) {
        self.change(|held| {
            held.index += 1;
            held.names.insert(name.to_owned(), (held.index, address.to_owned()));
        });
    }

    /// The server is not well from now on, or it is again.
    fn set_down(&self, is_down: bool) {
        self.change(|held| {
            let all = held.names.keys().cloned().chain([NAMES.to_owned()]);
            held.down = if is_down { all.collect() } else { BTreeSet::new() };
        });
    }

    /// How often names were asked about.
    fn asked_about_names(&self) -> usize {
        self.held().asked.iter().filter(|(name, _)| name != NAMES && name != HINT).count()
    }

    /// The indexes with which was asked for this.
    fn asked(&self, what: &str) -> Vec<u64> {
        self.held().asked.iter().filter(|(name, _)| name == what).map(|(_, index)| *index).collect()
    }

    /// Waits for another index than the one that is known.
    async fn wait(&self, what: &str, known: Known, index: impl Fn(&Held) -> u64) -> Result<u64, Error> {
        self.held().asked.push((what.to_owned(), known.index));
        let slow = self.held().slow.get(what).copied().unwrap_or_default();
        sleep(slow).await;
        let end = Instant::now() + known.wait;
        loop {
            let changed = self.changed.notified();
            let (now, hangs) = {
                let held = self.held();
                assert!(!held.panicking.contains(what), "asked about {what}");
                if held.failing.contains(what) {
                    return Err(RestError::Malformed { url: what.to_owned(), source: Fault::new("broken") }.into());
                }
                if held.down.contains(what) {
                    return Err(ClientError::Timeout { url: what.to_owned(), after: PACE.wait }.into());
                }
                if held.is_unheld {
                    return Ok(index(&held));
                }
                (index(&held), held.hanging.contains(what))
            };
            if hangs {
                changed.await;
                continue;
            }
            if known.index == 0 || now != known.index || tokio::time::timeout_at(end, changed).await.is_err() {
                return Ok(now);
            }
        }
    }
}

#[async_trait]
impl Catalog for Arc<Registry> {
    type Name = String;

    fn fixed(&self) -> Option<BTreeSet<String>> {
        let held = self.held();
        held.are_fixed.then(|| held.names.keys().cloned().collect())
    }

    async fn names(&self, known: Known) -> Result<Answer<BTreeSet<String>>, Error> {
        let index = self.wait(NAMES, known, |held| held.index).await?;
        let names = self.held().names.keys().cloned().collect();
        Ok(Answer { index, news: (known.index == 0 || index != known.index).then_some(names) })
    }

    fn hints(&self) -> usize {
        usize::from(self.held().hints)
    }

    async fn hint(&self, _: usize, known: Known) -> Result<Answer<()>, Error> {
        let index = self.wait(HINT, known, |held| held.index).await?;
        Ok(Answer { index, news: None })
    }

    async fn group(&self, name: &String, known: Known) -> Result<Answer<TargetGroup>, Error> {
        self.change(|held| {
            held.under_way += 1;
            held.most = held.most.max(held.under_way);
        });
        let of = |held: &Held| match held.is_table {
            true => held.index,
            false => held.names.get(name).map_or(1, |(index, _)| *index),
        };
        let index = self.wait(name, known, of).await;
        self.held().under_way -= 1;
        let index = index?;
        let held = self.held();
        let targets = held.names.get(name).map(|(_, address)| [(ADDRESS, address.as_str())].into_iter().collect());
        let group = TargetGroup { targets: targets.into_iter().collect(), ..TargetGroup::default() };
        Ok(Answer { index, news: (known.index == 0 || index != known.index).then_some(group) })
    }
}

fn watch(registry: &Arc<Registry>) -> Run {
    let guard = Supervision::default().guard("source");
    Run::of(Watching::boxed(Arc::clone(registry), Server::new(), PACE, &guard))
}

fn registry(names: &[(&str, &str)]) -> Arc<Registry> {
    let registry = Arc::<Registry>::default();
    names.iter().for_each(|(name, address)| registry.put(name, address));
    registry
}

/// Lets time pass, and takes what is said in it.
async fn pass(run: &mut Run, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(Duration::from_millis(500)).await;
        while run.try_next().is_some() {}
    }
}

fn shown(run: &Run) -> Vec<String> {
    addresses(run.picture()).into_iter().collect()
}

#[test]
fn the_first_word_is_the_whole_picture_and_then_changes_come_at_once() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        let first = run.next().await.expect("a word");
        assert!(
            matches!(&first, Word::EverythingBut(groups, unread) if groups.len() == 2 && unread.is_empty()),
            "{first:?}"
        );
        pass(&mut run, Duration::from_secs(20)).await;
        let before = Instant::now();
        registry.put("a", "a:2");
        let second = run.next().await.expect("a word");
        assert!(matches!(&second, Word::Changed(groups) if *groups[0].source == *"a"), "{second:?}");
        registry.put("c", "c:1");
        run.next().await.expect("a word");
        assert_eq!(shown(&run), ["a:2", "b:1", "c:1"]);
        assert!(before.elapsed() <= PACE.least, "{:?}", before.elapsed());
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn what_is_there_before_any_name_is_nothing() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        let mut run = watch(&registry);
        let first = run.next().await.expect("a word");
        assert!(matches!(&first, Word::EverythingBut(groups, _) if groups.is_empty()), "{first:?}");
        registry.put("a", "a:1");
        run.next().await.expect("a word");
        assert_eq!(shown(&run), ["a:1"]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_name_that_vanishes_is_gone_and_not_asked_about_any_more() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| {
            held.index += 1;
            held.names.remove("a");
        });
        // The question about it may be answered before it is known to be gone.
        while shown(&run).len() > 1 {
            run.next().await.expect("a word");
        }
        pass(&mut run, Duration::from_secs(5)).await;
        let asked = registry.asked("a").len();
        pass(&mut run, Duration::from_secs(600)).await;
        assert_eq!((shown(&run), registry.asked("a").len()), (vec!["b:1".to_owned()], asked));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn one_that_fails_or_panics_hides_no_other_and_comes_back() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        registry.change(|held| held.failing.extend(["a".to_owned()]));
        registry.change(|held| held.panicking.extend(["b".to_owned()]));
        let mut run = watch(&registry);
        let first = run.next().await.expect("a word");
        let told: Vec<_> = first.unread().iter().map(|it| (it.source.to_string(), it.error.code())).collect();
        assert_eq!(told, [("a".to_owned(), "sd_rest_malformed"), ("b".to_owned(), "sd_rest_panicked")]);
        assert_eq!(shown(&run), ["c:1"]);
        registry.change(|held| {
            held.failing.clear();
            held.panicking.clear();
        });
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert_eq!(shown(&run), ["a:1", "b:1", "c:1"]);
        // A failure later on keeps what it had, and it is read anew afterwards.
        registry.put("a", "a:2");
        registry.change(|held| held.failing.extend(["a".to_owned()]));
        while run.unread().next().is_none() {
            run.next().await.expect("a word");
        }
        assert!(
            shown(&run).contains(&"a:1".to_owned()) || shown(&run).contains(&"a:2".to_owned()),
            "{:?}",
            shown(&run)
        );
        registry.change(|held| held.failing.clear());
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert_eq!(shown(&run), ["a:2", "b:1", "c:1"]);
        assert_eq!(registry.asked("a").last(), Some(&0), "what failed is asked for without an index");
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn an_index_that_goes_back_is_asked_without_one() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        // The server was restored from a copy.
        registry.change(|held| {
            held.index = 1;
            held.names = BTreeMap::from([("b".to_owned(), (1, "b:old".to_owned()))]);
        });
        while shown(&run) != ["b:old"] {
            run.next().await.expect("a word");
        }
        pass(&mut run, Duration::from_secs(10)).await;
        assert_eq!(registry.asked(NAMES), [0, 2, 0, 1]);
        assert_eq!(registry.asked("b"), [0, 2, 0, 1]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_server_that_is_behind_is_not_believed() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        let index = registry.held().index;
        let names = registry.held().names.clone();
        // One that has just begun answers in its place, until it has caught up.
        registry.change(|held| (held.index, held.names) = (1, BTreeMap::new()));
        pass(&mut run, PACE.least / 2).await;
        assert_eq!((shown(&run).len(), registry.asked(NAMES)), (2, vec![0, 2]));
        registry.change(|held| (held.index, held.names) = (index, names));
        pass(&mut run, Duration::from_secs(10)).await;
        assert_eq!((shown(&run), registry.asked(NAMES)), (vec!["a:1".to_owned(), "b:1".to_owned()], vec![0, 2, 0, 2]));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn who_answers_without_an_index_is_asked_at_each_interval() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        registry.change(|held| drop(held.names.insert("a".to_owned(), (0, "a:1".to_owned()))));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.interval * 10 + PACE.least).await;
        assert_eq!((registry.asked(NAMES).len(), registry.asked("a").len()), (11, 11));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn thousands_of_names_take_turns_and_each_is_asked_about_within_the_interval() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..2_000).for_each(|number| registry.put(&format!("n{number:04}"), &format!("n{number}:1")));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        assert_eq!(shown(&run).len(), 2_000);
        pass(&mut run, PACE.interval * 4).await;
        let counts: BTreeSet<_> = (0..2_000).map(|number| registry.asked(&format!("n{number:04}")).len()).collect();
        assert!(counts.iter().all(|count| (4..=6).contains(count)), "{counts:?}");
        assert_eq!(registry.held().most, 100);
        registry.put("n1234", "new:1");
        let before = Instant::now();
        while !shown(&run).contains(&"new:1".to_owned()) {
            run.next().await.expect("a word");
        }
        assert!(before.elapsed() <= PACE.interval + PACE.least, "{:?}", before.elapsed());
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn names_that_cannot_be_asked_for_are_a_failure_that_keeps_everything_and_passes() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| held.failing.extend([NAMES.to_owned(), "b".to_owned()]));
        while !(run.status().last_error.is_some() && run.unread().next().is_some()) {
            run.try_next();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(shown(&run), ["a:1", "b:1"]);
        registry.change(|held| {
            held.failing.remove(NAMES);
        });
        while run.status().last_error.is_some() {
            run.try_next();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(run.unread().collect::<Vec<_>>(), ["b"], "one that fails still does");
        assert_eq!((run.fault(), shown(&run)), (None, vec!["a:1".to_owned(), "b:1".to_owned()]));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn that_nothing_changes_is_said_now_and_then() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        let before = Instant::now();
        let next = run.next().await.expect("a word");
        assert!(matches!(next, Word::Unchanged), "{next:?}");
        assert!(before.elapsed() <= PACE.wait + PACE.interval, "{:?}", before.elapsed());
        assert_eq!(run.fault(), None);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn who_is_answered_because_of_others_is_asked_less_and_less_often() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        registry.change(|held| held.is_table = true);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        for round in 0..240 {
            registry.put("b", &format!("b:{round}"));
            pass(&mut run, Duration::from_millis(500)).await;
        }
        let asked = registry.asked("a").len();
        assert!((4..=12).contains(&asked), "{asked} times in two minutes");
        // Its own news is seen within the interval, and what follows soon after it.
        registry.put("a", "a:2");
        pass(&mut run, PACE.interval).await;
        assert!(shown(&run).contains(&"a:2".to_owned()), "{:?}", shown(&run));
        let before = registry.asked("a").len();
        for round in 0..40 {
            registry.put("a", &format!("a:new{round}"));
            pass(&mut run, Duration::from_millis(500)).await;
        }
        let asked = registry.asked("a").len() - before;
        assert!(asked >= 15, "{asked} times in twenty seconds");
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_server_that_does_not_wait_is_asked_at_each_interval_and_that_is_told() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        registry.change(|held| held.is_unheld = true);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        assert_eq!(run.status().warning, None);
        pass(&mut run, PACE.interval * 10).await;
        let asked = [NAMES, "a", "b"].map(|what| registry.asked(what).len());
        assert!(asked.iter().all(|asked| (10..=13).contains(asked)), "{asked:?}");
        let told = |run: &Run| run.status().warning.map(|warning| warning.report.code);
        assert_eq!((told(&run).as_deref(), run.status().worst()), (Some("sd_rest_unheld"), None));
        registry.change(|held| held.is_unheld = false);
        pass(&mut run, PACE.wait + PACE.interval * 2).await;
        assert_eq!(told(&run), None);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn while_the_server_is_not_well_one_question_is_asked_for_all_and_then_all_at_once() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..300).for_each(|number| registry.put(&format!("n{number:03}"), &format!("n{number}:1")));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, Duration::from_secs(10)).await;
        let before = (registry.asked(NAMES).len(), registry.asked_about_names());
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(600)).await;
        let asked = (registry.asked(NAMES).len() - before.0, registry.asked_about_names() - before.1);
        assert!((15..=40).contains(&asked.0) && asked.1 <= 300, "{asked:?}");
        assert_eq!((run.unread().count(), shown(&run).len()), (300, 300));
        (0..300).for_each(|number| registry.put(&format!("n{number:03}"), &format!("n{number}:2")));
        registry.set_down(false);
        while run.status().last_error.is_some() {
            run.next().await.expect("a word");
        }
        let before = Instant::now();
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert!(before.elapsed() <= Duration::from_secs(1), "{:?}", before.elapsed());
        assert_eq!(shown(&run).iter().filter(|it| it.ends_with(":2")).count(), 300);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn where_the_names_are_known_one_after_the_other_is_asked_for_all() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..20).for_each(|number| registry.put(&format!("n{number:02}"), &format!("n{number}:1")));
        registry.change(|held| held.are_fixed = true);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        let before = registry.asked_about_names();
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(300)).await;
        let (count, asked) = (registry.asked_about_names() - before, registry.held().asked[before..].to_vec());
        let names: BTreeSet<_> = asked.into_iter().map(|(name, _)| name).collect();
        assert!((8..=40).contains(&count) && names.len() >= 5, "{count} times about {names:?}");
        registry.set_down(false);
        while run.unread().count() == 20 {
            run.next().await.expect("a word");
        }
        let before = Instant::now();
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert!(before.elapsed() <= Duration::from_secs(1), "{:?}", before.elapsed());
        assert_eq!(shown(&run).len(), 20);
        // One that fails alone lets nobody wait.
        registry.change(|held| held.down.extend(["n07".to_owned()]));
        registry.put("n08", "n8:2");
        pass(&mut run, Duration::from_secs(5)).await;
        assert_eq!(run.unread().collect::<Vec<_>>(), ["n07"]);
        assert!(shown(&run).contains(&"n8:2".to_owned()), "{:?}", shown(&run));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn names_that_cannot_be_asked_for_stay_a_failure_whatever_else_is_said() {
    leak_checked(|| async {
        for is_down in [false, true] {
            let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
            let mut run = watch(&registry);
            run.next().await.expect("a word");
            registry.change(|held| if is_down { &mut held.down } else { &mut held.failing }.extend([NAMES.to_owned()]));
            pass(&mut run, Duration::from_secs(5)).await;
            for address in ["a:2", "a:3", "a:4"] {
                registry.put("a", address);
                pass(&mut run, PACE.least * 2).await;
                assert_eq!(shown(&run), [address, "b:1"]);
                assert!(run.status().last_error.is_some(), "{address} says nothing of the names");
            }
            registry.change(|held| (held.down, held.failing) = Default::default());
            pass(&mut run, PACE.interval * 2).await;
            assert_eq!((run.status().last_error, run.fault()), (None, None));
            run.stop().await.expect("it ends").ok();
        }
    });
}

#[test]
fn one_that_can_be_read_again_is_while_the_names_cannot() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(120)).await;
        assert_eq!(run.unread().count(), 3);
        registry.change(|held| held.down = [NAMES.to_owned()].into());
        pass(&mut run, PACE.interval * 2).await;
        assert_eq!((run.unread().next(), run.status().last_error.is_some()), (None, true));
        registry.put("b", "b:2");
        pass(&mut run, PACE.least * 2).await;
        assert_eq!(shown(&run), ["a:1", "b:2", "c:1"]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn the_only_one_that_answers_later_than_the_names_fail_can_be_read_again() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(120)).await;
        assert_eq!(run.unread().count(), 1);
        registry.change(|held| {
            held.down = [NAMES.to_owned()].into();
            held.slow = [("a".to_owned(), PACE.interval * 3)].into();
        });
        registry.put("a", "a:2");
        pass(&mut run, PACE.interval * 8).await;
        assert_eq!((shown(&run), run.status().last_error.is_some()), (vec!["a:2".to_owned()], true));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_name_that_goes_before_the_first_word_is_not_waited_for_and_not_told() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        registry.change(|held| held.hanging.extend(["b".to_owned(), "c".to_owned()]));
        let mut run = watch(&registry);
        pass(&mut run, Duration::from_secs(10)).await;
        assert_eq!(registry.asked("b"), [0], "it was asked about");
        registry.change(|held| {
            held.index += 1;
            held.names.retain(|name, _| name == "c");
        });
        pass(&mut run, Duration::from_secs(10)).await;
        assert!(!run.is_whole());
        registry.change(|held| held.hanging.clear());
        let first = run.next().await.expect("a word");
        let sources: Vec<_> = first.groups().iter().map(|group| group.source.to_string()).collect();
        assert_eq!(sources, ["c"]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_question_about_a_name_that_went_takes_no_turn_from_others() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..100).for_each(|number| registry.put(&format!("old{number}"), "old:1"));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        // Each waits for news, and that takes all turns.
        pass(&mut run, PACE.least * 5).await;
        registry.change(|held| held.hanging.extend((0..100).map(|number| format!("old{number}"))));
        registry.change(|held| {
            held.index += 1;
            held.names =
                (0..100).map(|number| (format!("new{number}"), (held.index, format!("new{number}:1")))).collect();
        });
        let begun = Instant::now();
        while shown(&run).len() < 100 || shown(&run)[0] == "old:1" {
            run.next().await.expect("a word");
        }
        assert!(begun.elapsed() <= PACE.least * 5, "{:?}", begun.elapsed());
        run.stop().await.expect("it ends").ok();
    });
}

/// The words of so much time.
async fn words(run: &mut Run, time: Duration) -> Vec<Word> {
    let (end, mut words) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        sleep(Duration::from_millis(500)).await;
        words.extend(std::iter::from_fn(|| run.try_next()));
    }
    words
}

#[test]
fn nothing_is_confirmed_while_the_names_cannot_be_asked_for() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| held.failing.extend([NAMES.to_owned()]));
        pass(&mut run, PACE.interval).await;
        let words = words(&mut run, PACE.wait * 4).await;
        assert!(words.is_empty(), "{words:?}");
        assert!(run.status().last_error.is_some());
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn that_nothing_changes_takes_no_failure_away_and_is_said_again_afterwards() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| held.failing.extend(["b".to_owned()]));
        while run.unread().next().is_none() {
            run.next().await.expect("a word");
        }
        let end = Instant::now() + PACE.wait * 6;
        while Instant::now() < end {
            let word = run.next().await.expect("a word");
            assert_eq!(run.unread().collect::<Vec<_>>(), ["b"], "{word:?}");
        }
        registry.change(|held| held.failing.clear());
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        let words = words(&mut run, PACE.wait * 3).await;
        assert!(!words.is_empty() && words.iter().all(|word| matches!(word, Word::Unchanged)), "{words:?}");
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn many_names_without_news_are_no_more_words_than_intervals() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        for number in 0..30 {
            registry.put(&format!("n{number}"), "n:1");
            pass(&mut run, Duration::from_secs(3)).await;
        }
        let words = words(&mut run, PACE.interval * 20).await.len();
        assert!((4..=21).contains(&words), "{words} words");
        run.stop().await.expect("it ends").ok();
    });
}

/// So many names that they take turns, with a hint at changes of them.
fn many(count: usize) -> Arc<Registry> {
    let registry = Arc::<Registry>::default();
    (0..count).for_each(|number| registry.put(&format!("{number:04}"), &format!("{number:04}:1")));
    registry.change(|held| held.hints = true);
    registry
}

#[test]
fn what_changes_shows_long_before_its_turn_where_something_hints_at_it() {
    leak_checked(|| async {
        let registry = many(2000);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.interval * 2).await;
        for round in 2..5 {
            let (begun, changed) =
                (Instant::now(), [7, 512, 1023, 1500, 1999].map(|number| (number + round * 31) % 2000));
            changed.iter().for_each(|number| registry.put(&format!("{number:04}"), &format!("{number:04}:{round}")));
            while !changed.iter().all(|number| shown(&run).contains(&format!("{number:04}:{round}"))) {
                run.next().await.expect("a word");
            }
            assert!(begun.elapsed() <= Duration::from_secs(3), "{:?}", begun.elapsed());
            pass(&mut run, PACE.interval).await;
        }
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn hints_at_nothing_are_followed_less_and_less_often() {
    leak_checked(|| async {
        let registry = many(1000);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.interval * 2).await;
        let asked = async |run: &mut Run, bumps: bool| {
            let before = registry.asked_about_names();
            for _ in 0..120 {
                registry.change(|held| held.index += u64::from(bumps));
                pass(run, Duration::from_secs(1)).await;
            }
            registry.asked_about_names() - before
        };
        let (quiet, busy) = (asked(&mut run, false).await, asked(&mut run, true).await);
        // After 0, 2, 4, 8, 16, 30, 30 and 30 seconds.
        assert!((quiet + 6000..quiet + 9000).contains(&busy), "{quiet} {busy}");
        run.stop().await.expect("it ends").ok();
    });
}
