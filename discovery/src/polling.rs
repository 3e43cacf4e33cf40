//! Polling: interval, jitter, backoff, metrics and vanished sources, once for all mechanisms that ask again and again.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd_model::TargetGroup;
use tokio::time::Instant;
use tracing::{debug, warn};
use xxhash_rust::xxh3::xxh3_128;

use crate::{Context, Discoverer, Error, Refresh, Updates};

/// A [`Discoverer`] made of something that can [`Refresh`].
#[derive(Debug)]
pub struct Polling<R> {
    refresh: R,
    interval: Duration,
}

impl<R: Refresh + 'static> Polling<R> {
    /// Reads at once, then at every interval, and whenever [`Refresh::hint`] says so.
    pub fn new(refresh: R, interval: Duration) -> Self {
        Self { refresh, interval }
    }

    /// The same as a boxed discoverer.
    pub fn boxed(refresh: R, interval: Duration) -> Box<dyn Discoverer> {
        Box::new(Self::new(refresh, interval))
    }
}

#[async_trait]
impl<R: Refresh + 'static> Discoverer for Polling<R> {
    async fn run(mut self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let result = self.poll(&cx, &up).await;
        self.refresh.end().await;
        result
    }
}

impl<R: Refresh + 'static> Polling<R> {
    async fn poll(&mut self, cx: &Context, up: &Updates) -> Result<(), Error> {
        let mut schedule = cx.schedule(self.interval);
        let mut sources = Sources::default();
        loop {
            let started = Instant::now();
            let result = tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                result = self.refresh.refresh() => result,
            };
            cx.metrics.refresh_duration.observe(started.elapsed().as_secs_f64());
            let failure = match result {
                Ok(read) => {
                    if let Some(mut groups) = read {
                        sources.complete(&mut groups);
                        up.send(groups).await?;
                    }
                    self.refresh.stale()
                }
                Err(error) => Some(error),
            };
            let wait = match failure {
                None => succeeded(cx, schedule.succeeded()),
                Some(error) => failed(cx, &error, schedule.failed(error.retry())),
            };
            tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
                () = self.refresh.hint() => debug!(provider = &*cx.provider, "refresh before the interval is over"),
            }
        }
    }
}

fn succeeded(cx: &Context, wait: Duration) -> Duration {
    let now = SystemTime::now();
    cx.metrics.last_success.set(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    cx.status.succeeded(now.checked_add(wait));
    wait
}

fn failed(cx: &Context, error: &Error, wait: Duration) -> Duration {
    let provider = &*cx.provider;
    warn!(%error, code = error.code(), provider, retry_in = ?wait, "refresh failed, keeping stale targets");
    cx.metrics.refresh_failures.inc();
    cx.status.failed(error.report(), SystemTime::now().checked_add(wait));
    wait
}

/// The sources of the last read, so that those that vanished can be told.
#[derive(Debug, Default)]
struct Sources(HashSet<u128>, Vec<Box<str>>);

impl Sources {
    /// Adds an empty group for each source that the last read had and this one has not.
    fn complete(&mut self, groups: &mut Vec<TargetGroup>) {
        let now: HashSet<u128> = groups.iter().map(|group| xxh3_128(group.source.as_bytes())).collect();
        if now != self.0 {
            let gone = self.1.iter().filter(|source| !now.contains(&xxh3_128(source.as_bytes())));
            let gone: Vec<_> = gone.map(|source| TargetGroup::gone(source.clone())).collect();
            self.1 = groups.iter().map(|group| group.source.clone()).collect();
            self.0 = now;
            groups.extend(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vanished_source_is_told_once() {
        let group = |source: &str| TargetGroup { source: source.into(), ..TargetGroup::default() };
        let mut sources = Sources::default();
        let mut read = vec![group("a"), group("b")];
        sources.complete(&mut read);
        assert_eq!(read.len(), 2);
        let mut read = vec![group("b")];
        sources.complete(&mut read);
        assert_eq!(read.iter().map(|group| &*group.source).collect::<Vec<_>>(), ["b", "a"]);
        let mut read = vec![group("b")];
        sources.complete(&mut read);
        assert_eq!(read.len(), 1);
    }
}
