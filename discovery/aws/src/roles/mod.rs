//! What is asked for in each role, and what becomes of it. Reading what comes is pure.

mod ec2;
mod ecs;
mod elasticache;
mod lightsail;
mod msk;
mod rds;
mod table; // labels for elements

pub(super) use ec2::Ec2;
pub(super) use ecs::Ecs;
pub(super) use elasticache::Elasticache;
pub(super) use lightsail::Lightsail;
pub(super) use msk::Msk;
pub(super) use rds::Rds;

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use rosterd_discovery::{Error, Reading, Unreadable};
use rosterd_model::TargetGroup;

/// What came of a source.
type Source = (String, Result<Vec<TargetGroup>, Error>);

/// What comes of these, so many at a time.
async fn together<F: Future>(most: usize, all: Vec<F>) -> Vec<F::Output> {
    stream::iter(all).buffer_unordered(most).collect().await
}

/// The picture of several sources, of which some may be unread.
fn picture(sources: Vec<Source>) -> Reading {
    let (mut groups, mut unread) = (Vec::new(), Vec::new());
    for (source, read) in sources {
        match read {
            Ok(found) if found.is_empty() => groups.push(TargetGroup::gone(source)),
            Ok(found) => groups.extend(found),
            Err(error) => unread.push(Unreadable::new(source, error)),
        }
    }
    once(&mut groups);
    if unread.is_empty() { Reading::Everything(groups) } else { Reading::EverythingBut(groups, unread) }
}

/// What comes or goes while pages are read may stand on two of them.
fn once(groups: &mut Vec<TargetGroup>) {
    let mut seen = HashSet::new();
    groups.retain(|group| seen.insert((group.source.clone(), group.key.clone())));
}

/// Names the region as read, also where nothing is in it.
fn of_region(region: &str, mut groups: Vec<TargetGroup>) -> Vec<TargetGroup> {
    once(&mut groups);
    if groups.is_empty() {
        groups.push(TargetGroup::gone(region));
    }
    groups
}
