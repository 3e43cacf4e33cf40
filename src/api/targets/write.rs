//! One target as JSON. The members are those of Prometheus, and a few of our own for a target that is down.

use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Labels, Priority};
use rosterd_scrape::{Health, TargetStatus};

use crate::api::status::rfc3339;
use crate::api::url::{Outside, global_url};
use crate::publish::encode::{object, string};
use crate::roster::hold::Hold;
use crate::roster::view::JobView;

/// What is told of a target besides its discovered labels.
pub(super) struct Active<'a> {
    pub(super) job: &'a JobView,
    pub(super) labels: &'a Labels,
    pub(super) status: &'a TargetStatus,
    /// The member that scrapes it, if that is another one.
    pub(super) member: Option<&'a Arc<str>>,
    /// Why it is there although its source does not say so now.
    pub(super) held: Option<Hold>,
    pub(super) outside: &'a Outside,
    pub(super) now: SystemTime,
}

impl Active<'_> {
    /// Appends the members after the first one.
    pub(super) fn write(&self, url: &mut String, out: &mut Vec<u8>) {
        let target = Target(self.labels);
        let params = &self.job.spec().params;
        out.extend_from_slice(b",\"labels\":");
        object(target.public(), out);
        member("scrapePool", &self.job.spec().name, out);
        url.clear();
        scrape_url(target, params, url);
        member("scrapeUrl", url, out);
        url.clear();
        let unsplit = global_url(target, params, self.outside, url).err();
        member("globalUrl", url, out);
        let error = last_error(self.job, target, self.status);
        match unsplit {
            None => member("lastError", &error, out),
            Some(unsplit) => member("lastError", &format!("{error}: {unsplit}"), out),
        }
        match self.status.last_scrape {
            Some(time) => member("lastScrape", &rfc3339(time), out),
            // The zero time of Go.
            None => member("lastScrape", "0001-01-01T00:00:00Z", out),
        }
        out.extend_from_slice(format!(",\"lastScrapeDuration\":{}", self.status.duration.as_secs_f64()).as_bytes());
        member("health", self.status.health.as_str(), out);
        member("scrapeInterval", target.interval(), out);
        member("scrapeTimeout", target.timeout(), out);
        if let Some(name) = self.member {
            member("member", name, out);
        }
        if let Some(hold) = self.held {
            out.extend_from_slice(b",\"held\":{\"reason\":");
            string(hold.reason.as_str(), out);
            member("since", &rfc3339(hold.since), out);
            if let Some(until) = hold.until {
                member("until", &rfc3339(until), out);
            }
            out.push(b'}');
        }
        if self.status.health == Health::Down {
            self.write_down(out);
        }
    }

    /// What Prometheus does not tell.
    fn write_down(&self, out: &mut Vec<u8>) {
        if let Some(report) = &self.status.error {
            member("lastErrorCode", &report.code, out);
            let kind = if report.priority == Priority::Operator { "misconfigured" } else { "down" };
            member("lastErrorKind", kind, out);
        }
        if let Some(until) = self.status.snoozed_until.filter(|until| *until > self.now) {
            member("snoozedUntil", &rfc3339(until), out);
        }
    }
}

/// Why a target is not scraped well; empty, if it is or nothing is known. Before the first scrape it is what can be told in
/// advance: limits.
pub(in crate::api) fn last_error(job: &JobView, target: Target<'_>, status: &TargetStatus) -> String {
    match (&status.error, status.health) {
        (Some(report), _) => report.to_string(),
        (None, Health::Unknown) => {
            let (limits, targets) = (&job.spec().limits, job.counts().targets);
            let exceeded = match limits.targets > 0 && targets > limits.targets {
                true => {
                    let (limit, what_to_do) = (limits.targets, "raise it, or drop some by relabel_configs");
                    Some(format!("target_limit exceeded (number of targets: {targets}, limit: {limit}): {what_to_do}"))
                }
                false => limits.exceeded_by(target),
            };
            exceeded.unwrap_or_default()
        }
        (None, Health::Up | Health::Down) => String::new(),
    }
}

/// Appends a member after another one.
fn member(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    string(value, out);
}
