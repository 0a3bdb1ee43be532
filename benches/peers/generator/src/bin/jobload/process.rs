//! CPU and memory of processes, from /proc.

#[path = "../../process.rs"]
mod one;

use std::fs;

pub use one::{cpu_s, machine_s, own_cpu_s, rss_kib};

/// These processes and their children, and theirs: PostgreSQL has one for each connection.
pub fn family(roots: &[u32]) -> Vec<u32> {
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    found
}
