//! The discoverer: says what the configuration says, once.

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
        up.everything(self.groups).await?;
        cx.stop.cancelled().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rosterd_discovery::Word;
    use rosterd_tasks::Stopper;
    use rosterd_testkit::leak_checked;

    use super::*;

    #[test]
    fn it_says_everything_once_and_waits_to_be_stopped() {
        leak_checked(|| async {
            let cx = Context::detached("static/1");
            let (up, mut words) = Updates::channel(&cx);
            let groups = vec![TargetGroup::gone("0")];
            let stopper = Stopper::new();
            let task = stopper.spawn("static", Box::new(Static::new(groups.clone())).run(cx.clone(), up));
            assert!(matches!(words.recv().await, Some(Word::Everything(said)) if said == groups));
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            assert!(words.try_recv().is_err() && !stopper.running().is_empty());
            cx.stop.cancel();
            assert!(task.await.unwrap().unwrap().is_ok());
            assert!(words.recv().await.is_none());
            assert!(cx.status().last_error.is_none());
            stopper.stop(std::time::Duration::from_secs(1)).await;
        });
    }
}
