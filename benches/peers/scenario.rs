//! What is measured.

use std::fmt;
use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::{Instant, sleep};

use super::input::{Input, JOB};
use super::shared::program::{Kind, Place, Program};
use super::shared::table::{Row, mebibytes, row, seconds};

/// What may be set on the command line.
pub(super) struct Options {
    /// How long an idle program is watched.
    pub(super) idle: Duration,
    /// The programs to measure.
    pub(super) kinds: Vec<Kind>,
}

/// A kind of measurement and its number of targets.
pub(super) struct Scenario {
    what: What,
    targets: usize,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Targets,
    Change,
    Dropped,
    Http,
}

impl Scenario {
    /// `targets-100k`, and so on.
    pub(super) fn named(name: &str) -> Self {
        let (what, size) = name.split_once('-').unwrap_or((name, "100k"));
        let what = match what {
            "targets" => What::Targets,
            "change" => What::Change,
            "dropped" => What::Dropped,
            "http" => What::Http,
            _ => panic!("{name:?} is no scenario: targets, change, dropped or http, and a number such as -100k"),
        };
        let targets = size.trim_end_matches('k').parse::<usize>().expect("a size is a number, such as 100k");
        Self { what, targets: if size.ends_with('k') { targets * 1000 } else { targets } }
    }

    /// Runs one program.
    pub(super) async fn run(&self, kind: Kind, options: &Options) -> Vec<Row> {
        match self.what {
            What::Targets => self.targets(kind, options).await,
            What::Change => self.change(kind).await,
            What::Dropped => self.dropped(kind).await,
            What::Http => self.http(kind).await,
        }
    }

    async fn targets(&self, kind: Kind, options: &Options) -> Vec<Row> {
        let (folder, input) = (Folder::new(), Input::one_file(self.targets));
        input.write(&folder);
        let empty = baseline(kind).await;
        let mut program = start(kind, &folder);
        let took = program.wait_targets(input.active(), program.started()).await;
        let cpu = program.cpu().total();
        // Whatever is left to do is no idling.
        sleep(Duration::from_secs(10)).await;
        let (settled, cpu_settled) = (Instant::now(), program.cpu().total());
        sleep(options.idle).await;
        let idle = (program.cpu().total() - cpu_settled) * 60.0 / settled.elapsed().as_secs_f64();
        let (resident, peak) = program.resident();
        vec![
            row("time until all are there", seconds(took)),
            row("CPU until all are there", format!("{cpu:.2} s")),
            row("CPU in the 10 s after", format!("{:.2} s", cpu_settled - cpu)),
            row("memory without targets", mebibytes(empty)),
            row("memory", mebibytes(resident)),
            row("memory at the peak", mebibytes(peak)),
            row("memory a target", format!("{} B", resident.saturating_sub(empty) / self.targets as u64)),
            row("CPU a minute when idle", format!("{idle:.2} s")),
        ]
    }

    async fn change(&self, kind: Kind) -> Vec<Row> {
        let mut rows = Vec::new();
        for (files, where_) in [(1, "in one big file"), (1000, "in one of 1000 files")] {
            let (folder, input) = (Folder::new(), Input { files, ..Input::one_file(self.targets) });
            input.write(&folder);
            let mut program = start(kind, &folder);
            program.wait_targets(input.active(), program.started()).await;
            sleep(Duration::from_secs(10)).await;
            for round in 1..=3 {
                let before = program.cpu().total();
                // The time to write the file is part of it for nobody: it is renamed into place.
                input.change(&folder, round);
                let changed = Instant::now();
                let took = program.wait_targets(input.active() + round, changed).await;
                sleep(Duration::from_secs(2)).await;
                let cpu = program.cpu().total() - before;
                rows.push(row(format!("10 targets {where_}, round {round}: time"), seconds(took)));
                rows.push(row(format!("10 targets {where_}, round {round}: CPU"), format!("{cpu:.2} s")));
            }
        }
        rows
    }

    async fn dropped(&self, kind: Kind) -> Vec<Row> {
        let (folder, input) = (Folder::new(), Input { kept: 100, ..Input::one_file(self.targets) });
        input.write(&folder);
        let empty = baseline(kind).await;
        let mut program = start(kind, &folder);
        let took = program.wait_targets(input.active(), program.started()).await;
        let cpu = program.cpu().total();
        sleep(Duration::from_secs(15)).await;
        let (resident, peak) = program.resident();
        vec![
            row("time until all are there", seconds(took)),
            row("CPU until all are there", format!("{cpu:.2} s")),
            row("memory", mebibytes(resident)),
            row("memory at the peak", mebibytes(peak)),
            row("memory a discovered target", format!("{} B", resident.saturating_sub(empty) / self.targets as u64)),
        ]
    }

    async fn http(&self, kind: Kind) -> Vec<Row> {
        let (folder, input) = (Folder::new(), Input::one_file(self.targets));
        input.write(&folder);
        let mut program = start(kind, &folder);
        program.wait_targets(input.active(), program.started()).await;
        sleep(Duration::from_secs(10)).await;
        let mut rows = Vec::new();
        let list = format!("/sd/{JOB}");
        let lists =
            if kind == Kind::Rosterd { &[(list.as_str(), "gzip"), (list.as_str(), "identity")][..] } else { &[] };
        for &(path, encoding) in [("/api/v1/targets", "identity"), ("/api/v1/targets", "gzip")].iter().chain(lists) {
            for request in ["first", "second", "third"] {
                let before = program.cpu().total();
                let asked = Instant::now();
                let answer = program.get(path, encoding).await.expect("a program that has its targets answers");
                let took = asked.elapsed();
                assert_eq!(answer.status, 200, "{}{path}: {}", kind.name(), String::from_utf8_lossy(&answer.body));
                let cpu = program.cpu().total() - before;
                let size = answer.body.len() as f64 / 1e6;
                let value = format!("{} / {cpu:.2} s", seconds(took));
                rows.push(row(format!("{path} {encoding}, {request}: time / CPU"), value));
                if request == "first" {
                    rows.push(row(format!("{path} {encoding}: size"), format!("{size:.1} MB")));
                }
            }
        }
        rows.push(row("memory at the peak", mebibytes(program.resident().1)));
        rows
    }
}

/// Resident bytes of a program that has no targets.
async fn baseline(kind: Kind) -> u64 {
    let folder = Folder::new();
    Input::one_file(0).write(&folder);
    let mut program = start(kind, &folder);
    program.wait_started().await;
    sleep(Duration::from_secs(2)).await;
    program.resident().0
}

/// Starts a program on the configuration in the folder, with an empty store.
fn start(kind: Kind, folder: &Folder) -> Program {
    let place = Place::in_folder(folder, "http://127.0.0.1:9/");
    if place.data.exists() {
        let (data, is_folder) = (&place.data, place.data.is_dir());
        let removed = if is_folder { std::fs::remove_dir_all(data) } else { std::fs::remove_file(data) };
        removed.expect("the store of the program before can be removed");
    }
    Program::start(kind, &place)
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Targets => "Targets of one file_sd file",
            What::Change => "A change of ten targets",
            What::Dropped => "Targets of which relabelling drops 99 of 100",
            What::Http => "HTTP answers",
        };
        write!(f, "{what}, {} targets", self.targets)
    }
}
