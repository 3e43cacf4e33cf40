//! Puts together what is known elsewhere of what a search found: providers, scrapes, publications. Pure.

use std::sync::Arc;
use std::time::SystemTime;

use rosterd_discovery::{Failure, ProviderStatus, Status, Unread, Warning};
use rosterd_model::target::Target as FinalLabels;
use rosterd_model::{Builder, Coded, Labels, Names, Report};
use rosterd_scrape::{Statuses, TargetStatus};

use super::explanation::{
    Explanation, Failing, Found, Held, LastFailure, Merged, Origin, Published, SameUrl, Scrape, Target, Unsure,
};
use super::finder::{Finder, url};
use super::matches::{Became, Chosen, Place};
use super::similar::Similar;
use super::time::Time;
use super::trace::Trace;
use crate::publish::{Publication, ServedLists};
use crate::roster::confirmation::{Confirmation, Readings};
use crate::roster::hold::{Hold, HoldReason};
use crate::roster::presence::Presence;
use crate::roster::view::{JobView, RosterView};
use crate::scrape::ToScrape;

/// How much of what is not known is told.
const UNSURE: usize = 20;

/// What others know, at one moment.
#[derive(Debug)]
pub struct Known {
    /// The roster that was searched.
    pub view: Arc<RosterView>,
    /// Discovery.
    pub providers: Vec<ProviderStatus>,
    /// How the targets are.
    pub scrapes: Statuses,
    /// The files.
    pub publications: Vec<Publication>,
    /// The lists.
    pub served: ServedLists,
    /// Why nothing is scraped, if nothing is.
    pub idle: Option<&'static str>,
    /// What is scraped here, and by whom the rest is.
    pub scraped: Arc<ToScrape>,
    /// When that is.
    pub now: SystemTime,
}

impl Known {
    /// All that is told of what was found. Unpacks a block for each.
    pub fn explain(&self, mut finder: Finder) -> Explanation {
        let Chosen { places, more, parts } = std::mem::take(&mut finder.chosen);
        let found: Vec<_> = places.iter().filter_map(|place| self.found(&finder, *place)).collect();
        let has_target = found.iter().any(|found| found.became == Became::Target);
        let similar = finder.similar.take().filter(|_| found.is_empty());
        let hints = found.is_empty().then(|| std::mem::take(&mut finder.hints).into_sentences());
        let mut unsure = if has_target { Vec::new() } else { self.unsure(&finder) };
        let more_unsure = unsure.len().saturating_sub(UNSURE);
        unsure.truncate(UNSURE);
        Explanation {
            query: finder.search.to_string(),
            found,
            more,
            parts,
            entries: finder.entries,
            looked: finder.looked,
            is_cut: finder.is_cut,
            similar: similar.map(Similar::into_best).unwrap_or_default(),
            hints: hints.unwrap_or_default(),
            unsure,
            more_unsure,
            idle: self.idle.map(str::to_owned),
            past: None,
            past_reached: None,
        }
    }

    fn found(&self, finder: &Finder, place: Place) -> Option<Found> {
        let job = &finder.jobs[place.job];
        let block = job.block(place.block)?;
        let became = Became::of(block.entries().get(place.entry)?);
        let mut labels = Builder::new();
        let (source, group) = block.load(place.entry, &mut labels)?;
        Some(Found {
            job: job.spec().name.to_string(),
            became,
            origin: self.origin(block.provider().as_str(), source, group),
            trace: Trace::of_job(job.spec(), &labels.build(&mut Names::new())),
            target: finder.target(place).map(|labels| self.target(finder, place, labels)),
        })
    }

    fn origin(&self, provider: &str, source: String, group: String) -> Origin {
        let known = self.providers.iter().find(|known| known.key.as_str() == provider);
        let failing = known.and_then(|known| {
            let unread = known.status.unread.get(&*source).map(Failing::unread);
            unread.or_else(|| known.status.last_error.clone().map(Failing::of))
        });
        Origin {
            provider: provider.to_owned(),
            source,
            group,
            presence: known.map(|known| self.presence(known)),
            last_success: known.and_then(|known| known.status.last_success).map(Time),
            failing,
            warning: known.and_then(|known| known.status.warning.clone()).map(Failing::warned),
        }
    }

    fn presence(&self, provider: &ProviderStatus) -> Presence {
        let view = self.view.provider(&provider.key, &provider.jobs);
        Presence::of_provider(provider.status.presence, view)
    }

    fn held(&self, job: &JobView, Hold { reason, since, until }: Hold) -> Held {
        let confirmation = || Confirmation::of(job, &Readings::of(&self.providers), self.now);
        let braked = (reason == HoldReason::Braked).then(confirmation).flatten();
        Held {
            reason,
            since: Time(since),
            until: until.map(Time),
            watched: braked.as_ref().is_some_and(|it| it.watched),
            expected: braked.as_ref().and_then(|it| it.expected).map(Time),
            grace_until: braked.as_ref().and_then(|it| it.grace).map(Time),
            confirm: braked.map(|it| it.confirm),
        }
    }

    fn target(&self, finder: &Finder, place: Place, labels: &Labels) -> Target {
        let job = &finder.jobs[place.job];
        let held = job.block(place.block).and_then(|block| job.hold(block, place.entry));
        let relatives = finder.relatives.get(&place);
        let merged = relatives.into_iter().flat_map(|relatives| &relatives.origins);
        let same_url = relatives.into_iter().flat_map(|relatives| &relatives.others);
        let limit = job.within_limit().err().map(|error| error.to_string());
        Target {
            url: url(labels, job),
            origins: job.slot(labels).map_or(1, |slot| slot.origins),
            merged: merged.filter_map(|place| merged_from(job, *place)).collect(),
            same_url: same_url.filter_map(|place| same(finder, *place, labels)).collect(),
            limits: limit.into_iter().chain(job.spec().limits.exceeded_by(FinalLabels(labels))).collect(),
            held: held.map(|hold| self.held(job, hold)),
            scrape: self.scrapes.get(&job.spec().name, labels).map(|status| Scrape::of(status, labels)),
            member: self.scraped.other(&job.spec().name, labels).map(|member| member.to_string()),
            published: self.published(job),
        }
    }

    fn published(&self, job: &JobView) -> Vec<Published> {
        let name = &job.spec().name;
        let withheld = job.servable().err().map(|error| Report::of(&error as &(dyn Coded + 'static)));
        let list = Published {
            kind: "http_sd".to_owned(),
            place: format!("/sd/{name}"),
            state: None,
            last: self.served.last(name).map(Time),
            withheld: withheld.clone(),
        };
        let files = self.publications.iter().filter_map(|publication| {
            let output = publication.worker.spec.as_ref().filter(|output| output.jobs().contains(name))?;
            Some(Published {
                kind: publication.worker.kind.clone(),
                place: output.path().display().to_string(),
                state: Some(publication.worker.state.as_str().to_owned()),
                last: publication.last_written.map(Time),
                withheld: publication.worker.last_error.clone().or_else(|| withheld.clone()),
            })
        });
        std::iter::once(list).chain(files).collect()
    }

    /// What is not known, or not as of now, of the jobs that were searched.
    fn unsure(&self, finder: &Finder) -> Vec<Unsure> {
        let mut unsure = Vec::new();
        for provider in &self.providers {
            let jobs: Vec<_> =
                provider.jobs.iter().filter(|job| finder.searches(job)).map(|job| job.to_string()).collect();
            if jobs.is_empty() {
                continue;
            }
            let presence = self.presence(provider);
            let Status { last_error, unread, warning, .. } = &provider.status;
            let warning = warning.clone().map(Failing::warned);
            let one = |source: Option<String>, failing| Unsure {
                provider: provider.key.to_string(),
                warning: warning.clone().filter(|_| source.is_none()),
                source,
                jobs: jobs.clone(),
                presence,
                failing,
            };
            let sources = unread.iter().map(|(source, it)| one(Some(source.to_string()), Some(Failing::unread(it))));
            unsure.extend(sources);
            if last_error.is_some() || warning.is_some() || (presence != Presence::Synced && unread.is_empty()) {
                unsure.push(one(None, last_error.clone().map(Failing::of)));
            }
        }
        unsure
    }
}

fn merged_from(job: &JobView, place: Place) -> Option<Merged> {
    let block = job.block(place.block)?;
    let (source, _) = block.load(place.entry, &mut Builder::new())?;
    Some(Merged { provider: block.provider().to_string(), source })
}

fn same(finder: &Finder, place: Place, labels: &Labels) -> Option<SameUrl> {
    let public = |labels: &Labels| FinalLabels(labels).public().collect::<Labels>();
    let other = public(finder.target(place)?);
    let collides = other == public(labels);
    Some(SameUrl { job: finder.jobs[place.job].spec().name.to_string(), labels: other, collides })
}

impl Failing {
    fn of(Failure { report, since, .. }: Failure) -> Self {
        Self { since: Time(since), report }
    }

    fn warned(Warning { report, since }: Warning) -> Self {
        Self { since: Time(since), report }
    }

    fn unread(unread: &Unread) -> Self {
        Self { since: Time(unread.since), report: unread.report.clone() }
    }
}

impl Scrape {
    fn of(status: TargetStatus, labels: &Labels) -> Self {
        let target = FinalLabels(labels);
        Self {
            health: status.health.as_str().to_owned(),
            interval: target.interval().to_owned(),
            timeout: target.timeout().to_owned(),
            last_scrape: status.last_scrape.map(Time),
            duration: status.duration.as_secs_f64(),
            samples: status.samples,
            bytes: u64::from(status.bytes),
            scrapes: status.outcomes.scrapes(),
            failures: status.outcomes.failures(),
            outcomes: status.outcomes.last().collect(),
            last_failure: status
                .last_failure
                .as_deref()
                .map(|(at, report)| LastFailure { at: Time(*at), report: Report::clone(report) }),
            error: status.error.map(|report| Report::clone(&report)),
            snoozed_until: status.snoozed_until.map(Time),
        }
    }
}
