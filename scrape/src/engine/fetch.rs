//! A scrape under way: the request, and what came back.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use rosterd_client::{ClientError, Connection, Fetch, Fetched, Secrets, Share};
use rosterd_model::Labels;
use rosterd_model::target::{Target, UNIX_SOCKET, scrape_url};
use rosterd_tasks::Guard;
use tokio::time::Instant;

use super::entry::Entry;
use crate::error::ScrapeError;
use crate::inflate::expected;
use crate::job::{Job, TIMEOUT_HEADER};

/// Which scrape it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// The place of the target.
    pub(super) slot: u32,
    /// Its number.
    pub(super) flight: u32,
    pub(super) started: Instant,
    /// When it started, in nanoseconds since 1970.
    pub(super) wall: u64,
}

/// A body and what it is.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: String,
    pub(super) gzip: bool,
    /// What it takes of the memory for all.
    pub(super) share: Share,
    pub(super) secrets: Secrets,
}

/// Bodies of this size are looked at on a thread of their own: a shard has other things to do.
const LARGE: u64 = 1 << 20;

impl Body {
    /// Whether it takes long to look at.
    pub(super) fn is_large(&self) -> bool {
        let size = if self.gzip { expected(&self.bytes) } else { self.bytes.len() as u64 };
        size >= LARGE
    }
}

/// A scrape that ended, before its body was looked at.
pub(super) struct Fetching {
    pub(super) ticket: Ticket,
    pub(super) connection: Connection,
    pub(super) result: Result<Body, ScrapeError>,
}

/// The URL of a target.
pub(super) fn url(job: &Job, labels: &Labels) -> String {
    let mut url = String::with_capacity(64);
    scrape_url(Target(labels), &job.params, &mut url);
    url
}

/// Begins the scrape of a target. A panic in it is a failure of this scrape.
pub(super) fn begin(entry: &mut Entry, ticket: Ticket, guard: Guard) -> impl Future<Output = Fetching> + Send + use<> {
    let connection = entry.take_off(ticket.flight);
    let scrape = scrape(Arc::clone(&entry.job), entry.labels.clone(), entry.timeout, connection, ticket);
    async move {
        guard.run(&"request of a scrape", scrape).await.unwrap_or_else(|panicked| Fetching {
            ticket,
            connection: Connection::default(),
            result: Err(ScrapeError::Panicked { message: panicked.0 }),
        })
    }
}

async fn scrape(
    job: Arc<Job>,
    labels: Labels,
    timeout: Duration,
    mut connection: Connection,
    ticket: Ticket,
) -> Fetching {
    let result = fetch(&job, &labels, timeout, job.body_limit, &mut connection).await;
    Fetching { ticket, connection, result }
}

/// Asks a target for its body, which has to be smaller than `limit`.
pub(super) async fn fetch(
    job: &Job,
    labels: &Labels,
    timeout: Duration,
    limit: u64,
    connection: &mut Connection,
) -> Result<Body, ScrapeError> {
    let url = url(job, labels);
    let mut headers = job.headers.clone();
    let seconds = HeaderValue::try_from(timeout.as_secs_f64().to_string()).expect("a number is ASCII");
    headers.insert(TIMEOUT_HEADER, seconds);
    let unix_socket = labels.get(UNIX_SOCKET).unwrap_or_default();
    let fetch = Fetch { url: &url, unix_socket, headers: &headers, timeout, limit };
    let (mut bytes, mut share) = (Vec::new(), job.budget.share());
    match job.client.fetch(&fetch, connection, &mut bytes, &mut share).await {
        Ok(fetched) if fetched.status == StatusCode::OK => body(bytes, share, fetched, limit),
        Ok(fetched) => Err(fetched.status_error(&url).into()),
        Err(ClientError::TooLarge { .. }) => Err(match share.refused() {
            Some(limit) => ScrapeError::Memory { limit },
            None => ScrapeError::BodySize { limit },
        }),
        Err(error) => Err(error.into()),
    }
}

fn body(bytes: Vec<u8>, share: Share, fetched: Fetched, limit: u64) -> Result<Body, ScrapeError> {
    let text = |name| fetched.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip = text(header::CONTENT_ENCODING).eq_ignore_ascii_case("gzip");
    if !gzip && bytes.len() as u64 >= limit {
        return Err(ScrapeError::BodySize { limit });
    }
    let content_type = text(header::CONTENT_TYPE).to_owned();
    Ok(Body { content_type, bytes, gzip, share, secrets: fetched.secrets })
}
