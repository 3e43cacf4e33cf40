//! The configuration, and files of targets: each with ten labels, on the loopback interface.

use std::fmt::Write as _;

use rosterd_testkit::Folder;

/// The job.
pub(super) const JOB: &str = "bench";

const RULES: &str = r"
  - {source_labels: [env], regex: prod|staging, action: keep}
  - {source_labels: [__address__], regex: '([^:]+):.*', target_label: host}
  - {source_labels: [zone, rack], separator: /, target_label: place}
  - {regex: 'tag_(.+)', action: labelmap}
  - {regex: 'tag_.+', action: labeldrop}
  - {source_labels: [team], action: lowercase, target_label: team}
";

/// How targets are spread over files, and how many of them relabelling keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) targets: usize,
    pub(super) files: usize,
    /// Of so many targets one is kept.
    pub(super) kept: usize,
}

impl Input {
    pub(super) fn one_file(targets: usize) -> Self {
        Self { targets, files: 1, kept: 1 }
    }

    /// How many targets are left after relabelling.
    pub(super) fn active(self) -> usize {
        self.targets.div_ceil(self.kept)
    }

    /// Writes configuration and files.
    pub(super) fn write(self, folder: &Folder) {
        let config = format!(
            "global: {{scrape_interval: 1d}}\nscrape_configs:\n- job_name: {JOB}\n  file_sd_configs: [{{files: ['{}/*.json']}}]\n  relabel_configs:{RULES}",
            folder.path("sd").display()
        );
        folder.write("prometheus.yml", config);
        for file in 0..self.files {
            self.write_file(folder, file, 0, 0);
        }
    }

    /// Gives nine targets of the first file another label and adds one, in place of the file that was there.
    pub(super) fn change(self, folder: &Folder, round: usize) {
        self.write_file(folder, 0, round, round);
    }

    fn write_file(self, folder: &Folder, file: usize, round: usize, more: usize) {
        let size = self.targets / self.files;
        let mut json = String::with_capacity(size * 320);
        for number in file * size..(file + 1) * size {
            let changed = if round > 0 && (number - file * size).is_multiple_of(size.div_ceil(9)) { round } else { 0 };
            self.target(number, changed, &mut json);
        }
        for number in 0..more {
            self.target(self.targets + number, 0, &mut json);
        }
        folder.replace(&format!("sd/{file}.json"), format!("[{}]", json.trim_start_matches(',')));
    }

    fn target(self, number: usize, version: usize, json: &mut String) {
        let env = if number.is_multiple_of(self.kept) { "prod" } else { "test" };
        let (zone, rack, team, service) = (number % 7, number % 91, number % 23, number % 400);
        let address = format!("127.{}.{}.{}:9", 1 + (number >> 16), number >> 8 & 255, number & 255);
        write!(
            json,
            r#",{{"targets":["{address}"],"labels":{{"env":"{env}","zone":"eu-west-{zone}","rack":"r{rack}","team":"Team-{team}","service":"svc-{service}","version":"1.{version}.0","tag_owner":"owner-{team}","tag_cost":"cc-{rack}","region":"europe","host_id":"i-{number:012x}"}}}}"#
        )
        .expect("a string takes any text");
    }
}
