//! `file` keeps the contract of discoverers, on real files.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_file::Config;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{Folder, leak_checked_live};

const BAD: &str = "- targets: [";

/// Files that hold the groups; broken by text that is no list of groups.
struct Files {
    folder: Folder,
    /// All groups in one file, or one in each.
    one: bool,
    /// The text of each file that exists.
    texts: BTreeMap<String, String>,
    /// The files that are broken.
    broken: Vec<String>,
}

impl Files {
    fn new(one: bool) -> Self {
        Self { folder: Folder::new(), one, texts: BTreeMap::new(), broken: Vec::new() }
    }

    fn write(&self) {
        for (name, text) in &self.texts {
            let text = if self.broken.contains(name) { BAD } else { text };
            self.folder.replace(name, text);
        }
    }
}

#[async_trait]
impl Driver for Files {
    fn config(&self) -> Box<dyn AnyConfig> {
        let files = vec![self.folder.path("*.yml")];
        Box::new(Config { files, refresh_interval: "100ms".parse().expect("it is a duration") })
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let before = std::mem::take(&mut self.texts);
        if self.one {
            self.texts.insert("all.yml".to_owned(), String::new());
        }
        for (name, addresses) in groups {
            let file = if self.one { "all.yml".to_owned() } else { format!("{name}.yml") };
            let group = format!("- targets: [{}]\n  labels: {{name: {name}}}\n", addresses.join(", "));
            self.texts.entry(file).or_default().push_str(&group);
        }
        before.keys().filter(|name| !self.texts.contains_key(*name)).for_each(|name| self.folder.remove(name));
        self.write();
    }

    async fn break_source(&mut self) -> bool {
        self.broken = self.texts.keys().cloned().collect();
        self.write();
        true
    }

    async fn break_one(&mut self, name: &str) -> bool {
        if self.one {
            return false;
        }
        self.broken = vec![format!("{name}.yml")];
        self.write();
        true
    }

    async fn heal(&mut self) {
        self.broken.clear();
        self.write();
    }
}

#[test]
fn a_file_with_all_groups_keeps_the_contract() {
    leak_checked_live(|| async { contract::check(&mut Files::new(true)).await });
}

#[test]
fn a_file_for_each_group_keeps_the_contract() {
    leak_checked_live(|| async { contract::check(&mut Files::new(false)).await });
}
