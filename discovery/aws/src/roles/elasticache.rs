//! Caches of ElastiCache: nodes of clusters, and serverless ones. Both kinds are sources of their own: where one cannot be read, as in a
//! region without it, the other can.

mod read; // what is read; pure

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rosterd_discovery::{Error, Reading};
use rosterd_model::TargetGroup;
use tokio::time::Instant;
use tracing::warn;

use crate::config::Wanted;
use crate::service::{Call, Service};

use read::{Cache, Kind, clusters, serverless, tags};

const VERSION: &str = "2015-02-02";
/// Tags cost a question for each cache. They are asked for again after this time.
const TAGS: Duration = Duration::from_secs(600);

type Tags = BTreeMap<String, String>;

pub(crate) struct Elasticache {
    pub(crate) service: Service,
    only: Only,
    concurrency: usize,
    /// By the ARN of a cache.
    tags: HashMap<String, (Tags, Instant)>,
}

/// Which caches are wanted; all if nothing is written.
#[derive(Debug, Default)]
struct Only {
    is_written: bool,
    serverless: Vec<String>,
    clusters: Vec<String>,
    groups: Vec<String>,
}

impl Only {
    fn of(arns: &[String]) -> Self {
        let mut only = Self { is_written: !arns.is_empty(), ..Self::default() };
        for arn in arns {
            let parts: Vec<_> = arn.splitn(7, ':').collect();
            let name = || parts[6].to_owned();
            match parts.get(5).filter(|_| parts.len() == 7) {
                Some(&"serverlesscache") => only.serverless.push(name()),
                Some(&"cluster") => only.clusters.push(name()),
                Some(&"replicationgroup") => only.groups.push(name()),
                _ => warn!(cluster = arn, "this is no ARN of a cache, a cluster or a replication group of ElastiCache"),
            }
        }
        only
    }

    fn wants(&self, kind: Kind) -> bool {
        !self.is_written
            || match kind {
                Kind::Serverless => !self.serverless.is_empty(),
                Kind::Cluster => !self.clusters.is_empty() || !self.groups.is_empty(),
            }
    }

    fn has(&self, cache: &Cache) -> bool {
        !self.is_written
            || match cache.kind {
                Kind::Serverless => self.serverless.contains(&cache.name),
                Kind::Cluster => self.clusters.contains(&cache.name) || self.groups.contains(&cache.replication_group),
            }
    }
}

impl Elasticache {
    pub(crate) fn new(service: Service, wanted: Wanted) -> Self {
        let (only, concurrency) = (Only::of(&wanted.clusters), wanted.concurrency);
        Self { service, only, concurrency, tags: HashMap::new() }
    }

    pub(crate) async fn read(&mut self, region: &str) -> Result<Reading, Error> {
        let (mut sources, mut known) = (Vec::new(), HashMap::new());
        for kind in [Kind::Cluster, Kind::Serverless] {
            if self.only.wants(kind) {
                let source = format!("{region}/{}", kind.name());
                let groups = self.kind(kind, &source, &mut known).await;
                sources.push((source, groups));
            }
        }
        if sources.iter().all(|(_, groups)| groups.is_ok()) {
            // Of those that have gone nothing is kept.
            self.tags = known;
        } else {
            self.tags.extend(known);
        }
        Ok(super::picture(sources))
    }

    async fn kind(
        &self,
        kind: Kind,
        source: &str,
        known: &mut HashMap<String, (Tags, Instant)>,
    ) -> Result<Vec<TargetGroup>, Error> {
        let mut caches = match kind {
            Kind::Serverless => {
                let call = Call::form([("Version", VERSION), ("MaxResults", "50")]);
                self.service.list("DescribeServerlessCaches", call, "NextToken", serverless).await?
            }
            Kind::Cluster => {
                let nodes = ("ShowCacheNodeInfo", "true");
                let call = Call::form([("Version", VERSION), ("MaxRecords", "100"), nodes]);
                self.service.list("DescribeCacheClusters", call, "Marker", clusters).await?
            }
        };
        caches.retain(|cache| self.only.has(cache));
        let mut asking = Vec::new();
        for cache in &caches {
            asking.push(self.tags_of(&cache.arn));
        }
        for tags in super::together(self.concurrency, asking).await {
            let (arn, tags, asked) = tags?;
            known.insert(arn, (tags, asked));
        }
        let of = |cache: Cache| {
            let tags = known.get(&cache.arn).map(|(tags, _)| tags);
            cache.groups(source, tags.unwrap_or(&Tags::new()))
        };
        Ok(caches.into_iter().flat_map(of).collect())
    }

    /// The tags of a cache, by its ARN, and when they were asked for. Older ones are better than none.
    async fn tags_of(&self, arn: &str) -> Result<(String, Tags, Instant), Error> {
        self.known_tags(arn).await.map(|(tags, asked)| (arn.to_owned(), tags, asked))
    }

    async fn known_tags(&self, arn: &str) -> Result<(Tags, Instant), Error> {
        let known = self.tags.get(arn);
        if let Some((tags, asked)) = known.filter(|(_, asked)| asked.elapsed() < TAGS) {
            return Ok((tags.clone(), *asked));
        }
        let call = Call::form([("Version", VERSION), ("ResourceName", arn)]);
        match (self.service.ask("ListTagsForResource", &call, tags).await, known) {
            (Ok(tags), _) => Ok((tags, Instant::now())),
            (Err(error), Some((tags, asked))) => {
                warn!(%error, code = error.code(), cache = arn, "cannot read tags again, keeping the old ones");
                Ok((tags.clone(), *asked))
            }
            (Err(error), None) => Err(error),
        }
    }
}
