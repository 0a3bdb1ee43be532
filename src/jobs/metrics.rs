//! Counters by queue, for the first hundred queues that this process meets. The others are counted together.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use metrics::{counter, histogram};
use parking_lot::Mutex;

use super::effects::Counts;
use super::status::seconds;

/// Values of the label `queue`.
pub(super) const MOST_QUEUES: usize = 100;

/// What stands for the queues beyond.
pub(super) const OTHERS: &str = "(others)";

static KNOWN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// The value of the label `queue`.
fn label(queue: &str) -> String {
    let mut known = KNOWN.lock();
    if known.contains(queue) {
        return queue.to_owned();
    }
    if known.len() >= MOST_QUEUES {
        return OTHERS.to_owned();
    }
    known.insert(queue.to_owned());
    queue.to_owned()
}

/// Counts what was committed.
pub(crate) fn count(counts: &BTreeMap<String, Counts>) {
    for (queue, counts) in counts {
        let queue = label(queue);
        for (name, value) in [
            ("scumble_jobs_enqueued_total", counts.pushed),
            ("scumble_jobs_duplicates_total", counts.duplicates),
            ("scumble_jobs_delivered_total", counts.delivered),
            ("scumble_jobs_acked_total", counts.completed),
            ("scumble_jobs_retried_total", counts.retried),
            ("scumble_jobs_dead_total", counts.dead),
            ("scumble_jobs_dropped_total", counts.dropped),
        ] {
            if value > 0 {
                counter!(name, "queue" => queue.clone()).increment(value);
            }
        }
        for (name, times_ms) in [
            ("scumble_jobs_wait_seconds", &counts.waited_ms),
            ("scumble_jobs_processing_seconds", &counts.worked_ms),
        ] {
            if !times_ms.is_empty() {
                let histogram = histogram!(name, "queue" => queue.clone());
                times_ms
                    .iter()
                    .for_each(|ms| histogram.record(seconds(*ms)));
            }
        }
    }
}
