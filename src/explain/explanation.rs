//! The whole story of what was searched for, as the API tells it and the command line and the pages show it.

use rosterd_model::labels::ADDRESS;
use rosterd_model::{Labels, Report};
use serde::{Deserialize, Serialize};

use super::matches::Became;
use super::search::Search;
use super::similar::SimilarAddress;
use super::time::Time;
use super::trace::{End, Trace};
use crate::journal::{self, Event};
use crate::roster::confirmation::Until;
use crate::roster::hold::HoldReason;
use crate::roster::presence::Presence;

/// What is known of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was searched for.
    pub query: String,
    /// What fits best: targets, then what cannot be one, then what was dropped.
    pub found: Vec<Found>,
    /// How many entries fit as well and are not told.
    pub more: usize,
    /// How many entries hold what was searched for only as part of something longer, and are not told as others fit better.
    pub parts: usize,
    /// How many entries there are, whatever became of them.
    pub entries: usize,
    /// How many of these were looked at in full within the time. Of the others at most the final labels were.
    pub looked: usize,
    /// Whether the time was over before all targets were looked at: then others may fit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// Where no target was found: addresses like the one that was searched for.
    pub similar: Vec<SimilarAddress>,
    /// Where nothing fits a selector: which of its labels are not there or never have that value, and what may be meant.
    pub hints: Vec<String>,
    /// Where no target was found: what is not known, or not known as of now, so that the target may be there.
    pub unsure: Vec<Unsure>,
    /// How many more such providers and sources there are.
    pub more_unsure: usize,
    /// Why nothing is scraped, if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// What happened last to the targets that were found or, where none was, to what was searched for; the newest first. None
    /// where nobody asked the journal, or it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Vec<Event>>,
    /// How far back the journal was looked through for that, where the time was over before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past_reached: Option<journal::Time>,
}

/// An entry of a target group in a job, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The job.
    pub job: String,
    /// What became of it.
    pub became: Became,
    /// Where it was discovered.
    pub origin: Origin,
    /// What each rule made of it.
    pub trace: Trace,
    /// What there is only of a target.
    #[serde(flatten)]
    pub target: Option<Target>,
}

/// Where an entry was discovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The provider.
    pub provider: String,
    /// The source within it.
    pub source: String,
    /// Which of the source's groups; empty where it has one.
    pub group: String,
    /// How much is known of the provider. None when it was replaced and runs no more.
    pub presence: Option<Presence>,
    /// When all of it was last read.
    pub last_success: Option<Time>,
    /// Why the source, or the provider as a whole, could not be read lately.
    pub failing: Option<Failing>,
    /// What a person should know of the provider although nothing fails.
    #[serde(default)]
    pub warning: Option<Failing>,
}

/// What does not work, or works and should be known all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Time,
    /// What is wrong.
    #[serde(flatten)]
    pub report: Report,
}

/// What is told of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The URL that it is scraped by.
    pub url: String,
    /// From how many entries it comes.
    pub origins: u32,
    /// Some of the other entries that it comes from. They are merged: none of them counts more than another.
    pub merged: Vec<Merged>,
    /// Other targets with the same URL.
    pub same_url: Vec<SameUrl>,
    /// Limits of the job that make the target unusable.
    pub limits: Vec<String>,
    /// Why it is there although its source does not say so now.
    pub held: Option<Held>,
    /// How its scrapes go; none if nobody scrapes it, or another member does.
    pub scrape: Option<Scrape>,
    /// The member of the cluster that scrapes it, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Where it is published.
    pub published: Vec<Published>,
}

/// Another entry that came out as the same target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The provider.
    pub provider: String,
    /// The source.
    pub source: String,
}

/// Another target that is scraped by the same URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SameUrl {
    /// Its job.
    pub job: String,
    /// The labels that its series get.
    pub labels: Labels,
    /// Whether these are those of the target: then the samples of the two collide.
    pub collides: bool,
}

/// That a target is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Why.
    pub reason: HoldReason,
    /// Since when.
    pub since: Time,
    /// Until when at most, where time alone ends it.
    pub until: Option<Time>,
    /// Of one that is braked: what confirms that it is gone, `reading`, `never` or a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Whether that is not the next reading, but that a watched source does not take it back for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
    /// And when that may be, at the earliest, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Time>,
    /// Until when it stays in its time of grace after that, at most.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "graceUntil")]
    pub grace_until: Option<Time>,
}

impl Unsure {
    /// How it is, to stand behind what it is: of what was read and is warned of there is nothing more to say than that.
    pub fn how(&self) -> String {
        match self.presence {
            Presence::Synced if self.failing.is_none() && self.warning.is_some() => {
                "may not say what it should".to_owned()
            }
            presence => format!("is {}", presence.as_str()),
        }
    }
}

impl Explanation {
    /// Whether one target was asked for by its address, and found: what was not looked at does not matter then.
    pub fn is_settled(&self) -> bool {
        let search = Search::parse(&self.query).ok();
        let asked = search.as_ref().and_then(Search::address).unwrap_or_default();
        let is_it = |found: &Found| match &found.trace.end {
            End::Kept { labels } => labels.get(ADDRESS).is_some_and(|own| own.eq_ignore_ascii_case(asked)),
            End::Dropped | End::Impossible { .. } => false,
        };
        self.found.iter().any(is_it)
    }
}

impl Held {
    /// Why and until when, where `past` and `due` tell a time that was, and one that is to come:
    /// `braked, since 3s ago, until another reading confirms it, expected in 12s`.
    pub fn told(&self, past: impl Fn(Time) -> String, due: impl Fn(Time) -> String) -> String {
        let until = match (&self.confirm, self.until) {
            (Some(confirm), _) => {
                let [expected, grace] = [self.expected, self.grace_until].map(|time| time.map(&due));
                let (watched, expected, grace) = (self.watched, expected.as_deref(), grace.as_deref());
                format!(", {}", Until { confirm, watched, expected, grace })
            }
            (None, Some(until)) => format!(", and goes {}", due(until)),
            (None, None) => String::new(),
        };
        format!("{}, since {}{until}", self.reason.as_str(), past(self.since))
    }
}

/// How the scrapes of a target go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrape {
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// The interval, as configured or relabelled.
    pub interval: String,
    /// The timeout, as configured or relabelled.
    pub timeout: String,
    /// When the last one began.
    pub last_scrape: Option<Time>,
    /// How long it took, in seconds.
    pub duration: f64,
    /// How many samples the last good one had.
    pub samples: usize,
    /// How large the body of the last one was, once unpacked.
    pub bytes: u64,
    /// How many there were since the target came, or rosterd started.
    pub scrapes: u32,
    /// How many of these failed.
    pub failures: u32,
    /// Whether each of the last ones went well, the last one first; at most 32.
    pub outcomes: Vec<bool>,
    /// Why the last one failed.
    pub error: Option<Report>,
    /// The last one that failed, also when others went well since.
    pub last_failure: Option<LastFailure>,
    /// Until when the target is left alone, as it asked to be.
    pub snoozed_until: Option<Time>,
}

/// A scrape that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When it began.
    pub at: Time,
    /// Why.
    #[serde(flatten)]
    pub report: Report,
}

/// Where a target is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// `http_sd` or `file_sd`.
    pub kind: String,
    /// The path of the list, or of the file.
    pub place: String,
    /// Of a file: what its worker is doing.
    pub state: Option<String>,
    /// When somebody last got the list, or when this process last wrote the file.
    pub last: Option<Time>,
    /// Why the list is not handed out, or the file not written.
    pub withheld: Option<Report>,
}

impl Published {
    /// When somebody last got it, or when it was written, where `ago` says how long ago a time is.
    pub fn when(&self, ago: impl Fn(Time) -> String) -> String {
        let is_list = self.kind == "http_sd";
        match self.last {
            Some(last) => format!("last {} {}", if is_list { "served" } else { "written" }, ago(last)),
            None if is_list => "not served yet".to_owned(),
            // Nobody knows when it was, and there was nothing to do.
            None if self.state.as_deref() == Some(DONE) => UNTOUCHED.to_owned(),
            None => "not written yet".to_owned(),
        }
    }
}

/// The state of a file that is as it should be.
const DONE: &str = "done";

/// What is said of a file that was as it should be when rosterd started.
pub const UNTOUCHED: &str = "unchanged since before the start";

/// A provider or a source of which nothing is known, or nothing of now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsure {
    /// The provider.
    pub provider: String,
    /// The source; none where it is the whole provider.
    pub source: Option<String>,
    /// The jobs that use it.
    pub jobs: Vec<String>,
    /// How much is known of it.
    pub presence: Presence,
    /// What is wrong, if something is.
    pub failing: Option<Failing>,
    /// What a person should know although nothing fails.
    #[serde(default)]
    pub warning: Option<Failing>,
}
