//! How far discovery is: one line on standard error that changes, if that is a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use rosterd_discovery::{Presence, ProviderStatus, named_jobs};
use rosterd_model::counted;
use tokio::time::{Interval, interval};

/// How often the line changes.
const REDRAW: Duration = Duration::from_millis(200);
/// How many providers are named.
const NAMED: usize = 3;

/// The line.
#[derive(Debug)]
pub(super) struct Progress(Option<Interval>);

impl Progress {
    /// Shows nothing where nobody looks.
    pub(super) fn on_terminal() -> Self {
        Self(stderr().is_terminal().then(|| interval(REDRAW)))
    }

    /// Waits until the line should change. Safe to drop at any time.
    pub(super) async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Writes the line anew.
    pub(super) fn show(&self, providers: &[ProviderStatus]) {
        draw(&line(providers));
    }

    /// Removes the line.
    pub(super) fn end(&self) {
        if self.0.is_some() {
            draw("");
        }
    }
}

fn draw(text: &str) {
    // Whether anybody sees it does not matter.
    write!(stderr(), "\r\x1b[K{text}").and_then(|()| stderr().flush()).ok();
}

fn line(providers: &[ProviderStatus]) -> String {
    let waiting: Vec<_> = providers.iter().filter(|it| it.status.presence != Presence::Synced).collect();
    let targets: usize = providers.iter().map(|it| it.status.targets).sum();
    let (all, targets) = (counted(providers.len(), "provider"), counted(targets, "target"));
    let mut line = format!("{} of {all}, {targets}", providers.len() - waiting.len());
    for (index, provider) in waiting.iter().take(NAMED).enumerate() {
        line += if index == 0 { ", waiting for " } else { ", " };
        line += &format!("{} ({})", provider.key.as_str(), named_jobs(provider.jobs.iter()));
    }
    if waiting.len() > NAMED {
        line += " and others";
    }
    line
}

#[cfg(test)]
mod tests {
    use rosterd_discovery::{ProviderKey, Status};

    use super::*;

    #[test]
    fn the_line_names_who_is_missing() {
        let provider = |name: &str, presence, targets| ProviderStatus {
            key: ProviderKey::new(name),
            jobs: vec![format!("job-{name}").into()],
            reads: Default::default(),
            status: Status { presence, targets, ..Status::default() },
            watches: Vec::new(),
        };
        let mut providers = vec![provider("a", Presence::Synced, 7), provider("b", Presence::Unsynced, 0)];
        assert_eq!(line(&providers), "1 of 2 providers, 7 targets, waiting for b (job-b)");
        providers.extend(["c", "d", "e"].map(|name| provider(name, Presence::Unsynced, 0)));
        assert_eq!(
            line(&providers),
            "1 of 5 providers, 7 targets, waiting for b (job-b), c (job-c), d (job-d) and others"
        );
        assert_eq!(line(&providers[..1]), "1 of 1 provider, 7 targets");
    }
}
