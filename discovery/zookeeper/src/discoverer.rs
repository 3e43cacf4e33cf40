//! The discoverer: opens sessions, reads everything once in each, follows what changes, and says it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use prometheus::IntGauge;
use rosterd_discovery::{Context, Discoverer, Error, Stopped, Updates};
use rosterd_model::{Coded, Retry};
use rosterd_tasks::{Guard, Schedule};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use zookeeper_client::SessionState;

use crate::error::ZookeeperError;
use crate::member::Kind;
use crate::picture::Picture;
use crate::read::{Interrupted, NodesRead, Step, View};
use crate::session::{Ensemble, Session, Sessions};

/// The longest pause before something is tried again, as in Prometheus.
const RETRY: Duration = Duration::from_secs(10);

/// Watches the members of services.
pub(crate) struct Zookeeper {
    pub(crate) kind: Kind,
    pub(crate) ensemble: Ensemble,
    pub(crate) roots: Vec<String>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) guard: Guard,
    pub(crate) watches: IntGauge,
}

#[async_trait]
impl Discoverer for Zookeeper {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let roots: Vec<Arc<str>> = self.roots.iter().map(|root| root.as_str().into()).collect();
        let mut follower = Follower {
            servers: self.ensemble.name(),
            retry: cx.schedule(RETRY),
            picture: Picture::default(),
            missing: BTreeSet::new(),
            cx,
            up,
        };
        loop {
            let opened = tokio::select! {
                biased;
                () = follower.cx.stop.cancelled() => return Ok(()),
                opened = self.sessions.get(&self.ensemble) => opened,
            };
            let failed = match opened {
                Ok(session) => {
                    let view = View::new(Arc::clone(&session), self.kind, &roots, &self.guard, &self.watches);
                    match follower.follow(&session, view).await {
                        Ok(()) => return Ok(()),
                        Err(failed) => failed,
                    }
                }
                Err(failed) => failed,
            };
            if !follower.pause(failed).await {
                return Ok(());
            }
        }
    }
}

/// Follows one session after the other, and tells what it finds.
struct Follower {
    cx: Context,
    up: Updates,
    servers: Arc<str>,
    retry: Schedule,
    picture: Picture,
    /// Paths of which the log says that nothing is there.
    missing: BTreeSet<Arc<str>>,
}

/// What is next in a session.
enum Next {
    /// Everything, because nothing is known, or it is not known how much.
    Everything,
    /// What changed; and what is known to be no target any more.
    These(Vec<Step>, Vec<Arc<str>>),
    /// What could not be read.
    Unread,
    /// Whatever came while nobody could be asked.
    CatchUp,
}

impl Follower {
    /// Follows one session until it is over, or until stopped.
    async fn follow(&mut self, session: &Arc<Session>, fresh: View) -> Result<(), ZookeeperError> {
        let mut view = fresh;
        let mut state = session.client.state_watcher();
        let mut next = Some(Next::Everything);
        // When to try again what failed, with what.
        let mut again: Option<(Instant, Next)> = None;
        let stop = self.cx.stop.clone();
        loop {
            if let Some(what) = next.take() {
                let done = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    done = self.turn(what, &mut view) => done,
                };
                if matches!(done, Ok(Ok(()))) {
                    self.tell_missing(&view.missing);
                }
                match done {
                    Err(Stopped) => return Ok(()),
                    Ok(Ok(())) if view.is_complete() => {
                        self.retry.succeeded();
                        again = None;
                    }
                    // News put no try off.
                    Ok(Ok(())) if again.is_some() => {}
                    Ok(Ok(())) => {
                        let pause = self.retry.failed(Retry::Backoff);
                        self.cx.next_try(pause);
                        again = Some((Instant::now() + pause, Next::Unread));
                    }
                    Ok(Err(Interrupted)) => {
                        let lost = ZookeeperError::Lost { servers: Arc::clone(&self.servers) };
                        let pause = self.failed(lost);
                        again = Some((Instant::now() + pause, Next::Everything));
                    }
                }
            }
            let due = again.as_ref().map(|(at, _)| *at);
            next = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = session.ended.cancelled() => return Err(self.over()),
                state = state.changed() => match state {
                    SessionState::SyncConnected | SessionState::ConnectedReadOnly => {
                        let lost = again.take_if(|(_, what)| matches!(what, Next::Everything));
                        Some(lost.map_or(Next::CatchUp, |(_, everything)| everything))
                    }
                    SessionState::Disconnected => {
                        let lost = ZookeeperError::Lost { servers: Arc::clone(&self.servers) };
                        self.cx.failed(&lost.into(), None);
                        None
                    }
                    SessionState::Expired | SessionState::AuthFailed | SessionState::Closed => return Err(self.over()),
                },
                (steps, gone) = view.news() => match again.take_if(|(_, what)| matches!(what, Next::Everything)) {
                    Some((_, everything)) => Some(everything),
                    None => Some(Next::These(steps, gone)),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => again.take().map(|(_, what)| what),
            };
        }
    }

    /// Reads what is next and says what came of it.
    async fn turn(&mut self, what: Next, view: &mut View) -> Result<Result<(), Interrupted>, Stopped> {
        let catches_up = matches!(what, Next::CatchUp);
        let (steps, gone) = match what {
            Next::Everything => return self.everything(view).await,
            Next::These(steps, gone) => (steps, gone),
            Next::Unread => (view.unread(), Vec::new()),
            Next::CatchUp => match view.catch_up().await {
                Ok(()) => view.news().now_or_never().unwrap_or_default(),
                Err(Interrupted) => return Ok(Err(Interrupted)),
            },
        };
        let found = match view.read(steps, gone).await {
            Ok(found) => found,
            Err(Interrupted) => return Ok(Err(Interrupted)),
        };
        if catches_up && !view.is_complete() {
            return self.everything(view).await;
        }
        if catches_up && found.groups.is_empty() {
            self.up.unchanged().await?;
        }
        self.changed(found, view).await?;
        Ok(Ok(()))
    }

    /// Reads everything in place of what was known in the session.
    async fn everything(&mut self, view: &mut View) -> Result<Result<(), Interrupted>, Stopped> {
        let begun = Instant::now();
        let mut fresh = view.anew();
        let read = fresh.read(fresh.everything(), Vec::new()).await;
        self.cx.took(begun.elapsed());
        let found = match read {
            Ok(found) => found,
            Err(Interrupted) => return Ok(Err(Interrupted)),
        };
        // Only now, so that the ensemble need not be told that the old watches are wanted no more.
        *view = fresh;
        self.picture.begin(&found, |path| view.may_be_target(path));
        let (groups, unread) = found.into_words();
        self.up.everything_but(groups, unread).await?;
        Ok(Ok(()))
    }

    /// Says what was found; and that those are gone that no list has any more, and no node hides that cannot be read.
    async fn changed(&mut self, mut found: NodesRead, view: &mut View) -> Result<(), Stopped> {
        self.picture.change(&mut found, |path| view.may_be_target(path));
        let (groups, unread) = found.into_words();
        // First: a node that can be read again may have others below it that cannot.
        if !unread.is_empty() {
            self.up.unread(unread).await?;
        }
        if !groups.is_empty() {
            self.up.changed(groups).await?;
        }
        Ok(())
    }

    /// Tells once of each path that is not there. It is no failure: it was asked for, and has no targets.
    fn tell_missing(&mut self, missing: &BTreeSet<Arc<str>>) {
        for path in missing.difference(&self.missing) {
            let error = ZookeeperError::Missing { path: Arc::clone(path) };
            let (code, provider) = (error.code(), &*self.cx.provider);
            warn!(%error, code, provider, "a path has no targets, and is waited for");
        }
        self.missing.clone_from(missing);
    }

    fn over(&self) -> ZookeeperError {
        ZookeeperError::Expired { servers: Arc::clone(&self.servers) }
    }

    fn failed(&mut self, error: ZookeeperError) -> Duration {
        let pause = self.retry.failed(error.retry());
        self.cx.failed(&error.into(), Some(pause));
        pause
    }

    /// Tells a failure and waits until it is time for the next try; false when stopped meanwhile.
    async fn pause(&mut self, error: ZookeeperError) -> bool {
        let pause = self.failed(error);
        tokio::select! {
            biased;
            () = self.cx.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::Log;

    use super::*;

    #[test]
    fn a_path_that_is_not_there_is_told_once_each_time_it_goes() {
        let cx = Context::detached("nerve/1");
        let (up, _words) = Updates::channel(&cx);
        let (retry, picture, missing) = (cx.schedule(RETRY), Picture::default(), BTreeSet::new());
        let (mut follower, log) =
            (Follower { servers: "zk:1".into(), retry, picture, missing, cx, up }, Log::of("rosterd_discovery"));
        for (paths, lines) in [
            (vec!["/a"], vec!["/a"]),
            (vec!["/a"], vec![]),
            (vec!["/a", "/b"], vec!["/b"]),
            (vec!["/b"], vec![]),
            (vec!["/a", "/b"], vec!["/a"]),
        ] {
            let missing = paths.into_iter().map(Arc::from).collect();
            tracing::subscriber::with_default(log.clone(), || follower.tell_missing(&missing));
            let logged = log.take();
            assert_eq!(logged.len(), lines.len(), "{logged:?}");
            for (line, path) in logged.iter().zip(lines) {
                assert!(line.starts_with("WARN ") && line.contains(&format!("error={path} does not exist ")), "{line}");
                assert!(line.contains("code=sd_zookeeper_no_path provider=nerve/1"), "{line}");
            }
        }
        assert_eq!((follower.cx.failures(), follower.cx.status().worst().is_none()), (0, true), "it is no failure");
    }
}
