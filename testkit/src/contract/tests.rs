//! The suite must pass honest discoverers, and name what dishonest ones break.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rosterd_discovery::{
    Build, Context, Discoverer, Error, Identity, MechanismConfig, Polling, Reading, Refresh, Unreadable, Updates, Word,
};
use rosterd_model::{Retry, TargetGroup};
use serde::{Deserialize, Serialize};

use super::*;
use crate::fake::{self, FakeError, Probe};
use crate::{group, leak_checked};

/// What is wrong with a discoverer of the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Vice {
    SaysNothingWhenEmpty,
    BeginsWithChanges,
    SaysEmptyOnFailure,
    ForgetsWhatVanished,
    HidesFailures,
    HidesOtherSources,
    LeavesOutWhatFails,
    NamesAnotherSource,
    KeepsSourcesUnread,
    SaysUnchangedOfTheUnread,
    HasGroupsOfTheUnread,
    NamesGroupsTwice,
    NeverSaysTheWhole,
    HoldsAllForOne,
    LeavesPicturesOpen,
    SplitsSources,
    IgnoresStop,
    Panics,
}

/// How a discoverer of the shelf works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum Way {
    /// Honestly, by polling.
    #[default]
    Polls,
    /// Honestly, in the words of a watch.
    Watches,
    /// Honestly, a group at a time.
    SaysPieces,
    /// By polling, but for one thing.
    Errs(Vice),
}

/// Sources in memory.
#[derive(Debug, Default)]
struct Content {
    is_broken: bool,
    /// The one source that is broken.
    broken_one: Option<String>,
    groups: Vec<TargetGroup>,
}

#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<Content>>);

const DOWN: FakeError = FakeError { retry: Retry::Backoff };

impl Shelf {
    /// The groups that can be read, and the sources that cannot.
    fn read(&self) -> Result<(Vec<TargetGroup>, Vec<Unreadable>), FakeError> {
        let content = self.0.lock().unwrap();
        if content.is_broken {
            return Err(DOWN);
        }
        let is_broken = |group: &TargetGroup| content.broken_one.as_deref() == Some(&*group.source);
        let groups = content.groups.iter().filter(|group| !is_broken(group)).cloned().collect();
        Ok((groups, content.broken_one.iter().map(|source| Unreadable::new(source.as_str(), DOWN)).collect()))
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Config {
    way: Way,
    #[serde(skip)]
    shelf: Shelf,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.way == other.way && Arc::ptr_eq(&self.shelf.0, &other.shelf.0)
    }
}

impl MechanismConfig for Config {
    const MECHANISM: &'static str = "shelf";
    type Metrics = ();
    type Shared = ();

    fn identity(&self, _: &mut Identity) {}

    fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(match self.way {
            Way::Polls => Polling::boxed(self.shelf.clone(), Duration::from_secs(60)),
            Way::Watches => Box::new(Watch(self.shelf.clone())),
            Way::SaysPieces => Box::new(InPieces(self.shelf.clone())),
            Way::Errs(vice) => Box::new(Dishonest { vice, shelf: self.shelf.clone() }),
        })
    }
}

#[async_trait]
impl Refresh for Shelf {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let (groups, unread) = self.read()?;
        Ok(if unread.is_empty() { Reading::Everything(groups) } else { Reading::EverythingBut(groups, unread) })
    }
}

fn names_of(unread: &[Unreadable]) -> BTreeSet<Arc<str>> {
    unread.iter().map(|unread| Arc::clone(&unread.source)).collect()
}

/// Says the whole picture once, then what changed.
struct Watch(Shelf);

#[async_trait]
impl Discoverer for Watch {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let mut known: Option<(Vec<TargetGroup>, BTreeSet<Arc<str>>)> = None;
        loop {
            match self.0.read() {
                Err(error) => cx.failed(&error.into(), None),
                Ok((groups, unread)) => match known.replace((groups.clone(), names_of(&unread))) {
                    None => up.everything_but(groups, unread).await?,
                    Some((before, failed)) if unread.is_empty() && failed.is_empty() && before == groups => {
                        up.unchanged().await?
                    }
                    Some((before, failed)) => {
                        let is_there = |source: &str| {
                            groups.iter().any(|group| *group.source == *source)
                                || unread.iter().any(|unread| *unread.source == *source)
                        };
                        let before = before.iter().map(|group| &*group.source).chain(failed.iter().map(|it| &**it));
                        let gone: BTreeSet<_> = before.filter(|source| !is_there(source)).collect();
                        let gone: Vec<_> = gone.into_iter().map(TargetGroup::gone).collect();
                        up.changed(groups.iter().cloned().chain(gone).collect()).await?;
                        if !unread.is_empty() {
                            up.unread(unread).await?;
                        }
                    }
                },
            }
            tokio::select! {
                () = cx.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
        }
    }
}

/// Says the whole picture again and again, a group at a time.
struct InPieces(Shelf);

#[async_trait]
impl Discoverer for InPieces {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        while !cx.stop.is_cancelled() {
            match self.0.read() {
                Err(error) => cx.failed(&error.into(), None),
                Ok((mut groups, unread)) => {
                    let (mut pieces, last) = (up.in_pieces(), groups.pop());
                    for group in groups {
                        pieces.piece(vec![group]).await?;
                    }
                    pieces.everything_but(Vec::from_iter(last), unread).await?;
                }
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Ok(())
    }
}

struct Dishonest {
    vice: Vice,
    shelf: Shelf,
}

#[async_trait]
impl Discoverer for Dishonest {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let (mut first, mut all, mut failed) = (true, BTreeSet::new(), false);
        while !cx.stop.is_cancelled() || self.vice == Vice::IgnoresStop {
            match self.shelf.read() {
                _ if self.vice == Vice::Panics => panic!("a bug"),
                Ok((groups, unread)) => {
                    failed |= !unread.is_empty();
                    all.extend(groups.iter().map(|group| group.source.clone()));
                    // Whoever ignores being stopped does so here too.
                    for word in self.words(groups, unread, first, failed) {
                        up.say(word).await.ok();
                    }
                    first = false;
                }
                Err(_) if self.vice == Vice::HidesFailures => {}
                Err(error) => {
                    if self.vice == Vice::SaysEmptyOnFailure {
                        up.everything(Vec::new()).await?;
                    }
                    cx.failed(&error.into(), None);
                }
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Ok(())
    }
}

impl Dishonest {
    /// The words for what was read, but for the vice.
    fn words(&self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>, first: bool, failed: bool) -> Vec<Word> {
        let begins = |groups| Word::Piece { first: true, groups };
        match self.vice {
            Vice::LeavesPicturesOpen => vec![begins(groups)],
            Vice::SplitsSources => {
                let again = Word::Piece { first: false, groups: groups.clone() };
                vec![begins(groups), again, Word::Pieced { unread, found: false }]
            }
            _ => Vec::from_iter(self.word(groups, unread, first, failed)),
        }
    }

    fn word(&self, groups: Vec<TargetGroup>, unread: Vec<Unreadable>, first: bool, failed: bool) -> Option<Word> {
        let twice = |group: &TargetGroup| {
            vec![TargetGroup { labels: [("n", "2")].into_iter().collect(), ..group.clone() }, group.clone()]
        };
        Some(match self.vice {
            Vice::SaysNothingWhenEmpty if groups.is_empty() => return None,
            Vice::BeginsWithChanges if first => Word::Changed(groups),
            Vice::ForgetsWhatVanished if !first => Word::Changed(groups),
            Vice::HidesOtherSources if !unread.is_empty() => Word::Unread(unread),
            Vice::HidesFailures | Vice::LeavesOutWhatFails => Word::Everything(groups),
            Vice::NamesAnotherSource if !unread.is_empty() => {
                Word::EverythingBut(groups, vec![Unreadable::new("elsewhere", DOWN)])
            }
            Vice::KeepsSourcesUnread if failed => Word::EverythingBut(groups, vec![Unreadable::new("any", DOWN)]),
            Vice::SaysUnchangedOfTheUnread if !unread.is_empty() && !first => Word::Unchanged,
            Vice::HasGroupsOfTheUnread if !unread.is_empty() => {
                let stale = group(&unread[0].source, &["10.0.1.1:9100"]);
                Word::EverythingBut(groups.into_iter().chain([stale]).collect(), unread)
            }
            Vice::NeverSaysTheWhole => Word::Found(groups, unread),
            Vice::HoldsAllForOne if !unread.is_empty() => Word::Found(groups, unread),
            Vice::NamesGroupsTwice => Word::Everything(groups.iter().flat_map(twice).collect()),
            _ => Word::EverythingBut(groups, unread),
        })
    }
}

#[derive(Debug, Default)]
struct ShelfDriver(Config);

impl ShelfDriver {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.shelf.0.lock().unwrap()
    }
}

#[async_trait]
impl Driver for ShelfDriver {
    fn config(&self) -> Box<dyn AnyConfig> {
        self.0.boxed()
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        self.content().groups = groups.iter().map(|(name, addresses)| group(name, addresses)).collect();
    }

    async fn break_source(&mut self) -> bool {
        self.content().is_broken = true;
        true
    }

    async fn break_one(&mut self, name: &str) -> bool {
        self.content().broken_one = Some(name.to_owned());
        true
    }

    async fn heal(&mut self) {
        let mut content = self.content();
        (content.is_broken, content.broken_one) = (false, None);
    }
}

/// The promises that a vice breaks.
fn broken_by(vice: Vice) -> Vec<&'static str> {
    let mut broken = Vec::new();
    leak_checked(async || {
        let mut driver = ShelfDriver(Config { way: Way::Errs(vice), ..Config::default() });
        broken = violations(&mut driver).await.into_iter().map(|violation| violation.promise).collect();
    });
    broken
}

#[test]
fn an_honest_polling_discoverer_passes() {
    leak_checked(|| async { check(&mut ShelfDriver::default()).await });
}

#[test]
fn an_honest_watch_passes() {
    let config = Config { way: Way::Watches, ..Config::default() };
    leak_checked(|| async { check(&mut ShelfDriver(config)).await });
}

#[test]
fn an_honest_discoverer_that_says_pieces_passes() {
    let config = Config { way: Way::SaysPieces, ..Config::default() };
    leak_checked(|| async { check(&mut ShelfDriver(config)).await });
}

#[test]
fn each_vice_is_found() {
    let first = "the first word is the whole picture";
    let whole = "what is not there at first is gone after a while";
    let empty = "the first word comes even if the source is empty";
    let change = "a change arrives, and what vanished is gone";
    let failed = "a failed read takes nothing away, and is told";
    let at_first = "a source that cannot be read at first is not an empty source";
    let source = "a source that fails hides no other, keeps what it had, and is named";
    let known = "a source that was read and fails is known to have been read";
    let source_at_first = "a source that fails at first hides no other, and is named";
    let away = "what went between two runs is gone, though a source fails";
    let words = "words do not contradict themselves, and no group is named twice";
    let stop = "the run ends soon after stop although nobody takes its words";
    for (vice, broken) in [
        (Vice::SaysNothingWhenEmpty, &[empty, change][..]),
        (Vice::BeginsWithChanges, &[words]),
        (Vice::SaysEmptyOnFailure, &[failed, at_first]),
        (Vice::ForgetsWhatVanished, &[change]),
        (Vice::HidesFailures, &[failed, at_first, source, source_at_first]),
        (Vice::HidesOtherSources, &[source, source_at_first]),
        (Vice::LeavesOutWhatFails, &[source, source_at_first]),
        (Vice::NamesAnotherSource, &[source, known]),
        (Vice::KeepsSourcesUnread, &[source, source_at_first]),
        (Vice::SaysUnchangedOfTheUnread, &[source]),
        (Vice::HasGroupsOfTheUnread, &[words]),
        (Vice::NamesGroupsTwice, &[words]),
        (Vice::NeverSaysTheWhole, &[whole, away]),
        (Vice::HoldsAllForOne, &[away]),
        (Vice::LeavesPicturesOpen, &[first, empty, whole, change]),
        (Vice::SplitsSources, &[words]),
        (Vice::IgnoresStop, &[stop]),
        (Vice::Panics, &[first]),
    ] {
        let found = broken_by(vice);
        assert!(broken.iter().all(|promise| found.contains(promise)), "{vice:?} is found to break {found:?}");
    }
}

#[test]
#[should_panic(
    expected = "the discoverer breaks its contract:\n  a failed read takes nothing away, and is told: the failure was neither"
)]
fn the_report_says_what_happened() {
    let mut driver = ShelfDriver(Config { way: Way::Errs(Vice::HidesFailures), ..Config::default() });
    leak_checked(async || check(&mut driver).await);
}

/// Drives the fake: what it is told to send is its source.
struct FakeDriver {
    probe: Probe,
    config: fake::Config,
}

#[async_trait]
impl Driver for FakeDriver {
    fn config(&self) -> Box<dyn AnyConfig> {
        self.config.boxed()
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let targets: Vec<&str> = groups.iter().flat_map(|(_, addresses)| addresses.iter().copied()).collect();
        self.config.targets = Some(targets.iter().map(|target| (*target).to_owned()).collect());
        if self.probe.is_running() {
            self.probe.changed(vec![group(&self.config.name, &targets)]).await;
        }
    }

    async fn break_source(&mut self) -> bool {
        self.probe.refuse_builds(Some(Retry::Never));
        if self.probe.is_running() {
            self.probe.fail(Retry::Never).await;
        }
        true
    }

    async fn heal(&mut self) {
        self.probe.refuse_builds(None);
    }
}

#[test]
fn the_fake_keeps_the_contract() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        check(&mut FakeDriver { probe, config }).await;
    });
}
