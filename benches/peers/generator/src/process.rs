//! CPU and memory of processes, from /proc.

use std::fs;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

fn ticks(text: Option<&str>) -> f64 {
    text.and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0) / clock_ticks_per_second() as f64
}

/// User and system seconds of a process, all its threads.
pub fn cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may hold spaces.
    let mut fields = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(11);
    ticks(fields.next()) + ticks(fields.next())
}

/// Resident memory in KiB.
pub fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Seconds that the whole machine's CPUs were busy, and those that the hypervisor gave to others.
pub fn machine_s() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or("");
    let fields: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .map(|field| ticks(Some(field)))
        .collect();
    let field = |i: usize| fields.get(i).copied().unwrap_or(0.0);
    let total: f64 = fields.iter().take(8).sum();
    (total - field(3) - field(4), field(7))
}

/// CPU seconds of this process.
pub fn own_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
