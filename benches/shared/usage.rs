//! What a process has used, as the kernel counts it.

use std::fs;
use std::ops::Sub;

/// Ticks in a second of CPU time: `USER_HZ`, which is 100 on every Linux that rosterd runs on.
const TICKS: f64 = 100.0;

/// CPU seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    /// Both.
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// What a process has used so far, with its children that have ended.
pub(crate) fn cpu(process: u32) -> Cpu {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The name, in parentheses, may hold anything; the state follows, then numbers.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let numbers = rest.split_whitespace().skip(11).take(4);
    let seconds: Vec<f64> = numbers.filter_map(|ticks| Some(ticks.parse::<f64>().ok()? / TICKS)).collect();
    let [user, system, user_of_children, system_of_children] = seconds[..] else {
        panic!("{stat:?} is no state of a process");
    };
    Cpu { user: user + user_of_children, system: system + system_of_children }
}

/// Resident memory in bytes, now and at its peak.
pub(crate) fn resident(process: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
    };
    (bytes("VmRSS:"), bytes("VmHWM:"))
}
