//! From outputs and the roster to what should be written. The first change goes out at once; of a storm, the latest
//! state goes out at intervals, since each write costs the whole file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::Xxh3Default;

use super::{Content, FileSd, Format, Output};
use crate::reconcile::{Desired, DesiredSet, WorkerId};
use crate::roster::view::RosterView;
use crate::store::ledger::Revision;

/// The configured outputs; `None` as long as the configuration is not known.
pub type Outputs = Option<Arc<[Output]>>;

/// Two writes of one file are at least this far apart.
const APART: Duration = Duration::from_millis(200);

/// Keeps `desired` as the outputs and the roster want it, until stopped. `wrap` makes a specification of the agent's
/// kinds of workers.
pub async fn desired<S>(
    mut outputs: watch::Receiver<Outputs>,
    mut roster: watch::Receiver<Arc<RosterView>>,
    wrap: impl Fn(FileSd) -> S + Send,
    desired: watch::Sender<Option<Arc<DesiredSet<S>>>>,
    stop: CancellationToken,
) where
    S: Clone + Send + Sync + 'static,
{
    let mut pace = Pace::default();
    loop {
        let configured = outputs.borrow_and_update().clone();
        let view = Arc::clone(&roster.borrow_and_update());
        if let Some(configured) = &configured
            && pace.advance(configured, &view, Instant::now())
        {
            let set = pace.sent.iter().map(|(id, sent)| {
                let Desired { revision, spec } = sent.desired.clone();
                (id.clone(), Desired { revision, spec: wrap(spec) })
            });
            desired.send_replace(Some(Arc::new(set.collect())));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = outputs.changed() => if changed.is_err() { return },
            changed = roster.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(pace.next.unwrap_or_else(Instant::now)), if pace.next.is_some() => {}
        }
    }
}

/// What was sent for each output, and when. Pure: it is told the time.
#[derive(Debug, Default)]
struct Pace {
    sent: BTreeMap<WorkerId, Sent>,
    started: bool,
    /// When a change that came too early may go out.
    next: Option<Instant>,
}

#[derive(Debug)]
struct Sent {
    desired: Desired<FileSd>,
    at: Instant,
}

impl Pace {
    /// Takes over what may go out now. Says whether anything changed, which it does the first time in any case.
    fn advance(&mut self, outputs: &[Output], view: &RosterView, now: Instant) -> bool {
        let mut changed = !std::mem::replace(&mut self.started, true);
        self.next = None;
        let mut before = std::mem::take(&mut self.sent);
        for output in outputs {
            let id: WorkerId = format!("file_sd:{}", output.path.display()).into();
            let old = before.remove(&id);
            let desired = of(output, view);
            let sent = match old {
                Some(old) if old.desired.revision == desired.revision => old,
                // A changed output is not a storm.
                Some(old) if old.desired.spec.output == *output && now < old.at + APART => {
                    self.next = self.next.into_iter().chain([old.at + APART]).min();
                    old
                }
                _ => {
                    changed = true;
                    Sent { desired, at: now }
                }
            };
            self.sent.insert(id, sent);
        }
        changed || !before.is_empty()
    }
}

/// What an output should have in its file now.
fn of(output: &Output, view: &RosterView) -> Desired<FileSd> {
    let known = |job: &Arc<str>| view.job(job).filter(|job| job.servable().is_ok()).cloned();
    let jobs: Option<Vec<_>> = output.jobs.iter().map(known).collect();
    let content = jobs.map_or(Content::Unknown, |jobs| Content::Jobs(jobs.into()));
    let mut hasher = Xxh3Default::new();
    hasher.update(output.path.as_os_str().as_encoded_bytes());
    hasher.update(match output.format {
        Format::Json => b"\0json",
        Format::Yaml => b"\0yaml",
    });
    if let Content::Jobs(jobs) = &content {
        hasher.update(b"\0jobs");
        for job in &**jobs {
            hasher.update(&job.revision().to_le_bytes());
        }
    }
    Desired { revision: Revision(hasher.digest128()), spec: FileSd { output: output.clone(), content } }
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
