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

use futures_util::{StreamExt, stream};
use rosterd_discovery::{Error, Reading, Unreadable};
use rosterd_model::TargetGroup;
use rosterd_rest::distinct;

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
    reading(groups, unread)
}

/// The picture of these groups, without what is unread.
fn reading(groups: Vec<TargetGroup>, unread: Vec<Unreadable>) -> Reading {
    let groups = distinct(groups);
    if unread.is_empty() { Reading::Everything(groups) } else { Reading::EverythingBut(groups, unread) }
}

/// The first of these names that is one: what has none of its own goes by another one, so that it is not taken for the others without.
fn first_of<const N: usize>(names: [&str; N]) -> &str {
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

/// Names the region as read, also where nothing is in it.
fn of_region(region: &str, groups: Vec<TargetGroup>) -> Vec<TargetGroup> {
    let mut groups = distinct(groups);
    if groups.is_empty() {
        groups.push(TargetGroup::gone(region));
    }
    groups
}
