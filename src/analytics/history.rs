//! Adds up the samples of several processes to the numbers of one relay. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Counts, Grain, Sample};
use crate::backplane::histogram::BOUNDS_US;

/// A process that says nothing for longer is not there any more; a quiet one speaks once a minute.
const SPEAKS_WITHIN_MS: i64 = 65_000;

/// How far back, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// What is read.
    pub grain: Grain,
    /// The distance of two points.
    pub step_ms: i64,
    /// How many points.
    pub points: usize,
}

impl Range {
    /// The words for `range`.
    pub const WORDS: [&'static str; 3] = ["15m", "3h", "24h"];

    /// The range of that word.
    pub fn parse(word: &str) -> Option<Self> {
        let (grain, step_ms, points) = match word {
            "15m" => (Grain::Fine, Grain::Fine.step_ms(), 180),
            "3h" => (Grain::Minute, 60_000, 180),
            "24h" => (Grain::Minute, 300_000, 288),
            _ => return None,
        };
        Some(Self {
            grain,
            step_ms,
            points,
        })
    }

    /// The start of the first point; the last is the one that is complete at `now_ms`.
    pub fn from_ms(self, now_ms: i64) -> i64 {
        let points = i64::try_from(self.points).unwrap_or(0);
        (now_ms / self.step_ms - points) * self.step_ms
    }
}

/// Lines, a number for each point.
#[derive(Debug, Default, Serialize)]
pub struct Lines {
    /// The distance of two points in milliseconds.
    pub step_ms: i64,
    /// The start of each point, in milliseconds since 1970.
    pub at_ms: Vec<i64>,
    /// Connections at the end of each point; `null` where no process spoke.
    pub connections: Vec<Option<u64>>,
    /// How late timers fired, of the process that was worst.
    pub event_loop_lag_ms: Vec<Option<f64>>,
    /// Entries that waited for writers.
    pub writer_depth: Vec<Option<u64>>,
    /// Messages committed.
    pub messages: Vec<u64>,
    /// Messages handed to members.
    pub deliveries: Vec<u64>,
    /// Bytes received.
    pub bytes_in: Vec<u64>,
    /// Bytes sent.
    pub bytes_out: Vec<u64>,
    /// Clients let in.
    pub joins: Vec<u64>,
    /// Errors told to clients.
    pub refusals: Vec<u64>,
    /// Median and 99th percentile from taking an entry to its commit; `null` where there was none.
    pub commit_p50_ms: Vec<Option<f64>>,
    /// See `commit_p50_ms`.
    pub commit_p99_ms: Vec<Option<f64>>,
    /// Median and 99th percentile from a message's transaction to its members.
    pub delivery_p50_ms: Vec<Option<f64>>,
    /// See `delivery_p50_ms`.
    pub delivery_p99_ms: Vec<Option<f64>>,
}

/// How a process was.
#[derive(Clone, Copy, Default)]
struct Gauges {
    connections: u64,
    loop_lag_us: u64,
    writer_depth: u64,
}

/// Adds up what processes did. `spans` in any order: the start of each, the process, what it did.
pub fn lines(range: Range, now_ms: i64, spans: &[(i64, i64, Sample)]) -> Lines {
    let from = range.from_ms(now_ms);
    let mut sums = vec![Sample::default(); range.points];
    let mut by_process: BTreeMap<i64, BTreeMap<i64, Gauges>> = BTreeMap::new();
    for (at, process, sample) in spans {
        let gauges = Gauges {
            connections: sample.connections,
            loop_lag_us: sample.loop_lag_us,
            writer_depth: sample.writer_depth,
        };
        by_process.entry(*process).or_default().insert(*at, gauges);
        if let Some(sum) = point(range, from, *at).and_then(|point| sums.get_mut(point)) {
            sum.add(sample);
        }
    }
    let mut standing: Vec<Option<Gauges>> = vec![None; range.points];
    for said in by_process.values() {
        stands(range, from, said, &mut standing);
    }
    drawn(range, from, &sums, &standing)
}

fn point(range: Range, from: i64, at: i64) -> Option<usize> {
    usize::try_from((at - from).div_euclid(range.step_ms)).ok()
}

/// What one process said holds until it says something else, and adds to what others said.
fn stands(range: Range, from: i64, said: &BTreeMap<i64, Gauges>, standing: &mut [Option<Gauges>]) {
    for (at_ms, point) in (0_i64..).zip(standing) {
        let end = from + (at_ms + 1) * range.step_ms;
        let Some((at, own)) = said.range(..end).next_back() else {
            continue;
        };
        if end - at > SPEAKS_WITHIN_MS + range.step_ms {
            continue;
        }
        let sum = point.get_or_insert_default();
        sum.connections += own.connections;
        sum.writer_depth += own.writer_depth;
        sum.loop_lag_us = sum.loop_lag_us.max(own.loop_lag_us);
    }
}

fn drawn(range: Range, from: i64, sums: &[Sample], standing: &[Option<Gauges>]) -> Lines {
    let mut lines = Lines {
        step_ms: range.step_ms,
        ..Lines::default()
    };
    let mut at_ms = from;
    for (sum, gauges) in sums.iter().zip(standing) {
        lines.at_ms.push(at_ms);
        at_ms += range.step_ms;
        lines.connections.push(gauges.map(|all| all.connections));
        let lag = gauges.map(|all| ms(all.loop_lag_us));
        lines.event_loop_lag_ms.push(lag);
        lines.writer_depth.push(gauges.map(|all| all.writer_depth));
        lines.messages.push(sum.messages);
        lines.deliveries.push(sum.deliveries);
        lines.bytes_in.push(sum.bytes_in);
        lines.bytes_out.push(sum.bytes_out);
        lines.joins.push(sum.joins);
        lines.refusals.push(sum.refusals);
        lines.commit_p50_ms.push(quantile_ms(&sum.commit, 0.5));
        lines.commit_p99_ms.push(quantile_ms(&sum.commit, 0.99));
        lines.delivery_p50_ms.push(quantile_ms(&sum.delivery, 0.5));
        lines.delivery_p99_ms.push(quantile_ms(&sum.delivery, 0.99));
    }
    lines
}

/// Microseconds in milliseconds, to the hundredth.
#[expect(clippy::cast_precision_loss, reason = "hundredths of milliseconds")]
pub fn ms(us: u64) -> f64 {
    (us / 10) as f64 / 100.0
}

/// Below which time a share of what was counted lies, in milliseconds: straight within a bucket. `None` if nothing was counted.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a day, and at most ten seconds in microseconds"
)]
pub fn quantile_ms(counts: &Counts, share: f64) -> Option<f64> {
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let wanted = all as f64 * share;
    let mut below = 0.0;
    let mut lower = 0;
    for (count, upper) in counts.iter().zip(BOUNDS_US) {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let part = (wanted - below) / count;
            let us = lower as f64 + (upper - lower) as f64 * part;
            return Some(ms(us as u64));
        }
        below += count;
        lower = upper;
    }
    Some(ms(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(connections: u64, messages: u64) -> Sample {
        Sample {
            connections,
            messages,
            ..Sample::default()
        }
    }

    #[test]
    fn counters_add_up_over_processes_and_connections_hold_until_told_otherwise() {
        let range = Range::parse("15m").unwrap();
        let now = 10_000_000_000;
        let from = range.from_ms(now);
        let spans = [
            (from, 1, sample(3, 5)),
            (from, 2, sample(4, 6)),
            (from + 10_000, 1, sample(2, 1)),
        ];
        let lines = lines(range, now, &spans);
        assert_eq!(lines.at_ms.len(), 180);
        assert_eq!(*lines.at_ms.last().unwrap() + range.step_ms, now);
        assert_eq!(lines.messages[..4], [11, 0, 1, 0]);
        assert_eq!(lines.connections[..3], [Some(7), Some(7), Some(6)]);
        // The second says nothing for more than a minute, the first not for two.
        assert_eq!(lines.connections[20], None);
        assert_eq!(lines.commit_p50_ms[0], None);
    }

    #[test]
    fn spans_outside_of_the_range_count_for_nothing() {
        let range = Range::parse("24h").unwrap();
        let now = 10_000_000_000;
        let from = range.from_ms(now);
        let spans = [(from - 1, 1, sample(1, 5)), (now + 999, 1, sample(1, 5))];
        let lines = lines(range, now, &spans);
        assert_eq!(lines.messages.iter().sum::<u64>(), 0);
        assert_eq!(lines.at_ms.len(), 288);
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_that_has_it() {
        let mut counts = Counts::default();
        assert_eq!(quantile_ms(&counts, 0.5), None);
        counts[0] = 100;
        assert_eq!(quantile_ms(&counts, 0.5), Some(0.25));
        counts[3] = 100;
        let high = quantile_ms(&counts, 0.99).unwrap();
        assert!((2.5..=5.0).contains(&high), "{high}");
        counts = Counts::default();
        counts[BOUNDS_US.len()] = 1;
        assert_eq!(quantile_ms(&counts, 0.99), Some(10_000.0), "at least that");
    }

    #[test]
    fn every_word_is_a_range() {
        for word in Range::WORDS {
            assert!(Range::parse(word).is_some(), "{word}");
        }
        assert_eq!(Range::parse("1y"), None);
    }
}
