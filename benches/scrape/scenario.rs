//! What is measured.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rosterd_testkit::Folder;
use tokio::time::sleep;

use super::backend::Backend;
use super::input;
use super::options::{Options, Shape};
use super::shared::program::{Kind, Place, Program};
use super::shared::table::{Row, mebibytes, row, seconds};
use super::shared::usage::Cpu;
use super::simulator::Figures;
use super::window::Window;

/// Nobody is given up before, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(300);

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Dense,
    Wide,
    Start,
    Outage,
}

/// The figures of one program, and whether all samples arrived.
pub(super) struct Outcome {
    pub(super) rows: Vec<Row>,
    pub(super) complete: bool,
}

/// A program that runs beside the simulator.
struct Run {
    kind: Kind,
    shape: Shape,
    backend: Backend,
    folder: Folder,
}

impl Scenario {
    pub(super) const ALL: [Self; 4] = [Self::Dense, Self::Wide, Self::Start, Self::Outage];

    fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Wide => "wide",
            Self::Start => "start",
            Self::Outage => "outage",
        }
    }

    /// The scenario of this name.
    pub(super) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        found.unwrap_or_else(|| panic!("{name:?} is no scenario: dense, wide, start, outage, or all"))
    }

    /// Its targets.
    pub(super) fn shape(self, options: &Options) -> Shape {
        let (targets, series, interval) = match self {
            Self::Dense => (1_000, 500, 10),
            Self::Wide => (15_000, 20, 15),
            Self::Start => (10_000, 20, 10),
            Self::Outage => (200, 500, 10),
        };
        options.shape(Shape { targets, series, interval: Duration::from_secs(interval) })
    }

    /// Runs one program.
    pub(super) async fn run(self, kind: Kind, options: &Options) -> Outcome {
        let shape = self.shape(options);
        let (backend, folder) = (Backend::start(shape).await, Folder::new());
        let run = Run { kind, shape, backend, folder };
        match self {
            Self::Dense | Self::Wide => run.steady(self, options).await,
            Self::Start => run.start(options).await,
            Self::Outage => run.outage(options).await,
        }
    }

    /// What is measured, and on what.
    pub(super) fn title(self, options: &Options) -> impl fmt::Display {
        let Shape { targets, series, interval } = self.shape(options);
        format!("{}: {targets} targets with {series} series each, every {} s", self.name(), interval.as_secs())
    }
}

fn unix_milliseconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64() * 1000.0
}

/// The time after `started` at which this share of all is there.
fn quantile(times: &[f64], started: f64, share: f64) -> String {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let index = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
    let after = times.get(index).map(|time| Duration::from_secs_f64((time - started).max(0.0) / 1000.0));
    after.map_or_else(|| "never".to_owned(), seconds)
}

impl Run {
    /// Scrapes and ships for a while.
    async fn steady(&self, scenario: Scenario, options: &Options) -> Outcome {
        let empty = self.empty(options).await;
        self.write(self.shape.targets, options);
        let mut program = self.program(self.kind);
        program.wait_targets(self.shape.targets, program.started()).await;
        sleep(options.warmup).await;
        let window = Window::measure(&program, &self.backend, options.measured).await;
        let mut outcome = self.finish(options).await;
        let mut rows = match scenario {
            Scenario::Wide => window.per_scrape(empty, self.shape.targets),
            _ => window.per_sample(empty),
        };
        rows.append(&mut outcome.rows);
        Outcome { rows, ..outcome }
    }

    /// Starts with an empty store, and once more with what the first one has left there.
    async fn start(&self, options: &Options) -> Outcome {
        self.write(self.shape.targets, options);
        let (mut rows, mut complete) = (Vec::new(), true);
        for what in ["with an empty store", "restored"] {
            self.backend.tell("/reset").await;
            let started = unix_milliseconds();
            let mut program = self.program(self.kind);
            let all = self.shape.targets;
            let (figures, _) = self.backend.wait(PATIENCE, |figures| figures.seen == all).await;
            let (cpu, (_, peak)) = (program.cpu(), program.resident());
            let firsts = self.backend.firsts().await;
            complete &= figures.seen == all;
            rows.extend(
                [
                    ("the first target is scraped", 0.0),
                    ("half of them are", 0.5),
                    ("99 of 100 are", 0.99),
                    ("all are", 1.0),
                ]
                .map(|(until, share)| row(format!("{what}: time until {until}"), quantile(&firsts, started, share))),
            );
            rows.push(row(format!("{what}: CPU until then"), format!("{:.2} s", cpu.total())));
            rows.push(row(format!("{what}: scrapes until then"), figures.scrapes.to_string()));
            rows.push(row(format!("{what}: memory at the peak until then"), mebibytes(peak)));
            // What is kept of the last of them has reached the store.
            sleep(self.shape.interval).await;
            program.process.stop().await;
        }
        Outcome { rows, complete }
    }

    /// Takes the receiver away for a while.
    async fn outage(&self, options: &Options) -> Outcome {
        self.write(self.shape.targets, options);
        let mut program = self.program(self.kind);
        program.wait_targets(self.shape.targets, program.started()).await;
        sleep(options.warmup).await;
        let (before, cpu_before) = (program.resident(), program.cpu());
        self.backend.tell("/receiver/off").await;
        sleep(options.outage).await;
        let (owed, away, cpu_away) = (self.backend.figures().await, program.resident(), program.cpu());
        self.backend.tell("/receiver/on").await;
        let (caught, took) = self.backend.wait(PATIENCE, |figures| figures.arrived >= owed.served).await;
        let (cpu_caught, now) = (program.cpu(), program.resident());
        let mut outcome = self.finish(options).await;
        let spent = |cpu: Cpu| format!("{:.2} s", cpu.total());
        let mut rows = vec![
            row("memory before the outage", mebibytes(before.0)),
            row("memory at its end", mebibytes(away.0)),
            row("CPU in it", spent(cpu_away - cpu_before)),
            row("samples owed at its end", (owed.served - owed.arrived).to_string()),
            row("time until they have arrived", seconds(took)),
            row("CPU until then", spent(cpu_caught - cpu_away)),
            row("requests until then", (caught.requests - owed.requests).to_string()),
            row("memory after it", mebibytes(now.0)),
            row("memory at the peak", mebibytes(program.resident().1)),
        ];
        rows.append(&mut outcome.rows);
        Outcome { rows, ..outcome }
    }

    /// Lets no target answer any more, and waits until everything has arrived.
    async fn finish(&self, options: &Options) -> Outcome {
        let down = self.backend.figures().await.down;
        self.backend.tell("/targets/off").await;
        let is_there = |figures: &Figures| figures.missing == 0;
        let (_, took) = self.backend.wait(options.grace, is_there).await;
        // What comes twice may come later.
        sleep(Duration::from_secs(2)).await;
        let figures = self.backend.figures().await;
        let wrong = [figures.missing, figures.doubled, figures.different, figures.disordered, figures.unknown];
        let complete = wrong.iter().all(|&count| count == 0) && figures.refused == 0;
        let of_agent = figures.automatic as f64 / (figures.up + figures.down).max(1) as f64;
        let took = if figures.missing == 0 { seconds(took) } else { "never".to_owned() };
        let rows = vec![
            row("samples served since the start", figures.served.to_string()),
            row("of them missing", figures.missing.to_string()),
            row("doubled", figures.doubled.to_string()),
            row("targets with other samples", figures.different.to_string()),
            row("targets with values read inexactly", figures.inexact.to_string()),
            row("samples of nobody", figures.unknown.to_string()),
            row("scrapes out of order", figures.disordered.to_string()),
            row("scrapes that failed", down.to_string()),
            row("requests refused", figures.refused.to_string()),
            row("samples of the agent a scrape", format!("{of_agent:.2}")),
            row("all arrived after", took),
        ];
        Outcome { rows, complete }
    }

    /// Resident bytes of the program when it has no targets.
    async fn empty(&self, options: &Options) -> u64 {
        self.write(0, options);
        let mut program = self.program(self.kind);
        program.wait_started().await;
        sleep(Duration::from_secs(3)).await;
        let resident = program.resident().0;
        program.process.stop().await;
        resident
    }

    fn write(&self, targets: usize, options: &Options) {
        input::write(&self.folder, self.kind, &self.backend, self.shape, targets, options);
    }

    fn program(&self, kind: Kind) -> Program {
        Program::start(kind, &Place::in_folder(&self.folder, self.backend.receiver()))
    }
}
