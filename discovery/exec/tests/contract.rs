//! Exec keeps the promises of a discoverer.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_exec::ExecConfig;
use rosterd_testkit::contract::{Driver, check};
use rosterd_testkit::leak_checked_live;
use tempfile::TempDir;

/// A command that prints a file.
struct Printed {
    folder: TempDir,
}

impl Printed {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[async_trait]
impl Driver for Printed {
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new(ExecConfig {
            command: vec!["cat".to_owned(), "groups.json".to_owned()],
            working_directory: Some(self.folder.path().to_owned()),
            refresh_interval: Duration::from_millis(20).into(),
            timeout: Some(Duration::from_secs(30).into()),
            ..ExecConfig::default()
        })
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let groups: Vec<_> = groups
            .iter()
            .map(|(name, targets)| serde_json::json!({"targets": targets, "labels": {"name": name}}))
            .collect();
        std::fs::write(self.path("new"), serde_json::to_vec(&groups).expect("strings serialise"))
            .expect("the folder takes a file");
        std::fs::rename(self.path("new"), self.path("groups.json")).expect("the file is there");
    }

    async fn break_source(&mut self) -> bool {
        std::fs::rename(self.path("groups.json"), self.path("hidden")).expect("the file is there");
        true
    }

    async fn heal(&mut self) {
        std::fs::rename(self.path("hidden"), self.path("groups.json")).expect("the file is there");
    }
}

#[test]
fn exec_keeps_its_promises() {
    leak_checked_live(async || check(&mut Printed { folder: tempfile::tempdir().unwrap() }).await);
}
