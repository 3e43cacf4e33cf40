//! What the user writes: a type for each section, its defaults, its checks, and how it is shown.

mod brake; // rosterd.brake, and what jobs say otherwise
mod cloud; // sigv4, azuread, google_iam
mod cluster; // rosterd.cluster
mod config; // the whole
mod global; // global, runtime
mod ignored; // sections that are read and have no effect
pub(crate) mod outputs; // what would destroy what, on the disk as it is
mod remote_write;
mod reserved; // headers that nobody may set
mod rosterd; // rosterd's own settings
mod rules; // relabelling rules and their problems
mod scalars; // small values: protocols, schemes, null as default
mod scrape; // scrape_configs
mod scraping; // rosterd.scrape
mod templates; // rosterd.templates
mod url;

pub use brake::{AgentBrake, BrakeSettings, Confirm, JobBrake, Share};
pub use cloud::{
    AzureAd, AzureCertificate, AzureManagedIdentity, AzureOAuth, AzureSdk, AzureWorkloadIdentity, GoogleIam, SigV4,
};
pub use cluster::{Cluster, StaticMembers};
pub use config::Config;
pub use global::{Global, Runtime};
pub(crate) use ignored::{Alerting, Alertmanager, Otlp, RemoteRead, Storage, Tracing};
pub use remote_write::{MetadataConfig, QueueConfig, RemoteWrite};
pub use rosterd::{
    Compression, DiskQueue, EndpointSettings, FileOutput, FileSd, JobSettings, Journal, Metrics, OutputFormat, Publish,
    Rosterd,
};
pub(crate) use rules::{compile, constant_rules, may_drop_by_address, may_write_address};
pub use scalars::{EscapingScheme, ProtobufMessage, ScrapeProtocol};
pub(crate) use scrape::ONLY_FOR_SCRAPING;
pub use scrape::{ScrapeConfig, ScrapeSettings};
pub use scraping::Scraping;
pub use templates::{ReloadSignal, STAGED, Template};
pub use url::DestinationUrl;
