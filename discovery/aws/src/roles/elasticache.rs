//! Caches of ElastiCache: nodes of clusters, and serverless ones. Both kinds are sources of their own: where one cannot be read, as in a
//! region without it, the other can.

mod read; // what is read; pure

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rosterd_discovery::{Error, Reading, Unreadable};
use rosterd_model::TargetGroup;
use tokio::time::Instant;
use tracing::warn;

use crate::config::Wanted;
use crate::error::ServiceError;
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

/// A cache that is written, or several: by the ARN of a replication group.
#[derive(Debug)]
struct Written {
    arn: String,
    kind: Kind,
    is_group: bool,
    name: String,
}

impl Written {
    /// None if it is no ARN of such.
    fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<_> = arn.splitn(7, ':').collect();
        let &[_, _, _, _, _, what, name] = parts.as_slice() else { return None };
        let (kind, is_group) = match what {
            "serverlesscache" => (Kind::Serverless, false),
            "cluster" => (Kind::Cluster, false),
            "replicationgroup" => (Kind::Cluster, true),
            _ => return None,
        };
        Some(Self { arn: arn.to_owned(), kind, is_group, name: name.to_owned() })
    }

    fn has(&self, cache: &Cache) -> bool {
        let name = if self.is_group { &cache.replication_group } else { &cache.name };
        self.kind == cache.kind && self.name == *name
    }
}

/// Which caches are wanted.
#[derive(Debug)]
enum Only {
    All,
    These(Vec<Written>),
}

impl Only {
    fn of(arns: &[String]) -> Self {
        if arns.is_empty() {
            return Self::All;
        }
        let mut these: Vec<Written> = Vec::new();
        for arn in arns {
            match Written::parse(arn) {
                Some(written) if these.iter().any(|other| other.arn == written.arn) => {}
                Some(written) => these.push(written),
                None => {
                    warn!(cluster = arn, "this is no ARN of a cache, a cluster or a replication group of ElastiCache");
                }
            }
        }
        Self::These(these)
    }

    fn wants(&self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.iter().any(|written| written.kind == kind),
        }
    }

    fn has(&self, cache: &Cache) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.iter().any(|written| written.has(cache)),
        }
    }

    /// The caches of each source of this kind: of all there are in one, or of each of those that are written in one of its own. One that
    /// is written twice is in the first.
    fn sources(&self, kind: Kind, region: &str, caches: Vec<Cache>) -> Vec<(String, Result<Vec<Cache>, ServiceError>)> {
        let source = source(region, kind);
        let Self::These(these) = self else { return vec![(source, Ok(caches))] };
        let these: Vec<_> = these.iter().filter(|written| written.kind == kind).collect();
        let mut found: Vec<_> = these.iter().map(|_| Vec::new()).collect();
        let known = |written: &Written| caches.iter().any(|cache| written.has(cache));
        let known: Vec<_> = these.iter().map(|written| known(written)).collect();
        for cache in caches {
            if let Some(at) = these.iter().position(|written| written.has(&cache)) {
                found[at].push(cache);
            }
        }
        let sources = these.into_iter().zip(found).zip(known);
        let of = |((written, found), is_known): ((&Written, Vec<Cache>), bool)| {
            let reason = "ElastiCache lists none of this name".to_owned();
            let missing = || ServiceError::NoCluster { name: written.arn.clone(), reason };
            (format!("{source}/{}", written.arn), is_known.then_some(found).ok_or_else(missing))
        };
        sources.map(of).collect()
    }
}

fn source(region: &str, kind: Kind) -> String {
    format!("{region}/{}", kind.name())
}

impl Elasticache {
    pub(crate) fn new(service: Service, wanted: Wanted) -> Self {
        let (only, concurrency) = (Only::of(&wanted.clusters), wanted.concurrency);
        Self { service, only, concurrency, tags: HashMap::new() }
    }

    pub(crate) async fn read(&mut self, region: &str) -> Result<Reading, Error> {
        let (mut groups, mut unread, mut known) = (Vec::new(), Vec::new(), HashMap::new());
        let mut is_whole = true;
        for kind in [Kind::Cluster, Kind::Serverless] {
            if !self.only.wants(kind) {
                continue;
            }
            match self.caches(kind, &mut known).await {
                Ok(caches) => {
                    for (source, caches) in self.only.sources(kind, region, caches) {
                        match caches {
                            Ok(caches) => groups.extend(of(&source, caches, &known)),
                            Err(error) => unread.push(Unreadable::new(source, error)),
                        }
                    }
                }
                Err(error) => {
                    is_whole = false;
                    let source = source(region, kind);
                    unread.push(Unreadable::scope(&*source, &source, error));
                }
            }
        }
        if is_whole {
            // Of those that have gone nothing is kept.
            self.tags = known;
        } else {
            self.tags.extend(known);
        }
        Ok(super::reading(groups, unread))
    }

    /// The caches of this kind that are wanted. Their tags are known then.
    async fn caches(&self, kind: Kind, known: &mut HashMap<String, (Tags, Instant)>) -> Result<Vec<Cache>, Error> {
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
        for cache in caches.iter().filter(|cache| !cache.arn.is_empty()) {
            asking.push(self.tags_of(&cache.arn));
        }
        for tags in super::together(self.concurrency, asking).await {
            let (arn, tags, asked) = tags?;
            known.insert(arn, (tags, asked));
        }
        Ok(caches)
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

/// The groups of a source.
fn of(source: &str, caches: Vec<Cache>, known: &HashMap<String, (Tags, Instant)>) -> Vec<TargetGroup> {
    let none = Tags::new();
    let group = |cache: Cache| {
        let tags = known.get(&cache.arn).map_or(&none, |(tags, _)| tags);
        cache.groups(source, tags)
    };
    let groups: Vec<_> = caches.into_iter().filter_map(group).collect();
    if groups.is_empty() { vec![TargetGroup::gone(source)] } else { groups }
}
