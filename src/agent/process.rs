//! What the process takes of the machine, in the metrics that all programs have.

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Counter, MetricFamily};
use rustix::time::{ClockId, clock_gettime};

const CPU: &str = "process_cpu_seconds_total";

/// The `process_*` metrics.
pub(super) struct Process(ProcessCollector);

impl Process {
    pub(super) fn new() -> Self {
        Self(ProcessCollector::for_self())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        // The library counts whole seconds, which a quiet agent takes minutes to fill.
        for metric in families.iter_mut().filter(|family| family.name() == CPU).flat_map(MetricFamily::mut_metric) {
            let taken = clock_gettime(ClockId::ProcessCPUTime);
            let mut counter = Counter::default();
            counter.set_value(taken.tv_sec as f64 + taken.tv_nsec as f64 / 1e9);
            metric.set_counter(counter);
        }
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(process: &Process) -> f64 {
        let families = process.collect();
        let family = families.iter().find(|family| family.name() == CPU).expect("it is there");
        family.get_metric()[0].get_counter().get_value()
    }

    #[test]
    fn less_than_a_second_of_cpu_counts() {
        let process = Process::new();
        let readings: Vec<_> = (0..100).map(|_| cpu(&process)).collect();
        assert!(readings.iter().any(|seconds| seconds.fract() != 0.0), "whole seconds: {readings:?}");
        let taken = clock_gettime(ClockId::ProcessCPUTime).tv_sec as f64;
        assert!(readings.iter().all(|seconds| *seconds < taken + 1.0), "in seconds: {readings:?} of {taken}");
    }
}
