//! `/cluster`: the members that share the targets, and how much each has.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;

use super::super::State;
use super::super::cluster::Cluster;
use super::super::words::grouped;
use super::cut::{as_fits, line, written};
use super::shell::{Shell, page};

/// How many bytes the members may have on the page.
const ROOM: usize = 150_000;

#[derive(Template)]
#[template(path = "cluster.html")]
struct Page {
    shell: Shell,
    engine: Option<&'static str>,
    member: String,
    members: Vec<Row>,
    /// Those that are not shown.
    more: usize,
}

struct Row {
    name: String,
    is_own: bool,
    slots: String,
    targets: String,
}

/// The page.
pub(in crate::api) async fn cluster(Extract(state): Extract<Arc<State>>) -> Response {
    let Cluster { engine, member, members, .. } = Cluster::of(&state).await;
    let count = members.len();
    let rows = members.into_iter().map(|it| Row {
        is_own: member.as_ref() == Some(&it.name),
        name: line(&it.name),
        slots: grouped(it.slots.into()),
        targets: grouped(it.targets as u64),
    });
    let members = as_fits(rows, ROOM, |row| 200 + written(&row.name));
    page(&Page {
        shell: Shell::of(&state, "/cluster", "Cluster").with_json("/api/v1/cluster"),
        engine,
        member: member.map(|name| line(&name)).unwrap_or_default(),
        more: count - members.len(),
        members,
    })
}
