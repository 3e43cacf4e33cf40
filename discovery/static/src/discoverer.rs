//! The discoverer: sends what the configuration says, once.

use async_trait::async_trait;
use rosterd_model::TargetGroup;

use rosterd_discovery::{Context, Discoverer, Error, Updates};

/// Groups that never change.
#[derive(Debug)]
pub(super) struct Static {
    groups: Vec<TargetGroup>,
}

impl Static {
    pub(super) fn new(groups: Vec<TargetGroup>) -> Self {
        Self { groups }
    }
}

#[async_trait]
impl Discoverer for Static {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        up.send(self.groups).await?;
        cx.status.succeeded(None);
        cx.stop.cancelled().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use rosterd_discovery::metrics::ProviderMetrics;
    use rosterd_tasks::{Machine, Stopper};

    #[test]
    fn it_sends_once_and_waits_to_be_stopped() {
        leak_checked(|| async {
            let stop = CancellationToken::new();
            let cx = Context {
                stop: stop.clone(),
                provider: "static/1".into(),
                machine: Machine::default(),
                metrics: ProviderMetrics::detached(),
                status: Default::default(),
            };
            let (up, mut updates) = Updates::channel(stop.clone());
            let groups = vec![TargetGroup::gone("0")];
            let stopper = Stopper::new();
            let task = stopper.spawn("static", Box::new(Static::new(groups.clone())).run(cx.clone(), up));
            assert_eq!(updates.recv().await, Some(groups));
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            assert!(updates.try_recv().is_err() && !stopper.running().is_empty());
            stop.cancel();
            assert!(task.await.unwrap().unwrap().is_ok());
            assert_eq!(updates.recv().await, None);
            assert!(cx.status.get().last_error.is_none());
            stopper.stop(std::time::Duration::from_secs(1)).await;
        });
    }
}
