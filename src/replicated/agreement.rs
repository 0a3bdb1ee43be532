//! Checks that the copies of a canvas are alike. Each batch carries a hash of its author's copy after an earlier batch.
//! The hash is kept up to date by each change. Every other instance that has run that batch compares the hash with its
//! own. A copy that differs is read again from the log, and not used meanwhile.
//!
//! Nobody can see which of the two is wrong. So the instance that has read its copy again tells its new hash, and the
//! other one compares.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::Shared;
use super::replica::Inner;
use crate::canvas::CanvasState;
use crate::canvas::codec::{Batch, Seen};
use crate::protocol::ids::CanvasId;
use crate::time;

/// Batches after which it is known what the copy was. An author lags behind by those that others commit meanwhile.
const MARKS: usize = 64;
/// A canvas is read anew for this reason no sooner than so long after the last time: whoever is wrong needs time to hear of it.
const REREAD_PAUSE: Duration = Duration::from_secs(10);

/// What a copy was after its latest batches.
#[derive(Default)]
pub(super) struct Marks {
    latest: VecDeque<Mark>,
    /// When it last was found to differ.
    differed: Option<Instant>,
    /// It was read anew for that, and the others have not heard what it is now.
    unannounced: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    n: u64,
    /// The beginning of the chain; `None` where the chain began anew, and says nothing of what was before.
    chain: Option<u32>,
    state: u64,
}

impl Inner {
    /// A batch was run.
    pub(super) fn mark(&mut self) {
        let state = self.state.as_ref().map(CanvasState::agreed_hash);
        if let Some(state) = state {
            self.marks.latest.truncate(MARKS - 1);
            let mark = Mark {
                n: self.n,
                chain: beginning(&self.chain),
                state,
            };
            self.marks.latest.push_front(mark);
        }
    }

    /// The copy was read. Whether the others are to hear what it is.
    pub(super) fn mark_anew(&mut self) -> bool {
        self.marks.latest.clear();
        self.mark();
        std::mem::take(&mut self.marks.unannounced)
    }

    /// What this copy is, for a batch that is written now.
    pub(super) fn seen(&self) -> Option<Seen> {
        let good = self.has_good_copy();
        let mark = self.marks.latest.front().filter(|_| good)?;
        Some(Seen {
            era: self.era_tag()?,
            n: mark.n,
            chain: mark.chain?.to_be_bytes(),
            state: mark.state.to_be_bytes(),
        })
    }

    /// Whether the copy differs from that of the batch's author. Told, and counted.
    pub(super) fn doubts(&mut self, canvas: &CanvasId, batch: &Batch, shared: &Shared) -> bool {
        let own = batch.from == Some(shared.number());
        let Some(seen) = batch.seen.as_ref().filter(|_| !own) else {
            return false;
        };
        let differs = self.differs(seen);
        if differs {
            shared.counters.diverged.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                %canvas, batch = seen.n, instance = batch.from.map(|number| number.0),
                "the copy of a canvas here differs from that of another instance: it is read anew"
            );
        }
        differs
    }

    /// Another instance has seen that. `true` if this copy differs, and is to be read anew for it.
    fn differs(&mut self, seen: &Seen) -> bool {
        // A batch that is sent again after a failover tells of a log that may be lost.
        if self.era_tag() != Some(seen.era) {
            return false;
        }
        let known = self.marks.latest.iter().find(|mark| mark.n == seen.n);
        let chain = u32::from_be_bytes(seen.chain);
        let state = u64::from_be_bytes(seen.state);
        let alike = |mark: &Mark| match mark.chain {
            Some(own) => own == chain && mark.state == state,
            None => true,
        };
        if known.is_none_or(alike) {
            return false;
        }
        let lately = |at: Instant| time::since(at) < REREAD_PAUSE;
        if self.marks.differed.is_some_and(lately) {
            return false;
        }
        self.marks.differed = Some(time::now());
        self.marks.unannounced = true;
        self.stale = true;
        true
    }

    fn era_tag(&self) -> Option<[u8; 4]> {
        let era = xxh3_64(self.era.as_ref()?.as_bytes());
        let [a, b, c, d, ..] = era.to_be_bytes();
        Some([a, b, c, d])
    }
}

/// Two chains with the same beginning are the same: it is no attack that is looked for.
fn beginning(chain: &str) -> Option<u32> {
    u32::from_str_radix(chain.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests;
