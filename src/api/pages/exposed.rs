//! What metric rules are tried on: a text that was given, or what a target exposes just now.

use std::sync::Arc;
use std::time::SystemTime;

use rosterd_client::Secrets;
use rosterd_exposition::{
    ConvertingParser, Dialect, Entry, Format, HistogramOptions, Parse, ParseError, ProtobufParser, Sample, TextParser,
};
use rosterd_model::labels::METRIC_NAME;
use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Builder, Labels, Names, Report};
use rosterd_scrape::Exposition;
use rosterd_tasks::blocking;

use super::super::sd::unknown_job;
use super::super::words::Moment;
use super::super::{Error, State};
use crate::explain::{Fit, Scratch, Search};
use crate::roster::view::JobView;

/// How large what a target exposes may be, unpacked.
const MOST: u64 = 64 << 20;

/// An exposition.
#[derive(Debug)]
pub(super) struct Exposed {
    body: Vec<u8>,
    format: Format,
    histograms: HistogramOptions,
    /// What the target was sent as a secret, and may repeat.
    pub(super) secrets: Secrets,
    pub(super) of: Option<OfTarget>,
}

/// Whose it is.
#[derive(Debug)]
pub(super) struct OfTarget {
    pub(super) url: String,
    /// The labels that its series get.
    labels: Labels,
    honor_labels: bool,
}

impl Exposed {
    /// A text that somebody gave: OpenMetrics if it ends like that.
    pub(super) fn text(text: &str) -> Self {
        let open_metrics = text.trim_end().ends_with("# EOF");
        let format = if open_metrics { Format::OpenMetricsText } else { Format::PrometheusText };
        let body = format!("{}\n", text.trim_end()).into_bytes();
        Self { body, format, histograms: HistogramOptions::default(), secrets: Secrets::default(), of: None }
    }

    /// What a target of the roster exposes: the one of the job that these words, or a selector, mean, or else the first that
    /// holds them. It is asked as by its scrapes. What is wrong is told in words.
    pub(super) async fn by(state: &State, job: &str, words: &str) -> Result<Result<Self, String>, Error> {
        let view = state.roster.view();
        let Some(known) = view.job(job).cloned() else {
            let unknown = if job.is_empty() { "choose a job".to_owned() } else { unknown_job(&view, job).to_string() };
            return Ok(Err(unknown));
        };
        let search = match Search::parse(words) {
            Ok(search) if search.is_all() => return Ok(Err("name a target of the job".to_owned())),
            Ok(search) => search,
            Err(error) => return Ok(Err(format!("the target cannot be {words:?}: {error}"))),
        };
        if let Err(error) = known.within_limit() {
            return Ok(Err(Report::of(&error).to_string()));
        }
        let Some(scraped) = state.scraped.get(job) else {
            let why = state.config.borrow().idle.map(|why| format!(": {why}")).unwrap_or_default();
            return Ok(Err(format!("{job} is not scraped{why}")));
        };
        let Some(labels) = blocking(move || meant(&known, &search)).await else {
            return Ok(Err(format!("no target of {job} is {words}")));
        };
        let (now, status) = (SystemTime::now(), state.scrapes.get(job, &labels));
        if let Some(until) = status.and_then(|status| status.snoozed_until).filter(|until| *until > now) {
            return Ok(Err(format!(
                "the target asked to be left alone, it may be asked {}",
                Moment::of(until, now).words
            )));
        }
        let mut url = String::new();
        scrape_url(Target(&labels), &scraped.params, &mut url);
        // An agent that stops waits for no target.
        let asked = state.lifecycle.stopping.run_until_cancelled(scraped.expose(&labels, MOST)).await;
        Ok(match asked.ok_or(Error::Stopping)? {
            Ok(Exposition { body, format, histograms, secrets, .. }) => {
                let labels = Target(&labels).public().collect();
                let of = Some(OfTarget { url, labels, honor_labels: scraped.rules.honor_labels });
                Ok(Self { body, format, histograms, secrets, of })
            }
            Err(error) => Err(format!("{url} cannot be scraped: {}", Report::of(&error))),
        })
    }

    /// Hands out each series by its labels, as metric rules see them.
    pub(super) fn each(&self, see: impl FnMut(&Labels)) -> Result<(), ParseError> {
        let text = |dialect| TextParser::new(&self.body, dialect);
        let HistogramOptions { convert_classic, always_classic, .. } = self.histograms;
        let text = match self.format {
            Format::Protobuf => return self.read(ProtobufParser::new(&self.body, self.histograms), see),
            // As in a scrape: nothing is in every format.
            _ if self.body.is_empty() => return Ok(()),
            Format::PrometheusText => text(Dialect::Prometheus)?,
            Format::OpenMetricsText => text(Dialect::OpenMetrics)?,
        };
        match convert_classic {
            true => self.read(ConvertingParser::new(text, always_classic), see),
            false => self.read(text, see),
        }
    }

    fn read(&self, mut parser: impl Parse, mut see: impl FnMut(&Labels)) -> Result<(), ParseError> {
        let (mut labels, mut names) = (Builder::new(), Names::new());
        while let Some(entry) = parser.next()? {
            let (Entry::Sample(sample) | Entry::Histogram(sample, _)) = entry else { continue };
            self.load(sample, &mut labels);
            see(&labels.build(&mut names));
        }
        Ok(())
    }

    /// The labels of a series, and those of its target.
    fn load(&self, sample: Sample<'_>, labels: &mut Builder) {
        labels.reset(std::iter::once((METRIC_NAME, sample.name)).chain(sample.labels.iter()));
        let Some(OfTarget { labels: target, honor_labels, .. }) = &self.of else { return };
        let mut moved: Vec<(&str, &str)> = Vec::new();
        for (name, value) in target.iter() {
            match sample.labels.get(name) {
                Some(_) if *honor_labels => continue,
                Some(exposed) if !exposed.is_empty() => moved.push((name, exposed)),
                _ => {}
            }
            labels.set(name, value);
        }
        // The shortest first, as in a scrape: `a` may have to make way for `exported_a`.
        moved.sort_by_key(|(name, _)| name.len());
        for (name, value) in moved {
            let mut name = format!("exported_{name}");
            while labels.contains(&name) {
                name.insert_str(0, "exported_");
            }
            labels.set(&name, value);
        }
    }
}

/// The target that a search means, or else the first that it may mean.
fn meant(job: &Arc<JobView>, search: &Search) -> Option<Labels> {
    let (mut part, mut scratch) = (None, Scratch::default());
    for slot in job.targets() {
        match search.fit_of(&slot.labels, &mut scratch) {
            Fit::Whole => return Some(slot.labels.clone()),
            Fit::Part if part.is_none() => part = Some(slot.labels.clone()),
            Fit::Part | Fit::No => {}
        }
    }
    part
}
