//! Looks up all names of a configuration. Each is a source: one that is not answered hides no other.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use hickory_proto::rr::{Record, RecordType};
use rosterd_model::{Names, TargetGroup};
use rosterd_tasks::Guard;

use super::config::DnsConfig;
use super::error::{DnsError, LookupError};
use super::metrics::DnsMetrics;
use super::nothing::Nothing;
use super::records;
use super::resolv_conf::{Settings, Source};
use super::resolver::{Answered, lookup};
use rosterd_discovery::{Error, Reading, Refresh, Unreadable};

/// How many names are looked up at the same time.
const CONCURRENCY: usize = 64;

type Looked = Result<Answered, LookupError>;

#[derive(Debug)]
pub(super) struct Dns {
    kind: RecordType,
    port: u16,
    source: Source,
    metrics: DnsMetrics,
    queries: Vec<Arc<str>>,
    names: Names,
    /// A panic over one name is a failure of that name.
    guard: Guard,
    /// The names for which DNS had no record the last time.
    nothing: Nothing,
}

impl Dns {
    pub(super) fn new(config: &DnsConfig, source: Source, metrics: DnsMetrics, guard: Guard) -> Self {
        let mut seen = HashSet::new();
        let names = config.names.iter().filter(|name| seen.insert(name.as_str()));
        Self {
            kind: config.kind.record_type(),
            port: config.port,
            source,
            metrics,
            queries: names.map(|name| name.as_str().into()).collect(),
            names: Names::new(),
            guard,
            nothing: Nothing::default(),
        }
    }

    /// What was found for each name, in their order.
    async fn look_up(&self, settings: &Settings) -> Vec<Looked> {
        futures_util::stream::iter(self.queries.clone())
            .map(|name| async move { self.guard.run(&name, lookup(settings, &name, self.kind)).await? })
            .buffered(CONCURRENCY)
            .collect()
            .await
    }

    /// The groups of names that were answered, also with nothing, and the names that were not.
    fn learn(&mut self, found: Vec<Looked>) -> Reading {
        let (mut groups, mut unread) = (Vec::with_capacity(found.len()), Vec::new());
        self.nothing = Nothing::default();
        for (name, found) in self.queries.clone().iter().zip(found) {
            self.metrics.lookups.inc();
            if let Ok(answered) = &found {
                self.nothing.count(name, answered);
            }
            match found.and_then(|answered| self.group(name, answered.records())) {
                Ok(group) => groups.push(group),
                Err(source) => {
                    self.metrics.lookup_failures.inc();
                    unread.push(Unreadable::new(Arc::clone(name), DnsError::Lookup { name: (&**name).into(), source }));
                }
            }
        }
        Reading::EverythingBut(groups, unread)
    }

    fn group(&mut self, name: &Arc<str>, answers: &[Record]) -> Result<TargetGroup, LookupError> {
        let Self { guard, port, names, .. } = self;
        Ok(guard.call(name, || records::group(name, *port, answers, names))?)
    }
}

#[async_trait]
impl Refresh for Dns {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let settings = self.source.read().await?;
        let found = self.look_up(&settings).await;
        Ok(self.learn(found))
    }

    fn warning(&self) -> Option<Error> {
        self.nothing.warning(self.kind).map(Error::from)
    }
}
