//! How much is known of each job, as a metric that is made when it is asked for.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};
use rosterd_discovery::Directory;

use crate::roster::RosterHandle;
use crate::roster::presence::{self, Presence};

/// The metric, and who is asked.
pub(super) struct JobPresence {
    /// What it is called.
    empty: IntGaugeVec,
    roster: RosterHandle,
    providers: Directory,
}

impl JobPresence {
    /// Registers it. Fails when the name is taken.
    pub(super) fn register(
        registry: &Registry,
        roster: RosterHandle,
        providers: Directory,
    ) -> Result<(), prometheus::Error> {
        registry.register(Box::new(Self { empty: gauges()?, roster, providers }))
    }
}

fn gauges() -> Result<IntGaugeVec, prometheus::Error> {
    let opts = Opts::new(
        "rosterd_roster_job_presence",
        "1 for what the worst of the job's providers is: unsynced, restored, stale or synced.",
    );
    IntGaugeVec::new(opts, &["job", "presence"])
}

impl Collector for JobPresence {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(gauges) = gauges() else { return Vec::new() };
        for (job, of_job) in presence::of_jobs(&self.roster.view(), &self.providers.list()) {
            for presence in Presence::ALL {
                gauges.with_label_values(&[&*job, presence.as_str()]).set(i64::from(presence == of_job));
            }
        }
        gauges.collect()
    }
}
