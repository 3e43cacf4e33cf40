//! Looks up all names of a configuration, and remembers what each had when it was last answered.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use hickory_proto::rr::{Record, RecordType};
use rosterd_model::{Names, TargetGroup};

use super::config::DnsConfig;
use super::error::{DnsError, LookupError};
use super::metrics::DnsMetrics;
use super::records;
use super::resolv_conf::{Settings, Source};
use super::resolver::lookup;
use rosterd_discovery::{Error, Refresh};

/// How many names are looked up at the same time.
const CONCURRENCY: usize = 64;

type Looked = Result<Vec<Record>, LookupError>;

#[derive(Debug)]
pub(super) struct Dns {
    kind: RecordType,
    port: u16,
    source: Source,
    metrics: DnsMetrics,
    entries: Vec<Entry>,
    names: Names,
    stale: Option<DnsError>,
}

/// A name and its group, once it was answered.
#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    group: Option<TargetGroup>,
}

impl Dns {
    pub(super) fn new(config: &DnsConfig, source: Source, metrics: DnsMetrics) -> Self {
        let mut seen = HashSet::new();
        let names = config.names.iter().filter(|name| seen.insert(name.as_str()));
        Self {
            kind: config.kind.record_type(),
            port: config.port,
            source,
            metrics,
            entries: names.map(|name| Entry { name: name.as_str().into(), group: None }).collect(),
            names: Names::new(),
            stale: None,
        }
    }

    /// What was found for each entry, in their order.
    async fn look_up(&self, settings: &Settings) -> Vec<Looked> {
        let names: Vec<_> = self.entries.iter().map(|entry| Arc::clone(&entry.name)).collect();
        futures_util::stream::iter(names)
            .map(|name| async move { lookup(settings, &name, self.kind).await })
            .buffered(CONCURRENCY)
            .collect()
            .await
    }

    /// Takes over what was found. Returns whether anything is new, and what failed.
    fn learn(&mut self, found: Vec<Looked>) -> (bool, Option<DnsError>) {
        let (mut changed, mut failures) = (false, Vec::new());
        for (entry, found) in self.entries.iter_mut().zip(found) {
            self.metrics.lookups.inc();
            match found {
                Ok(answers) => {
                    let group = Some(records::group(&entry.name, self.port, &answers, &mut self.names));
                    changed |= entry.group != group;
                    entry.group = group;
                }
                Err(error) => {
                    self.metrics.lookup_failures.inc();
                    failures.push((&entry.name, error));
                }
            }
        }
        let others = failures.len().saturating_sub(1);
        let failed = failures.into_iter().next();
        (changed, failed.map(|(name, source)| DnsError::Lookup { name: (&**name).into(), others, source }))
    }

    /// The groups of all names, none as long as one of them was never answered.
    fn picture(&self) -> Option<Vec<TargetGroup>> {
        self.entries.iter().map(|entry| entry.group.clone()).collect()
    }
}

#[async_trait]
impl Refresh for Dns {
    async fn refresh(&mut self) -> Result<Option<Vec<TargetGroup>>, Error> {
        let settings = self.source.read().await?;
        let found = self.look_up(&settings).await;
        let (changed, failed) = self.learn(found);
        match (self.picture(), failed) {
            (None, Some(error)) => Err(error.into()),
            (picture, failed) => {
                self.stale = failed;
                Ok(picture.filter(|_| changed))
            }
        }
    }

    fn stale(&mut self) -> Option<Error> {
        self.stale.take().map(Error::from)
    }
}
