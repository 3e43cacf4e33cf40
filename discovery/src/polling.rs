//! Polling: interval, jitter, backoff and metrics, once for all mechanisms that ask again and again.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::debug;

use crate::contract::{Word, soonest};
use crate::{Context, Discoverer, Error, Refresh, Updates};

/// A [`Discoverer`] made of something that can [`Refresh`].
pub struct Polling {
    refresh: Box<dyn Refresh>,
    interval: Duration,
}

impl Polling {
    /// Reads at once, then at every interval, and whenever [`Refresh::hint`] says so.
    pub fn new(refresh: impl Refresh + 'static, interval: Duration) -> Self {
        Self { refresh: Box::new(refresh), interval }
    }

    /// The same as a boxed discoverer.
    pub fn boxed(refresh: impl Refresh + 'static, interval: Duration) -> Box<dyn Discoverer> {
        Box::new(Self::new(refresh, interval))
    }
}

impl fmt::Debug for Polling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polling").field("interval", &self.interval).finish_non_exhaustive()
    }
}

#[async_trait]
impl Discoverer for Polling {
    async fn run(mut self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let result = self.poll(&cx, &up).await;
        self.refresh.end().await;
        result
    }
}

impl Polling {
    async fn poll(&mut self, cx: &Context, up: &Updates) -> Result<(), Error> {
        cx.polls();
        let mut schedule = cx.schedule(self.interval);
        self.refresh.begin(cx);
        loop {
            let started = Instant::now();
            let result = tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                result = self.refresh.refresh() => result,
            };
            cx.took(started.elapsed());
            cx.warning(self.refresh.warning().as_ref());
            let wait = match result {
                Ok(reading) => {
                    let word = Word::from(reading);
                    let retry = soonest(word.unread());
                    up.say(word).await?;
                    match retry {
                        None => schedule.succeeded(),
                        Some(retry) => schedule.failed(retry),
                    }
                }
                Err(error) => {
                    let wait = schedule.failed(error.retry());
                    cx.failed(&error, Some(wait));
                    wait
                }
            };
            cx.next_try(wait);
            tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
                () = self.refresh.hint() => debug!(provider = &*cx.provider, "refresh before the interval is over"),
            }
        }
    }
}
