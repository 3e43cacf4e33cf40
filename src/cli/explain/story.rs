//! An explanation for people.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use rosterd_model::Report;

use crate::api::words::{Moment, counted, fine, grouped, source_of};
use crate::cli::colour::Colour;
use crate::cli::{journal, trace};
use crate::explain::{Became, Explanation, Failing, Found, Gone, Origin, Published, Scrape, Target, Time, Unsure};

/// All of it.
pub(super) fn text(explanation: &Explanation, now: SystemTime, colour: Colour) -> String {
    let mut story = Story { text: String::new(), now, colour };
    let has_target = explanation.found.iter().any(|found| found.became == Became::Target);
    for found in &explanation.found {
        story.found(found, found.became == Became::Dropped && has_target, explanation.idle.as_deref());
    }
    story.rest(explanation);
    story.text
}

struct Story {
    text: String,
    now: SystemTime,
    colour: Colour,
}

impl Story {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{}", line.trim_end()).expect("a string takes what is written");
    }

    /// What it is about, and what there is to say of that.
    fn says(&mut self, about: &str, what: &str) {
        self.line(&format!("  {about:<11}{what}"));
    }

    fn found(&mut self, found: &Found, briefly: bool, idle: Option<&str>) {
        let became = match found.became {
            Became::Target => self.colour.paint("32", "target"),
            Became::Impossible => self.colour.paint("31", "no target"),
            Became::Dropped => self.colour.paint("33", "dropped"),
        };
        let url = found.target.as_ref().map(|target| target.url.as_str()).unwrap_or_default();
        self.line(&format!("{became} of job {} {}", self.colour.paint("1", &found.job), self.colour.paint("1", url)));
        self.origin(&found.origin);
        if let Some(target) = &found.target {
            self.target(target, idle);
        }
        let dropped = found.trace.dropped_by().and_then(|number| Some((number, found.trace.steps.get(number - 1)?)));
        match dropped.filter(|_| briefly) {
            Some((number, step)) => {
                let saw = step.saw.as_deref().unwrap_or_default();
                self.says("rules", &format!("dropped by rule {number}, {}: {saw}", step.rule));
            }
            None => {
                self.says("rules", &found.trace.discovered.to_string());
                self.text.push_str(&trace::text(&found.trace, "             ", self.colour));
            }
        }
        self.line("");
    }

    fn origin(&mut self, Origin { provider, source, group, presence, last_success, failing, warning }: &Origin) {
        let group = if group.is_empty() { String::new() } else { format!(", group {group}") };
        let presence = presence.map_or("replaced: it runs no more", |presence| presence.as_str());
        let read = last_success.map(|time| format!(", read as a whole {}", self.ago(time))).unwrap_or_default();
        let source = match source_of(provider, source) {
            named if named == *source => format!("source {named}"),
            entry => entry,
        };
        self.says("found by", &format!("{provider}, {source}{group}"));
        self.says("", &format!("{presence}{read}"));
        if let Some(failing) = failing {
            let failing = self.failing(failing);
            self.says("", &failing);
        }
        if let Some(warning) = warning {
            let warning = self.warning(warning);
            self.says("", &warning);
        }
    }

    fn target(&mut self, target: &Target, idle: Option<&str>) {
        if target.origins > 1 {
            let others: Vec<_> = target
                .merged
                .iter()
                .map(|it| format!("{} of {}", source_of(&it.provider, &it.source), it.provider))
                .collect();
            self.says("merged", &format!("of {} entries, with {}", target.origins, others.join(", ")));
        }
        for other in &target.same_url {
            let collides = if other.collides { ": same labels, so their samples collide" } else { "" };
            self.says("same URL", &format!("in job {}: {}{collides}", other.job, other.labels));
        }
        for limit in &target.limits {
            let limit = self.colour.paint("31", limit);
            self.says("limit", &limit);
        }
        if let Some(held) = &target.held {
            let told = held.told(|time| self.ago(time), |time| self.due(time));
            self.says("held", &told);
            if held.confirm.is_some() {
                self.says("", "rosterd brake list tells how to keep it, or let it go");
            }
        }
        match (&target.scrape, &target.member) {
            (Some(scrape), _) => self.scrape(scrape),
            (None, Some(member)) => self.says("scraped", &format!("by the member {member}")),
            (None, None) => {
                self.says("scraped", &format!("by nobody{}", idle.map(|why| format!(": {why}")).unwrap_or_default()))
            }
        }
        for (index, published) in target.published.iter().enumerate() {
            let line = self.published(published);
            self.says(if index == 0 { "published" } else { "" }, &line);
        }
    }

    fn scrape(&mut self, scrape: &Scrape) {
        let health = self.colour.paint(if scrape.health == "down" { "31" } else { "32" }, &scrape.health);
        let last = match scrape.last_scrape {
            None => ", not scraped yet".to_owned(),
            Some(time) => {
                let took = fine(Duration::try_from_secs_f64(scrape.duration).unwrap_or_default());
                format!(", last {} in {took}, {}", self.ago(time), counted(scrape.samples, "sample"))
            }
        };
        self.says("scraped", &format!("{health}{last}, every {} within {}", scrape.interval, scrape.timeout));
        if let Some(error) = &scrape.error {
            let error = self.colour.paint("31", &coded(error));
            self.says("", &error);
        }
        if scrape.failures > 0 {
            // The time goes from left to right.
            let outcomes: String = scrape.outcomes.iter().rev().map(|well| if *well { '+' } else { '-' }).collect();
            let (failures, scrapes) = (grouped(scrape.failures.into()), grouped(scrape.scrapes.into()));
            self.says("", &format!("{failures} of {scrapes} failed, the last ones {outcomes}"));
        }
        if let Some(last) = scrape.last_failure.as_ref().filter(|_| scrape.error.is_none()) {
            self.says("", &format!("failed {}: {}", self.ago(last.at), coded(&last.report)));
        }
        if let Some(until) = scrape.snoozed_until.filter(|until| until.0 > self.now) {
            self.says("", &format!("scraped again {}, as it asks for", self.due(until)));
        }
    }

    fn published(&self, published: &Published) -> String {
        let Published { kind, place, state, withheld, .. } = published;
        let last = published.when(|time| self.ago(time));
        let state = state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
        let withheld = withheld.as_ref().map(|report| format!(", withheld: {}", coded(report))).unwrap_or_default();
        format!("{kind} {place}{state}, {last}{withheld}")
    }

    /// What is not told above, and what may be meant instead.
    fn rest(&mut self, explanation: &Explanation) {
        let Explanation {
            query,
            found,
            more,
            parts,
            entries,
            looked,
            similar,
            hints,
            unsure,
            more_unsure,
            past,
            past_reached,
            ..
        } = explanation;
        match explanation.gone() {
            Some(Gone { since, job, why }) => {
                let job = job.map(|job| format!(" of job {job}")).unwrap_or_default();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                self.line(&format!("{query}{job} is gone since {since}{why}"));
            }
            None if found.is_empty() && past.as_ref().is_some_and(|past| !past.is_empty()) => {
                self.line(&format!("nothing is {query} now"));
            }
            None if found.is_empty() && past.is_some() => {
                self.line(&format!("nothing is {query}: never seen, or gone for longer than the journal tells"));
            }
            None if found.is_empty() => self.line(&format!("nothing is {query}: never seen, or gone")),
            None => {}
        }
        if *more > 0 {
            self.line(&format!("and {more} more: name them more closely, or raise --limit"));
        }
        if *parts > 0 {
            self.line(&format!("and {parts} that hold it as part of something longer"));
        }
        for similar in similar {
            self.line(&format!("similar: {}, {} of job {}", similar.address, similar.became.as_str(), similar.job));
        }
        for hint in hints {
            self.line(hint);
        }
        for unsure in unsure {
            let line = self.unsure(unsure);
            self.line(&line);
        }
        if *more_unsure > 0 {
            self.line(&format!("and {more_unsure} more that are not known as of now"));
        }
        for (index, event) in past.iter().flatten().enumerate() {
            self.says(if index == 0 { "past" } else { "" }, &journal::line(event));
        }
        if let Some(reached) = past_reached {
            self.line(&format!(
                "the time was over before the journal was looked at from before {reached}: see rosterd journal"
            ));
        }
        if looked < entries && !explanation.is_settled() {
            self.line(&format!("the time was over after {looked} of {entries} entries: name a job by --job"));
        }
    }

    fn unsure(&self, unsure: &Unsure) -> String {
        let Unsure { provider, source, jobs, failing, warning, .. } = unsure;
        let source = source.as_ref().map(|source| format!("source {source} of ")).unwrap_or_default();
        let failing = failing.as_ref().map(|failing| format!(", {}", self.failing(failing))).unwrap_or_default();
        let warning = warning.as_ref().map(|warning| format!(", {}", self.warning(warning))).unwrap_or_default();
        format!("may be there: {source}{provider} of {} {}{failing}{warning}", jobs.join(", "), unsure.how())
    }

    fn warning(&self, Failing { since, report }: &Failing) -> String {
        self.colour.paint("33", &format!("a warning since {}: {}", self.ago(*since), coded(report)))
    }

    fn failing(&self, Failing { since, report }: &Failing) -> String {
        self.colour.paint("31", &format!("fails since {}: {}", self.ago(*since), coded(report)))
    }

    fn due(&self, Time(time): Time) -> String {
        Moment::due(time, self.now).words
    }

    fn ago(&self, Time(time): Time) -> String {
        Moment::of(time, self.now).words
    }
}

fn coded(report: &Report) -> String {
    format!("{report} ({})", report.code)
}
