//! What is missing of a job, or is not of now, as the API tells it: with the cause, where somebody knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rosterd_discovery::ProviderKey;
use rosterd_model::Report;
use serde::{Deserialize, Serialize};

use super::State;
use crate::roster::hold::{self, Missing};
use crate::roster::presence::Presence;
use crate::roster::view::{JobView, RosterView};

/// Tells a consumer of a list what it has to do without.
const MISSING: HeaderName = HeaderName::from_static("x-rosterd-missing");
/// Tells it whose part is not of now.
const PRESENCE: HeaderName = HeaderName::from_static("x-rosterd-presence");
/// More than this many make no better answer, but a header that no client takes.
const NAMED: usize = 32;
/// What stands for itself neither between commas nor in a header.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%').add(b'"').add(b';');

/// A provider or a source of which nothing is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MissingSource {
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Whether its time of grace is over.
    overdue: bool,
    /// Why it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Report>,
}

/// How much of what is missing of a job is named in one sentence.
const SAID: usize = 3;

/// Says what is missing, and why where that is known.
impl std::fmt::Display for MissingSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = hold::told(&self.provider, self.source.as_deref(), self.error.as_ref());
        let code = self.error.as_ref().map(|error| format!(" ({})", error.code)).unwrap_or_default();
        write!(f, "{told}{code}")
    }
}

/// What is not so as long as something of a job is missing, and why, to stand behind "not": `all targets of web are known yet: http/1 has
/// not reported`.
pub(crate) fn unknown(job: &str, missing: &[MissingSource]) -> String {
    let all: Vec<_> = missing.iter().map(MissingSource::to_string).collect();
    let more = all.len().saturating_sub(SAID);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("all targets of {job} are known yet: {}{more}", all[..all.len().min(SAID)].join("; "))
}

/// What the manager knows of failing providers.
pub(super) struct Causes(BTreeMap<ProviderKey, Report>);

impl Causes {
    /// As they are now.
    pub(super) fn of(state: &State) -> Self {
        let failing = state.providers.list().into_iter();
        Self(failing.filter_map(|provider| Some((provider.key, provider.status.last_error?.report))).collect())
    }

    /// Why a provider has not reported.
    pub(super) fn get(&self, provider: &ProviderKey) -> Option<Report> {
        self.0.get(provider).cloned()
    }

    /// With the cause of each.
    pub(super) fn explain<'a>(&self, missing: impl IntoIterator<Item = &'a Missing>) -> Vec<MissingSource> {
        let explained = missing.into_iter().map(|missing| MissingSource {
            provider: missing.provider.to_string(),
            source: missing.source.as_deref().map(str::to_owned),
            overdue: missing.overdue,
            error: missing.report.clone().or_else(|| self.get(&missing.provider)),
        });
        explained.collect()
    }
}

/// The header that names what is missing, if anything is.
pub(super) fn header(jobs: &[Arc<JobView>]) -> HeaderMap {
    let missing = jobs.iter().flat_map(|job| job.missing());
    listed(
        MISSING,
        missing.map(|missing| match &missing.source {
            None => encoded(missing.provider.as_str()),
            Some(source) => format!("{} {}", encoded(missing.provider.as_str()), encoded(source)),
        }),
    )
}

/// The header that names the providers of these jobs that are not synced, with what they are.
pub(super) fn presence(state: &State, view: &RosterView, jobs: &[Arc<JobView>]) -> HeaderMap {
    let asked: BTreeSet<_> = jobs.iter().flat_map(|job| job.providers()).map(|provider| &provider.key).collect();
    let running = state.providers.list().into_iter().filter(|provider| asked.contains(&provider.key));
    let presences = running.map(|provider| {
        let seen = view.provider(&provider.key, &provider.jobs);
        (provider.key, Presence::of_provider(provider.status.presence, seen))
    });
    let other: BTreeMap<_, _> = presences.filter(|(_, presence)| *presence != Presence::Synced).collect();
    listed(PRESENCE, other.iter().map(|(key, presence)| format!("{}={}", encoded(key.as_str()), presence.as_str())))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A header with the first of these, if there are any.
fn listed(header: HeaderName, mut names: impl Iterator<Item = String>) -> HeaderMap {
    let mut first: Vec<_> = names.by_ref().take(NAMED).collect();
    if names.next().is_some() {
        first.push("...".to_owned());
    }
    let value = HeaderValue::try_from(first.join(", ")).ok().filter(|value| !value.is_empty());
    value.map(|value| (header, value)).into_iter().collect()
}
