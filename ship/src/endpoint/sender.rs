//! The task that sends what is in the queue: as many requests at once as there are lanes and the pace allows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, StatusCode};
use rosterd_client::{Client, ClientError, Request, Url, shown};
use rosterd_credentials::Authorize;
use rosterd_model::{Coded, Report};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::custom_buckets::CustomBuckets;
use super::exchange::{Reply, exchange};
use super::health::Health;
use super::pace::Pace;
use super::protocol::{Protocol, Refusal};
use super::request::{Fit, Without, fit, parts, request};
use super::size::Size;
use super::verdict::{Sent, Verdict, judge};
use crate::Counts;
use crate::config::QueueConfig;
use crate::error::SendError;
use crate::limiter::{Limiter, Sum};
use crate::metrics::{EndpointMetrics, Reason};
use crate::queue::{Flight, Queue, Take, now_ms};

/// How long requests that are under way at the end are waited for.
const LAST: Duration = Duration::from_secs(1);

/// How long who is refused by new keys, too, is taken for one who may not write: other keys would do no better.
const FORBIDDEN: Duration = Duration::from_secs(60);

/// How often a request is sent whose answer cannot be read. It came, so that the receiver works and may have taken what was
/// sent; what answers like this once answers like this for ever.
const MOST_UNREADABLE: u32 = 3;

/// What requests of an endpoint are made with.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) name: String,
    pub(super) url: Url,
    /// The URL without its secrets, to tell endpoints apart: parameters are among what does.
    pub(super) shown: String,
    pub(super) client: Client,
    pub(super) headers: HeaderMap,
    /// Proves who sends, if the client does not.
    pub(super) authorize: Option<Arc<dyn Authorize>>,
    /// It does so by signatures.
    pub(super) signs: bool,
    /// When a signature by new keys was last refused, unless one was taken since.
    pub(super) forbidden: Mutex<Option<Instant>>,
    pub(super) config: QueueConfig,
    pub(super) log_failed: bool,
    pub(super) queue: Arc<Queue>,
    pub(super) protocol: Arc<Protocol>,
    pub(super) custom_buckets: Arc<CustomBuckets>,
    pub(super) metrics: EndpointMetrics,
    pub(super) health: Mutex<Health>,
    pub(super) size: Mutex<Size>,
    pub(super) work: Work,
    /// Fires whenever a record is done.
    pub(super) progress: Notify,
    /// Messages about requests that are too large, with what the receiver says.
    pub(super) splits: Limiter<String>,
    /// Messages about samples that are not wanted, with why.
    pub(super) rejections: Limiter<Report>,
}

/// What was done since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) samples: AtomicU64,
    pub(super) busy_us: AtomicU64,
}

/// A record, and what came of sending it.
struct Landed {
    flight: Flight,
    outcome: Outcome,
}

enum Outcome {
    /// There was nothing to send.
    Nothing,
    /// It cannot be read.
    Damaged,
    Replied(Reply, Duration),
    Failed(SendError, Duration),
}

/// Sends until stopped. What is under way then is in the queue still.
pub(super) async fn run(sender: Arc<Sender>, stop: CancellationToken) {
    let mut pace = Pace::new(sender.config.min_backoff, sender.config.max_backoff);
    let mut flights = FuturesUnordered::new();
    let most = usize::from(sender.config.max_shards.max(1));
    sender.queue.return_flights();
    loop {
        let mut wake = None;
        while flights.len() < pace.allowed().min(most) {
            wake = pace.blocked(Instant::now());
            if wake.is_some() {
                break;
            }
            match sender.queue.take() {
                Take::Flight(flight) => flights.push(sender.fly(flight)),
                Take::Wait(until) => {
                    wake = Some(until);
                    break;
                }
                Take::Nothing => break,
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(landed) = flights.next() => sender.land(landed, &mut pace).await,
            () = sender.queue.ready() => {}
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
    // What is given up now may have been taken all the same, and would come twice.
    let last = async {
        while let Some(landed) = flights.next().await {
            sender.land(landed, &mut pace).await;
        }
    };
    tokio::time::timeout(LAST, last).await.ok();
}

impl Sender {
    async fn fly(&self, mut flight: Flight) -> Landed {
        let (message, compression) = self.protocol.now(now_ms());
        let limit = i64::try_from(self.config.sample_age_limit.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = if limit == 0 { i64::MIN } else { now_ms() - limit };
        let outcome = match fit(&mut flight.record, message, compression, oldest_ms) {
            Fit::Nothing(without) => {
                self.without(without);
                Outcome::Nothing
            }
            Fit::Damaged => Outcome::Damaged,
            Fit::Changed(without) => {
                self.without(without);
                self.portion(&mut flight, true);
                self.send(&flight).await
            }
            Fit::Same => {
                self.portion(&mut flight, false);
                self.send(&flight).await
            }
        };
        Landed { flight, outcome }
    }

    /// Sends a part of a record that is larger than the receiver takes; the others follow. One that changed may be, too:
    /// without symbols in common it may be much larger than it was.
    fn portion(&self, flight: &mut Flight, changed: bool) {
        let (record, most) = (&flight.record, self.size().most(Instant::now()));
        // A part ends with the series that fills it.
        let large = record.raw_len as usize > most + most / 8;
        let parts = if large { parts(record, most).filter(|parts| parts.len() > 1) } else { None };
        if changed || parts.is_some() {
            let (seq, parts) = (record.seq, parts.unwrap_or_else(|| vec![record.clone()]));
            flight.record = parts[0].clone();
            self.queue.replace(seq, parts, flight.refused);
        }
    }

    fn without(&self, without: Without) {
        self.metrics.dropped(Reason::TooOld, without.too_old);
        self.custom_buckets.dropped(without.custom_buckets.histograms);
    }

    async fn send(&self, flight: &Flight) -> Outcome {
        let record = &flight.record;
        let body = record.body.clone();
        let request = request(&self.url, &self.headers, record.message, record.compression, flight.attempts, body);
        let started = Instant::now();
        match self.exchange(request).await {
            Ok(reply) => Outcome::Replied(reply, started.elapsed()),
            Err(error) => Outcome::Failed(error, started.elapsed()),
        }
    }

    /// Sends a request with what proves who sends; once more if that was refused, and there is another proof.
    pub(super) async fn exchange(&self, request: Request) -> Result<Reply, SendError> {
        let no_reply = |source: ClientError| SendError::NoReply { source };
        let Some(authorize) = &self.authorize else { return exchange(&self.client, request).await.map_err(no_reply) };
        let unproven = |error: rosterd_model::Error| match self.signs {
            true => SendError::Unsigned { source: error.into() },
            false => SendError::Unproven { source: error.into() },
        };
        let mut first = request.clone();
        authorize.authorize(&mut first).await.map_err(unproven)?;
        let reply = exchange(&self.client, first.clone()).await.map_err(no_reply)?;
        if reply.status.is_success() {
            // Who may write now and is refused later may have lost the keys, not the right.
            *self.forbidden() = None;
        }
        if !self.refuses_proof(reply.status) || !authorize.refused(&first).await {
            return Ok(reply);
        }
        let mut second = request;
        authorize.authorize(&mut second).await.map_err(unproven)?;
        let reply = exchange(&self.client, second).await.map_err(no_reply)?;
        match reply.status {
            StatusCode::FORBIDDEN => *self.forbidden() = Some(Instant::now()),
            status if status.is_success() => *self.forbidden() = None,
            _ => {}
        }
        Ok(reply)
    }

    /// Whether another proof may do better. AWS says the same of keys that ended or were revoked and of those that may not write.
    fn refuses_proof(&self, status: StatusCode) -> bool {
        let may_write = || self.forbidden().is_none_or(|last| last.elapsed() >= FORBIDDEN);
        status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN && self.signs && may_write()
    }

    fn forbidden(&self) -> MutexGuard<'_, Option<Instant>> {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn land(&self, landed: Landed, pace: &mut Pace) {
        let Landed { flight, outcome } = landed;
        match outcome {
            Outcome::Nothing => self.done(&flight),
            Outcome::Damaged => {
                self.metrics.dropped(Reason::Invalid, flight.record.head.counts);
                error!(endpoint = &*self.name, code = "ship_queue_damaged", "a batch cannot be read, dropped");
                self.done(&flight);
            }
            Outcome::Replied(reply, took) => {
                self.metrics.requested(Some(reply.status.as_u16()));
                self.metrics.duration.observe(took.as_secs_f64());
                self.replied(flight, reply, took, pace).await;
            }
            Outcome::Failed(error, took) => {
                self.metrics.requested(None);
                self.metrics.duration.observe(took.as_secs_f64());
                let unreadable = error.code() == "http_malformed";
                if unreadable && flight.attempts + 1 >= MOST_UNREADABLE {
                    let all = Counts { series: 0, ..flight.record.head.counts };
                    return self.lost(&flight, all, &error, took, pace);
                }
                // A request that was too slow or broke off says little about others.
                let alone = unreadable || matches!(error.code(), "http_timeout" | "http_broken");
                self.again(&flight, &error, !alone, None, pace);
            }
        }
    }

    /// Sends in two parts what is too large for the receiver, unless it is such a part.
    fn halves(&self, flight: &Flight, reply: &Reply) -> bool {
        let record = &flight.record;
        if reply.status != StatusCode::PAYLOAD_TOO_LARGE {
            return false;
        }
        self.size().refused(record.raw_len as usize, Instant::now());
        if flight.refused {
            return false;
        }
        let Some(parts) = parts(record, record.raw_len as usize / 2).filter(|parts| parts.len() > 1) else {
            return false;
        };
        if let Some(sum) = self.splits.admit("", record.head.counts.all_samples(), reply.words.clone()) {
            self.tell_split(&sum);
        }
        self.queue.replace(record.seq, parts, true);
        self.queue.again(record.seq, None, false);
        true
    }

    async fn replied(&self, flight: Flight, reply: Reply, took: Duration, pace: &mut Pace) {
        if self.halves(&flight, &reply) {
            return;
        }
        let record = &flight.record;
        let sent = Sent { message: record.message, compression: record.compression, counts: record.head.counts };
        let Reply { status, headers, words, after } = reply;
        let url = shown(&self.url);
        let kept = self.config.keeps(status.as_u16(), after.is_some());
        let verdict = judge(sent, status, &headers, &words, after, kept);
        let status = status.as_u16();
        match verdict {
            Verdict::Sent => self.succeeded(&flight, sent.counts, took, pace),
            Verdict::Partial(missing) => {
                let [samples, histograms, exemplars] = missing;
                let error = SendError::Partial { url, samples, histograms, exemplars };
                self.lost(&flight, counts(missing), &error, took, pace);
            }
            Verdict::Rejected(written) => {
                let missing = counts(written.missing(sent.counts));
                self.lost(&flight, missing, &SendError::Rejected { url, status, words }, took, pace);
            }
            Verdict::Refused(refusal) => self.fall_back(&flight, refusal).await,
            Verdict::Again { all, after } => {
                let error = match status {
                    429 => SendError::Throttled { url, status, words, after },
                    400..=499 => SendError::Kept { url, status, words },
                    _ => SendError::Failed { url, status, words },
                };
                self.again(&flight, &error, all, after, pace);
            }
        }
    }

    fn succeeded(&self, flight: &Flight, written: Counts, took: Duration, pace: &mut Pace) {
        let record = &flight.record;
        self.metrics.sent(written, record.head.newest_ms);
        self.metrics.sent_bytes.inc_by(record.body.len() as u64);
        let over = self.health().succeeded(Instant::now());
        if let Some((down_for, failures)) = over {
            // What it cost comes before its end.
            if let Some(sum) = self.rejections.rest(true) {
                self.tell_rejected(&sum);
            }
            info!(endpoint = &*self.name, ?down_for, failures, "remote write works again");
        }
        self.answered(flight, took, pace);
    }

    /// There was an answer that is final: the receiver is there, whatever it thinks of the request.
    fn answered(&self, flight: &Flight, took: Duration, pace: &mut Pace) {
        pace.succeeded();
        self.work.samples.fetch_add(flight.record.head.counts.all_samples(), Ordering::Relaxed);
        self.work.busy_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        self.queue.hurry(false);
        self.done(flight);
    }

    fn done(&self, flight: &Flight) {
        self.queue.done(flight.record.seq);
        self.progress.notify_one();
    }

    /// All of a request or a part of it was not written, and will not be.
    fn lost(&self, flight: &Flight, missing: Counts, error: &SendError, took: Duration, pace: &mut Pace) {
        let sent = flight.record.head.counts;
        self.metrics.dropped(Reason::Rejected, missing);
        let sum = self.rejections.admit(error.code(), missing.all_samples(), Report::of(error));
        if let Some(sum) = &sum {
            self.tell_rejected(sum);
        }
        self.log_failed_request(sent, error);
        let written = Counts { series: 0, ..sent.minus(missing) };
        if written == Counts::default() {
            self.health().rejected(Instant::now(), Report::of(error), sum.is_some());
            self.answered(flight, took, pace);
        } else {
            self.metrics.partial.inc();
            self.health().last_error = Some(Report::of(error));
            self.succeeded(flight, written, took, pace);
        }
    }

    /// Tells what the limits of the log have kept back: what is over, or everything.
    pub(super) fn tell_rest(&self, everything: bool) {
        if let Some(sum) = self.rejections.rest(everything) {
            self.tell_rejected(&sum);
        }
        if let Some(sum) = self.splits.rest(everything) {
            self.tell_split(&sum);
        }
        self.queue.tell_rest(everything);
    }

    fn tell_rejected(&self, Sum { times, samples, words: error }: &Sum<Report>) {
        let (endpoint, code) = (&*self.name, &*error.code);
        warn!(endpoint, %error, code, requests = times, samples, "samples refused, they are lost");
    }

    fn tell_split(&self, Sum { times, words, .. }: &Sum<String>) {
        warn!(endpoint = &*self.name, requests = times, words, "request is too large for the receiver, sent in parts");
    }

    fn again(&self, flight: &Flight, error: &SendError, all: bool, after: Option<Duration>, pace: &mut Pace) {
        let now = Instant::now();
        let not_before = if all {
            pace.failed(now, after);
            None
        } else {
            Some(pace.failed_alone(now, flight.attempts, after))
        };
        self.metrics.retried(flight.record.head.counts);
        let report = Report::of(error);
        let told = self.health().failed(now, error.code(), report.clone());
        if let Some(failures) = told {
            let (endpoint, code) = (&*self.name, error.code());
            warn!(endpoint, error = %report, code, failures, "request failed, trying again");
        }
        self.log_failed_request(flight.record.head.counts, error);
        self.queue.hurry(true);
        self.queue.again(flight.record.seq, not_before, true);
    }

    async fn fall_back(&self, flight: &Flight, refusal: Refusal) {
        let (what, to) = match refusal {
            Refusal::Message => ("remote write 2.0", "1.0"),
            Refusal::Compression => ("zstd", "snappy"),
        };
        let error = SendError::FallBack { url: shown(&self.url), what, to };
        let before = self.protocol.now(now_ms());
        // Of requests that were under way together, the first tells.
        self.protocol.refuse(refusal, now_ms()).await;
        if before != self.protocol.now(now_ms()) {
            self.metrics.fallbacks.inc();
            warn!(endpoint = &*self.name, %error, code = error.code(), "receiver takes less than configured");
        }
        self.health().last_error = Some(Report::of(&error));
        self.queue.again(flight.record.seq, None, false);
    }

    fn log_failed_request(&self, counts: Counts, error: &SendError) {
        if self.log_failed {
            let Counts { series, samples, histograms, exemplars } = counts;
            let (endpoint, error) = (&*self.name, Report::of(error));
            debug!(endpoint, %error, series, samples, histograms, exemplars, "remote write request failed");
        }
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts([samples, histograms, exemplars]: [u64; 3]) -> Counts {
    Counts { series: 0, samples: samples as u32, histograms: histograms as u32, exemplars: exemplars as u32 }
}
