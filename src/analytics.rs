//! Small samples of a relay: its work over the last day, and the state of each process. All processes can read them.
//!
//! Each process samples its own counters now and then, and gives the [`Store`] the difference since the last sample.
//! [`history`] adds up the samples of all processes. Nothing here knows where samples are kept.

pub mod history;
pub mod ring;

use futures::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};

use crate::backplane::histogram::{BOUNDS_US, Buckets};
use crate::limits::{ANALYTICS_DAY, ANALYTICS_RECENT, ANALYTICS_STEP};
use crate::time::millis;

/// Counts of a histogram: of each bucket alone, the last for what took longer than all bounds.
pub type Counts = [u64; BOUNDS_US.len() + 1];

/// How finely something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// A sample each [`ANALYTICS_STEP`], for a quarter of an hour.
    Fine,
    /// A sample a minute, for a day.
    Minute,
}

impl Grain {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Fine, Self::Minute];

    /// How long a sample's span is.
    pub fn step_ms(self) -> i64 {
        match self {
            Self::Fine => millis(ANALYTICS_STEP),
            Self::Minute => 60_000,
        }
    }

    /// How long it is kept.
    pub fn kept_ms(self) -> i64 {
        match self {
            Self::Fine => millis(ANALYTICS_RECENT),
            Self::Minute => millis(ANALYTICS_DAY),
        }
    }
}

/// What one process did in a span, and how it was at its end. Zeros are not written: most processes are idle most of the time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Open WebSocket connections at its end.
    #[serde(skip_serializing_if = "is_zero")]
    pub connections: u64,
    /// Canvases with a connection at its end.
    #[serde(skip_serializing_if = "is_zero")]
    pub rooms: u64,
    /// How late timers fired at its end, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub loop_lag_us: u64,
    /// Entries that waited for the writer at its end.
    #[serde(skip_serializing_if = "is_zero")]
    pub writer_depth: u64,
    /// Messages committed.
    #[serde(skip_serializing_if = "is_zero")]
    pub messages: u64,
    /// Messages handed to members: one that ten hear counts ten times.
    #[serde(skip_serializing_if = "is_zero")]
    pub deliveries: u64,
    /// Bytes received over WebSockets.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_in: u64,
    /// Bytes sent over WebSockets.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_out: u64,
    /// Clients that were let in.
    #[serde(skip_serializing_if = "is_zero")]
    pub joins: u64,
    /// Errors told to clients.
    #[serde(skip_serializing_if = "is_zero")]
    pub refusals: u64,
    /// Entries refused as overloaded.
    #[serde(skip_serializing_if = "is_zero")]
    pub overloaded: u64,
    /// From taking an entry to its commit.
    #[serde(skip_serializing_if = "is_empty")]
    pub commit: Counts,
    /// From a message's transaction to its being handed to the members of the process.
    #[serde(skip_serializing_if = "is_empty")]
    pub delivery: Counts,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_empty(counts: &Counts) -> bool {
    counts.iter().all(|n| *n == 0)
}

impl Sample {
    /// The counters; what is of the end of a span is not among them.
    fn counters(&mut self) -> [&mut u64; 7] {
        [
            &mut self.messages,
            &mut self.deliveries,
            &mut self.bytes_in,
            &mut self.bytes_out,
            &mut self.joins,
            &mut self.refusals,
            &mut self.overloaded,
        ]
    }

    fn histograms(&mut self) -> [&mut Counts; 2] {
        [&mut self.commit, &mut self.delivery]
    }

    fn each(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        let mut other = other.clone();
        for (own, other) in self.counters().into_iter().zip(other.counters()) {
            *own = with(*own, *other);
        }
        for (own, other) in self.histograms().into_iter().zip(other.histograms()) {
            for (own, other) in own.iter_mut().zip(other) {
                *own = with(*own, *other);
            }
        }
    }

    /// Adds what happened in another span; what is of the end of a span stays.
    pub fn add(&mut self, other: &Self) {
        self.each(other, u64::saturating_add);
    }

    /// What happened since `before`, of counters that only grow.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        self.each(before, u64::saturating_sub);
        self
    }

    /// Whether anything happened.
    pub fn is_quiet(&self) -> bool {
        let mut copy = self.clone();
        copy.counters().into_iter().all(|n| *n == 0)
            && copy.histograms().into_iter().all(|counts| is_empty(counts))
    }
}

/// A histogram's counts, each bucket by itself.
pub fn counts(buckets: &Buckets) -> Counts {
    let mut counts = Counts::default();
    let mut below = 0;
    for (count, upto) in counts.iter_mut().zip(&buckets.upto) {
        *count = upto - below;
        below = *upto;
    }
    counts[BOUNDS_US.len()] = buckets.count - below;
    counts
}

/// What a process says about itself beside its sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Now {
    /// When it said so, in milliseconds since 1970.
    pub at_ms: i64,
    /// The span of `last`, in milliseconds.
    pub span_ms: i64,
    /// When it started.
    pub started_ms: i64,
    /// Its version.
    pub version: String,
    /// Whether it shuts down.
    pub draining: bool,
    /// Why it can't commit, if it can't.
    pub trouble: Option<String>,
    /// The latest span.
    pub last: Sample,
}

/// What a process gives to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How it is.
    pub now: Now,
    /// What it did: the grain, the start of the span in milliseconds since 1970, and the sample.
    pub spans: Vec<(Grain, i64, Sample)>,
}

/// What was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Each live process by its instance's name, as it said it is.
    pub now: Vec<(String, Now)>,
    /// The start of a span, a number for the process, and what it did in it.
    pub spans: Vec<(i64, i64, Sample)>,
    /// Why only this process is in it, if that is so.
    pub lacks: Option<String>,
}

/// Which canvases are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// A part of the name.
    pub part: String,
    /// Only those with people.
    pub people: bool,
    /// Only names after this one.
    pub after: String,
    /// So many at most.
    pub limit: u32,
}

/// A canvas among others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CanvasRow {
    /// Its name.
    pub canvas: String,
    /// The seq of its youngest message.
    pub head: u64,
    /// How many objects it has.
    pub objects: u64,
    /// Bytes of all of them.
    pub object_bytes: u64,
    /// Clients in its presence table.
    pub members: u64,
}

/// Keeps samples, and looks over all that the relay has.
pub trait Store: Send + Sync {
    /// Keeps a note, without waiting. One that can't be kept is lost.
    fn put(&self, note: Note);

    /// What was kept of spans that began at `since_ms` or later.
    fn read(&self, grain: Grain, since_ms: i64) -> BoxFuture<'_, Result<Kept, String>>;

    /// The canvases of that kind by name, those that nobody is on included. `None`: it does not know them.
    fn canvases(&self, search: Search) -> BoxFuture<'_, Result<Option<Vec<CanvasRow>>, String>> {
        let _ = search;
        std::future::ready(Ok(None)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_sample_is_a_few_bytes_and_reads_back() {
        let quiet = Sample::default();
        assert_eq!(serde_json::to_string(&quiet).unwrap(), "{}");
        let mut busy = Sample {
            connections: 3,
            messages: 7,
            ..quiet.clone()
        };
        busy.commit[2] = 7;
        let text = serde_json::to_string(&busy).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), busy);
        assert!(quiet.is_quiet() && !busy.is_quiet());
    }

    #[test]
    fn what_happened_is_the_difference_and_adds_up() {
        let mut before = Sample {
            connections: 9,
            messages: 5,
            bytes_in: 100,
            ..Sample::default()
        };
        before.delivery[0] = 2;
        let mut after = Sample {
            connections: 4,
            messages: 12,
            bytes_in: 150,
            ..Sample::default()
        };
        after.delivery[0] = 6;
        let mut span = after.clone().since(&before);
        assert_eq!((span.messages, span.bytes_in, span.delivery[0]), (7, 50, 4));
        assert_eq!(span.connections, 4, "as it is at the end");
        span.add(&before);
        assert_eq!(span, after);
    }

    #[test]
    fn buckets_are_taken_apart() {
        let buckets = Buckets {
            upto: vec![1, 1, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4],
            count: 6,
            sum_us: 0,
        };
        let counts = counts(&buckets);
        assert_eq!((counts[0], counts[2], counts[14]), (1, 3, 2));
        assert_eq!(counts.iter().sum::<u64>(), 6);
    }
}
