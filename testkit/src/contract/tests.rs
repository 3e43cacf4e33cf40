//! The suite must pass honest discoverers, and name what dishonest ones break.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rosterd_discovery::{Build, Context, Discoverer, Error, Identity, MechanismConfig, Polling, Refresh, Updates};
use rosterd_model::{Retry, TargetGroup};
use serde::{Deserialize, Serialize};

use super::*;
use crate::fake::{self, FakeError, Probe};
use crate::{group, leak_checked};

/// What is wrong with a discoverer of the shelf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum Vice {
    #[default]
    None,
    SendsNothingWhenEmpty,
    SendsEmptyOnFailure,
    ForgetsVanishedSources,
    HidesFailures,
    IgnoresStop,
    Panics,
}

/// A source in memory; `None` when it is broken.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<(bool, Vec<TargetGroup>)>>);

impl Shelf {
    fn read(&self) -> Result<Vec<TargetGroup>, FakeError> {
        let (broken, groups) = &*self.0.lock().unwrap();
        if *broken { Err(FakeError { retry: Retry::Backoff }) } else { Ok(groups.clone()) }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Config {
    vice: Vice,
    #[serde(skip)]
    shelf: Shelf,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.vice == other.vice && Arc::ptr_eq(&self.shelf.0, &other.shelf.0)
    }
}

impl MechanismConfig for Config {
    const MECHANISM: &'static str = "shelf";
    type Metrics = ();
    type Shared = ();

    fn identity(&self, _: &mut Identity) {}

    fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        match self.vice {
            Vice::None => Ok(Polling::boxed(self.shelf.clone(), Duration::from_secs(60))),
            _ => Ok(Box::new(self.clone())),
        }
    }
}

#[async_trait]
impl Refresh for Shelf {
    async fn refresh(&mut self) -> Result<Option<Vec<TargetGroup>>, Error> {
        Ok(Some(self.read()?))
    }
}

/// The dishonest one.
#[async_trait]
impl Discoverer for Config {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let mut known: Vec<TargetGroup> = Vec::new();
        while !cx.stop.is_cancelled() || self.vice == Vice::IgnoresStop {
            match self.shelf.read() {
                Ok(_) if self.vice == Vice::Panics => panic!("a bug"),
                Ok(groups) if groups.is_empty() && self.vice == Vice::SendsNothingWhenEmpty => {}
                Ok(mut groups) => {
                    let gone = known.iter().filter(|old| groups.iter().all(|new| new.source != old.source));
                    let gone: Vec<_> = gone.map(|old| TargetGroup::gone(old.source.clone())).collect();
                    known.clone_from(&groups);
                    if self.vice != Vice::ForgetsVanishedSources {
                        groups.extend(gone);
                    }
                    // Whoever ignores being stopped does so here too.
                    up.send(groups).await.ok();
                }
                Err(_) if self.vice == Vice::HidesFailures => {}
                Err(error) => {
                    if self.vice == Vice::SendsEmptyOnFailure {
                        up.send(known.drain(..).map(|old| TargetGroup::gone(old.source)).collect()).await?;
                    }
                    cx.status.failed(Error::from(error).report(), None);
                }
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct ShelfDriver(Config);

#[async_trait]
impl Driver for ShelfDriver {
    fn config(&self) -> Box<dyn AnyConfig> {
        self.0.boxed()
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        self.0.shelf.0.lock().unwrap().1 = groups.iter().map(|(name, addresses)| group(name, addresses)).collect();
    }

    async fn break_source(&mut self) -> bool {
        self.0.shelf.0.lock().unwrap().0 = true;
        true
    }

    async fn heal(&mut self) {
        self.0.shelf.0.lock().unwrap().0 = false;
    }
}

/// The promises that a vice breaks.
fn broken_by(vice: Vice) -> Vec<&'static str> {
    let mut broken = Vec::new();
    leak_checked(async || {
        let mut driver = ShelfDriver(Config { vice, ..Config::default() });
        broken = violations(&mut driver).await.into_iter().map(|violation| violation.promise).collect();
    });
    broken
}

#[test]
fn an_honest_polling_discoverer_passes() {
    leak_checked(|| async { check(&mut ShelfDriver::default()).await });
}

#[test]
fn each_vice_is_found() {
    let empty = "the first send comes even if the source is empty";
    assert_eq!(broken_by(Vice::SendsNothingWhenEmpty)[0], empty);
    let failed = ["a failed read sends nothing", "a source that cannot be read at first is not an empty source"];
    assert_eq!(broken_by(Vice::SendsEmptyOnFailure), failed);
    assert_eq!(broken_by(Vice::HidesFailures), failed);
    let vanished = "a change arrives, and a vanished source is reported as an empty group";
    assert_eq!(broken_by(Vice::ForgetsVanishedSources)[0], vanished);
    assert!(broken_by(Vice::IgnoresStop).contains(&"the run ends soon after stop although nobody takes its updates"));
    assert!(broken_by(Vice::Panics).contains(&"the first send is the whole picture"));
}

#[test]
#[should_panic(
    expected = "the discoverer breaks its contract:\n  a failed read sends nothing: the failure was neither"
)]
fn the_report_says_what_happened() {
    let mut driver = ShelfDriver(Config { vice: Vice::HidesFailures, ..Config::default() });
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
            self.probe.send(vec![group(&self.config.name, &targets)]).await;
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
