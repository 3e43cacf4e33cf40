//! `static` keeps the contract of discoverers.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_static::{Config, Group};
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::leak_checked_live;

/// Groups in the configuration, which nothing breaks.
#[derive(Default)]
struct InConfig(Config);

#[async_trait]
impl Driver for InConfig {
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new(self.0.clone())
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let group = |(_, addresses): &(&str, &[&str])| Group {
            targets: addresses.iter().map(|address| (*address).to_owned()).collect(),
            ..Group::default()
        };
        self.0.groups = groups.iter().map(group).collect();
    }

    async fn break_source(&mut self) -> bool {
        false
    }

    async fn heal(&mut self) {}

    fn follows_changes(&self) -> bool {
        false
    }
}

#[test]
fn static_keeps_the_contract() {
    leak_checked_live(|| async { contract::check(&mut InConfig::default()).await });
}
