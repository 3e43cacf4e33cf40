//! The configuration of rosterd: the file that Prometheus reads, and rosterd's own settings beside it.
//!
//! Three steps: parsing, checking, and making paths absolute; [`Config::load`] does all of them and tells all problems
//! at once, each with its place. Defaults and rules are those of Prometheus 3.

mod error; // codes, and all problems of a configuration
mod file; // what the user writes
mod load; // files -> Config

pub use error::{ConfigErrors, code};
pub use file::{
    AgentBrake, AzureAd, AzureCertificate, AzureManagedIdentity, AzureOAuth, AzureSdk, AzureWorkloadIdentity,
    BrakeSettings, Cluster, Compression, Config, Confirm, DestinationUrl, DiskQueue, EndpointSettings, EscapingScheme,
    FileOutput, FileSd, Global, GoogleIam, JobBrake, JobSettings, Journal, MetadataConfig, Metrics, OutputFormat,
    ProtobufMessage, Publish, QueueConfig, ReloadSignal, RemoteWrite, Rosterd, Runtime, STAGED, ScrapeConfig,
    ScrapeProtocol, ScrapeSettings, Scraping, Share, SigV4, StaticMembers, Template,
};
pub use load::{
    ExamineTemplate, Impossible, ImpossibleTarget, LoadOptions, Loaded, OPTIONAL_MECHANISMS, feature_of, load_rules,
    parse_rules,
};
pub use rosterd_yaml::Problem;
