//! `/remote-write`: where samples go, and how that goes.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;

use super::super::State;
use super::super::words::{Moment, bytes, coarse, counted, grouped};
use super::cut::{as_fits, line, written};
use super::shell::{Shell, page};
use super::situation::Situation;
use super::standing::Standing;
use super::troubles::troubles;
use crate::scrape::RemoteWriteStatus;

#[derive(Template)]
#[template(path = "remote_write.html")]
struct Page {
    shell: Shell,
    /// Why nothing is scraped, if nothing is.
    idle: Option<&'static str>,
    endpoints: Vec<Endpoint>,
    /// Those that are not shown.
    more: usize,
}

/// How many stand on the page; those that do not go well come first.
const SHOWN: usize = 50;
/// How many bytes they may have on the page.
const ROOM: usize = 150_000;

struct Endpoint {
    name: String,
    url: String,
    standing: Standing,
    /// How it is sent: protocol, compression, lanes.
    way: String,
    numbers: Vec<Number>,
    success: Option<Moment>,
    error: String,
    code: String,
    disk_failure: Option<(Moment, String)>,
}

/// A number with its name.
struct Number {
    what: &'static str,
    words: String,
    /// What it means, where that is worth a word.
    meaning: &'static str,
    bad: bool,
}

/// The page.
pub(in crate::api) async fn remote_write(Extract(state): Extract<Arc<State>>) -> Response {
    let situation = Situation::of(&state);
    let shell = Shell::new(&state, "/remote-write", "Remote write", &troubles(&situation));
    let endpoints = situation.endpoints_by_need();
    let count = endpoints.len();
    let shown = endpoints.into_iter().take(SHOWN).map(|status| Endpoint::of(status, &situation));
    let endpoints = as_fits(shown, ROOM, Endpoint::size);
    page(&Page {
        shell: shell.with_json("/api/v1/remote_write"),
        idle: situation.config.idle,
        more: count - endpoints.len(),
        endpoints,
    })
}

impl Endpoint {
    /// About how long it is on the page.
    fn size(&self) -> usize {
        let disk = self.disk_failure.as_ref().map_or(0, |(_, error)| 150 + written(error));
        1_500 + [&self.name, &self.url, &self.error].iter().map(|text| written(text)).sum::<usize>() + disk
    }

    fn of(status: &RemoteWriteStatus, situation: &Situation) -> Self {
        let now = situation.now;
        let waited = status.oldest_pending.and_then(|oldest| now.duration_since(oldest).ok()).map(coarse);
        let number = |what, words, meaning, bad| Number { what, words, meaning, bad };
        let disk_failure = status.disk_failure.as_ref();
        Self {
            name: line(&status.name),
            url: line(&status.url),
            standing: Standing::of_endpoint(status.state(now)),
            way: format!("protocol {}, {}, {}", status.protocol, status.compression, counted(status.lanes, "lane")),
            numbers: vec![
                number("sent", grouped(status.samples_sent), "samples that arrived", false),
                number("pending", grouped(status.pending_samples), "samples not sent yet", false),
                number("behind", waited.unwrap_or_else(|| "0s".to_owned()), "age of what waits longest", false),
                number("on disk", bytes(status.bytes_on_disk), "its queue", false),
                number(
                    "refused",
                    grouped(status.samples_failed),
                    "samples that it did not take, lost",
                    status.samples_failed > 0,
                ),
                number(
                    "given up",
                    grouped(status.samples_dropped),
                    "never sent: too old, too many",
                    status.samples_dropped > 0,
                ),
            ],
            success: status.last_success.map(|time| Moment::of(time, now)),
            error: status.last_error.as_ref().map(|error| line(&error.to_string())).unwrap_or_default(),
            code: status.last_error.as_ref().map(|error| error.code.clone()).unwrap_or_default(),
            disk_failure: disk_failure
                .map(|failure| (Moment::of(failure.since, now), line(&failure.report.to_string()))),
        }
    }
}
