//! `/api/v1/cluster`: the members that share the targets, and how much each has.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_model::Labels;
use rosterd_tasks::by_size;
use serde::Serialize;

use super::State;
use super::envelope::success;
use crate::cluster::{SLOTS, Share, Slot};
use crate::roster::view::RosterView;

/// The members, by name.
#[derive(Debug, Serialize)]
pub(super) struct Cluster {
    /// By what the members are told; `None` where this rosterd is alone.
    pub(super) engine: Option<&'static str>,
    /// What this one is called.
    pub(super) member: Option<Arc<str>>,
    slots: u16,
    pub(super) members: Vec<Member>,
}

/// One of several that share the targets.
#[derive(Debug, Serialize)]
pub(super) struct Member {
    pub(super) name: Arc<str>,
    /// How many slots are its own.
    pub(super) slots: u16,
    /// How many targets of the roster of this one are in these.
    pub(super) targets: usize,
}

/// The cluster as this member sees it.
pub(super) async fn cluster(Extract(state): Extract<Arc<State>>) -> Response {
    success(Cluster::of(&state).await)
}

impl Cluster {
    /// As it is now. Each target is looked at.
    pub(super) async fn of(state: &State) -> Self {
        let (scraped, view) = (state.scraped.now(), state.roster.view());
        let size = view.jobs().map(|job| job.pages().len() * size_of::<Labels>()).sum();
        by_size(size, move || Self::told(&scraped.share, &view)).await
    }

    fn told(share: &Share, view: &RosterView) -> Self {
        let Some((table, own)) = share.table() else {
            return Self { engine: None, member: None, slots: SLOTS, members: Vec::new() };
        };
        let mut targets = vec![0; usize::from(SLOTS)];
        for job in view.jobs() {
            let labels = job.pages().iter().flat_map(|page| page.labels());
            labels.for_each(|labels| targets[Slot::of(&job.spec().name, labels).index()] += 1);
        }
        let mut of_member: BTreeMap<&str, usize> = BTreeMap::new();
        Slot::all().for_each(|slot| *of_member.entry(table.owner(slot)).or_default() += targets[slot.index()]);
        let members = table.members().iter().zip(table.slots()).map(|(name, slots)| {
            let targets = of_member.get(&**name).copied().unwrap_or_default();
            Member { name: Arc::clone(name), slots, targets }
        });
        Self { engine: Some("static"), member: Some(Arc::clone(own)), slots: SLOTS, members: members.collect() }
    }
}
