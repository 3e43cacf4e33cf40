//! A mechanism in one file, checked against the contract: `lines_sd_configs` reads a text file with a rack and an
//! address on each line.
//!
//! `cargo run -p rosterd-testkit --example check_a_discoverer` checks it; so does `cargo test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rosterd_discovery::{
    AnyConfig, Build, CheckContext, Discoverer, Error, Identity, MechanismConfig, Polling, Reading, Refresh, register,
};
use rosterd_model::{Coded, Duration, Priority, Problem, TargetGroup};
use rosterd_testkit::{Folder, contract, group, leak_checked_live};
use serde::{Deserialize, Serialize};

// What the user writes:
//
//     scrape_configs:
//       - job_name: example
//         lines_sd_configs:
//           - path: targets.txt
//             refresh_interval: 10s

/// One entry of `lines_sd_configs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// The file; relative to the folder of the configuration file.
    path: PathBuf,
    /// How often it is read.
    refresh_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: PathBuf::new(), refresh_interval: Duration::from_secs(30) }
    }
}

// Makes the mechanism known to every agent that this crate is linked into.
register!(Config);

impl MechanismConfig for Config {
    const MECHANISM: &'static str = "lines";
    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        // What is read; how often does not count.
        id.path("path", &self.path);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let missing = self.path.as_os_str().is_empty();
        missing.then(|| Problem::new("path", "cfg_lines_no_path", "path is missing")).into_iter().collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.path = base.join(&self.path);
    }

    fn refresh_interval(&self) -> Option<std::time::Duration> {
        Some(self.refresh_interval.as_std())
    }

    fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        // `Polling` adds timing, backoff and metrics.
        Ok(Polling::boxed(Lines { path: self.path.clone() }, self.refresh_interval.as_std()))
    }
}

/// Reads the file.
struct Lines {
    path: PathBuf,
}

#[async_trait]
impl Refresh for Lines {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let read = tokio::fs::read_to_string(&self.path).await;
        let text = read.map_err(|source| LinesError::Read { path: self.path.clone(), source })?;
        Ok(Reading::Everything(parse(&self.path, &text)?))
    }
}

/// The decisions, apart from the I/O: easy to test with a table. The file is the source, since it is read in one piece; its
/// groups are told apart by the racks.
fn parse(path: &Path, text: &str) -> Result<Vec<TargetGroup>, LinesError> {
    let mut groups = BTreeMap::<&str, Vec<&str>>::new();
    for (index, line) in text.lines().enumerate() {
        let (rack, address) = line.split_once(' ').ok_or(LinesError::Line { number: index + 1 })?;
        groups.entry(rack).or_default().push(address);
    }
    let source = path.to_string_lossy();
    let group = |(rack, addresses): (&str, Vec<&str>)| TargetGroup { key: rack.into(), ..group(&source, &addresses) };
    Ok(groups.into_iter().map(group).collect())
}

#[derive(Debug, thiserror::Error)]
enum LinesError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("line {number} is not a rack, a space and an address")]
    Line { number: usize },
}

impl Coded for LinesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "sd_lines_unreadable",
            Self::Line { .. } => "sd_lines_malformed",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }
}

// All that a test of the mechanism needs: somebody who changes, breaks and heals the file.

struct FileDriver {
    folder: Folder,
    content: String,
}

#[async_trait]
impl contract::Driver for FileDriver {
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new(Config { path: self.folder.path("targets.txt"), refresh_interval: Duration::from_millis(20) })
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let lines = groups.iter().flat_map(|(name, all)| all.iter().map(move |address| format!("{name} {address}\n")));
        self.content = lines.collect();
        self.folder.replace("targets.txt", &self.content);
    }

    async fn break_source(&mut self) -> bool {
        self.folder.write("targets.txt", "nonsense");
        true
    }

    async fn heal(&mut self) {
        self.folder.replace("targets.txt", &self.content);
    }
}

fn keeps_the_contract() {
    leak_checked_live(|| async {
        let mut driver = FileDriver { folder: Folder::new(), content: String::new() };
        contract::check(&mut driver).await;
    });
}

fn main() {
    keeps_the_contract();
    println!("lines_sd_configs keeps the contract");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lines_mechanism_keeps_the_contract() {
        super::keeps_the_contract();
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = super::parse("f".as_ref(), "a x:1\nnonsense\n").expect_err("the second line is bad");
        assert_eq!(error.to_string(), "line 2 is not a rack, a space and an address");
    }
}
