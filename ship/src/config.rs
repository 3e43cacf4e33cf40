//! What an endpoint is told, as plain values. Nothing here is read from files or the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rosterd_client::{HttpClientConfig, Secret, Url};
use rosterd_credentials::aws::Who;
use rosterd_credentials::azure::AzureMethod;
use rosterd_model::relabel::Rules;

use crate::wire::{Compression, Message, Sends};

/// One receiver. An endpoint whose configuration is equal after a reload goes on as if nothing had happened.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointConfig {
    /// Names it in metrics, logs and answers. Unique.
    pub name: String,
    /// The name was written by the user, and not made by [`give_names`](crate::give_names): it says whose queue it is.
    pub named: bool,
    /// Where requests go.
    pub url: Url,
    /// How to connect and authenticate.
    pub client: HttpClientConfig,
    /// Headers for each request.
    pub headers: BTreeMap<String, Secret>,
    /// The time for one request and its reply.
    pub timeout: Duration,
    /// The version to send, as long as the receiver takes it.
    pub message: Message,
    /// The compression to use, as long as the receiver takes it.
    pub compression: Compression,
    /// `write_relabel_configs`.
    pub rules: Rules,
    /// What to send besides float samples.
    pub sends: Sends,
    /// Batches, concurrency, retries.
    pub queue: QueueConfig,
    /// Metadata in requests of their own, for version 1.0.
    pub metadata: MetadataConfig,
    /// Whether new connections go to the addresses of the host by turns.
    pub round_robin_dns: bool,
    /// AWS Signature Version 4.
    pub sigv4: Option<SigV4Config>,
    /// Tokens of Microsoft Entra ID.
    pub azuread: Option<AzureConfig>,
    /// Tokens of Google.
    pub google_iam: Option<GoogleConfig>,
    /// Whether requests that fail are logged with what they held.
    pub failed_request_logging: bool,
    /// How large the queue on disk may become.
    pub disk: DiskLimits,
}

/// Batches, concurrency and retries: Prometheus' `queue_config`.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueConfig {
    /// Samples kept in memory for each lane there can be, when there is a queue on disk behind it.
    pub capacity: u32,
    /// The most lanes.
    pub max_shards: u16,
    /// The least lanes.
    pub min_shards: u16,
    /// The most samples and histograms of a request.
    pub max_samples_per_send: u32,
    /// How long a sample waits for others.
    pub batch_send_deadline: Duration,
    /// The first wait after a failure.
    pub min_backoff: Duration,
    /// The longest wait after a failure, unless the receiver asks for more.
    pub max_backoff: Duration,
    /// Whether status 429 is tried again even if the receiver does not say when.
    pub retry_on_http_429: bool,
    /// Refusals after which samples wait in the queue and are sent again: statuses that say nothing about the samples.
    pub keep_on: Vec<u16>,
    /// Older samples are dropped instead of sent; 0 keeps all.
    pub sample_age_limit: Duration,
}

impl QueueConfig {
    /// Whether a request that is refused with this status is sent again; `asked` says that the receiver asks for time.
    pub(crate) fn keeps(&self, status: u16, asked: bool) -> bool {
        self.keep_on.contains(&status) || status == 429 && (self.retry_on_http_429 || asked)
    }
}

/// Metadata in requests of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataConfig {
    /// Whether to send them.
    pub send: bool,
    /// How often.
    pub interval: Duration,
    /// The most families of a request.
    pub max_samples_per_send: u32,
}

/// How much of a queue is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLimits {
    /// Bytes; the oldest go first.
    pub max_bytes: u64,
    /// Older samples are dropped; 0 keeps all.
    pub max_age: Duration,
}

/// AWS Signature Version 4: who signs requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigV4Config {
    /// Who. What is not said here is found as the tools of AWS do.
    pub who: Who,
    /// The service; `aps` if empty.
    pub service: String,
}

/// Whose tokens of Microsoft Entra ID are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct AzureConfig {
    /// How one proves to Entra ID who one is.
    pub method: AzureMethod,
    /// Where tokens are made.
    pub authority: String,
    /// What they are good for.
    pub scope: String,
}

/// Whose tokens of Google are sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GoogleConfig {
    /// The key of a service account; without one the environment says who asks.
    pub credentials_file: Option<PathBuf>,
}
