//! The consequences of a failed attempt, in either kind of queue, and the time of the next one.

use super::fifo::{self, Spot};
use super::finish::{Death, End, bury};
use super::options::Options;
use super::rows::{Message, State};
use super::store::Store;
use super::unordered;
use super::work::{Res, Work, kind};

/// What is said of the dead that nobody has said anything of.
const EXPIRED: &str = "its lease ran out in every attempt";
const FAILED: &str = "it failed in every attempt";
/// Characters that are kept of why an attempt failed.
const MAX_ERROR_CHARS: usize = 4_096;

/// The message is done for the group, leased or not.
pub(crate) fn end<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    fifo: bool,
    message: &Message,
    end: End,
) -> Res<(), S> {
    if fifo {
        fifo::done(w, spot, message.into(), end)
    } else {
        unordered::done(w, spot, message, end)
    }
}

/// An attempt has failed, or its time ran out: the message comes again later. Gives when; nothing if it was the last attempt, and the
/// message is dead, or if its queue is gone.
pub(crate) fn again<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: &Message,
    expired: bool,
    error: Option<&str>,
) -> Res<Option<i64>, S> {
    let Some(options) = w.see_queue(spot.queue)?.map(|row| row.options) else {
        return Ok(None);
    };
    let key = (spot.partition, spot.grp, message.seq);
    let before: Option<State> = w.store.get(&key)?;
    let before = before.unwrap_or_else(|| fresh(spot.partition, spot.grp, message.seq));
    let attempts = before.attempts + 1;
    if let Some(row) = w.queue(spot.queue)? {
        row.failed += 1;
    }
    if attempts > options.retry_limit {
        let error = error.unwrap_or(if expired { EXPIRED } else { FAILED });
        let death = Death { attempts, error };
        bury(w, spot.queue, spot.at, message, &death)?;
        end(w, spot, options.fifo, message, End::Died)?;
        return Ok(None);
    }
    let at = w.now + pause_ms(&options, attempts, (w.random)());
    let state = State {
        at,
        attempts,
        expired: before.expired + i64::from(expired),
        lease: None,
        error: error.map(|error| error.chars().take(MAX_ERROR_CHARS).collect()),
        ..before
    };
    if options.fifo {
        fifo::put_off(w, spot, state)?;
    } else {
        unordered::put_off(w, spot, message, state)?;
    }
    w.count(spot.queue, |counts| counts.retried += 1)?;
    Ok(Some(at))
}

/// The state of a message that was never tried.
pub(crate) fn fresh(partition: i64, grp: i64, seq: i64) -> State {
    State {
        partition,
        grp,
        seq,
        kind: kind::DELAYED,
        at: 0,
        attempts: 0,
        expired: 0,
        lease: None,
        leased_at: 0,
        error: None,
    }
}

/// The pause before the next attempt, after so many that failed: twice as long each time, with a tenth of jitter either way, so that what
/// failed together does not come back together.
pub(crate) fn pause_ms(options: &Options, attempts: i64, random: [u8; 16]) -> i64 {
    let doublings = u32::try_from((attempts - 1).clamp(0, 30)).unwrap_or(0);
    let pause = options
        .retry_delay_ms
        .saturating_mul(1 << doublings)
        .min(options.retry_max_delay_ms);
    let spread = pause / 5;
    if spread == 0 {
        return pause;
    }
    let jitter = i64::from(u32::from_le_bytes([random[0], random[1], random[2], 0]));
    let jittered = pause - spread / 2 + jitter % (spread + 1);
    jittered.min(options.retry_max_delay_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_with_a_tenth_of_jitter() {
        let options = Options::default();
        for random in [[0; 16], [77; 16], [255; 16]] {
            for (attempts, middle) in [(1, 1_000), (2, 2_000), (3, 4_000), (8, 128_000)] {
                let pause = pause_ms(&options, attempts, random);
                assert!((pause - middle).abs() <= middle / 10, "{attempts}: {pause}");
            }
            assert!(pause_ms(&options, 30, random) <= 300_000);
            assert!(pause_ms(&options, 1_000, random) >= 270_000);
        }
        let none = Options {
            retry_delay_ms: 0,
            ..options
        };
        assert_eq!(pause_ms(&none, 5, [9; 16]), 0);
    }
}
