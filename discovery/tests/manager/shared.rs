//! What several mechanisms have in common.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rosterd_discovery::{
    Build, Context, Discoverer, Equipment, Error, Identity, Mechanism, MechanismConfig, MechanismShared, Registry,
    System, Updates,
};
use rosterd_tasks::{Stopper, Supervision};
use rosterd_testkit::leak_checked;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::PATIENCE;

static STARTED: AtomicU32 = AtomicU32::new(0);

/// What both mechanisms share: a number of its own.
#[derive(Debug)]
struct Family(u32);

impl MechanismShared for Family {
    fn start(_: &Stopper, _: &System) -> Self {
        Self(STARTED.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kin<const NUMBER: usize>;

struct Nothing;

#[async_trait]
impl Discoverer for Nothing {
    async fn run(self: Box<Self>, cx: Context, _: Updates) -> Result<(), Error> {
        cx.stop.cancelled().await;
        Ok(())
    }
}

impl<const NUMBER: usize> MechanismConfig for Kin<NUMBER> {
    const MECHANISM: &'static str = ["one", "other"][NUMBER];
    type Metrics = ();
    type Shared = Family;

    fn identity(&self, _: &mut Identity) {}

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        assert_eq!(cx.shared.0, 0, "it is the first one");
        Ok(Box::new(Nothing))
    }
}

#[test]
fn mechanisms_that_name_the_same_type_share_one() {
    leak_checked(async || {
        let mechanisms = [Mechanism::of::<Kin<0>>(), Mechanism::of::<Kin<1>>()];
        let mechanisms = Registry::new(mechanisms, []).expect("each has a name of its own");
        let (registry, system) = (prometheus::Registry::new(), System::default());
        let equipment = Equipment::new(&mechanisms, &registry, system, &Supervision::default());
        let equipment = equipment.expect("the registry is empty");
        equipment.of("one").build(&Kin::<0>, "one/1").expect("it can be built");
        equipment.of("other").build(&Kin::<1>, "other/1").expect("it can be built");
        assert_eq!(STARTED.load(Ordering::Relaxed), 1);
        assert!(equipment.end(Instant::now() + PATIENCE).await.is_empty());
    });
}
