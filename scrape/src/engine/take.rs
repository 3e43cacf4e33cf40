//! From a body to samples: unpack, choose the parser, ingest, report.

use rosterd_client::{Secrets, Share};
use rosterd_exposition::{ConvertingParser, Dialect, Format, HistogramOptions, ProtobufParser, TextParser, negotiate};
use rosterd_model::target::Target;
use rosterd_ship::Block;
use tracing::debug;

use super::entry::Entry;
use super::fetch::Body;
use crate::error::ScrapeError;
use crate::inflate::{InflateError, Inflater};
use crate::ingest::{Bench, Families, Ingested, Report};
use crate::job::Job;

/// Memory for what bodies become, shared by all targets of a shard.
#[derive(Default)]
pub(super) struct Intake {
    inflater: Inflater,
    bench: Bench,
}

/// What a scrape came to.
pub(super) struct TakenScrape {
    pub(super) error: Option<ScrapeError>,
    pub(super) report: Report,
    /// What was sent as a secret, and may be repeated in what the error quotes.
    pub(super) secrets: Secrets,
}

impl Intake {
    pub(super) fn new(families: Families) -> Self {
        Self { inflater: Inflater::default(), bench: Bench::new(families) }
    }

    /// Hands out what the last scrape hands over.
    pub(super) fn each_block(&mut self, see: impl FnMut(&Block)) {
        self.bench.each_block(see);
    }

    /// Turns what came back into samples, with the automatic series and stale markers. `seconds` tells how long it all took,
    /// asked for at the end.
    pub(super) fn take(
        &mut self,
        entry: &mut Entry,
        fetched: Result<Body, ScrapeError>,
        at_ms: i64,
        seconds: impl FnOnce() -> f64,
    ) -> TakenScrape {
        self.bench.begin();
        let (job, labels) = (entry.job.clone(), entry.labels.clone());
        let target: Vec<_> = Target(&labels).public().collect();
        let secrets = fetched.as_ref().map(|body| body.secrets.clone()).unwrap_or_default();
        let (ingested, body_bytes, error) = match fetched {
            Ok(mut body) => {
                let share = std::mem::take(&mut body.share);
                self.ingest(entry, &job, &body, share, &target, at_ms)
            }
            Err(error) => {
                self.bench.failed(&mut entry.track, at_ms);
                let too_large = matches!(error, ScrapeError::BodySize { .. } | ScrapeError::Memory { .. });
                let body_bytes = if too_large { -1 } else { 0 };
                (Ingested::default(), body_bytes, Some(error))
            }
        };
        let timeout_seconds = entry.timeout.as_secs_f64();
        let report = Report { up: error.is_none(), seconds: seconds(), ingested, timeout_seconds, body_bytes };
        self.bench.report(&mut entry.track, &job.rules, &target, &report, at_ms);
        TakenScrape { error, report, secrets }
    }

    /// Gives back what the last scrape needed, once it is handed over.
    pub(super) fn shrink(&mut self) {
        self.inflater.shrink();
        self.bench.shrink();
    }

    fn ingest(
        &mut self,
        entry: &mut Entry,
        job: &Job,
        body: &Body,
        mut share: Share,
        target: &[(&str, &str)],
        at_ms: i64,
    ) -> (Ingested, i64, Option<ScrapeError>) {
        let unpacked = match body.gzip {
            true => self.inflater.gzip(&body.bytes, job.body_limit, &mut share),
            false => Ok(body.bytes.as_slice()),
        };
        let unpacked = match unpacked {
            Ok(unpacked) => unpacked,
            Err(why) => {
                self.bench.failed(&mut entry.track, at_ms);
                let bytes = if why == InflateError::Damaged { 0 } else { -1 };
                let error = ScrapeError::of_gzip(why, job.body_limit, job.budget.limit());
                return (Ingested::default(), bytes, Some(error));
            }
        };
        let bytes = unpacked.len() as i64;
        // As in Prometheus: nothing is in every format.
        if unpacked.is_empty() {
            self.bench.failed(&mut entry.track, at_ms);
            return (Ingested::default(), bytes, None);
        }
        let format = match negotiate(&body.content_type, job.fallback) {
            Ok(negotiated) => {
                if let Some(reason) = negotiated.fallback {
                    let error = body.secrets.hide(&reason.to_string());
                    debug!(job = &*job.name, error, "unclear content type");
                }
                negotiated.format
            }
            Err(error) => {
                self.bench.failed(&mut entry.track, at_ms);
                return (Ingested::default(), bytes, Some(error.into()));
            }
        };
        self.bench.charge(share);
        let options = entry.histograms();
        match ingest(&mut self.bench, format, options, unpacked, entry, job, target, at_ms) {
            Ok(ingested) => (ingested, bytes, None),
            Err((error, ingested)) => (ingested, bytes, Some(error.into())),
        }
    }

    /// Marks automatic series as stale that the target has no more by the rules of another job.
    pub(super) fn replaced(&mut self, entry: &Entry, before: &Job, at_ms: i64) {
        self.bench.begin();
        let target: Vec<_> = Target(&entry.labels).public().collect();
        self.bench.replaced(&entry.track, &before.rules, &entry.job.rules, &target, at_ms);
    }

    /// Marks everything that the target ever had as stale, but for what `others` have: it is gone.
    pub(super) fn end(&mut self, entry: &mut Entry, others: &[&Entry], at_ms: i64) {
        self.bench.begin();
        let (job, labels) = (entry.job.clone(), entry.labels.clone());
        let target: Vec<_> = Target(&labels).public().collect();
        let others: Vec<_> = others.iter().map(|other| (&other.track, &other.job.rules)).collect();
        self.bench.end(&mut entry.track, &job.rules, &others, &target, at_ms);
    }
}

#[allow(clippy::too_many_arguments, reason = "it is the place where everything comes together, three times alike")]
fn ingest(
    bench: &mut Bench,
    format: Format,
    options: HistogramOptions,
    body: &[u8],
    entry: &mut Entry,
    job: &Job,
    target: &[(&str, &str)],
    at_ms: i64,
) -> Result<Ingested, (crate::ingest::IngestError, Ingested)> {
    let (track, rules) = (&mut entry.track, &job.rules);
    let dialect = match format {
        Format::PrometheusText => Dialect::Prometheus,
        Format::OpenMetricsText => Dialect::OpenMetrics,
        Format::Protobuf => {
            return bench.ingest(|| Ok(ProtobufParser::new(body, options)), track, rules, target, at_ms);
        }
    };
    let text = || TextParser::new(body, dialect);
    if options.convert_classic {
        let converting = || Ok(ConvertingParser::new(text()?, options.always_classic));
        bench.ingest(converting, track, rules, target, at_ms)
    } else {
        bench.ingest(text, track, rules, target, at_ms)
    }
}
