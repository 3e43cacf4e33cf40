//! `/api/v1/targets/metadata` and `/api/v1/metadata`: what targets say about their metric families, as Prometheus tells it.
//! A family is found by its own name: `foo` has metadata, `foo_bucket` has none (`scrapeCache.GetMetadata`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use bytes::Bytes;
use http::Uri;
use rosterd_exposition::Metadata;
use rosterd_model::Selector;
use rosterd_model::target::Target;
use rosterd_scrape::Statuses;
use serde::Serialize;

use super::Error;
use super::State;
use super::envelope::success;
use super::query::Query;
use super::targets::{AnswerPieces, LOOKS, PIECE, json};
use crate::explain::within_bounds;
use crate::problem::Problem;
use crate::publish::encode::{object, string};
use crate::roster::view::JobView;

/// What each target says: all families, or one.
pub(super) async fn of_targets(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let limit = query.number("limit")?;
    let parse = |text: &str| {
        let selector = Selector::series(text).map_err(Into::into).and_then(within_bounds);
        selector.map_err(|source| Error::InvalidParameter { name: "match_target", source })
    };
    let writer = Writer {
        jobs: state.roster.view().jobs().cloned().collect(),
        statuses: state.scrapes.clone(),
        wanted: query.get("match_target").map(parse).transpose()?.unwrap_or_default(),
        metric: query.get("metric").map(str::to_owned),
        limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX),
        place: (0, 0, 0),
        written: 0,
        section: Section::Start,
        target: Vec::new(),
    };
    Ok(json(writer))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Start,
    Targets,
    Done,
}

struct Writer {
    jobs: Vec<Arc<JobView>>,
    statuses: Statuses,
    wanted: Selector,
    metric: Option<String>,
    limit: usize,
    /// The job, the page and the slot that come next.
    place: (usize, usize, usize),
    written: usize,
    section: Section,
    /// The labels of a target, as each of its lines has them.
    target: Vec<u8>,
}

impl AnswerPieces for Writer {}

impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.section == Section::Done {
            return None;
        }
        let mut out = Vec::new();
        if self.section == Section::Start {
            out.extend_from_slice(b"{\"status\":\"success\",\"data\":[");
            self.section = Section::Targets;
        }
        for _ in 0..LOOKS {
            if out.len() >= PIECE {
                break;
            }
            // As in Prometheus, the last target within the limit is shown with all it has.
            if self.written >= self.limit || !self.step(&mut out) {
                out.extend_from_slice(b"]}");
                self.section = Section::Done;
                break;
            }
        }
        Some(out.into())
    }
}

impl Writer {
    /// Goes on to the next target, page or job; there may be none.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let (job, page, slot) = self.place;
        let Some(job) = self.jobs.get(job).cloned() else { return false };
        self.place = match job.pages().nth(page).map(|page| page.slots().get(slot)) {
            None => (self.place.0 + 1, 0, 0),
            Some(None) => (self.place.0, page + 1, 0),
            Some(Some(_)) => (self.place.0, page, slot + 1),
        };
        if let Some(slot) = job.pages().nth(page).and_then(|page| page.slots().get(slot)) {
            let target = Target(&slot.labels);
            if self.wanted.matches_by(&|name| target.public_label(name))
                && let Some(families) =
                    self.statuses.get(&job.spec().name, &slot.labels).and_then(|status| status.metadata)
            {
                self.target.clear();
                object(target.public(), &mut self.target);
                self.write(&families, out);
            }
        }
        true
    }

    fn write(&mut self, families: &[Metadata], out: &mut Vec<u8>) {
        let wanted = self.metric.as_deref();
        for metadata in families.iter().filter(|metadata| wanted.is_none_or(|wanted| *metadata.family == *wanted)) {
            if self.written > 0 {
                out.push(b',');
            }
            self.written += 1;
            out.extend_from_slice(b"{\"target\":");
            out.extend_from_slice(&self.target);
            if wanted.is_none() {
                out.extend_from_slice(b",\"metric\":");
                string(&metadata.family, out);
            }
            out.extend_from_slice(b",\"type\":");
            string(metadata.kind.as_str(), out);
            out.extend_from_slice(b",\"help\":");
            string(&metadata.help, out);
            out.extend_from_slice(b",\"unit\":");
            string(&metadata.unit, out);
            out.push(b'}');
        }
    }
}

/// What is said of a family, in Prometheus' order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Said {
    r#type: &'static str,
    unit: Box<str>,
    help: Box<str>,
}

/// What is said of each family by any target.
pub(super) async fn of_families(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let each = query.number("limit_per_metric")?.and_then(|limit| usize::try_from(limit).ok()).filter(|each| *each > 0);
    let metric = query.get("metric");
    let mut families: BTreeMap<Box<str>, BTreeSet<Said>> = BTreeMap::new();
    for list in state.scrapes.metadata() {
        for metadata in list.iter().filter(|metadata| metric.is_none_or(|metric| *metadata.family == *metric)) {
            let said = match families.get_mut(&metadata.family) {
                Some(said) => said,
                None => families.entry(metadata.family.clone()).or_default(),
            };
            if each.is_none_or(|each| said.len() < each) {
                let Metadata { kind, unit, help, .. } = metadata;
                said.insert(Said { r#type: kind.as_str(), unit: unit.clone(), help: help.clone() });
            }
        }
        tokio::task::yield_now().await;
    }
    let shown: BTreeMap<_, _> = families.into_iter().take(limit.unwrap_or(usize::MAX)).collect();
    Ok(success(shown))
}
