//! Numbers at a glance, and how they were over the last day. Pure.

use std::sync::Arc;

use super::super::trends::Point;
use super::super::words::{Tally, counted, grouped};
use super::chart::Chart;
use super::situation::Situation;
use crate::roster::presence::Presence;
use crate::roster::view::JobView;

/// How many points a chart has at most.
const POINTS: usize = 120;

/// A number at a glance.
pub(super) struct Tile {
    pub(super) what: &'static str,
    pub(super) number: String,
    /// Where what it counts is: a path below the prefix.
    pub(super) path: &'static str,
    pub(super) bad: bool,
    pub(super) besides: String,
    pub(super) chart: Option<Chart>,
    /// What the numbers of the chart are, where that is another thing.
    pub(super) unit: &'static str,
}

/// All of them.
pub(super) fn tiles(situation: &Situation, past: &[Point]) -> Vec<Tile> {
    let [up, down] = targets(situation, past);
    vec![up, down, providers(situation, past), samples(situation, past)]
}

fn number(number: usize) -> String {
    grouped(number as u64)
}

/// What was noted, and what is now: of a process that runs for less than it takes to note anything twice that is all.
fn chart(what: &str, past: &[Point], now: usize, of: fn(&Point) -> usize) -> Option<Chart> {
    let values: Vec<_> = past.iter().map(of).chain([now]).map(|value| value as u64).collect();
    Chart::of(&format!("{what} over the last day"), &values, POINTS)
}

fn targets(situation: &Situation, past: &[Point]) -> [Tile; 2] {
    let sum = |of: fn(&(Arc<JobView>, Tally)) -> usize| situation.jobs.iter().map(of).sum::<usize>();
    let (up, down) = (sum(|(_, tally)| tally.up), sum(|(_, tally)| tally.down));
    let others = [
        (sum(|(_, tally)| tally.unknown), "not scraped yet"),
        (sum(|(_, tally)| tally.elsewhere), "scraped by other members"),
        (sum(|(job, _)| job.pages().held()), "held"),
    ];
    let others =
        others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", number(*count)));
    let others = others.collect::<Vec<_>>().join(", ");
    let all = sum(|(job, _)| job.counts().targets);
    let of_all = format!("of {} in {}", number(all), counted(situation.jobs.len(), "job"));
    let up = Tile {
        what: "Targets up",
        number: number(up),
        path: "/targets",
        bad: false,
        besides: of_all,
        chart: chart("Targets up", past, up, |point| point.up),
        unit: "",
    };
    let down = Tile {
        what: "Down",
        number: number(down),
        path: "/targets?health=down",
        bad: down > 0,
        besides: if others.is_empty() { "none is held".to_owned() } else { others },
        chart: chart("Targets down", past, down, |point| point.down),
        unit: "",
    };
    [up, down]
}

fn providers(situation: &Situation, past: &[Point]) -> Tile {
    let presence = |provider: &rosterd_discovery::ProviderStatus| {
        Presence::of_provider(provider.status.presence, situation.view.provider(&provider.key, &provider.jobs))
    };
    let all = &situation.providers;
    let synced = all.iter().filter(|provider| presence(provider) == Presence::Synced).count();
    let unread = all.iter().map(|provider| provider.status.unread.len()).sum::<usize>();
    let found = situation.jobs.iter().map(|(job, _)| job.counts().targets).sum::<usize>();
    let unread = if unread == 0 { String::new() } else { format!(", {} unread", counted(unread, "source")) };
    Tile {
        what: "Providers synced",
        number: format!("{} of {}", number(synced), number(all.len())),
        path: "/service-discovery",
        bad: synced < all.len(),
        besides: format!("{} found{unread}", counted(found, "target")),
        chart: chart("Targets", past, found, |point| point.targets),
        unit: "",
    }
}

fn samples(situation: &Situation, past: &[Point]) -> Tile {
    let sum = |of: fn(&crate::scrape::RemoteWriteStatus) -> u64| situation.endpoints.iter().map(of).sum::<u64>();
    let a_minute: Vec<_> = past.windows(2).map(|pair| pair[1].sent.saturating_sub(pair[0].sent)).collect();
    Tile {
        what: "Samples sent",
        number: grouped(sum(|endpoint| endpoint.samples_sent)),
        path: "/remote-write",
        bad: false,
        besides: format!("{} wait to be sent", grouped(sum(|endpoint| endpoint.pending_samples))),
        chart: Chart::of("Samples sent a minute over the last day", &a_minute, POINTS),
        unit: " a minute",
    }
}
