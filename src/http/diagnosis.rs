//! Guesses from its numbers why a queue falls behind, and says what to do. Pure.

use crate::backplane::Stats;
use crate::limits::{HEARTBEAT_STALE, WAL_RESTART_BYTES, WRITER_QUEUE_ENTRIES};

/// A likely cause.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What seems to be wrong.
    pub cause: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// Timers later than this mean that a process does not get the processor, in milliseconds.
const LATE_MS: f64 = 100.0;

/// Names the likeliest cause; the most telling sign first.
pub(super) fn diagnose(stats: &Stats, event_loop_lag_ms: f64) -> Finding {
    let stale_ms = u64::try_from(HEARTBEAT_STALE.as_millis()).unwrap_or(u64::MAX);
    let behind = stats.instances.iter().max_by_key(|instance| instance.lag);
    // Nobody's heartbeats are written then, nor anything else.
    if let Some(trouble) = &stats.trouble {
        return Finding {
            cause: trouble.clone(),
            advice: stats.remedy,
        };
    }
    if let Some(silent) = stats
        .instances
        .iter()
        .find(|i| i.heartbeat_age_ms > stale_ms)
    {
        return Finding {
            cause: format!(
                "instance {} (pid {}) has not been heard of for {} s",
                silent.instance_id,
                silent.pid,
                silent.heartbeat_age_ms / 1000
            ),
            advice: "it is stopped or hangs: end that process, its clients reconnect elsewhere",
        };
    }
    if stats.wal_bytes > 4 * WAL_RESTART_BYTES {
        return Finding {
            cause: format!(
                "the write-ahead log has {} MiB: checkpoints don't get through",
                stats.wal_bytes >> 20
            ),
            advice: "end whatever else reads the file for long (a shell, a backup); check the disk's space and speed",
        };
    }
    if stats.writer_depth * 2 > WRITER_QUEUE_ENTRIES as u64 {
        return Finding {
            cause: format!(
                "{} entries wait for this process's writer",
                stats.writer_depth
            ),
            advice: "the disk is too slow for --synchronous, or clients send more than it commits: \
                     see scumble_commit_seconds, try --profile high-throughput",
        };
    }
    if event_loop_lag_ms > LATE_MS {
        return Finding {
            cause: format!(
                "this process's timers fire {event_loop_lag_ms:.0} ms late: the machine is busy"
            ),
            advice: "give it more processor time, or more processes (scumble cluster --instances N)",
        };
    }
    match behind {
        Some(behind) if behind.lag * 2 > stats.queue_size && stats.instances.len() > 1 => Finding {
            cause: format!(
                "instance {} (pid {}) is {} rows behind",
                behind.instance_id, behind.pid, behind.lag
            ),
            advice: "look at that process's own log and processor time; if it does not recover, restart it",
        },
        _ => Finding {
            cause: "more is written than is read".to_owned(),
            advice: "raise --max-messages-per-poll (or --profile high-throughput), or spread the canvases over more processes",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::InstanceStats;

    fn instance(name: &str, heartbeat_age_ms: u64, lag: u64) -> InstanceStats {
        InstanceStats {
            instance_id: name.to_owned(),
            pid: 7,
            heartbeat_age_ms,
            lag,
        }
    }

    #[test]
    fn the_most_telling_sign_is_named() {
        let instances = vec![instance("quick", 100, 3), instance("slow", 200, 6_000)];
        let calm = Stats {
            queue_size: 6_000,
            instances,
            ..Stats::default()
        };
        let silent = Stats {
            instances: vec![instance("dead", 12_000, 1)],
            ..calm.clone()
        };
        let full = Stats {
            writer_depth: WRITER_QUEUE_ENTRIES as u64,
            ..calm.clone()
        };
        let wal = Stats {
            wal_bytes: 600 << 20,
            ..full.clone()
        };
        let failing = Stats {
            trouble: Some("the queue cannot commit: the disk is full".to_owned()),
            remedy: "make room",
            ..silent.clone()
        };
        let even = Stats {
            instances: vec![instance("a", 1, 10), instance("b", 1, 10)],
            ..calm.clone()
        };
        for (stats, lag_ms, cause) in [
            (
                &silent,
                500.0,
                "instance dead (pid 7) has not been heard of for 12 s",
            ),
            (&failing, 500.0, "the disk is full"),
            (&wal, 500.0, "the write-ahead log has 600 MiB"),
            (&full, 500.0, "8192 entries wait"),
            (&calm, 500.0, "timers fire 500 ms late"),
            (&calm, 1.0, "instance slow (pid 7) is 6000 rows behind"),
            (&even, 1.0, "more is written than is read"),
        ] {
            let found = diagnose(stats, lag_ms);
            assert!(found.cause.contains(cause), "{found:?}");
            assert!(!found.advice.is_empty());
        }
    }
}
