//! What is wrong now, each in a sentence, the gravest first: the head of every page counts it, the overview tells it. Pure.

use std::collections::HashSet;
use std::time::SystemTime;

use rosterd_discovery::{ProviderKey, ProviderStatus};
use rosterd_model::{Coded, Report};

use super::super::words::{Moment, bytes, coarse, counted, grouped, quoted};
use super::failures::most_frequent;
use super::link::link;
use super::situation::Situation;
use crate::roster::brake::Confirm;
use crate::roster::confirmation::{Confirmation, Readings, keeping};
use crate::roster::emptied::{ConfirmedBy, Emptied};
use crate::roster::holding;
use crate::roster::presence::Presence;
use crate::roster::view::JobView;
use crate::scrape::{RemoteWriteState, RemoteWriteStatus};

/// Something that is not as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Whether something is lost or stands still, and not only about to.
    pub(super) grave: bool,
    /// A sentence.
    pub(super) what: String,
    /// Why, and what to do.
    pub(super) why: String,
    pub(super) code: String,
    pub(super) since: Option<Moment>,
    /// One by one.
    pub(super) list: Vec<String>,
    /// Where more of it is: a path below the prefix, empty where there is no more.
    pub(super) path: String,
    /// Where one lets go of what is held; empty where nobody may.
    pub(super) release: String,
    /// What of the configuration keeps what is held; empty where it is kept anyway.
    pub(super) keep: String,
}

/// All of it.
pub(super) fn troubles(situation: &Situation) -> Vec<Trouble> {
    let mut all = Vec::new();
    all.extend(of_reload(situation));
    all.extend(of_storage(situation));
    all.extend(situation.endpoints.iter().filter_map(|endpoint| of_endpoint(endpoint, situation)));
    let mut told = HashSet::new();
    for provider in &situation.providers {
        if let Some(trouble) = of_provider(provider, situation) {
            told.insert(&provider.key);
            all.push(trouble);
        }
    }
    all.extend(of_jobs(situation, &told));
    all.extend(of_publications(situation));
    all.sort_by_key(|trouble| !trouble.grave);
    all
}

fn reported(report: &Report) -> Trouble {
    Trouble { why: report.to_string(), code: report.code.clone(), ..Trouble::default() }
}

fn of_reload(situation: &Situation) -> Option<Trouble> {
    let refused = situation.config.refused.as_ref()?;
    let loaded = Moment::of(situation.config.loaded, situation.now).words;
    let list: Vec<_> = refused.problems.iter().map(ToString::to_string).collect();
    let message = if list.is_empty() { refused.report.to_string() } else { refused.report.message.clone() };
    let why = format!("{message}. The one loaded {loaded} stays in use: mend the files and reload.");
    let what = "The configuration could not be reloaded.".to_owned();
    Some(Trouble { grave: true, what, list, why, path: "/config".to_owned(), ..reported(&refused.report) })
}

/// Files of the store, and queues that are to be on disk.
fn of_storage(situation: &Situation) -> Vec<Trouble> {
    let since = |time| Some(Moment::of(time, situation.now));
    let files = situation.storage.iter().map(|failure| Trouble {
        what: format!("{} cannot be used: what it should keep is lost with the process.", failure.file),
        since: since(failure.since),
        ..reported(&failure.report)
    });
    let queues = situation.endpoints.iter().filter_map(|endpoint| {
        let failure = endpoint.disk_failure.as_ref()?;
        let what = format!("The queue of {} cannot be kept on disk: it is in memory.", quoted(&endpoint.name));
        Some(Trouble { what, since: since(failure.since), ..reported(&failure.report) })
    });
    files.chain(queues).map(|trouble| Trouble { grave: true, ..trouble }).collect()
}

fn of_endpoint(endpoint: &RemoteWriteStatus, situation: &Situation) -> Option<Trouble> {
    let name = quoted(&endpoint.name);
    let waited = endpoint.oldest_pending.and_then(|oldest| situation.now.duration_since(oldest).ok());
    let samples = |number: u64| counted(usize::try_from(number).unwrap_or(usize::MAX), "sample");
    let waiting = format!(
        "{} {}, {} of that on disk.",
        samples(endpoint.pending_samples),
        if endpoint.pending_samples == 1 { "waits" } else { "wait" },
        bytes(endpoint.bytes_on_disk)
    );
    let state = endpoint.state(situation.now);
    let what = match state {
        RemoteWriteState::Sending => return None,
        RemoteWriteState::Rejecting => {
            format!(
                "Remote write {name} refuses what it is sent: {} {} lost.",
                samples(endpoint.samples_failed),
                if endpoint.samples_failed == 1 { "is" } else { "are" }
            )
        }
        RemoteWriteState::Down => format!("Remote write {name} does not work. {waiting}"),
        RemoteWriteState::Behind => {
            format!("Remote write {name} is behind by {}. {waiting}", coarse(waited.unwrap_or_default()))
        }
    };
    let why = endpoint.last_error.as_ref().map(reported).unwrap_or_default();
    Some(Trouble { grave: state != RemoteWriteState::Behind, what, path: "/remote-write".to_owned(), ..why })
}

fn of_provider(provider: &ProviderStatus, situation: &Situation) -> Option<Trouble> {
    let ProviderStatus { key, jobs, status, .. } = provider;
    let presence = Presence::of_provider(status.presence, situation.view.provider(key, jobs));
    let failure = status.worst();
    let of = match &jobs[..] {
        [] => String::new(),
        [job] => format!(" of {}", quoted(job)),
        [job, rest @ ..] => format!(" of {} and {}", quoted(job), counted(rest.len(), "other job")),
    };
    let sources = status.unread.len();
    if let (None, Some(warning)) = (&failure, &status.warning) {
        let what = format!("{key}{of} may not say what it should.");
        let since = Some(Moment::of(warning.since, situation.now));
        return Some(Trouble { what, since, path: "/service-discovery".to_owned(), ..reported(&warning.report) });
    }
    let what = match (presence, &failure) {
        (Presence::Unsynced, Some(_)) => format!("{key}{of} could not be read yet: its targets are not known."),
        (Presence::Unsynced, None) => format!("{key}{of} has not reported yet."),
        (_, Some(_)) if sources > 0 => {
            format!("{} of {key}{of} cannot be read: targets stay as they were.", counted(sources, "source"))
        }
        (_, Some(_)) => format!("{key}{of} cannot be read: its targets stay as they were."),
        (_, None) => return None,
    };
    let why = failure.as_ref().map(|failure| reported(&failure.report)).unwrap_or_default();
    Some(Trouble {
        grave: presence == Presence::Unsynced && failure.is_some(),
        what,
        since: failure.map(|failure| Moment::of(failure.since, situation.now)),
        path: "/service-discovery".to_owned(),
        ..why
    })
}

/// What the providers that were told of do not explain.
fn of_jobs(situation: &Situation, told: &HashSet<&ProviderKey>) -> Vec<Trouble> {
    let is_explained = |job: &JobView| job.providers().iter().any(|provider| told.contains(&provider.key));
    let (mut all, readings) = (Vec::new(), Readings::of(&situation.providers));
    for (job, tally) in &situation.jobs {
        let name = quoted(&job.spec().name);
        let path = |health: &str| super::targets::path(&job.spec().name, health);
        if let Err(error) = job.within_limit() {
            let what = format!("{name} has more targets than it may: none of them is handed out.");
            let (why, code) = (error.to_string(), error.code().to_owned());
            all.push(Trouble { grave: true, what, why, code, path: path(""), ..Trouble::default() });
        }
        if tally.down > 0 && tally.down == job.counts().targets {
            let what = match tally.down {
                1 => format!("The only target of {name} is down."),
                many => format!("All {} targets of {name} are down.", grouped(many as u64)),
            };
            let why = most_frequent(job, &situation.scrapes).map(|(count, code, words)| {
                let often = if count == tally.down { String::new() } else { format!("Most often, {}: ", times(count)) };
                Trouble { why: format!("{often}{words}"), code, ..Trouble::default() }
            });
            all.push(Trouble { grave: true, what, path: path("down"), ..why.unwrap_or_default() });
        }
        if let Some(emptied) = situation.view.emptied(&job.spec().name) {
            all.push(of_emptied(&job.spec().name, emptied, situation));
        }
        if let Some(since) = job.braked() {
            all.push(Trouble { path: path("held"), ..of_brake(job, since, &readings, situation) });
        }
        let held = |held: usize| {
            let what = format!("{} of {} of {name}", grouped(held as u64), counted(job.counts().targets, "target"));
            (held > 0).then(|| format!("{what} {} held", if held == 1 { "is" } else { "are" }))
        };
        all.extend(held(holding::in_grace(job)).map(|held| {
            let what = format!("{held}: {}.", gone(holding::in_grace(job)));
            let why = "What comes back within its time of grace stays, and the rest goes after it.".to_owned();
            Trouble { what, why, path: path("held"), ..Trouble::default() }
        }));
        let unsaid = holding::unsaid(job);
        all.extend(held(unsaid).filter(|_| !is_explained(job)).map(|held| {
            let why = match unsaid {
                1 => "Its sources do not say that it should be there, but nobody says that it is gone.",
                _ => "Their sources do not say that they should be there, but nobody says that they are gone.",
            };
            let why = why.to_owned();
            Trouble { what: format!("{held}."), why, path: path("held"), ..Trouble::default() }
        }));
    }
    all
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{} times", grouped(count as u64)) }
}

/// That nothing is left of a job since its brake let go.
fn of_emptied(name: &str, Emptied { targets, since, by }: Emptied, situation: &Situation) -> Trouble {
    let name_quoted = quoted(name);
    let what = match targets {
        1 => format!("The only target of {name_quoted} is gone"),
        many => format!("All {} targets of {name_quoted} are gone", grouped(many as u64)),
    };
    let by = match by {
        ConfirmedBy::Reading => "another reading confirmed it",
        ConfirmedBy::Time => "their sources did not take them back in time",
    };
    Trouble {
        grave: true,
        what: format!("{what}: {by}."),
        why: "Nothing of it is scraped, and consumers of its lists have none, until its sources have targets again."
            .to_owned(),
        since: Some(Moment::of(since, situation.now)),
        path: link("/journal", [("job", name), ("kind", "brake")]),
        ..Trouble::default()
    }
}

/// What the sources of so many targets say.
fn gone(targets: usize) -> &'static str {
    if targets == 1 { "its sources say that it is gone" } else { "their sources say that they are gone" }
}

/// That targets of a job are braked.
fn of_brake(job: &JobView, since: SystemTime, readings: &Readings<'_>, situation: &Situation) -> Trouble {
    let (name, braked) = (&job.spec().name, holding::braked(job));
    let (held, targets) = (grouped(braked as u64), counted(job.counts().targets, "target"));
    let are = if braked == 1 { "is" } else { "are" };
    let confirmation = Confirmation::of(job, readings, situation.now);
    let is_kept = confirmation.as_ref().is_none_or(|it| it.confirm == Confirm::Never.to_string());
    let until = confirmation.map(|confirmation| {
        let sooner = if is_kept { "" } else { ", or until you let go" };
        format!("Held {}{sooner}.", confirmation.told(|time| Moment::due(time, situation.now).words))
    });
    Trouble {
        what: format!("{held} of {targets} of {} {are} braked: {}.", quoted(name), gone(braked)),
        why: until.unwrap_or_default(),
        since: Some(Moment::of(since, situation.now)),
        release: super::brake::path(name),
        keep: if is_kept { String::new() } else { keeping(name) },
        ..Trouble::default()
    }
}

fn of_publications(situation: &Situation) -> impl Iterator<Item = Trouble> {
    situation.publications.iter().filter_map(|publication| {
        let worker = &publication.worker;
        let error = worker.last_error.as_ref().or_else(|| situation.failed.get(&*worker.id.to_string()))?;
        let what = format!("{} could not be published.", publication.worker.id);
        Some(Trouble { grave: true, what, path: "/publications".to_owned(), ..reported(error) })
    })
}
