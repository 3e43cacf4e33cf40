//! The discoverer of the fake: does what its probe says.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use rosterd_discovery::{Context, Discoverer, Error, Unreadable, Updates, Watch, Word};
use rosterd_model::{Coded, Priority, Retry, TargetGroup};
use tokio::sync::oneshot;

use super::{Probe, Shared};

/// The failure that a test ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fake fails as it was told to")]
pub struct FakeError {
    /// What the error says about trying again.
    pub retry: Retry,
}

impl Coded for FakeError {
    fn code(&self) -> &'static str {
        "sd_fake"
    }

    fn priority(&self) -> Priority {
        Priority::Remote
    }

    fn retry(&self) -> Retry {
        self.retry
    }
}

/// These sources, each of which failed as it was told to. One that ends with a slash is a scope: the source without the slash, and all
/// beneath it.
pub(super) fn failing(sources: &[&str]) -> Vec<Unreadable> {
    let error = FakeError { retry: Retry::Backoff };
    let failing = |source: &&str| match source.strip_suffix('/') {
        Some(scope) => Unreadable::scope(scope, scope, error),
        None => Unreadable::new(*source, error),
    };
    sources.iter().map(failing).collect()
}

/// What a run does next. Each order is answered once it was carried out.
#[derive(Debug)]
pub(super) enum Order {
    Say(Word, oneshot::Sender<()>),
    Follow(Vec<Weak<dyn Watch>>, oneshot::Sender<()>),
    Report(FakeError, oneshot::Sender<()>),
    Fail(FakeError, oneshot::Sender<()>),
    End(oneshot::Sender<()>),
    Panic(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) first: Option<Vec<TargetGroup>>,
    pub(super) probe: Probe,
    pub(super) shared: Arc<Shared>,
}

#[async_trait]
impl Discoverer for Fake {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let _running = (self.probe.started(), self.shared.used());
        if let Some(groups) = self.first {
            up.everything(groups).await?;
        }
        loop {
            let order = tokio::select! {
                biased;
                () = cx.stop.cancelled() => {
                    if self.probe.ignores_stop() {
                        std::future::pending::<()>().await;
                    }
                    return Ok(());
                }
                order = self.probe.next_order() => order,
            };
            // An order whose giver lost patience is carried out all the same.
            match order {
                Order::Say(word, done) => {
                    up.say(word).await?;
                    done.send(()).ok();
                }
                Order::Follow(watches, done) => {
                    cx.watches(watches);
                    done.send(()).ok();
                }
                Order::Report(error, done) => {
                    cx.failed(&error.into(), None);
                    done.send(()).ok();
                }
                Order::Fail(error, done) => {
                    done.send(()).ok();
                    return Err(error.into());
                }
                Order::End(done) => {
                    done.send(()).ok();
                    return Ok(());
                }
                Order::Panic(done) => {
                    done.send(()).ok();
                    panic!("the fake panics as it was told to");
                }
            }
        }
    }
}
