//! The samples of this process alone, in memory. They serve `--queue off`, and a relay whose Redis does not answer.

use std::collections::VecDeque;

use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;

use super::{Grain, Kept, Note, Now, Sample, Store};

/// Keeps as much as a file would.
#[derive(Debug)]
pub struct Ring {
    instance: String,
    kept: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    now: Option<Now>,
    fine: VecDeque<(i64, Sample)>,
    minutes: VecDeque<(i64, Sample)>,
}

impl Ring {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(instance: String) -> Self {
        Self {
            instance,
            kept: Mutex::default(),
        }
    }
}

impl Inner {
    fn of(&mut self, grain: Grain) -> &mut VecDeque<(i64, Sample)> {
        match grain {
            Grain::Fine => &mut self.fine,
            Grain::Minute => &mut self.minutes,
        }
    }
}

impl Store for Ring {
    fn put(&self, note: Note) {
        let mut kept = self.kept.lock();
        let now_ms = note.now.at_ms;
        kept.now = Some(note.now);
        for (grain, at, sample) in note.spans {
            kept.of(grain).push_back((at, sample));
        }
        for grain in Grain::ALL {
            let old = now_ms - grain.kept_ms();
            let most = usize::try_from(grain.kept_ms() / grain.step_ms()).unwrap_or(0);
            let spans = kept.of(grain);
            while spans.len() > most || spans.front().is_some_and(|(at, _)| *at < old) {
                spans.pop_front();
            }
        }
    }

    fn read(&self, grain: Grain, since_ms: i64) -> BoxFuture<'_, Result<Kept, String>> {
        let mut kept = self.kept.lock();
        let now = kept.now.clone().map(|now| (self.instance.clone(), now));
        let spans = kept.of(grain).iter().filter(|(at, _)| *at >= since_ms);
        let spans = spans.map(|(at, sample)| (*at, 1, sample.clone())).collect();
        let now = now.into_iter().collect();
        std::future::ready(Ok(Kept {
            now,
            spans,
            lacks: None,
        }))
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_and_a_clock_that_jumps_fills_nothing() {
        let ring = Ring::new("one".to_owned());
        let step = Grain::Fine.step_ms();
        let note = |at_ms: i64| Note {
            now: Now {
                at_ms,
                ..Now::default()
            },
            spans: vec![(Grain::Fine, at_ms, Sample::default())],
        };
        let most = Grain::Fine.kept_ms() / step;
        for n in 0..most + 50 {
            ring.put(note(n * step));
        }
        let read = |since| {
            ring.read(Grain::Fine, since)
                .now_or_never()
                .unwrap()
                .unwrap()
        };
        let all = read(i64::MIN);
        assert_eq!(i64::try_from(all.spans.len()).unwrap(), most);
        assert_eq!(all.now[0].0, "one");
        assert_eq!(read((most + 49) * step).spans.len(), 1);
        for _ in 0..2 * most {
            ring.put(note(7));
        }
        assert!(i64::try_from(read(i64::MIN).spans.len()).unwrap() <= most);
    }
}
