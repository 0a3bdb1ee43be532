//! An open loop's clock: it says what is due when, whatever became of what was due before.
//!
//! The runtime's timers have a resolution of a millisecond, which is more than the latencies measured here. So a thread
//! of its own waits for each due time and hands it over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One thing that is due again and again.
#[derive(Debug, Clone, Copy)]
pub struct Beat<S> {
    /// Who is told.
    pub who: usize,
    /// Which of its streams.
    pub stream: S,
    /// The time between two, in nanoseconds; at least 1.
    pub every_ns: u64,
}

/// The order in which beats are due, in nanoseconds since the start. Pure.
#[derive(Debug)]
pub struct Schedule<S> {
    beats: Vec<Beat<S>>,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<S: Copy> Schedule<S> {
    /// Starts each beat at a phase of its own within its first interval, the same in every run.
    pub fn new(beats: Vec<Beat<S>>) -> Self {
        // Fibonacci hashing spreads consecutive numbers evenly (Knuth, TAOCP 3, 6.4).
        let phase = |i: usize| (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let heap = beats
            .iter()
            .enumerate()
            .map(|(i, beat)| Reverse((phase(i) % beat.every_ns.max(1), i)))
            .collect();
        Self { beats, heap }
    }

    /// When the next is due; `None` when there is none at all.
    pub fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// The next beat.
    pub fn peek(&self) -> Option<Beat<S>> {
        self.heap.peek().map(|Reverse((_, i))| self.beats[*i])
    }

    /// Takes the next beat, with its due time.
    pub fn take(&mut self) -> Option<(u64, Beat<S>)> {
        let mut top = self.heap.peek_mut()?;
        let Reverse((due, i)) = *top;
        let beat = self.beats[i];
        top.0.0 = due + beat.every_ns.max(1);
        Some((due, beat))
    }
}

/// The interval of a rate per second, in nanoseconds; `None` for a rate of 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are checked to be in 0..=100,000, and a slower one than once in 100 years is never"
)]
pub fn interval_ns(rate: f64) -> Option<u64> {
    (rate > 1e-9).then(|| ((1e9 / rate) as u64).max(1))
}

/// Calls `due` for each beat at its time, with the time it was due at, until `end` or until `stop` is set.
pub fn run<S: Copy>(
    mut schedule: Schedule<S>,
    start: Instant,
    end: Instant,
    stop: &AtomicBool,
    mut due: impl FnMut(Instant, Beat<S>),
) {
    // A stop is seen within this.
    const NAP: Duration = Duration::from_millis(50);
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= end {
            return;
        }
        let next = schedule
            .next_ns()
            .map_or(end, |ns| start + Duration::from_nanos(ns))
            .min(end);
        if next > now {
            std::thread::park_timeout((next - now).min(NAP));
            continue;
        }
        if let Some((ns, beat)) = schedule.take() {
            due(start + Duration::from_nanos(ns), beat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_beat_comes_as_often_as_it_should_and_in_order() {
        let beat = |who, every_ns| Beat {
            who,
            stream: (),
            every_ns,
        };
        let mut schedule = Schedule::new(vec![beat(0, 100), beat(1, 250), beat(2, 1000)]);
        let mut counts = [0; 3];
        let mut last = 0;
        while schedule.next_ns().unwrap() < 10_000 {
            let (due, beat) = schedule.take().unwrap();
            assert!(due >= last);
            last = due;
            counts[beat.who] += 1;
        }
        assert_eq!(counts, [100, 40, 10]);
    }

    #[test]
    fn no_beats_are_never_due() {
        assert!(Schedule::<()>::new(vec![]).next_ns().is_none());
        assert_eq!(interval_ns(0.0), None);
        assert_eq!(interval_ns(0.2), Some(5_000_000_000));
    }

    #[test]
    fn what_is_late_is_still_told_with_its_own_time() {
        let start = Instant::now() - Duration::from_millis(100);
        let every_ns = 1_000_000;
        let mut late = Vec::new();
        let stop = AtomicBool::new(false);
        let schedule = Schedule::new(vec![Beat {
            who: 0,
            stream: (),
            every_ns,
        }]);
        run(
            schedule,
            start,
            Instant::now() + Duration::from_millis(5),
            &stop,
            |due, _| {
                late.push(due);
            },
        );
        assert!(late.len() >= 100);
        assert!(
            late.windows(2)
                .all(|w| w[1] - w[0] == Duration::from_nanos(every_ns))
        );
    }
}
