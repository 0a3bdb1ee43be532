//! Samples this process now and then. While nothing happens, it writes one sample a minute.

use tokio::time::{MissedTickBehavior, interval};

use super::step_ms;
use crate::analytics::{Grain, Note, Now, Sample, counts};
use crate::backplane::Stats;
use crate::counts as process;
use crate::http::HttpState;
use crate::limits::ANALYTICS_STEP;
use crate::time::{millis, wall_ms};

/// How late timers must fire to be worth a word from who is idle, in microseconds.
const TELLING_LAG_US: u64 = 20_000;

/// Samples until dropped.
pub async fn run(state: HttpState) {
    let mut ticks = interval(ANALYTICS_STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Whatever was counted was counted since the start.
    let mut sampler = Sampler {
        before: Some((wall_ms(), Sample::default())),
        ..Sampler::default()
    };
    loop {
        ticks.tick().await;
        // What the health monitor has just read will do: no query of its own.
        let Some(stats) = state.monitor.latest() else {
            continue;
        };
        let now = Now {
            at_ms: wall_ms(),
            started_ms: wall_ms() - millis(state.started.elapsed()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: state.relay.draining(),
            trouble: stats.trouble.clone(),
            ..Now::default()
        };
        if let Some(note) = sampler.take(now, all(&state, &stats)) {
            state.analytics.put(note);
        }
    }
}

/// How this process is now.
pub(super) fn gauges(state: &HttpState, stats: &Stats) -> Sample {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a lag is positive and below an hour"
    )]
    let loop_lag_us = (state.relay.event_loop_lag_ms() * 1_000.0) as u64;
    Sample {
        connections: state.relay.connections(),
        rooms: state.relay.rooms(),
        loop_lag_us,
        writer_depth: stats.writer_depth,
        ..Sample::default()
    }
}

/// All that happened since the start.
fn all(state: &HttpState, stats: &Stats) -> Sample {
    Sample {
        messages: stats.committed,
        deliveries: process::DELIVERIES.get(),
        bytes_in: process::BYTES_IN.get(),
        bytes_out: process::BYTES_OUT.get(),
        joins: process::JOINS.get(),
        refusals: process::REFUSALS.sum(),
        overloaded: stats.overloaded,
        commit: counts(&stats.commit),
        delivery: counts(&stats.delivery),
        ..gauges(state, stats)
    }
}

/// What was said last.
#[derive(Default)]
struct Sampler {
    /// The counters at the end of the latest span.
    before: Option<(i64, Sample)>,
    /// The minute that is under way, and what happened in it.
    minute: Option<(i64, Sample)>,
    said: Option<Now>,
}

impl Sampler {
    /// A note, if there is something to say.
    fn take(&mut self, mut now: Now, all: Sample) -> Option<Note> {
        let at_ms = now.at_ms;
        let (since, before) = self.before.replace((at_ms, all.clone()))?;
        let span = all.since(&before);
        let mut spans = Vec::new();
        let minute = at_ms / Grain::Minute.step_ms() * Grain::Minute.step_ms();
        match &mut self.minute {
            Some((start, sum)) if *start == minute => {
                sum.add(&span);
                let counted = sum.clone();
                *sum = with_gauges(counted, &span);
            }
            begun => {
                if let Some((start, sum)) = begun.replace((minute, span.clone())) {
                    spans.push((Grain::Minute, start, sum));
                }
            }
        }
        let whole_minute = !spans.is_empty();
        now.span_ms = at_ms - since;
        now.last = span.clone();
        let changed = self
            .said
            .as_ref()
            .is_none_or(|said| differs(said, &now) || !said.last.is_quiet());
        if !changed && span.is_quiet() && !whole_minute {
            return None;
        }
        let start = since / step_ms() * step_ms();
        spans.push((Grain::Fine, start, span));
        self.said = Some(now.clone());
        Some(Note { now, spans })
    }
}

/// The counters of one, with the gauges of another.
fn with_gauges(counted: Sample, gauges: &Sample) -> Sample {
    Sample {
        connections: gauges.connections,
        rooms: gauges.rooms,
        loop_lag_us: counted.loop_lag_us.max(gauges.loop_lag_us),
        writer_depth: counted.writer_depth.max(gauges.writer_depth),
        ..counted
    }
}

/// Whether a process is another than it said.
fn differs(said: &Now, now: &Now) -> bool {
    let before = &said.last;
    let after = &now.last;
    said.draining != now.draining
        || said.trouble != now.trouble
        || before.connections != after.connections
        || before.rooms != after.rooms
        || before.loop_lag_us.abs_diff(after.loop_lag_us) > TELLING_LAG_US
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(at_ms: i64) -> Now {
        Now {
            at_ms,
            ..Now::default()
        }
    }

    fn committed(messages: u64) -> Sample {
        Sample {
            messages,
            ..Sample::default()
        }
    }

    #[test]
    fn an_idle_process_speaks_once_a_minute() {
        let mut sampler = Sampler::default();
        let minute = Grain::Minute.step_ms();
        let spoken = (0..120).filter(|n| {
            let note = sampler.take(now(n * step_ms()), committed(5));
            note.is_some()
        });
        let spoken: Vec<i64> = spoken.collect();
        let in_ten_minutes = 120 * step_ms() / minute;
        assert!(
            i64::try_from(spoken.len()).unwrap() <= in_ten_minutes + 1,
            "{spoken:?}"
        );
        assert!(spoken.len() > 8, "{spoken:?}");
    }

    #[test]
    fn a_minute_is_all_that_happened_in_it() {
        let mut sampler = Sampler::default();
        let mut minutes = Vec::new();
        let mut fine = 0;
        for n in 0..30 {
            let at_ms = n * step_ms() + 100;
            let total = u64::try_from(n).unwrap() * 10;
            let Some(note) = sampler.take(now(at_ms), committed(total)) else {
                continue;
            };
            for (grain, start, sample) in note.spans {
                match grain {
                    Grain::Fine => {
                        assert_eq!((start % step_ms(), sample.messages), (0, 10));
                        fine += 1;
                    }
                    Grain::Minute => minutes.push((start, sample.messages)),
                }
            }
        }
        assert_eq!(fine, 29);
        // The first span of the first minute is not known.
        assert_eq!(minutes, [(0, 110), (60_000, 120)]);
    }

    #[test]
    fn who_becomes_quiet_says_so_once() {
        let mut sampler = Sampler::default();
        let mut take = |n: i64, total| {
            let note = sampler.take(now(n * step_ms()), committed(total));
            note.map(|note| note.now.last.messages)
        };
        assert_eq!(take(0, 0), None);
        assert_eq!(take(1, 7), Some(7));
        assert_eq!(take(2, 7), Some(0));
        assert_eq!(take(3, 7), None);
        assert_eq!(take(4, 9), Some(2));
    }
}
