//! Long runs of the log for members that catch up, compressed once for all that read the same.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::backplane::LogBatch;
use crate::limits::DEFLATED_RUNS;
use crate::protocol::deflate;
use crate::protocol::encoding::Encoding;
use crate::protocol::features::Features;
use crate::protocol::ids::Epoch;

/// Which messages, and for whom.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    epoch: Epoch,
    from: u64,
    last: u64,
    /// What its readers understand: others hear something else under the same numbers.
    needs: Features,
    encoding: Encoding,
}

/// The latest of them. Empty while nobody catches up.
#[derive(Default)]
pub(super) struct Deflated(VecDeque<(Key, Option<Bytes>)>);

impl Deflated {
    /// The frames of a batch from `from` on in fewer bytes, if they are long; all of them are the same for everybody (`shared`), or
    /// some are for this member alone.
    pub(super) fn of(
        &mut self,
        batch: &LogBatch,
        (from, encoding): (u64, Encoding),
        frames: Bytes,
        shared: bool,
    ) -> Bytes {
        if frames.len() < deflate::FROM_BYTES {
            return frames;
        }
        if !shared {
            return deflate::frames(&frames, encoding).unwrap_or(frames);
        }
        let epoch = batch.epoch;
        let last = batch.last_seq();
        let key = Key {
            epoch,
            from,
            last,
            needs: batch.needs,
            encoding,
        };
        let known = self.0.iter().find(|(known, _)| *known == key);
        let made = match known {
            Some((_, made)) => made.clone(),
            None => {
                let made = deflate::frames(&frames, encoding);
                self.0.truncate(DEFLATED_RUNS - 1);
                self.0.push_front((key, made.clone()));
                made
            }
        };
        made.unwrap_or(frames)
    }

    /// Whether none is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody catches up any more.
    pub(super) fn forget(&mut self) {
        self.0 = VecDeque::new();
    }
}
