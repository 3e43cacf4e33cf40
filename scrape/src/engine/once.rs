//! One scrape beside the schedule: nothing of it is kept, counted or sent.

use rosterd_client::{Connection, Secrets, Share};
use rosterd_exposition::{Format, HistogramOptions, negotiate};
use rosterd_model::Labels;
use rosterd_model::target::Target;
use rosterd_tasks::blocking;

use super::entry::{duration, histograms};
use super::fetch::{Body, fetch};
use crate::error::ScrapeError;
use crate::inflate::Inflater;
use crate::job::Job;

/// What a target exposes.
#[derive(Debug)]
pub struct Exposition {
    /// The body, unpacked.
    pub body: Vec<u8>,
    /// Its format.
    pub format: Format,
    /// What becomes of histograms.
    pub histograms: HistogramOptions,
    /// What was sent as a secret, and may be repeated in it.
    pub secrets: Secrets,
    /// What it takes of the memory for all.
    _share: Share,
}

impl Job {
    /// Asks a target of the job, by its final labels, for what it exposes, as a scrape does. It has to be smaller than `most`
    /// bytes besides the limit of the job.
    pub async fn expose(&self, labels: &Labels, most: u64) -> Result<Exposition, ScrapeError> {
        let limit = self.body_limit.min(most);
        let timeout = duration(Target(labels).timeout());
        let body = fetch(self, labels, timeout, limit, &mut Connection::default()).await?;
        let format = negotiate(&body.content_type, self.fallback)?.format;
        let (memory, histograms) = (self.budget.limit(), histograms(labels));
        let Body { bytes, gzip, mut share, secrets, .. } = body;
        let unpacked = blocking(move || {
            let body = match gzip {
                true => Inflater::default().gzip(&bytes, limit, &mut share).map(<[u8]>::to_vec),
                false => Ok(bytes),
            };
            body.map(|body| (body, share))
        });
        let (body, _share) = unpacked.await.map_err(|why| ScrapeError::of_gzip(why, limit, memory))?;
        Ok(Exposition { body, format, histograms, secrets, _share })
    }
}
