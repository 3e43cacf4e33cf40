//! `file` and `static` keep the contract of discoverers, on real files.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, file, static_};
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{Folder, leak_checked_live};

/// One file that holds all groups; broken by text that is no list of groups.
struct OneFile {
    folder: Folder,
    text: String,
}

#[async_trait]
impl Driver for OneFile {
    fn config(&self) -> Box<dyn AnyConfig> {
        let files = vec![self.folder.path("*.yml")];
        Box::new(file::Config { files, refresh_interval: "100ms".parse().expect("it is a duration") })
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let group = |(name, addresses): &(&str, &[&str])| {
            format!("- targets: [{}]\n  labels: {{name: {name}}}\n", addresses.join(", "))
        };
        self.text = groups.iter().map(group).collect();
        self.folder.replace("a.yml", &self.text);
    }

    async fn break_source(&mut self) -> bool {
        self.folder.replace("a.yml", "- targets: [");
        true
    }

    async fn heal(&mut self) {
        self.folder.replace("a.yml", &self.text);
    }
}

/// Groups in the configuration, which nothing breaks.
#[derive(Default)]
struct InConfig(static_::Config);

#[async_trait]
impl Driver for InConfig {
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new(self.0.clone())
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let group = |(_, addresses): &(&str, &[&str])| static_::Group {
            targets: addresses.iter().map(|address| (*address).to_owned()).collect(),
            ..static_::Group::default()
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
fn file_keeps_the_contract() {
    leak_checked_live(|| async {
        let mut driver = OneFile { folder: Folder::new(), text: String::new() };
        driver.set(&[]).await;
        contract::check(&mut driver).await;
    });
}

#[test]
fn static_keeps_the_contract() {
    leak_checked_live(|| async { contract::check(&mut InConfig::default()).await });
}
