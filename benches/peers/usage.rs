//! What a process has used, as the kernel counts it.

use std::fs;

/// Ticks in a second of CPU time: `USER_HZ`, which is 100 on every Linux that rosterd runs on.
const TICKS: f64 = 100.0;

/// CPU seconds of a process, with those of its children that have ended.
pub(super) fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The name, in parentheses, may hold anything; the state follows, then numbers.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let numbers = rest.split_whitespace().skip(11).take(4);
    numbers.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Resident memory in bytes, now and at its peak.
pub(super) fn resident(process: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
    };
    (bytes("VmRSS:"), bytes("VmHWM:"))
}
