//! A stretch of time in which nothing but scraping and shipping happens.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::Backend;
use super::shared::program::Program;
use super::shared::table::{Row, mebibytes, row};
use super::shared::usage::Cpu;
use super::simulator::Figures;

/// What happened in it.
pub(super) struct Window {
    took: Duration,
    cpu: Cpu,
    simulator: Cpu,
    scrapes: f64,
    served: f64,
    /// All that arrived, also what the agent tells of its scrapes.
    arrived: f64,
    requests: f64,
    bytes: f64,
    unpacked: f64,
    /// Resident bytes: the median of all seconds, and the peak since the start.
    resident: u64,
    peak: u64,
}

impl Window {
    /// Looks at a program for so long.
    pub(super) async fn measure(program: &Program, backend: &Backend, length: Duration) -> Self {
        let started = Instant::now();
        let (before, cpu, simulator) = (backend.figures().await, program.cpu(), backend.cpu());
        let mut resident = Vec::new();
        while started.elapsed() < length {
            sleep(Duration::from_secs(1).min(length - started.elapsed())).await;
            resident.push(program.resident().0);
        }
        let (after, cpu) = (backend.figures().await, program.cpu() - cpu);
        let part = |count: fn(&Figures) -> u64| (count(&after) - count(&before)) as f64;
        resident.sort_unstable();
        Self {
            took: started.elapsed(),
            cpu,
            simulator: backend.cpu() - simulator,
            scrapes: part(|figures| figures.scrapes),
            served: part(|figures| figures.served),
            arrived: part(|figures| figures.arrived + figures.automatic),
            requests: part(|figures| figures.requests),
            bytes: part(|figures| figures.bytes),
            unpacked: part(|figures| figures.unpacked),
            resident: resident[resident.len() / 2],
            peak: program.resident().1,
        }
    }

    /// The figures when targets have many series.
    pub(super) fn per_sample(&self, empty: u64) -> Vec<Row> {
        let millions = self.served / 1e6;
        let mut rows = vec![
            row("CPU a million samples", format!("{:.2} s", self.cpu.total() / millions)),
            row("of it in the kernel", format!("{:.2} s", self.cpu.system / millions)),
            row("memory", mebibytes(self.resident)),
            row("memory at the peak", mebibytes(self.peak)),
            row("memory without targets", mebibytes(empty)),
        ];
        rows.extend(self.shared());
        rows
    }

    /// The figures when there are many targets.
    pub(super) fn per_scrape(&self, empty: u64, targets: usize) -> Vec<Row> {
        let thousands = self.scrapes / 1e3;
        let a_target = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0 / targets as f64);
        let mut rows = vec![
            row("CPU 1,000 scrapes", format!("{:.3} s", self.cpu.total() / thousands)),
            row("of it in the kernel", format!("{:.3} s", self.cpu.system / thousands)),
            row("memory a target", a_target(self.resident)),
            row("memory a target, less that without targets", a_target(self.resident.saturating_sub(empty))),
            row("memory", mebibytes(self.resident)),
            row("memory at the peak", mebibytes(self.peak)),
            row("memory without targets", mebibytes(empty)),
        ];
        rows.extend(self.shared());
        rows
    }

    fn shared(&self) -> [Row; 7] {
        let millions = self.arrived / 1e6;
        let seconds = self.took.as_secs_f64();
        [
            row("on the wire a million samples", format!("{:.2} MB", self.bytes / 1e6 / millions)),
            row("unpacked a million samples", format!("{:.1} MB", self.unpacked / 1e6 / millions)),
            row("requests a million samples", format!("{:.0}", self.requests / millions)),
            row("share of its core", format!("{:.0} %", self.cpu.total() / seconds * 100.0)),
            row("share of the simulator's core", format!("{:.0} %", self.simulator.total() / seconds * 100.0)),
            row("scrapes a second", format!("{:.1}", self.scrapes / seconds)),
            row("samples a second", format!("{:.0}", self.served / seconds)),
        ]
    }
}
