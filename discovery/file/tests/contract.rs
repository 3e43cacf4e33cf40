//! `file` keeps the contract of discoverers, on real files.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_file::Config;
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
        Box::new(Config { files, refresh_interval: "100ms".parse().expect("it is a duration") })
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

#[test]
fn file_keeps_the_contract() {
    leak_checked_live(|| async {
        let mut driver = OneFile { folder: Folder::new(), text: String::new() };
        driver.set(&[]).await;
        contract::check(&mut driver).await;
    });
}
