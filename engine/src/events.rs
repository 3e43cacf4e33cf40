//! The stream of events of an engine. It is no more than a hint that something changed: what, lists tell. Whatever becomes of the
//! stream costs nothing but earlier refreshes.

use std::pin::pin;
use std::time::Duration;

use http::{HeaderValue, header};
use rosterd_client::{Request, Response};
use rosterd_discovery::{Build, Error, MechanismConfig};
use rosterd_model::Retry;
use rosterd_tasks::Schedule;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, info};

use crate::engine::refused;
use crate::{Engine, Filters};

/// What comes within this time of an event belongs to it: an engine may tell of a change before its lists show it.
const SETTLE: Duration = Duration::from_millis(250);
/// Lists take no more than this part of the time of an engine, however many events there are.
const PART: u32 = 10;
/// An engine begins its answer at once, or does not tell events.
const BEGIN: Duration = Duration::from_secs(5);
/// A stream that is older is opened anew: whatever happened to it unnoticed ends then.
const OLDEST: Duration = Duration::from_secs(12 * 3600);
/// The longest pause before a stream that broke is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// As the engine filters them.
    pub filters: Filters,
    /// Another hint follows so long after those events: for what moves on without telling.
    pub echo: Option<Duration>,
}

/// Hints of an engine.
#[derive(Debug)]
pub struct Events {
    engine: Engine,
    wanted: Wanted,
    provider: String,
    stream: Stream,
    schedule: Schedule,
    settle: Duration,
    echo_at: Option<Instant>,
    /// Whether it was told that there are none.
    told: bool,
}

#[derive(Debug)]
enum Stream {
    Open {
        response: Box<Response>,
        since: Instant,
    },
    /// It is opened again then.
    Broken(Instant),
    Unopened,
}

impl Events {
    /// The events of this engine. None are asked for before [`follow`](Self::follow).
    pub fn of<C: MechanismConfig>(engine: &Engine, wanted: Wanted, cx: &Build<'_, C>) -> Self {
        Self {
            engine: engine.clone(),
            wanted,
            provider: cx.provider.to_owned(),
            stream: Stream::Unopened,
            schedule: Schedule::new(LONGEST_PAUSE, cx.provider).on(cx.system.machine()),
            settle: SETTLE,
            echo_at: None,
            told: false,
        }
    }

    /// Opens the stream if it never was: before a list, so that nothing falls between the two. Later that is
    /// [`next`](Self::next)'s, and no list waits for it.
    pub async fn follow(&mut self) {
        if matches!(self.stream, Stream::Unopened) {
            self.open().await;
        }
    }

    /// A list took so long: this is what the next hint costs.
    pub fn listed(&mut self, took: Duration) {
        self.settle = SETTLE.max(took * PART);
    }

    /// Waits until there was an event, or there may have been one. What follows it soon is part of it.
    pub async fn next(&mut self) {
        loop {
            let echo_at = self.echo_at;
            let echo = pin!(async move {
                match echo_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            });
            tokio::select! {
                () = echo => {
                    self.echo_at = None;
                    return;
                }
                opened = self.wait() => {
                    if !opened {
                        continue;
                    }
                    self.echo_at = self.wanted.echo.map(|after| Instant::now() + after);
                    self.take_the_rest().await;
                    return;
                }
            }
        }
    }

    /// Whether there was an event, or the stream was opened again, so that there may have been one.
    async fn wait(&mut self) -> bool {
        match &mut self.stream {
            Stream::Unopened => self.open().await,
            Stream::Broken(again) => {
                sleep_until(*again).await;
                self.open().await
            }
            Stream::Open { response, since } => {
                let read = timeout_at(*since + OLDEST, response.chunk()).await;
                match read {
                    Ok(Ok(Some(piece))) => piece.iter().any(|byte| !byte.is_ascii_whitespace()),
                    Ok(Ok(None)) => self.broke("the engine ended it", None),
                    Ok(Err(error)) => self.broke("it broke", Some(&error.into())),
                    Err(_) => {
                        self.stream = Stream::Unopened;
                        self.open().await
                    }
                }
            }
        }
    }

    /// Takes what belongs to an event that came.
    async fn take_the_rest(&mut self) {
        let end = Instant::now() + self.settle;
        while let Stream::Open { response, .. } = &mut self.stream
            && Instant::now() < end
            // When the stream ends meanwhile, the next one to wait for it finds that out.
            && let Ok(Ok(Some(_))) = timeout_at(end, response.chunk()).await
        {}
        sleep_until(end).await;
    }

    async fn open(&mut self) -> bool {
        let mut url = self.engine.url("events");
        url.query_pairs_mut().append_pair("filters", &self.wanted.filters.json());
        let mut request = Request { timeout: Some(2 * OLDEST), ..Request::get(url) };
        request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        match timeout(BEGIN, self.engine.client.send(request)).await {
            Err(_) => self.broke("the engine does not begin with it", None),
            Ok(Err(error)) => self.broke("it cannot be opened", Some(&error.into())),
            Ok(Ok(response)) if !response.status().is_success() => {
                let error = timeout(BEGIN, refused(response)).await;
                self.broke("the engine refuses it", error.ok().map(Error::from).as_ref())
            }
            Ok(Ok(response)) => {
                self.stream = Stream::Open { response: Box::new(response), since: Instant::now() };
                debug!(provider = self.provider, "events are followed");
                true
            }
        }
    }

    /// Returns false: this tells of no event.
    fn broke(&mut self, why: &str, error: Option<&Error>) -> bool {
        let lived = match &self.stream {
            Stream::Open { since, .. } => since.elapsed(),
            Stream::Broken(_) | Stream::Unopened => Duration::ZERO,
        };
        if lived > LONGEST_PAUSE {
            self.schedule.succeeded();
            self.told = false;
        }
        let pause = self.schedule.failed(Retry::Backoff);
        self.stream = Stream::Broken(Instant::now() + pause);
        let (provider, error) = (&*self.provider, error.map(tracing::field::display));
        if self.told {
            debug!(provider, reason = why, error, retry_in = ?pause, "events cannot be followed");
        } else {
            self.told = true;
            info!(provider, reason = why, error, "events cannot be followed, changes are seen at the interval");
        }
        false
    }
}

#[cfg(test)]
mod tests;
